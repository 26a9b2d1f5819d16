"""Posterior predictives: mixtures over the grid of samples, against brute force."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Independent, Normal

import vmtl_core as vmtl
from tests.analytic.test_elbo import a_model, scattered_weights
from tests.stats import assert_frequencies, assert_mean, line

L, M, ROWS = 3, 5, 4


class WideLatents(nn.Module):
    """q(z|x, D_t) = N(x, .8^2) of three tasks, whatever the number of rows."""

    def forward(self, x: Tensor) -> Independent:
        return Independent(Normal(x.expand(3, *x.shape), 0.8), 1)


def mixtures() -> dict[str, Any]:
    draw = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    locs, scales = 2 * normal(L, M, ROWS), 0.3 + normal(L, M, ROWS).abs()
    return {
        "Normal": vmtl.PredictiveMixture(Normal(locs, scales)),
        "Bernoulli": vmtl.PredictiveMixture(Bernoulli(logits=2 * locs)),
        "Categorical": vmtl.PredictiveMixture(Categorical(logits=2 * normal(L, M, ROWS, 3))),
        "Independent": vmtl.PredictiveMixture(
            Independent(Normal(normal(L, M, ROWS, 2), 0.5 + normal(L, M, ROWS, 2).abs()), 1)
        ),
    }


def some_values(name: str) -> Tensor:
    return {
        "Normal": torch.tensor([-1.0, 0.0, 0.5, 3.0]),
        "Bernoulli": torch.tensor([0.0, 1.0, 1.0, 0.0]),
        "Categorical": torch.tensor([0, 2, 1, 1]),
        "Independent": torch.tensor([[0.0, 1.0], [-1.0, 0.5], [2.0, 0.0], [0.3, 0.3]]),
    }[name]


NAMES = ("Normal", "Bernoulli", "Categorical", "Independent")
every_family = pytest.mark.parametrize("name", NAMES)


@every_family
def test_log_prob_is_the_log_of_the_mean(name: str) -> None:
    """(6.2) log of the averaged density, not the average of logs; pair by pair."""
    p, y = mixtures()[name], some_values(name)
    density = sum(p.components.log_prob(y)[i, j].exp() for i in range(L) for j in range(M)) / (
        L * M
    )
    assert p.batch_shape == (ROWS,)
    torch.testing.assert_close(p.log_prob(y), density.log())
    jensen = p.components.log_prob(y).mean((0, 1))
    assert (p.log_prob(y) > jensen).all()


@every_family
def test_leading_sample_dimensions(name: str) -> None:
    """(6.2) values (S, N) and (S, R, N) give one log density each."""
    p, y = mixtures()[name], some_values(name)
    one = p.log_prob(y)
    torch.testing.assert_close(p.log_prob(y.expand(6, *y.shape)), one.expand(6, ROWS))
    torch.testing.assert_close(p.log_prob(y.expand(2, 6, *y.shape)), one.expand(2, 6, ROWS))
    assert p.sample((2, 6)).shape == (2, 6, *y.shape)
    assert p.sample().shape == y.shape


def test_log_prob_does_not_underflow() -> None:
    """(6.2) far out, where every density underflows, by logsumexp."""
    p = vmtl.PredictiveMixture(Normal(torch.zeros(2, 2, 1), 0.01))
    wanted = -0.5 * 1e8 - math.log(0.01) - 0.5 * math.log(2 * math.pi)
    assert p.log_prob(torch.tensor([100.0])).item() == pytest.approx(wanted)


def test_density_integrates_to_one() -> None:
    """(6.2) and its mean, variance and distribution function are those of the density."""
    p = mixtures()["Normal"]
    points, step = line()
    density = p.log_prob(points[:, None]).exp()
    torch.testing.assert_close(density.sum(0) * step, torch.ones(ROWS))
    mean = (density * points[:, None]).sum(0) * step
    torch.testing.assert_close(p.mean, mean)
    torch.testing.assert_close(
        p.variance, (density * (points[:, None] - mean).square()).sum(0) * step
    )
    at = torch.tensor([-1.0, 0.0, 0.5, 3.0])
    below = (
        torch.where(points[:, None] < at - step / 2, density, 0.0).sum(0) * step
        + 0.5 * step * p.log_prob(at).exp()
    )
    torch.testing.assert_close(p.cdf(at), below, atol=1e-5, rtol=0)


def test_quantiles_invert_the_distribution_function() -> None:
    """(6.2) cdf(icdf(u)) = u, for levels far out too; refused at 0 and 1."""
    p = mixtures()["Normal"]
    levels = torch.tensor([1e-6, 0.05, 0.5, 0.9, 1 - 1e-6])[:, None].expand(5, ROWS)
    torch.testing.assert_close(p.cdf(p.icdf(levels)), levels, atol=1e-12, rtol=1e-6)
    torch.testing.assert_close(p.cdf(p.icdf(torch.tensor(0.3))), torch.full((ROWS,), 0.3))
    for bad in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            p.icdf(torch.tensor(bad))


@every_family
def test_mean_and_variance_of_samples(name: str) -> None:
    """(6.3) moments by hand from all components, and of samples."""
    p = mixtures()[name]
    draws = p.sample((40_000,)).double()
    if name == "Categorical":
        draws = nn.functional.one_hot(draws.long(), 3).double()
        each = p.components.probs
        mean = each.mean((0, 1))
        variance = mean * (1 - mean)
    else:
        mean = p.components.mean.mean((0, 1))
        second = p.components.variance + p.components.mean.square()
        variance = second.mean((0, 1)) - mean.square()
    torch.testing.assert_close(p.mean, mean)
    torch.testing.assert_close(p.variance, variance)
    assert_mean(draws, mean)
    assert_mean((draws - mean).square(), variance)


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical"])
def test_frequencies_of_labels(name: str) -> None:
    """(6.2) labels are drawn with the averaged probabilities."""
    p = mixtures()[name]
    probs = p.components.probs.mean((0, 1))
    torch.testing.assert_close(p.probs, probs)
    if name == "Bernoulli":
        probs = torch.stack([1 - probs, probs], -1)
    assert_frequencies(p.sample((40_000,)), probs)
    classes = torch.arange(probs.shape[-1])[:, None].expand(-1, ROWS).to(some_values(name))
    torch.testing.assert_close(p.log_prob(classes).exp().T, probs)


@pytest.mark.parametrize("name", ["Normal", "Independent"])
def test_variance_is_decomposed(name: str) -> None:
    """(6.3) epistemic = variance of the means given w; the spread over z is aleatoric; they add up."""
    p = mixtures()[name]
    u = vmtl.decompose_uncertainty(p)
    means, variances = p.components.mean, p.components.stddev.square()
    given_w = torch.stack([means[:, m].mean(0) for m in range(M)])
    of_z = torch.stack([means[:, m].var(0, correction=0) for m in range(M)])
    torch.testing.assert_close(u.aleatoric, variances.mean((0, 1)) + of_z.mean(0))
    torch.testing.assert_close(u.epistemic, given_w.var(0, correction=0))
    torch.testing.assert_close(u.total, u.aleatoric + u.epistemic)
    torch.testing.assert_close(u.total, p.variance)


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical"])
def test_entropy_is_decomposed(name: str) -> None:
    """(6.4) total = H of the mean, aleatoric = mean over w of H, epistemic = information of w."""
    p = mixtures()[name]
    u = vmtl.decompose_uncertainty(p)
    probs = p.components.probs.mean(0)  # over z, given w
    if name == "Bernoulli":
        probs = torch.stack([1 - probs, probs], -1)

    def entropy(q):
        return -(q * q.log()).sum(-1)

    torch.testing.assert_close(u.total, entropy(probs.mean(0)))
    torch.testing.assert_close(u.aleatoric, entropy(probs).mean(0))
    information = (probs * (probs / probs.mean(0)).log()).sum(-1).mean(0)
    torch.testing.assert_close(u.epistemic, information)
    assert (u.epistemic > 0).all()


def test_no_disagreement_no_epistemic_uncertainty() -> None:
    """(6.3), (6.4) equal components: all uncertainty is aleatoric; certain labels: none at all."""
    same = vmtl.PredictiveMixture(Normal(torch.ones(2, 3, 1), 0.7))
    torch.testing.assert_close(vmtl.decompose_uncertainty(same).epistemic, torch.zeros(1))
    coin = vmtl.PredictiveMixture(Bernoulli(probs=torch.tensor([[0.0, 1.0]])[:, :, None]))
    u = vmtl.decompose_uncertainty(coin)
    torch.testing.assert_close(u.total, torch.tensor([math.log(2)]))
    torch.testing.assert_close(u.aleatoric, torch.zeros(1), atol=1e-12, rtol=0)
    sure = vmtl.PredictiveMixture(Bernoulli(logits=torch.full((2, 2, 1), 200.0)))
    assert vmtl.decompose_uncertainty(sure).total.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_what_latents_leave_open_is_aleatoric(weighted: bool) -> None:
    """(6.3), (6.4) components that differ in z alone: nothing is epistemic, and labels are open."""
    log = torch.tensor([0.2, 0.3, 0.5]).log()[:, None] if weighted else None
    share = torch.full((3,), 1 / 3) if log is None else log.exp().squeeze(-1)
    loc = torch.tensor([-1.0, 0.5, 2.0]).view(3, 1, 1)
    u = vmtl.decompose_uncertainty(vmtl.PredictiveMixture(Normal(loc, 0.5), log))
    spread = share @ (loc.flatten() - share @ loc.flatten()).square()
    torch.testing.assert_close(u.aleatoric, (0.25 + spread)[None])
    torch.testing.assert_close(u.epistemic, torch.zeros(1))
    labels = vmtl.PredictiveMixture(Bernoulli(logits=loc), log)
    u = vmtl.decompose_uncertainty(labels)
    pooled = Bernoulli(probs=share @ loc.flatten().sigmoid()).entropy()
    torch.testing.assert_close(u.aleatoric, pooled[None])
    torch.testing.assert_close(u.epistemic, torch.zeros(1), atol=1e-12, rtol=0)


def test_unequal_weights_of_latents_and_of_weights() -> None:
    """(6.3) weights of a whole grid: z averaged inside each w by its conditional weights."""
    log = torch.tensor([[0.1, 0.3, 0.0], [0.2, 0.4, 0.0]]).log()  # the last w has no weight at all
    loc = torch.tensor([[0.0, 1.0, 7.0], [3.0, -2.0, 9.0]])[..., None]
    p = vmtl.PredictiveMixture(Normal(loc, 1.0), log)
    u = vmtl.decompose_uncertainty(p)
    of_w = torch.tensor([0.3, 0.7])
    given = torch.tensor([2.0, -5 / 7])
    torch.testing.assert_close(u.epistemic, (of_w @ (given - of_w @ given).square())[None])
    torch.testing.assert_close(u.total, p.variance)


def test_rows_take_the_epistemic_part_to_zero() -> None:
    """(6.3), (6.4) z of sd .8 stays as wide while w is known ever better: w's part falls, z's stays."""
    found = []
    for rows in (20, 2_000, 200_000):
        weights = vmtl.GaussianWeights(3, (1,), initial_scale=rows**-0.5)
        with torch.no_grad():
            weights.loc.fill_(1.5)
        parts: list[Tensor] = []
        for likelihood in (vmtl.LinearGaussian(0.5), vmtl.LinearBernoulli()):
            model = a_model(weights, likelihood=likelihood, latents=WideLatents())
            p = vmtl.predictive(
                model,
                torch.ones(3, 1),
                torch.tensor([0, 1, 2]),
                weight_samples=200,
                latent_samples=200,
                generator=torch.Generator().manual_seed(0),
            )
            parts += vmtl.decompose_uncertainty(p)[1:]
        found.append(torch.stack(parts))
    aleatoric, epistemic = torch.stack(found)[:, ::2], torch.stack(found)[:, 1::2]
    assert bool((epistemic[:-1] > 50 * epistemic[1:]).all())
    assert epistemic[-1].max() < 1e-4
    torch.testing.assert_close(
        aleatoric[-1, 0], torch.full((3,), 0.25 + (0.8 * 1.5) ** 2), rtol=0.5, atol=0
    )
    torch.testing.assert_close(aleatoric[1], aleatoric[2], rtol=0.05, atol=0)


@pytest.mark.parametrize("sources", ["own", "previous"])
def test_conjugate_linear_gaussian(sources: str) -> None:
    """(6.1) posterior N(m, S): the predictive is N(x.m, x S x + sigma^2), and samples tend to it."""
    weights = scattered_weights(3, 2)
    likelihood = vmtl.LinearGaussian(0.6)
    model = a_model(weights, likelihood, sources=sources)
    x, task = torch.randn(5, 2), torch.tensor([2, 0, 1, 1, 0])
    q = model.q_weights()
    mean = (x * q.mean[task]).sum(-1).detach()
    variance = ((x.square() * q.variance[task]).sum(-1) + 0.36).detach()
    exact, y = Normal(mean, variance.sqrt()), mean + 0.5
    p = vmtl.predictive(model, x, task)
    torch.testing.assert_close(p.log_prob(y), exact.log_prob(y))
    torch.testing.assert_close(p.mean, mean)
    torch.testing.assert_close(p.variance, variance)
    sampled = a_model(weights, Same(likelihood), sources=sources)  # not one of ours
    several = [vmtl.predictive(sampled, x, task, weight_samples=1000) for _ in range(100)]
    # M draws leave out 1 / M of the variance of x.w, an exact predictive nothing
    rounding = ((variance - 0.36) / 1000).max().item()
    assert_mean(torch.stack([p.log_prob(y).exp() for p in several]), exact.log_prob(y).exp())
    assert_mean(torch.stack([p.mean for p in several]), mean)
    assert_mean(torch.stack([p.variance for p in several]), variance, rounding)


class Same(nn.Module):
    """A likelihood of the user's."""

    def __init__(self, likelihood: nn.Module):
        super().__init__()
        self.likelihood = likelihood

    def forward(self, z: Tensor, w: Tensor) -> Any:
        return self.likelihood(z, w)


