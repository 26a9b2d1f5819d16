"""The data of a closed-form fit: every task's likelihood as a Gaussian site (A, b, c)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vmtl_core._rows import place_in_task, rows_per_task
from vmtl_core.evidence import Gaussians
from vmtl_core.likelihoods import LinearGaussian, LinearPoisson

CHUNK, WASTE = 2**22, 4
"""Numbers in a block of rows' outer products; how many times the rows padding may make of them."""


class Site(NamedTuple):
    """exp(-w'Aw/2 + b'w + c) of every task; there may be leading dimensions."""

    precision: Tensor
    """A, (T, P, D, D), or (T, 1, D, D) where all columns have one."""
    natural: Tensor
    """b, (T, P, D)."""
    constant: Tensor
    """c, (T,)."""

    def expected(self, q: Gaussians) -> Tensor:
        """Its mean logarithm under q, (T,)."""
        second = q.covariance + q.loc.unsqueeze(-1) * q.loc.unsqueeze(-2)
        quadratic = (self.precision * second).sum((-3, -2, -1))
        return self.constant + (self.natural * q.loc).sum((-2, -1)) - 0.5 * quadratic

    def towards(self, other: Site, share: Tensor) -> Site:
        """A share (T,) of the way to another."""
        wide = (share[..., None, None, None], share[..., None, None], share)
        return Site(*(a + s * (b - a) for a, b, s in zip(self, other, wide, strict=True)))

    def where(self, taken: Tensor, other: Site) -> Site:
        """The other's tasks where `taken`, (T,)."""
        wide = (taken[..., None, None, None], taken[..., None, None], taken)
        return Site(*(torch.where(t, b, a) for a, b, t in zip(self, other, wide, strict=True)))


