"""A line, its exact posterior and a Gaussian q: the terms of chapter 1's identity (1.4).

Inputs may be counted from another place, x + c; the weights are then intercept and slope there.
`js/evidencemath.js` is the twin of this module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

NOISE, SCALE = (0.1, 5.0), (0.1, 5.0)
"""Where an M-step may take the noise and the prior's scale."""


class Terms(NamedTuple):
    """Of log p(y) = fit - KL + gap, in nats, each a scalar."""

    fit: Tensor
    """E_q log p(y|w)."""
    kl: Tensor
    """KL(q || prior)."""
    gap: Tensor
    """KL(q || exact posterior)."""
    evidence: Tensor
    """log p(y), from the joint density of all targets."""


@dataclass(frozen=True)
class Line:
    """Regression y = w_0 + w_1 (x + shift) + N(0, noise^2) with a Gaussian prior on w.

    Args:
        x: inputs, (N,).
        y: targets, (N,).
        noise: sigma.
        scale: tau, of the prior N(0, tau^2 I).
        shift: c.
        same_lines: whether the prior is carried along, so that it says of every line what it said at
            shift 0; otherwise it is N(0, tau^2 I) on the shifted weights.
    """

    x: Tensor
    y: Tensor
    noise: float
    scale: float
    shift: float
    same_lines: bool

    @property
    def design(self) -> Tensor:
        """Rows (1, x + c), (N, 2)."""
        return torch.stack([torch.ones_like(self.x), self.x + self.shift], -1)

    @property
    def prior(self) -> MultivariateNormal:
        """Of intercept and slope; carried along it is the law of (w_0 - c w_1, w_1)."""
        moved = torch.eye(2, dtype=torch.float64)
        moved[0, 1] = -self.shift if self.same_lines else 0.0
        lower = torch.linalg.cholesky(self.scale**2 * moved @ moved.mT)
        return MultivariateNormal(torch.zeros_like(moved[0]), scale_tril=lower)

    @property
    def posterior(self) -> MultivariateNormal:
        """Equation (1.5) with this prior."""
        precision = self.prior.precision_matrix + self.design.T @ self.design / self.noise**2
        covariance = torch.linalg.inv(precision)
        mean = covariance @ self.design.T @ self.y / self.noise**2
        return MultivariateNormal(mean, (covariance + covariance.mT) / 2)

    def squares(self, q: MultivariateNormal) -> Tensor:
        """E_q ||y - X w||^2."""
        doubt = (self.design @ q.covariance_matrix * self.design).sum()
        return (self.y - self.design @ q.mean).square().sum() + doubt

    def terms(self, q: MultivariateNormal) -> Terms:
        """The terms of (1.4) for any q."""
        count, variance = len(self.y), self.noise**2
        fit = -0.5 * (count * math.log(2 * math.pi * variance) + self.squares(q) / variance)
        spread = self.design @ self.prior.covariance_matrix @ self.design.T
        joint = MultivariateNormal(
            torch.zeros_like(self.y), spread + variance * torch.eye(count, dtype=torch.float64)
        )
        return Terms(
            fit,
            kl_divergence(q, self.prior),
            kl_divergence(q, self.posterior),
            joint.log_prob(self.y),
        )

    def e_step(self, diagonal: bool) -> MultivariateNormal:
        """The q of the smallest gap: the posterior, or the diagonal Gaussian closest to it."""
        exact = self.posterior
        if not diagonal:
            return exact
        narrow = 1 / exact.precision_matrix.diagonal()
        return MultivariateNormal(exact.mean, narrow.diag())

    def m_step_noise(self, q: MultivariateNormal) -> float:
        """The sigma of the greatest bound for this q, (1.6), kept in `NOISE`."""
        found = (self.squares(q) / len(self.y)).sqrt().item()
        return min(max(found, NOISE[0]), NOISE[1])

    def m_step_scale(self, q: MultivariateNormal) -> float:
        """The tau of the greatest bound for this q, kept in `SCALE`."""
        second = q.covariance_matrix + torch.outer(q.mean, q.mean)
        unit = self.scale**2 * self.prior.precision_matrix
        found = ((unit * second).sum() / 2).sqrt().item()
        return min(max(found, SCALE[0]), SCALE[1])

    def sd_of_lines(self, law: MultivariateNormal, x: Tensor) -> Tensor:
        """Standard deviation of w_0 + w_1 (x + c) under a law of the weights, (n,)."""
        at = torch.stack([torch.ones_like(x), x + self.shift], -1)
        return (at @ law.covariance_matrix * at).sum(-1).sqrt()


def gaussian(mean: tuple[float, ...], sds: tuple[float, ...], slant: float) -> MultivariateNormal:
    """Two weights with these means, standard deviations and correlation."""
    covariance = torch.tensor(
        [[sds[0] ** 2, slant * sds[0] * sds[1]], [slant * sds[0] * sds[1], sds[1] ** 2]],
        dtype=torch.float64,
    )
    return MultivariateNormal(torch.tensor(mean, dtype=torch.float64), covariance)
