"""A fitted model with more tasks: the old numbers in their places, and those of added tasks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.posteriors import GaussianWeights
from vmtl_core.sites import Site
from vmtl_core.table.adding import Added

NEVER = -40.0
"""Logit of an added task in an old task's prior, which was fitted without it."""


@torch.no_grad()
def enlarge(old: MultiTaskELBO, new: MultiTaskELBO, tasks: int) -> None:
    """Copy the state of a model of `tasks` real tasks into one of more."""
    state, wanted = old.state_dict(), new.state_dict()
    for name, value in wanted.items():
        before = state.get(name)
        if name.endswith("_extra_state") or before is None:
            continue
        if name.startswith("average.") or before.shape == value.shape:
            state[name] = before
        elif name.endswith("mixing.logits"):
            state[name] = _logits(before, value, tasks)
        else:
            state[name] = torch.cat([before[:tasks], value[tasks:]])
    for name in ("loc", "scale_tril", "noise"):
        one = state[f"average.{name}"]
        if one.numel():
            more = one[:, :1].expand(-1, new.tasks - tasks, *one.shape[2:])
            state[f"average.{name}"] = torch.cat([one[:, :tasks], more], 1)
    new.load_state_dict({n: v for n, v in state.items() if not n.endswith("_extra_state")})


def _logits(before: Tensor, value: Tensor, tasks: int) -> Tensor:
    if before.shape[1] != before.shape[0] + 1:  # candidates, the same number
        return torch.cat([before[:tasks], value[tasks:]])
    found = value.clone()
    found[:tasks] = NEVER
    found[:tasks, :tasks], found[:tasks, -1] = before[:tasks, :tasks], before[:tasks, -1]
    return found


@torch.no_grad()
def put(model: MultiTaskELBO, members: list[int], found: Added) -> None:
    """Write the posteriors of some tasks into a model."""
    if len(model.average):
        model.average.loc[:, members], model.average.scale_tril[:, members] = found.points
    _put(model.posteriors.weights, members, *found.best)
    if model.own is not None:
        _put(model.own.weights, members, *found.own)


def _put(weights: GaussianWeights, members: list[int], loc: Tensor, lower: Tensor) -> None:
    scale = lower.diagonal(dim1=-2, dim2=-1)
    shape = (len(members), *weights.event_shape)
    assert weights.below is not None
    weights.loc[members] = loc.mT.reshape(shape)
    weights.log_scale[members] = scale.log().mT.reshape(shape)
    weights.below[members] = (lower / scale.unsqueeze(-1)).tril(-1)


def remember(packed: dict[str, Any], tasks: int, members: list[int], found: Added) -> None:
    """Keep the sites of some tasks in the state of the fit, for the next rows."""
    for name, site in (("own_site", found.own_site), ("other", found.site)):
        if packed[name] is not None:
            packed[name] = _with(packed[name], tasks, members, site)
    if packed["own_other"] is not None:
        packed["own_other"] = packed["own_site"]


def _with(kept: list[Tensor], tasks: int, members: list[int], site: Site) -> list[Tensor]:
    count = max(tasks, *[t + 1 for t in members])
    result = []
    for one, fresh in zip(kept, site, strict=True):
        wide = one.new_zeros(count, *one.shape[1:])
        wide[:tasks] = one[:tasks]
        wide[members] = fresh
        result.append(wide)
    return result
