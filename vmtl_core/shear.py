"""Correlations in the population, where the evidence wants them.

A population of full covariance is one of independent coordinates in other units: with V_0 = U S U',
U unit lower triangular and S diagonal, the weights U^-1 w are independent. So a fit with full V_0 is a
fit with diagonal V_0 whose units, (5.13), have taken U in, and nothing else changes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vmtl_core.population import Own
from vmtl_core.quasi_newton import curvature, one_by_one
from vmtl_core.sites import Table
from vmtl_core.tilted import climb_evidence, evidence, tilted, unit_lower

TASKS_EACH = 8
"""Correlations are tried where there are so many tasks for each of them."""


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
    count = size * (size - 1) // 2 * table.columns
    if not (population.learned and population.weak) or not count:
        return None
    if count * TASKS_EACH > table.tasks:
        return None
    own = tilted(table, own, tolerance)
    found, other, reached = climb_evidence(table, own, True, tolerance)
    gain = table.tasks * (reached - own.objective)

    def value(slopes: Tensor) -> Tensor:
        return table.tasks * evidence(table, own, found._replace(slopes=slopes), other)

    bend = curvature(one_by_one(value, found.slopes.shape), found.slopes.flatten())
    log_det = torch.linalg.slogdet(bend).logabsdet
    gain = gain - 0.5 * float(log_det) + 0.5 * count * math.log(2 * math.pi)
    return unit_lower(found.slopes, found.log_sd) if gain > 0 else None
