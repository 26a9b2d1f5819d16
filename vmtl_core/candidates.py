"""Which few sources a task's prior is made of, where all would be too many."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from vmtl_core.evidence import Gaussians

MANY, NEIGHBOURS = 500, 20
"""With more tasks than `MANY` a prior is made of so many sources, unless `neighbours` says otherwise."""
LINES, WINDOW, BLOCK = 8, 16, 1000
RENEWED = 16
"""The first step of Adam before which sources are chosen by the posteriors there are."""


def nearest(laws: Gaussians, neighbours: int, seed: int) -> Tensor:
    """The tasks whose own-data posteriors are nearest to each task's, (T, neighbours).

    Nearest in the means' distance in units of the two posteriors' average spread. They are looked
    for among the next ones along a few random lines, so that time grows as T log T; which of
    two about equally near ones is found is a matter of chance.

    Args:
        laws: own-data posteriors, (T, P, D).
        neighbours: fewer than T.
        seed: of the lines.
    """
    variance = laws.covariance.diagonal(dim1=-2, dim2=-1).flatten(1)
    return nearest_means(laws.loc.flatten(1), variance, neighbours, seed)


def nearest_means(loc: Tensor, variance: Tensor, neighbours: int, seed: int) -> Tensor:
    """`nearest` from means and variances, (T, n) each."""
    scaled = loc / (variance.mean(0) + loc.var(0)).sqrt()
    generator = Generator(device=loc.device).manual_seed(seed)
    reach = max(WINDOW, neighbours)
    directions = torch.randn(
        loc.shape[1], LINES, generator=generator, dtype=loc.dtype, device=loc.device
    )
    pools = [_along(scaled @ one, reach) for one in directions.T]
    pool = torch.cat(pools, 1)
    found = [
        _closest(block, loc, variance, pool[block], neighbours)
        for block in torch.arange(len(loc), device=loc.device).split(BLOCK)
    ]
    return torch.cat(found)


def is_renewal(step: int) -> bool:
    """Whether sources are chosen anew before this step of Adam: at powers of two from `RENEWED`.

    The posteriors move less and less, and a fit that is stopped and goes on does so at the same.
    """
    return step >= RENEWED and step & (step - 1) == 0


def _along(position: Tensor, reach: int) -> Tensor:
    """The `reach` tasks before and after each one on a line, ids (T, 2 reach)."""
    tasks = len(position)
    order = position.argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(tasks, device=order.device)
    steps = torch.cat([torch.arange(-reach, 0), torch.arange(1, reach + 1)]).to(order.device)
    return order[(rank[:, None] + steps) % tasks]


def _closest(rows: Tensor, loc: Tensor, variance: Tensor, pool: Tensor, neighbours: int) -> Tensor:
    """The nearest of each row's pool, none twice and never itself, (B, neighbours)."""
    spread = variance[rows, None] + variance[pool]
    distance = ((loc[rows, None] - loc[pool]).square() / spread).sum(-1)
    pool, order = pool.sort(1)
    distance = distance.gather(1, order)
    twice = torch.zeros_like(distance, dtype=torch.bool)
    twice[:, 1:] = pool[:, 1:] == pool[:, :-1]
    distance = distance.masked_fill(twice | (pool == rows[:, None]), torch.inf)
    return pool.gather(1, distance.argsort(dim=1, stable=True)[:, :neighbours])
