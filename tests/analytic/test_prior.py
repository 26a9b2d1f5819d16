"""The mixture prior as a Distribution, its base component and its transfer width."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Gamma, Independent, Laplace, MultivariateNormal, Normal

import vmtl_core as vmtl
from tests.stats import assert_frequencies, assert_mean, integral, line, plane
from vmtl_core.distributions import relax, widen

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
    sds = (weights.log_scale.exp() ** 2 + 0.7**2).sqrt()
    sources = [Normal(weights.loc[k], sds[k]) for k in range(3)]
    assert_prior_in_loops(model, Normal(0.5, 2.0), sources)


def assert_prior_in_loops(model: Any, base: Normal, sources: list[Normal]) -> None:
    """(2.4) the prior of each of three tasks at seven points, from what the sources say of it."""
    logits, points = model.prior.mixing.logits, torch.linspace(-3, 3, 7)
    found = model.weights_prior().log_prob(points[:, None]).exp()
    for t in range(3):
        total = logits[t, 3].exp() + sum(logits[t, k].exp() for k in range(3) if k != t)
        density = logits[t, 3].exp() / total * base.log_prob(points).exp()
        for k in range(3):
            if k != t:
                one = sources[k].log_prob(points).exp()
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


DELTA = torch.tensor([0.5, 3.0], dtype=torch.float64)


def population() -> Independent:
    """p_0 of two weights, batch shape (1,)."""
    return Independent(Normal(torch.tensor([[0.6, -1.0]]), torch.tensor([[0.8, 2.0]])), 1)


def correlation() -> Tensor:
    """rho of each weight."""
    return 1 / (1 + DELTA**2).sqrt()


def test_relaxed_density() -> None:
    """(12.5) what w' says of w is the law of w given w' in the bivariate normal: integrate it."""
    loc, scale = torch.tensor([[2.0, 0.3]]), torch.tensor([[0.4, 1.1]])
    near = relax(Independent(Normal(loc, scale), 1), population(), DELTA)
    points, step = line()
    at = torch.tensor([-3.0, 0.0, 0.9, 2.5])
    (centre,), (spread,) = population().mean, population().stddev
    for d, rho in enumerate(correlation()):
        joint = torch.stack([torch.stack([spread.new_ones(()), rho]), torch.stack([rho, rho**0])])
        both = MultivariateNormal(centre[d].repeat(2), spread[d] ** 2 * joint)
        grid = torch.stack(torch.broadcast_tensors(points[None], at[:, None]), -1)
        marginal = Normal(centre[d], spread[d]).log_prob(points)
        conditional = (both.log_prob(grid) - marginal).exp()
        wanted = conditional @ Normal(loc[0, d], scale[0, d]).log_prob(points).exp() * step
        one = Normal(near.mean[0, d], near.stddev[0, d])
        torch.testing.assert_close(one.log_prob(at).exp(), wanted)


def test_relaxed_draws() -> None:
    """(12.5) draws of m_0 + rho (w' - m_0) + sqrt(1 - rho^2) s_0 noise have its moments."""
    dist = Independent(Normal(torch.tensor([[2.0, 0.3]]), torch.tensor([[0.4, 1.1]])), 1)
    rho, (centre,), (spread,) = correlation(), population().mean, population().stddev
    noise = torch.randn(100_000, 1, 2) * spread * (1 - rho**2).sqrt()
    draws = centre + rho * (dist.sample((100_000,)) - centre) + noise
    near = relax(dist, population(), DELTA)
    assert_mean(draws, near.mean)
    assert_mean((draws - near.mean).square(), near.variance)


def test_the_population_stays_as_it_is() -> None:
    """(12.5) w' from p_0 gives w from p_0 for every delta; known tasks drawn from it do together."""
    for delta in (0.0, 0.5, 1.0, 40.0):
        same = relax(population(), population(), torch.tensor(delta))
        torch.testing.assert_close(same.mean, population().mean)
        torch.testing.assert_close(same.variance, population().variance)
    tasks = population().sample((100_000,))[:, 0]
    known = Independent(Normal(tasks, torch.full_like(tasks, 1e-6)), 1)
    spread = relax(known, population(), DELTA)
    draws = spread.sample()
    assert_mean(draws, population().mean[0])
    assert_mean((draws - population().mean[0]).square(), population().variance[0])


def test_from_a_copy_to_the_base_prior() -> None:
    """(12.5) delta 0 is the source itself, a large delta p_0; near 0 `widen` by delta s_0."""
    dist = Independent(Normal(torch.tensor([[2.0, 0.3]]), torch.tensor([[0.4, 1.1]])), 1)
    copy = relax(dist, population(), torch.tensor(0.0))
    torch.testing.assert_close(copy.mean, dist.mean)
    torch.testing.assert_close(copy.variance, dist.variance)
    far = relax(dist, population(), torch.tensor(1e6))
    torch.testing.assert_close(far.mean, population().mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(far.variance, population().variance)
    small = relax(dist, population(), torch.tensor(0.01))
    wide = widen(dist, 0.01 * population().stddev[0])
    torch.testing.assert_close(small.variance, wide.variance, atol=0, rtol=1e-3)


def covariances(q: Any) -> Tensor:
    """Of the columns, (K, columns, D, D); a vector is one column."""
    if isinstance(q, vmtl.GaussianColumns):
        return q.columns.covariance_matrix
    return q.covariance_matrix[:, None]


@pytest.mark.parametrize("event", [(2,), (2, 3)], ids=["vector", "matrix"])
def test_relaxed_covariances(event: tuple[int, ...]) -> None:
    """(12.5) R S R + (1 - rho^2) v_0 for each column, from torch's own matrices."""
    torch.manual_seed(2)
    weights = vmtl.GaussianWeights(4, event, covariance="full")
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.normal_()
    base = Independent(Normal(torch.randn(1, *event), 0.5 + torch.rand(1, *event)), len(event))
    delta = torch.rand(event) + 0.2
    old, new = weights(), relax(weights(), base, delta)
    rho = 1 / (1 + delta**2).sqrt()
    torch.testing.assert_close(new.mean, base.mean + rho * (old.mean - base.mean))
    rest = ((1 - rho**2) * base.variance[0]).reshape(2, -1).T  # (columns, 2)
    shrink = torch.diag_embed(rho.reshape(2, -1).T)
    wanted = shrink @ covariances(old) @ shrink + torch.diag_embed(rest)
    torch.testing.assert_close(covariances(new), wanted)


def test_relaxed_mixed_families() -> None:
    """(12.5) each family as alone; what isn't Gaussian is refused."""
    parts = [
        Independent(Normal(torch.ones(2, 2), 0.5), 1),
        MultivariateNormal(torch.zeros(1, 2), torch.eye(2)),
    ]
    both = relax(vmtl.Concatenated(parts), population(), DELTA)
    alone = [relax(part, population(), DELTA) for part in parts]
    torch.testing.assert_close(both.mean, torch.cat([one.mean for one in alone]))
    torch.testing.assert_close(both.variance, torch.cat([one.variance for one in alone]))
    with pytest.raises(ValueError, match="widens Gaussian posteriors only"):
        relax(Independent(Laplace(torch.zeros(1, 2), 1.0), 1), population(), DELTA)
    with pytest.raises(ValueError, match="needs a Gaussian base prior with independent"):
        relax(parts[0], Independent(Laplace(torch.zeros(1, 2), 1.0), 1), DELTA)


@pytest.mark.parametrize("sources", ["own", "joint"])
def test_stationary_prior_of_the_model_is_the_formula(sources: str) -> None:
    """(2.4) with (12.5), written out in loops; own sources hold p_0 fixed inside the mixture."""
    torch.manual_seed(0)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(3, ()), task_sizes=[2, 2, 2],
        sources=sources, transfer="stationary",
    )  # fmt: skip
    bundle = model.own if sources == "own" else model.posteriors
    assert bundle is not None
    width = model.prior.log_width
    assert model.prior.base is not None
    assert width is not None
    mean, sd, delta, m, s = [-1.0, 0.0, 2.0], [0.1, 0.5, 1.5], 0.7, 0.4, 1.3
    with torch.no_grad():
        bundle.weights.loc.copy_(torch.tensor(mean))
        bundle.weights.log_scale.copy_(torch.tensor(sd).log())
        model.prior.base.loc.fill_(m)
        model.prior.base.log_scale.fill_(math.log(s))
        width.fill_(math.log(delta))
        model.prior.mixing.logits.normal_()
    rho = 1 / math.sqrt(1 + delta**2)
    spreads = [math.sqrt(rho**2 * one**2 + (1 - rho**2) * s**2) for one in sd]
    sources_say = [Normal(m + rho * (mean[k] - m), spreads[k]) for k in range(3)]
    assert_prior_in_loops(model, Normal(m, s), sources_say)
    components = model.prior.components(bundle.q_weights())
    components.log_prob(torch.zeros(4)).sum().backward()
    gradients = [p.grad for p in model.prior.base.parameters()]
    if sources == "own":
        assert gradients == [None, None]
    else:
        assert all(g is not None and g.abs().sum() > 0 for g in gradients)
    assert width.grad is not None
    assert width.grad.abs().sum() > 0
