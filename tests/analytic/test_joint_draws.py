"""Rows of a task share its w in every joint draw, and all tasks the point of the hyperparameters."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

import vmtl_core as vmtl
from tests.analytic.points import averaged
from tests.analytic.test_elbo import a_model, scattered_encoder
from tests.stats import assert_mean

DRAWS = 20_000
TASK = torch.tensor([0] * 50 + [1] * 50)


def plain(z: Tensor, w: Tensor) -> Normal:
    """The same as LinearGaussian(1), as a function of the user's."""
    return Normal((z * w).sum(-1), torch.ones((), dtype=w.dtype))


def two_tasks(likelihood: Any, **options: Any) -> Any:
    """w ~ N(0, .3^2) in both."""
    weights = vmtl.GaussianWeights(2, (1,), initial_scale=0.3)
    return a_model(weights, likelihood, task_sizes=[50, 50], **options)


@pytest.mark.parametrize("sources", ["own", "previous"])
def test_totals_of_a_task(sources: str) -> None:
    """(6.1) 50 equal rows, sd of the total sqrt(50 + 50^2 .09) = 16.6, not sqrt(50 * 1.09) = 7.4."""
    p = vmtl.predictive(two_tasks(vmtl.LinearGaussian(1.0), sources=sources), torch.ones(100), TASK)
    draws = p.sample((DRAWS,))
    assert draws.shape == (DRAWS, 100)
    first, second = draws[:, :50].sum(1), draws[:, 50:].sum(1)
    assert_mean(first, 0.0)
    assert_mean(first.square(), 50 + 2500 * 0.09)
    assert_mean(second.square(), 50 + 2500 * 0.09)
    assert_mean(first * second, 0.0)  # tasks have a w each
    assert_mean(draws[:, 0].square(), p.variance[0].item())


def test_totals_of_a_task_from_samples() -> None:
    """(6.2) samples of w: the total's spread is that of the samples', plus the noise."""
    model = two_tasks(plain)
    p = vmtl.predictive(model, torch.ones(100), TASK, weight_samples=40)
    assert isinstance(p, vmtl.PredictiveMixture)
    w = p.components.mean[0, :, (0, 50)]  # type: ignore[index]
    centred = p.sample((DRAWS,)) - p.mean
    first, second = centred[:, :50].sum(1), centred[:, 50:].sum(1)
    assert_mean(first.square(), 50 + 2500 * w[:, 0].var(correction=0).item())
    assert_mean(first * second, 0.0)


def test_latents_are_drawn_for_each_row() -> None:
    """(6.2) a task's rows share w, and each has its own z."""
    weights = vmtl.GaussianWeights(3, (2,), initial_scale=0.5)
    with torch.no_grad():
        weights.loc.fill_(0.7)
    model = a_model(weights, vmtl.LinearGaussian(0.1), latents=scattered_encoder(3))
    x, task = torch.ones(2, 2), torch.tensor([1, 1])
    p = vmtl.predictive(model, x, task, weight_samples=6, latent_samples=5)
    assert isinstance(p, vmtl.PredictiveMixture)
    means = p.components.mean  # (L, M, 2)
    shared = means.mean(0)  # of each w, over z
    centred = p.sample((4 * DRAWS,)) - p.mean
    wanted = ((shared[:, 0] - p.mean[0]) * (shared[:, 1] - p.mean[1])).mean().item()
    assert_mean(centred[:, 0] * centred[:, 1], wanted)
    assert_mean(centred.square(), p.variance)


def test_all_tasks_share_the_point() -> None:
    """(6.1) tasks covary by what the hyperparameters leave open."""
    model, points = averaged(vmtl.LinearGaussian())
    x, task = torch.tensor([[1.0, 0.5], [-0.3, 2.0]]), torch.tensor([0, 2])
    mean = torch.einsum("nd,knd->kn", x, points.loc[:, task, 0])
    weights = points.log_weights.exp()
    centred = mean - weights @ mean
    wanted = (weights * centred[:, 0] * centred[:, 1]).sum().item()
    draws = vmtl.predictive(model, x, task).sample((4 * DRAWS,))
    assert abs(wanted) > 0.1
    assert_mean((draws - weights @ mean).prod(1), wanted)


def test_kinds_of_likelihood_share_the_draw() -> None:
    """(6.1) rows of numbers and of labels, in their order, the point common to all."""
    likelihood = [vmtl.LinearGaussian(0.5), vmtl.LinearBernoulli(), vmtl.LinearGaussian(0.5)]
    model, _ = averaged(likelihood)
    x, task = torch.randn(6, 2), torch.tensor([1, 0, 2, 1, 0, 2])
    p = vmtl.predictive(model, x, task)
    draws = p.sample((DRAWS,))
    labels = task == 1
    assert set(draws[:, labels].unique().tolist()) == {0.0, 1.0}
    assert_mean(draws, p.mean)
    assert_mean((draws - p.mean).square(), p.variance)


@pytest.mark.parametrize("columns", [1, 2])
def test_columns_of_numbers(columns: int) -> None:
    """(6.1) draws of y with P columns have the moments that the predictive says."""
    model, _ = averaged(vmtl.LinearGaussian(), (3, columns))
    p = vmtl.predictive(model, torch.randn(4, 2), torch.tensor([0, 1, 2, 0]))
    draws = p.sample((100, 200)).flatten(0, 1)
    assert draws.shape == (20_000, 4, columns)
    assert_mean(draws, p.mean)
    assert_mean((draws - p.mean).square(), p.variance)


def test_same_seed_same_draws() -> None:
    """The global stream decides; the draws' shape comes first."""
    p = vmtl.predictive(two_tasks(plain), torch.ones(100), TASK)
    torch.manual_seed(3)
    first = p.sample((2, 3))
    torch.manual_seed(3)
    assert torch.equal(first, p.sample((2, 3)))
    assert first.shape == (2, 3, 100)
    assert p.sample().shape == (100,)


def test_mixture_by_hand_draws_each_row_on_its_own() -> None:
    """(6.2) nothing is known of its rows' tasks; unequal weights are kept to."""
    components = Independent(Normal(torch.tensor([0.0, 10.0]).view(1, 2, 1, 1), 0.1), 1)
    weights = torch.tensor([[0.2, 0.8]])
    p = vmtl.PredictiveMixture(components, weights.log())
    assert_mean(p.sample((DRAWS,)), torch.tensor([[8.0]]))
    torch.testing.assert_close(p.variance, torch.tensor([[0.01 + 16.0]]))
    y = torch.zeros(1, 1)
    assert p.log_prob(y).item() == pytest.approx(
        math.log(0.2) + Normal(0.0, 0.1).log_prob(y).item()
    )
