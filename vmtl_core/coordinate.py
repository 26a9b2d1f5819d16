"""Coordinate ascent on the multi-task ELBO in closed form, for linear models with z = x."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from vmtl_core.evidence import Gaussians, Updated, log_normal, update
from vmtl_core.mixture import Components, Weights, components, kl_pairs, kl_total, product
from vmtl_core.population import Expansion, Noise, Own, Population, enveloped
from vmtl_core.quasi_newton import maximise
from vmtl_core.sites import Table
from vmtl_core.units import triangular

SWEEPS, STEPS, JOINT_STEPS = 3, 4, 25
"""In a sweep: alternations of posteriors and responsibilities, and quasi-Newton steps."""


@dataclass
class Transfer:
    """What a source says of another task, in standard units."""

    log_width: Tensor | None
    """log delta, (P, D)."""
    stationary: bool
    learned: bool
    fixed: Tensor | None = None
    """Covariance added for a delta in units of w, (P, D, D)."""

    def apply(self, sources: Gaussians, log_width: Tensor | None, base: Gaussians) -> Gaussians:
        """(12.5) or (2.6): laws of w given that the source's is one of `sources`, (..., T, P, D).

        `log_width` is (..., P, D), `base` (..., 1, P, D).
        """
        loc, covariance = sources
        if self.fixed is not None:
            covariance = covariance + self.fixed
        if log_width is None:
            return Gaussians(loc, covariance)
        noise = (2 * log_width).exp().unsqueeze(-3)
        if self.stationary:
            rho = (1 + noise).rsqrt()
            loc = base.loc + rho * (loc - base.loc)
            covariance = rho.unsqueeze(-1) * covariance * rho.unsqueeze(-2)
            noise = noise * rho.square() * base.covariance.diagonal(dim1=-2, dim2=-1)
        return Gaussians(loc, covariance + torch.diag_embed(noise))


@dataclass
class Mixing:
    """The logits of alpha with what belongs to them."""

    weights: Weights
    logits: Tensor
    """(T, K)."""
    start: Tensor
    columns: Tensor | None
    """Which component each entry is of; None where every row has all."""
    learned: bool = True


@dataclass
class State:
    """Everything that the mixture half of the fit moves."""

    logits: Tensor
    log_width: Tensor | None
    noise: Tensor
    """The learned log sigma, (F,)."""
    posterior: Updated
    kl: Tensor
    phi: Tensor
    """Responsibilities of every draw, (R, T, K)."""
    terms: dict[str, float] = field(default_factory=dict)


class Problem(NamedTuple):
    """What stays: data, prior, and how the mixture is made."""

    table: Table
    population: Population
    noise: Noise
    transfer: Transfer
    mixing: Mixing
    base: bool
    """Whether p_0 is one of the components, the last."""
    weak: bool
    """Whether the hyperpriors hold."""

    def base_law(self, population: Population) -> Gaussians:
        """p_0, (..., 1, P, D)."""
        root = population.root(population.log_sd).unsqueeze(-4)
        return Gaussians(population.loc.unsqueeze(-3), root @ root.mT)

    def parts(
        self, sources: Gaussians, log_width: Tensor | None, population: Population
    ) -> Components:
        """The components of everybody's prior: the sources' reports, and p_0."""
        base = self.base_law(population)
        laws = self.transfer.apply(sources, log_width, base)
        if self.base:
            laws = laws.join(base)
        return components(laws)

    def log_hyperprior(self, state: State) -> Tensor:
        """Of the logits and the width, a scalar; not divided by T."""
        total = state.logits.new_zeros(())
        if not self.weak:
            return total
        if self.mixing.learned:
            away = (state.logits - self.mixing.start)[~self.mixing.weights.excluded]
            total = total + log_normal(away, 1.0).sum()
        if state.log_width is not None and self.transfer.learned:
            total = total + log_normal(state.log_width, 1.0).sum()
        return total


class Ascent:
    """Alternate posteriors, responsibilities, mixing weights and the few numbers that are left.

    Args:
        problem: what is fitted.
        own: the own-data half, whose posteriors are the sources.
        state: where to start; the own-data posteriors if None.
    """

    def __init__(self, problem: Problem, own: Own, state: State | None = None):
        self.problem, self.own, self.mixing = problem, own, problem.mixing
        self.population = own.population
        self._logits: Tensor | None = None
        self._log_alpha = self.mixing.logits
        self.expansion = Expansion.about(problem.table, own.other)
        shape = self.mixing.logits.shape
        same = len(own.noise.start()) == len(problem.noise.start())
        self.state = state or State(
            self.mixing.logits.clone(),
            None if problem.transfer.log_width is None else problem.transfer.log_width.clone(),
            own.noise.start() if same else problem.noise.start(),
            own.posterior,
            self.mixing.logits.new_zeros(shape),
            self.mixing.logits.new_zeros(1, *shape),
        )

    def sources(self) -> Gaussians:
        """The posteriors that the components are made of."""
        return self.own.gaussians

    def centre(self) -> tuple[Tensor, Tensor]:
        """m_0 and log s_0."""
        return self.population.loc, self.population.log_sd

    def own_terms(self) -> tuple[float, Tensor]:
        """Mean own-data ELBO, and the hyperprior of the own-data noise, not divided by T."""
        noise = self.own.noise
        return float(self.own.elbo.mean()), noise.log_hyperprior(noise.start())

    def sweep(self, alternations: int = SWEEPS, hyperparameters: bool = True) -> None:
        """One round of all coordinates."""
        parts = self.parts()
        for _ in range(alternations):
            self.posteriors(parts)
        if not hyperparameters:
            return
        self.climb()
        maximise(self.collapsed(), self.free(), STEPS, 1e-10)

    def parts(self) -> Components:
        """What everybody's prior is made of."""
        return self.problem.parts(self.sources(), self.state.log_width, self.population)

    def climb(self) -> None:
        """A step of the mixing weights."""
        state, mixing = self.state, self.mixing
        state.logits, log_alpha = mixing.weights.climb(
            state.logits, self.log_alpha(), state.kl, mixing.start, float(self.problem.weak)
        )
        self._logits, self._log_alpha = state.logits, log_alpha
        state.phi = mixing.weights.responsibilities(log_alpha, state.kl)

    def log_alpha(self) -> Tensor:
        """Of every draw, (R, T, K); kept while the logits stay the same tensor."""
        logits = self.state.logits
        if logits.requires_grad or self._logits is not logits:
            self._logits, self._log_alpha = logits, self.mixing.weights.log_alpha(logits)
        return self._log_alpha

    def free(self) -> list[Tensor]:
        """What the quasi-Newton steps move."""
        state = self.state
        width = state.log_width if self.problem.transfer.learned else None
        return [t for t in (state.noise, width) if t is not None]

    def posteriors(self, parts: Components) -> None:
        """Responsibilities, then every task's best Gaussian, (5.16)."""
        problem, state, mixing = self.problem, self.state, self.mixing
        q = state.posterior.gaussians()
        log_det = 2 * root_log_det(state.posterior.root)
        state.kl = kl_pairs(q, log_det, parts, mixing.columns)
        log_alpha = self.log_alpha()
        state.phi = mixing.weights.responsibilities(log_alpha, state.kl)
        prior = product(state.phi.mean(0), parts, mixing.columns)
        log_scale = problem.noise.tasks(state.noise)
        _, state.posterior = self.expansion.settle(log_scale, (prior.loc, prior.factor), 1e-9, 2)

    def collapsed(self) -> Callable[[], Tensor]:
        """The objective at fixed responsibilities, posteriors at their best: a function to maximise."""
        problem, state, mixing = self.problem, self.state, self.mixing
        phi = state.phi.mean(0)

        def value() -> Tensor:
            parts = self.parts()
            log_scale = problem.noise.tasks(state.noise)
            with torch.no_grad():
                prior = product(phi, parts, mixing.columns)
                site = problem.table.site(log_scale, self.expansion.other)
                found = update(site.precision, site.natural, prior.loc, prior.factor)
                total = (site.constant + found.log_evidence.sum(-1) + prior.log_mass).sum()
                q = found.gaussians()
            slope = problem.table.noise_terms(q, log_scale) - kl_total(
                phi, q, parts, mixing.columns
            )
            extra = problem.log_hyperprior(state)
            extra = extra + self.population.log_hyperprior(*self.centre())
            if problem.weak:
                extra = extra + problem.noise.log_hyperprior(state.noise)
            return (enveloped(total, slope) + extra) / problem.table.tasks

        return value

    def total(self) -> Tensor:
        """The objective at the present state, a scalar."""
        likelihood, divergence, extra = self.values()
        return likelihood.mean() - divergence.mean() + extra

    def measure(self) -> dict[str, float]:
        """The terms of the objective at the present state, as `ELBOTerms` has them."""
        likelihood, divergence, extra = self.values()
        return {
            "elbo": float(likelihood.mean() - divergence.mean() + extra),
            "log_likelihood": float(likelihood.mean()),
            "kl_weights": float(divergence.mean()),
            "kl_latents": 0.0,
            "hyperprior": float(extra),
            "own_elbo": self.own_terms()[0],
        }

    def values(self) -> tuple[Tensor, Tensor, Tensor]:
        """Expected log likelihood and divergence of each task, (T,), and hyperpriors over T."""
        problem, state, mixing = self.problem, self.state, self.mixing
        parts = self.parts()
        q = state.posterior.gaussians()
        state.kl = kl_pairs(q, 2 * root_log_det(state.posterior.root), parts, mixing.columns)
        log_scale = problem.noise.tasks(state.noise)
        likelihood = problem.table.log_likelihood(q, log_scale)
        divergence = mixing.weights.divergence(self.log_alpha(), state.kl)
        extra = problem.log_hyperprior(state)
        extra = extra + self.population.log_hyperprior(*self.centre())
        if problem.weak:
            extra = extra + problem.noise.log_hyperprior(state.noise) + self.own_terms()[1]
        return likelihood, divergence, extra / problem.table.tasks


