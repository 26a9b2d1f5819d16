"""The average over hyperparameters and partitions, of which prediction with groups is made."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from vmtl_core.averaging import NUMBERS, POINTS, RENEWALS, Points
from vmtl_core.evidence import Gaussians
from vmtl_core.group_search import Candidate
from vmtl_core.groups import (
    Gathered,
    Hyper,
    cavity_memberships,
    factors,
    gather,
    log_partition,
    log_width_hyperprior,
    own_laws,
    pseudo_counts,
)
from vmtl_core.hyperposterior import POOR, Directions, Hyperdraws, resample, sizes
from vmtl_core.importance import in_proportion, sample
from vmtl_core.population import Expansion, Own
from vmtl_core.sites import Table
from vmtl_core.units import triangular

PARTITIONS = 4
"""Drawn at each point of the hyperparameters, if anybody is in a group."""
SWEEPS = 10
"""Of memberships at each point."""


class GroupAverage(NamedTuple):
    """What `average_groups` found."""

    points: Points
    labels: Tensor
    """Group of every task at each point, -1 for none, (K, T)."""
    draws: Hyperdraws
    """Of all candidates, weighted by their chances."""
    widths: Tensor | None
    """log delta of the draws, (S, P, D); None if nobody is in a group."""
    width_weights: Tensor
    """Those of draws with groups, (S,)."""
    chances: Tensor
    """Posterior probability of each candidate."""


class Drawn(NamedTuple):
    """Draws of the hyperparameters at a candidate's memberships."""

    draws: Hyperdraws
    widths: Tensor
    log_evidence: float

    def take(self, index: Tensor) -> Hyper:
        """Some of them."""
        return Hyper(self.draws.noise[index], self.draws.log_sd[index], self.widths[index])


