"""Every task's likelihood as a Gaussian site, for tables of several kinds, columns and units."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

import vmtl_core as vmtl
from vmtl_core import sites
from vmtl_core.evidence import Gaussians
from vmtl_core.sites import Rows, Site, Table


def laws(tasks: int, columns: int, size: int) -> Gaussians:
    root = torch.randn(tasks, columns, size, size)
    return Gaussians(torch.randn(tasks, columns, size), root @ root.mT / 4 + 0.1 * torch.eye(size))


def moments(q: Gaussians, x: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of every row's predictors, (B, P), in loops."""
    mean = torch.stack([q.loc[t] @ row for row, t in zip(x, task, strict=True)])
    variance = [
        torch.stack([row @ one @ row for one in q.covariance[t]])
        for row, t in zip(x, task, strict=True)
    ]
    return mean, torch.stack(variance)


def test_gaussian_sites_are_the_likelihood() -> None:
    """E log site is E log N(b y; b x'w, (b sigma)^2) of a task's rows, in units b of y."""
    x, y, task = torch.randn(7, 3), torch.randn(7, 2), torch.tensor([1, 0, 1, 1, 2, 0, 1])
    table = Table(x, y, task, [vmtl.LinearGaussian()] * 3, 2, torch.zeros(2), log_unit=0.4)
    q, log_scale = laws(3, 2, 3), torch.tensor([0.2, -0.5, 0.1])
    mean, variance = moments(q, x, task)
    sd = (log_scale + 0.4).exp()[task, None]
    each = Normal(math.exp(0.4) * mean, sd).log_prob(math.exp(0.4) * y)
    each = each - 0.5 * variance * (-2 * log_scale[task, None]).exp()
    expected = torch.zeros(3).index_add(0, task, each.sum(-1))
    torch.testing.assert_close(table.site(log_scale, None).expected(q), expected)
    torch.testing.assert_close(table.log_likelihood(q, log_scale), expected)
    both = table.site(torch.stack([log_scale, log_scale + 1]), None)
    assert both.natural.shape == (2, 3, 2, 3)
    torch.testing.assert_close(both.natural[1], table.site(log_scale + 1, None).natural)
    torch.testing.assert_close(both.constant[1], table.site(log_scale + 1, None).constant)


KINDS = [
    vmtl.LinearGaussian(),
    vmtl.LinearBernoulli(),
    vmtl.LinearPoisson(),
    vmtl.LinearBernoulli(),
]


def mixed() -> tuple[Table, Tensor, Tensor, Tensor]:
    """A task of numbers, two of labels, one of counts; predictors shifted."""
    task = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0, 0, 2])
    x = torch.randn(10, 2)
    y = torch.where(task == 2, torch.tensor(3.0), (x[:, 0] > 0).double())
    return Table(x, y, task, KINDS, 1, torch.tensor([0.3]), log_unit=0.0), x, y, task


def test_log_likelihood_of_mixed_tasks() -> None:
    """Each task's rows by its own likelihood; the shift is for those that aren't Gaussian."""
    table, x, y, task = mixed()
    q, log_scale = laws(4, 1, 2), torch.full((4,), -0.3)
    mean, variance = (t[:, 0] for t in moments(q, x, task))
    expected = torch.zeros(4)
    for n in range(len(y)):
        t = int(task[n])
        one: Any = vmtl.LinearGaussian(math.exp(-0.3)).double() if t == 0 else KINDS[t]
        shift = 0.0 if t == 0 else 0.3
        value = one.expected_log_prob(mean[n] + shift, variance[n], y[n])
        expected[t] += value.detach()
    torch.testing.assert_close(table.log_likelihood(q, log_scale), expected)
    found = table.expand(q)
    assert found is not None
    whole = table.site(log_scale, found)
    torch.testing.assert_close(whole.expected(q), expected)
    assert not any(one.requires_grad for one in found)
    assert float(found.precision[0].abs().max()) == 0.0  # nothing of a Gaussian task


