"""The other half of the closed-form fit: every task under the mixture of what the others say.

At fixed responsibilities phi the bound (4.4) has its best Gaussian in closed form, the posterior
under the product of the components raised to the powers phi, (5.16); the best phi are in closed
form too, (4.5). The two alternate. In standard units and float64 throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vmtl_core.evidence import Gaussians, log_diagonal, times
from vmtl_core.mixing import tempered_log_softmax


class Components(NamedTuple):
    """What the prior is made of: K Gaussians, in the parameters that products add up.

    There may be leading dimensions.
    """

    loc: Tensor
    """(K, P, D)."""
    precision: Tensor
    """(K, P, D, D)."""
    log_det: Tensor
    """log determinant of the precision, summed over columns, (K,)."""

    @property
    def natural(self) -> Tensor:
        """Precision times mean, (K, P, D)."""
        return times(self.precision, self.loc)

    @property
    def square(self) -> Tensor:
        """Mean' precision mean, summed over columns, (K,)."""
        return (self.natural * self.loc).sum((-2, -1))


def components(laws: Gaussians) -> Components:
    """The same Gaussians by their precisions."""
    lower = torch.linalg.cholesky(laws.covariance)
    precision = torch.cholesky_inverse(lower)
    return Components(laws.loc, precision, -2 * log_diagonal(lower).sum(-1))


def kl_pairs(q: Gaussians, log_det: Tensor, parts: Components, columns: Tensor | None) -> Tensor:
    """KL(q_t || p_k) of every pair, or of the pairs (t, columns[t, j]), (..., T, K), (4.8).

    Args:
        q: (..., T, P, ...).
        log_det: log determinant of q's covariances, summed over columns, (..., T).
        parts: the components.
        columns: which components each task has, (T, K); None for all.
    """
    second = (q.covariance + q.loc.unsqueeze(-1) * q.loc.unsqueeze(-2)).flatten(-3)
    precision, natural, loc = (
        parts.precision.flatten(-3),
        parts.natural.flatten(-2),
        q.loc.flatten(-2),
    )
    constant = (parts.square - parts.log_det - loc.shape[-1]).unsqueeze(-2)
    if columns is None:
        cross = second @ precision.mT - 2 * loc @ natural.mT + constant
    else:
        cross = torch.einsum("...ti,...tki->...tk", second, precision[..., columns, :])
        linear = torch.einsum("...ti,...tki->...tk", loc, natural[..., columns, :])
        cross = cross - 2 * linear + constant[..., 0, columns]
    return 0.5 * (cross - log_det.unsqueeze(-1))


def kl_total(phi: Tensor, q: Gaussians, parts: Components, columns: Tensor | None) -> Tensor:
    """sum_tk phi_tk KL(q_t || p_k), without what depends on q alone; gradients for `parts` only.

    The tasks are added up first, so that what is differentiated doesn't grow with their number.
    """
    with torch.no_grad():
        second = q.covariance + q.loc.unsqueeze(-1) * q.loc.unsqueeze(-2)
        values = torch.cat([second.flatten(1), q.loc.flatten(1), torch.ones_like(phi[:, :1])], 1)
        if columns is None:
            total = phi.T @ values
        else:
            total = values.new_zeros(len(parts.loc), values.shape[1])
            weighted = phi.unsqueeze(-1) * values.unsqueeze(1)
            total.index_add_(0, columns.flatten(), weighted.flatten(0, 1))
        numbers = parts.loc[0].numel()
        second, loc, count = total.split([values.shape[1] - numbers - 1, numbers, 1], 1)
    natural = parts.natural
    cross = (parts.precision.flatten(1) * second).sum() - 2 * (natural.flatten(1) * loc).sum()
    square = (natural * parts.loc).sum((-2, -1))
    return 0.5 * (cross + (count[:, 0] * (square - parts.log_det)).sum())


def pooled(phi: Tensor, values: Tensor, columns: Tensor | None) -> Tensor:
    """sum_k phi_tk values_k, (..., T, ...), for phi (..., T, K) and values (..., K, ...)."""
    lead = phi.ndim - 2
    flat, event = values.flatten(lead + 1), values.shape[lead + 1 :]
    if columns is None:
        return (phi @ flat).unflatten(-1, event)
    total = torch.einsum("...tk,...tki->...ti", phi, flat[..., columns, :])
    return total.unflatten(-1, event)


