"""Every bad input gets a ValueError that names the argument, what was expected and what came.

One table for the whole public surface: a name, a call, and regular expressions that the message
must match, all of them.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gamma,
    Independent,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    Poisson,
    TransformedDistribution,
)
from torch.distributions.transforms import AffineTransform

import vmtl_core as vmtl

NAN, INF = math.nan, math.inf
X = torch.arange(12.0).reshape(6, 2) / 10
Y = torch.tensor([0.0, 1, 0, 1, 0, 1])
TASK = torch.tensor([0, 0, 0, 1, 1, 1])
PAIR = Independent(Normal(torch.zeros(2, 2), 1.0), 1)
HALF = torch.tensor([0.5, 0.5]).log()
EMPTY = Normal(torch.zeros(0), 1.0)


class Free(nn.Module):
    """A module that gives whatever it was told to."""

    def __init__(self, make: Callable[..., Any]):
        super().__init__()
        self.make, self.scale = make, nn.Parameter(torch.ones(()))

    def forward(self, *args: Any) -> Any:
        return self.make(*args)


def model(**options: Any) -> vmtl.MultiTaskELBO:
    """Two logistic regressions on two inputs; `options` replace what they name."""
    defaults: dict[str, Any] = {
        "likelihood": vmtl.LinearBernoulli(),
        "weights": vmtl.GaussianWeights(2, (2,)),
        "task_sizes": [3, 3],
    }
    return vmtl.MultiTaskELBO(**({"sources": "own"} | defaults | options))


def run(x: Any = X, y: Any = Y, task: Any = TASK, **options: Any) -> vmtl.ELBOTerms:
    """The model's objective on a table."""
    return model(**options)(x, y, task)


def fit(x: Any = X, y: Any = Y, task: Any = TASK, **options: Any) -> vmtl.History:
    """Two sweeps in closed form, or two steps of Adam, not judged."""
    defaults = {"steps": 2, "progress": False, "tolerance": None}
    return vmtl.fit(model(), x, y, task, **(defaults | options))


def adam(**options: Any) -> vmtl.History:
    return fit(**({"method": "adam"} | options))


def predict(x: Any = X, task: Any = TASK, **options: Any) -> vmtl.PredictiveMixture:
    """The predictive of an untrained model."""
    found = vmtl.predictive(model(), x, task, **options)
    assert isinstance(found, vmtl.PredictiveMixture)
    return found


def regressions() -> Distribution:
    """A predictive of different likelihoods for different rows."""
    kinds = [vmtl.LinearGaussian(), vmtl.LinearBernoulli()]
    return vmtl.predictive(model(likelihood=kinds), X, TASK)


def numbers() -> Any:
    """A predictive of numbers."""
    return vmtl.predictive(model(likelihood=vmtl.LinearGaussian()), X, TASK)


def classes(w: tuple[int, ...] = (2, 3), y: Tensor = Y) -> vmtl.ELBOTerms:
    """Three classes."""
    return run(likelihood=vmtl.LinearCategorical(), weights=vmtl.GaussianWeights(2, w), y=y)


def sampled(q: Distribution) -> Tensor:
    """A KL that must be sampled, with gradient."""
    return vmtl.kl_to_mixture(q, PAIR.base_dist, HALF, "monte_carlo")


def encoder(**options: Any) -> vmtl.GaussianEncoder:
    return vmtl.GaussianEncoder(**({"tasks": 2, "in_features": 2, "latent_features": 2} | options))


def amortised(x: Any = X, y: Any = Y, task: Any = TASK, **options: Any) -> vmtl.AmortizedWeights:
    return vmtl.AmortizedWeights(x, y, task, **({"latent_features": 2} | options))


def with_value(tensor: Tensor, value: float) -> Tensor:
    """The tensor with its fourth row spoilt."""
    spoilt = tensor.clone()
    spoilt[3] = value
    return spoilt


def learned_poisson() -> Poisson:
    return Poisson(torch.ones(2, requires_grad=True))


def normals(count: int, *shape: int) -> list[Distribution]:
    return [Independent(Normal(torch.zeros(shape or (2,)), 1.0), 1) for _ in range(count)]


def shift(*shape: int) -> AffineTransform:
    """A transform with a tensor inside, which no constructor of a Distribution shows."""
    return AffineTransform(torch.zeros(shape), 1.0)


Row = tuple[str, Callable[[], Any], list[str]]

