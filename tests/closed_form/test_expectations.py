"""The expected log likelihood of a row, (5.12), against quadrature, sampling and loops."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from torch.nn import functional as F

import vmtl_core as vmtl
from tests.stats import assert_mean
from vmtl_core import expectations

MEANS, VARIANCES = (-3.0, -0.4, 0.0, 1.7), (0.01, 0.5, 2.0, 9.0)
Function = Callable[[float], float]


class Case(NamedTuple):
    """A likelihood, its log density in eta for one y, and the two derivatives of that."""

    make: Callable[[], Any]
    y: float
    log_density: Function
    slope: Function
    curvature: Function


def sigmoid(eta: float) -> float:
    return float(expit(eta))


def bernoulli(y: float) -> Case:
    return Case(
        vmtl.LinearBernoulli,
        y,
        lambda eta: y * eta - float(np.logaddexp(0.0, eta)),
        lambda eta: y - sigmoid(eta),
        lambda eta: -sigmoid(eta) * sigmoid(-eta),
    )


def poisson(y: float) -> Case:
    return Case(
        vmtl.LinearPoisson,
        y,
        lambda eta: y * eta - math.exp(eta) - math.lgamma(y + 1),
        lambda eta: y - math.exp(eta),
        lambda eta: -math.exp(eta),
    )


def gaussian(y: float, sd: float = 0.7) -> Case:
    return Case(
        lambda: vmtl.LinearGaussian(sd),
        y,
        lambda eta: -0.5 * ((y - eta) / sd) ** 2 - math.log(sd * math.sqrt(2 * math.pi)),
        lambda eta: (y - eta) / sd**2,
        lambda eta: -1 / sd**2,
    )


CASES = {
    "gaussian": gaussian(1.3),
    "bernoulli 0": bernoulli(0.0),
    "bernoulli 1": bernoulli(1.0),
    "poisson 0": poisson(0.0),
    "poisson 4": poisson(4.0),
}
every_case = pytest.mark.parametrize("case", CASES)


def expectation(function: Callable[[float], float], mean: float, variance: float) -> float:
    """E function(eta) by scipy's adaptive quadrature."""

    def integrand(u: float) -> float:
        return function(mean + variance**0.5 * u) * np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi)

    return float(quad(integrand, -14, 14, epsabs=1e-11, epsrel=1e-11, limit=400, points=[0])[0])


def grid() -> tuple[Tensor, Tensor]:
    """All pairs of means and variances."""
    pairs = torch.cartesian_prod(torch.tensor(MEANS), torch.tensor(VARIANCES))
    return pairs[:, 0].clone(), pairs[:, 1].clone()


def close(found: Tensor, function: Function, tolerance: float = 1e-8) -> None:
    """A tensor over `grid` equals the expectations of a function."""
    expected = [expectation(function, float(m), float(v)) for m, v in zip(*grid(), strict=True)]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=tolerance, atol=tolerance)


@every_case
def test_equals_quadrature(case: str) -> None:
    """(5.12) of one predictor."""
    make, y, log_density, *_ = CASES[case]
    mean, variance = grid()
    close(make().expected_log_prob(mean, variance, torch.full_like(mean, y)), log_density)


@every_case
def test_gradients_are_expected_derivatives(case: str) -> None:
    """Of (5.12) in the mean E l', in the variance E l'' / 2: Bonnet's and Price's theorems."""
    make, y, _, slope, curvature = CASES[case]
    mean, variance = (t.requires_grad_(True) for t in grid())
    found = make().expected_log_prob(mean, variance, torch.full_like(mean, y))
    slopes = torch.autograd.grad(found.sum(), (mean, variance))
    close(slopes[0], slope, 1e-7)
    close(2 * slopes[1], curvature, 1e-7)


def test_wide_predictors_of_labels() -> None:
    """(5.12) where a class is separable and the predictor's sd is 10."""
    mean, variance = torch.tensor([0.0, 5.0, -20.0]), torch.full((3,), 100.0)
    found = vmtl.LinearBernoulli().expected_log_prob(mean, variance, torch.ones(3))
    expected = [expectation(bernoulli(1.0).log_density, float(m), 100.0) for m in mean]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("sd", "slack"), [(0.3, 1e-3), (1.0, 0.01), (2.0, 0.04)])
def test_classes_equal_a_million_draws(sd: float, slack: float) -> None:
    """(5.12) for several classes: its fixed nodes are as good as thousands of draws."""
    mean = torch.tensor([[0.5, -1.0, 0.2, 1.0], [2.0, 0.0, -2.0, 0.0]])
    variance = sd**2 * torch.tensor([[1.0, 0.5, 2.0, 1.0], [1.0, 1.0, 1.0, 0.2]])
    y = torch.tensor([3, 1])
    found = vmtl.LinearCategorical().expected_log_prob(mean, variance, y)
    eta = mean + variance.sqrt() * torch.randn(1_000_000, *mean.shape)
    assert_mean(-F.cross_entropy(eta.mT, y.expand(len(eta), -1), reduction="none"), found, slack)


