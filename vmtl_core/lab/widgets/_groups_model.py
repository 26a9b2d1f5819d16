"""Twelve tasks of two weights whose data are summed up: which groups the evidence wants.

The mathematics is `vmtl_core.groups` with hyperparameters that are given: s_0 = 1, the transfer
width, the concentration and the noise. `js/groupsmath.js` and `js/groupsmerge.js` are its twins.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vmtl_core.evidence import times
from vmtl_core.group_search import SURE, Merging
from vmtl_core.groups import (
    Gathered,
    Hyper,
    factors,
    gather,
    log_partition,
    memberships,
    message,
)
from vmtl_core.lab.widgets._noise import normal
from vmtl_core.sites import Site

TASKS, MOST, REACH = 12, 6, 2.5
"""Tasks; the most groups that are tried; how far from 0 a weight may be."""
SWEEPS = 60
"""Of memberships, at most."""
SLANT = 0.6
"""Correlation of a task's two inputs along its own slant: half axes of an ellipse are as 2 to 1."""
GOLDEN = (math.sqrt(5) - 1) / 2

PLACES: list[dict[str, object]] = [
    {"name": "Three groups", "centres": [[-1.4, -0.6], [1.3, -0.9], [0.2, 1.3]], "sd": 0.25},
    {"name": "Opposites", "centres": [[1.2, 0.8], [-1.2, -0.8]], "sd": 0.25},
    {"name": "One population", "centres": [[0.6, 0.4]], "sd": 0.45},
    {"name": "Unrelated tasks", "centres": [[0.0, 0.0]], "sd": 1.1},
]
"""Where tasks may lie: task t about centre t modulo their number."""


class Partition(NamedTuple):
    """The best memberships found that use so many groups."""

    groups: int
    """K, of those with more than half a task."""
    holds: bool
    """Whether coordinate ascent ends here; where it never ends with K groups, nobody is unsure."""
    member: Tensor
    """Probability of each group and of none, (T, C + 1)."""
    bound: float
    """Equation (14.5), in nats."""
    gathered: Gathered
    """Centres and population, one leading column P = 1."""


def arrange(place: int, seed: int) -> Tensor:
    """Estimates of the tasks' weights, (T, 2), to a hundredth.

    Args:
        place: of `PLACES`.
        seed: of the distances from the centres, `normal(seed, T + 1, 2)` but for the first, extreme at 0.
    """
    chosen = PLACES[place]
    centres = torch.tensor(chosen["centres"], dtype=torch.float64)
    sd = float(chosen["sd"])  # type: ignore[arg-type]
    points = centres[torch.arange(TASKS) % len(centres)] + sd * normal(seed, TASKS + 1, 2)[1:]
    return ((100 * points + 0.5).floor() / 100).clamp(-REACH, REACH)


def summaries(points: Tensor, noise: float, rows: int) -> Site:
    """What N rows with noise sigma say of each task's weights, as a site, (T, 1, ...).

    The inputs of a row have the second moment G_t = I + .6 [[cos, sin], [sin, -cos]] of an angle of
    the task's own, so A_t = N G_t / sigma^2; the constant makes it the density of the estimate.

    Args:
        points: estimates, (T, 2).
        noise: sigma.
        rows: N, of each task.
    """
    angle = 2 * torch.pi * GOLDEN * torch.arange(len(points), dtype=torch.float64)
    cos, sin = SLANT * angle.cos(), SLANT * angle.sin()
    gram = torch.stack([1 + cos, sin, sin, 1 - cos], -1).unflatten(-1, (2, 2))
    precision = rows / noise**2 * gram
    natural = times(precision, points)
    constant = 0.5 * torch.logdet(precision) - math.log(2 * math.pi)
    constant = constant - 0.5 * (natural * points).sum(-1)
    return Site(precision.unsqueeze(1), natural.unsqueeze(1), constant)


def partitions(site: Site, width: float, concentration: float) -> list[Partition]:
    """The hierarchical model, K = 0, and the best partitions found with K = 1, 2, ... groups.

    Each K begins with a merger of two groups of the next, from where memberships climb. They may end
    with fewer groups; the end counts for the number that it has.

    Args:
        site: of every task.
        width: transfer width delta.
        concentration: a.
    """
    zero = torch.zeros(1, 2, dtype=torch.float64)
    hyper = Hyper(zero[0, :0], zero, zero + math.log(width))

    def judged(member: Tensor, holds: bool) -> Partition:
        gathered = gather(site, hyper, member)
        bound = (gathered.value + log_partition(member, concentration)).item()
        used = int((member[:, :-1].sum(0) > 0.5).sum())
        return Partition(used, holds, member, bound, gathered)

    best = [judged(one_hot(torch.ones(TASKS, dtype=torch.long), 2).double(), True)]
    ends = []
    for label in _merged(site, hyper, best[0].gathered.mean):
        columns = int(label.max()) + 3  # one group more, which is empty, and none
        hard = one_hot(label, columns).double()
        best.append(judged(hard, False))
        start = SURE * hard + (1 - SURE) / columns
        ends.append(judged(memberships(site, hyper, start, SWEEPS, concentration), True))
    for end in ends:
        if 0 < end.groups <= MOST:  # the empty one may have been taken
            old = best[end.groups]
            best[end.groups] = end if not old.holds or end.bound > old.bound else old
    return best


def _merged(site: Site, hyper: Hyper, mean: Tensor) -> list[Tensor]:
    """Labels (T,) of 1, 2, ... groups, merged about m_0."""
    spread = factors(hyper.log_sd, hyper.log_width)
    inside = message(site.precision, site.natural, spread.within)
    natural = inside.natural - times(inside.precision, mean)
    return Merging(inside.precision, natural, spread.between).partitions(MOST)
