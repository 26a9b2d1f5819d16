"""Ways to learn the tastes of 235 travellers, scored on held-out choices: the experiment of chapter 9."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

import vmtl_core as vmtl
from vmtl_core.lab.baselines import pooled_logistic
from vmtl_core.lab.baselines.mixed_logit import first_negative, mixed_logit
from vmtl_core.lab.datasets import MultiTaskData, Scaling, rail_choices
from vmtl_core.lab.scores import ClassPrediction, accuracy, expected_calibration_error, log_score

STEPS, SAMPLES = 500, 400
EARLY, LATE = 100, 300  # steps of the paper's model: the fewer, the better it scores
RMS = 3.0  # of a scaled input: a weight of 1 then moves the log odds of a usual choice by 3
RESULTS = "rail.csv"
MINUTES = 60  # in an hour

BASELINES: dict[str, Callable[..., ClassPrediction]] = {
    "single": partial(mixed_logit, learn_mean=False, isotropic=True),
    "pooled": partial(pooled_logistic, intercept=False),
    "mixed logit": mixed_logit,
    "mixed logit, correlated": partial(mixed_logit, correlated=True),
    "mixed logit, log-normal price": partial(mixed_logit, negative_first=True),
}
"""Without gradient steps on an ELBO; all but "pooled" by simulation, exact but for its draws."""


def log_normal_price(z: Tensor, w: Tensor) -> Distribution:
    """Logistic regression whose first weight is -exp(w_0): nobody likes to pay more. See (9.9)."""
    return vmtl.LinearBernoulli()(z, first_negative(w))


def own_logistic(z: Tensor, w: Tensor) -> Distribution:
    """Logistic regression as a function of the reader's, of which the library knows nothing.

    Such a model is fitted by Adam from samples, with hyperpriors in the units of `z`.
    """
    return vmtl.LinearBernoulli()(z, w)


LIKELIHOODS: dict[str, Callable[[Tensor, Tensor], Distribution]] = {
    "normal": vmtl.LinearBernoulli(),
    "normal, by Adam": own_logistic,
    "log-normal": log_normal_price,
}
"""By the law of the price weight in the population, and by the way it is fitted."""

FITS: dict[str, dict[str, Any]] = {
    "diagonal": {"covariance": "diagonal", "price": "normal, by Adam"},
    "default": {},
    "by Adam, small inputs": {"price": "normal, by Adam", "rms": 1.0},
    "by Adam": {"price": "normal, by Adam"},
    "log-normal price": {"price": "log-normal"},
}
"""`MultiTaskELBO` with all its defaults but sources one by one; see `make_model` and `scaled` for the options."""

PARTS = {
    "default": ("default at one point", "base prior alone"),
    "by Adam": ("base prior alone, by Adam",),
    "log-normal price": ("log-normal base prior alone",),
}
"""What else a fit gives: without the average over hyperparameters; own-data posteriors."""

METHODS = (
    *BASELINES,
    "base prior alone",
    "diagonal",
    "default at one point",
    "default",
    "by Adam, small inputs",
    "base prior alone, by Adam",
    "by Adam",
    "log-normal price",
    "log-normal base prior alone",
    "paper, stopped early",
    "paper",
)


def scaled(n: int, seed: int, rms: float = RMS) -> tuple[MultiTaskData, MultiTaskData]:
    """`n` choices of every traveller to train on and the rest to test on, inputs scaled only.

    Inputs are differences between two journeys; shifting them would break the symmetry between the
    two. Their root mean square over the training choices becomes `rms`.
    """
    train, test = rail_choices().split(n, seed=seed)
    unit = train.x.square().mean(0).sqrt() / rms
    zero, one = unit.new_zeros(()), unit.new_ones(())
    scaling = Scaling(torch.zeros_like(unit), unit, zero, one)
    first, second = (replace(d, x=scaling.scale_x(d.x), scaling=scaling) for d in (train, test))
    return first, second


def make_model(
    train: MultiTaskData,
    covariance: str | None = None,
    price: str = "normal",
    **options: Any,
) -> vmtl.MultiTaskELBO:
    """A logistic regression for every traveller, without intercept.

    Args:
        train: scaled choices.
        covariance: of `GaussianWeights`.
        price: law of the price weight, a key of `LIKELIHOODS`.
        options: of `MultiTaskELBO`.
    """
    size = train.x.shape[1]
    weights = vmtl.GaussianWeights(train.tasks, (size,), covariance=covariance)
    return vmtl.MultiTaskELBO(
        LIKELIHOODS[price], weights, task_sizes=train.task_sizes, **({"sources": "own"} | options)
    )


def fit(
    model: vmtl.MultiTaskELBO, train: MultiTaskData, steps: int = STEPS, seed: int = 0
) -> vmtl.History:
    """The library's `fit` as it comes; models that need Adam at a rate that falls from 0.1 to 0.001.

    Args:
        model: of `make_model`.
        train: scaled choices.
        steps: of Adam, too few for its bound to settle to 1e-5.
        seed: of everything random.
    """
    weights, likelihood = model.posteriors.weights, model.posteriors.likelihood
    assert isinstance(weights, vmtl.GaussianWeights)
    exact = isinstance(likelihood, vmtl.LinearBernoulli) and weights.below is not None
    by_adam = {"steps": steps, "lr": vmtl.cosine_decay(0.1, 0.001, steps), "tolerance": None}
    return vmtl.fit(
        model,
        train.x,
        train.y,
        train.task,
        seed=seed,
        progress=False,
        **({} if exact else by_adam),  # type: ignore[arg-type]
    )


def likelihood_draws(
    model: vmtl.MultiTaskELBO, data: MultiTaskData, own: bool = False, samples: int = SAMPLES
) -> Distribution:
    """p(y|x, w) of every row for draws w_t ~ q(w|D_t), batch shape (1, M, N).

    Draw m of a traveller is the same for all rows of theirs.

    Args:
        model: of `make_model`, fitted.
        data: scaled choices.
        own: use the posteriors fitted to each traveller's own choices under the learned base prior.
        samples: M.
    """
    bundle = model.own if own else model.posteriors
    assert bundle is not None, "only sources='own' has a second set of posteriors"
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        w = bundle.q_weights().rsample(torch.Size((samples,)))
        return bundle.likelihood(data.x[None, None], w[None, :, data.task])


def predict(
    model: vmtl.MultiTaskELBO, data: MultiTaskData, own: bool = False, samples: int = SAMPLES
) -> vmtl.Predictive:
    """Predictive of every row: the library's where it is exact, else (6.2); see `likelihood_draws`."""
    exact = isinstance(model.posteriors.likelihood, vmtl.LinearBernoulli)
    if exact and not own:
        return vmtl.predictive(model, data.x, data.task)
    return vmtl.PredictiveMixture(likelihood_draws(model, data, own, samples))


