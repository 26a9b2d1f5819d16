"""Likelihoods of any family, labels as they come, and modules in evaluation mode."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gamma,
    Independent,
    MixtureSameFamily,
    Multinomial,
    Normal,
    Poisson,
    TransformedDistribution,
    VonMises,
)
from torch.distributions.transforms import ExpTransform

import vmtl_core as vmtl
from tests.analytic.test_elbo import a_model, scattered_weights
from tests.stats import assert_frequencies, assert_mean

X = torch.tensor([[1.0, 0.5], [-0.3, 2.0], [0.4, 0.4]], dtype=torch.float64)
TASK = torch.tensor([0, 2, 1])


def score(z: Tensor, w: Tensor) -> Tensor:
    return (z * w).sum(-1)


def ask(make: Callable[[Tensor], Distribution], **options: Any) -> Any:
    """The sampled predictive of a function of z'w."""
    likelihood = lambda z, w: make(score(z, w))  # noqa: E731
    return vmtl.predictive(a_model(scattered_weights(3, 2), likelihood), X, TASK, 8, **options)


def two_bells(eta: Tensor) -> MixtureSameFamily:
    means = torch.stack([eta - 2, eta + 2], -1)
    return MixtureSameFamily(Categorical(torch.ones_like(means)), Normal(means, 0.5))


def skewed(eta: Tensor) -> TransformedDistribution:
    return TransformedDistribution(Normal(eta, 0.5), [ExpTransform()])


def ten(eta: Tensor) -> Multinomial:
    return Multinomial(10, logits=torch.stack([eta, 0 * eta, -eta], -1))


def angles(eta: Tensor) -> VonMises:
    return VonMises(eta, 4.0 * torch.ones_like(eta))


def test_multinomial() -> None:
    """(6.2) draws keep the number of trials, which is no parameter tensor."""
    p = ask(ten)
    draws = p.sample((5_000,))
    assert draws.shape == (5_000, 3, 3)
    assert torch.equal(draws.sum(-1), torch.full((5_000, 3), 10.0))
    assert_mean(draws, p.mean)
    assert_mean((draws - p.mean).square(), p.variance)
    by_hand = vmtl.PredictiveMixture(p.components).sample((5_000,))
    assert torch.equal(by_hand.sum(-1), torch.full((5_000, 3), 10.0))
    assert_mean(by_hand, p.mean)
    assert p.log_prob(draws[0]).isfinite().all()


def test_mixture_as_likelihood() -> None:
    """(6.2) its quantiles, which torch lacks, are found from its distribution function."""
    p = ask(two_bells)
    draws = p.sample((20_000,))
    assert_mean(draws, p.mean)
    assert_mean((draws - p.mean).square(), p.variance)
    levels = torch.tensor([0.001, 0.3, 0.99])[:, None].expand(3, 3)
    torch.testing.assert_close(p.cdf(p.icdf(levels)), levels)
    u = vmtl.decompose_uncertainty(p)
    torch.testing.assert_close(u.total, p.variance)


def test_positive_numbers() -> None:
    """(6.2) quantiles within a bounded support, at which the distribution function ends."""
    p = ask(lambda eta: Gamma(2.0 * torch.ones_like(eta), eta.exp()))
    levels = torch.tensor([1e-4, 0.5, 0.999])[:, None].expand(3, 3)
    torch.testing.assert_close(p.cdf(p.icdf(levels)), levels)


def test_transformed() -> None:
    """(6.2) densities, draws and quantiles; moments it doesn't know are refused by name."""
    p = ask(skewed)
    y = torch.tensor([0.5, 2.0, 1.0])
    each = p.components.log_prob(y)[0]
    torch.testing.assert_close(p.log_prob(y), each.exp().mean(0).log())
    assert_mean((p.sample((20_000,)) < y).double(), p.cdf(y))
    torch.testing.assert_close(p.cdf(p.icdf(torch.tensor(0.2))), torch.full((3,), 0.2))
    for ask_for in (lambda: p.mean, lambda: p.variance, lambda: vmtl.decompose_uncertainty(p)):
        with pytest.raises(ValueError, match=r"`likelihood`.*TransformedDistribution.*sample"):
            ask_for()


