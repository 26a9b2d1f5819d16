"""Ways to learn the 131 schools, scored on held-out pupils: the experiment of chapter 8."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd
import torch
from torch import Generator, Tensor
from torch.distributions import Distribution

import vmtl_core as vmtl
from vmtl_core.lab import baselines
from vmtl_core.lab.datasets import MultiTaskData, schools
from vmtl_core.lab.metrics import coverage, log_score, nmse

STEPS, PAPER_STEPS, SAMPLES = 1500, 600, 400
RESULTS, TRAINING = "schools.csv", "schools_training.csv"

CLOSED_FORM: dict[str, Callable[..., baselines.Prediction]] = {
    "single": baselines.single_task_bayes,
    "pooled": baselines.pooled_bayes,
    "mixed model": lambda *pair: baselines.hierarchical_mixed(*pair, random_slopes=False),
    "hierarchical": baselines.hierarchical_gaussian,
}
"""Baselines that need no gradient steps; the mixed model has a random intercept only."""

METHODS = (*CLOSED_FORM, "base prior alone", "default", "paper")


def standardised(n: int, seed: int) -> tuple[MultiTaskData, MultiTaskData]:
    """`n` pupils of every school to train on and the rest to test on, in units of the former."""
    train, test = schools().split(n, seed=seed)
    train, test = train.standardise(test)
    return train, test


def fit_model(
    train: MultiTaskData,
    paper: bool = False,
    steps: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    **options: Any,
) -> tuple[vmtl.MultiTaskELBO, vmtl.History]:
    """A multi-task linear regression with intercept, fitted: the default, or the paper's preset.

    Args:
        train: standardised regression data.
        paper: whether to start from `MultiTaskELBO.paper`.
        steps: of Adam, `STEPS` or `PAPER_STEPS` if None; the learning rate falls from 0.1 to 0.001
            along a cosine.
        seed: of everything random.
        batch_size: pupils in a batch; None for all.
        options: of `MultiTaskELBO`.
    """
    steps = (PAPER_STEPS if paper else STEPS) if steps is None else steps
    make = vmtl.MultiTaskELBO.paper if paper else vmtl.MultiTaskELBO
    cheap: dict[str, Any] = {"weight_samples": 4, "divergence_samples": 2}
    model = make(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(train.tasks, event_shape=(train.x.shape[1] + 1,)),
        task_sizes=train.task_sizes,
        **(cheap | options),
    )
    history = vmtl.fit(
        model,
        train.x,
        train.y,
        train.task,
        steps=steps,
        lr=vmtl.cosine_decay(0.1, 0.001, steps),
        batch_size=batch_size,
        seed=seed,
        progress=False,
    )
    return model, history


def predict(
    model: vmtl.MultiTaskELBO, data: MultiTaskData, own: bool = False, samples: int = SAMPLES
) -> vmtl.PredictiveMixture:
    """Predictive (6.2) of every row, from the model's posteriors or from its own-data ones.

    Args:
        model: of `fit_model`.
        data: rows to predict, standardised.
        own: use the posteriors that were fitted to each school's own data under the learned base
            prior, with the noise scale that belongs to them.
        samples: M.
    """
    generator = Generator().manual_seed(0)
    if not own:
        found = vmtl.predictive(model, data.x, data.task, samples, generator=generator)
        assert isinstance(found, vmtl.PredictiveMixture)
        return found
    assert model.own is not None, "only sources='own' has a second set of posteriors"
    q = model.source_weights()
    noise = torch.randn((samples, *q.mean.shape), generator=generator)
    w = q.mean + q.stddev * noise
    with torch.no_grad():
        likelihood = model.own.likelihood(data.x[None, None], w[None, :, data.task])
    return vmtl.PredictiveMixture(likelihood)


def score(predictive: Distribution, y: Tensor) -> dict[str, float]:
    """NMSE, mean log density (nats a pupil) and coverage of 90 % intervals."""
    return {
        "nmse": nmse(predictive.mean, y).item(),
        "log_score": log_score(predictive, y).item(),
        "coverage": coverage(predictive, y).item(),
    }


def compare(n: int, seed: int, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """Train on `n` pupils of every school and score on the rest.

    Args:
        n: training pupils a school.
        seed: of the split and of the fits.
        methods: which of `METHODS`.

    Returns:
        One row a method: n, seed, method, nmse, log_score, coverage, seconds (of the fit; "base
        prior alone" and "default" come from one).
    """
    train, test = standardised(n, seed)
    rows: list[dict[str, Any]] = []

    def add(method: str, predictive: Distribution, began: float) -> None:
        head = {"n": n, "seed": seed, "method": method}
        rows.append(head | score(predictive, test.y) | {"seconds": time.perf_counter() - began})

    for method in [m for m in CLOSED_FORM if m in methods]:
        began = time.perf_counter()
        add(method, CLOSED_FORM[method](train, test).distribution(), began)
    if {"base prior alone", "default"} & set(methods):
        began = time.perf_counter()
        model, _ = fit_model(train, seed=seed)
        for method, own in (("base prior alone", True), ("default", False)):
            if method in methods:
                add(method, predict(model, test, own), began)
    if "paper" in methods:
        began = time.perf_counter()
        model, _ = fit_model(train, paper=True, seed=seed)
        add("paper", predict(model, test), began)
    return pd.DataFrame(rows)


def results(name: str = RESULTS) -> pd.DataFrame:
    """A table that `benchmarks/schools.py` stored."""
    return pd.read_csv(str(files("vmtl_core.lab") / "data" / "results" / name))
