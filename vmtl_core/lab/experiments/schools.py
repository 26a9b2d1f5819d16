"""Ways to learn the 131 schools, scored on held-out pupils: the experiment of chapter 8."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

import pandas as pd
from torch import Generator, Tensor
from torch.distributions import Distribution

import vmtl_core as vmtl
from vmtl_core.lab import baselines
from vmtl_core.lab.datasets import MultiTaskData, schools
from vmtl_core.lab.scores import Prediction, coverage, log_score, nmse, own_predictive

STEPS, SAMPLES = 2000, 400
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

FRESH_METHODS = (*CLOSED_FORM, "base prior alone", "default")
METHODS = (*FRESH_METHODS, "paper, stopped early", "paper")


def standardised(n: int, seed: int) -> tuple[MultiTaskData, MultiTaskData]:
    """`n` pupils of every school to train on and the rest to test on, in units of the former."""
    train, test = schools().split(n, seed=seed)
    train, test = train.standardise(test)
    return train, test


def make_model(
    train: MultiTaskData, paper: bool = False, covariance: str | None = None, **options: Any
) -> vmtl.MultiTaskELBO:
    """A linear regression with an intercept for each: the default, or the paper's preset.

    Args:
        train: standardised regression data.
        paper: whether to start from `MultiTaskELBO.paper`; its posteriors are diagonal.
        covariance: of `GaussianWeights`.
        options: of `MultiTaskELBO`.
    """
    make = vmtl.MultiTaskELBO.paper if paper else vmtl.MultiTaskELBO
    shape, covariance = (train.x.shape[1] + 1,), "diagonal" if paper else covariance
    return make(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(train.tasks, shape, covariance=covariance),
        task_sizes=train.task_sizes,
        **options,
    )


def fit(
    model: vmtl.MultiTaskELBO,
    train: MultiTaskData,
    steps: int = STEPS,
    lr: float = 0.1,
    seed: int = 0,
    batch_size: int | None = None,
) -> vmtl.History:
    """Fit with a learning rate that falls from `lr` to `lr` / 100 along a cosine."""
    rate = vmtl.cosine_decay(lr, lr / 100, steps)
    return vmtl.fit(
        model, train.x, train.y, train.task, steps, rate, batch_size, seed, progress=False
    )


def fit_paper(
    train: MultiTaskData, stops: Sequence[int], seed: int = 0
) -> Iterator[tuple[int, vmtl.MultiTaskELBO]]:
    """The paper's model at each of `stops`; the learning rate falls from 0.03 to 0.0003 at the last.

    A third of the rate of the default, which does worse here.
    """
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
        )
        yield stop, model


def predict(
    model: vmtl.MultiTaskELBO, data: MultiTaskData, own: bool = False, samples: int = SAMPLES
) -> vmtl.PredictiveMixture:
    """Predictive (6.2) of every row, from the model's posteriors or from its own-data ones.

    Args:
        model: of `make_model`, fitted.
        data: rows to predict, standardised.
        own: use the posteriors that were fitted to each school's own data under the learned base
            prior, with the noise scale that belongs to them.
        samples: M.
    """
    if own:
        return own_predictive(model, data, samples)
    found = vmtl.predictive(model, data.x, data.task, samples, generator=Generator().manual_seed(0))
    assert isinstance(found, vmtl.PredictiveMixture)
    return found


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
        model = make_model(train)
        fit(model, train, seed=seed)
        for method, own in (("base prior alone", True), ("default", False)):
            if method in methods:
                add(method, predict(model, test, own), began)
    for method, steps in (("paper, stopped early", EARLY), ("paper", LATE)):
        if method in methods:
            began = time.perf_counter()
            [(_, model)] = fit_paper(train, [steps], seed)
            add(method, predict(model, test), began)
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
            "train_nmse": nmse(predict(model, train).mean, train.y).item(),
        }
        rows.append(row | score(predict(model, test), test.y))
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
    """The default under every one of `SCHEDULES`, on one split.

    Returns:
        One row a schedule: n, seed, schedule, nmse, log_score, coverage, base_share (mean
        responsibility of the base prior).
    """
    train, test = standardised(n, seed)
    rows = []
    for name, schedule in SCHEDULES.items():
        model = make_model(train, temperature=schedule)
        fit(model, train, seed=seed)
        share = model.responsibilities()[:, -1].mean().item()
        head = {"n": n, "seed": seed, "schedule": name}
        rows.append(head | score(predict(model, test), test.y) | {"base_share": share})
    return pd.DataFrame(rows)


def results(name: str = RESULTS) -> pd.DataFrame:
    """A table that `benchmarks/schools.py` stored."""
    return pd.read_csv(str(files("vmtl_core.lab") / "data" / "results" / name))
