"""E log p(y|x'w) under Gaussian w: one-dimensional expectations, exact or by fixed nodes."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional as F
from torch.quasirandom import SobolEngine

from vmtl_core._precision import full_precision, outside_autocast
from vmtl_core._rows import place_in_task
from vmtl_core.distributions import diagonal_gaussian, full_gaussian

NODES, REACH = 61, 7.5
"""The trapezoidal rule for one predictor: equidistant nodes, and how many sds they span."""
CLASS_NODES = 64
"""Quasi-random nodes for the predictors of several classes together."""


@lru_cache(maxsize=8)
def _trapezoid(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    nodes = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    weights = torch.softmax(-0.5 * nodes.square(), 0)
    return nodes.to(dtype).to(device), weights.to(dtype).to(device)  # float64 stays here


def normal_nodes(like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights of E f(u), u ~ N(0, 1), by the trapezoidal rule, each (NODES,).

    For a Gaussian times a smooth function its error falls geometrically with the number of nodes,
    and slower than that of Gauss-Hermite nodes does it grow with the spread of the predictor.

    References:
        Trefethen and Weideman, *The Exponentially Convergent Trapezoidal Rule*, 2014.
    """
    return _trapezoid(like.dtype, like.device)


@lru_cache(maxsize=8)
def _sobol(classes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    half = SobolEngine(classes, scramble=True, seed=0).draw(CLASS_NODES // 2, dtype=torch.float64)
    nodes = math.sqrt(2) * torch.erfinv((2 * half - 1).clamp(-1 + 1e-6, 1 - 1e-6))
    nodes = torch.cat([nodes, -nodes])
    return (nodes / nodes.square().mean(0).sqrt()).to(dtype).to(device)


def class_nodes(like: Tensor) -> Tensor:
    """Nodes of equal weight of N(0, I) in C dimensions, (CLASS_NODES, C), for `like` (..., C).

    A scrambled Sobol sequence, each node with its mirror image, scaled to variance 1: the same
    nodes always, so that an objective made of them does not change from call to call.
    """
    return _sobol(like.shape[-1], like.dtype, like.device)


def expected_softplus(mean: Tensor, variance: Tensor | None) -> Tensor:
    """E log(1 + exp(eta)), eta ~ N(mean, variance), by `normal_nodes`; the shape of `mean`.

    At the mean, if there is no variance.
    """
    if variance is None:
        return F.softplus(mean)
    nodes, weights = normal_nodes(mean)
    sd = variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt()
    return F.softplus(mean.unsqueeze(-1) + sd.unsqueeze(-1) * nodes) @ weights


def expected_log_normaliser(mean: Tensor, variance: Tensor | None) -> Tensor:
    """E log sum_c exp(eta_c), eta_c ~ N(mean_c, variance_c) independent; (..., C) to (...).

    At the mean, if there is no variance.
    """
    if variance is None:
        return mean.logsumexp(-1)
    sd = variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt()
    nodes = class_nodes(mean)
    nodes = nodes.view(len(nodes), *[1] * (mean.ndim - 1), -1)
    return (mean + sd * nodes).logsumexp(-1).mean(0)


@outside_autocast
def linear_moments(q: Distribution, x: Tensor, task: Tensor) -> tuple[Tensor, Tensor] | None:
    """Mean and variance of every row's predictor x'w_t, each (B,), or (B, P) for P columns.

    Args:
        q: Gaussian q(w|D_t), batch shape (T,), events (D,) or (D, P); D may count an intercept,
            the last one, that `x` has no column for.
        x: shape (B, D).
        task: shape (B,).

    Returns:
        None where q isn't Gaussian or doesn't fit x: the general path says what is wrong.
    """
    parameters = full_gaussian(q)
    if parameters is None or x.ndim != 2 or not q.event_shape:
        return None
    rows = q.event_shape[0]
    if rows not in (x.shape[1], x.shape[1] + 1):
        return None
    full_precision("weights", parameters[0].dtype)
    x = x.to(parameters[0].dtype)
    if rows > x.shape[1]:
        x = F.pad(x, (0, 1), value=1.0)
    diagonal = diagonal_gaussian(q)
    scale = None if diagonal is None else diagonal[1].unflatten(-1, (rows, -1))
    mean, variance = _moments(parameters, scale, x, task)
    vector = len(q.event_shape) == 1
    return (mean[..., 0], variance[..., 0]) if vector else (mean, variance)


def _moments(
    parameters: tuple[Tensor, Tensor], scale: Tensor | None, x: Tensor, task: Tensor
) -> tuple[Tensor, Tensor]:
    """Rows are padded to (T, B_max, D), so that a task's factor is used once, not once a row."""
    loc, factor = parameters
    if torch.compiler.is_compiling():  # the padded shape depends on the data
        mean = torch.einsum("bd,bpd->bp", x, loc[task])
        return mean, torch.einsum("bd,bpde->bpe", x, factor[task]).square().sum(-1)
    place = place_in_task(task, len(loc))
    padded = x.new_zeros(len(loc), int(place.max()) + 1 if len(place) else 1, x.shape[1])
    padded[task, place] = x
    mean = padded @ loc.mT
    if scale is None:
        spread = (padded.unsqueeze(1) @ factor).square().sum(-1).mT
    else:
        spread = padded.square() @ scale.square()
    return mean[task, place], spread[task, place]


def has_expectation(likelihood: Any) -> bool:
    """Whether every one of a likelihood, or of a list of them, knows its `expected_log_prob`."""
    each = likelihood if isinstance(likelihood, list) else [likelihood]
    return all(hasattr(one, "expected_log_prob") for one in each)
