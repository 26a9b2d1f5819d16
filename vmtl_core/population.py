"""The own-data half of the closed-form fit: every task under the base prior, which it fits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vmtl_core._hyperpriors import FEW, MEAN_SD
from vmtl_core.evidence import Gaussians, Updated, log_diagonal, log_normal, update
from vmtl_core.likelihoods import TASK_NOISE_SD
from vmtl_core.quasi_newton import maximise
from vmtl_core.sites import Site, Table

NARROW, WIDE = math.log(1e-3), math.log(1e3)
"""Bounds of log sds in standard units; beyond them nothing can be told from none, or from all."""

HOPELESS = -1e12
"""An ELBO below which sites begin anew: their precisions no longer fit beside 1 in a float."""


@dataclass
class Noise:
    """The noise scales: log sigma in standard units of Q likelihoods, and which each task has."""

    log_scale: Tensor
    """(Q,)."""
    index: Tensor
    """Of each task's in `log_scale`, (T,); anything for a task without."""
    learned: Tensor
    """Which of them are learned, (Q,), boolean."""
    per_task: bool
    """Whether they are one likelihood's, drawn towards each other."""

    def tasks(self, free: Tensor) -> Tensor:
        """log sigma of every task, (..., T), from the learned ones, (..., F)."""
        return self.all(free)[..., self.index]

    def all(self, free: Tensor) -> Tensor:
        """log sigma of all Q from the learned ones."""
        if bool(self.learned.all()):
            return free.clamp(NARROW, WIDE)
        values = self.log_scale.expand(*free.shape[:-1], -1).clone()
        values[..., self.learned] = free.clamp(NARROW, WIDE)
        return values

    def start(self) -> Tensor:
        """The learned ones, (F,)."""
        return self.log_scale[self.learned].clone()

    def log_hyperprior(self, free: Tensor) -> Tensor:
        """As `LinearGaussian.log_hyperprior`, (...,)."""
        if not free.shape[-1]:
            return free.sum(-1)
        centre = free.mean(-1, keepdim=True) if self.per_task else free
        total = (centre - (2 * centre).exp() / 2 + 0.5 * math.log(2 / math.pi)).sum(-1)
        if self.per_task:
            total = total + log_normal(free - centre, TASK_NOISE_SD).sum(-1)
        return total


@dataclass
class Population:
    """The base prior in standard units, and how much of it is learned."""

    loc: Tensor
    """m_0, (P, D)."""
    log_sd: Tensor
    """log s_0, (P, D)."""
    factor: Tensor
    """F of a prior that is not learned, (P, D, D)."""
    learned: bool
    weak: bool
    """Whether the hyperprior (5.6) holds."""
    tasks: int

    @property
    def push(self) -> float:
        """c of (5.6)."""
        return min(1.0, FEW / self.tasks)

    def root(self, log_sd: Tensor) -> Tensor:
        """F with V_0 = F F', (..., P, D, D)."""
        if not self.learned:
            return self.factor
        return torch.diag_embed(log_sd.clamp(NARROW, WIDE).exp())

    def log_hyperprior(self, loc: Tensor, log_sd: Tensor) -> Tensor:
        """log density (5.6) of m_0 and of log s_0, a scalar."""
        if not (self.learned and self.weak):
            return log_sd.new_zeros(())
        return self.log_sd_hyperprior(log_sd) + log_normal(loc, MEAN_SD).sum()

    def log_sd_hyperprior(self, log_sd: Tensor) -> Tensor:
        """log density (5.6) of log s_0, (...,)."""
        c = self.push
        constant = math.log(2) + c / 2 * math.log(c / 2) - math.lgamma(c / 2)
        return (c * (log_sd - (2 * log_sd).exp() / 2) + constant).sum((-2, -1))

    def log_marginal_hyperprior(self, log_sd: Tensor, tied: bool = False) -> Tensor:
        """log density of log s_0 where it is averaged over, (...,): half-Cauchy of scale 1.

        Tied, the sds keep their ratios: they are one unknown and have one hyperprior, the geometric
        mean of theirs.

        The push of (5.6) keeps a point estimate away from 0; an average needs none, and a sd that
        may be large has the heavy tail that Gelman (2006) recommends.
        """
        each = log_sd - torch.log1p((2 * log_sd).exp()) + math.log(2 / math.pi)
        return each.mean((-2, -1)) if tied else each.sum((-2, -1))


@dataclass
class Own:
    """Own-data posteriors with the base prior and noise that fit them best."""

    population: Population
    noise: Noise
    site: Site
    other: Site | None
    posterior: Updated
    elbo: Tensor
    """Of each task, (T,)."""
    objective: float
    """Mean elbo, and the hyperpriors of what is learned here over T."""
    settled: bool
    tilted: Own | None = None
    """The same where the evidence itself is greatest, if it was asked for; `vmtl_core.tilted`."""

    @property
    def gaussians(self) -> Gaussians:
        return self.posterior.gaussians()


