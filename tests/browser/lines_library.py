"""The library's objective at a state that `linesFit` found: its value and its slopes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vmtl_core import coordinate
from vmtl_core.closed_form import Setting, begin, setting
from vmtl_core.coordinate import Ascent
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.evidence import Gaussians, Updated
from vmtl_core.lab.widgets._lines_model import BASES, Everything, table_of, with_draws
from vmtl_core.likelihoods import LinearGaussian
from vmtl_core.posteriors import GaussianWeights

Given = dict[str, Any]


def number(value: Any) -> Tensor:
    """Nested lists as a float64 tensor."""
    return torch.tensor(value, dtype=torch.float64)


@contextmanager
def to_the_end(monkeypatch: Any) -> Iterator[None]:
    """Quasi-Newton steps go on until rounding ends them, not until a slope is 1e-8 or after 25."""
    tight = torch.optim.LBFGS

    def made(*given: Any, **named: Any) -> Any:
        return tight(*given, **named | {"tolerance_grad": 1e-13, "tolerance_change": 1e-17})

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim, "LBFGS", made)
        patch.setattr(coordinate, "JOINT_STEPS", 2000)
        yield


def library_model(given: Given) -> MultiTaskELBO:
    """The model that a setting stands for, in float64."""
    return MultiTaskELBO(
        LinearGaussian(given["sigma"]),
        GaussianWeights(len(given["tasks"]), (2,)),
        task_sizes=[len(rows) for rows in given["tasks"]],
        divergence=given["divergence"],
        sources=given["sources"],
        base_prior=BASES[given["base"]],
        transfer=given["delta"],
        temperature=1.0 if given["draws"] is None else given["temperature"],
    ).double()


def began(given: Given) -> tuple[Setting, Ascent]:
    """The library's fit before its first sweep, its own-data half done."""
    model, data = library_model(given), table_of(given["tasks"])
    found = with_draws(setting(model, *data, model.temperature(0), 0), given["draws"])
    return found, begin(model, found, 1e-12, 0)


def logits_of(pi: Tensor, ascent: Ascent) -> Tensor:
    """Those that have these softmaxes and, row by row, the hyperprior's centre."""
    excluded, start = ascent.mixing.weights.excluded, ascent.mixing.start
    away = (pi.log() - start).masked_fill(excluded, 0.0)
    centre = away.sum(1, keepdim=True) / (~excluded).sum(1, keepdim=True)
    return (pi.log() - centre).masked_fill(excluded, 0.0)


def slopes(given: Given, result: Any) -> tuple[float, float]:
    """The library's ELBO at a result, and its steepest slope in whitened coordinates.

    With sources "previous" the sources stand still.
    """
    found, ascent = began(given)
    basis, offset = found.units.basis[0], found.units.offset[0]
    inverse = torch.linalg.inv(basis)

    def standard(laws: list[Any]) -> tuple[Tensor, Tensor]:
        mean = (number([one["mean"] for one in laws]) - offset) @ inverse.mT
        covariance = inverse @ number([one["covariance"] for one in laws]) @ inverse.mT
        return mean, torch.linalg.cholesky(covariance)

    every = Everything(ascent.problem, ascent.own, ascent.state)
    every.population, every.fixed = ascent.population, given["sources"] == "own"
    mean, root = standard(result["q"])
    every.state.logits = logits_of(number(result["pi"]), ascent)
    if given["sigma"] is None:
        every.state.noise = number([result["sigma"] / found.units.target_scale]).log()
    if given["base"] == "learned" and given["sources"] != "own":
        loc, lower = standard([result["population"]])
        every.population.loc.copy_(loc)
        every.population.log_sd.copy_(lower.diagonal(dim1=-2, dim2=-1).log())
    push, turn = torch.zeros_like(mean), torch.zeros_like(root)
    leaves = [one.requires_grad_(True) for one in (push, turn, every.state.logits, *every.free())]
    loc, lower = mean + (root @ push.unsqueeze(-1)).squeeze(-1), root + root @ turn.tril()
    log_det = lower.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)
    every.state.posterior = Updated(loc.unsqueeze(1), lower.unsqueeze(1), log_det)
    if given["sources"] == "previous":
        still = Gaussians(*(one.detach() for one in every.state.posterior.gaussians()))
        every.sources = lambda: still  # type: ignore[method-assign]
    value = every.total()
    every_slope = torch.autograd.grad(value, leaves)
    steepest = max(float(one.abs().max()) for one in every_slope if one.numel())
    return float(value.detach()), steepest


def random_setting(draw: np.random.Generator) -> Given:
    """Three to six tasks of one to thirty rows, and everything else at random."""
    most, tasks = int(draw.choice([1, 2, 3, 5, 10, 30])), []
    for _ in range(int(draw.integers(3, 7))):
        rows = int(draw.integers(1, most + 1))
        x, w = draw.uniform(-2, 2, rows), draw.normal(size=2)
        y = w[0] + w[1] * x + 0.4 * draw.normal(size=rows)
        tasks.append(
            [[round(a, 2), round(b, 2)] for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        )
    return {
        "tasks": tasks,
        "temperature": float(draw.choice([0.05, 0.3, 1, 5])),
        "draws": None if draw.random() < 0.4 else int(draw.integers(2**32)),
        "sigma": None if draw.random() < 0.5 else float(draw.choice([0.1, 0.5, 1.5])),
        "delta": float(draw.choice([0.05, 0.2, 0.5, 1, 3])),
        "sources": str(draw.choice(["own", "previous", "joint"])),
        "divergence": str(draw.choice(["jensen", "convex"])),
        "base": str(draw.choice(["none", "fixed", "learned"])),
    }