TASKS: list[Row] = [
    ("one task", lambda: model(task_sizes=[3]), ["`task_sizes`", "at least two", r"\[3\]"]),
    ("no task", lambda: model(task_sizes=[]), ["`task_sizes`", "at least two", r"\[\]"]),
    ("empty task", lambda: model(task_sizes=[3, 0]), [r"`task_sizes\[1\]`", ">= 1", "got 0"]),
    ("parts no list", lambda: vmtl.Concatenated(X), ["`parts`", "list", "Tensor"]),  # type: ignore[arg-type]
    (
        "parts of no rows",
        lambda: vmtl.Concatenated([Normal(torch.zeros(0), 1.0)]),
        ["`parts`", "at least one number", r"\(0,\)"],
    ),
    (
        "columns of no rows",
        lambda: vmtl.GaussianColumns(torch.zeros(0, 2, 1), torch.zeros(0, 1, 2, 2)),
        ["`loc`", "at least one number", r"\(0, 2, 1\)"],
    ),
    (
        "a sampled kl of none",
        lambda: vmtl.kl_monte_carlo(EMPTY, EMPTY, 2),
        ["`q`", "at least one", r"\(0,\)"],
    ),
    (
        "sources of another shape",
        lambda: vmtl.WeightsPrior(2, (3,))(PAIR, 1.0),
        ["`sources`", r"\(3,\)", r"got \(2,\)"],
    ),
    ("a step of NaN", lambda: vmtl.linear_decay(1, 0.1, 9)(NAN), ["`step`", "NaN"]),  # type: ignore[arg-type]
    (
        "a history of another type",
        lambda: vmtl.History().load_state_dict(vmtl.History().state_dict() | {"step": "3"}),
        ["`state`", r"\['step'\]"],
    ),
    (
        "a history of a list",
        lambda: vmtl.History().load_state_dict([]),  # type: ignore[arg-type]
        ["`state`", "dict", "list"],
    ),
    ("batches below T", lambda: vmtl.StratifiedBatches(TASK, 1), ["`batch_size`", "tasks, 2", "1"]),
    ("batches of no rows", lambda: vmtl.StratifiedBatches(TASK[:0], 2), ["`task`", "got none"]),
    ("batches of floats", lambda: vmtl.StratifiedBatches(X, 2), ["`task`", "integer", "float32"]),
    ("batches of a list", lambda: vmtl.StratifiedBatches([0, 1], 2), ["`task`", "tensor", "list"]),  # type: ignore[arg-type]
    ("batches below 0", lambda: vmtl.StratifiedBatches(TASK - 1, 2), ["`task`", "ids 0", "-1"]),
    ("batches with a gap", lambda: vmtl.StratifiedBatches(TASK * 2, 3), ["`task`", r"ids \[1\]"]),
    ("batches beyond", lambda: vmtl.StratifiedBatches(TASK + 9, 3), ["`task`", r"0\.\.\.10", "6"]),
    ("half a row", lambda: model(task_sizes=[3, 1.5]), [r"`task_sizes\[1\]`", "integer", "1.5"]),
    ("sizes as a number", lambda: model(task_sizes=3), ["`task_sizes`", "tuple", "got 3"]),
    ("sizes as text", lambda: model(task_sizes="33"), ["`task_sizes`", "tuple", "'33'"]),
    (
        "sizes as a matrix",
        lambda: model(task_sizes=torch.ones(2, 2).long()),
        [r"`task_sizes\[0\]`", "integer", r"\[1, 1\]"],
    ),
    ("one weight", lambda: vmtl.GaussianWeights(1, (2,)), ["`tasks`", ">= 2", "got 1"]),
    ("one encoder", lambda: encoder(tasks=1), ["`tasks`", ">= 2", "got 1"]),
    ("one receiver", lambda: vmtl.GumbelSoftmaxMixing(1), ["`tasks`", ">= 2", "got 1"]),
    ("tasks as a float", lambda: vmtl.GumbelSoftmaxMixing(2.0), ["`tasks`", "integer", "2.0"]),  # type: ignore[arg-type]
    ("id too large", lambda: run(task=TASK + 1), ["`task`", r"0\.\.\.1", r"\[2\]"]),
    ("id below zero", lambda: run(task=TASK - 1), ["`task`", r"0\.\.\.1", r"\[-1\]"]),
    ("id out of range in fit", lambda: fit(task=TASK + 1), ["`task`", r"0\.\.\.1", r"\[2\]"]),
    (
        "negative id in predict",
        lambda: predict(task=TASK - 1),
        ["`task`", r"0\.\.\.1", "unseen", r"\[-1\]"],
    ),
    (
        "unseen task, encoders",
        lambda: vmtl.predictive(model(latents=encoder()), X, TASK + 5),
        ["`task`", "latents", "no encoder", r"\[5, 6\]"],
    ),
    (
        "no task, encoders",
        lambda: vmtl.predictive(model(latents=encoder()), X),
        ["`task`", "latents", r"\[2\]"],
    ),
    (
        "unseen task of several kinds",
        lambda: vmtl.predictive(
            model(likelihood=[vmtl.LinearGaussian(), vmtl.LinearBernoulli()]), X, TASK + 2
        ),
        ["`task`", "`likelihood`", "LinearBernoulli"],
    ),
    ("no rows and no task", lambda: vmtl.predictive(model(), X[:0]), ["`task`", "got none"]),
    ("a list and no task", lambda: vmtl.predictive(model(), [1.0]), ["`x`", "tensor", "list"]),  # type: ignore[arg-type]
    (
        "task without example",
        lambda: vmtl.fit(model(), X[:3], Y[:3], TASK[:3]),
        ["`task`", r"every id 0\.\.\.1", r"ids \[1\] have no example"],
    ),
    (
        "rows beyond the sizes",
        lambda: run(X.repeat(2, 1), Y.repeat(2), TASK.repeat(2)),
        ["`task`", "no more rows", r"\[0, 1\]", r"\[6, 6\]", r"\[3, 3\]"],
    ),
    (
        "sizes of another table",
        lambda: vmtl.fit(model(task_sizes=[3, 4]), X, Y, TASK, progress=False),
        ["`task`", "`task_sizes`", r"tasks \[1\]", r"\[3\]", r"\[4\]"],
    ),
]

TABLES: list[Row] = [
    ("x as a list", lambda: run(x=X.tolist()), ["`x`", "tensor", "list"]),
    ("y as an array", lambda: run(y=Y.numpy()), ["`y`", "tensor", "ndarray"]),
    ("task as a list", lambda: run(task=[0, 1]), ["`task`", "tensor", "list"]),
    ("task of floats", lambda: run(task=TASK.float()), ["`task`", "integer", "float32"]),
    ("task of booleans", lambda: run(task=TASK > 0), ["`task`", "integer", "bool"]),
    ("task as a column", lambda: run(task=TASK[:, None]), ["`task`", "one-dim", r"\(6, 1\)"]),
    ("complex x", lambda: run(x=X * 1j), ["`x`", "real", "complex64"]),
    ("complex y", lambda: run(y=Y * 1j), ["`y`", "real", "complex64"]),
    ("complex task", lambda: run(task=TASK * 1j), ["`task`", "integer", "complex64"]),
    ("x too short", lambda: run(x=X[:5]), ["`x`", "6 entries of `task`", r"\(5, 2\)"]),
    ("y too long", lambda: run(y=Y.repeat(2)), ["`y`", "6 entries of `task`", r"\(12,\)"]),
    ("x a scalar", lambda: run(x=X[0, 0]), ["`x`", "one row", r"\(\)"]),
    ("no rows", lambda: run(X[:0], Y[:0], TASK[:0]), ["`task`", "at least one", "none"]),
    ("no rows in predict", lambda: predict(X[:0], TASK[:0]), ["`task`", "at least one", "none"]),
    ("y as a column", lambda: run(y=Y[:, None]), ["`y`", r"\(N,\) \+ \(\)", r"\(6, 1\)"]),
    ("y as a column in fit", lambda: fit(y=Y[:, None]), ["`y`", r"\(N,\) \+ \(\)", r"\(6, 1\)"]),
    (
        "too few columns of y",
        lambda: run(likelihood=vmtl.LinearGaussian(), weights=vmtl.GaussianWeights(2, (2, 3))),
        ["`y`", r"\(N,\) \+ \(3,\)", r"\(6,\)"],
    ),
    ("too many inputs", lambda: run(x=X.repeat(1, 2)), ["`weights`", "4 rows", "or 5", "got 2"]),
    (
        "other inputs in predict",
        lambda: predict(x=X.repeat(1, 3)),
        ["`weights`", "6 rows", "got 2"],
    ),
    ("images", lambda: run(x=X[:, :, None]), [r"`x`", r"shape \(N, D\)", r"\(2, 1\)"]),
    (
        "images and classes",
        lambda: run(
            x=X[:, :, None],
            likelihood=vmtl.LinearCategorical(),
            weights=vmtl.GaussianWeights(2, (2, 3)),
        ),
        [r"`x`", r"shape \(N, D\)", r"\(2, 1\)"],
    ),
    (
        "counts and classes",
        lambda: vmtl.predictive(
            model(likelihood=vmtl.LinearPoisson(), weights=vmtl.GaussianWeights(2, (2, 3))), X, TASK
        ),
        ["`weights`", r"\(D,\)", "LinearPoisson", r"\(2, 3\)"],
    ),
    (
        "inputs of another width in predict",
        lambda: predict(x=torch.ones(6, 5)),
        ["`weights`", "5 rows", "got 2"],
    ),
    (
        "images for regression",
        lambda: run(
            x=X[:, :, None],
            likelihood=vmtl.LinearGaussian(),
            weights=vmtl.GaussianWeights(2, (2, 3)),
        ),
        [r"`x`", r"shape \(N, D\)", r"\(2, 1\)"],
    ),
    (
        "encoder of other inputs",
        lambda: run(latents=encoder(in_features=3)),
        ["`x`", "3 numbers", r"\(6, 2\)"],
    ),
    (
        "encoder for other weights",
        lambda: run(latents=encoder(latent_features=5)),
        ["`weights`", "5 rows", "`z`", "got 2"],
    ),
    ("NaN in x", lambda: run(x=with_value(X, NAN)), ["`x`", "finite", "row 3 with nan"]),
    ("infinity in x", lambda: run(x=with_value(X, -INF)), ["`x`", "finite", "row 3 with -inf"]),
    ("NaN in y", lambda: run(y=with_value(Y, NAN)), ["`y`", "finite", "row 3 with nan"]),
    ("infinity in y in fit", lambda: fit(y=with_value(Y, INF)), ["`y`", "1 of 6", "row 3", "inf"]),
    ("NaN in predict", lambda: predict(x=with_value(X, NAN)), ["`x`", "finite", "row 3 with nan"]),
    ("labels 0 and 2", lambda: run(y=2 * Y), ["`y`", "support", "Boolean", r"\[2\.0\]"]),
    ("labels -1 and 1", lambda: fit(y=2 * Y - 1), ["`y`", "support", "Boolean", r"\[-1\.0\]"]),
    ("class too large", lambda: classes(y=3 * Y), ["`y`", "support", "upper_bound=2", r"\[3\.0\]"]),
    ("half a class", lambda: classes(y=Y / 2), ["`y`", "support", r"\[0\.5\]"]),
    (
        "label of one task",
        lambda: run(
            y=torch.tensor([0.3, 0.2, 0.1, 0, 1, 5]),
            likelihood=[vmtl.LinearGaussian(), vmtl.LinearBernoulli()],
        ),
        ["`y`", "support", "Boolean", r"\[5\.0\]"],
    ),
]