def test_angles() -> None:
    """(6.2) densities and draws; no mean on a line, no distribution function."""
    p = ask(angles)
    y = torch.tensor([0.5, -3.0, 1.0])
    torch.testing.assert_close(p.log_prob(y).exp(), p.components.log_prob(y)[0].exp().mean(0))
    sines = p.components.loc.sin()[0].mean(0) * 0.8635  # I_1(4) / I_0(4)
    assert_mean(p.sample((20_000,)).sin(), sines, 1e-3)
    for ask_for in (
        lambda: p.mean,
        lambda: p.variance,
        lambda: vmtl.decompose_uncertainty(p),
        lambda: p.cdf(y),
        lambda: p.icdf(torch.tensor(0.5)),
    ):
        with pytest.raises(ValueError, match="`likelihood`"):
            ask_for()


@pytest.mark.parametrize("sampled", [False, True])
def test_quantiles_of_counts(sampled: bool) -> None:
    """(6.2) the smallest count with at least the level below it or at it."""
    if sampled:
        p = ask(lambda eta: Poisson((0.3 * eta).exp()))
        assert isinstance(p, vmtl.PredictiveMixture)
    else:
        model = a_model(scattered_weights(3, 2), vmtl.LinearPoisson(), sources="own")
        p = vmtl.predictive(model, 0.3 * X, TASK)
    mass = p.log_prob(torch.arange(3000.0)[:, None].expand(-1, 3)).exp()
    torch.testing.assert_close(
        p.cdf(torch.arange(5.0)[:, None]), mass.cumsum(0)[:5], atol=1e-6, rtol=0
    )
    for level in (0.01, 0.5, 0.95):
        wanted = (mass.cumsum(0) < level).sum(0).double()
        assert torch.equal(p.icdf(torch.tensor(level)), wanted)


def test_quantiles_of_labels() -> None:
    """(6.2) 0 up to P(y = 0), then 1; classes have no order."""
    p = vmtl.predictive(a_model(scattered_weights(3, 2), vmtl.LinearBernoulli()), X, TASK)
    zero = 1 - p.probs  # type: ignore[attr-defined]
    for level, wanted in ((0.999 * zero, 0.0), (zero + 1e-3, 1.0)):
        assert torch.equal(p.icdf(level), torch.full((3,), wanted))
    torch.testing.assert_close(
        p.cdf(torch.tensor([-0.5, 0.0, 1.0])), torch.stack([0 * zero[0], zero[1], 1 + 0 * zero[2]])
    )
    classes = a_model(scattered_weights(3, 2, 3), vmtl.LinearCategorical())
    for method in ("cdf", "icdf"):
        with pytest.raises(ValueError, match=r"`likelihood`.*classes.*`probs` or `sample`"):
            getattr(vmtl.predictive(classes, X, TASK), method)(torch.full((3,), 0.5))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8, torch.float32])
def test_labels_as_they_come(dtype: torch.dtype) -> None:
    """(6.2) as `fit` takes them."""
    y = torch.tensor([1, 0, 1])
    for likelihood, event in ((vmtl.LinearBernoulli(), ()), (vmtl.LinearCategorical(), (3,))):
        p = vmtl.predictive(a_model(scattered_weights(3, 2, *event), likelihood), X, TASK)
        torch.testing.assert_close(p.log_prob(y.to(dtype)), p.log_prob(y.double()))
    kinds = [vmtl.LinearBernoulli(), vmtl.LinearGaussian(), vmtl.LinearBernoulli()]
    p = vmtl.predictive(a_model(scattered_weights(3, 2), kinds), X, TASK)
    torch.testing.assert_close(p.log_prob(y.to(dtype)), p.log_prob(y.double()))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.uint8, torch.int32])
def test_small_integers_as_ids(dtype: torch.dtype) -> None:
    """(6.2) uint8 is no mask."""
    likelihood = lambda z, w: Normal(score(z, w), 0.5)  # noqa: E731
    for kind in (vmtl.LinearGaussian(), likelihood, [likelihood] * 3):
        model = a_model(scattered_weights(3, 2, scale=1e-9), kind)
        found = vmtl.predictive(model, X, TASK.to(dtype)).mean
        torch.testing.assert_close(found, vmtl.predictive(model, X, TASK).mean)