def test_sites_touch_their_likelihood() -> None:
    """(5.15): the site's gradient in the mean is the likelihood's, where it was made."""
    table, *_ = mixed()
    q = laws(4, 1, 2)
    found = table.expand(q)
    assert found is not None
    for move in torch.eye(2):
        step = 1e-4 * move.expand_as(q.loc)
        ends = [Gaussians(q.loc + s * step, q.covariance) for s in (1, -1)]
        site = found.expected(ends[0]) - found.expected(ends[1])
        values = [table.log_likelihood(one, torch.zeros(4)) for one in ends]
        rest = values[0] - values[1]
        numbers = table.site(torch.zeros(4), None)
        likelihood = rest - (numbers.expected(ends[0]) - numbers.expected(ends[1]))
        torch.testing.assert_close(site / 2e-4, likelihood / 2e-4, rtol=1e-6, atol=1e-6)


def test_log_likelihood_at_many_weights() -> None:
    """log p(y_t|w) of the tasks that aren't Gaussian, row by row, also in blocks of one."""
    table, x, y, task = mixed()
    w = torch.randn(3, 4, 1, 2)
    eta = torch.einsum("bd,sbd->sb", x, w[:, task, 0]) + 0.3
    counts = torch.distributions.Poisson(eta.exp()).log_prob(torch.full_like(y, 3.0))
    labels = torch.distributions.Bernoulli(logits=eta).log_prob((y > 0).double())
    rows = torch.where(task == 2, counts, labels).masked_fill(task == 0, 0.0)
    expected = torch.zeros(3, 4).index_add(1, task, rows)
    torch.testing.assert_close(table.log_prob(w), expected)


def test_slope_in_the_noise() -> None:
    """What depends on the noise scales has the slope of the whole likelihood in them."""
    x, y, task = torch.randn(7, 3), torch.randn(7, 2), torch.tensor([1, 0, 1, 1, 2, 0, 1])
    table = Table(x, y, task, [vmtl.LinearGaussian()] * 3, 2, torch.zeros(2), log_unit=0.4)
    q, log_scale = laws(3, 2, 3), torch.tensor([0.2, -0.5, 0.1], requires_grad=True)
    (slope,) = torch.autograd.grad(table.noise_terms(q, log_scale), log_scale)
    (whole,) = torch.autograd.grad(table.log_likelihood(q, log_scale).sum(), log_scale)
    torch.testing.assert_close(slope, whole)
    torch.testing.assert_close(
        table.noise_terms(q, log_scale), table.log_likelihood(q, log_scale).sum()
    )


@pytest.mark.parametrize("chunk", [1, 2**22])
def test_several_laws_at_once(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leading dimensions: moments, sites and sums of each as of one alone."""
    monkeypatch.setattr(sites, "CHUNK", chunk)
    table, *_ = mixed()
    some = [laws(4, 1, 2) for _ in range(3)]
    stacked = Gaussians(
        torch.stack([q.loc for q in some]), torch.stack([q.covariance for q in some])
    )
    found = table.expand(stacked)
    assert found is not None
    for i, q in enumerate(some):
        for a, b in zip(found, table.expand(q) or (), strict=True):
            torch.testing.assert_close(a[i], b)
    task = torch.tensor([0] * 30 + [1, 2, 3, 4, 5])
    rows = Rows(torch.randn(35, 2), task, 6)
    many = [laws(6, 1, 2) for _ in range(2)]
    wide = Gaussians(torch.stack([q.loc for q in many]), torch.stack([q.covariance for q in many]))
    weight = torch.rand(2, 35, 1)
    for i, q in enumerate(many):
        for a, b in zip(rows.predictors(wide), rows.predictors(q), strict=True):
            torch.testing.assert_close(a[i], b)
        torch.testing.assert_close(rows.outer_sums(weight)[i], rows.outer_sums(weight[i]))
        torch.testing.assert_close(rows.means(wide.loc)[i], rows.predictors(q)[0])
    joined = some[0].join(some[1])
    assert torch.equal(joined.loc[4:], some[1].loc)
    assert torch.equal(joined.covariance[:4], some[0].covariance)


def test_counts_begin_about_themselves() -> None:
    """A = sum (y + 1/2) xx' and the natural mean of the log counts, whatever q is."""
    x, y, task = torch.randn(5, 2), torch.tensor([0.0, 3, 900, 1, 7]), torch.tensor([0, 1, 1, 0, 1])
    one, shift = vmtl.LinearPoisson(), torch.tensor([0.3])
    table = Table(x, y, task, [one, one], 1, shift)
    site = table.begin(laws(2, 1, 2))
    assert site is not None
    for t in range(2):
        rows, counts = x[task == t], y[task == t]
        rate = counts + 0.5
        precision = rows.T @ (rate[:, None] * rows)
        natural = rows.T @ ((counts - rate) + rate * (rate.log() - 0.3))
        torch.testing.assert_close(site.precision[t, 0], precision)
        torch.testing.assert_close(site.natural[t, 0], natural)
    assert site.constant.tolist() == [0.0, 0.0]


def test_begin_with_labels_is_about_q() -> None:
    task = torch.tensor([0, 1, 0, 1])
    x, one = torch.randn(4, 2), vmtl.LinearBernoulli()
    table = Table(x, task.double(), task, [one, one], 1, torch.zeros(1))
    q = laws(2, 1, 2)
    for a, b in zip(table.begin(q) or (), table.expand(q) or (), strict=True):
        assert torch.equal(a, b)
    numbers = Table(x, task.double(), task, [vmtl.LinearGaussian()] * 2, 1, torch.zeros(1))
    assert numbers.begin(q) is None
    assert numbers.expand(q) is None


def test_part_of_the_way() -> None:
    """`towards` by every task's share; `where` takes whole tasks."""
    a, b = (Site(torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2), torch.randn(2)) for _ in range(2))
    share, taken = torch.tensor([0.25, 1.0]), torch.tensor([False, True])
    for x, y, moved, chosen in zip(a, b, a.towards(b, share), a.where(taken, b), strict=True):
        torch.testing.assert_close(moved[0], 0.75 * x[0] + 0.25 * y[0])
        torch.testing.assert_close(moved[1], y[1])
        assert torch.equal(chosen[0], x[0])
        assert torch.equal(chosen[1], y[1])


