"""A family of posteriors made outside the core: full covariance, in a parametrisation of its own.

All that the core asks of a family is a torch Distribution whose parameters are tensors, and a KL that
the core or torch knows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.distributions import MultivariateNormal


class FullGaussianWeights(nn.Module):
    """q(w_t|D_t) = N(mean_t, L_t L_t^T) for every task, free parameters.

    The same family as `GaussianWeights(covariance="full")`, whose triangle is in units of its diagonal;
    here its entries are free. Called without arguments it returns a Distribution of batch shape (T,)
    and event shape (D,).

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

    def forward(self) -> MultivariateNormal:
        factor = torch.diag_embed(self.log_diagonal.exp()) + self.below.tril(-1)
        return MultivariateNormal(self.loc, scale_tril=factor, validate_args=False)
