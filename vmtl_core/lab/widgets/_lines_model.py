"""A few regressions y = w_0 + w_1 x, each with a prior made of the others: the library's closed form.

`js/linesfit.js` is its twin, which fits them in the page. What is learned is what `fit` learns of a
`MultiTaskELBO` at a point, without the average over hyperparameters: the mixing weights, a noise scale
that isn't given, and a base prior that is "learned". The width delta is given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vmtl_core.closed_form import Setting, begin, setting, to_data
from vmtl_core.coordinate import Ascent, Joint
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.evidence import Gaussians
from vmtl_core.lab.widgets._noise import gumbel
from vmtl_core.likelihoods import LinearGaussian
from vmtl_core.population import fit_own
from vmtl_core.posteriors import GaussianWeights
from vmtl_core.sites import Table
from vmtl_core.units import Measured, triangular

DRAWS = 16
"""Gumbel draws that the expected objective is made of."""
SWEEPS, REPEATS, REST = 15, 40, 300
"""Sweeps of the library, then steps with everything at once; at most so many sweeps of "previous"."""
STILL = 1e-11
"""How little of the objective, or of a mean, is nothing."""
BASES: dict[str, Any] = {"none": None, "fixed": "standard", "learned": "learned"}


class Laws(NamedTuple):
    """Gaussian laws of w = (w_0, w_1), and sigma where they are fitted by themselves."""

    mean: Tensor
    """(..., 2)."""
    covariance: Tensor
    """(..., 2, 2)."""
    sigma: Tensor
    """(...,)."""


class Lines(NamedTuple):
    """A fit; `linesFit` of `js/linesfit.js` returns the same by these names."""

    q: Laws
    alone: Laws
    """Every task by itself, under N(0, I) in standard units, or in units of w if the base prior is."""
    pooled: Laws
    """All rows as one task, likewise, without a leading dimension."""
    components: Laws
    """What each source says of another task, delta counted in, and p_0, K of them."""
    alpha: Tensor
    """Mean over the draws, (T, K)."""
    phi: Tensor
    pi: Tensor
    likelihood: Tensor
    """E log p(y_t|w_t), (T,)."""
    kl: Tensor
    """The bound on KL(q_t || prior), (T,)."""
    hyperprior: float
    """Log density over T."""
    elbo: float
    sigma: float
    population: Laws | None
    """p_0."""
    converged: bool


class Everything(Joint):
    """Quasi-Newton steps on everything, with the sources that `Ascent` has where `fixed`."""

    fixed = False

    def sources(self) -> Gaussians:
        return self.own.gaussians if self.fixed else super().sources()

    def own_terms(self) -> tuple[float, Tensor]:
        return Ascent.own_terms(self) if self.fixed else super().own_terms()

    def free(self) -> list[Tensor]:
        return Ascent.free(self) if self.fixed else super().free()


def lines_fit(
    tasks: Any,
    *,
    temperature: float = 1.0,
    draws: int | None = None,
    sigma: float | None = None,
    delta: float = 0.5,
    sources: str = "own",
    divergence: str = "jensen",
    base: str = "learned",
) -> Lines:
    """Fit some lines, each with a prior made of the others.

    Args:
        tasks: of each task its rows (x, y).
        temperature: tau; without draws it is 1.
        draws: the seed of 16 Gumbel draws; None for none, alpha = pi.
        sigma: noise scale in units of y; learned if None.
        delta: transfer width in units of w, above 0.
        sources: "own", "previous" or "joint".
        divergence: "jensen" or "convex".
        base: p_0: "none", "fixed" for N(0, I), or "learned".

    Raises:
        ValueError: if the library takes no such model or data.
    """
    x, y, task = table_of(tasks)
    model = MultiTaskELBO(
        LinearGaussian(sigma),
        GaussianWeights(len(tasks), (2,), covariance="full"),
        task_sizes=[len(rows) for rows in tasks],
        divergence=divergence,
        sources=sources,
        base_prior=BASES[base],
        transfer=delta,
        temperature=1.0 if draws is None else temperature,
    ).double()
    found = with_draws(setting(model, x, y, task, model.temperature(0), 0), draws)
    ascent, settled = _ascend(begin(model, found, 1e-12, 0), sources)
    return _report(ascent, found, settled and ascent.own.settled, x, y, task)


def table_of(tasks: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The rows in long format: inputs (1, x), targets, ids."""
    rows = torch.tensor([row for rows in tasks for row in rows], dtype=torch.float64)
    task = torch.tensor([t for t, rows in enumerate(tasks) for _ in rows])
    return torch.stack([torch.ones_like(rows[:, 0]), rows[:, 0]], 1), rows[:, 1], task