def replicate(model: vmtl.MultiTaskELBO, data: MultiTaskData, samples: int = SAMPLES) -> Tensor:
    """Labels drawn anew, one set of weights for all choices of a traveller, ``(samples, N)``."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return likelihood_draws(model, data, samples=samples).sample()[0]


def score(predictive: Distribution, y: Tensor) -> dict[str, float]:
    """Accuracy, mean log probability (nats a choice) and calibration error (6.7)."""
    probs: Tensor = predictive.probs  # type: ignore[attr-defined]
    return {
        "accuracy": accuracy(probs, y).item(),
        "log_score": log_score(predictive, y).item(),
        "calibration": expected_calibration_error(probs, y).item(),
    }


def compare(n: int, seed: int, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """Train on `n` choices of every traveller and score on the rest.

    Args:
        n: training choices a traveller.
        seed: of the split and of the fits.
        methods: which of `METHODS`.

    Returns:
        One row a method: n, seed, method, accuracy, log_score, calibration, seconds.
    """
    rows: list[dict[str, Any]] = []

    def add(method: str, predictive: Distribution, y: Tensor, began: float) -> None:
        head = {"n": n, "seed": seed, "method": method}
        rows.append(head | score(predictive, y) | {"seconds": time.process_time() - began})

    train, test = scaled(n, seed)
    unit = scaled(n, seed, rms=1.0)  # pooled_logistic has a penalty, which depends on the scale
    for method in [m for m in BASELINES if m in methods]:
        began = time.process_time()
        probs = BASELINES[method](*unit).probs[:, 1].clamp(1e-6, 1 - 1e-6)
        add(method, Bernoulli(probs=probs), test.y, began)
    for method, options in FITS.items():
        wanted = set(methods) & {method, *PARTS.get(method, ())}
        if wanted:
            chosen = dict(options)
            began = time.process_time()
            seen, new = scaled(n, seed, chosen.pop("rms", RMS))
            model = make_model(seen, **chosen)
            fit(model, seen, seed=seed)
            for name in sorted(wanted - {"default at one point"}):
                add(name, _predict(model, new, name), new.y, began)
            if "default at one point" in wanted:
                model.average.clear()
                add("default at one point", predict(model, new), new.y, began)
    if {"paper", "paper, stopped early"} & set(methods):
        began, history = time.process_time(), None
        model = make_paper(train)
        for method, stop in (("paper, stopped early", EARLY), ("paper", LATE)):
            history = fit_paper(model, train, stop, seed, history)
            if method in methods:
                drawn = vmtl.PredictiveMixture(likelihood_draws(model, test))
                add(method, drawn, test.y, began)
    return pd.DataFrame(rows)


def _predict(model: vmtl.MultiTaskELBO, data: MultiTaskData, method: str) -> Distribution:
    """By the posteriors, or by the own-data ones where the population is alone."""
    own = "alone" in method
    exact = isinstance(model.posteriors.likelihood, vmtl.LinearBernoulli)
    return predict(model, data, own, 10 * SAMPLES if own and exact else SAMPLES)


def make_paper(train: MultiTaskData) -> vmtl.MultiTaskELBO:
    """The paper's preset for the same logistic regressions."""
    weights = vmtl.GaussianWeights(train.tasks, (train.x.shape[1],), covariance="diagonal")
    return vmtl.MultiTaskELBO.paper(
        vmtl.LinearBernoulli(),
        weights,
        task_sizes=train.task_sizes,
        weight_samples=4,
        divergence_samples=2,
    )


