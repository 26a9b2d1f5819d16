"""The mixture prior as a Distribution, its base component and its transfer width."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Gamma, Independent, Laplace, MultivariateNormal, Normal

import vmtl_core as vmtl
from tests.stats import assert_frequencies, assert_mean, integral, line, plane
from vmtl_core.distributions import widen

LOG_WEIGHTS = torch.tensor([[0.2, 0.8, 0.0], [0.5, 0.25, 0.25]], dtype=torch.float64).log()


def three_normals() -> Normal:
    return Normal(torch.tensor([-2.0, 0.5, 4.0]), torch.tensor([0.5, 1.0, 2.0]))


def by_hand(points: Tensor) -> Tensor:
    """Density of the two mixtures of LOG_WEIGHTS at points (P,), shape (P, 2)."""
    each = three_normals().log_prob(points[:, None]).exp()
    return each @ LOG_WEIGHTS.exp().T


def test_density() -> None:
    """(2.4) sum_k a_tk p_k(w) for every receiver; it integrates to 1."""
    prior = vmtl.mixture_prior(three_normals(), LOG_WEIGHTS)
    assert prior.batch_shape == (2,)
    points, step = line()
    density = prior.log_prob(points[:, None]).exp()
    torch.testing.assert_close(density, by_hand(points))
    torch.testing.assert_close(density.sum(0) * step, torch.ones(2))


def test_moments_and_samples() -> None:
    """(2.4) mean and variance by quadrature, and of samples."""
    prior = vmtl.mixture_prior(three_normals(), LOG_WEIGHTS)
    mean = integral(lambda w: w[:, None] * by_hand(w))
    variance = integral(lambda w: (w[:, None] - mean).square() * by_hand(w))
    torch.testing.assert_close(prior.mean, mean)
    torch.testing.assert_close(prior.variance, variance)
    draws = prior.sample((100_000,))
    assert_mean(draws, mean)
    assert_mean((draws - mean).square(), variance)
    below = (draws < 0).long()
    share = integral(lambda w: (w < 0)[:, None] * by_hand(w))
    assert_frequencies(below, torch.stack([1 - share, share], -1))


def test_two_dimensional_prior_integrates_to_one() -> None:
    """(2.4) events of two numbers, on a plane."""
    torch.manual_seed(0)
    parts = Independent(Normal(torch.randn(3, 2), 0.5 + torch.rand(3, 2)), 1)
    prior = vmtl.mixture_prior(parts, LOG_WEIGHTS)
    points, cell = plane()
    density = prior.log_prob(points[:, None]).exp()
    torch.testing.assert_close(density.sum(0) * cell, torch.ones(2))
    torch.testing.assert_close((density[:, :, None] * points[:, None]).sum(0) * cell, prior.mean)


def test_mixed_families() -> None:
    """(2.4) a Gaussian, a Laplace and a Gamma side by side."""
    parts = vmtl.Concatenated(
        [
            Normal(torch.tensor([-2.0]), 0.5),
            Laplace(torch.tensor([0.0]), 1.0),
            Gamma(torch.tensor([3.0]), 1.0, validate_args=False),
        ]
    )
    log_weights = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]).log()
    prior = vmtl.mixture_prior(parts, log_weights)
    draws = prior.sample((100_000,))
    assert_mean(draws, torch.tensor([0.5 * -2 + 0.25 * 3, 0.0]))
    torch.testing.assert_close(prior.mean, torch.tensor([-0.25, 0.0]))
    variance = 0.5 * (0.25 + 4) + 0.25 * 2 + 0.25 * (3 + 9) - 0.0625
    torch.testing.assert_close(prior.variance, torch.tensor([variance, 2.0]))
    wanted = math.log(
        0.5 * Normal(-2.0, 0.5).log_prob(torch.tensor(1.0)).exp()
        + 0.25 * math.exp(-1) / 2
        + 0.25 * math.exp(-1) / 2
    )
    assert prior.log_prob(torch.ones(2))[0].item() == pytest.approx(wanted)


def test_no_task_is_in_its_own_prior() -> None:
    """(2.4) the diagonal is excluded exactly: moving task t leaves prior t as it is, bit by bit."""
    torch.manual_seed(1)
    prior = vmtl.WeightsPrior(3, (2,), base_prior="learned", transfer=0.4)
    loc = torch.randn(3, 2)
    value = torch.randn(2)

    def at(loc):
        return prior(
            Independent(Normal(loc, 0.5), 1), 0.7, torch.Generator().manual_seed(0)
        ).log_prob(value)

    before = at(loc)
    for t in range(3):
        moved = loc.clone()
        moved[t] += 0.1
        changed = at(moved) != before
        assert changed.tolist() == [t != other for other in range(3)]


def test_prior_of_the_model_is_the_formula() -> None:
    """(2.4) alpha_t0 p_0 + sum alpha_tk N(w; mu_k, sd_k^2 + delta^2), written out in loops."""
    torch.manual_seed(0)
    weights = vmtl.GaussianWeights(3, ())
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), weights, task_sizes=[2, 2, 2], sources="previous",
        base_prior=Normal(torch.tensor(0.5), torch.tensor(2.0)), transfer=0.7,
    )  # fmt: skip
    with torch.no_grad():
        weights.loc.copy_(torch.tensor([-1.0, 0.0, 2.0]))
        weights.log_scale.copy_(torch.tensor([0.1, 0.5, 1.5]).log())
        model.prior.mixing.logits.normal_()
    logits, points = model.prior.mixing.logits, torch.linspace(-3, 3, 7)
    found = model.weights_prior().log_prob(points[:, None]).exp()
    for t in range(3):
        total = logits[t, 3].exp() + sum(logits[t, k].exp() for k in range(3) if k != t)
        density = logits[t, 3].exp() / total * Normal(0.5, 2.0).log_prob(points).exp()
        for k in range(3):
            if k != t:
                sd = (weights.log_scale[k].exp() ** 2 + 0.7**2).sqrt()
                one = Normal(weights.loc[k], sd).log_prob(points).exp()
                density = density + logits[t, k].exp() / total * one
        torch.testing.assert_close(found[:, t], density)


def test_widen_is_a_convolution() -> None:
    """(2.6) the density of w' + N(0, delta^2), by numerical convolution."""
    dist, width = Normal(torch.tensor([0.7, -1.0]), torch.tensor([0.5, 2.0])), torch.tensor(1.3)
    at = torch.tensor([-2.0, 0.0, 1.0, 3.0])
    points, step = line()
    kernel = Normal(0.0, width).log_prob(at[:, None] - points).exp()
    wanted = kernel @ dist.log_prob(points[:, None]).exp() * step
    torch.testing.assert_close(widen(dist, width).log_prob(at[:, None]).exp(), wanted)


