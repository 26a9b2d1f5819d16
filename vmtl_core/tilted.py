r"""The evidence of hyperparameters where likelihoods aren't Gaussian, by sites of the right moments.

The bound of (5.15) is loosest where a task's few labels leave its weights wide, and so it learns the
population too narrow. Expectation propagation gives every row a site with which, beside the others,
the weights have the evidence and the first two moments that they have with the row's likelihood,
(5.19). At its fixed point the evidence's gradient in m_0 and V_0 is that of Gaussian sites, for it
depends on those moments alone.

References:
    Minka, *Expectation Propagation for Approximate Bayesian Inference*, 2001; Kuss and Rasmussen,
    *Assessing Approximate Inference for Binary Gaussian Process Classification*, 2005.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vmtl_core.evidence import log_normal, update
from vmtl_core.expectations import normal_nodes
from vmtl_core.population import Own, divergence, enveloped
from vmtl_core.quasi_newton import maximise
from vmtl_core.sites import Part, RowSites, Site, Table

SOME, MOST, SETTLED = 2, 50, 1e-6
"""Steps of expectation propagation on the way and at the end, and how little the last may move a row's
natural mean."""
TINY, HALF_LOG_TAU = 1e-18, 0.5 * math.log(2 * math.pi)
ROUNDS = 8
SPREAD = 0.5
"""The sd of the prior of correlations, N(0, SPREAD^2) on each regression of a standardised coordinate
on another."""


class Climbed(NamedTuple):
    """Where the evidence is greatest."""

    loc: Tensor
    """m_0, (P, D)."""
    log_sd: Tensor
    """(P, D)."""
    slopes: Tensor
    """Of a standardised coordinate on the ones before it, (P, D (D - 1) / 2); (P, 0) if independent."""
    noise: Tensor
    """Learned log sigma, (F,)."""

    @property
    def root(self) -> Tensor:
        """F with V_0 = F F', lower triangular, (P, D, D)."""
        if not self.slopes.shape[1]:
            return torch.diag_embed(self.log_sd.exp())
        return unit_lower(self.slopes, self.log_sd) * self.log_sd.exp().unsqueeze(-2)


def climb_evidence(
    table: Table, own: Own, correlated: bool, tolerance: float
) -> tuple[Climbed, Site | None, float]:
    """Maximise evidence and hyperpriors over the population and the noise scales.

    Args:
        table: the data in standard units.
        own: where to start.
        correlated: whether the population's coordinates may be.
        tolerance: in nats a task.

    Returns:
        Where it is greatest, the sites of the tasks that aren't Gaussian there, and its value over T.
    """
    population, size = own.population, table.size
    slopes = size * (size - 1) // 2 if correlated else 0
    at = Climbed(
        population.loc.clone(),
        population.log_sd.clone(),
        population.loc.new_zeros(table.columns, slopes),
        own.noise.start(),
    )
    sites = Propagation(table, own)

    def value() -> Tensor:
        with torch.no_grad():
            other = sites.renew(at.loc, at.root, SOME)
        return evidence(table, own, at, other)

    for _ in range(ROUNDS if table.parts else 1):
        before, _ = maximise(value, list(at), 100, tolerance * 0.1)
        other = sites.renew(at.loc, at.root, MOST)
        reached = float(evidence(table, own, at, other))
        if abs(reached - before) < tolerance:
            break
    return at, other, reached


def evidence(table: Table, own: Own, at: Climbed, other: Site | None) -> Tensor:
    """Log evidence and hyperpriors over T, a scalar, at given sites of the tasks that aren't Gaussian.

    Gradients are for everything in `at`.
    """
    log_scale, root = own.noise.tasks(at.noise), at.root
    with torch.no_grad():
        site = table.site(log_scale, other)
        found = update(site.precision, site.natural, at.loc, root)
    total = (site.constant + found.log_evidence.sum(-1)).sum()
    slope = table.noise_terms(found.gaussians(), log_scale) - divergence(found, at.loc, root)
    total = enveloped(total, slope) + log_normal(at.slopes, SPREAD).sum()
    total = total + own.population.log_hyperprior(at.loc, at.log_sd)
    return (total + own.noise.log_hyperprior(at.noise)) / table.tasks


