"""The posterior of the hyperparameters of the own-data half, by importance sampling.

Noise scales and population sds have no closed form; given them the population mean is Gaussian and
integrated out, (5.17). The proposal is a Student t about the mode, fitted once more to its own draws.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from vmtl_core.evidence import times, update
from vmtl_core.population import NARROW, WIDE, Own
from vmtl_core.priors import MEAN_SD
from vmtl_core.quasi_newton import curvature
from vmtl_core.sites import Table

MOST_DIRECTIONS = 24
"""With more hyperparameters than that, those of one kind move together."""
FREEDOM = 6.0
"""Degrees of freedom of the Student t."""
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
        return float(1 / (2 * self.log_weights).exp().sum())


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
        together: whether the sds keep their ratios. They are one unknown then and have one
            hyperprior, the geometric mean of theirs.
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
    hyperprior = population.log_marginal_hyperprior(log_sd)
    total = total + (hyperprior / log_sd[0].numel() if together else hyperprior)
    pulled = site.precision @ found.root
    weight = (site.precision - pulled @ pulled.mT).sum(-4)
    natural = (site.natural - times(pulled, times(found.root.mT, site.natural))).sum(-3)
    prior = torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)
    mean = update(weight, natural, torch.zeros_like(natural[0]), MEAN_SD * prior)
    return Collapsed(total + mean.log_evidence.sum(-1), mean.loc, mean.root)


class Directions:
    """Which way the hyperparameters move from their mode, and how to get there."""

    def __init__(self, own: Own, together: bool = False):
        noise, log_sd = own.noise.start(), own.population.log_sd
        self.noise, self.log_sd = noise, log_sd
        learned = log_sd.numel() if own.population.learned else 0
        few = len(noise) + learned <= MOST_DIRECTIONS and not together
        self.kinds = [
            (len(noise), few or len(noise) <= 2),
            (learned, few or (learned + 2 <= MOST_DIRECTIONS and not together)),
        ]
        self.size = sum(n if each else min(n, 1) for n, each in self.kinds)
        self.together = not self.kinds[1][1]

    def place(self, move: Tensor) -> tuple[Tensor, Tensor]:
        """noise (S, F) and log_sd (S, P, D) for moves (S, size)."""
        count, at, parts = len(move), 0, []
        for n, each in self.kinds:
            width = n if each else min(n, 1)
            parts.append(move[:, at : at + width].expand(count, n) if n else move[:, :0])
            at += width
        noise = (self.noise + parts[0]).clamp(NARROW, WIDE)
        log_sd = self.log_sd.expand(count, *self.log_sd.shape)
        if parts[1].shape[1]:
            log_sd = (log_sd + parts[1].view(log_sd.shape)).clamp(NARROW, WIDE)
        return noise, log_sd


def draw_hyperparameters(table: Table, own: Own, seed: int) -> Hyperdraws:
    """Weighted draws from the posterior of noise scales, population sds and mean.

    Where a population sd may as well be 0, its posterior has a long tail that the draws miss; if
    few of them count for that reason, the sds keep their ratios.
    """
    ways = Directions(own)
    draws = _draws(table, own, ways, seed)
    if ways.size and not ways.together and draws.effective < POOR:
        draws = _draws(table, own, Directions(own, together=True), seed)
    return draws


def _draws(table: Table, own: Own, ways: Directions, seed: int) -> Hyperdraws:
    if not ways.size:
        noise, log_sd = ways.place(own.site.natural.new_zeros(1, 0))
        found = collapsed(table, own, noise, log_sd)
        none = torch.zeros_like(found.log_evidence)
        return Hyperdraws(none, noise, log_sd, found.mean, found.root)
    count = max(FEWEST, min(DRAWS, NUMBERS // own.site.precision.numel()))
    centre, root = own.site.natural.new_zeros(ways.size), _laplace(table, own, ways)
    for again in (False, True):
        size = count if again else count // 2
        move, log_proposal = _student(centre, root, size, seed + again)
        noise, log_sd = ways.place(move)
        found = _in_blocks(table, own, noise, log_sd, ways.together)
        log_weights = _truncated(found.log_evidence - log_proposal)
        if not again:
            centre, root = _refit(move, log_weights.exp().unsqueeze(-1), root)
    return Hyperdraws(log_weights, noise, log_sd, found.mean, found.root)


def _truncated(log_weights: Tensor) -> Tensor:
    """Normalised, none above sqrt(S) times their mean: a far draw that chance has made is not the answer.

    References:
        Ionides, *Truncated Importance Sampling*, 2008.
    """
    count = len(log_weights)
    mean = log_weights.logsumexp(0) - math.log(count)
    return log_weights.clamp_max(mean + 0.5 * math.log(count)).log_softmax(0)


def _refit(move: Tensor, weights: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and root of the covariance of weighted draws, the latter drawn towards `root`."""
    centre = (weights * move).sum(0)
    spread = (weights * (move - centre)).mT @ (move - centre)
    effective = float(1 / weights.square().sum())
    share = effective / (effective + 2 * len(centre))
    return centre, torch.linalg.cholesky(share * spread + (1 - share) * root @ root.mT)


def _in_blocks(table: Table, own: Own, noise: Tensor, log_sd: Tensor, together: bool) -> Collapsed:
    """`collapsed` for blocks of draws, so that memory stays bounded."""
    size = max(1, NUMBERS // own.site.precision.numel())
    blocks = [
        collapsed(table, own, a, b, together)
        for a, b in zip(noise.split(size), log_sd.split(size), strict=True)
    ]
    return Collapsed(*(torch.cat(one) for one in zip(*blocks, strict=True)))


def _laplace(table: Table, own: Own, ways: Directions) -> Tensor:
    """Root of the proposal's covariance: the inverse curvature at the mode, sds from 0.02 to 1."""

    def gradients(at: Tensor) -> Tensor:
        at = at.requires_grad_(True)
        value = collapsed(table, own, *ways.place(at), ways.together).log_evidence.sum()
        return torch.autograd.grad(value, at)[0]

    mode = own.site.natural.new_zeros(ways.size)
    size, vectors = torch.linalg.eigh(curvature(gradients, mode))
    return vectors * size.clamp(1.0, 2500.0).rsqrt()


def _student(centre: Tensor, root: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Quasi-random draws of a multivariate Student t, (S, d), and their log density up to a constant."""
    size = len(centre)
    uniform = SobolEngine(size + 1, scramble=True, seed=seed).draw(count, dtype=torch.float64)
    uniform = uniform.clamp(1e-9, 1 - 1e-9).to(centre)
    normal = math.sqrt(2) * torch.erfinv(2 * uniform[:, :size] - 1)
    chosen = math.sqrt(2) * torch.erfinv(2 * uniform[:, size] - 1)
    # A chi-square over its degrees of freedom, by Wilson and Hilferty's cube of a normal.
    cube = 1 - 2 / (9 * FREEDOM) + math.sqrt(2 / (9 * FREEDOM)) * chosen
    spread = cube.clamp_min(0.2).pow(3).rsqrt()
    move = normal * spread.unsqueeze(1)
    log_density = -0.5 * (FREEDOM + size) * torch.log1p(move.square().sum(1) / FREEDOM)
    return centre + move @ root.mT, log_density


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
