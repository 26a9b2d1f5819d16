"""Gaussian posteriors with full covariance, a family made outside the core.

All that the core asks of a family is a torch Distribution whose parameters are tensors, and a KL
registered with torch. The KL of torch's own `MultivariateNormal` is registered, but solves a linear
system for every pair; here all pairs are one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, register_kl

from vmtl_core.distributions import diagonal_gaussian


class FullGaussian(MultivariateNormal):
    """N(loc, scale_tril scale_tril^T), a `MultivariateNormal` with a fast KL to many others."""


class FullGaussianWeights(nn.Module):
    """q(w_t|D_t) = N(mean_t, L_t L_t^T) for every task, free parameters.

    The same as `GaussianWeights`, but the coordinates of w may be correlated. Called without
    arguments it returns a Distribution of batch shape (T,) and event shape (D,).

    Args:
        tasks: T, at least 2.
        event_shape: (D,), the shape of one task's w.
        initial_scale: standard deviation that every coordinate starts from; means start at 0.
    """

    def __init__(self, tasks: int, event_shape: Sequence[int], initial_scale: float = 0.3):
        super().__init__()
        (size,) = event_shape
        self.loc = nn.Parameter(torch.zeros(tasks, size))
        self.log_diagonal = nn.Parameter(torch.full((tasks, size), math.log(initial_scale)))
        self.below = nn.Parameter(torch.zeros(tasks, size, size))

    def forward(self) -> FullGaussian:
        factor = torch.diag_embed(self.log_diagonal.exp()) + self.below.tril(-1)
        return FullGaussian(self.loc, scale_tril=factor, validate_args=False)


@register_kl(FullGaussian, MultivariateNormal)
def kl_full_full(q: FullGaussian, p: MultivariateNormal) -> Tensor:
    r"""KL(q || p) for batch shapes that broadcast.

    Equation (9.7), with P the precision of p:

    $$ \tfrac12 \big( \mathrm{tr}(P S) + (m - m')^\top P (m - m') - D - \log\det P S \big) $$
    """
    precision = torch.cholesky_inverse(p.scale_tril)
    return _kl(q, p.loc, precision, 2 * _half_log_det(p.scale_tril))


@register_kl(FullGaussian, Independent)
def kl_full_diagonal(q: FullGaussian, p: Independent) -> Tensor:
    """KL(q || p) for a diagonal Gaussian p."""
    parameters = diagonal_gaussian(p)
    if parameters is None:
        return NotImplemented
    mean, scale = parameters
    precision = torch.diag_embed(scale.square().reciprocal())
    return _kl(q, mean, precision, 2 * scale.log().sum(-1))


def _half_log_det(factor: Tensor) -> Tensor:
    """Half the log determinant of L L^T."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _kl(q: FullGaussian, mean: Tensor, precision: Tensor, log_det: Tensor) -> Tensor:
    """(9.7) from the precision of p and the log determinant of its covariance.

    With one leading dimension of q against one of p the trace and the quadratic form are products
    of matrices with D^2 columns.
    """
    centre = mean.detach().mean(tuple(range(mean.ndim - 1)))
    m, mean = q.loc - centre, mean - centre
    moment = q.scale_tril @ q.scale_tril.mT + m.unsqueeze(-1) * m.unsqueeze(-2)
    shift = (precision @ mean.unsqueeze(-1)).squeeze(-1)
    if m.ndim == 3 and m.shape[1] == 1 and mean.ndim == 2:
        quadratic = moment.flatten(1) @ precision.flatten(1).T - 2 * m[:, 0] @ shift.T
    else:
        quadratic = (moment * precision).sum((-2, -1)) - 2 * (m * shift).sum(-1)
    constant = (mean * shift).sum(-1) + log_det
    own = 2 * _half_log_det(q.scale_tril) + m.shape[-1]
    return 0.5 * (quadratic + constant - own)
