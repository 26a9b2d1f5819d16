"""The predictive where z^T w is Gaussian at each point of the hyperparameters, against scipy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit, gammaincc, gammaln
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

import vmtl_core as vmtl
from tests.analytic.points import averaged
from tests.analytic.test_elbo import a_model, scattered_weights
from tests.stats import assert_frequencies, assert_mean
from vmtl_core.exact import GaussianPredictive, PoissonPredictive, bernoulli_predictive
from vmtl_core.quadrature import poisson_below, poisson_log_mass

X = torch.tensor([[1.0, 0.5], [-0.3, 2.0], [0.0, 0.0], [1.5, -1.0]], dtype=torch.float64)
TASK = torch.tensor([2, 0, 1, 2])
ONE = torch.zeros(1, dtype=torch.float64)
SDS = (1e-3, 0.1, 1.0, 3.0, 10.0)


def moments(points: Any, x: Tensor = X, task: Tensor = TASK) -> tuple[Tensor, Tensor]:
    """Mean and variance of x'w, (K, N, P), in loops."""
    mean = torch.zeros(3, len(x), points.loc.shape[2])
    variance = torch.zeros_like(mean)
    for k, n, p in np.ndindex(*mean.shape):
        factor = points.scale_tril[k, task[n], p]
        mean[k, n, p] = x[n] @ points.loc[k, task[n], p]
        variance[k, n, p] = x[n] @ (factor @ factor.T) @ x[n]
    return mean, variance


def weighted(weights: Tensor, each: Tensor) -> Tensor:
    return sum(w * one for w, one in zip(weights, each, strict=True))


@pytest.mark.parametrize("columns", [0, 2])
def test_gaussian_over_points(columns: int) -> None:
    """(6.1), (6.3) a mixture over the points; what they leave open is epistemic."""
    model, points = averaged(vmtl.LinearGaussian(), (2, columns) if columns else (2,))
    p = vmtl.predictive(model, X, TASK)
    mean, variance = moments(points)
    noise, weights = points.noise[:, TASK, None], points.log_weights.exp()
    if not columns:
        mean, variance, noise = mean[..., 0], variance[..., 0], noise[..., 0]
    y = torch.randn(mean.shape[1:])
    density = Normal(mean, (variance + noise**2).sqrt()).log_prob(y)
    density = density.sum(-1) if columns else density
    torch.testing.assert_close(p.log_prob(y), weighted(weights, density.exp()).log())
    torch.testing.assert_close(p.mean, weighted(weights, mean))
    spread = weighted(weights, mean.square()) - weighted(weights, mean).square()
    aleatoric = weighted(weights, noise.square()).expand_as(spread)
    epistemic = weighted(weights, variance) + spread
    torch.testing.assert_close(p.variance, aleatoric + epistemic)
    u = vmtl.decompose_uncertainty(p)
    torch.testing.assert_close(u.aleatoric, aleatoric)
    torch.testing.assert_close(u.epistemic, epistemic)
    torch.testing.assert_close(u.total, aleatoric + epistemic)


@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
def test_one_point(sources: str) -> None:
    """(6.1) a fit that didn't average: N(x.m, x S x + sigma^2), whatever the prior is made of."""
    model = a_model(scattered_weights(3, 2), vmtl.LinearGaussian(0.6), sources=sources)
    p, q = vmtl.predictive(model, X, TASK), model.q_weights()
    mean = (X * q.mean[TASK]).sum(-1).detach()
    sd = ((X.square() * q.variance[TASK]).sum(-1) + 0.36).sqrt().detach()
    assert isinstance(p, vmtl.PredictiveMixture)
    assert p.components.batch_shape == (1, 1, 4)
    torch.testing.assert_close(p.log_prob(ONE), Normal(mean, sd).log_prob(ONE))
    torch.testing.assert_close(p.icdf(torch.tensor(0.1)), Normal(mean, sd).icdf(torch.tensor(0.1)))


def test_intercept_is_last() -> None:
    """(6.1) w with one row more than x."""
    model, points = averaged(vmtl.LinearGaussian(), (3,))
    mean, variance = moments(points, torch.cat([X, torch.ones(4, 1)], 1))
    p = vmtl.predictive(model, X, TASK)
    torch.testing.assert_close(p.mean, weighted(points.log_weights.exp(), mean[..., 0]))
    torch.testing.assert_close(p.spread.square(), variance[..., 0])  # type: ignore[attr-defined]


def test_tiny_uncertainty_beside_large_noise() -> None:
    """(6.3) the epistemic part is no difference of larger numbers."""
    p = GaussianPredictive(ONE[None], 1e-9 + ONE[None], 1e3 + ONE[None], ONE)
    assert vmtl.decompose_uncertainty(p).epistemic.item() == pytest.approx(1e-18)


