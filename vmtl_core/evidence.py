r"""Gaussian algebra of the closed-form fit: what a task's data say, under a Gaussian prior.

Everything is for the P columns of w at once, D weights each, in standard units and float64, and may
have leading dimensions. A *site* (A, b) stands for a task's likelihood: exp(-w'Aw/2 + b'w + c).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussians(NamedTuple):
    """Gaussian laws of w: means (..., P, D) and covariances (..., P, D, D)."""

    loc: Tensor
    covariance: Tensor

    def join(self, other: Gaussians) -> Gaussians:
        """These tasks and then the other's, along the last dimension before P."""
        lead = self.loc.shape[:-3]
        loc, covariance = (t.expand(*lead, *t.shape[-n:]) for t, n in zip(other, (3, 4)))
        return Gaussians(
            torch.cat([self.loc, loc], -3), torch.cat([self.covariance, covariance], -4)
        )


class Updated(NamedTuple):
    """A Gaussian prior N(m, F F') after a site, all (..., P, ...)."""

    loc: Tensor
    root: Tensor
    """R with covariance R R', (..., P, D, D)."""
    log_evidence: Tensor
    """log of the integral of prior times site, without the site's constant c, (..., P)."""

    def gaussians(self) -> Gaussians:
        """Mean and covariance."""
        return Gaussians(self.loc, self.root @ self.root.mT)


def update(precision: Tensor, natural: Tensor, mean: Tensor, factor: Tensor) -> Updated:
    r"""Bayes' rule for a site and the prior N(mean, factor factor'). Equation (5.14).

    In u with w = m + F u: precision I + F'AF, natural mean F'(b - A m), so that nothing cancels
    where the prior is narrow, F near 0.

    Args:
        precision: A, (..., P, D, D).
        natural: b, (..., P, D).
        mean: m, (..., P, D), broadcasting.
        factor: F, (..., P, D, D), broadcasting.
    """
    pulled = natural - times(precision, mean)
    inner = factor.mT @ precision @ factor
    inner = inner + torch.eye(inner.shape[-1], dtype=inner.dtype, device=inner.device)
    lower = torch.linalg.cholesky(inner)
    whitened = times(factor.mT, pulled)
    half = torch.linalg.solve_triangular(lower, whitened.unsqueeze(-1), upper=False)
    root = torch.linalg.solve_triangular(lower, factor.mT.expand_as(inner), upper=False).mT
    loc = mean + times(root, half.squeeze(-1))
    log_evidence = (
        (natural * mean).sum(-1)
        - 0.5 * (mean * times(precision, mean)).sum(-1)
        + 0.5 * half.squeeze(-1).square().sum(-1)
        - log_diagonal(lower)
    )
    return Updated(loc, root, log_evidence)


def times(matrix: Tensor, vector: Tensor) -> Tensor:
    """matrix @ vector over leading dimensions."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def log_diagonal(factor: Tensor) -> Tensor:
    """Half the log determinant of factor factor', for triangular factors."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def log_normal(value: Tensor, sd: float) -> Tensor:
    """log N(value; 0, sd^2), elementwise."""
    return -0.5 * (value / sd).square() - math.log(sd * math.sqrt(2 * math.pi))
