"""Which groups the evidence wants: partitions by merging, each then improved with its hyperparameters."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vmtl_core.evidence import times
from vmtl_core.group_mixing import together
from vmtl_core.groups import (
    MOST_GROUPS,
    Hyper,
    factors,
    gather,
    log_partition,
    log_width_hyperprior,
    memberships,
    message,
    nobody,
)
from vmtl_core.population import Own
from vmtl_core.quasi_newton import maximise
from vmtl_core.sites import Table

START_WIDTH = 0.3
"""delta where merging begins."""
MERGED = 400
"""Of more tasks so many, at equal distances, are merged, for pairs are too many; the rest join."""
SURE = 0.98
"""Of a membership at the start."""
SWEEPS, STEPS, ROUNDS = 4, 5, 12
"""Of memberships and quasi-Newton steps in a round; at most so many rounds."""
RISE = 0.02
"""In nats: a round that gains less is the last."""
IDLE, BEHIND, FEW = 3, 4.0, 5
"""Numbers of groups tried in a row without a better bound; how far behind the best, in nats, a
candidate still counts, of which a few are kept."""


class Candidate(NamedTuple):
    """Memberships with the hyperparameters that suit them best."""

    hyper: Hyper
    member: Tensor
    """(T, C + 1)."""
    bound: float
    """Equation (14.5)."""

    @property
    def grouped(self) -> bool:
        """Whether anybody is in a group."""
        return bool(self.member[:, :-1].any())

    def same(self, other: Candidate) -> bool:
        """Whether it is the same partition."""
        pairs = [together(one.member.argmax(-1), one.member.shape[-1] - 1) for one in (self, other)]
        return torch.equal(*pairs)


def candidates(table: Table, own: Own) -> list[Candidate]:
    """The hierarchical model, and the partitions into groups of nearly the greatest bound, best first.

    Partitions of 1, 2, ... groups are climbed until several in a row haven't raised the bound, but not
    before the number of groups is reached whose bound is the greatest at the start: a few groups that
    join what doesn't belong together may have to be passed.

    Args:
        table: the data in standard units.
        own: the own-data half at its greatest evidence, about whose posteriors sites are.
    """
    population, tasks = own.population, table.tasks
    width = torch.full_like(population.log_sd, START_WIDTH).log()
    start = Hyper(own.noise.start(), population.log_sd, width)
    alone = nobody(tasks, 1).to(population.log_sd)
    found = [_climb(table, own, start, alone, -torch.inf)]
    best, idle = found[0].bound, 0
    members, likely = _promising(table, own, start)
    for groups, member in enumerate(members, 1):
        one = _climb(table, own, start, member, best)
        idle = 0 if one.bound > best + RISE else idle + 1
        best = max(best, one.bound)
        if not any(one.same(other) for other in found):
            found.append(one)
        if idle >= IDLE and groups >= likely:
            break
    found.sort(key=lambda one: -one.bound)
    near = [one for one in found if one.grouped and one.bound > best - BEHIND][:FEW]
    near += [one for one in found if not one.grouped][:1]
    return sorted(near, key=lambda one: -one.bound)


def _promising(table: Table, own: Own, start: Hyper) -> tuple[list[Tensor], int]:
    """Memberships (T, C + 1) to begin with, of 1, 2, ... groups, and how many have the greatest bound."""
    site = table.site(own.noise.tasks(start.noise), own.other)
    found = [_unsure(label) for label in partitions(table, own, start)]
    values = []
    for member in found:
        settled = memberships(site, start, member, SWEEPS)
        values.append(float(gather(site, start, settled).value + log_partition(settled)))
    return found, 1 + values.index(max(values))


def partitions(table: Table, own: Own, start: Hyper) -> list[Tensor]:
    """Labels (T,) of 1, 2, ... groups, each made of the next by the merger that evidence likes best.

    A merger gains log Z(both) - log Z(one) - log Z(other), what the restaurant says of the sizes
    counted in; centres are about m_0 as the own-data half has it.
    """
    site = table.site(own.noise.tasks(start.noise), own.other)
    spread = factors(start.log_sd, start.log_width)
    inside = message(site.precision, site.natural, spread.within)
    natural = inside.natural - times(inside.precision, own.population.loc)
    every = torch.arange(table.tasks, device=natural.device)
    chosen = every
    if table.tasks > MERGED:
        chosen = torch.linspace(0, table.tasks - 1, MERGED, device=natural.device).long()
    merging = Merging(inside.precision[chosen], natural[chosen], spread.between)
    found = merging.partitions(min(MOST_GROUPS - 1, len(chosen) - 1))
    if len(chosen) == len(every):
        return found
    return [_joined(label, chosen, inside.precision, natural, spread.between) for label in found]


class Merging:
    """Groups of tasks as sums of what they say, merged two by two.

    Args:
        precision, natural: what each says of its group's centre, about m_0, (T, P, ...).
        between: root of V_b, (1, P, D, D).
    """

    def __init__(self, precision: Tensor, natural: Tensor, between: Tensor):
        self.precision, self.natural, self.between = precision.clone(), natural.clone(), between
        self.size = torch.ones_like(natural[:, 0, 0])
        self.alone = self._evidence(self.precision, self.natural)

    def _evidence(self, precision: Tensor, natural: Tensor) -> Tensor:
        return message(precision, natural, self.between).constant

    def _gain(self, i: Tensor, j: Tensor) -> Tensor:
        both = self._evidence(
            self.precision[i] + self.precision[j], self.natural[i] + self.natural[j]
        )
        size = torch.lgamma(self.size[i] + self.size[j])
        size = size - torch.lgamma(self.size[i]) - torch.lgamma(self.size[j])
        return both - self.alone[i] - self.alone[j] + size

    def partitions(self, most: int) -> list[Tensor]:
        """Labels of 1, 2, ..., `most` groups, numbered from 0."""
        tasks = len(self.size)
        label = torch.arange(tasks, device=self.size.device)
        alive = torch.ones_like(label, dtype=torch.bool)
        rows, columns = torch.triu_indices(tasks, tasks, 1, device=label.device)
        gain = self.size.new_full((tasks, tasks), -torch.inf)
        for block in torch.arange(len(rows), device=label.device).split(2**14):
            gain[rows[block], columns[block]] = self._gain(rows[block], columns[block])
        found = []
        for left in range(tasks - 1, 0, -1):
            i, j = divmod(int(gain.argmax()), tasks)
            for values in (self.precision, self.natural, self.size):
                values[i] += values[j]
            self.alone[i] = self._evidence(self.precision[i : i + 1], self.natural[i : i + 1])[0]
            label[label == j], alive[j] = i, False
            gain[j], gain[:, j] = -torch.inf, -torch.inf
            others = alive.nonzero().flatten()
            others = others[others != i]
            low, high = others.clamp_max(i), others.clamp_min(i)
            gain[low, high] = self._gain(torch.full_like(others, i), others)
            if left <= most:
                found.append(label.unique(return_inverse=True)[1])
        return found[::-1]


def _joined(
    label: Tensor, chosen: Tensor, precision: Tensor, natural: Tensor, between: Tensor
) -> Tensor:
    """The labels of all tasks, (T,): those that weren't merged join the group that expects them most."""
    groups = int(label.max()) + 1
    member = one_hot(label, groups).to(precision)
    total = [torch.einsum("tk,t...->k...", member, v[chosen]) for v in (precision, natural)]
    found = message(total[0], total[1], between)
    loc = times(found.root, times(found.root.mT, total[1]))
    second = found.root @ found.root.mT + loc.unsqueeze(-1) * loc.unsqueeze(-2)
    scores = (
        natural.flatten(1) @ loc.flatten(1).mT - 0.5 * precision.flatten(1) @ second.flatten(1).mT
    )
    joined = scores.argmax(1)
    joined[chosen] = label
    return joined


