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
    """What the prior is made of: K Gaussians, in the parameters that products add up."""

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
    """KL(q_t || p_k) of every pair, or of the pairs (t, columns[t, j]), (T, K), (4.8).

    Args:
        q: (T, P, ...).
        log_det: log determinant of q's covariances, summed over columns, (T,).
        parts: the components.
        columns: which components each task has, (T, K); None for all.
    """
    second = (q.covariance + q.loc.unsqueeze(-1) * q.loc.unsqueeze(-2)).flatten(1)
    precision, natural = parts.precision.flatten(1), parts.natural.flatten(1)
    size = q.loc[0].numel()
    constant = parts.square - parts.log_det - size
    if columns is None:
        cross = second @ precision.T - 2 * q.loc.flatten(1) @ natural.T + constant
    else:
        cross = torch.einsum("ti,tki->tk", second, precision[columns])
        cross = cross - 2 * torch.einsum("ti,tki->tk", q.loc.flatten(1), natural[columns])
        cross = cross + constant[columns]
    return 0.5 * (cross - log_det.unsqueeze(-1))


def pooled(phi: Tensor, values: Tensor, columns: Tensor | None) -> Tensor:
    """sum_k phi_tk values_k, (T, ...)."""
    if columns is None:
        return (phi @ values.flatten(1)).unflatten(1, values.shape[1:])
    return torch.einsum("tk,tk...->t...", phi, values[columns])


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
        """phi of every draw, (4.5); alpha itself for the convex bound, (R, T, K)."""
        return log_alpha.exp() if self.convex else torch.softmax(log_alpha - kl, -1)

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
    """prod_k p_k^phi_k for every task: a Gaussian, not normalised. Equation (5.16)."""

    loc: Tensor
    """(T, P, D)."""
    factor: Tensor
    """F with covariance F F', (T, P, D, D)."""
    log_mass: Tensor
    """log of its integral, (T,)."""


def product(phi: Tensor, parts: Components, columns: Tensor | None) -> Product:
    """The components raised to the powers phi, (T, K), rows of which sum to 1."""
    precision = pooled(phi, parts.precision, columns)
    natural = pooled(phi, parts.natural, columns)
    lower = torch.linalg.cholesky(precision)
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device).expand_as(lower)
    factor = torch.linalg.solve_triangular(lower, eye, upper=False).mT
    half = times(factor.mT, natural)
    single = parts.log_det - parts.square
    each = phi @ single if columns is None else (phi * single[columns]).sum(-1)
    log_mass = 0.5 * (each + half.square().sum((-2, -1))) - log_diagonal(lower).sum(-1)
    return Product(times(factor, half), factor, log_mass)
