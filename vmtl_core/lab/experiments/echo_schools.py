"""Sources against divergences on the 131 schools: the experiment of the appendix.

Fitted by Adam to sampled expectations, as in `echo_clusters`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

import vmtl_core as vmtl
from vmtl_core.lab.experiments import schools
from vmtl_core.lab.experiments.echo_clusters import variants

STEPS, PUPILS = 1000, 5
RESULTS = "echo_schools.csv"
ADAM: dict[str, Any] = {"method": "adam", "tolerance": None}
FEW: dict[str, Any] = {"weight_samples": 4, "divergence_samples": 2, "expectation": "sampled"}
"""Samples a step: 650 rows need no more."""


def compare(seeds: Sequence[int], names: Sequence[str] | None = None) -> pd.DataFrame:
    """Fit five pupils of every school and score on the rest.

    Args:
        seeds: of the splits and of the fits.
        names: which of `echo_clusters.variants`; all of them if None.

    Returns:
        One row for each variant and seed: log_score (nats a pupil), nmse and coverage_y (of 90 %
        intervals) on held-out pupils; posterior_sd, the geometric mean over schools and weights.
    """
    rows = []
    for seed in seeds:
        train, test = schools.standardised(PUPILS, seed)
        for name, options in variants().items():
            if names is not None and name not in names:
                continue
            model = schools.make_model(train, covariance="diagonal", **options, **FEW)
            rate = vmtl.cosine_decay(0.1, 0.001, STEPS)
            table = (train.x, train.y, train.task)
            vmtl.fit(model, *table, STEPS, rate, seed=seed, progress=False, **ADAM)
            found = schools.score(schools.predict(model, test), test.y)
            found["coverage_y"] = found.pop("coverage")
            sd = model.q_weights().stddev.log().mean().exp().item()
            rows.append({"variant": name, "seed": seed} | found | {"posterior_sd": sd})
    return pd.DataFrame(rows)


def results() -> pd.DataFrame:
    """The table that `benchmarks/echo_schools.py` stored."""
    return pd.read_csv(str(files("vmtl_core.lab") / "data" / "results" / RESULTS))
