"""The posterior at one or several points of the hyperparameters: what prediction averages over."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vmtl_core._precision import full_precision
from vmtl_core.distributions import full_gaussian


class PosteriorPoints(NamedTuple):
    """Gaussian posteriors of every task's w at K points of the hyperparameters.

    w has P columns of D numbers (a vector is one column), independent given the point.
    """

    log_weights: Tensor
    """Log of each point's posterior probability, (K,)."""
    loc: Tensor
    """Means of q(w|D_t), (K, T, P, D)."""
    scale_tril: Tensor
    """Triangular factors of the columns' covariances, (K, T, P, D, D)."""
    noise: Tensor | None
    """Noise sd of every task, (K, T), in units of y; 0 for a task without one, None if none has."""
    base_loc: Tensor | None
    """Mean of w of a task of which nothing is known, (K, P, D); None without a base prior."""
    base_scale_tril: Tensor | None
    """Triangular factors of its covariances, (K, P, D, D)."""


@torch.no_grad()
def posterior_points(model: Any) -> PosteriorPoints | None:
    """The posteriors of a `MultiTaskELBO` as points, one if the fit did not average.

    None if they aren't Gaussian.
    """
    if len(model.average):
        return model.average.points()
    q = full_gaussian(model.q_weights())
    if q is None:
        return None
    full_precision("weights", q[0].dtype)
    loc, factor = (t[None] for t in q)
    base = None if model.prior.base is None else full_gaussian(model.prior.base())
    base_loc, base_tril = (None, None) if base is None else base
    scales = [
        getattr(one, "log_scale", loc.new_tensor(-torch.inf)).exp().expand(model.tasks)[t]
        for t, one in enumerate(_listed(model.posteriors.likelihood, model.tasks))
    ]
    noise = torch.stack([s.to(loc) for s in scales])[None]
    return PosteriorPoints(
        loc.new_zeros(1), loc, factor, noise if bool(noise.any()) else None, base_loc, base_tril
    )


def _listed(likelihood: object, tasks: int) -> list[object]:
    return likelihood if isinstance(likelihood, list) else [likelihood] * tasks
