"""Tables and models of the tests of the closed-form fit."""

from typing import Any

import torch
from torch import Tensor

import vmtl_core as vmtl
from vmtl_core import closed_form
from vmtl_core.coordinate import Ascent

SIZES = [6, 9, 4, 7]
Table = tuple[Tensor, Tensor, Tensor]


def table(
    kind: str = "gaussian", sizes: list[int] = SIZES, inputs: int = 2, seed: int = 0
) -> Table:
    """Rows of all tasks in random order; w of each task about (1, -1/2, ...)."""
    draw = torch.Generator().manual_seed(seed)
    task = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    task = task[torch.randperm(len(task), generator=draw)]
    x = torch.randn(len(task), inputs, generator=draw)
    w = torch.tensor([1.0, -0.5, 0.7][:inputs]) + 0.4 * torch.randn(
        len(sizes), inputs, generator=draw
    )
    eta = (x * w[task]).sum(-1)
    noise = torch.randn(len(task), generator=draw)
    if kind == "gaussian":
        return x, eta + 0.5 * noise, task
    if kind == "labels":
        return x, (torch.rand(len(task), generator=draw) < eta.sigmoid()).to(x), task
    if kind == "classes":
        return x, torch.bucketize(eta + noise, torch.tensor([-0.7, 0.7])).to(x), task
    return x, torch.poisson(eta.exp(), generator=draw), task


LIKELIHOODS: dict[str, Any] = {
    "gaussian": vmtl.LinearGaussian,
    "labels": vmtl.LinearBernoulli,
    "counts": vmtl.LinearPoisson,
    "classes": vmtl.LinearCategorical,
}


def build(kind: str = "gaussian", rows: int = 2, **options: Any) -> vmtl.MultiTaskELBO:
    """A model of `table`, with an intercept for rows = inputs + 1."""
    sizes = options.pop("task_sizes", SIZES)
    event = (rows, 3) if kind == "classes" else (rows,)
    settings: dict[str, Any] = {
        "likelihood": LIKELIHOODS[kind](),
        "weights": vmtl.GaussianWeights(len(sizes), event, covariance="full"),
        "task_sizes": sizes,
    }
    return vmtl.MultiTaskELBO(**({"sources": "own"} | settings | options)).double()


def ascent(
    model: vmtl.MultiTaskELBO, data: Table, sweeps: int = 0, tau: float = 1.0, seed: int = 0
) -> Ascent:
    """The closed-form fit of a model after some sweeps, its own-data half at the optimum."""
    found = closed_form.setting(model, *data, tau, seed)
    made = closed_form.begin(model, found, 1e-9, seed)
    for _ in range(sweeps):
        made.sweep()
    return made
