"""The closed forms of the echo chamber against optimisers, linear algebra and Bayes' rule."""

import math

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from tests.stats import assert_mean
from vmtl_core.lab.experiments import two_tasks
from vmtl_core.lab.experiments.echo import (
    exact_posterior,
    joint_posterior,
    own_posterior,
    previous_posterior,
)

CASES = [(1.3, 5, 0.8, 0.4), (0.2, 16, 1.0, 0.1), (-2.0, 3, 0.5, 1.2), (0.0, 9, 2.0, 0.6)]


def objective(parameters: Tensor, difference: float, square: float, spread: float) -> float:
    """Minus both ELBOs of the joint model up to a constant, means of the samples +-difference / 2."""
    m1, m2, log_v1, log_v2 = parameters
    v1, v2, d2 = math.exp(log_v1), math.exp(log_v2), (m1 - m2) ** 2
    squares = (m1 - difference / 2) ** 2 + (m2 + difference / 2) ** 2 + v1 + v2
    first = (v1 + d2) / (v2 + spread) + math.log((v2 + spread) / v1) - 1
    second = (v2 + d2) / (v1 + spread) + math.log((v1 + spread) / v2) - 1
    return squares / (2 * square) + (first + second) / 2


@pytest.mark.parametrize(("difference", "count", "noise", "width"), CASES)
@pytest.mark.parametrize("start", [(0.1, -0.1, -1.0, -1.0), (1.0, 0.5, -3.0, 0.5)])
def test_joint_with_width(
    difference: float, count: int, noise: float, width: float, start: tuple[float, ...]
) -> None:
    """(12.4) the minimum over both means and both variances, from unequal starts too."""
    found = minimize(objective, start, (difference, noise**2 / count, width**2), tol=1e-13)
    m1, m2, log_v1, log_v2 = found.x
    law = joint_posterior(difference, count, noise, width)
    assert m1 - m2 == pytest.approx(law.gap.item(), abs=1e-5)
    for log_v in (log_v1, log_v2):
        assert math.exp(log_v) == pytest.approx(law.variance.item(), rel=1e-4)


def test_joint_without_width() -> None:
    """(11.4) the fused lasso, and it is the limit of small widths."""
    difference = torch.tensor([-3.0, -0.3, 0.0, 0.7, 1.5])
    law = joint_posterior(difference, 16, 0.8)
    wanted = (difference.abs() - 0.8).clamp_min(0)
    torch.testing.assert_close(law.gap, wanted * difference.sign())
    torch.testing.assert_close(law.variance, wanted * 0.2)
    small = joint_posterior(difference, 16, 0.8, 1e-4)
    torch.testing.assert_close(small.gap, law.gap, atol=1e-3, rtol=0)
    torch.testing.assert_close(small.variance, law.variance, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("difference", "count", "noise", "width"), CASES)
def test_own_is_exact(difference: float, count: int, noise: float, width: float) -> None:
    """(12.2) is the marginal of the joint posterior, by inverting its precision matrix."""
    square = noise**2 / count
    inner = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) / width**2
    covariance = torch.linalg.inv(inner + torch.eye(2) / square)
    mean = covariance @ torch.tensor([difference / 2, -difference / 2]) / square
    for function in (own_posterior, exact_posterior):
        found = function(difference, count, noise, width)
        torch.testing.assert_close(found.gap, mean[0] - mean[1])
        torch.testing.assert_close(found.variance, covariance[0, 0])
    later = previous_posterior(difference, count, noise, width, rounds=3)
    assert later.variance < covariance[0, 0] * 0.9999


def test_exact_without_width_is_pooling() -> None:
    """(12.2) with width 0: one mean, variance s^2 / 2."""
    for function in (own_posterior, exact_posterior):
        found = function(1.7, 8, 1.0)
        torch.testing.assert_close(found.gap, torch.tensor(0.0))
        torch.testing.assert_close(found.variance, torch.tensor(1 / 16))