def fit_paper(
    model: vmtl.MultiTaskELBO,
    train: MultiTaskData,
    stop: int,
    seed: int = 0,
    resume: vmtl.History | None = None,
) -> vmtl.History:
    """The paper's model up to step `stop`, at a constant learning rate of 0.03."""
    return vmtl.fit(
        model,
        train.x,
        train.y,
        train.task,
        steps=stop,
        lr=0.03,
        seed=seed,
        progress=False,
        resume=resume,
    )


def willingness_to_pay(w: Tensor, scaling: Scaling) -> Tensor:
    r"""Guilders that a traveller would pay for an hour less, a change less, a class better.

    Equation (9.5), with c_d the unit by which input d was divided:

    $$ V_d = \frac{w_d / c_d}{w_{\mathrm{price}} / c_{\mathrm{price}}} $$

    and 60 times that for time, which is in minutes.

    Args:
        w: weights of the scaled inputs price, time, changes, comfort, ``(..., 4)``.
        scaling: how the inputs were scaled.

    Returns:
        ``(..., 3)``: time, changes, comfort.
    """
    original = w / scaling.x_sd.to(w)
    ratio = original[..., 1:] / original[..., :1]
    return ratio * ratio.new_tensor([MINUTES, 1.0, 1.0])


def log_normal_mean(loc: Tensor, covariance: Tensor) -> Tensor:
    r"""Mean of -b exp(-u) for every other weight b, where (u, b, ...) is Gaussian.

    Equation (9.11): $\mathbb{E}[-b\, e^{-u}] = -(\mu_b - c_{ub})\, e^{-\mu_u + c_{uu}/2}$.

    Args:
        loc: means of (u, b_1, ...), ``(..., D)``.
        covariance: ``(..., D, D)``.

    Returns:
        ``(..., D - 1)``, in scaled units.
    """
    factor = (-loc[..., :1] + covariance[..., 0, :1] / 2).exp()
    return -(loc[..., 1:] - covariance[..., 0, 1:]) * factor


def trades(data: MultiTaskData) -> Tensor:
    """Rows whose cheaper journey takes longer, ``(N,)`` bool."""
    return data.x[:, 0] * data.x[:, 1] < 0


def took_cheaper(data: MultiTaskData, y: Tensor) -> Tensor:
    """Whether the cheaper journey was chosen, for labels ``(..., N)``."""
    return (y > 0.5) == (data.x[:, 0] < 0)


def never_paid(data: MultiTaskData, y: Tensor) -> Tensor:
    """Number of travellers who took the cheaper journey in all their `trades`, at least three.

    Args:
        data: choices.
        y: labels to count in, ``(..., N)``: those of the data, or replicated ones.

    Returns:
        ``(...)``.
    """
    rows = trades(data)
    task = data.task[rows]
    paid = (~took_cheaper(data, y)[..., rows]).to(data.x)
    times = paid.new_zeros((*y.shape[:-1], data.tasks)).index_add(-1, task, paid)
    enough = torch.bincount(task, minlength=data.tasks) >= 3
    return ((times == 0) & enough).sum(-1)


def bids(data: MultiTaskData, probs: Mapping[str, Tensor], groups: int = 5) -> pd.DataFrame:
    """Who paid for time, in groups of `trades` by what was asked: guilders for an hour less.

    Args:
        data: scaled choices.
        probs: model -> its probability of label 1, ``(N,)``.
        groups: of equal size.

    Returns:
        One row a group: price (geometric mean), paid (share that took the dearer journey), low and
        high (95% interval of a share), and the predicted share of every model.
    """
    rows = trades(data)
    assert data.scaling is not None
    price, minutes = (data.x * data.scaling.x_sd)[rows, :2].abs().T
    table = pd.DataFrame(
        {
            "price": (MINUTES * price / minutes).log().numpy(),
            "paid": (~took_cheaper(data, data.y)[rows]).double().numpy(),
        }
    )
    first_cheaper = data.x[rows, 0] < 0
    for name, one in probs.items():
        table[name] = torch.where(first_cheaper, 1 - one[rows], one[rows]).numpy()
    parts = table.groupby(pd.qcut(table["price"], groups), observed=True)
    shares = parts.mean().reset_index(drop=True)
    half = 1.96 * (shares["paid"] * (1 - shares["paid"]) / parts.size().to_numpy()) ** 0.5
    shares["low"], shares["high"] = shares["paid"] - half, shares["paid"] + half
    shares["price"] = np.exp(shares["price"])
    return shares


def results(name: str = RESULTS) -> pd.DataFrame:
    """A table that `benchmarks/rail.py` stored."""
    return pd.read_csv(str(files("vmtl_core.lab") / "data" / "results" / name))