CONSTRUCTOR: list[Row] = [
    (
        "unknown divergence",
        lambda: model(divergence="kl"),
        ["`divergence`", "'jensen'", "'monte_carlo'", "got 'kl'"],
    ),
    (
        "unknown sources",
        lambda: model(sources="all"),
        ["`sources`", "one of 'auto', 'groups'", "got 'all'"],
    ),
    (
        "a class for a likelihood",
        lambda: model(likelihood=vmtl.LinearGaussian),
        ["`likelihood`", "got a class", r"LinearGaussian\(\)"],
    ),
    ("sources in a list", lambda: model(sources=["own"]), ["`sources`", "'own'", r"\['own'\]"]),
    (
        "unknown hyperprior",
        lambda: model(hyperprior="strong"),
        ["`hyperprior`", "'weak'", "strong"],
    ),
    ("unknown base", lambda: model(base_prior="flat"), ["`base_prior`", "'learned'", "got 'flat'"]),
    (
        "base as a number",
        lambda: model(base_prior=1.0),
        ["`base_prior`", "'learned'", "got 1.0"],
    ),
    (
        "base of wrong event",
        lambda: model(base_prior=Independent(Normal(torch.zeros(3), 1.0), 1)),
        ["`base_prior`", r"event shape \(2,\)", r"event shape \(3,\)"],
    ),
    (
        "base with a batch",
        lambda: model(base_prior=Normal(torch.zeros(2), 1.0)),
        ["`base_prior`", r"batch shape \(\)", r"batch shape \(2,\)"],
    ),
    ("unknown transfer", lambda: model(transfer="free"), ["`transfer`", "'learned'", "got 'free'"]),
    ("transfer of zero", lambda: model(transfer=0), ["`transfer`", "> 0", "got 0"]),
    ("transfer of NaN", lambda: model(transfer=NAN), ["`transfer`", "> 0", "got nan"]),
    (
        "transfer beyond the floats",
        lambda: model(transfer=1e300),
        ["`transfer`", r"1\.8e\+19", r"1e\+300"],
    ),
    ("infinite transfer", lambda: model(transfer=INF), ["`transfer`", "finite", "got inf"]),
    (
        "stationary without a base",
        lambda: model(transfer="stationary", base_prior=None),
        ["`transfer='stationary'`", "`base_prior`", "got base_prior=None"],
    ),
    (
        "stationary under a Laplace base",
        lambda: run(transfer="stationary", base_prior=Independent(Laplace(torch.zeros(2), 1.0), 1)),
        ["`transfer='stationary'`", "Gaussian base prior", "got Independent|got Laplace"],
    ),
    (
        "transfer of Gammas",
        lambda: run(weights=Free(lambda: Independent(Gamma(torch.ones(2, 2), 1.0), 1))),
        ["`transfer`", "Gaussian", "Gamma|Independent", "transfer=None"],
    ),
    ("temperature of zero", lambda: model(temperature=0), ["`temperature`", "> 0", "got 0"]),
    ("temperature below zero", lambda: model(temperature=-1), ["`temperature`", "> 0", "got -1"]),
    ("temperature NaN", lambda: model(temperature=NAN), ["`temperature`", "> 0", "got nan"]),
    ("temperature as text", lambda: model(temperature="cold"), ["`temperature`", "'cold'"]),
    (
        "temperature falls to zero",
        lambda: run(temperature=lambda step: 0.0),
        ["`temperature`", "> 0", "got 0"],
    ),
    ("no weight samples", lambda: model(weight_samples=0), ["`weight_samples`", ">= 1", "got 0"]),
    ("half a sample", lambda: model(latent_samples=1.5), ["`latent_samples`", "integer", "1.5"]),
    (
        "samples as truth",
        lambda: model(weight_samples=True),
        ["`weight_samples`", "integer", "True"],
    ),
    ("no KL samples", lambda: model(divergence_samples=0), ["`divergence_samples`", "got 0"]),
]

