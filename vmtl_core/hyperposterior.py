"""The posterior of the hyperparameters of the own-data half, by importance sampling.

Noise scales and population sds have no closed form; given them the population mean is Gaussian and
integrated out, (5.17).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vmtl_core._hyperpriors import MEAN_SD
from vmtl_core.evidence import times, update
from vmtl_core.importance import effective, sample
from vmtl_core.population import NARROW, WIDE, Own
from vmtl_core.sites import Table

MOST_DIRECTIONS = 24
"""With more hyperparameters than that, those of one kind move together."""
DRAWS, FEWEST, NUMBERS = 1024, 64, 1_000_000
"""Draws; fewer, but not below `FEWEST`, where all their matrices would have more numbers."""
POOR = 32.0
"""With fewer effective draws, too few for the points that are drawn of them, all sds of the
population move together instead."""


class Hyperdraws(NamedTuple):
    """Draws of the hyperparameters with their weights, in standard units."""

    log_weights: Tensor
    """(S,), normalised."""
    noise: Tensor
    """Learned log sigma, (S, F)."""
    log_sd: Tensor
    """log s_0, (S, P, D)."""
    mean: Tensor
    """Mean of m_0 given the rest, (S, P, D)."""
    mean_root: Tensor
    """Root R of its covariance R R', (S, P, D, D)."""

    def take(self, index: Tensor) -> Hyperdraws:
        """Some of the draws."""
        return Hyperdraws(*(t[index] for t in self))

    @property
    def effective(self) -> float:
        """Effective number of draws."""
        return effective(self.log_weights)


class Collapsed(NamedTuple):
    """Log evidence with m_0 integrated out, (S,), and the law of m_0."""

    log_evidence: Tensor
    mean: Tensor
    root: Tensor


def collapsed(
    table: Table, own: Own, noise: Tensor, log_sd: Tensor, together: bool = False
) -> Collapsed:
    r"""Evidence of S hyperparameters under the own-data model and its hyperpriors. Equation (5.17).

    With a learned prior, m_0 ~ N(0, I/2) is integrated: given m_0 a task's evidence is Gaussian in
    it, exp(r'm_0 - m_0'W m_0 / 2) with W = A - A C A, r = b - A C b and C its posterior covariance.

    Args:
        table, own: data, and the own-data half at its mode, about which sites are taken.
        noise: (S, F); log_sd: (S, P, D).
        together: whether the sds keep their ratios, and have one hyperprior.
    """
    population, count = own.population, len(noise)
    site = table.site(own.noise.tasks(noise), own.other)
    root = population.root(log_sd).unsqueeze(-4)
    if not population.learned:
        root = root.expand(1, *root.shape[-4:])
    zero = torch.zeros_like(population.loc) if population.learned else population.loc
    found = update(site.precision, site.natural, zero, root)
    total = (site.constant + found.log_evidence.sum(-1)).sum(-1)
    total = total + own.noise.log_hyperprior(noise)
    if not population.learned:
        loc = population.loc.expand(count, *population.loc.shape)
        return Collapsed(
            total, loc, torch.zeros_like(site.precision[:, 0]).expand(count, *root.shape[-3:])
        )
    total = total + population.log_marginal_hyperprior(log_sd, together)
    pulled = site.precision @ found.root
    weight = (site.precision - pulled @ pulled.mT).sum(-4)
    natural = (site.natural - times(pulled, times(found.root.mT, site.natural))).sum(-3)
    prior = torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)
    mean = update(weight, natural, torch.zeros_like(natural[0]), MEAN_SD * prior)
    return Collapsed(total + mean.log_evidence.sum(-1), mean.loc, mean.root)


class Directions:
    """Which way hyperparameters move from their mode, and how to get there.

    Args:
        modes: of each kind; noise scales come first.
        together: whether those of a kind move together, but for one or two noise scales.
        more: so many hyperparameters of a larger model count beside these, so that what both have
            moves alike in both, and their evidence can be compared.
    """

    def __init__(self, modes: Sequence[Tensor], together: bool = False, more: int = 0):
        self.modes = modes
        sizes = [mode.numel() for mode in modes]
        rest = sum(sizes) - sizes[0] + more
        few = sizes[0] + rest <= MOST_DIRECTIONS and not together
        apart = few or (rest + 2 <= MOST_DIRECTIONS and not together)
        self.each = [few or sizes[0] <= 2, *[apart] * (len(modes) - 1)]
        pairs = zip(sizes, self.each, strict=True)
        self.widths = [n if each else min(n, 1) for n, each in pairs]
        self.size = sum(self.widths)
        self.together = len(modes) > 1 and not self.each[1]

    def place(self, move: Tensor) -> list[Tensor]:
        """The hyperparameters of each kind, (S, *shape), for moves (S, size)."""
        found = []
        for mode, part in zip(self.modes, move.split(self.widths, 1), strict=True):
            wide = part.expand(len(move), mode.numel()).view(len(move), *mode.shape)
            found.append((mode + wide).clamp(NARROW, WIDE))
        return found


def draw_hyperparameters(table: Table, own: Own, seed: int) -> Hyperdraws:
    """Weighted draws from the posterior of noise scales, population sds and mean.

    Where a population sd may as well be 0, its posterior has a long tail that the draws miss; if
    few of them count for that reason, the sds keep their ratios.
    """
    draws = _draws(table, own, False, seed)
    if draws.effective < POOR and ways_of(own, True).size < ways_of(own, False).size:
        draws = _draws(table, own, True, seed)
    return draws


def ways_of(own: Own, together: bool = False) -> Directions:
    """Of noise scales and, if they are learned, the population's sds."""
    learned = [own.population.log_sd] if own.population.learned else []
    return Directions([own.noise.start(), *learned], together)


def _draws(table: Table, own: Own, together: bool, seed: int) -> Hyperdraws:
    ways = ways_of(own, together)

    def at(move: Tensor) -> tuple[Tensor, ...]:
        noise, *rest = ways.place(move)
        log_sd = own.population.log_sd
        log_sd = rest[0] if rest else log_sd.expand(len(move), *log_sd.shape)
        found = collapsed(table, own, noise, log_sd, ways.together)
        return found.log_evidence, noise, log_sd, found.mean, found.root

    mode = own.site.natural.new_zeros(ways.size)
    if not ways.size:
        return Hyperdraws(mode.new_zeros(1), *at(mode[None])[1:])
    found = sample(at, mode, *sizes(own), seed)
    return Hyperdraws(found.log_weights, *found.rest)


def sizes(own: Own) -> tuple[int, int]:
    """How many draws, and how many at a time, so that memory stays bounded."""
    block = max(1, NUMBERS // own.site.precision.numel())
    return max(FEWEST, min(DRAWS, block)), block


def resample(draws: Hyperdraws, points: int) -> Hyperdraws:
    """`points` of the draws, systematic in the order of the noise, of equal weight."""
    if len(draws.log_weights) <= points:
        return draws
    key = draws.noise[:, 0] if draws.noise.shape[1] else draws.log_sd.flatten(1).sum(1)
    order = key.argsort()
    edges = draws.log_weights[order].exp().cumsum(0)
    ticks = (torch.arange(points, dtype=edges.dtype, device=edges.device) + 0.5) / points
    chosen = draws.take(order[torch.searchsorted(edges, ticks * edges[-1])])
    return chosen._replace(log_weights=torch.full_like(ticks, -math.log(points)))