def tilted(table: Table, own: Own, tolerance: float) -> Own:
    """The own-data half at the greatest evidence, with sites that tell it; as it is if all is Gaussian.

    Its posteriors are the true ones' moments, not those of the greatest ELBO.
    """
    if not (table.parts and own.population.learned and own.population.weak):
        return own
    if own.tilted is not None:
        return own.tilted
    found, other, reached = climb_evidence(table, own, False, tolerance)
    population = replace(own.population, loc=found.loc, log_sd=found.log_sd)
    noise = replace(own.noise, log_scale=own.noise.all(found.noise))
    site = table.site(noise.tasks(found.noise), other)
    posterior = update(site.precision, site.natural, found.loc, population.root(found.log_sd))
    own.tilted = replace(
        own,
        population=population,
        noise=noise,
        site=site,
        other=other,
        posterior=posterior,
        elbo=site.constant + posterior.log_evidence.sum(-1),
        objective=reached,
    )
    return own.tilted


def unit_lower(slopes: Tensor, log_sd: Tensor) -> Tensor:
    """U from regressions of standardised coordinates, (P, D (D - 1) / 2)."""
    size = log_sd.shape[-1]
    rows, columns = torch.tril_indices(size, size, -1)
    scale = (log_sd[:, rows] - log_sd[:, columns]).exp()
    lower = slopes.new_zeros(len(slopes), size, size)
    lower = lower.index_put((torch.arange(len(slopes))[:, None], rows, columns), slopes * scale)
    return lower + torch.eye(size).to(slopes)


class Propagation:
    """Expectation propagation: sites of the rows that aren't Gaussian, kept from prior to prior.

    Rows with several predictors, classes, keep the bound's sites.

    Args:
        table: the data.
        own: the own-data half, by the bound, where to start.
    """

    def __init__(self, table: Table, own: Own):
        self.table, self.other = table, own.other
        self.rows: list[RowSites] = []
        if own.other is not None and table.columns == 1:
            q, shift = own.gaussians, table.shift
            self.rows = [part.about(*part.moments(q, shift), shift) for part in table.parts]

    def renew(self, loc: Tensor, factor: Tensor, most: int) -> Site | None:
        """The sites under N(loc, factor factor'), renewed at most so many times."""
        for _ in range(most if self.rows else 0):
            before, self.rows = self.rows, self._renewed(loc, factor)
            pairs = list(zip(self.rows, before, strict=True))
            if max(float((a.natural - b.natural).abs().max()) for a, b in pairs) < SETTLED:
                break
        return self._product() if self.rows else self.other

    def _product(self) -> Site:
        pairs = zip(self.table.parts, self.rows, strict=True)
        return self.table.sum([part.site(one) for part, one in pairs])

    def _renewed(self, loc: Tensor, factor: Tensor) -> list[RowSites]:
        table = self.table
        whole = table.site(torch.zeros_like(table.counts), self._product())
        q = update(whole.precision, whole.natural, loc, factor).gaussians()
        pairs = zip(table.parts, self.rows, strict=True)
        return [renew(part, *part.rows.predictors(q), one, table.shift) for part, one in pairs]


def renew(part: Part, mean: Tensor, variance: Tensor, rows: RowSites, shift: Tensor) -> RowSites:
    """One step of expectation propagation, all rows at once. Equation (5.19).

    The site of a row is chosen so that with the cavity, the posterior without the row, it has the
    evidence and moments that the row's likelihood has with it.

    Args:
        part: the rows.
        mean, variance: of their predictors under the posterior, (B, 1).
        rows: their present sites.
        shift: what is added to the predictors, (1,).
    """
    variance = variance.clamp_min(TINY)
    precision = 1 / variance - rows.precision
    precision = torch.where(precision > 0, precision, 1 / variance)
    natural = mean / variance - rows.natural
    nodes, _ = normal_nodes(mean)
    nodes = nodes.view(-1, 1, 1)
    eta = mean + variance.sqrt() * nodes
    step = (nodes[1] - nodes[0]).log() + 0.5 * variance.log()
    cavity = -0.5 * precision * eta.square() + natural * eta
    cavity = cavity - 0.5 * natural.square() / precision + 0.5 * precision.log() - HALF_LOG_TAU
    each = part.expected(eta + shift, None).unsqueeze(-1) + cavity + step
    log_evidence, weights = each.logsumexp(0), each.softmax(0)
    centre = (weights * eta).sum(0)
    spread = (weights * (eta - centre).square()).sum(0)
    wanted = (1 / spread - precision).clamp_min(0.0)
    whole = precision + wanted
    pull = centre * whole - natural
    plain = 0.5 * ((natural + pull).square() / whole - natural.square() / precision)
    plain = plain + 0.5 * (precision / whole).log()
    return RowSites(wanted, pull, (log_evidence - plain)[..., 0])
