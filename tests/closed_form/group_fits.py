"""Fits of models with groups, each made once."""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.closed_form.models import LIKELIHOODS

TASKS, EACH = 6, 8


class Fitted(NamedTuple):
    model: vmtl.MultiTaskELBO
    x: Tensor
    y: Tensor
    task: Tensor
    history: vmtl.History


def data(kind: str = "gaussian", seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Six tasks about two centres, in turn; two inputs and an intercept, rows in random order."""
    draw = torch.Generator().manual_seed(seed)
    task = torch.arange(TASKS).repeat_interleave(EACH)
    task = task[torch.randperm(len(task), generator=draw)]
    x = torch.randn(len(task), 2, generator=draw, dtype=torch.float64)
    centre = torch.tensor([[1.5, -1.0], [-1.0, 1.5]], dtype=torch.float64)
    eta = (x * centre[task % 2]).sum(-1) + 0.3
    noise = torch.randn(len(task), generator=draw, dtype=torch.float64)
    if kind == "gaussian":
        return x, eta + 0.4 * noise, task
    if kind == "labels":
        return x, (eta + noise > 0).double(), task
    if kind == "classes":
        cuts = torch.tensor([-0.7, 0.7], dtype=torch.float64)
        return x, torch.bucketize(eta + 0.3 * noise, cuts).double(), task
    return x, torch.poisson((0.5 * eta).exp(), generator=draw), task


def model(kind: str = "gaussian", **options: object) -> vmtl.MultiTaskELBO:
    """The default model of `data`, in float64."""
    event = (3, 3) if kind == "classes" else (3,)
    settings = {
        "likelihood": LIKELIHOODS[kind](),
        "weights": vmtl.GaussianWeights(TASKS, event),
        "task_sizes": [EACH] * TASKS,
    }
    return vmtl.MultiTaskELBO(**(settings | options)).double()


@cache
def fitted(kind: str = "gaussian") -> Fitted:
    """Don't change it."""
    made, table = model(kind), data(kind)
    return Fitted(made, *table, vmtl.fit(made, *table, progress=False))