def gaussian_integral(function: Callable[[float], float], mean: float, sd: float) -> float:
    """E f(eta), eta ~ N(mean, sd^2), by scipy."""

    def integrand(eta: float) -> float:
        return (
            function(eta) * math.exp(-(((eta - mean) / sd) ** 2) / 2) / sd / math.sqrt(2 * math.pi)
        )

    low, high = mean - 12 * sd, mean + 12 * sd
    places = [mean + k * sd for k in (-3, -1, 0, 1, 3)] + [-20, -5, -2, -1, 0, 1, 2, 5, 20]
    inside = sorted({at for at in places if low < at < high})
    return quad(integrand, low, high, points=inside, epsabs=1e-12, epsrel=1e-12, limit=2000)[0]


@pytest.mark.parametrize("sd", SDS)
def test_bernoulli_by_quadrature(sd: float) -> None:
    """(6.2), (6.4) probabilities and both entropies, for certain and for hardly known predictors."""
    means = torch.tensor([-6.0, -1.0, 0.3, 4.0])
    p = bernoulli_predictive(means[None], torch.full((1, 4), sd), ONE)
    probs = torch.tensor([gaussian_integral(expit, m, sd) for m in means.tolist()])
    torch.testing.assert_close(p.probs, probs, atol=1e-6, rtol=0)
    torch.testing.assert_close(p.log_prob(torch.ones(4)).exp(), probs, atol=1e-6, rtol=0)

    def entropy(eta: float) -> float:
        return float(np.logaddexp(0, eta) - eta * expit(eta))

    inside = torch.tensor([gaussian_integral(entropy, m, sd) for m in means.tolist()])
    u = vmtl.decompose_uncertainty(p)
    torch.testing.assert_close(u.aleatoric, inside, atol=1e-6, rtol=0)
    torch.testing.assert_close(u.total, Bernoulli(probs).entropy(), atol=1e-5, rtol=0)


def test_bernoulli_over_points() -> None:
    """(6.1) the averaged probability, of points with weights."""
    model, points = averaged(vmtl.LinearBernoulli(), noise=False)
    mean, variance = (t[..., 0].tolist() for t in moments(points))
    each = [
        [gaussian_integral(expit, m, max(v, 1e-12) ** 0.5) for m, v in zip(*rows, strict=True)]
        for rows in zip(mean, variance, strict=True)
    ]
    p = vmtl.predictive(model, X, TASK)
    wanted = weighted(points.log_weights.exp(), torch.tensor(each))
    torch.testing.assert_close(p.probs, wanted, atol=1e-6, rtol=0)  # type: ignore[attr-defined]
    assert_frequencies(p.sample((20_000,)), torch.stack([1 - wanted, wanted], -1))


def poisson_reference(y: int, mean: float, sd: float) -> tuple[float, float]:
    """Mass at y and probability of at most y."""

    def log_integrand(eta: Any) -> Any:
        return y * eta - np.exp(eta) - gammaln(y + 1) - ((eta - mean) / sd) ** 2 / 2

    width, centre = (y + 1) ** -0.5, math.log(y + 0.5)
    grid = np.concatenate(
        [np.linspace(mean - 12 * sd, mean + 12 * sd, 4001)]
        + [np.linspace(centre - 30 * width, centre + 8 * width, 4001)]
    )
    grid = grid[(grid >= mean - 12 * sd) & (grid <= mean + 12 * sd)]
    mode = grid[log_integrand(grid).argmax()]
    scale = (math.exp(mode) + sd**-2) ** -0.5
    low, high = mean - 12 * sd, min(mean + 12 * sd, mode + max(40 * scale, 4))
    places = [mode + k * scale for k in (-20, -8, -3, -1, 0, 1, 3, 8)]
    inside = sorted({at for at in places if low < at < high})
    options: Any = {"epsabs": 1e-13, "epsrel": 1e-11, "limit": 2000}
    constant = sd * math.sqrt(2 * math.pi)
    mass = quad(lambda e: np.exp(log_integrand(e)) / constant, low, high, points=inside, **options)
    knots = [centre + k * width for k in (-6, -3, -1, 0, 1, 3, 6)] + [mean - sd, mean, mean + sd]
    knots = sorted({at for at in knots if low < at < mean + 12 * sd})
    below = quad(
        lambda e: gammaincc(y + 1, np.exp(e)) * np.exp(-(((e - mean) / sd) ** 2) / 2) / constant,
        low, mean + 12 * sd, points=knots, **options,
    )  # fmt: skip
    return mass[0], below[0]


@pytest.mark.parametrize("y", [0, 1, 6, 50, 3000])
@pytest.mark.parametrize("sd", SDS)
def test_poisson_by_quadrature(sd: float, y: int) -> None:
    """(6.2) masses and distribution function, where the rate is as good as known or hardly."""
    for mean in (-3.0, 0.0, 2.0, 5.0):
        mass, below = poisson_reference(y, mean, sd)
        args = (ONE + y, ONE + mean, ONE + sd)
        found = poisson_log_mass(*args).exp().item(), poisson_below(*args).item()
        assert found == pytest.approx((mass, below), abs=1e-7)
        if mass > 1e-9:
            assert found[0] == pytest.approx(mass, rel=1e-6)