def with_draws(found: Setting, draws: int | None) -> Setting:
    """The setting with the laboratory's Gumbel draws in the place of torch's."""
    mixing = found.problem.mixing
    shape = mixing.start.shape
    noise = torch.zeros(1, *shape).double() if draws is None else gumbel(draws, DRAWS, *shape)
    mixing = replace(mixing, weights=replace(mixing.weights, gumbel=noise))
    return found._replace(problem=found.problem._replace(mixing=mixing))


def _ascend(ascent: Ascent, sources: str) -> tuple[Ascent, bool]:
    """The fit where it has settled, and whether it has."""
    if sources == "previous":
        return ascent, _until_still(ascent)
    if sources == "own":
        for _ in range(SWEEPS):
            ascent.sweep()
    every = Everything(ascent.problem, ascent.own, ascent.state)
    every.population, every.fixed = ascent.population, sources == "own"
    before = float(every.total())
    for _ in range(REPEATS):
        every.sweep()
        now = float(every.total())
        if abs(now - before) < STILL:
            return every, True
        before = now
    return every, False


def _until_still(ascent: Ascent) -> bool:
    """Sweeps until nothing moves; some settings have no rest."""

    def numbers() -> Tensor:
        state, population = ascent.state, ascent.population
        every = (state.posterior.loc, state.logits, state.noise, population.loc, population.log_sd)
        return torch.cat([one.flatten() for one in every])

    before = numbers()
    for _ in range(REST):
        ascent.sweep()
        now = numbers()
        if float((now - before).abs().max()) < STILL:
            return True
        before = now
    return False


def _report(
    ascent: Ascent, found: Setting, settled: bool, x: Tensor, y: Tensor, task: Tensor
) -> Lines:
    state, units, weights = ascent.state, found.units, ascent.mixing.weights
    likelihood, kl, extra = ascent.values()
    log_alpha, parts = ascent.log_alpha(), ascent.parts()
    sigma = ascent.problem.noise.tasks(state.noise).exp() * units.target_scale
    base = ascent.problem.base_law(ascent.population)
    lower = torch.linalg.cholesky(base.covariance)
    each = [by_itself(found, x[task == t], y[task == t]) for t in range(len(sigma))]
    return Lines(
        laws_of(state.posterior.loc, state.posterior.root, units, sigma),
        Laws(*map(torch.stack, zip(*each, strict=True))),
        by_itself(found, x, y),
        laws_of(parts.loc, torch.linalg.cholesky(parts.precision.inverse()), units, sigma),
        log_alpha.exp().mean(0),
        weights.responsibilities(log_alpha, state.kl).mean(0),
        state.logits.masked_fill(weights.excluded, -torch.inf).softmax(-1),
        likelihood,
        kl,
        float(extra),
        float(likelihood.mean() - kl.mean() + extra),
        float(sigma[0]),
        laws_of(base.loc[0], lower[0], units, sigma) if ascent.problem.base else None,
        settled,
    )


def laws_of(loc: Tensor, root: Tensor, units: Measured, sigma: Tensor) -> Laws:
    """Laws of standard weights (..., 1, 2) by their roots, as laws of w."""
    loc, root = to_data(loc, triangular(root), units)
    return Laws(loc.squeeze(-2), (root @ root.mT).squeeze(-3), sigma)


def by_itself(found: Setting, x: Tensor, y: Tensor) -> Laws:
    """Some rows under N(0, I), with a noise scale of their own if it is learned."""
    units, noise = found.units, found.own_noise
    u = x @ (units.basis[0] / units.target_scale)
    v = (y - (x @ units.offset.mT)[:, 0]) / units.target_scale
    zeros = torch.zeros(len(y), dtype=torch.long)
    likelihood = LinearGaussian()
    log_unit = torch.tensor(units.target_scale).double().log().item()
    table = Table(u, v, zeros, [likelihood], 1, torch.zeros(1).double(), log_unit)
    wide = replace(found.own_population, learned=False, tasks=1)
    alone = fit_own(table, wide, replace(noise, index=noise.index[:1]), REST, 1e-12)
    sigma = alone.noise.log_scale[0].exp() * units.target_scale
    laws = laws_of(alone.posterior.loc[0], alone.posterior.root[0], units, sigma)
    return laws