MODULES: list[Row] = [
    ("no likelihood", lambda: model(likelihood=None), ["`likelihood`", "callable", "None"]),
    (
        "likelihood by name",
        lambda: model(likelihood="normal"),
        ["`likelihood`", "callable", "normal"],
    ),
    (
        "a likelihood too few",
        lambda: model(likelihood=[vmtl.LinearGaussian()]),
        ["`likelihood`", "list of 2", "got 1"],
    ),
    (
        "a likelihood too many, as a module list",
        lambda: model(likelihood=nn.ModuleList([vmtl.LinearGaussian() for _ in range(3)])),
        ["`likelihood`", "list of 2", "got 3"],
    ),
    (
        "a likelihood that is none",
        lambda: model(likelihood=[vmtl.LinearGaussian(), None]),
        ["`likelihood`", "callable", "None"],
    ),
    (
        "likelihood gives a tensor",
        lambda: run(likelihood=lambda z, w: (z * w).sum(-1)),
        ["`likelihood`", r"\(L, M, B\) = \(1, 10, 6\)", "Tensor"],
    ),
    (
        "likelihood of wrong batch",
        lambda: run(likelihood=lambda z, w: Normal((z * w).sum(-1).mean(1), 1.0)),
        ["`likelihood`", r"\(L, M, B\) = \(1, 10, 6\)", r"\(1, 6\)"],
    ),
    (
        "one of the list of wrong batch",
        lambda: run(likelihood=[vmtl.LinearBernoulli(), lambda z, w: Bernoulli(torch.ones(3))]),
        [r"`likelihood\[1\]`", r"\(1, 10, 3\)", r"\(3,\)"],
    ),
    (
        "weights of three tasks",
        lambda: model(weights=vmtl.GaussianWeights(3, (2,))),
        ["`weights`", r"batch shape \(2,\)", r"batch shape \(3,\)"],
    ),
    (
        "weights whose event is a batch",
        lambda: model(weights=Free(lambda: Normal(torch.zeros(2, 2), 1.0))),
        ["`weights`", r"batch shape \(2,\)", r"batch shape \(2, 2\)"],
    ),
    ("no weights", lambda: model(weights=None), ["`own_weights|`weights`", "NoneType"]),
    (
        "no weights, no own",
        lambda: model(weights=None, sources="joint"),
        ["`weights`", r"batch shape \(2,\)", "NoneType"],
    ),
    (
        "weights as a tensor",
        lambda: model(weights=torch.zeros(2, 2), sources="joint"),
        ["`weights`", "Distribution", "Tensor"],
    ),
    (
        "weights gives a tensor",
        lambda: model(weights=Free(lambda: torch.zeros(2, 2))),
        ["`weights`", "Distribution", "Tensor"],
    ),
    (
        "a list too short",
        lambda: model(weights=normals(1), sources="previous"),
        ["`weights`", "list of 2", "list of 1"],
    ),
    (
        "an empty list",
        lambda: model(weights=[], sources="previous"),
        ["`weights`", "list of 2", "list of 0"],
    ),
    (
        "a list of wrong batch shape",
        lambda: model(weights=[Normal(torch.zeros(2), 1.0)] * 2, sources="joint"),
        [r"`weights\[0\]`", r"batch shape \(\)", "Normal", "Independent"],
    ),
    (
        "a list of tensors",
        lambda: model(weights=[torch.zeros(2), torch.zeros(2)], sources="joint"),
        [r"`weights\[0\]`", "Distribution", "tensor"],
    ),
    (
        "a list of two event shapes",
        lambda: model(weights=normals(1) + normals(1, 3), sources="joint"),
        ["`weights`", "one event shape", r"\(2,\)", r"\(3,\)"],
    ),
    (
        "own sources of distributions",
        lambda: model(weights=normals(2)),
        ["`weights`", "`own_weights=`", "module", "got list", "another `sources`"],
    ),
    (
        "own sources of a function",
        lambda: model(weights=lambda: PAIR),
        ["`weights`", "`own_weights=`", "module", "got function"],
    ),
    (
        "own sources of encoding functions",
        lambda: model(latents=lambda x: Normal(x.expand(2, -1), 1.0)),
        ["`latents`", "`own_latents=`", "module", "got function"],
    ),
    (
        "own weights of another shape",
        lambda: run(own_weights=vmtl.GaussianWeights(3, (2,))),
        ["`own_weights`", r"\(2,\)", r"\(3,\)"],
    ),
    (
        "own weights of another event",
        lambda: run(own_weights=vmtl.GaussianWeights(2, (3,))),
        ["`own_weights`", r"event shape.*\(2,\)", r"\(3,\)"],
    ),
    (
        "own weights that are the weights",
        lambda: (lambda same: model(weights=same, own_weights=same))(vmtl.GaussianWeights(2, (2,))),
        ["`own_weights`", "parameters of its own", "`weights` itself"],
    ),
    (
        "own weights without own sources",
        lambda: model(sources="joint", own_weights=vmtl.GaussianWeights(2, (2,))),
        ["`own_weights`", "sources='own'", "'joint'"],
    ),
    (
        "own likelihood too short",
        lambda: model(own_likelihood=[vmtl.LinearBernoulli()]),
        ["`own_likelihood`", "list of 2", "got 1"],
    ),
    (
        "own latents alone",
        lambda: model(own_latents=encoder()),
        ["`own_latents`", "needs `latents`", "latents=None"],
    ),
    ("latents by name", lambda: model(latents="mlp"), ["`latents`", "callable", "str"]),
    (
        "latents of other tasks",
        lambda: run(latents=encoder(tasks=3)),
        ["`latents`", "2 tasks", "got 3"],
    ),
    (
        "latents turned round",
        lambda: run(latents=Free(lambda x: Independent(Normal(torch.zeros(6, 2, 2), 1.0), 1))),
        ["`latents`", r"\(T, B\) = \(2, 6\)", r"\(6, 2\)"],
    ),
    (
        "latents gives a tensor",
        lambda: run(latents=Free(lambda x: torch.zeros(2, 6))),
        ["`latents`", r"\(T, B\) = \(2, 6\)", "Tensor"],
    ),
    (
        "latents of a flow",
        lambda: run(
            latents=Free(
                lambda x: TransformedDistribution(
                    Independent(Normal(torch.zeros(2, 6, 2), 1.0), 1), [shift(2, 6, 2)]
                )
            )
        ),
        ["TransformedDistribution", "rebuilt", "`latents`", "`transforms`"],
    ),
    (
        "previous sources of a flow",
        lambda: run(
            weights=Free(lambda: TransformedDistribution(PAIR, [shift(2, 2)])),
            sources="previous",
            transfer=None,
            base_prior=None,
        ),
        ["TransformedDistribution", "rebuilt", "sources='joint'"],
    ),
    (
        "discrete weights",
        lambda: model(weights=Free(lambda: Categorical(torch.ones(2, 3)))),
        ["`weights`", "real", "int64"],
    ),
    (
        "weights without a pathwise gradient",
        lambda: run(weights=Free(learned_poisson), x=X[:, 0], transfer=None),
        ["`weights`", "reparameterised", "Poisson"],
    ),
    (
        "latents without a pathwise gradient",
        lambda: run(
            weights=vmtl.GaussianWeights(2, (1,)),
            latents=Free(lambda x: Independent(Poisson(torch.ones(2, 6, 1)), 1)),
        ),
        ["`latents`", "reparameterised", "Independent|Poisson"],
    ),
    (
        "classes need columns",
        lambda: classes(w=(2,)),
        ["`weights`", r"\(D, classes\)", r"\(2,\)"],
    ),
    (
        "odds need a vector",
        lambda: run(weights=vmtl.GaussianWeights(2, (2, 3))),
        ["`weights`", r"\(D,\)", r"\(2, 3\)"],
    ),
    (
        "scalar weights",
        lambda: run(likelihood=vmtl.LinearGaussian(), weights=vmtl.GaussianWeights(2, ())),
        ["`weights`", r"event shape \(D,\)", r"\(\)"],
    ),
    ("beta without latents", lambda: model().beta(), ["`beta`", "latents", "latents=None"]),
    (
        "event shape as a number",
        lambda: vmtl.GaussianWeights(2, 3),  # type: ignore[arg-type]
        ["`event_shape`", "tuple", "got 3"],
    ),
    (
        "event shape with a zero",
        lambda: vmtl.GaussianWeights(2, (3, 0)),
        [r"`event_shape\[1\]`", ">= 1", "got 0"],
    ),
    (
        "unknown covariance",
        lambda: vmtl.GaussianWeights(2, (3,), covariance="banded"),
        ["`covariance`", "full", "'banded'"],
    ),
    (
        "full covariance of three dimensions",
        lambda: vmtl.GaussianWeights(2, (3, 4, 2), covariance="full"),
        ["`covariance='full'`", r"\(D, P\)", r"\(3, 4, 2\)"],
    ),
    (
        "full covariance of a number",
        lambda: vmtl.GaussianWeights(2, (), covariance="full"),
        ["`covariance='full'`", r"\(D,\)", r"got \(\)"],
    ),
    (
        "factors of columns that don't fit",
        lambda: vmtl.GaussianColumns(torch.zeros(2, 3, 4), torch.eye(3).expand(2, 3, 3)),
        ["`scale_tril`", r"\(2, 4, 3, 3\)", r"\(2, 3, 3\)"],
    ),
    (
        "scale of zero",
        lambda: vmtl.GaussianWeights(2, (3,), initial_scale=0),
        ["`initial_scale`", "> 0", "got 0"],
    ),
    (
        "infinite scale",
        lambda: vmtl.GaussianWeights(2, (3,), initial_scale=INF),
        ["`initial_scale`", "finite", "got inf"],
    ),
    ("encoder's scale", lambda: encoder(initial_scale=-1), ["`initial_scale`", "> 0", "got -1"]),
    (
        "a scale whose square is beyond the floats",
        lambda: vmtl.GaussianWeights(2, (3,), initial_scale=1e300),
        ["`initial_scale`", r"1\.1e-19\.\.\.1\.8e\+19", r"1e\+300"],
    ),
    (
        "an encoder's scale below the floats",
        lambda: encoder(initial_scale=1e-30),
        ["`initial_scale`", r"1\.1e-19", "1e-30"],
    ),
    (
        "an encoder of a number",
        lambda: encoder()(torch.tensor(3.0)),
        ["`x`", r"\(B, \.\.\.\)", r"\(\)"],
    ),
    ("an encoder of a list", lambda: encoder()([3.0]), ["`x`", "tensor", "list"]),
    ("an encoder of complex x", lambda: encoder()(X * 1j), ["`x`", "real", "complex64"]),
    (
        "columns of a vector",
        lambda: vmtl.GaussianColumns(torch.zeros(3), torch.eye(3)[None]),
        ["`loc`", r"\(\*batch, D, P\)", r"\(3,\)"],
    ),
    (
        "columns of complex numbers",
        lambda: vmtl.GaussianColumns(torch.zeros(3, 2) * 1j, torch.eye(3).expand(2, 3, 3)),
        ["`loc`", "floating-point", "complex64"],
    ),
    (
        "columns of integers",
        lambda: vmtl.GaussianColumns(torch.zeros(3, 2), torch.eye(3).expand(2, 3, 3).long()),
        ["`scale_tril`", "floating-point", "int64"],
    ),
    (
        "columns of two dtypes",
        lambda: vmtl.GaussianColumns(torch.zeros(3, 2).double(), torch.eye(3).expand(2, 3, 3)),
        ["`scale_tril`", "float64", "float32"],
    ),
    (
        "z of truth values",
        lambda: vmtl.LinearBernoulli()(torch.ones(1, 1, 3, 2).bool(), torch.ones(1, 4, 3, 2)),
        ["`z`", "floating-point", "bool"],
    ),
    (
        "z in another dtype than w",
        lambda: vmtl.LinearGaussian()(torch.ones(1, 1, 3, 2).double(), torch.ones(1, 4, 3, 2)),
        ["`weights`", "float64", "got torch.float32"],
    ),
    (
        "z of other rows than w",
        lambda: vmtl.LinearGaussian()(torch.ones(1, 1, 5, 2), torch.ones(1, 4, 3, 2)),
        ["`z` and `weights`", r"\(1, 1, 5\)", r"\(1, 4, 3\)"],
    ),
    (
        "half-precision weights",
        lambda: run(weights=vmtl.GaussianWeights(2, (2,)).bfloat16()),
        ["`weights`", "float32 or float64", "bfloat16"],
    ),
    (
        "half-precision weights in predict",
        lambda: vmtl.predictive(model().half(), X, TASK),
        ["`weights`", "float32 or float64", "float16"],
    ),
    ("no inputs", lambda: encoder(in_features=0), ["`in_features`", ">= 1", "got 0"]),
    ("no latents", lambda: encoder(latent_features=0), ["`latent_features`", ">= 1", "got 0"]),
    ("hidden as a number", lambda: encoder(hidden=8), ["`hidden`", "tuple", "got 8"]),
    ("hidden width of zero", lambda: encoder(hidden=(8, 0)), [r"`hidden\[1\]`", ">= 1", "got 0"]),
    ("noise of zero", lambda: vmtl.LinearGaussian(0.0), ["`scale`", "> 0", "got 0"]),
    (
        "noise beyond the floats",
        lambda: vmtl.LinearGaussian(1e-30),
        ["`scale`", r"1\.1e-19", "1e-30"],
    ),
    ("infinite noise", lambda: vmtl.LinearGaussian(INF), ["`scale`", "finite", "got inf"]),
    (
        "noise starts below zero",
        lambda: vmtl.LinearGaussian(initial_scale=-2),
        ["`initial_scale`", "> 0", "got -2"],
    ),
]

