"""Importance sampling of a few numbers: a Student t about the mode, fitted once more to its own draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from vmtl_core.quasi_newton import curvature

Target = Callable[[Tensor], Sequence[Tensor]]
FREEDOM = 6.0
"""Degrees of freedom of the Student t."""


class Sampled(NamedTuple):
    """S weighted draws of n numbers."""

    moves: Tensor
    """(S, n)."""
    log_weights: Tensor
    """Normalised, (S,)."""
    log_evidence: float
    """Log of the target's integral."""
    rest: list[Tensor]
    """What else the target gave."""

    @property
    def effective(self) -> float:
        """Effective number of draws."""
        return effective(self.log_weights)


def effective(log_weights: Tensor) -> float:
    """Effective number of draws of normalised log weights."""
    return float(1 / (2 * log_weights).exp().sum())


def sample(target: Target, like: Tensor, count: int, block: int, seed: int) -> Sampled:
    """Draws from the density proportional to exp(target), whose mode is near 0.

    Args:
        target: log density of S moves (S, n), up to a constant, as (S,), and whatever else.
        like: zeros, (n,).
        count: S; half as many come before them.
        block: so many moves at a time.
        seed: of the quasi-random numbers.
    """
    centre, root = like, laplace(target, like)
    for again in (False, True):
        moves, log_proposal = student(centre, root, count if again else count // 2, seed + again)
        with torch.no_grad():
            blocks = [target(some) for some in moves.split(block)]
        values, *rest = (torch.cat(one) for one in zip(*blocks, strict=True))
        log_weights, log_evidence = truncated(values - log_proposal)
        if not again:
            centre, root = refit(moves, log_weights.exp().unsqueeze(-1), root)
    return Sampled(moves, log_weights, log_evidence, rest)


def truncated(log_weights: Tensor) -> tuple[Tensor, float]:
    """Normalised, none above sqrt(S) times their mean, and the log of the mean that is left.

    A far draw that chance has made is not the answer.

    References:
        Ionides, *Truncated Importance Sampling*, 2008.
    """
    count = len(log_weights)
    mean = log_weights.logsumexp(0) - math.log(count)
    kept = log_weights.clamp_max(mean + 0.5 * math.log(count))
    return kept.log_softmax(0), float(kept.logsumexp(0)) - math.log(count)


def refit(moves: Tensor, weights: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and root of the covariance of weighted draws, the latter drawn towards `root`."""
    centre = (weights * moves).sum(0)
    spread = (weights * (moves - centre)).mT @ (moves - centre)
    share = effective(weights.log()) / (effective(weights.log()) + 2 * len(centre))
    return centre, torch.linalg.cholesky(share * spread + (1 - share) * root @ root.mT)


def laplace(target: Target, mode: Tensor) -> Tensor:
    """Root of the proposal's covariance: the inverse curvature at the mode, sds from 0.02 to 1."""

    def gradients(at: Tensor) -> Tensor:
        at = at.requires_grad_(True)
        return torch.autograd.grad(target(at)[0].sum(), at)[0]

    size, vectors = torch.linalg.eigh(curvature(gradients, mode))
    return vectors * size.clamp(1.0, 2500.0).rsqrt()


def student(centre: Tensor, root: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Quasi-random draws of a multivariate Student t, (S, n), and their log density."""
    size = len(centre)
    uniform = SobolEngine(size + 1, scramble=True, seed=seed).draw(count, dtype=torch.float64)
    uniform = uniform.clamp(1e-9, 1 - 1e-9).to(centre)
    normal = math.sqrt(2) * torch.erfinv(2 * uniform[:, :size] - 1)
    chosen = math.sqrt(2) * torch.erfinv(2 * uniform[:, size] - 1)
    # A chi-square over its degrees of freedom, by Wilson and Hilferty's cube of a normal.
    cube = 1 - 2 / (9 * FREEDOM) + math.sqrt(2 / (9 * FREEDOM)) * chosen
    spread = cube.clamp_min(0.2).pow(3).rsqrt()
    move = normal * spread.unsqueeze(1)
    log_density = -0.5 * (FREEDOM + size) * torch.log1p(move.square().sum(1) / FREEDOM)
    constant = math.lgamma((FREEDOM + size) / 2) - math.lgamma(FREEDOM / 2)
    constant -= size / 2 * math.log(FREEDOM * math.pi)
    return centre + move @ root.mT, log_density + constant - torch.linalg.slogdet(root)[1]


def in_proportion(weights: Tensor, total: int) -> Tensor:
    """Integers of sum `total`, as near to `weights * total` as can be; no chance involved."""
    share = torch.tensor(weights.tolist(), dtype=torch.float64) * total
    counts = share.floor().long()
    rest = (share - counts).argsort(descending=True, stable=True)[: total - int(counts.sum())]
    counts[rest] += 1
    return counts
