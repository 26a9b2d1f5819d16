"""Tasks, groups and population as one Gaussian vector, by dense algebra: what tests of groups compare with."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from vmtl_core.groups import Hyper
from vmtl_core.sites import Site

MEAN_VARIANCE = 0.5
"""Of every coordinate of m_0."""


class Rows(NamedTuple):
    """Regressions with P targets that share inputs."""

    x: list[Tensor]
    """(N_t, D) of every task."""
    y: list[Tensor]
    """(N_t, P)."""
    noise: float

    def site(self) -> Site:
        """As the fit has them."""
        pairs = list(zip(self.x, self.y))
        constant = [
            -0.5 * (y / self.noise).square().sum()
            - y.numel() * torch.tensor(2 * torch.pi).sqrt().mul(self.noise).log()
            for _, y in pairs
        ]
        return Site(
            torch.stack([(x.T @ x)[None] / self.noise**2 for x in self.x]),
            torch.stack([(y.T @ x) / self.noise**2 for x, y in pairs]),
            torch.stack(constant),
        )


def rows(sizes: list[int], inputs: int = 2, columns: int = 1, seed: int = 0) -> Rows:
    """Some tasks about two centres."""
    draw = torch.Generator().manual_seed(seed)
    x, y = [], []
    for t, size in enumerate(sizes):
        w = (1.0 if t % 2 else -1.0) + 0.3 * torch.randn(inputs, columns, generator=draw)
        x.append(torch.randn(size, inputs, generator=draw))
        y.append(x[-1] @ w + 0.5 * torch.randn(size, columns, generator=draw))
    return Rows(x, y, 0.5)


def hyper(inputs: int = 2, columns: int = 1, seed: int = 0, width: float = 0.5) -> Hyper:
    """All different."""
    draw = torch.Generator().manual_seed(seed)
    shape = (columns, inputs)
    log_sd = 0.2 * torch.randn(shape, generator=draw)
    log_width = torch.tensor(width).log() + 0.2 * torch.randn(shape, generator=draw)
    return Hyper(torch.zeros(0), log_sd, log_width)


class Joint(NamedTuple):
    """One column's tasks, centres and m_0, in that order, as one vector: T + C + 1 blocks of D numbers."""

    covariance: Tensor
    """Of the vector, a priori; its mean is 0."""
    design: Tensor
    """Of the data, (N, (T + C + 1) D)."""
    y: Tensor
    noise: float
    size: int
    """D."""

    @property
    def marginal(self) -> Tensor:
        """Covariance of the data."""
        seen = self.design @ self.covariance @ self.design.T
        return seen + self.noise**2 * torch.eye(len(seen))

    def log_evidence(self) -> Tensor:
        """log p(y), a scalar."""
        if not len(self.y):
            return torch.zeros(())
        return MultivariateNormal(torch.zeros_like(self.y), self.marginal).log_prob(self.y)

    def posterior(self, block: int) -> tuple[Tensor, Tensor]:
        """Mean and covariance of a block given the data."""
        cross = self.covariance @ self.design.T
        mean = cross @ torch.linalg.solve(self.marginal, self.y)
        covariance = self.covariance - cross @ torch.linalg.solve(self.marginal, cross.T)
        place = slice(block * self.size, (block + 1) * self.size)
        return mean[place], covariance[place, place]


def joint(
    data: Rows,
    at: Hyper,
    label: list[int],
    groups: int,
    column: int = 0,
    without: int | None = None,
    mean: Tensor | None = None,
) -> Joint:
    """The model of (14.1) under a partition, written from its definition.

    Args:
        label: group of every task, `groups` for none.
        without: a task whose data are left out.
        mean: m_0, (P, D), where it is known; it is then taken out of y, and of the vector's blocks.
    """
    tasks, size = len(data.x), data.x[0].shape[1]
    sd, width = at.log_sd[column].exp(), at.log_width[column].exp()
    whole, between = (sd**2).diag(), (sd**2 / (1 + width**2)).diag()
    centre = torch.zeros(size, size) if mean is not None else MEAN_VARIANCE * torch.eye(size)
    # The independent parts that everything is a sum of: one a task, one a group, and m_0.
    parts = [whole - between if label[t] < groups else whole for t in range(tasks)]
    parts += [between] * groups + [centre]
    count, eye = tasks + groups + 1, torch.eye(size)
    made = torch.zeros(count, count)
    for t in range(tasks):
        made[t, t] = made[t, -1] = 1.0
        if label[t] < groups:
            made[t, tasks + label[t]] = 1.0
    for c in range(groups):
        made[tasks + c, tasks + c] = made[tasks + c, -1] = 1.0
    made[-1, -1] = 1.0
    build = torch.kron(made, eye)
    covariance = build @ torch.block_diag(*parts) @ build.T
    designs, targets = [], []
    for t in range(tasks):
        if t == without:
            continue
        place = torch.zeros(1, count)
        place[0, t] = 1.0
        designs.append(torch.kron(place, data.x[t]))
        known = 0.0 if mean is None else data.x[t] @ mean[column]
        targets.append(data.y[t][:, column] - known)
    return Joint(covariance, torch.cat(designs), torch.cat(targets), data.noise, size)


def hard(label: list[int], groups: int) -> Tensor:
    """Memberships, (T, C + 1)."""
    return torch.nn.functional.one_hot(torch.tensor(label), groups + 1).double()