def _unsure(label: Tensor) -> Tensor:
    """Memberships (T, C + 1) to begin with: one group more, which is empty."""
    width = int(label.max()) + 3
    member = torch.full((len(label), width), (1 - SURE) / width, dtype=torch.float64)
    member = member.to(label.device)
    return member + SURE * one_hot(label, width)


def _climb(table: Table, own: Own, start: Hyper, member: Tensor, best: float) -> Candidate:
    """Alternate memberships and hyperparameters until the bound has settled, or is hopeless.

    `best` is the greatest that has been found.
    """
    hyper, last = Hyper(*(t.clone() for t in start)), -torch.inf
    moved = list(hyper) if member[:, :-1].any() else list(hyper)[:2]
    for left in range(ROUNDS - 1, -1, -1):
        if member[:, :-1].any():
            site = table.site(own.noise.tasks(hyper.noise), own.other)
            member = memberships(site, hyper, member, SWEEPS)
        reached, _ = maximise(partial(_value, table, own, hyper, member), moved, STEPS, 1e-2 * RISE)
        gain = reached - last
        if gain < RISE or reached + left * gain < best - BEHIND:
            break
        last = reached
    return Candidate(hyper, member, reached)


def _value(table: Table, own: Own, hyper: Hyper, member: Tensor) -> Tensor:
    """The bound (14.5) with the hyperpriors of a fit."""
    site = table.site(own.noise.tasks(hyper.noise), own.other)
    total = gather(site, hyper, member).value + log_partition(member)
    total = total + own.noise.log_hyperprior(hyper.noise)
    total = total + own.population.log_sd_hyperprior(hyper.log_sd)
    if member[:, :-1].any():
        total = total + log_width_hyperprior(hyper.log_width)
    return total
