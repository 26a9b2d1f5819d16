"""One weight of a receiver under the mixture prior (2.4): the exact posterior, and the best Gaussian.

What is computed is the library's; `js/mixturemath.js` is its twin.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import MixtureSameFamily, Normal

from vmtl_core import divergences
from vmtl_core.distributions import widen
from vmtl_core.evidence import Gaussians, update
from vmtl_core.mixture import components, product
from vmtl_core.priors import mixture_prior

NOISE = 1.0
"""sigma of one row."""
BASE = (0.0, 1.0)
"""Mean and standard deviation of p_0."""
ROUNDS = 300
"""Of posterior and responsibilities, from each start."""
GRID = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
"""Where densities are integrated."""


class Found(NamedTuple):
    """The best Gaussian under a bound on the KL, and what is lost; scalars, in nats."""

    q: Normal
    elbo: Tensor
    """Expected log likelihood minus the bound."""
    slack: Tensor
    """Bound minus KL(q || prior)."""
    gap: Tensor
    """KL(q || exact posterior)."""
    phi: Tensor
    """Exponents of the components in the product of which q is the posterior, (K,)."""


class Receiver(NamedTuple):
    """What the receiver has: a sample mean of so many rows, and a prior.

    Args:
        centre: the sample mean.
        rows: N.
        parts: components of the prior, the base last, batch shape (K,).
        log_weights: their log weights, (K,).
    """

    centre: float
    rows: int
    parts: Normal
    log_weights: Tensor

    @property
    def variance(self) -> float:
        """Of the sample mean."""
        return NOISE**2 / self.rows

    @property
    def prior(self) -> MixtureSameFamily:
        """Equation (2.4) for one receiver."""
        return mixture_prior(self.parts, self.log_weights)

    @property
    def log_evidences(self) -> Tensor:
        """log Z_k of every component: the log density of the sample mean under it, (K,)."""
        spread = (self.parts.variance + self.variance).sqrt()
        return Normal(self.parts.mean, spread).log_prob(
            torch.tensor(self.centre, dtype=torch.float64)
        )

    @property
    def log_evidence(self) -> Tensor:
        """log sum_k alpha_k Z_k, a scalar."""
        return (self.log_weights + self.log_evidences).logsumexp(0)

    @property
    def probabilities(self) -> Tensor:
        """Equation (2.8), (K,)."""
        return (self.log_weights + self.log_evidences).softmax(0)

    @property
    def posteriors(self) -> Normal:
        """Under each component alone, batch shape (K,)."""
        return self._posterior(torch.eye(len(self.log_weights), dtype=torch.float64))

    def log_posterior(self, w: Tensor) -> Tensor:
        """log density of the exact posterior at w (n,), shape (n,)."""
        each = self.posteriors.log_prob(w[:, None])
        return (self.probabilities.log() + each).logsumexp(-1)

    def _posterior(self, phi: Tensor) -> Normal:
        """Posteriors under the products of the components to the powers phi (S, K), batch (S,)."""
        laws = Gaussians(self.parts.mean.view(-1, 1, 1), self.parts.variance.view(-1, 1, 1, 1))
        prior = product(phi, components(laws), None)
        site = torch.full((1, 1, 1, 1), 1 / self.variance, dtype=torch.float64)
        found = update(site, site.squeeze(-1) * self.centre, prior.loc, prior.factor)
        return Normal(found.loc.flatten(), found.root.abs().flatten())

    def elbo(self, q: Normal, method: str) -> Tensor:
        """Of Gaussians of batch shape (S,), with a bound on the KL for the KL, (S,)."""
        seen = Normal(q.mean, self.variance**0.5).log_prob(
            torch.tensor(self.centre, dtype=torch.float64)
        )
        fit = seen - 0.5 * q.variance / self.variance
        return fit - divergences.kl_to_mixture(q, self.parts, self.log_weights, method)

    def best(self, method: str) -> Found:
        """The Gaussian of the greatest ELBO, by coordinate ascent from every component.

        Args:
            method: "jensen" or "convex".
        """
        alpha = self.log_weights.exp()
        if method == "convex":
            phi = alpha[None]
        else:
            phi = torch.cat([torch.eye(len(alpha), dtype=torch.float64)[alpha > 0], alpha[None]])
            for _ in range(ROUNDS):
                kl = divergences.pairwise_kl(self._posterior(phi), self.parts)
                phi = divergences.responsibilities(kl, self.log_weights)
        q = self._posterior(phi)
        elbo = self.elbo(q, method)
        top = int((elbo >= elbo.max() - 1e-10).nonzero()[0])
        return self._judged(Normal(q.mean[top], q.stddev[top]), elbo[top], phi[top])

    def _judged(self, q: Normal, elbo: Tensor, phi: Tensor) -> Found:
        w = q.mean + q.stddev * torch.linspace(-12, 12, len(GRID), dtype=torch.float64)
        log_q = q.log_prob(w)
        gap = torch.trapezoid(log_q.exp() * (log_q - self.log_posterior(w)), w)
        return Found(q, elbo, self.log_evidence - gap - elbo, gap, phi)


def receiver(centre: float, rows: int, width: float, base: float, sources: Normal) -> Receiver:
    """A receiver whose prior is made of the sources' posteriors, widened, and of p_0.

    Args:
        centre: sample mean.
        rows: N.
        width: transfer width delta.
        base: alpha_0; the sources share the rest evenly.
        sources: their posteriors, batch shape (K - 1,).
    """
    wide = widen(sources, torch.tensor(width, dtype=torch.float64))
    ends = torch.tensor(BASE, dtype=torch.float64)
    parts = Normal(torch.cat([wide.mean, ends[:1]]), torch.cat([wide.stddev, ends[1:]]))
    count = len(wide.mean)
    alpha = torch.tensor([(1 - base) / count] * count + [base], dtype=torch.float64)
    return Receiver(centre, rows, parts, alpha.log())
