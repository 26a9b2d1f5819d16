"""Ways to learn the 131 schools, scored on held-out pupils: the experiment of chapter 8."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

import pandas as pd
import torch
from torch import Generator, Tensor
from torch.distributions import Distribution, Normal

import vmtl_core as vmtl
from vmtl_core._random import seeded
from vmtl_core.lab import baselines
from vmtl_core.lab.datasets import MultiTaskData, schools
from vmtl_core.lab.scores import Prediction, coverage, log_score, nmse

STEPS = 200  # of Adam, where the default is fitted by it
SAMPLES = 400  # of the weights, in a prediction by the paper's model
EARLY, LATE = 300, 1000  # steps of the paper's model: the fewer, the better it scores
RESULTS, FRESH = "schools.csv", "schools_fresh.csv"
TRAINING, TEMPERATURES = "schools_training.csv", "schools_temperatures.csv"
SPLITS = 10  # of RESULTS, at which every setting was chosen; those of FRESH come after them

CLOSED_FORM: dict[str, Callable[..., Prediction]] = {
    "single": baselines.single_task_bayes,
    "pooled": baselines.pooled_bayes,
    "mixed model": partial(baselines.hierarchical_mixed, random_slopes=False),
    "hierarchical": baselines.hierarchical_gaussian,
}
"""Baselines that need no gradient steps; the mixed model has a random intercept only."""

FITTED = ("base prior alone", "not averaged", "default")
FRESH_METHODS = (*CLOSED_FORM, *FITTED)
METHODS = (*FRESH_METHODS, "paper, stopped early", "paper")


def standardised(n: int, seed: int) -> tuple[MultiTaskData, MultiTaskData]:
    """`n` pupils of every school to train on and the rest to test on, in units of the former."""
    train, test = schools().split(n, seed=seed)
    train, test = train.standardise(test)
    return train, test


def make_model(
    train: MultiTaskData, paper: bool = False, covariance: str | None = None, **options: Any
) -> vmtl.MultiTaskELBO:
    """A linear regression with an intercept for each: sources one by one, or the paper's preset.

    Args:
        train: standardised regression data.
        paper: whether to start from `MultiTaskELBO.paper`; its posteriors are diagonal.
        covariance: of `GaussianWeights`.
        options: of `MultiTaskELBO`.
    """
    make = vmtl.MultiTaskELBO.paper if paper else vmtl.MultiTaskELBO
    options = options if paper else {"sources": "own"} | options
    shape, covariance = (train.x.shape[1] + 1,), "diagonal" if paper else covariance
    return make(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(train.tasks, shape, covariance=covariance),
        task_sizes=train.task_sizes,
        **options,
    )


def fit(
    model: vmtl.MultiTaskELBO, train: MultiTaskData, seed: int = 0, **options: Any
) -> vmtl.History:
    """`vmtl.fit` as it comes; with `options` of it where the point is another way to fit."""
    return vmtl.fit(model, train.x, train.y, train.task, seed=seed, progress=False, **options)


def adam(steps: int = STEPS) -> dict[str, Any]:
    """Options of `fit`: Adam, at a rate that falls from 0.1 to 0.001, not judged."""
    rate = vmtl.cosine_decay(0.1, 0.001, steps)
    return {"method": "adam", "steps": steps, "lr": rate, "tolerance": None}


def fit_paper(
    train: MultiTaskData, stops: Sequence[int], seed: int = 0
) -> Iterator[tuple[int, vmtl.MultiTaskELBO]]:
    """The paper's model at each of `stops`; the learning rate falls from 0.03 to 0.0003 at the last."""
    model = make_model(train, paper=True, weight_samples=4, divergence_samples=2)
    history = None
    rate = vmtl.cosine_decay(0.03, 0.0003, stops[-1])
    for stop in stops:
        history = vmtl.fit(
            model,
            train.x,
            train.y,
            train.task,
            steps=stop,
            lr=rate,
            seed=seed,
            progress=False,
            resume=history,
            tolerance=None,
        )
        yield stop, model


def predict(model: vmtl.MultiTaskELBO, data: MultiTaskData) -> vmtl.Predictive:
    """Exact predictive (6.1) of every row."""
    return vmtl.predictive(model, data.x, data.task)