@pytest.mark.parametrize("kinds", [False, True])
def test_column_of_targets_is_refused(kinds: bool) -> None:
    """(N, 1) would be compared with every row, (N, N)."""
    one = vmtl.LinearGaussian()
    likelihood = [one, vmtl.LinearBernoulli(), one] if kinds else one
    p = vmtl.predictive(a_model(scattered_weights(3, 2), likelihood), X, TASK)
    for method in (p.log_prob, p.cdf):
        with pytest.raises(ValueError, match=r"`value`.*3 rows.*column, \(3, 1\)"):
            method(torch.zeros(3, 1))
        assert method(torch.zeros(5, 1)).shape == (5, 3)
        single = vmtl.predictive(a_model(scattered_weights(3, 2), one), X[:1], TASK[:1])
    assert single.log_prob(torch.zeros(1, 1)).shape == (1, 1)
    columns = vmtl.predictive(a_model(scattered_weights(3, 2, 1), one), X, TASK)
    assert columns.log_prob(torch.zeros(3, 1)).shape == (3,)


def test_expand_is_refused() -> None:
    """`log_prob` does what it is for."""
    p = vmtl.predictive(a_model(scattered_weights(3, 2)), X, TASK)
    with pytest.raises(ValueError, match=r"`batch_shape`.*\(3,\).*\(5, 3\)"):
        p.expand((5, 3))


class Encoder(nn.Module):
    """An encoder of the user's, whose rows depend on each other while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(2), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Distribution:
        h = self.drop(self.norm(x)).expand(3, -1, -1)
        return Independent(Normal(h, 1e-6), 1)


@pytest.mark.parametrize("training", [True, False])
def test_modules_run_in_evaluation_mode(training: bool) -> None:
    """(6.2) a row doesn't depend on its neighbours, nothing is updated, modes are put back."""
    encoder = Encoder()
    model = a_model(scattered_weights(3, 2, scale=1e-9), latents=encoder)
    model.train(training)
    encoder.drop.train(not training)
    before = encoder.norm.running_mean.clone()  # type: ignore[union-attr]
    p, one = vmtl.predictive(model, X, TASK), vmtl.predictive(model, X[:1], TASK[:1])
    torch.testing.assert_close(p.mean[:1], one.mean, atol=1e-4, rtol=0)
    p.sample((2,))
    assert torch.equal(encoder.norm.running_mean, before)  # type: ignore[arg-type]
    assert model.training is encoder.norm.training is training
    assert encoder.drop.training is not training


def test_modes_are_put_back_after_an_error() -> None:
    """Even where the encoder refuses."""
    model = a_model(scattered_weights(3, 2), latents=Encoder())
    with pytest.raises(RuntimeError):
        vmtl.predictive(model, torch.zeros(3, 5), TASK)
    assert all(module.training for module in model.modules())


def test_weights_of_the_components() -> None:
    """(6.2) unequal weights, in every method."""
    weights = torch.tensor([[0.1, 0.6, 0.3]])
    probs = torch.tensor([0.2, 0.9, 0.5]).view(1, 3, 1)
    p = vmtl.PredictiveMixture(Bernoulli(probs), weights.log())
    wanted = 0.1 * 0.2 + 0.6 * 0.9 + 0.3 * 0.5
    assert p.probs.item() == pytest.approx(wanted)
    assert p.log_prob(torch.ones(1)).exp().item() == pytest.approx(wanted)
    assert_frequencies(p.sample((20_000,)), torch.tensor([[1 - wanted, wanted]]))
    entropies = Bernoulli(probs).entropy().flatten()
    u = vmtl.decompose_uncertainty(p)
    assert u.aleatoric.item() == pytest.approx(float(weights.flatten() @ entropies))
    bells = vmtl.PredictiveMixture(Normal(probs, 0.1), weights.log())
    assert bells.mean.item() == pytest.approx(wanted)
    assert bells.cdf(torch.tensor([0.5])).item() == pytest.approx(
        float(weights.flatten() @ Normal(probs.flatten(), 0.1).cdf(torch.tensor(0.5)))
    )
    assert bells.variance.item() == pytest.approx(
        0.01 + 0.1 * 0.04 + 0.6 * 0.81 + 0.3 * 0.25 - wanted**2
    )
    assert math.isclose(bells.cdf(bells.icdf(torch.tensor(0.3))).item(), 0.3, rel_tol=1e-9)


def test_components_of_another_shape() -> None:
    """Three batch dimensions, and a weight for each pair."""
    with pytest.raises(ValueError, match=r"`components`.*\(L, M, N\).*\(3,\)"):
        vmtl.PredictiveMixture(Normal(torch.zeros(3), 1.0))
    with pytest.raises(ValueError, match=r"`log_weights`.*\(2, 3\).*\(3,\)"):
        vmtl.PredictiveMixture(Normal(torch.zeros(2, 3, 4), 1.0), torch.zeros(3))