AMORTISED: list[Row] = [
    ("x of lists", lambda: amortised(x=X.tolist()), ["`x`", "tensor", "list"]),
    ("half a label", lambda: amortised(y=Y / 2, classes=2), ["`y`", r"0\.\.\.1", "0.5"]),
    ("negative label", lambda: amortised(y=Y - 1, classes=2), ["`y`", r"0\.\.\.1", "-1"]),
    ("labels as a column", lambda: amortised(y=Y[:, None]), ["`y`", "one label", r"\(6, 1\)"]),
    ("label NaN", lambda: amortised(y=with_value(Y, NAN)), ["`y`", "finite", "row 3 with nan"]),
    ("feature NaN", lambda: amortised(x=with_value(X, NAN)), ["`x`", "finite", "row 3 with nan"]),
    ("one class", lambda: amortised(y=0 * Y), ["`classes`", ">= 2", "got 1"]),
    ("class without example", lambda: amortised(y=2 * Y), ["`y`", "every class", r"\[1\]"]),
    ("a task too many", lambda: amortised(tasks=1 + 1, task=TASK + 1), ["`task`", r"\[2\]"]),
    ("task of floats", lambda: amortised(task=TASK.float()), ["`task`", "integer", "float32"]),
    ("no rows", lambda: amortised(X[:0], Y[:0], TASK[:0]), ["`task`", "at least one", "none"]),
    ("hidden number", lambda: amortised(hidden=3), ["`hidden`", "tuple", "got 3"]),
    ("latent features", lambda: amortised(latent_features=0), ["`latent_features`", "got 0"]),
]

