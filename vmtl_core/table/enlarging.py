"""A fitted model with more tasks: the old numbers in their places, and those of added tasks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.group_mixing import GroupMixing
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
        elif name.endswith("mixing.member"):
            state[name] = _member(before, value, tasks)
        elif name.endswith("mixing.logits") and "prior.mixing.member" not in wanted:
            state[name] = _logits(before, value, tasks)
        elif name.endswith("mixing.logits"):
            state[name] = value  # follow from the memberships
        else:
            state[name] = torch.cat([before[:tasks], value[tasks:]])
    for name in ("loc", "scale_tril", "noise"):
        one = state[f"average.{name}"]
        if one.numel():
            more = one[:, :1].expand(-1, new.tasks - tasks, *one.shape[2:])
            state[f"average.{name}"] = torch.cat([one[:, :tasks], more], 1)
    labels = state["average.labels"]
    if labels.numel():
        more = labels.new_full((len(labels), new.tasks - tasks), -1)
        state["average.labels"] = torch.cat([labels[:, :tasks], more], 1)
    new.load_state_dict({n: v for n, v in state.items() if not n.endswith("_extra_state")})


def _logits(before: Tensor, value: Tensor, tasks: int) -> Tensor:
    if before.shape[1] != before.shape[0] + 1:  # candidates, the same number
        return torch.cat([before[:tasks], value[tasks:]])
    found = value.clone()
    found[:tasks] = NEVER
    found[:tasks, :tasks], found[:tasks, -1] = before[:tasks, :tasks], before[:tasks, -1]
    return found


def _member(before: Tensor, value: Tensor, tasks: int) -> Tensor:
    """Memberships with more groups, which are empty; new tasks are in none as yet."""
    found = value.clone()
    found[:tasks] = wider(before[:tasks], found.shape[1])
    return found


def wider(member: Tensor, columns: int) -> Tensor:
    """Memberships of so many groups and none, which stays last; the rest is in none."""
    groups = min(member.shape[1], columns) - 1
    found = member.new_zeros(len(member), columns)
    found[:, :groups] = member[:, :groups]
    found[:, -1] = 1 - found.sum(1)
    return found


@torch.no_grad()
def put(model: MultiTaskELBO, members: list[int], found: Added) -> None:
    """Write the posteriors of some tasks into a model."""
    if len(model.average):
        model.average.loc[:, members], model.average.scale_tril[:, members] = found.points
    _put(model.posteriors.weights, members, *found.best)
    mixing = model.prior.mixing
    if found.seats is not None and isinstance(mixing, GroupMixing):
        if model.average.labels.numel():
            model.average.labels[:, members] = found.seats.labels.to(model.average.labels)
        member = mixing.member.clone()
        member[members] = wider(found.seats.member.to(member), member.shape[1])
        mixing.seat(member)
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
    if found.seats is not None:
        first = list(packed["groups"]["found"][0])
        first[3] = _rows(first[3], tasks, members, found.seats.member)
        packed["groups"] = {**packed["groups"], "found": [first]}
    if packed["own_other"] is not None:
        packed["own_other"] = packed["own_site"]


def _with(kept: list[Tensor], tasks: int, members: list[int], site: Site) -> list[Tensor]:
    count = max(tasks, *[t + 1 for t in members])
    return [_rows(one, tasks, members, fresh, count) for one, fresh in zip(kept, site, strict=True)]


def _rows(one: Tensor, tasks: int, members: list[int], fresh: Tensor, count: int = 0) -> Tensor:
    """A tensor of T rows with some of them new, or more."""
    count = max(tasks, count, *[t + 1 for t in members])
    wide = one.new_zeros(count, *one.shape[1:])
    wide[:tasks] = one[:tasks]
    wide[members] = fresh
    return wide