def test_two_classes_are_a_logistic_regression() -> None:
    """(5.12): with two columns the difference of the predictors decides, by quadrature."""
    mean, variance = torch.tensor([[0.3, 1.0]]), torch.tensor([[0.4, 0.5]])
    found = vmtl.LinearCategorical().expected_log_prob(mean, variance, torch.tensor([1.0]))
    expected = expectation(bernoulli(1.0).log_density, 0.7, 0.9)
    assert float(found) == pytest.approx(expected, abs=2e-3)


def test_columns_and_scales_of_tasks() -> None:
    """(5.12) for y of two columns and a noise scale for each task: sums of single ones."""
    likelihood = vmtl.LinearGaussian(tasks=2).double()
    with torch.no_grad():
        likelihood.log_scale.copy_(torch.tensor([0.5, 2.0]).log())
    mean, variance, y = torch.randn(3, 2), torch.rand(3, 2), torch.randn(3, 2)
    task = torch.tensor([1, 0, 1])
    found = likelihood.expected_log_prob(mean, variance, y, task)
    for n in range(3):
        one = vmtl.LinearGaussian([0.5, 2.0][int(task[n])]).double()
        parts = [one.expected_log_prob(mean[n, p], variance[n, p], y[n, p]) for p in (0, 1)]
        torch.testing.assert_close(found[n], parts[0] + parts[1])


def covariance(q: Distribution, task: int, column: int | None) -> Tensor:
    """Of the weights of one column of one task."""
    if isinstance(q, MultivariateNormal):
        return q.covariance_matrix[task]
    variance = q.variance[task]
    return torch.diag(variance if column is None else variance[:, column])


FAMILIES: dict[str, Callable[[], Distribution]] = {
    "vector": lambda: MultivariateNormal(torch.randn(2, 3), torch.eye(3) + 0.4 * torch.ones(3, 3)),
    "intercept": lambda: vmtl.GaussianWeights(2, (4,)).double()(),
    "diagonal": lambda: Independent(Normal(torch.randn(2, 3), torch.rand(2, 3) + 0.1), 1),
    "columns": lambda: Independent(Normal(torch.randn(2, 3, 2), torch.rand(2, 3, 2) + 0.1), 2),
    "columns and intercept": lambda: Independent(
        Normal(torch.randn(2, 4, 2), torch.rand(2, 4, 2) + 0.1), 2
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_moments_equal_loops(family: str) -> None:
    """The predictor's mean x'm and variance x'Sx of (5.12), row by row."""
    q = FAMILIES[family]()
    x, task = torch.randn(5, 3), torch.tensor([1, 0, 1, 1, 0])
    moments = expectations.linear_moments(q, x, task)
    assert moments is not None
    wide = torch.cat([x, torch.ones(5, 1)], 1) if q.event_shape[0] == 4 else x
    columns: list[int | None] = [None] if len(q.event_shape) == 1 else [0, 1]
    for n, row in enumerate(wide):
        for column in columns:
            at = n if column is None else (n, column)
            t = int(task[n])
            loc = q.mean[t] if column is None else q.mean[t][:, column]
            torch.testing.assert_close(moments[0][at], row @ loc)
            torch.testing.assert_close(moments[1][at], row @ covariance(q, t, column) @ row)


def test_moments_of_correlated_columns() -> None:
    """The weights of each class correlated: `GaussianWeights` with full covariance and columns."""
    weights = vmtl.GaussianWeights(2, (3, 2), covariance="full").double()
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    x, task = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    moments = expectations.linear_moments(weights(), x, task)
    assert moments is not None
    draws = weights().sample((200_000,))
    eta = torch.einsum("bd,sbdp->sbp", x, draws[:, task])
    assert_mean(eta, moments[0])
    assert_mean((eta - moments[0]).square(), moments[1])


def test_what_does_not_fit_is_left_to_the_general_path() -> None:
    """Not Gaussian, or of another size than x: None."""
    task = torch.zeros(5, dtype=torch.long)
    q = Independent(Normal(torch.zeros(1, 3), 1.0), 1)
    assert expectations.linear_moments(q, torch.ones(5, 5), task) is None
    heavy = Independent(torch.distributions.Laplace(torch.zeros(1, 3), 1.0), 1)
    assert expectations.linear_moments(heavy, torch.ones(5, 3), task) is None


@pytest.mark.parametrize("columns", [None, 2])
def test_objective_uses_them(columns: int | None) -> None:
    """The model's log likelihood is the sum of (5.12) over a task's rows, the same every time."""
    event = (3,) if columns is None else (3, columns)
    weights = vmtl.GaussianWeights(2, event)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(0.7), weights, task_sizes=[3, 2], sources="own"
    ).double()
    x, task = torch.randn(5, 3), torch.tensor([0, 0, 1, 0, 1])
    y = torch.randn(5) if columns is None else torch.randn(5, columns)
    terms = model(x, y, task)
    draws = model.q_weights().sample((100_000,))
    eta = torch.einsum("bd,sbdp->sbp", x, draws[:, task].reshape(100_000, 5, 3, -1))
    rows = Normal(eta, 0.7).log_prob(y.reshape(5, -1)).sum(-1)
    for t in range(2):
        assert_mean(rows[:, task == t].sum(-1), terms.log_likelihood[t].detach())
    assert torch.equal(model(x, y, task).log_likelihood, terms.log_likelihood)