MIXING: list[Row] = [
    (
        "gumbel at zero",
        lambda: vmtl.gumbel_softmax(torch.zeros(3), 0.0),
        ["`temperature`", "> 0", "got 0"],
    ),
    (
        "gumbel of integers",
        lambda: vmtl.gumbel_softmax(torch.zeros(3).long(), 1.0),
        ["`logits`", "floating-point", "int64"],
    ),
    (
        "gumbel of a list",
        lambda: vmtl.gumbel_softmax([0.0, 1.0], 1.0),  # type: ignore[arg-type]
        ["`logits`", "tensor", "list"],
    ),
    (
        "gumbel of a scalar",
        lambda: vmtl.gumbel_softmax(torch.zeros(()), 1.0),
        ["`logits`", r"\(\.\.\., K\)", r"\(\)"],
    ),
    (
        "gumbel of NaN",
        lambda: vmtl.gumbel_softmax(torch.tensor([0.0, NAN]), 1.0),
        ["`logits`", "NaN", "nan"],
    ),
    (
        "nothing admitted",
        lambda: vmtl.gumbel_softmax(torch.tensor([[0.0, 0.0], [-INF, -INF]]), 1.0),
        ["`logits`", "finite", "-inf"],
    ),
    (
        "several temperatures",
        lambda: vmtl.gumbel_softmax(torch.zeros(2), torch.ones(2)),  # type: ignore[arg-type]
        ["`temperature`", "number", "tensor"],
    ),
    (
        "gumbel over nothing",
        lambda: vmtl.gumbel_softmax(torch.zeros(2, 0), 4.0),
        ["`logits`", "K >= 1", r"\(2, 0\)"],
    ),
    (
        "a temperature that wants a gradient",
        lambda: vmtl.gumbel_softmax(torch.zeros(2), torch.ones((), requires_grad=True)),  # type: ignore[arg-type]
        ["`temperature`", "plain number", "requires_grad=True"],
    ),
    (
        "a temperature in text",
        lambda: vmtl.gumbel_softmax(torch.zeros(2), "1"),  # type: ignore[arg-type]
        ["`temperature`", "plain number", "'1'"],
    ),
    (
        "base of minus one",
        lambda: vmtl.GumbelSoftmaxMixing(2, base=-1),  # type: ignore[arg-type]
        ["`base`", "one of False, True", "got -1"],
    ),
    (
        "tasks beyond 64 bits",
        lambda: vmtl.GumbelSoftmaxMixing(2**70),
        ["`tasks`", r"2\^63", "1180591620717411303424"],
    ),
    (
        "step in a list",
        lambda: vmtl.linear_decay(1.0, 0.5, 10)([5]),  # type: ignore[arg-type]
        ["`step`", "number", r"\[5\]"],
    ),
    (
        "step in bytes",
        lambda: vmtl.cosine_decay(1.0, 0.5, 10)(b"5"),  # type: ignore[arg-type]
        ["`step`", "number", "b'5'"],
    ),
    (
        "steps in a tensor",
        lambda: vmtl.exponential_decay(1.0, 0.5, 10)(torch.ones(2)),  # type: ignore[arg-type]
        ["`step`", "number", r"tensor\(\[1\., 1\.\]"],
    ),
    (
        "a start beyond the floats",
        lambda: vmtl.linear_decay(10**400, 1.0, 10),
        ["`start`", "plain number", "got 1000"],
    ),
    (
        "a decay beyond the floats",
        lambda: vmtl.exponential_decay(1e300, 1e-300, 5),
        ["`end` / `start`", "floats", "got 0"],
    ),
    (
        "log weights at minus one",
        lambda: vmtl.GumbelSoftmaxMixing(3).log_weights(-1.0),
        ["`temperature`", "> 0", "got -1"],
    ),
    (
        "no samples of alpha",
        lambda: vmtl.GumbelSoftmaxMixing(3).expected(1.0, samples=0),
        ["`samples`", ">= 1", "got 0"],
    ),
    (
        "base weight of one",
        lambda: vmtl.GumbelSoftmaxMixing(3, base=True, base_weight=1.0),
        ["`base_weight`", r"\(0, 1\)", "got 1.0"],
    ),
    (
        "base weight as text",
        lambda: vmtl.GumbelSoftmaxMixing(3, base_weight="half"),  # type: ignore[arg-type]
        ["`base_weight`", r"\(0, 1\)", "'half'"],
    ),
    ("constant zero", lambda: vmtl.constant(0.0), ["`value`", "> 0", "got 0"]),
    ("line to zero", lambda: vmtl.linear_decay(1.0, 0.0, 10), ["`end`", "> 0", "got 0"]),
    ("no steps", lambda: vmtl.cosine_decay(1.0, 0.1, 0), ["`steps`", ">= 1", "got 0"]),
    ("start of NaN", lambda: vmtl.exponential_decay(NAN, 0.1, 5), ["`start`", "> 0", "got nan"]),
    ("infinite start", lambda: vmtl.exponential_decay(INF, 0.1, 5), ["`start`", "finite", "inf"]),
]