class Half(nn.Module):
    """Bernoulli with the log odds halved, to tell it from the ready-made one."""

    def forward(self, z: Tensor, w: Tensor) -> Bernoulli:
        return Bernoulli(logits=0.5 * (z * w).sum(-1))


def heterogeneous(
    sources: str = "own",
) -> tuple[vmtl.PredictiveRows, Tensor, Tensor, vmtl.GaussianWeights]:
    weights = scattered_weights(3, 2, scale=1e-9)
    likelihood = [vmtl.LinearGaussian(0.6), vmtl.LinearBernoulli(), Half()]
    x, task = torch.randn(6, 2), torch.tensor([1, 0, 2, 0, 1, 2])
    p = vmtl.predictive(a_model(weights, likelihood, sources=sources), x, task, 3)
    assert isinstance(p, vmtl.PredictiveRows)
    return p, task, (x * weights.loc.detach()[task]).sum(-1), weights


@pytest.mark.parametrize("sources", ["own", "previous"])
def test_heterogeneous_rows_keep_their_order(sources: str) -> None:
    """(6.2) one likelihood for each task: every row's log_prob, mean, variance, uncertainty."""
    p, task, eta, _ = heterogeneous(sources)
    y = torch.tensor([1.0, 0.3, 0.0, -0.7, 0.0, 1.0])
    probs = torch.where(task == 1, eta, 0.5 * eta).sigmoid()
    label = torch.where(y == 1, probs, 1 - probs)
    wanted = torch.where(task == 0, Normal(eta, 0.6).log_prob(y), label.log())
    assert p.batch_shape == (6,)
    torch.testing.assert_close(p.log_prob(y), wanted)
    torch.testing.assert_close(p.mean, torch.where(task == 0, eta, probs))
    torch.testing.assert_close(p.variance, torch.where(task == 0, 0.36, probs * (1 - probs)))
    u = vmtl.decompose_uncertainty(p)
    entropy = Bernoulli(probs=probs).entropy()
    torch.testing.assert_close(u.total, torch.where(task == 0, 0.36, entropy))
    torch.testing.assert_close(u.aleatoric + u.epistemic, u.total)
    draws = p.sample((20_000,))
    assert draws.shape == (20_000, 6)
    assert_mean(draws, p.mean, 1e-7)


