"""Which rows have which likelihood, and whether their predictive is exact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vmtl_core._checks import require
from vmtl_core.bundle import Bundle
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.likelihoods import (
    LinearBernoulli,
    LinearCategorical,
    LinearGaussian,
    LinearPoisson,
)
from vmtl_core.points import PosteriorPoints, posterior_points
from vmtl_core.posteriors import FULL_NUMBERS

EXACT: dict[type, int] = {LinearGaussian: 8, LinearBernoulli: 500, LinearPoisson: 500}
"""Likelihoods with an exact predictive, and numbers in memory for each row and point."""
LINEAR = (*EXACT, LinearCategorical)


@dataclass(eq=False)
class Part:
    """Rows with one likelihood."""

    rows: Tensor
    """Their positions, (n,)."""
    likelihood: Any
    name: str
    """What messages call the likelihood."""
    unseen: bool
    """Whether they are of unseen tasks."""
    exact: bool
    """Whether the predictive is exact, not sampled."""
    seed: int = 0
    """Of its rows' latents, where they are drawn whenever they are needed."""

    def split(self, size: int) -> list[Part]:
        """The same in pieces of at most `size` rows."""
        return [replace(self, rows=rows) for rows in self.rows.split(size)]


def parts(bundle: Bundle, task: Tensor, exact: bool, exact_unseen: bool) -> list[Part]:
    """The rows, those with an exact predictive by kind of likelihood, the rest by likelihood.

    Args:
        bundle: whose likelihood it is, or likelihoods.
        task: ids, (N,), T for unseen tasks.
        exact, exact_unseen: whether w is Gaussian, and that of an unseen task.
    """
    given, found = bundle.likelihood, []
    listed = given if isinstance(given, list) else [given]
    of = task.clone() if isinstance(given, list) else torch.zeros_like(task)
    kinds: dict[Any, list[int]] = {}
    for t, one in enumerate(listed):
        kinds.setdefault(type(one) if exact and type(one) in EXACT else t, []).append(t)
    seen = task < bundle.tasks
    for kind, members in kinds.items():
        rows = (torch.isin(of, task.new_tensor(members)) & seen).nonzero().flatten()
        if len(rows):
            name = f"likelihood[{members[0]}]" if isinstance(given, list) else "likelihood"
            found.append(Part(rows, listed[members[0]], name, False, isinstance(kind, type)))
    if not bool(seen.all()):
        one = _of_unseen(listed)
        rows = (~seen).nonzero().flatten()
        found.append(Part(rows, one, "likelihood", True, exact_unseen and type(one) in EXACT))
    return found


def _of_unseen(listed: list[Any]) -> Any:
    """The likelihood of a task of which nothing is known; noise variance is the tasks' mean."""
    first, kinds = listed[0], {type(one) for one in listed}
    if len(listed) > 1 and kinds == {LinearGaussian}:
        variances = torch.stack([(2 * one.log_scale).exp() for one in listed])
        return LinearGaussian(variances.mean().sqrt().item()).to(variances)
    same = all(one is first for one in listed) or (len(kinds) == 1 and type(first) in LINEAR)
    require(
        same,
        "`task` holds ids of unseen tasks, but nothing says which `likelihood` of the list is "
        f"theirs: its kinds are {sorted(kind.__name__ for kind in kinds)}",
    )
    return first


def with_points(model: MultiTaskELBO) -> PosteriorPoints | None:
    """The posterior at points of the hyperparameters, where an exact predictive can use them."""
    bundle = model.posteriors
    listed = bundle.likelihood if isinstance(bundle.likelihood, list) else [bundle.likelihood]
    if bundle.latents is not None:
        return None
    if not len(model.average):
        shape = model.q_weights().event_shape
        rows = shape[0] if len(shape) in (1, 2) else FULL_NUMBERS
        if not any(type(one) in EXACT for one in listed):
            return None
        if model.tasks * rows * shape.numel() > FULL_NUMBERS:  # the full factors of diagonal ones
            return None
    return posterior_points(model)