DIVERGENCES: list[Row] = [
    (
        "unknown method",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, HALF, "exact"),
        ["`method`", "'convex'", "'lower_bound'", "got 'exact'"],
    ),
    (
        "q as a tensor",
        lambda: vmtl.pairwise_kl(torch.zeros(2), PAIR),  # type: ignore[arg-type]
        ["`q`", "Distribution", "Tensor"],
    ),
    (
        "p as a list",
        lambda: vmtl.pairwise_kl(PAIR, normals(2)),  # type: ignore[arg-type]
        ["`p`", "Distribution", "list"],
    ),
    (
        "events that differ",
        lambda: vmtl.pairwise_kl(PAIR, Independent(Normal(torch.zeros(2, 3), 1.0), 1)),
        ["`p`", "event shape", r"\(2,\)", r"\(3,\)"],
    ),
    (
        "p without a batch",
        lambda: vmtl.pairwise_kl(PAIR, normals(1)[0]),
        ["`p`", r"batch shape \(K,\)", r"\(2,\) \+ \(K,\)", r"got \(\)"],
    ),
    (
        "components of other receivers",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR.expand((3, 2)), HALF),
        ["`components`", r"batch shape \(K,\)", r"\(3, 2\)"],
    ),
    (
        "sampled events that differ",
        lambda: vmtl.kl_monte_carlo(PAIR, Independent(Normal(torch.zeros(2, 1), 1.0), 1)),
        ["`p`", "event shape", r"\(2,\)", r"\(1,\)"],
    ),
    (
        "sampled batches that differ",
        lambda: vmtl.kl_monte_carlo(PAIR, Independent(Normal(torch.zeros(3, 2), 1.0), 1)),
        ["`p`", "broadcasts", r"\(2,\)", r"\(3,\)"],
    ),
    (
        "no samples",
        lambda: vmtl.kl_monte_carlo(PAIR, PAIR, samples=0),
        ["`samples`", ">= 1", "got 0"],
    ),
    (
        "weights that don't sum to one",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, torch.zeros(2)),
        ["`log_weights`", "log probabilities", "sum 1", "2"],
    ),
    (
        "the second row of weights",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, torch.stack([HALF, HALF + 1])),
        ["`log_weights`", "1 of 2 rows", "2.718"],
    ),
    (
        "weights of NaN",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, torch.tensor([NAN, 0.0])),
        ["`log_weights`", "log probabilities", "nan"],
    ),
    (
        "weights of another number",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, torch.full((2, 3), 1 / 3).log()),
        ["`log_weights`", r"shape \(2, 2\)", r"\(2, 3\)"],
    ),
    (
        "weights of other receivers",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, HALF.expand(3, 2)),
        ["`log_weights`", r"shape \(2, 2\)", r"\(3, 2\)"],
    ),
    (
        "weights of too many dimensions",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, HALF.expand(1, 2, 2)),
        ["`log_weights`", r"shape \(2, 2\)", r"\(1, 2, 2\)"],
    ),
    (
        "weights as a list",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, [0.0, -1.0]),  # type: ignore[arg-type]
        ["`log_weights`", r"\(2, 2\)", r"\[0.0, -1.0\]"],
    ),
    (
        "a bound for Gaussians only",
        lambda: vmtl.kl_to_mixture(
            LogNormal(torch.zeros(2), 1.0), LogNormal(torch.zeros(2), 1.0), HALF, "lower_bound"
        ),
        ["`method='lower_bound'`", "diagonal Gaussians", "LogNormal"],
    ),
    (
        "a sum for Gaussians only",
        lambda: vmtl.kl_to_mixture(
            MultivariateNormal(torch.zeros(2, 2), torch.eye(2)), PAIR, HALF, "weighted_sum"
        ),
        ["`method='weighted_sum'`", "covariance='diagonal'", "got MultivariateNormal"],
    ),
    (
        "sampling with no pathwise gradient",
        lambda: vmtl.kl_to_mixture(learned_poisson(), Poisson(torch.ones(2)), HALF, "monte_carlo"),
        ["pathwise gradient", "Poisson", "has_rsample"],
    ),
    (
        "q in half precision",
        lambda: vmtl.pairwise_kl(
            Normal(torch.zeros(2).half(), torch.ones(2).half()), PAIR.base_dist
        ),
        ["`q`", "float32 or float64", "float16"],
    ),
    (
        "a density for a mass",
        lambda: vmtl.pairwise_kl(Poisson(torch.ones(2)), Normal(torch.zeros(2), 1.0)),
        ["`p`", "discrete or continuous", "Normal for Poisson"],
    ),
    (
        "classes beyond a truth value",
        lambda: vmtl.pairwise_kl(Categorical(torch.ones(2, 3)), Bernoulli(torch.ones(3) / 2)),
        ["`p`", "every draw of `q`", "Boolean"],
    ),
    (
        "other numbers of classes",
        lambda: vmtl.pairwise_kl(Categorical(torch.ones(2, 3)), Categorical(torch.ones(2, 4))),
        ["Categorical", "has no KL", r"\(3\).*\(4\)"],
    ),
    (
        "no components",
        lambda: vmtl.pairwise_kl(Normal(torch.zeros(2), 1.0), Normal(torch.zeros(0), 1.0)),
        ["`p`", "K >= 1", r"\(0,\)"],
    ),
    (
        "weights of integers",
        lambda: vmtl.kl_to_mixture(PAIR, PAIR, torch.zeros(2, 2).long()),
        ["`log_weights`", "floating-point", "int64"],
    ),
    (
        "prior of a list of weights",
        lambda: vmtl.mixture_prior(PAIR, [0.0, -1.0]),  # type: ignore[arg-type]
        ["`log_weights`", "tensor", "list"],
    ),
    (
        "one KL with no pathwise gradient",
        lambda: vmtl.kl_monte_carlo(learned_poisson(), Poisson(torch.ones(2))),
        ["pathwise gradient", "Poisson", "has_rsample"],
    ),
    (
        "prior of too few weights",
        lambda: vmtl.mixture_prior(PAIR, torch.zeros(2, 1)),
        ["`log_weights`", r"\(A, K\)", r"\(2, 1\)", r"\(2,\)"],
    ),
    (
        "prior of weights of NaN",
        lambda: vmtl.mixture_prior(PAIR, torch.tensor([NAN, NAN])),
        ["`log_weights`", "log probabilities", "nan"],
    ),
    (
        "prior of plain weights",
        lambda: vmtl.mixture_prior(PAIR, torch.tensor([0.5, 0.5])),
        ["`log_weights`", "log probabilities", "3.297"],
    ),
    (
        "prior of a list",
        lambda: vmtl.mixture_prior(normals(2), HALF),  # type: ignore[arg-type]
        ["`components`", "Distribution", "list"],
    ),
    (
        "parts side by side of two events",
        lambda: vmtl.Concatenated([PAIR, Normal(torch.zeros(2), 1.0)]),
        ["`parts`", "one event shape", r"\(\(2,\), \(2,\)\), \(\(2,\), \(\)\)"],
    ),
    (
        "parts without a batch",
        lambda: vmtl.Concatenated([Normal(0.0, 1.0), Gamma(1.0, 1.0)]),
        ["`parts`", r"\(\*A, k\)", r"\(\(\), \(\)\)"],
    ),
    (
        "parts that are numbers",
        lambda: vmtl.Concatenated([3]),  # type: ignore[list-item]
        [r"`parts\[0\]`", "Distribution", "int"],
    ),
    (
        "parts in another number",
        lambda: vmtl.Concatenated([Normal(torch.zeros(2), 1.0)]).expand((3,)),
        ["`batch_shape`", "end in 2", r"\(3,\)"],
    ),
    (
        "a value for other parts",
        lambda: vmtl.Concatenated([Normal(torch.zeros(2), 1.0)]).log_prob(torch.zeros(3)),
        ["`value`", r"\(\.\.\., 2", r"\(3,\)"],
    ),
    ("no parts", lambda: vmtl.Concatenated([]), ["`parts`", "at least one", "none"]),
]

FITTING: list[Row] = [
    ("no steps to fit", lambda: fit(steps=0), ["`steps`", ">= 1", "got 0"]),
    ("steps as a float", lambda: fit(steps=10.0), ["`steps`", "integer", "10.0"]),
    ("rate of zero", lambda: fit(lr=0.0), ["`lr`", "> 0", "got 0"]),
    ("rate of NaN", lambda: fit(lr=NAN), ["`lr`", "> 0", "got nan"]),
    ("infinite rate", lambda: fit(lr=INF), ["`lr`", "finite", "got inf"]),
    ("rate as text", lambda: fit(lr="fast"), ["`lr`", "number", "'fast'"]),
    ("rate turns negative", lambda: adam(lr=lambda s: 0.1 - s), ["`lr`", ">= 0", "-0.9 at step 1"]),
    ("rate turns NaN", lambda: adam(lr=lambda s: NAN), ["`lr`", "finite", "nan at step 0"]),
    ("batch below the tasks", lambda: fit(batch_size=1), ["`batch_size`", "tasks, 2", "got 1"]),
    ("batch as a float", lambda: fit(batch_size=4.0), ["`batch_size`", "integer", "4.0"]),
    ("seed below zero", lambda: fit(seed=-1), ["`seed`", ">= 0", "got -1"]),
    ("seed as text", lambda: fit(seed="now"), ["`seed`", "integer", "'now'"]),
    ("no record", lambda: fit(record=0), ["`record`", ">= 1", "got 0"]),
    ("resume from a dict", lambda: fit(resume={"step": 3}), ["`resume`", "History", "dict"]),
    (
        "resume another model",
        lambda: vmtl.fit(
            model(base_prior=None, transfer=None), X, Y, TASK, 4, progress=False, resume=fit()
        ),
        ["`resume`", "this model", "`base_prior`", "'learned'", "None"],
    ),
    (
        "resume Adam on another model",
        lambda: vmtl.fit(
            model(base_prior=None, transfer=None), X, Y, TASK, 4, progress=False, resume=adam()
        ),
        ["`resume`", "this model", "`base_prior`", "'learned'", "None"],
    ),
    ("no such method", lambda: fit(method="newton"), ["`method`", "'coordinate'", "'newton'"]),
    (
        "the closed form on batches",
        lambda: fit(method="coordinate", batch_size=4),
        ["`method='coordinate'`", "`batch_size`"],
    ),
    (
        "another method than before",
        lambda: fit(method="coordinate", resume=adam()),
        ["`method`", "`resume`, 'adam'", "'coordinate'"],
    ),
    ("checkpoint of no path", lambda: fit(checkpoint=3), ["`checkpoint`", "a path", "got int"]),
    (
        "checkpoint in no folder",
        lambda: fit(checkpoint="nowhere/fit.vmtl"),
        ["`checkpoint`", "a folder that exists", "'nowhere/fit.vmtl'"],
    ),
    ("checkpoint a folder", lambda: fit(checkpoint="."), ["`checkpoint`", "a file", "'.'"]),
    (
        "checkpoint of another program",
        lambda: fit(checkpoint=os.devnull),
        ["`checkpoint`", "`save` wrote", "another's"],
    ),
    (
        "checkpoint and resume",
        lambda: fit(checkpoint="fit.vmtl", resume=fit()),
        ["`resume`", "None", "`checkpoint`", "both"],
    ),
    ("every without checkpoint", lambda: fit(every=5), ["`every`", "`checkpoint`", "got 5"]),
    (
        "every of zero",
        lambda: fit(checkpoint="fit.vmtl", every=0),
        ["`every`", "an integer >= 1", "got 0"],
    ),
    ("tolerance of zero", lambda: fit(tolerance=0.0), ["`tolerance`", "> 0", "got 0"]),
    (
        "an expectation of another kind",
        lambda: model(expectation="mean"),
        ["`expectation`", "'sampled'", "'mean'"],
    ),
    (
        "state of something else",
        lambda: vmtl.History().load_state_dict({"step": 3}),
        ["`state`", "state_dict", "alpha"],
    ),
    (
        "nothing to fit",
        lambda: vmtl.fit(model().requires_grad_(False), X, Y, TASK, progress=False),
        ["`model`", "parameters", "none"],
    ),
]