@pytest.mark.parametrize("rounds", [1, 2, 3, 8, 51])
def test_previous_without_width(rounds: int) -> None:
    """(11.6), (11.7) precision grows by one data set a round; the means take turns."""
    found = previous_posterior(1.5, 4, 1.0, rounds=rounds)
    torch.testing.assert_close(found.variance, torch.tensor(0.25 / rounds))
    torch.testing.assert_close(found.gap, torch.tensor(1.5 / rounds if rounds % 2 else 0.0))


@pytest.mark.parametrize(("difference", "count", "noise", "width"), CASES)
def test_previous_is_products_of_densities(
    difference: float, count: int, noise: float, width: float
) -> None:
    """(11.6) round by round on a grid: likelihood times the other's last posterior, convolved."""
    se, w = noise / count**0.5, torch.linspace(-8, 8, 1601)
    step = w[1] - w[0]

    def normal(mean: float, sd: float) -> Tensor:
        return torch.distributions.Normal(torch.tensor(mean), torch.tensor(sd)).log_prob(w)

    likelihood = torch.stack([normal(difference / 2, se), normal(-difference / 2, se)])
    kernel = torch.distributions.Normal(0.0, width).log_prob(w[:, None] - w).exp() * step
    q = likelihood.softmax(1)
    for _ in range(3):
        q = (likelihood + (q.flip(0) @ kernel).clamp_min(1e-300).log()).softmax(1)
    mean = q @ w
    found = previous_posterior(difference, count, noise, width, rounds=4)
    torch.testing.assert_close(found.gap, mean[0] - mean[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(found.variance, q[0] @ (w - mean[0]).square(), atol=1e-6, rtol=0)


def test_known_mistakes_are_seen() -> None:
    """(11.4), (12.2) half the threshold, no root of N, own data in the source: all differ."""
    law, own = joint_posterior(1.5, 16, 0.8), own_posterior(1.5, 16, 0.8, 0.3)
    for threshold in (2 * 0.8 / 4, 4 * 0.8 / 16):
        assert abs(law.gap.item() - (1.5 - threshold)) > 0.1
    echo = 1 / (1 / 0.04 + 1 / (own.variance + 0.09))
    assert abs(echo - own.variance) > 4e-4


def test_rounds_are_checked() -> None:
    with pytest.raises(ValueError, match="`rounds` must be at least 1; got 0"):
        previous_posterior(1.0, 4, 1.0, rounds=0)


def test_readings_differ_by_what_was_asked_and_intervals_cover_what_they_should() -> None:
    """(11.8) by simulation; the rows that the chapters fit."""
    difference = torch.tensor([0.3, -2.0], dtype=torch.float64)
    x, y, task = two_tasks.readings(difference, 5, 0.7)
    assert x.shape == (10, 1)
    means = torch.stack([y[task == t].mean(0) for t in (0, 1)])
    torch.testing.assert_close((means[0] - means[1]).double(), difference, atol=1e-6, rtol=0)
    assert two_tasks.two_tasks(5, 0.7, 2, sources="joint")(x, y, task).kl_weights.shape == (2,)
    generator = torch.Generator().manual_seed(0)
    for width, rounds in ((0.0, 2), (1.0, 2), (1.0, 7)):
        truth = torch.randn(200_000, generator=generator).double() * torch.tensor([[0.0], [width]])
        ybar = truth + torch.randn(2, 200_000, generator=generator).double()
        pair = previous_posterior(ybar[0] - ybar[1], 1, 1.0, rounds=rounds)
        error = (ybar.mean(0) + pair.gap / 2 - truth[0]).abs()
        found = (error < two_tasks.REACH * pair.variance.sqrt()).double()
        wanted = two_tasks.covered(previous_posterior(1.0, 1, 1.0, rounds=rounds), width)
        assert_mean(found, wanted)