class Table:
    """Rows in standard units, and the sufficient statistics of the Gaussian tasks.

    Args:
        x: the design in standard units, (N, D), float64.
        y: targets, (N,) or (N, P); those of Gaussian tasks in standard units.
        task: ids, (N,).
        likelihoods: the likelihood of every task, T of them; the same object where they share one.
        columns: P.
        shift: what is added to the predictors of tasks that aren't Gaussian, (P,).
        log_unit: log b, the logarithm of the unit of y.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        task: Tensor,
        likelihoods: list[Any],
        columns: int,
        shift: Tensor,
        log_unit: float = 0.0,
    ):
        self.tasks, self.columns, self.size = len(likelihoods), columns, x.shape[1]
        self.shift, self.log_unit = shift, log_unit
        self.counts = rows_per_task(task, self.tasks).to(x)
        self.gaussian = torch.tensor([isinstance(one, LinearGaussian) for one in likelihoods])
        self.gaussian = self.gaussian.to(x.device)
        rows = self.gaussian[task]
        self._moments(x[rows], y[rows].to(x), task[rows])
        self.parts = _by_kind(x, y, task, likelihoods, self.tasks)

    def _moments(self, x: Tensor, y: Tensor, task: Tensor) -> None:
        y = y.unsqueeze(-1) if y.ndim == 1 else y
        self.gram = Rows(x, task, self.tasks).outer_sums(x.new_ones(len(x), 1))
        cross = x.unsqueeze(1) * y.unsqueeze(-1)
        shape = (self.tasks, self.columns, self.size)
        self.cross = x.new_zeros(shape).index_add_(0, task, cross.expand(-1, *shape[1:]))
        self.square = x.new_zeros(self.tasks).index_add_(0, task, y.square().sum(-1))

    def site(self, log_scale: Tensor, other: Site | None) -> Site:
        """The tasks' sites: exact for Gaussian tasks, given the rest's.

        Args:
            log_scale: log sigma of every task in standard units, (..., T).
            other: sites of the other tasks, from `expand`; None where all are Gaussian.
        """
        precision = (-2 * log_scale).exp()
        gram = precision[..., None, None, None] * self.gram
        natural = precision[..., None, None] * self.cross
        constant = -0.5 * precision * self.square - self._spread(log_scale)
        if other is None:
            return Site(gram, natural, constant)
        return Site(gram + other.precision, natural + other.natural, constant + other.constant)

    def noise_terms(self, q: Gaussians, log_scale: Tensor) -> Tensor:
        """What depends on the noise scales in the Gaussian tasks' E log p under q, their sum.

        A gradient is for `log_scale`, (T,), not for q.
        """
        with torch.no_grad():
            zero = torch.zeros_like(log_scale)
            residual = -2 * (self.site(zero, None).expected(q) + self._spread(zero))
        return (-0.5 * (-2 * log_scale).exp() * residual - self._spread(log_scale)).sum()

    def _spread(self, log_scale: Tensor) -> Tensor:
        count = torch.where(self.gaussian, self.counts, 0.0)
        return count * self.columns * (log_scale + self.log_unit + 0.5 * math.log(2 * math.pi))

    def expand(self, q: Gaussians) -> Site | None:
        """Sites of the tasks that aren't Gaussian about q, (..., T, P, ...); None where all are.

        The natural gradient of E log p(y|x'w): with F its value, A = -2 dF/dS and
        b = dF/dm + A m, so that posteriors add up. Equation (5.15).
        """
        if not self.parts:
            return None
        return self.sum([part.expand(q, self.shift) for part in self.parts])

    def begin(self, q: Gaussians) -> Site | None:
        """Sites to begin with, where no posterior is near: about q, but counts about themselves.

        At a log rate far below the counts a renewal would overshoot beyond the floats.
        """
        if not self.parts:
            return None
        return self.sum([part.begin(q, self.shift) for part in self.parts])

    def sum(self, sites: list[Site]) -> Site:
        """The product of several kinds' sites."""
        return Site(*(sum(one[1:], one[0]) for one in zip(*sites, strict=True)))

    def log_prob(self, w: Tensor) -> Tensor:
        """log p(y_t|w) of the tasks that aren't Gaussian at S weights, (S, T, P, D), as (S, T)."""
        total = w.new_zeros(w.shape[:2])
        for part in self.parts:
            blocks = w.split(max(1, CHUNK // part.y.numel()))
            rows = [part.expected(part.rows.means(one) + self.shift, None) for one in blocks]
            total = total + torch.cat([part.rows.sums(one, -1) for one in rows])
        return total

    def log_likelihood(self, q: Gaussians, log_scale: Tensor) -> Tensor:
        """E log p(y_t|w), in units of the data, (T,)."""
        total = self.site(log_scale, None).expected(q)
        for part in self.parts:
            total = total + part.log_likelihood(q, self.shift)
        return total


class RowSites(NamedTuple):
    """exp(-a eta^2/2 + b eta + c) of every row, for its predictors eta = x'w without the shift."""

    precision: Tensor
    """a, (..., B, P)."""
    natural: Tensor
    """b, (..., B, P)."""
    constant: Tensor
    """c, (..., B)."""


class Part(NamedTuple):
    """The rows of tasks with one kind of likelihood that isn't Gaussian."""

    likelihood: Any
    rows: Rows
    y: Tensor

    def moments(self, q: Gaussians, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the rows' predictors, each (..., B, P)."""
        mean, variance = self.rows.predictors(q)
        return mean + shift, variance

    def expected(self, mean: Tensor, variance: Tensor | None) -> Tensor:
        """E log p of every row, (..., B); at the mean without a variance."""
        if mean.shape[-1] == 1 and self.y.ndim == 1 and not _many(self.likelihood):
            mean, variance = mean[..., 0], None if variance is None else variance[..., 0]
        return self.likelihood.expected_log_prob(mean, variance, self.y)

    def log_likelihood(self, q: Gaussians, shift: Tensor) -> Tensor:
        """Sum over each task's rows, (..., T)."""
        return self.rows.sums(self.expected(*self.moments(q, shift)), -1)

    def expand(self, q: Gaussians, shift: Tensor) -> Site:
        """See `Table.expand`."""
        site = self.site(self.about(*self.moments(q, shift), shift))
        bare = site._replace(constant=torch.zeros_like(site.constant))
        return site._replace(constant=site.constant - bare.expected(q))

    def begin(self, q: Gaussians, shift: Tensor) -> Site:
        """See `Table.begin`; the constant is 0."""
        if not isinstance(self.likelihood, LinearPoisson):
            return self.expand(q, shift)
        rate = (self.y + 0.5).log().unsqueeze(-1)
        site = self.site(self.about(rate, torch.zeros_like(rate), shift))
        return site._replace(constant=torch.zeros_like(site.constant))

    def about(self, mean: Tensor, variance: Tensor, shift: Tensor) -> RowSites:
        """Each row's site by (5.15) for moments of its predictors; the constants are E log p."""
        with torch.enable_grad():
            mean.requires_grad_(True), variance.requires_grad_(True)
            rows = self.expected(mean, variance)
            slope, half = torch.autograd.grad(rows.sum(), (mean, variance))
        curvature = (-2 * half).clamp_min(0.0)
        mean = mean.detach() - shift
        return RowSites(curvature, slope + curvature * mean, rows.detach())

    def site(self, rows: RowSites) -> Site:
        """The product of each task's rows' sites."""
        natural = rows.natural.unsqueeze(-1) * self.rows.x.unsqueeze(1)
        return Site(
            self.rows.outer_sums(rows.precision),
            self.rows.sums(natural, -3),
            self.rows.sums(rows.constant, -1),
        )


def _many(likelihood: Any) -> bool:
    return type(likelihood).__name__ == "LinearCategorical"


def _by_kind(x: Tensor, y: Tensor, task: Tensor, likelihoods: list[Any], tasks: int) -> list[Part]:
    """The rows of the tasks that aren't Gaussian, one part for each kind of likelihood."""
    kinds = {type(one): one for one in likelihoods if not isinstance(one, LinearGaussian)}
    parts = []
    for kind, one in kinds.items():
        members = torch.tensor([type(other) is kind for other in likelihoods], device=x.device)
        rows = members[task]
        parts.append(Part(one, Rows(x[rows], task[rows], tasks), y[rows].to(x)))
    return parts


class Rows:
    """The rows of a design by task: padded to one block where that wastes little, else in chunks.

    Args:
        x: (B, D); task: ids, (B,); tasks: T.
    """

    def __init__(self, x: Tensor, task: Tensor, tasks: int):
        self.x, self.task, self.tasks = x, task, tasks
        self.place = place_in_task(task, tasks)
        most = int(self.place.max()) + 1 if len(task) else 1
        self.padded: Tensor | None = None
        if tasks * most <= WASTE * len(task) + tasks:
            self.padded = x.new_zeros(tasks, most, x.shape[1])
            self.padded[task, self.place] = x

    def predictors(self, q: Gaussians) -> tuple[Tensor, Tensor]:
        """Mean and variance of x'w_t for every row and column, each (..., B, P)."""
        if self.padded is None:
            blocks = self._blocks(q.loc.numel() // self.tasks)
            parts = [self._block(q, rows) for rows in blocks]
            mean, variance = (torch.cat(one, -2) for one in zip(*parts, strict=True))
        else:
            wide = self.padded.unsqueeze(1)
            mean = self.means(q.loc)
            variance = ((wide @ q.covariance) * wide).sum(-1)
            variance = variance.mT[..., self.task, self.place, :]
        return mean, variance.clamp_min(0.0)

    def means(self, w: Tensor) -> Tensor:
        """x'w_t for every row and column, (..., B, P), for w (..., T, P, D)."""
        if self.padded is not None:
            return (self.padded @ w.mT)[..., self.task, self.place, :]
        blocks = self._blocks(w.numel() // self.tasks)
        parts = [
            torch.einsum("bd,...bpd->...bp", self.x[rows], w[..., self.task[rows], :, :])
            for rows in blocks
        ]
        return torch.cat(parts, -2)

    def _block(self, q: Gaussians, rows: Tensor) -> tuple[Tensor, Tensor]:
        x, task = self.x[rows], self.task[rows]
        mean = torch.einsum("bd,...bpd->...bp", x, q.loc[..., task, :, :])
        covariance = q.covariance[..., task, :, :, :]
        return mean, torch.einsum("bd,...bpde,be->...bp", x, covariance, x)

    def sums(self, values: Tensor, dim: int) -> Tensor:
        """Sums over each task's rows; `dim`, counted from the end, becomes one of size T."""
        shape = list(values.shape)
        shape[dim] = self.tasks
        return values.new_zeros(shape).index_add_(dim, self.task, values)

    def _blocks(self, numbers: int) -> tuple[Tensor, ...]:
        size = max(1, CHUNK // (numbers * self.x.shape[1]))
        return torch.arange(len(self.x), device=self.x.device).split(size)

    def outer_sums(self, weight: Tensor) -> Tensor:
        """Sum over each task's rows of weight x x', (..., T, P, D, D), for weights (..., B, P)."""
        *lead, _, columns = weight.shape
        size = self.x.shape[1]
        if self.padded is not None:
            wide = weight.new_zeros(*lead, *self.padded.shape[:2], columns)
            wide[..., self.task, self.place, :] = weight
            scaled = wide.mT.unsqueeze(-1) * self.padded.unsqueeze(1)
            return scaled.mT @ self.padded.unsqueeze(1)
        total = self.x.new_zeros(*lead, self.tasks, columns, size, size)
        for rows in self._blocks(math.prod(lead) * columns * size):
            outer = self.x[rows, :, None] * self.x[rows, None, :]
            each = weight[..., rows, :, None, None] * outer.unsqueeze(1)
            total.index_add_(-4, self.task[rows], each)
        return total
