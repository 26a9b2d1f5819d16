"""Sufficient statistics of linear regressions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vmtl_core.lab.datasets import MultiTaskData


@dataclass(frozen=True, eq=False)
class Moments:
    """Sufficient statistics of each task's data, in float64.

    Attributes:
        gram: sum of x x', ``(T, D, D)``.
        cross: sum of x y, ``(T, D)``.
        square: sum of y^2, ``(T,)``.
        count: number of examples, ``(T,)``.
    """

    gram: Tensor
    cross: Tensor
    square: Tensor
    count: Tensor


def task_moments(data: MultiTaskData, intercept: bool) -> Moments:
    """Sufficient statistics of every task, ``T`` of them, in float64."""
    x, y = design(data.x, intercept), data.y.double()
    tasks, inputs = data.tasks, x.shape[1]
    gram = x.new_zeros(tasks, inputs, inputs).index_add_(0, data.task, x[:, :, None] * x[:, None])
    cross = x.new_zeros(tasks, inputs).index_add_(0, data.task, x * y[:, None])
    square = x.new_zeros(tasks).index_add_(0, data.task, y * y)
    return Moments(gram, cross, square, torch.bincount(data.task, minlength=tasks).double())


def design(x: Tensor, intercept: bool) -> Tensor:
    """Inputs ``(N, D)`` in float64, behind a column of ones if there is an intercept."""
    x = x.double()
    return torch.cat([x.new_ones(len(x), 1), x], dim=1) if intercept else x
