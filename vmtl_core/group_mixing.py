"""Mixing weights over groups of tasks: those of the restaurant, given who sits where."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vmtl_core.groups import MOST_GROUPS, nobody, pseudo_counts
from vmtl_core.likelihoods import BOUNDS, ours
from vmtl_core.mixing import GumbelSoftmaxMixing
from vmtl_core.posteriors import GaussianWeights
from vmtl_core.units import MANY_INPUTS

EMPTY = 1e-6
"""Of members in all: a group that has less of them but for a task says nothing to it."""


class GroupMixing(GumbelSoftmaxMixing):
    """Weights of every task's prior over C groups, and over none, which comes last: (T, C + 1).

    What a task expects of a group is its other members, counted, and a / C. Nothing is learned by
    gradients: `fit` chooses the memberships by their evidence.

    Args:
        tasks: T, at least 2.
    """

    member: Tensor
    """Probability of each group and of none, (T, C + 1)."""

    def __init__(self, tasks: int):
        super().__init__(tasks, base=True, neighbours=0)
        member = nobody(tasks, min(tasks, MOST_GROUPS))
        self.register_buffer("member", member)
        del self.index, self.start, self.excluded
        self.register_buffer("index", None)
        self.register_buffer("excluded", torch.zeros_like(member, dtype=torch.bool), False)
        self.register_buffer("start", restaurant(member), False)
        self.logits = nn.Parameter(self.start.clone(), requires_grad=False)

    def settings(self) -> dict[str, Any]:
        """What `state_dict` carries beside the parameters."""
        return {"groups": self.member.shape[1] - 1}

    @torch.no_grad()
    def seat(self, member: Tensor) -> None:
        """Take memberships (T, C + 1)."""
        self.member.copy_(member)
        self.logits.copy_(restaurant(self.member))

    def empty(self) -> None:
        """Nobody is in a group, as before the first fit."""
        tasks, columns = self.member.shape
        self.seat(nobody(tasks, columns - 1))

    def columns(self) -> None:
        """Every row has components of its own, in order."""
        return

    def dense(self, values: Tensor) -> Tensor:
        """Weights of the groups, (T, C + 1), as those of their other members: (T, T + 1).

        What a group without others has, and none, is the base's.
        """
        share = self.member[:, :-1].to(values)
        others = share.sum(0) - share
        each = torch.where(others > EMPTY, values[:, :-1] / others.clamp_min(EMPTY), 0.0)
        found = (each @ share.mT).fill_diagonal_(0.0)
        return torch.cat([found, values.sum(-1, keepdim=True) - found.sum(-1, keepdim=True)], -1)

    def log_hyperprior(self) -> Tensor:
        """0: nothing is learned here."""
        return self.logits.new_zeros(())


def restaurant(member: Tensor) -> Tensor:
    """Log of what every task expects of groups and of none, (T, C + 1): their other members, and a / C."""
    return (member.sum(0) - member + pseudo_counts(member)).log()


def helpers(labels: Tensor) -> Tensor:
    """Whose group task t shares over K partitions, (T, T + 1), the last column nobody's. Equation (14.8).

    Args:
        labels: each task's group, -1 for none, (K, T).
    """
    tasks = labels.shape[1]
    total = torch.zeros(tasks, tasks, dtype=torch.float64, device=labels.device)
    for label in labels:
        pairs = together(label, -1).fill_diagonal_(False).to(total)
        total += pairs / pairs.sum(1, keepdim=True).clamp_min(1)
    total = total / len(labels)
    rest = (1 - total.sum(1, keepdim=True)).clamp_min(0)  # rounding may leave less than nothing
    return torch.cat([total, rest], 1)


def together(label: Tensor, none: int) -> Tensor:
    """Which pairs of tasks share a group, boolean, (T, T); `none` is the label of no group."""
    inside = label != none
    same = label.unsqueeze(-1) == label.unsqueeze(-2)
    return same & inside.unsqueeze(-1) & inside.unsqueeze(-2)


def why_no_groups(model: Any, base_prior: Any, transfer: Any, more: bool) -> str | None:
    """Why a model can't have groups, which the closed form alone finds; None if it can.

    Args:
        model: its posteriors and settings.
        base_prior, transfer: as given.
        more: whether neighbours or a second set of posteriors are given.
    """
    weights, likelihood = model.posteriors.weights, model.posteriors.likelihood
    kinds = likelihood if isinstance(likelihood, list) else [likelihood]
    full = type(weights) is GaussianWeights and weights.below is not None
    wanted = [
        (full, "`weights` must be GaussianWeights with full covariance"),
        (all(ours(one) for one in kinds), "`likelihood` must be one of `Linear...`"),
        (model.latents_are_inputs, "`latents` must be None"),
        (model.expectation == "exact", "`expectation` must be 'exact'"),
        (model.divergence in BOUNDS, f"`divergence` must be one of {BOUNDS}"),
        (base_prior == "learned", "`base_prior` must be 'learned'"),
        (transfer == "stationary", "`transfer` must be 'stationary'"),
        (model.hyperprior == "weak", "`hyperprior` must be 'weak'"),
        (not more, "`neighbours` and `own_...` must be None"),
        (
            not full or weights.event_shape[0] <= MANY_INPUTS,
            f"a task's `weights` must have no more than {MANY_INPUTS} rows",
        ),
    ]
    return next((why for holds, why in wanted if not holds), None)
