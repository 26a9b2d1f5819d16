"""Ways to learn the linked tasks, scored on held-out points: the experiment of chapter 7."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, Normal

import vmtl_core as vmtl
from vmtl_core.lab.baselines import pooled_logistic
from vmtl_core.lab.datasets import MultiTaskData, linked_tasks

METHODS = (
    "single",
    "single, wide prior",
    "pooled",
    "paper",
    "default",
    "default, wide base",
    "link known",
)
WIDE = 2.0
RESULTS = "linked_tasks.csv"


def fit_model(
    train: MultiTaskData, paper: bool = False, steps: int = 400, seed: int = 0, **options: Any
) -> tuple[vmtl.MultiTaskELBO, vmtl.History]:
    """A multi-task logistic regression, fitted: sources one by one, or the paper's preset.

    Args:
        train: classification data with labels 0 and 1.
        paper: whether to start from `MultiTaskELBO.paper`, with diagonal posteriors as there.
        steps: of the paper's preset by Adam, whose rate falls from 0.1 to 0.002 along a cosine.
        seed: of everything random.
        options: of `MultiTaskELBO`.
    """
    make = vmtl.MultiTaskELBO.paper if paper else vmtl.MultiTaskELBO
    options = options if paper else {"sources": "own"} | options
    weights = vmtl.GaussianWeights(
        train.tasks, (train.x.shape[1],), covariance="diagonal" if paper else None
    )
    model = make(vmtl.LinearBernoulli(), weights, task_sizes=train.task_sizes, **options)
    by_adam = {"steps": steps, "lr": vmtl.cosine_decay(0.1, 0.002, steps), "tolerance": None}
    history = vmtl.fit(
        model,
        train.x,
        train.y,
        train.task,
        seed=seed,
        progress=False,
        **(by_adam if paper else {}),  # type: ignore[arg-type]
    )
    return model, history


def predict_with(
    q: Distribution, x: Tensor, task: Tensor, samples: int = 1000, seed: int = 0
) -> vmtl.PredictiveMixture:
    """Predictive of a logistic regression under any posterior q(w_t): (6.2) with z = x.

    Args:
        q: the weights of every task, batch shape (T,), event shape (D,).
        x, task: shapes (N, D) and (N,).
        samples: M.
        seed: of the samples.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        w = q.sample(torch.Size((samples,)))
    logits = (w[:, task] * x).sum(-1)
    return vmtl.PredictiveMixture(Bernoulli(logits=logits[None]))


def wide_prior(sd: float = WIDE) -> Distribution:
    """N(0, sd^2 I); with sd 2 as wide as the true weights, of length 3 in the plane, need."""
    return Independent(Normal(torch.zeros(2), torch.full((2,), sd)), 1)


def compare(n: int, seed: int, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """Train on `n` points of every linked task and score on the rest.

    Single-task fits are the own-data posteriors of a model whose base prior is fixed, so that they
    come with the multi-task fit under the same base prior.

    Args:
        n: training points per task, of 600.
        seed: of the data, of the split and of the fits.
        methods: which of `METHODS`.

    Returns:
        One row for each method and task: n, seed, method, task, accuracy, log_score (mean log
        probability of the held-out labels, nats).
    """
    train, test = linked_tasks(seed=seed).split(n, seed=seed)
    rows: list[dict[str, Any]] = []
    for method in methods:
        probability = _predict(method, train, test, seed)
        score = Bernoulli(probs=probability).log_prob(test.y)
        right = ((probability > 0.5) == (test.y > 0.5)).to(score.dtype)
        for t in range(test.tasks):
            own = test.task == t
            means = {"accuracy": right[own].mean().item(), "log_score": score[own].mean().item()}
            rows.append({"n": n, "seed": seed, "method": method, "task": t} | means)
    return pd.DataFrame(rows)


def results() -> pd.DataFrame:
    """The table that `benchmarks/linked_tasks.py` stored: `compare` for many seeds."""
    return pd.read_csv(str(files("vmtl_core.lab") / "data" / "results" / RESULTS))


def _predict(method: str, train: MultiTaskData, test: MultiTaskData, seed: int) -> Tensor:
    """Probability of label 1 for every test row, (N,)."""
    if method == "pooled":
        return pooled_logistic(train, test, intercept=False).probs[:, 1]
    if method == "link known":
        model, _ = fit_model(_merged(train), seed=seed, base_prior=wide_prior())
        return predict_with(model.source_weights(), test.x, _merged(test).task).mean
    if method.startswith("single"):
        base = wide_prior() if "wide" in method else wide_prior(1.0)
        model, _ = fit_model(train, seed=seed, base_prior=base)
        return predict_with(model.source_weights(), test.x, test.task).mean
    options: dict[str, Any] = {"base_prior": wide_prior()} if "wide" in method else {}
    model, _ = fit_model(train, paper=method == "paper", seed=seed, **options)
    return vmtl.predictive(model, test.x, test.task).mean


def _merged(data: MultiTaskData) -> MultiTaskData:
    """Tasks 0 and 1 as one."""
    group = torch.tensor([0, 0, 1])[data.task]
    return replace(data, task=group, task_names=("linked", "alone"), truth=None)
