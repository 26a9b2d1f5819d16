"""Two tasks with a linear encoder each, and the prior of the latents (5.1e) that they make.

What is computed is the library's; `js/latentmath.js` is its twin.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from vmtl_core import divergences
from vmtl_core.lab.widgets._noise import gumbel
from vmtl_core.mixing import tempered_log_softmax
from vmtl_core.posteriors import SMALLEST_SCALE, GaussianEncoder
from vmtl_core.priors import latent_components

TASKS, DRAWS = 2, 200
"""Tasks; draws of the Gumbel noise, of which the first is the one that is shown."""
TAUS = torch.logspace(-1.5, 1.5, 41, dtype=torch.float64)
"""Temperatures at which KL_z is drawn."""


@dataclass(frozen=True)
class Latents:
    """One receiver's rows, both encoders, and what is preferred to what.

    Args:
        x: the receiver's rows, (N,).
        slopes, intercepts, sds: of both encoders, (2,) each.
        preference: log pi of the other task minus that of the base prior N(0, 1).
        receiver: whose rows they are, 0 or 1.
        seed: of the Gumbel noise; None for none.
    """

    x: Tensor
    slopes: Tensor
    intercepts: Tensor
    sds: Tensor
    preference: float
    receiver: int
    seed: int | None

    def encoder(self) -> GaussianEncoder:
        """The library's encoder with these parameters, (5.1d)."""
        made = GaussianEncoder(TASKS, 1, 1).double()
        raw = (self.sds - SMALLEST_SCALE).expm1().log()
        with torch.no_grad():
            made.matrices[0].copy_(torch.stack([self.slopes, 0 * raw], -1).unsqueeze(1))
            made.biases[0].copy_(torch.stack([self.intercepts, raw], -1).unsqueeze(1))
        return made

    def encodings(self) -> Distribution:
        """Both encoders on all rows, batch shape (N, 2)."""
        with torch.no_grad():
            every = self.encoder()(self.x[:, None])
        return Independent(Normal(every.mean.transpose(0, 1), every.stddev.transpose(0, 1)), 1)

    def q(self) -> Distribution:
        """The receiver's own encoder, batch shape (N,)."""
        both = self.encodings()
        mean, sd = both.mean[:, self.receiver], both.stddev[:, self.receiver]
        return Independent(Normal(mean, sd), 1)

    def log_beta(self, tau: float, draws: int = 1) -> Tensor:
        """log of the mixing weights (3.3), the base last and the receiver's own -inf, (draws, 3)."""
        scores = torch.zeros(TASKS + 1, dtype=torch.float64)
        scores[1 - self.receiver] = self.preference
        scores[self.receiver] = -torch.inf
        if self.seed is not None:
            scores = scores + gumbel(self.seed, DRAWS, TASKS + 1)[:draws]
        return tempered_log_softmax(scores.expand(draws, -1), tau)

    def pairs(self) -> Tensor:
        """KL(q_n || component) of every row to both encoders and the base, (N, 3)."""
        return divergences.pairwise_kl(self.q(), latent_components(self.encodings(), base=True))

    def kl(self, log_beta: Tensor) -> Tensor:
        """Jensen bound (4.4) on the KL of every row to its prior, (..., N), for log beta (..., 3)."""
        return divergences.jensen_bound(self.pairs(), log_beta.unsqueeze(-2))

    def density(self, z: Tensor, log_beta: Tensor) -> Tensor:
        """Density of the prior of every row at z (n,), shape (N, n)."""
        parts = latent_components(self.encodings(), base=True)
        each = parts.log_prob(z[:, None, None, None])  # (n, N, 3)
        return (log_beta + each).logsumexp(-1).exp().T