def test_poisson_over_points() -> None:
    """(6.1), (6.3) masses that sum to one, with the moments and quantiles of the masses."""
    model, points = averaged(vmtl.LinearPoisson(), noise=False)
    p = vmtl.predictive(model, 0.6 * X, TASK)
    assert isinstance(p, PoissonPredictive)
    counts = torch.arange(4000.0)[:, None].expand(-1, 4)
    mass = p.log_prob(counts).exp()
    torch.testing.assert_close(mass.sum(0), torch.ones(4), atol=1e-6, rtol=0)
    mean, variance = moments(points, 0.6 * X)
    weights, rate = points.log_weights.exp(), (mean + variance / 2).exp()[..., 0]
    torch.testing.assert_close(p.mean, weighted(weights, rate))
    within = rate.square() * variance[..., 0].expm1()
    spread = weighted(weights, rate.square()) - weighted(weights, rate).square()
    u = vmtl.decompose_uncertainty(p)
    torch.testing.assert_close(u.aleatoric, p.mean)
    torch.testing.assert_close(u.epistemic, weighted(weights, within) + spread)
    torch.testing.assert_close(u.total, p.variance)
    cumulated = mass.cumsum(0)
    torch.testing.assert_close(p.cdf(counts[:50]), cumulated[:50], atol=1e-6, rtol=0)
    torch.testing.assert_close(p.cdf(torch.tensor(-1.0)), torch.zeros(4))
    torch.testing.assert_close(p.cdf(torch.tensor(2.7)), p.cdf(torch.tensor(2)))
    for level in (0.02, 0.4, 0.9, 0.99):
        wanted = (cumulated < level).sum(0).double()
        assert torch.equal(p.icdf(torch.tensor(level)), wanted)
    labels = p.sample((20_000,)).clamp_max(3)
    assert_frequencies(labels, torch.cat([mass[:3], 1 - mass[:3].sum(0)[None]]).T)
    assert_frequencies(
        p._independent(torch.Size((20_000,))).clamp_max(3),
        torch.cat([mass[:3], 1 - mass[:3].sum(0)[None]]).T,
    )


def test_categorical_draws_from_the_points() -> None:
    """(6.2) samples of w in proportion to the points' weights, so many of each as is nearest."""
    model, points = averaged(vmtl.LinearCategorical(), (2, 3), noise=False)
    with torch.no_grad():
        tiny = points._replace(scale_tril=1e-9 * points.scale_tril)
    model.average.found = tiny
    p = vmtl.predictive(model, X, TASK, weight_samples=10)
    logits = torch.einsum("nd,knpd->knp", X, points.loc[:, TASK])
    wanted = weighted(torch.tensor([0.2, 0.5, 0.3]), logits.softmax(-1))
    torch.testing.assert_close(p.probs, wanted)  # type: ignore[attr-defined]
    assert_frequencies(p.sample((20_000,)), wanted)


def test_exact_is_the_limit_of_samples() -> None:
    """(6.2) the same likelihood as a function of the user's, sampled."""
    model = a_model(scattered_weights(3, 2), vmtl.LinearBernoulli(), sources="own")
    other = a_model(
        scattered_weights(3, 2), lambda z, w: Bernoulli(logits=(z * w).sum(-1)), sources="own",
        own_likelihood=lambda z, w: Bernoulli(logits=(z * w).sum(-1)),
    )  # fmt: skip
    exact = vmtl.predictive(model, X, TASK).probs  # type: ignore[attr-defined]
    draws = [vmtl.predictive(other, X, TASK, 50).probs for _ in range(100)]  # type: ignore[attr-defined]
    assert_mean(torch.stack(draws), exact)


def test_weights_that_are_not_gaussian_are_sampled() -> None:
    """(6.2) nothing exact is claimed of Laplace posteriors."""
    q = torch.distributions.Laplace(torch.zeros(3, 2), 1.0)
    weights = Independent(q, 1)
    p = vmtl.predictive(a_model(weights, vmtl.LinearGaussian(0.5)), X, TASK, weight_samples=7)
    assert p.components.batch_shape == (1, 7, 4)  # type: ignore[attr-defined]


def test_later_training_does_not_change_it() -> None:
    """Joint draws come from the posterior that was asked."""
    model = a_model(vmtl.GaussianWeights(3, (2,)), vmtl.LinearGaussian(0.1), sources="own")
    p = vmtl.predictive(model, X, TASK)
    with torch.no_grad():
        model.posteriors.weights.loc += 100
    assert p.sample((50,)).abs().max() < 20