PREDICTIVE: list[Row] = [
    ("no samples to predict", lambda: predict(weight_samples=0), ["`weight_samples`", "got 0"]),
    ("no latents to predict", lambda: predict(latent_samples=-1), ["`latent_samples`", "got -1"]),
    ("x and task differ", lambda: predict(x=X[:4]), ["`x`", "6 entries of `task`", r"\(4, 2\)"]),
    (
        "level of one",
        lambda: numbers().icdf(1.0),
        ["`value`", "between 0 and 1", r"\[1\.0\]|got 1"],
    ),
    (
        "levels below zero",
        lambda: numbers().icdf(with_value(torch.full((6,), 0.5), -0.1)),
        ["`value`", "between 0 and 1", r"-0\.1"],
    ),
    ("level of NaN", lambda: numbers().icdf(NAN), ["`value`", "between 0 and 1", "nan"]),
    (
        "levels of other rows",
        lambda: numbers().icdf(torch.full((5,), 0.5)),
        ["`value`", r"\(\.\.\., 6", r"\(5,\)"],
    ),
    (
        "values of other rows",
        lambda: numbers().log_prob(torch.zeros(5)),
        ["`value`", r"\(\.\.\., 6", r"\(5,\)"],
    ),
    (
        "cdf of other rows",
        lambda: numbers().cdf(torch.zeros(5)),
        ["`value`", r"\(\.\.\., 6", r"\(5,\)"],
    ),
    (
        "a column of values",
        lambda: numbers().log_prob(torch.zeros(6, 1)),
        ["`value`", "6 rows", "column", r"\(6, 1\)"],
    ),
    (
        "cdf of a column",
        lambda: regressions().cdf(torch.zeros(6, 1)),
        ["`value`", "6 rows", "column", r"\(6, 1\)"],
    ),
    (
        "predictive expanded",
        lambda: numbers().expand((2, 6)),
        ["`batch_shape`", r"\(6,\)", r"\(2, 6\)"],
    ),
    (
        "half a count",
        lambda: vmtl.predictive(model(likelihood=vmtl.LinearPoisson()), X, TASK).log_prob(Y / 2),
        ["`value`", "support", r"\[0\.5\]"],
    ),
    ("value as a list", lambda: numbers().log_prob([0.0] * 6), ["`value`", "tensor", "list"]),
    ("value NaN", lambda: numbers().log_prob(Y * NAN), ["`value`", "support", "nan"]),
    ("label of two", lambda: predict().log_prob(2 * Y), ["`value`", "support", r"\[2\.0\]"]),
    (
        "rows of two kinds, too few values",
        lambda: regressions().log_prob(torch.zeros(5)),
        ["`value`", r"\(\.\.\., 6", r"\(5,\)"],
    ),
    (
        "rows of two kinds, too many values",
        lambda: regressions().log_prob(torch.zeros(7)),
        ["`value`", r"\(\.\.\., 6", r"\(7,\)"],
    ),
    (
        "parts of a plain Normal",
        lambda: vmtl.decompose_uncertainty(Normal(0.0, 1.0)),  # type: ignore[arg-type]
        ["`predictive`", r"predictive\(\.\.\.\)", "Normal"],
    ),
]

PRIORS: list[Row] = [
    ("base kind", lambda: vmtl.BasePrior("wide", (2,)), ["`base_prior`", "'standard'", "'wide'"]),
    ("base event", lambda: vmtl.BasePrior("learned", 2), ["`event_shape`", "tuple", "got 2"]),  # type: ignore[arg-type]
    ("prior of one task", lambda: vmtl.WeightsPrior(1, (2,)), ["`tasks`", ">= 2", "got 1"]),
    (
        "prior of other sources",
        lambda: vmtl.WeightsPrior(3, (2,)).components(PAIR),
        ["`sources`", r"\(3,\)", r"\(2,\)"],
    ),
    (
        "prior's temperature",
        lambda: vmtl.WeightsPrior(2, (2,))(PAIR, temperature=0.0),
        ["`temperature`", "> 0", "got 0"],
    ),
]

FILES: list[Row] = [
    ("no model to save", lambda: vmtl.save(5, "x.vmtl"), ["`model`", "MultiTaskELBO", "got int"]),  # type: ignore[arg-type]
    ("another's file", lambda: vmtl.load(os.devnull), ["`path`", "`save` wrote", "another's"]),
]

ROWS = [
    *TASKS,
    *TABLES,
    *CONSTRUCTOR,
    *MODULES,
    *AMORTISED,
    *MIXING,
    *DIVERGENCES,
    *FITTING,
    *PREDICTIVE,
    *PRIORS,
    *FILES,
]


@pytest.mark.parametrize(("call", "parts"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_says_what_is_wrong(call: Callable[[], Any], parts: list[str]) -> None:
    with pytest.raises(ValueError, match=parts[0]) as found:
        call()
    assert type(found.value) is ValueError
    for part in parts:
        assert found.match(part)


def test_the_table_covers_every_public_name() -> None:
    """A public name that takes arguments of the user's has a row."""
    source = Path(__file__).read_text(encoding="utf-8")
    without = {
        "BatchWarning",
        "ConvergenceWarning",
        "ELBOTerms",
        "IdentificationWarning",
        "Interval",
        "NonFiniteError",
        "Predictive",
        "PredictiveMixture",
        "PredictiveRows",
        "Uncertainty",
        "UnitsWarning",
    }
    missing = {
        name for name in vmtl.__all__ if f"vmtl.{name}(" not in source and name not in without
    }
    assert not missing