@pytest.mark.parametrize("chunk", [1, 40, 2**22])
@pytest.mark.parametrize("lopsided", [False, True])
def test_rows_padded_or_in_blocks(
    lopsided: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task with many rows beside many with one: padding would waste, sums are the same."""
    monkeypatch.setattr(sites, "CHUNK", chunk)
    sizes = torch.tensor([30] + [1] * 9 if lopsided else [4, 5, 3])
    task = torch.arange(len(sizes)).repeat_interleave(sizes)[torch.randperm(int(sizes.sum()))]
    x, weight = torch.randn(len(task), 3), torch.rand(len(task), 2)
    rows, q = Rows(x, task, len(sizes)), laws(len(sizes), 2, 3)
    assert (rows.padded is None) == lopsided
    for found, expected in zip(rows.predictors(q), moments(q, x, task), strict=True):
        torch.testing.assert_close(found, expected)
    sums = torch.zeros(len(sizes), 2, 3, 3)
    for n, t in enumerate(task):
        sums[t] += weight[n, :, None, None] * torch.outer(x[n], x[n])
    torch.testing.assert_close(rows.outer_sums(weight), sums)
    assert len(rows._blocks(6)) == {1: len(x), 40: -(-len(x) // 2), 2**22: 1}[chunk]


def test_padding_at_the_limit() -> None:
    """Up to WASTE times as many numbers as rows, and one for each task."""
    task = torch.arange(6).repeat_interleave(torch.tensor([13, 1, 1, 1, 1, 1]))
    assert Rows(torch.randn(18, 1), task, 6).padded is not None  # 78 of 78
    task = torch.arange(6).repeat_interleave(torch.tensor([14, 1, 1, 1, 1, 1]))
    assert Rows(torch.randn(19, 1), task, 6).padded is None  # 84 of 82


def test_rounding_leaves_no_negative_variance() -> None:
    q = Gaussians(torch.zeros(1, 1, 1), -1e-18 * torch.ones(1, 1, 1, 1))
    _, variance = Rows(torch.ones(2, 1), torch.zeros(2, dtype=torch.long), 1).predictors(q)
    assert variance.tolist() == [[0.0], [0.0]]


def test_no_rows_sum_to_nothing() -> None:
    rows = Rows(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), 3)
    assert rows.outer_sums(torch.zeros(0, 1)).abs().sum() == 0.0
    assert rows.outer_sums(torch.zeros(0, 1)).shape == (3, 1, 2, 2)