def average_groups(table: Table, own: Own, found: list[Candidate], seed: int) -> GroupAverage:
    """Posteriors at points drawn from hyperparameters, memberships and candidates. Equation (14.7).

    A candidate's evidence is its bound, integrated over the hyperparameters by importance sampling.
    At a point, partitions are drawn from memberships in which no task hears itself, (14.6),
    stratified for every task; given a partition the rest is exact but for the sites.

    Args:
        table: the data in standard units.
        own: the own-data half at its greatest evidence.
        found: of `candidates`.
        seed: of the draws.
    """
    drawn = draw_hyper(table, own, found, seed)
    evidence = torch.tensor([one.log_evidence for one in drawn], dtype=torch.float64)
    chances = evidence.softmax(0)
    numbers = own.posterior.root.numel()
    copies = PARTITIONS if any(one.grouped for one in found) else 1
    total = next(points for most, points in POINTS if numbers <= most)
    generator = Generator().manual_seed(seed + 7)
    parts: list[Points] = []
    labels = []
    counts = in_proportion(chances, total).tolist()
    for one, draws, count in zip(found, drawn, counts, strict=True):
        if not count:
            continue
        groups = one.member.shape[1] - 1
        chosen = _chosen(draws, count)
        size = max(1, NUMBERS // (copies * groups * numbers))
        for block in chosen.split(size):
            hyper = draws.take(block)
            label = _partitions(table, own, one, hyper, copies, generator)
            hyper = Hyper(*(t.repeat_interleave(copies, 0) for t in hyper))
            parts.append(_posteriors(table, own, hyper, label, groups))
            label = label[:, :-1]
            labels.append(label.masked_fill(label == groups, -1))
    points = Points(*map(torch.cat, zip(*parts, strict=True)))
    every = [
        one.draws._replace(log_weights=one.draws.log_weights + log_chance)
        for one, log_chance in zip(drawn, chances.log(), strict=True)
    ]
    pooled = Hyperdraws(*map(torch.cat, zip(*every, strict=True)))
    widths = torch.cat([one.widths for one in drawn])
    inside = torch.tensor([float(one.grouped) for one in found]).repeat_interleave(
        torch.tensor([len(one.widths) for one in drawn])
    )
    weights = pooled.log_weights.exp() * inside.to(pooled.log_weights)
    some = bool((torch.cat(labels) >= 0).any())
    return GroupAverage(
        points, torch.cat(labels), pooled, widths if some else None, weights, chances
    )


def draw_hyper(table: Table, own: Own, found: list[Candidate], seed: int) -> list[Drawn]:
    """Weighted draws of the hyperparameters at the candidates' memberships, and their evidence.

    If few of some candidate's draws count, those of one kind keep their ratios, as in
    `draw_hyperparameters`, for all candidates, whose evidence could not be compared otherwise.
    """
    some = any(one.grouped for one in found)
    drawn = [_draw(table, own, one, seed, False, some) for one in found]
    if min(one.draws.effective for one in drawn) < POOR:
        drawn = [_draw(table, own, one, seed, True, some) for one in found]
    return drawn


def _draw(table: Table, own: Own, one: Candidate, seed: int, tied: bool, some: bool) -> Drawn:
    """`some`: whether any candidate has groups, hence widths."""
    learned = list(one.hyper) if one.grouped else list(one.hyper)[:2]
    more = one.hyper.log_width.numel() if some and not one.grouped else 0
    ways = Directions(learned, tied, more)
    partition = log_partition(one.member)

    def at(move: Tensor) -> tuple[Tensor, ...]:
        noise, log_sd, *rest = ways.place(move)
        width = rest[0] if rest else one.hyper.log_width.expand(len(move), *log_sd.shape[1:])
        hyper = Hyper(noise, log_sd, width)
        site = table.site(own.noise.tasks(noise), own.other)
        gathered = gather(site, hyper, one.member)
        total = gathered.value + partition + own.noise.log_hyperprior(noise)
        total = total + own.population.log_marginal_hyperprior(log_sd, ways.together)
        if rest:
            total = total + log_width_hyperprior(width, ways.together)
        return total, *hyper, gathered.mean, gathered.mean_root

    mode = one.hyper.log_sd.new_zeros(ways.size)
    sampled = sample(at, mode, *sizes(own), seed)
    noise, log_sd, widths, mean, root = sampled.rest
    draws = Hyperdraws(sampled.log_weights, noise, log_sd, mean, root)
    return Drawn(draws, widths, sampled.log_evidence)


def _chosen(drawn: Drawn, count: int) -> Tensor:
    """Which of the draws, systematic in the order of the noise, are points of equal weight."""
    index = torch.arange(len(drawn.widths), device=drawn.widths.device)
    marked = drawn.draws._replace(mean_root=index)
    return resample(marked, count).mean_root


def _partitions(
    table: Table, own: Own, one: Candidate, hyper: Hyper, copies: int, generator: Generator
) -> Tensor:
    """Groups of every task and of one to come, `C` for none, (K * copies, T + 1).

    Of each task's partitions at a point one lies in each of as many parts of its memberships' mass.
    """
    count, tasks = len(hyper.log_sd), len(one.member)
    member = one.member.expand(count, *one.member.shape)
    if one.grouped:
        site = table.site(own.noise.tasks(hyper.noise), own.other)
        member = cavity_memberships(site, hyper, member, SWEEPS)
    size = member.sum(-2, keepdim=True) + pseudo_counts(member)
    edges = torch.cat([member, size / size.sum(-1, keepdim=True)], -2).cumsum(-1)
    shape = count, copies, tasks + 1
    order = torch.rand(shape, generator=generator).argsort(1).to(edges)
    level = (order + torch.rand(shape, generator=generator).to(edges)) / copies
    label = (level.unsqueeze(-1) > edges.unsqueeze(1)).sum(-1)
    return label.clamp_max(member.shape[-1] - 1).flatten(0, 1)


def _posteriors(table: Table, own: Own, hyper: Hyper, label: Tensor, groups: int) -> Points:
    """Every task's posterior given a partition, and the law of a task to come."""
    log_scale = own.noise.tasks(hyper.noise)
    expansion = Expansion.about(table, own.other)
    site = table.site(log_scale, own.other)
    prior, found = own_laws(site, hyper, label[:, :-1], groups)
    factor = torch.linalg.cholesky(prior.covariance)
    _, posterior = expansion.settle(log_scale, (prior.loc, factor), 0.0, RENEWALS)
    fresh = unseen_laws(found, hyper, label[:, -1], groups)
    return Points(
        posterior.loc,
        triangular(posterior.root),
        log_scale,
        fresh.loc,
        torch.linalg.cholesky(fresh.covariance),
    )


def unseen_laws(found: Gathered, hyper: Hyper, label: Tensor, groups: int) -> Gaussians:
    """w of a task of which nothing is known but its group, (K, P, ...), labels (K,)."""
    spread = factors(hyper.log_sd, hyper.log_width)
    none, at = label == groups, label.clamp_max(groups - 1)
    point = torch.arange(len(label), device=label.device)
    loc = torch.where(none[:, None, None], found.mean, found.loc[point, at])
    centre = found.root[point, at] @ found.root[point, at].mT
    wide = none[:, None, None, None]
    centre = torch.where(wide, found.mean_root @ found.mean_root.mT, centre)
    rest = torch.where(wide, spread.whole[:, 0], spread.within[:, 0])
    return Gaussians(loc, centre + rest.square())
