"""KL to a mixture by every method, against quadrature and hand-made closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Gamma,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    StudentT,
)

import vmtl_core as vmtl
from tests.stats import assert_mean, assert_spread, integral, line, plane
from vmtl_core import divergences

HALF = [0.5, 0.5]
# Receiver mean and sd, component means, sds and weights: separation, width and weight vary.
CASES = {
    "textbook": (0.0, 1.0, [-2.0, 2.0], [1.0, 1.0], HALF),
    "narrow q": (1.5, 0.2, [-2.0, 2.0], [1.0, 0.5], [0.3, 0.7]),
    "wide q": (0.3, 3.0, [-2.0, 0.0, 4.0], [0.5, 1.0, 2.0], [0.2, 0.5, 0.3]),
    "far apart": (-4.0, 0.7, [-5.0, 5.0], [0.7, 0.9], [0.01, 0.99]),
    "identical": (0.5, 0.8, [0.5, 0.5], [0.8, 0.8], [0.25, 0.75]),
    "one excluded": (0.0, 1.0, [0.5, 9.0], [1.2, 0.1], [1.0, 0.0]),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def parts(case) -> tuple[Normal, Normal, Tensor]:
    mean, sd, means, sds, weights = case
    q = Normal(torch.tensor([mean]), torch.tensor([sd]))
    return q, Normal(torch.tensor(means), torch.tensor(sds)), torch.tensor(weights).log()


def kl_by_quadrature(q: Distribution, components: Distribution, log_weights: Tensor) -> Tensor:
    """KL(q || sum_k a_k p_k) on a line, for batch shape (A,)."""

    def integrand(points: Tensor) -> Tensor:
        log_q = q.log_prob(points[:, None])
        log_p = (log_weights + components.log_prob(points[:, None, None])).logsumexp(-1)
        return torch.where(log_q > -700, log_q.exp() * (log_q - log_p), 0.0)

    return integral(integrand)


def spread_by_quadrature(q: Distribution, components: Distribution, log_weights: Tensor) -> Tensor:
    """Standard deviation under q of log q - log sum_k a_k p_k, for batch shape (A,)."""
    kl = kl_by_quadrature(q, components, log_weights)

    def integrand(points: Tensor) -> Tensor:
        log_q = q.log_prob(points[:, None])
        log_p = (log_weights + components.log_prob(points[:, None, None])).logsumexp(-1)
        return torch.where(log_q > -700, log_q.exp() * (log_q - log_p - kl).square(), 0.0)

    return integral(integrand).sqrt()


def estimates(q, components, log_weights, times: int = 40, samples: int = 2000, **options):
    """Independent sampled estimates, (times, A)."""
    return torch.stack(
        [
            vmtl.kl_to_mixture(q, components, log_weights, "monte_carlo", samples, **options)
            for _ in range(times)
        ]
    )


def test_the_values_of_the_textbook_case() -> None:
    """(4.1) 0.943, (4.3) 2, (4.4) 2, (4.6) 0.847, (4.7) 0.153 for N(0,1) against N(±2,1)."""
    q, p, log_half = parts(CASES["textbook"])
    found = {m: vmtl.kl_to_mixture(q, p, log_half, m).item() for m in divergences.CLOSED_FORMS}
    assert kl_by_quadrature(q, p, log_half).item() == pytest.approx(0.943, abs=5e-4)
    assert found["convex"] == pytest.approx(2.0, abs=1e-12)
    assert found["jensen"] == pytest.approx(2.0, abs=1e-12)
    assert found["weighted_sum"] == pytest.approx(0.5 * (2 - 1 - math.log(2)), abs=1e-12)
    assert found["weighted_sum"] == pytest.approx(0.153, abs=5e-4)
    # -H(q) - log N(0; 2, 2): both overlaps are the same.
    by_hand = -0.5 * math.log(2 * math.pi * math.e) + 0.5 * math.log(4 * math.pi) + 1
    assert found["lower_bound"] == pytest.approx(by_hand, abs=1e-12)
    assert found["lower_bound"] == pytest.approx(0.847, abs=5e-4)


@every_case
def test_monte_carlo_is_unbiased(case) -> None:
    """(4.2) the mean of sampled estimates is the KL to the mixture, (4.1), by quadrature, and their
    spread is that of S draws.
    """
    q, p, log_weights = parts(case)
    found, exact = estimates(q, p, log_weights, 100, 500), kl_by_quadrature(q, p, log_weights)
    assert_mean(found, exact, 1e-9)
    spread = spread_by_quadrature(q, p, log_weights)
    if spread > 1e-6:
        assert_spread(found, exact, spread / 500**0.5)
    else:
        assert (found - exact).abs().max() < 1e-9


@every_case
def test_sticking_the_landing_has_the_same_mean(case) -> None:
    """(4.2) stopping the gradient inside log q leaves the value as it is."""
    q, p, log_weights = parts(case)
    found = estimates(q, p, log_weights, stick_the_landing=True)
    assert_mean(found, kl_by_quadrature(q, p, log_weights), 1e-9)


@every_case
def test_convex_bound(case) -> None:
    """(4.3) sum_k a_k KL_k, each KL by quadrature."""
    q, p, log_weights = parts(case)
    each = torch.cat(
        [
            kl_by_quadrature(q, Normal(m[None], s[None]), torch.zeros(1))
            for m, s in zip(p.loc, p.scale)
        ]
    )
    kept = log_weights > -math.inf
    wanted = (log_weights.exp() * each)[kept].sum()
    assert vmtl.kl_to_mixture(q, p, log_weights, "convex").item() == pytest.approx(wanted.item())


@every_case
def test_jensen_bound(case) -> None:
    """(4.4) -log sum_k a_k exp(-KL_k), each KL by quadrature."""
    q, p, log_weights = parts(case)
    each = torch.cat(
        [
            kl_by_quadrature(q, Normal(m[None], s[None]), torch.zeros(1))
            for m, s in zip(p.loc, p.scale)
        ]
    )
    wanted = -math.log((log_weights.exp() * (-each).exp()).sum())
    found = vmtl.kl_to_mixture(q, p, log_weights, "jensen").item()
    assert found == pytest.approx(wanted, abs=1e-9)


@every_case
def test_responsibilities_attain_the_jensen_bound(case) -> None:
    """(4.5) phi minimises sum_k phi_k (KL_k + log phi_k / a_k); the minimum is (4.4)."""
    q, p, log_weights = parts(case)
    kl = vmtl.pairwise_kl(q, p)
    phi = divergences.responsibilities(kl, log_weights)[0]

    def value(phi: Tensor) -> float:
        kept = phi > 0
        return (phi * (kl[0] + phi.log() - log_weights))[kept].sum().item()

    bound = vmtl.kl_to_mixture(q, p, log_weights, "jensen").item()
    assert phi.sum().item() == pytest.approx(1.0)
    assert value(phi) == pytest.approx(bound, abs=1e-9)
    for other in torch.distributions.Dirichlet(torch.ones(len(phi))).sample((20,)):
        other = torch.where(log_weights > -math.inf, other, 0.0)
        assert value(other / other.sum()) >= bound - 1e-9


@every_case
def test_lower_bound(case) -> None:
    """(4.6) -H(q) - log sum_k a_k int q p_k, entropy and overlaps by quadrature."""
    q, p, log_weights = parts(case)
    points, step = line()
    density = q.log_prob(points).exp()
    entropy = -(torch.where(density > 0, density * q.log_prob(points), 0.0)).sum() * step
    overlap = (density[:, None] * p.log_prob(points[:, None]).exp()).sum(0) * step
    wanted = -entropy - (log_weights.exp() * overlap).sum().log()
    found = vmtl.kl_to_mixture(q, p, log_weights, "lower_bound")
    assert found.item() == pytest.approx(wanted.item(), abs=1e-9)


@every_case
def test_weighted_sum(case) -> None:
    """(4.7) KL to the law of sum_k a_k w_k, whose mean and variance are taken by hand."""
    q, p, log_weights = parts(case)
    a = log_weights.exp().tolist()
    mean = sum(a_k * m for a_k, m in zip(a, p.loc.tolist()))
    variance = sum(a_k**2 * s**2 for a_k, s in zip(a, p.scale.tolist()))
    one = Normal(torch.tensor([mean]), torch.tensor([variance**0.5]))
    wanted = kl_by_quadrature(q, one, torch.zeros(1)).item()
    found = vmtl.kl_to_mixture(q, p, log_weights, "weighted_sum").item()
    assert found == pytest.approx(wanted, abs=1e-9)


def test_weighted_sum_is_the_law_of_a_sum() -> None:
    """(4.7) draws of sum_k a_k w_k have the mean and variance that the method uses."""
    p, a = Normal(torch.tensor([-1.0, 3.0]), torch.tensor([0.5, 2.0])), torch.tensor([0.3, 0.7])
    draws = (a * p.sample((200_000,))).sum(-1)
    assert_mean(draws, 0.3 * -1 + 0.7 * 3)
    variance = 0.3**2 * 0.5**2 + 0.7**2 * 2**2
    assert_mean((draws - 1.8).square(), variance)
    q = Normal(torch.tensor([1.8]), torch.tensor([variance**0.5]))
    assert vmtl.kl_to_mixture(q, p, a.log(), "weighted_sum").item() == pytest.approx(0, abs=1e-12)


def test_two_dimensions() -> None:
    """(4.1) every method in two dimensions, with quadrature on a plane."""
    q = Independent(Normal(torch.tensor([[0.3, -0.4]]), torch.tensor([[0.8, 1.3]])), 1)
    means = torch.tensor([[-1.0, 0.5], [1.5, -2.0], [0.0, 0.0]])
    scales = torch.tensor([[1.0, 0.7], [0.6, 1.2], [1.5, 1.5]])
    p, log_weights = Independent(Normal(means, scales), 1), torch.tensor([0.2, 0.5, 0.3]).log()
    points, cell = plane()
    log_q, log_each = q.log_prob(points), p.log_prob(points[:, None])
    density = log_q.exp()[:, None]
    exact = (density[:, 0] * (log_q - (log_weights + log_each).logsumexp(-1))).sum() * cell
    each = (density * (log_q[:, None] - log_each)).sum(0) * cell
    overlap = (density * log_each.exp()).sum(0) * cell
    wanted = {
        "convex": (log_weights.exp() * each).sum(),
        "jensen": -(log_weights - each).logsumexp(-1),
        "lower_bound": (density[:, 0] * log_q).sum() * cell - (log_weights.exp() @ overlap).log(),
    }
    assert_mean(estimates(q, p, log_weights), exact, 1e-9)
    for method, value in wanted.items():
        found = vmtl.kl_to_mixture(q, p, log_weights, method)
        torch.testing.assert_close(found, value[None], rtol=1e-8, atol=1e-9)
    assert wanted["lower_bound"] < exact < wanted["jensen"] < wanted["convex"]


METHODS = ("monte_carlo", *divergences.CLOSED_FORMS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rowwise", [False, True], ids=["components (K,)", "components (A, K)"])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)], ids=str)
def test_batch_dimensions_are_kept(method: str, rowwise: bool, batch: tuple[int, ...]) -> None:
    """(4.1) one value for each receiver, the same as for that receiver alone."""
    torch.manual_seed(3)
    own = batch if rowwise else ()
    q = Independent(Normal(torch.randn(*batch, 2), 0.5 + torch.rand(*batch, 2)), 1)
    means, scales = torch.randn(*own, 4, 2), 0.5 + torch.rand(*own, 4, 2)
    p = Independent(Normal(means, scales), 1)
    log_weights = torch.randn(*batch, 4).log_softmax(-1)
    found = vmtl.kl_to_mixture(q, p, log_weights, method)
    assert found.shape == torch.Size(batch)

    def receiver_alone(i: tuple[int, ...]) -> Tensor:
        one = Independent(Normal(q.mean[i], q.stddev[i]), 1)
        those = Independent(Normal(means[i], scales[i]), 1) if rowwise else p
        return vmtl.kl_to_mixture(one, those, log_weights[i], method)

    def all_alone() -> Tensor:
        values = [receiver_alone(i) for i in itertools.product(*map(range, batch))]
        return torch.stack(values).reshape(batch)

    if method != "monte_carlo":
        torch.testing.assert_close(found, all_alone(), rtol=0, atol=1e-12)
        return
    together = (vmtl.kl_to_mixture(q, p, log_weights, method) for _ in range(60))
    assert_mean(torch.stack([one - all_alone() for one in together]), 0.0)


def test_batch_is_not_averaged() -> None:
    """(4.2) receivers at different distances have different KLs, each its own."""
    q = Normal(torch.tensor([0.0, 5.0]), 1.0)
    p, log_weights = Normal(torch.tensor([0.0, 1.0]), 1.0), torch.tensor(HALF).log()
    wanted = kl_by_quadrature(q, p, log_weights)
    assert_mean(estimates(q, p, log_weights), wanted, 1e-9)
    one = Normal(torch.zeros(2), 1.0)
    found = torch.stack([vmtl.kl_monte_carlo(q, one, 500) for _ in range(40)])
    assert_mean(found, torch.tensor([0.0, 12.5]))


def test_full_covariance_gaussians() -> None:
    """(4.4), (4.3) for correlated Gaussians, whose pairwise KLs torch has in closed form."""
    torch.manual_seed(0)
    factors = torch.randn(5, 2, 2)
    covariance = factors @ factors.mT + 0.5 * torch.eye(2)
    q = MultivariateNormal(torch.randn(2, 2), covariance[:2])
    p = MultivariateNormal(torch.randn(3, 2), covariance[2:])
    log_weights = torch.randn(2, 3).log_softmax(-1)
    points, cell = plane(-18, 18, 501)
    log_q, log_p = q.log_prob(points[:, None]), p.log_prob(points[:, None])
    each = (log_q.exp()[:, :, None] * (log_q[:, :, None] - log_p[:, None])).sum(0) * cell
    torch.testing.assert_close(vmtl.pairwise_kl(q, p), each, rtol=1e-6, atol=1e-6)
    jensen = vmtl.kl_to_mixture(q, p, log_weights, "jensen")
    torch.testing.assert_close(jensen, -(log_weights - each).logsumexp(-1), rtol=1e-6, atol=1e-6)
    mixture = (log_weights + log_p[:, None]).logsumexp(-1)
    exact = (log_q.exp() * (log_q - mixture)).sum(0) * cell
    assert_mean(estimates(q, p, log_weights), exact, 1e-6)


def test_gamma_against_quadrature() -> None:
    """(4.1), (4.4) for a family whose KL torch has in closed form, broadcast over all pairs."""
    q = Gamma(torch.tensor([2.0, 5.0]), torch.tensor([1.0, 2.0]))
    p = Gamma(torch.tensor([3.0, 2.5, 6.0]), torch.tensor([1.5, 0.7, 3.0]))
    log_weights = torch.tensor([0.2, 0.3, 0.5]).log()
    points, step = line(5e-4, 60.0005, 60_001)
    log_q, log_p = q.log_prob(points[:, None]), p.log_prob(points[:, None])
    each = (log_q.exp()[:, :, None] * (log_q[:, :, None] - log_p[:, None])).sum(0) * step
    torch.testing.assert_close(vmtl.pairwise_kl(q, p), each, rtol=1e-4, atol=1e-5)
    jensen = vmtl.kl_to_mixture(q, p, log_weights, "jensen")
    torch.testing.assert_close(jensen, -(log_weights - each).logsumexp(-1), rtol=1e-4, atol=1e-5)
    exact = (log_q.exp() * (log_q - (log_weights + log_p).logsumexp(-1)[:, None])).sum(0) * step
    assert_mean(estimates(q, p, log_weights), exact, 1e-4)


COMPONENTS = {
    "Normal": lambda loc, scale: Normal(loc, scale),
    "Laplace": lambda loc, scale: Laplace(loc, scale),
    "StudentT": lambda loc, scale: StudentT(torch.tensor(5.0), loc, scale),
}


@pytest.mark.parametrize("components", COMPONENTS)
@pytest.mark.parametrize("q_family", [Laplace, Normal])
def test_families_with_and_without_a_registered_kl(q_family, components: str) -> None:
    """(4.4) torch has the KL of all these pairs but those to Student's t, which are sampled."""
    q = q_family(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.5]))
    p = COMPONENTS[components](torch.tensor([0.5, -1.0, 1.0]), torch.tensor([0.7, 2.0, 1.0]))
    points, step = line(points=120_001)
    log_q, log_p = q.log_prob(points[:, None]), p.log_prob(points[:, None])
    each = (log_q.exp()[:, :, None] * (log_q[:, :, None] - log_p[:, None])).sum(0) * step
    found = torch.stack([vmtl.pairwise_kl(q, p, samples=1000) for _ in range(40)])
    assert found.shape == (40, 2, 3)
    assert_mean(found, each, 1e-6)
    assert bool((found.std(0) > 1e-6).all()) == (components == "StudentT")


