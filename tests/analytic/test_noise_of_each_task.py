"""A noise scale for each task, lists of likelihoods, and the checks of targets, row by row."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import HalfNormal, Independent, Laplace, Normal

import vmtl_core as vmtl
from tests.analytic.test_elbo import a_model
from tests.stats import assert_mean
from vmtl_core import likelihoods

SCALES, TASK = (0.5, 1.5, 4.0), torch.tensor([2, 0, 1, 2, 0])


def scaled(unit: float = 0.0) -> vmtl.LinearGaussian:
    one = vmtl.LinearGaussian(tasks=3).double()
    with torch.no_grad():
        one.log_scale.copy_(torch.tensor(SCALES).log())
        one.unit.fill_(unit)
    return one


@pytest.mark.parametrize("columns", [0, 2])
def test_rows_have_their_task_s_noise(columns: int) -> None:
    """(1.1) on the grid of samples: N(z'w, sigma_t^2) of every column."""
    event = (3, columns) if columns else (3,)
    z, w = torch.randn(2, 1, 5, 3), torch.randn(1, 4, 5, *event)
    found: Any = scaled()(z, w, TASK)
    mean = torch.einsum("lbd,mbd...->lmb...", z[:, 0], w[0])
    sd = torch.tensor(SCALES)[TASK]
    sd = sd[:, None] if columns else sd
    y = torch.randn(mean.shape[2:])
    each = Normal(mean, sd).log_prob(y)
    torch.testing.assert_close(found.log_prob(y), each.sum(-1) if columns else each)
    assert found.batch_shape == (2, 4, 5)
    torch.testing.assert_close(found.variance, sd.square().expand_as(mean))
    with pytest.raises(ValueError, match="`task` must be given"):
        scaled()(z, w)


@pytest.mark.parametrize("columns", [0, 2])
def test_expected_log_density_of_rows(columns: int) -> None:
    """(5.12): the density at the mean, less half the variance over the noise's."""
    shape = (5, columns) if columns else (5,)
    mean, variance, y = torch.randn(shape), torch.rand(shape), torch.randn(shape)
    sd = torch.tensor(SCALES)[TASK]
    sd = sd[:, None] if columns else sd
    each = Normal(mean, sd).log_prob(y) - variance / (2 * sd.square())
    found = scaled().expected_log_prob(mean, variance, y, TASK)
    torch.testing.assert_close(found, each.sum(-1) if columns else each)


def test_hyperprior_of_scales() -> None:
    """(5.6): half-normal in units of y for the geometric mean, and each normal about that."""
    one = scaled(unit=0.7)
    log_scale = torch.tensor(SCALES).log()
    middle = log_scale.mean() - 0.7
    expected = HalfNormal(1.0).log_prob(middle.exp()) + middle
    expected = expected + Normal(log_scale.mean(), 0.5).log_prob(log_scale).sum()
    torch.testing.assert_close(one.log_hyperprior().detach(), expected)
    single = vmtl.LinearGaussian(initial_scale=1.8).double()
    single.unit.fill_(0.7)
    relative = torch.tensor(1.8 / math.exp(0.7))
    torch.testing.assert_close(
        single.log_hyperprior().detach(), HalfNormal(1.0).log_prob(relative) + relative.log(),
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip
    assert float(vmtl.LinearGaussian(scale=1.8).log_hyperprior()) == 0.0
    assert single.log_hyperprior().requires_grad


def test_where_scales_begin() -> None:
    assert vmtl.LinearGaussian().log_scale.tolist() == 0.0
    three = vmtl.LinearGaussian(initial_scale=0.5, tasks=3)
    assert three.log_scale.exp().tolist() == pytest.approx([0.5] * 3)
    assert three.per_task
    assert three.log_scale.requires_grad
    known = vmtl.LinearGaussian(0.25, tasks=2)
    assert not known.log_scale.requires_grad
    assert known.log_scale.exp().tolist() == pytest.approx([0.25] * 2)
    assert not vmtl.LinearGaussian().per_task
    for wrong in ({"scale": 0.0}, {"initial_scale": -1.0}, {"tasks": 1}):
        with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
            vmtl.LinearGaussian(**wrong)  # type: ignore[arg-type]


def a_list() -> list[Any]:
    return [vmtl.LinearBernoulli(), vmtl.LinearPoisson(), scaled()]


def rows() -> tuple[Tensor, Tensor, Tensor]:
    """x, w and y, which is a label in task 0, a count in task 1."""
    return torch.randn(5, 2), torch.randn(3, 2), torch.tensor([0.3, 1.0, 4.0, -1.2, 0.0])


def test_a_list_with_scales_of_tasks() -> None:
    """Every row by its task's likelihood, which is told the task: without variance the density."""
    x, w, y = rows()
    each = w[TASK][None, None]
    moments = (x * w[TASK]).sum(-1), torch.full((5,), 1e-30)
    found = likelihoods.exact_log_likelihood(a_list(), x, each, moments, y, TASK)
    sampled = likelihoods.expected_log_likelihood(a_list(), x[None, None], each, y, TASK)
    for n, eta in enumerate(moments[0].tolist()):
        t, value = int(TASK[n]), float(y[n])
        sure = {
            0: lambda e=eta, v=value: v * e - math.log1p(math.exp(e)),
            1: lambda e=eta, v=value: v * e - math.exp(e) - math.lgamma(v + 1),
            2: lambda e=eta, v=value: float(Normal(e, SCALES[2]).log_prob(torch.tensor(v))),
        }[t]()
        assert float(found[n].detach()) == pytest.approx(sure, rel=1e-6)
        assert float(sampled[n].detach()) == pytest.approx(sure, rel=1e-6)


def test_one_for_all_with_scales_of_tasks() -> None:
    x, w, y = rows()
    moments = (x * w[TASK]).sum(-1), torch.rand(5)
    found = likelihoods.exact_log_likelihood(scaled(), x, w[TASK][None, None], moments, y, TASK)
    sd = torch.tensor(SCALES)[TASK]
    each = Normal(moments[0], sd).log_prob(y) - moments[1] / (2 * sd.square())
    torch.testing.assert_close(found, each)


@pytest.mark.parametrize("listed", [False, True])
def test_mean_over_the_grid(listed: bool) -> None:
    """(5.2): all L M pairs, row by row."""
    z, w, y = torch.randn(3, 1, 5, 2), torch.randn(1, 4, 5, 2), torch.randn(5)

    def heavy(z: Tensor, w: Tensor) -> Laplace:
        return Laplace((z * w).sum(-1), 0.7)

    given = [heavy] * 3 if listed else heavy
    found = likelihoods.expected_log_likelihood(given, z, w, y, TASK)
    mean = torch.einsum("lbd,mbd->lmb", z[:, 0], w[0])
    expected = sum(Laplace(mean[a, b], 0.7).log_prob(y) for a in range(3) for b in range(4)) / 12
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("check", [True, False])
def test_bad_targets_are_refused_unless_told_not_to(check: bool) -> None:
    x, w, y = rows()
    each = w[TASK][None, None]
    moments = (x * w[TASK]).sum(-1), torch.ones(5)
    bad = y.index_fill(0, torch.tensor([1]), 2.0)  # a label of 2
    for call in (
        lambda: likelihoods.exact_log_likelihood(a_list(), x, each, moments, bad, TASK, check),
        lambda: likelihoods.expected_log_likelihood(
            a_list(), x[None, None], each, bad, TASK, check
        ),
    ):
        if check:
            with pytest.raises(ValueError, match=r"`y` must lie in .*got \[2.0\]"):
                call()
        else:
            assert call().shape == (5,)


def test_support_of_vectors_and_of_every_sample() -> None:
    """A value counts as inside only if all of the grid's components have it inside."""
    uniform = torch.distributions.Uniform(torch.tensor([[0.0], [0.5]]), torch.tensor(1.0))
    likelihoods.check_support("y", uniform.expand([2, 3]), torch.tensor([0.6, 0.7, 0.5]))
    with pytest.raises(ValueError, match=r"got \[0.25\]"):
        likelihoods.check_support("y", uniform.expand([2, 3]), torch.tensor([0.6, 0.25, 0.5]))
    pairs = Independent(torch.distributions.Exponential(torch.ones(2, 3, 2)), 1)
    likelihoods.check_support("y", pairs, torch.ones(3, 2))
    with pytest.raises(ValueError, match="-1"):
        likelihoods.check_support("y", pairs, torch.tensor([[1.0, -1.0], [1, 1], [1, 1]]))
    with pytest.raises(ValueError, match=r"shape \(N,\) \+ \(2,\)"):
        likelihoods.check_targets(pairs, torch.ones(3))


def test_predictive_of_each_task() -> None:
    """(6.1) exact: x'Sx and the task's noise; of an unseen task the tasks' mean variance."""
    weights = vmtl.GaussianWeights(3, (2,), initial_scale=0.3)
    model: Any = a_model(weights, scaled(), base_prior="standard")
    x = torch.randn(5, 2)
    found = vmtl.predictive(model, x, TASK)
    noise = torch.tensor(SCALES).square()
    expected = 0.09 * x.square().sum(-1) + noise[TASK]
    torch.testing.assert_close(found.variance, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.uncertainty().aleatoric, noise[TASK])
    draws = found.sample((20_000,))
    assert_mean((draws - found.mean).square(), found.variance)
    new = vmtl.predictive(model, x, torch.full((5,), 3)).uncertainty()
    torch.testing.assert_close(new.aleatoric, noise.mean().expand(5))


def test_sampled_predictive_of_each_task() -> None:
    """(6.2) with latents: every component of a row has its task's noise, and so have draws."""
    weights = vmtl.GaussianWeights(3, (2,), initial_scale=1e-6)
    model = a_model(weights, scaled(), latents=vmtl.GaussianEncoder(3, 2, 2).double())
    p: Any = vmtl.predictive(model, torch.randn(5, 2), TASK, 4, 3)
    sd = torch.tensor(SCALES)[TASK]
    torch.testing.assert_close(p.components.stddev, sd.expand(3, 4, 5))
    assert_mean(p.sample((20_000,)).square(), sd.square(), 1e-4)