def test_widen_adds_the_variance_coordinate_by_coordinate() -> None:
    """(2.6) sd^2 + delta_d^2; for a full covariance on the diagonal; for mixed families in each."""
    width = torch.tensor([0.3, 1.2])
    diagonal = Independent(Normal(torch.ones(3, 2), torch.tensor([0.5, 2.0])), 1)
    wide = widen(diagonal, width)
    torch.testing.assert_close(wide.variance, torch.tensor([[0.34, 5.44]]).expand(3, 2))
    torch.testing.assert_close(wide.mean, torch.ones(3, 2))
    covariance = torch.tensor([[1.0, 0.6], [0.6, 2.0]])
    full: Any = widen(MultivariateNormal(torch.ones(1, 2), covariance), width)
    wanted = torch.tensor([[1.09, 0.6], [0.6, 3.44]])
    torch.testing.assert_close(full.covariance_matrix[0], wanted)
    both = widen(
        vmtl.Concatenated([diagonal, MultivariateNormal(torch.ones(1, 2), covariance)]), width
    )
    torch.testing.assert_close(both.variance[[0, 3]], torch.tensor([[0.34, 5.44], [1.09, 3.44]]))
    with pytest.raises(ValueError, match="widens Gaussian posteriors only"):
        widen(Laplace(torch.zeros(2), 1.0), torch.tensor(1.0))


def test_widened_draws() -> None:
    """(2.6) draws of w' plus noise have the widened mean and variance."""
    dist = Normal(torch.tensor([0.7]), torch.tensor([0.5]))
    draws = dist.sample((100_000,)) + 1.3 * torch.randn(100_000, 1)
    wide = widen(dist, torch.tensor(1.3))
    assert_mean(draws, wide.mean)
    assert_mean((draws - wide.mean).square(), wide.variance)