def test_mixed_families_side_by_side() -> None:
    """(4.4) Concatenated: Gaussian and Laplace receivers, Gaussian and Laplace components."""
    q = vmtl.Concatenated(
        [Normal(torch.tensor([0.0, 1.0]), 0.8), Laplace(torch.tensor([2.0]), 0.5)]
    )
    p = vmtl.Concatenated(
        [Normal(torch.tensor([-1.0]), 1.0), Laplace(torch.tensor([0.5, 2.0]), 0.9)]
    )
    assert (q.batch_shape, p.batch_shape) == ((3,), (3,))
    log_weights = torch.tensor([0.2, 0.3, 0.5]).log()
    points, step = line(points=120_001)
    log_q, log_p = q.log_prob(points[:, None]), p.log_prob(points[:, None])
    each = (log_q.exp()[:, :, None] * (log_q[:, :, None] - log_p[:, None])).sum(0) * step
    assert_mean(torch.stack([vmtl.pairwise_kl(q, p, samples=1000) for _ in range(40)]), each, 1e-6)
    exact = (log_q.exp() * (log_q - (log_weights + log_p).logsumexp(-1)[:, None])).sum(0) * step
    assert_mean(estimates(q, p, log_weights), exact, 1e-6)
    with pytest.raises(ValueError, match="needs diagonal Gaussians"):
        vmtl.kl_to_mixture(q, p, log_weights, "lower_bound")


