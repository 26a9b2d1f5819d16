"""Correlations in the population, where the evidence wants them.

A population of full covariance is one of independent coordinates in other units: with V_0 = U S U',
U unit lower triangular and S diagonal, the weights U^-1 w are independent. So a fit with full V_0 is a
fit with diagonal V_0 whose units, (5.13), have taken U in, and nothing else changes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vmtl_core.evidence import log_normal
from vmtl_core.population import Expansion, Own, divergence, enveloped
from vmtl_core.quasi_newton import maximise
from vmtl_core.sites import Table

TASKS_EACH = 8
"""Correlations are tried where there are so many tasks for each of them."""
SPREAD = 0.5
"""The sd of their prior, N(0, SPREAD^2) on each regression of a standardised coordinate on another."""


def shear(table: Table, own: Own, tolerance: float) -> Tensor | None:
    """U, (P, D, D), if the evidence of a correlated population is the greater; None if it isn't.

    Laplace's approximation integrates the correlations out: their greatest evidence times prior,
    times the volume that their curvature leaves them.

    Args:
        table: the data in standard units.
        own: the own-data half with independent coordinates.
        tolerance: in nats a task.
    """
    population, size = own.population, table.size
    rows, columns = torch.tril_indices(size, size, -1)
    count = len(rows) * table.columns
    if not (population.learned and population.weak) or not count:
        return None
    if count * TASKS_EACH > table.tasks:
        return None
    loc, log_sd, free = population.loc.clone(), population.log_sd.clone(), own.noise.start()
    slopes = loc.new_zeros(table.columns, len(rows))
    expansion = Expansion.about(table, own.other)

    def whole(at: Tensor) -> Tensor:
        """Log evidence and hyperpriors, summed over tasks."""
        root = unit_lower(at, log_sd, rows, columns) * log_sd.exp().unsqueeze(-2)
        prior, log_scale = (loc, root), own.noise.tasks(free)
        with torch.no_grad():
            site, found = expansion.settle(log_scale, prior, tolerance * table.tasks)
        total = (site.constant + found.log_evidence.sum(-1)).sum()
        slope = table.noise_terms(found.gaussians(), log_scale) - divergence(found, *prior)
        total = enveloped(total, slope) + log_normal(at, SPREAD).sum()
        total = total + population.log_hyperprior(loc, log_sd)
        return total + own.noise.log_hyperprior(free)

    parameters = [slopes, loc, log_sd, free]
    reached, _ = maximise(lambda: whole(slopes) / table.tasks, parameters, 100, tolerance * 1e-2)
    gain = table.tasks * (reached - own.objective)
    log_det = torch.linalg.slogdet(_curvature(whole, slopes)).logabsdet
    gain = gain - 0.5 * float(log_det) + 0.5 * count * math.log(2 * math.pi)
    return unit_lower(slopes, log_sd, rows, columns) if gain > 0 else None


def unit_lower(slopes: Tensor, log_sd: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """U from regressions of standardised coordinates, (P, D (D - 1) / 2)."""
    size = log_sd.shape[-1]
    lower = slopes.new_zeros(len(slopes), size, size)
    scale = (log_sd[:, rows] - log_sd[:, columns]).exp()
    lower = lower.index_put((torch.arange(len(slopes))[:, None], rows, columns), slopes * scale)
    return lower + torch.eye(size).to(slopes)


def _curvature(whole: object, slopes: Tensor, step: float = 1e-3) -> Tensor:
    """Minus the second derivative in the slopes, (n, n), by differences of gradients."""
    ends = []
    for sign in (step, -step):
        gradients = []
        for i in range(slopes.numel()):
            moved = slopes.flatten().clone()
            moved[i] += sign
            at = moved.view(slopes.shape).requires_grad_(True)
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(whole(at), at)  # type: ignore[operator]
            gradients.append(gradient.flatten())
        ends.append(torch.stack(gradients))
    curvature = -(ends[0] - ends[1]) / (2 * step)
    return 0.5 * (curvature + curvature.mT)