def test_heterogeneous_leading_sample_dimensions() -> None:
    """(6.2) values (S, N) give (S, N) log densities."""
    p, *_ = heterogeneous()
    y = torch.tensor([1.0, 0.3, 0.0, -0.7, 0.0, 1.0])
    torch.testing.assert_close(p.log_prob(y.expand(5, 6)), p.log_prob(y).expand(5, 6))


def test_heterogeneous_distribution_function() -> None:
    """(6.2) two regressions with noise scales of their own."""
    weights = scattered_weights(2, 2, scale=1e-9)
    likelihood = [vmtl.LinearGaussian(0.6), vmtl.LinearGaussian(1.7)]
    model = a_model(weights, likelihood, task_sizes=[2, 2], sources="own")
    x, task = torch.randn(4, 2), torch.tensor([1, 0, 0, 1])
    p = vmtl.predictive(model, x, task)
    exact = Normal((x * weights.loc.detach()[task]).sum(-1), torch.tensor([1.7, 0.6, 0.6, 1.7]))
    y = torch.tensor([0.0, 0.5, -0.5, 2.0])
    torch.testing.assert_close(p.cdf(y), exact.cdf(y))


def test_other_distributions_are_refused() -> None:
    """(6.3) only what `predictive` returns can be taken apart."""
    other: Any = Normal(torch.zeros(2), 1.0)
    with pytest.raises(ValueError, match="must be what"):
        vmtl.decompose_uncertainty(other)
