"""Counts with an exposure, for the rows of one table."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Poisson

from vmtl_core.likelihoods import LinearPoisson, linear


class ExposedPoisson(LinearPoisson):
    """y ~ Poisson(e exp(z'w)) for the rows of one table, in their order, (1.1).

    The rate is measured by the table's mean rate, exp(log_unit), so that counts beside their
    exposure are near 1 and w starts near 0.

    Args:
        exposure: e, (N,).
        y: counts, (N,).
        log_unit: log of the rate that is the unit, if it is known.
    """

    closed_form = True

    def __init__(self, exposure: Tensor, y: Tensor, log_unit: float | None = None):
        super().__init__()
        if log_unit is None:
            log_unit = math.log((float(y.sum()) + 0.5) / float(exposure.sum()))
        self.log_unit = log_unit
        self.register_buffer("more", exposure.log() + self.log_unit, persistent=False)

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        return Poisson((linear(z, w) + self._more(z.shape[2])).exp(), validate_args=False)

    def expected_log_prob(self, mean: Tensor, variance: Tensor | None, y: Tensor) -> Tensor:
        """E log p(y|eta) of every row, eta + log e being the log rate, exact, (..., N)."""
        return super().expected_log_prob(mean + self._more(mean.shape[-1]), variance, y)

    def _more(self, rows: int) -> Any:
        more: Any = self.more
        return more if rows == len(more) else torch.zeros(()).to(more)