class Previous(Ascent):
    """The same with the others' present posteriors as sources: sources="previous".

    A learned base prior is then a matter of the mixture. There is no objective that every sweep
    raises: a task's prior moves with what the others have just learned from it.
    """

    def sources(self) -> Gaussians:
        return self.state.posterior.gaussians()

    def own_terms(self) -> tuple[float, Tensor]:
        return 0.0, self.state.noise.new_zeros(())

    def free(self) -> list[Tensor]:
        base = [self.population.loc, self.population.log_sd] if self.population.learned else []
        return super().free() + base


class Joint(Previous):
    """The same with gradients into the sources: sources="joint". Quasi-Newton steps on everything."""

    def sweep(self, alternations: int = SWEEPS, hyperparameters: bool = True) -> None:
        state = self.state
        loc, root = state.posterior.loc.clone(), triangular(state.posterior.root)
        log_diagonal = root.diagonal(dim1=-2, dim2=-1).log().clone()
        below = root.tril(-1) / root.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
        free = [loc, log_diagonal, below, state.logits, *self.free()]

        def value() -> Tensor:
            unit = below.tril(-1) + torch.eye(below.shape[-1]).to(below)
            factor = unit * log_diagonal.clamp(-20.0, 20.0).exp().unsqueeze(-1)
            state.posterior = Updated(loc, factor, log_diagonal.sum(-1))
            return self.total()

        maximise(value, free, JOINT_STEPS, 1e-12)
        self._logits = None  # they were moved in place
        with torch.no_grad():
            value()


def root_log_det(root: Tensor) -> Tensor:
    """log |det R|, summed over columns, for square roots (T, P, D, D) of any shape, (T,)."""
    return torch.linalg.slogdet(root).logabsdet.sum(-1)