def fit_own(
    table: Table, population: Population, noise: Noise, steps: int, tolerance: float
) -> Own:
    """Maximise mean ELBO of the own-data posteriors and the hyperpriors over T, (5.5) and (5.6).

    With Gaussian tasks alone the maximum over the posteriors is the evidence, and quasi-Newton
    steps find the hyperparameters. Other tasks enter as Gaussian sites about their present
    posterior, renewed until nothing moves.

    Args:
        table: the data.
        population, noise: where they start; what is not learned stays.
        steps: at most so many renewals of the sites.
        tolerance: in nats a task.
    """
    loc, log_sd, free = population.loc.clone(), population.log_sd.clone(), noise.start()
    parameters = [free, loc, log_sd] if population.learned else [free]
    q = Gaussians(loc.expand(table.tasks, -1, -1), _start(population, log_sd, table.tasks))
    state = Expansion(table, q)

    def value() -> Tensor:
        prior = loc, population.root(log_sd)
        log_scale = noise.tasks(free)
        with torch.no_grad():
            site, found = state.settle(log_scale, prior, tolerance * table.tasks)
        total = (site.constant + found.log_evidence.sum(-1)).sum()
        slope = table.noise_terms(found.gaussians(), log_scale) - divergence(found, *prior)
        total = enveloped(total, slope)
        if population.weak:
            total = total + noise.log_hyperprior(free)
        return (total + population.log_hyperprior(loc, log_sd)) / table.tasks

    reached, settled = maximise(value, parameters, steps, tolerance * 1e-2)
    site, posterior = state.settle(
        noise.tasks(free), (loc, population.root(log_sd)), tolerance * 1e-3
    )
    return Own(
        replace(population, loc=loc, log_sd=log_sd.clamp(NARROW, WIDE)),
        replace(noise, log_scale=noise.all(free)),
        site,
        state.other,
        posterior,
        site.constant + posterior.log_evidence.sum(-1),
        reached,
        settled,
    )


def enveloped(value: Tensor, surrogate: Tensor) -> Tensor:
    """`value`, a maximum over posteriors, with the gradient of `surrogate`, the same at fixed ones.

    By the envelope theorem that is the maximum's gradient, and none goes through a decomposition of
    every task's matrices.
    """
    return value.detach() + (surrogate - surrogate.detach())


def divergence(found: Updated, mean: Tensor, factor: Tensor) -> Tensor:
    """Sum over tasks of KL(q_t || N(mean, factor factor')), without what depends on q alone.

    Args:
        found: the posteriors, (T, P, ...), of which no gradient is asked.
        mean: (P, D).
        factor: lower triangular, (P, D, D).
    """
    with torch.no_grad():
        centre = found.loc.mean(0)
        away = found.loc - centre
        spread = (found.root @ found.root.mT).sum(0) + torch.einsum("tpi,tpj->pij", away, away)
    away = centre - mean
    second = spread + len(found.loc) * away.unsqueeze(-1) * away.unsqueeze(-2)
    eye = torch.eye(factor.shape[-1]).to(factor).expand_as(factor)
    inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
    quadratic = 0.5 * ((inverse @ second) * inverse).sum()
    return quadratic + len(found.loc) * log_diagonal(factor).sum()


class Expansion:
    """Sites of the tasks that aren't Gaussian, kept about the posterior that they lead to."""

    def __init__(self, table: Table, q: Gaussians):
        self.table, self.other = table, table.begin(q)
        self.share = torch.ones_like(table.counts)

    @classmethod
    def about(cls, table: Table, other: Site | None) -> Expansion:
        """With given sites."""
        made = cls.__new__(cls)
        made.table, made.other = table, other
        made.share = torch.ones_like(table.counts)
        return made

    def settle(
        self, log_scale: Tensor, prior: tuple[Tensor, Tensor], tolerance: float, most: int = 30
    ) -> tuple[Site, Updated]:
        """The sites' fixed point under a prior, and the posteriors; gradients at fixed sites.

        By the envelope theorem those are the gradients of the greatest ELBO. A step that lowers
        a task's ELBO is taken back, and the next is half as long.
        """
        if self.other is not None:
            with torch.no_grad():
                self._settle(log_scale, prior, tolerance, most)
        site = self.table.site(log_scale, self.other)
        return site, update(site.precision, site.natural, *prior)

    def _settle(
        self, log_scale: Tensor, prior: tuple[Tensor, Tensor], tolerance: float, most: int
    ) -> None:
        assert self.other is not None
        site = proposed = wanted = self.other
        elbo: Tensor | None = None
        for _ in range(most):
            whole = self.table.site(log_scale, proposed)
            found = update(whole.precision, whole.natural, *prior)
            q = found.gaussians()
            fresh = self.table.expand(q)
            assert fresh is not None
            # KL(q || prior) = E log site - log evidence, for q is the posterior under the site.
            gain = self.table.site(log_scale, fresh).expected(q) - whole.expected(q)
            now = gain + whole.constant + found.log_evidence.sum(-1)
            if elbo is None:
                elbo, site, wanted = now, proposed, fresh
                lost = ~(now > HOPELESS)
                if bool(lost.any()):  # the new prior has overshot
                    anew = self.table.begin(q)
                    assert anew is not None
                    elbo = now.masked_fill(lost, -torch.inf)
                    site, wanted = site.where(lost, anew), wanted.where(lost, anew)
            else:
                better = now >= elbo - 1e-12 * elbo.abs()
                self.share = torch.where(better, (1.5 * self.share).clamp_max(1), 0.5 * self.share)
                risen = float((now - elbo).clamp_min(0).sum())
                elbo = torch.where(better, now, elbo)
                site, wanted = site.where(better, proposed), wanted.where(better, fresh)
                if risen < tolerance and bool(better.all()):
                    break
            proposed = site.towards(wanted, self.share)
        self.other = wanted


def _start(population: Population, log_sd: Tensor, tasks: int) -> Tensor:
    root = population.root(log_sd)
    return (root @ root.mT).expand(tasks, *root.shape)
