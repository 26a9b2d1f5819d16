"""Sources against divergences on the clusters: the experiment of chapter 11.

Fitted by Adam to sampled expectations, as the paper's program is: an echo grows step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

import vmtl_core as vmtl
from vmtl_core.lab.datasets import clusters
from vmtl_core.lab.scores import coverage, log_score

LEVEL, REACH = 0.9, 1.6448536269514722
BARE: dict[str, Any] = {"base_prior": None, "transfer": None, "hyperprior": None}
"""Options of a prior that is a mixture of the other tasks' posteriors and of nothing else."""
CURED: dict[str, Any] = {"divergence": "jensen", "transfer": "learned"}
"""Options of a prior with a transfer width and a base prior, both learned."""


def variants() -> dict[str, dict[str, Any]]:
    """Three sources, each with three divergences and then with the cure: options by name."""
    found: dict[str, dict[str, Any]] = {}
    for sources in ("own", "previous", "joint"):
        for divergence in ("monte_carlo", "jensen", "convex"):
            options = {"sources": sources, "divergence": divergence}
            found[f"{sources}, {divergence}"] = options | BARE
        found[f"{sources}, base + width"] = {"sources": sources} | CURED
    return found


def score(
    options: Mapping[str, Any], seed: int, steps: int = 200, between_sd: float = 0.15
) -> dict[str, float]:
    """Fit 12 regressions in 3 clusters, 6 points each, and score them.

    Args:
        options: of `MultiTaskELBO`.
        seed: of the data and of the fit.
        steps: of Adam, learning rate 0.08.
        between_sd: how far a task's weights lie from the centre of its cluster.

    Returns:
        log_score: of 200 held-out points a task, nats a point; coverage_y: of their 90 % intervals;
        coverage_w: share of the true weights inside the 90 % intervals of q(w_t).
    """
    train, test = clusters(between_sd=between_sd, seed=seed).split(seed=seed)
    weights = vmtl.GaussianWeights(train.tasks, (train.x.shape[1],), covariance="diagonal")
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        weights,
        task_sizes=train.task_sizes,
        expectation="sampled",
        **({"sources": "own"} | dict(options)),
    )
    rows = (train.x, train.y, train.task)
    vmtl.fit(model, *rows, steps, 0.08, seed=seed, progress=False, method="adam", tolerance=None)
    generator = torch.Generator().manual_seed(seed)
    prediction = vmtl.predictive(model, test.x, test.task, generator=generator)
    assert test.truth is not None
    q = model.q_weights()
    inside = (test.truth.weights - q.mean).abs() < REACH * q.stddev
    return {
        "log_score": log_score(prediction, test.y).item(),
        "coverage_y": coverage(prediction, test.y, LEVEL).item(),
        "coverage_w": inside.to(q.mean.dtype).mean().item(),
    }


def compare(seeds: Sequence[int], steps: int = 200) -> pd.DataFrame:
    """`score` of every variant on every seed: one row each, with variant and seed."""
    rows = [
        {"variant": name, "seed": seed} | score(options, seed, steps)
        for name, options in variants().items()
        for seed in seeds
    ]
    return pd.DataFrame(rows)