def predict_own(model: vmtl.MultiTaskELBO, data: MultiTaskData) -> Normal:
    """Exact predictive by the own-data posteriors: every school under the learned base prior."""
    assert model.own is not None
    q: Any = model.source_weights()
    x = torch.cat([data.x, torch.ones(len(data), 1)], 1)
    variance = torch.einsum("nd,nde,ne->n", x, q.covariance_matrix[data.task], x)
    variance = variance + (2 * model.own.likelihood.log_scale).exp()
    return Normal((x * q.mean[data.task]).sum(1).detach(), variance.sqrt().detach())


def predict_paper(model: vmtl.MultiTaskELBO, data: MultiTaskData) -> vmtl.PredictiveMixture:
    """Predictive (6.2) from draws of the weights, as the paper predicts; the same at every call."""
    with torch.no_grad(), seeded(Generator().manual_seed(0)):
        w = model.q_weights().rsample(torch.Size((SAMPLES,)))
        return vmtl.PredictiveMixture(
            model.posteriors.likelihood(data.x[None, None], w[None, :, data.task])
        )


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
        prior alone", "not averaged" and "default" come from one).
    """
    train, test = standardised(n, seed)
    rows: list[dict[str, Any]] = []

    def add(method: str, predictive: Distribution, began: float) -> None:
        head = {"n": n, "seed": seed, "method": method}
        rows.append(head | score(predictive, test.y) | {"seconds": time.perf_counter() - began})

    for method in [m for m in CLOSED_FORM if m in methods]:
        began = time.perf_counter()
        add(method, CLOSED_FORM[method](train, test).distribution(), began)
    if set(FITTED) & set(methods):
        began = time.perf_counter()
        model = make_model(train)
        fit(model, train, seed)
        found = {"base prior alone": predict_own(model, test), "default": predict(model, test)}
        model.average.clear()
        found["not averaged"] = predict(model, test)
        for method in [m for m in FITTED if m in methods]:
            add(method, found[method], began)
    for method, steps in (("paper, stopped early", EARLY), ("paper", LATE)):
        if method in methods:
            began = time.perf_counter()
            [(_, model)] = fit_paper(train, [steps], seed)
            add(method, predict_paper(model, test), began)
    return pd.DataFrame(rows)


def paper_training(
    n: int = 5,
    seed: int = 0,
    stops: Sequence[int] = (50, 100, 200, 300, 500, 700, 1000, 1500, 2000),
) -> pd.DataFrame:
    """The paper's model at some steps of its training.

    Returns:
        One row a stop: n, seed, step, posterior_sd (geometric mean over schools and weights),
        noise_sd, train_nmse, nmse, log_score, coverage.
    """
    train, test = standardised(n, seed)
    rows = []
    for stop, model in fit_paper(train, stops, seed):
        row = {
            "n": n,
            "seed": seed,
            "step": stop,
            "posterior_sd": model.q_weights().stddev.log().mean().exp().item(),
            "noise_sd": model.posteriors.likelihood.log_scale.exp().item(),
            "train_nmse": nmse(predict_paper(model, train).mean, train.y).item(),
        }
        rows.append(row | score(predict_paper(model, test), test.y))
    return pd.DataFrame(rows)


SCHEDULES: dict[str, Callable[[int], float]] = {
    "constant 5": vmtl.constant(5.0),
    "constant 1 (default)": vmtl.constant(1.0),
    "constant 0.1": vmtl.constant(0.1),
    "exponential 5 to 0.1": vmtl.exponential_decay(5.0, 0.1, STEPS),
    "cosine 1 to 0.1": vmtl.cosine_decay(1.0, 0.1, STEPS),
}
"""Schedules of the temperature, by name."""


def compare_temperatures(seed: int, n: int = 5) -> pd.DataFrame:
    """The default under every one of `SCHEDULES` by Adam, on one split.

    The closed form knows no steps: it takes the last temperature.

    Returns:
        One row a schedule: n, seed, schedule, nmse, log_score, coverage, base_share (mean
        responsibility of the base prior).
    """
    train, test = standardised(n, seed)
    rows = []
    for name, schedule in SCHEDULES.items():
        model = make_model(train, temperature=schedule)
        fit(model, train, seed, **adam())
        share = model.responsibilities()[:, -1].mean().item()
        head = {"n": n, "seed": seed, "schedule": name}
        rows.append(head | score(predict(model, test), test.y) | {"base_share": share})
    return pd.DataFrame(rows)


def results(name: str = RESULTS) -> pd.DataFrame:
    """A table that `benchmarks/schools.py` stored."""
    return pd.read_csv(str(files("vmtl_core.lab") / "data" / "results" / name))