def test_mixed_families_row_by_row() -> None:
    """(4.2) Concatenated receivers, each with components of its own, shape (A, K)."""
    q = vmtl.Concatenated([Normal(torch.zeros(1), 1.0), Laplace(torch.ones(1), 1.0)])
    p = Normal(torch.tensor([[0.0, 1.0], [2.0, 3.0]]), 1.0)
    log_half = torch.full((2, 2), math.log(0.5))
    points, step = line(points=120_001)
    log_q, log_p = q.log_prob(points[:, None]), p.log_prob(points[:, None, None])
    each = (log_q.exp()[:, :, None] * (log_q[:, :, None] - log_p)).sum(0) * step
    assert_mean(torch.stack([vmtl.pairwise_kl(q, p, samples=1000) for _ in range(40)]), each, 1e-6)
    exact = (log_q.exp() * (log_q - (log_half + log_p).logsumexp(-1))).sum(0) * step
    assert_mean(estimates(q, p, log_half), exact, 1e-6)


@pytest.mark.parametrize("method", divergences.CLOSED_FORMS)
def test_single_precision_agrees_with_double(method: str) -> None:
    """(4.1) float32 in, float32 out, the same to six digits."""
    torch.manual_seed(1)
    mean, scale = torch.randn(4, 6), 0.5 + torch.rand(4, 6)
    means, scales = torch.randn(5, 6), 0.5 + torch.rand(5, 6)
    log_weights = torch.randn(4, 5).log_softmax(-1)
    double, single = (
        vmtl.kl_to_mixture(
            Independent(Normal(mean.to(d), scale.to(d)), 1),
            Independent(Normal(means.to(d), scales.to(d)), 1),
            log_weights.to(d),
            method,
        )
        for d in (torch.float64, torch.float32)
    )
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=2e-5, atol=1e-5)


def test_excluded_components_do_not_matter() -> None:
    """(4.4) weight zero, log weight -inf: a component so excluded doesn't count."""
    q = Normal(torch.zeros(1), 1.0)
    near, both = Normal(torch.tensor([0.7]), 1.0), Normal(torch.tensor([0.7, 50.0]), 1.0)
    for method in divergences.CLOSED_FORMS:
        alone = vmtl.kl_to_mixture(q, near, torch.zeros(1), method)
        found = vmtl.kl_to_mixture(q, both, torch.tensor([0.0, -math.inf]), method)
        torch.testing.assert_close(found, alone, msg=method)