@dataclass
class Weights:
    """log alpha for a fixed set of Gumbel draws, (R, T, K), and what becomes of the divergence."""

    gumbel: Tensor
    """(R, T, K)."""
    excluded: Tensor
    """(T, K), boolean."""
    temperature: float
    convex: bool

    def log_alpha(self, logits: Tensor) -> Tensor:
        """As in (3.3), (R, T, K)."""
        scores = logits.masked_fill(self.excluded, -torch.inf) + self.gumbel
        return tempered_log_softmax(scores, self.temperature)

    def responsibilities(self, log_alpha: Tensor, kl: Tensor) -> Tensor:
        """phi of every draw, (4.5); alpha itself for the convex bound, (R, ..., T, K)."""
        wide = log_alpha.view(len(log_alpha), *[1] * (kl.ndim - 2), *log_alpha.shape[1:])
        return wide.exp() if self.convex else torch.softmax(wide - kl, -1)

    def climb(
        self, logits: Tensor, log_alpha: Tensor, kl: Tensor, start: Tensor, hold: float
    ) -> tuple[Tensor, Tensor]:
        """One Newton step on the logits, with a diagonal curvature; rows are independent.

        Args:
            logits: (T, K).
            log_alpha: of these logits, (R, T, K).
            kl: (T, K).
            start: where the hyperprior wants the logits, (T, K).
            hold: 1 with the hyperprior, 0 without.

        Returns:
            The new logits, and log alpha there. A row whose objective fell takes a shorter step.
        """
        alpha, tau = log_alpha.exp(), self.temperature
        if self.convex:
            kept = kl.masked_fill(self.excluded, 0.0)
            surplus = alpha * ((alpha * kept).sum(-1, keepdim=True) - kept)
        else:
            surplus = torch.softmax(log_alpha - kl, -1) - alpha
        slope = surplus.mean(0) / tau - hold * (logits - start)
        curvature = (alpha * (1 - alpha)).mean(0) / tau**2 + max(hold, 0.05)
        step = (slope / curvature).clamp(-1.0, 1.0).masked_fill(self.excluded, 0.0)

        def value(at: Tensor, there: Tensor) -> Tensor:
            held = -0.5 * hold * (at - start).masked_fill(self.excluded, 0.0).square().sum(-1)
            return held - self.divergence(there, kl)

        present, size = value(logits, log_alpha), torch.ones_like(logits[:, :1])
        for shrink in (0.3, 0.3, 0.0):
            there = self.log_alpha(logits + size * step)
            worse = value(logits + size * step, there) < present
            if shrink == 0.0 or not bool(worse.any()):
                break
            size = torch.where(worse[:, None], shrink * size, size)
        if bool(worse.any()):
            size = size.masked_fill(worse[:, None], 0.0)
            there = self.log_alpha(logits + size * step)
        return logits + size * step, there

    def divergence(self, log_alpha: Tensor, kl: Tensor) -> Tensor:
        """Mean over the draws of (4.4), or of (4.3), (T,)."""
        if self.convex:
            return (log_alpha.exp() * kl.masked_fill(self.excluded, 0.0)).sum(-1).mean(0)
        return -(log_alpha - kl).logsumexp(-1).mean(0)


class Product(NamedTuple):
    """prod_k p_k^phi_k for every task: a Gaussian, not normalised. Equation (5.16).

    There may be leading dimensions.
    """

    loc: Tensor
    """(T, P, D)."""
    factor: Tensor
    """F with covariance F F', (T, P, D, D)."""
    log_mass: Tensor
    """log of its integral, (T,)."""


def product(phi: Tensor, parts: Components, columns: Tensor | None) -> Product:
    """The components raised to the powers phi, (..., T, K), rows of which sum to 1."""
    precision = pooled(phi, parts.precision, columns)
    natural = pooled(phi, parts.natural, columns)
    lower = torch.linalg.cholesky(precision)
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device).expand_as(lower)
    factor = torch.linalg.solve_triangular(lower, eye, upper=False).mT
    half = times(factor.mT, natural)
    single = parts.log_det - parts.square
    single = single.unsqueeze(-2) if columns is None else single[..., columns]
    each = (phi * single).sum(-1)
    log_mass = 0.5 * (each + half.square().sum((-2, -1))) - log_diagonal(lower).sum(-1)
    return Product(times(factor, half), factor, log_mass)
