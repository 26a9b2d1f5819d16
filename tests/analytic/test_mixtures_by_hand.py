"""Predictive mixtures made by hand: which component a row draws, ties of quantiles, whole variances."""

from typing import Any

import pytest
import torch
from torch import Size
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    MultivariateNormal,
    Normal,
    Poisson,
    VonMises,
)

import vmtl_core as vmtl
from tests.stats import assert_frequencies
from vmtl_core import mixtures
from vmtl_core.answers import as_values, levels
from vmtl_core.exact import PoissonPredictive


def labelled(grid: tuple[int, int] = (2, 3), rows: int = 4000) -> Normal:
    """Component (l, m) lies at 3 l + m."""
    loc = torch.arange(6.0)[: grid[0] * grid[1]].view(*grid, 1).expand(-1, -1, rows)
    return Normal(loc, 1e-6)


@pytest.mark.parametrize("weights", [None, [0.1, 0.2, 0.3, 0.05, 0.3, 0.05]])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_rows_draw_their_component(
    weights: list[float] | None, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any of the L M with its weight, one for each row and draw; also in many pieces."""
    monkeypatch.setattr(mixtures, "NUMBERS", 60_000)  # two draws of 6 x 4,000 at once
    log = None if weights is None else torch.tensor(weights).log().view(2, 3)
    p = vmtl.PredictiveMixture(labelled(), log)
    draws = p.sample(shape)
    assert draws.shape == (*shape, 4000)
    found = draws.round().long().reshape(-1, 4000)
    share = torch.full((6,), 1 / 6) if weights is None else torch.tensor(weights)
    assert_frequencies(found.flatten(), share)
    if len(found) > 1:
        assert float((found[0] == found[1]).double().mean()) < 0.5


def test_vectors_stay_together() -> None:
    """All entries of a y are of one component."""
    loc = torch.arange(4.0).view(2, 2, 1, 1).expand(2, 2, 50, 3)
    p = vmtl.PredictiveMixture(Independent(Normal(loc, 1e-6), 1))
    draws = p.sample((7,)).round()
    assert draws.shape == (7, 50, 3)
    assert bool((draws == draws[..., :1]).all())
    assert len(draws.unique()) == 4


def test_quantiles_of_labels_at_the_step() -> None:
    """The smallest y with cdf(y) >= level: 0 where P(0) is the level itself."""
    p = vmtl.PredictiveMixture(Bernoulli(torch.tensor([0.25, 0.5]).view(1, 1, 2)))
    assert p.icdf(torch.tensor(0.75)).tolist() == [0.0, 1.0]
    assert p.icdf(torch.tensor(0.7500001)).tolist() == [1.0, 1.0]
    assert p.icdf(torch.tensor([[0.5, 0.5], [0.8, 0.1]])).tolist() == [[0.0, 0.0], [1.0, 0.0]]
    assert p.icdf(0.75).dtype == torch.get_default_dtype()  # type: ignore[arg-type]


def test_variance_of_counts_by_their_masses() -> None:
    """(6.3) of a Poisson with log-normal rate: the sum over all counts."""
    mean, spread = torch.tensor([[0.3, 1.0], [0.8, -0.4]]), torch.tensor([[0.5, 0.2], [0.3, 0.6]])
    p = PoissonPredictive(mean, spread, torch.tensor([0.25, 0.75]).log())
    counts = torch.arange(400.0)[:, None].expand(-1, 2)
    mass = p.log_prob(counts).exp()
    first = (mass * counts).sum(0)
    variance = (mass * (counts - first).square()).sum(0)
    torch.testing.assert_close(p.mean, first, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(p.variance, variance, rtol=1e-6, atol=1e-6)
    u = p.uncertainty()
    torch.testing.assert_close(u.total, u.aleatoric + u.epistemic)
    assert bool((u.epistemic > 0.1).all())
    assert p.like is mean
    assert p._independent(Size((5, 2))).shape == (5, 2, 2)


def test_classes_weighted() -> None:
    """(6.4) probabilities and entropies are averages with the weights given."""
    logits = torch.randn(1, 2, 5, 3)
    p = vmtl.PredictiveMixture(Categorical(logits=logits), torch.tensor([[0.2, 0.8]]).log())
    probs = logits.softmax(-1)
    mean = 0.2 * probs[0, 0] + 0.8 * probs[0, 1]
    torch.testing.assert_close(p.probs, mean)
    torch.testing.assert_close(p.mean, mean)
    torch.testing.assert_close(p.variance, mean - mean.square())
    u = p.uncertainty()
    entropy = -(probs * probs.log()).sum(-1)
    torch.testing.assert_close(u.aleatoric, 0.2 * entropy[0, 0] + 0.8 * entropy[0, 1])
    torch.testing.assert_close(u.total, -(mean * mean.log()).sum(-1))
    for method in (p.cdf, p.icdf):
        with pytest.raises(ValueError, match="no order"):
            method(torch.full((5,), 0.5))


def test_quantiles_of_mixed_normals_and_counts() -> None:
    """The weighted distribution function is at the level, row by row, with leading dimensions."""
    loc, scale = 5 * torch.randn(2, 3, 4), torch.rand(2, 3, 4) + 0.1
    log = torch.rand(6).log_softmax(0).view(2, 3)
    p = vmtl.PredictiveMixture(Normal(loc, scale), log)
    level = torch.tensor([[0.1, 0.5, 0.9, 0.99], [0.2, 0.3, 0.4, 0.01]])
    y = p.icdf(level)
    each = Normal(loc, scale).cdf(y[:, None, None])
    torch.testing.assert_close((each * log.exp()[..., None]).sum((1, 2)), level)
    torch.testing.assert_close(p.cdf(y), level)
    counts = vmtl.PredictiveMixture(Poisson(5 * torch.rand(2, 3, 4)), log)
    found = counts.icdf(level)
    assert bool((counts.cdf(found) >= level).all())
    assert bool((counts.cdf(found - 1) < level).all())


def test_moments_that_are_not_known() -> None:
    angles = vmtl.PredictiveMixture(VonMises(torch.zeros(1, 1, 2), torch.ones(1, 1, 2)))
    for name in ("mean", "variance"):
        with pytest.raises(ValueError, match=f"angles, whose {name}"):
            getattr(angles, name)
    numbers = vmtl.PredictiveMixture(Normal(torch.zeros(1, 1, 2), 1.0))
    with pytest.raises(AttributeError, match="a mixture of Normal"):
        numbers.probs  # noqa: B018
    with pytest.raises(AttributeError, match="PoissonPredictive"):
        PoissonPredictive(torch.zeros(1, 2), torch.ones(1, 2), torch.zeros(1)).probs  # noqa: B018


def test_correlated_vectors() -> None:
    """A density of vectors is averaged over the components, for leading dimensions too."""
    factor = torch.tensor([[1.0, 0.0], [0.7, 0.5]])
    loc = torch.randn(2, 2, 3, 2)
    law = MultivariateNormal(loc, scale_tril=factor)
    p: Any = vmtl.PredictiveMixture(law)
    y = torch.randn(5, 3, 2)
    wanted = law.log_prob(y[:, None, None]).exp().mean((1, 2)).log()
    torch.testing.assert_close(p.log_prob(y), wanted)
    assert p.support is law.support
    assert not p.has_rsample


def test_values_as_they_come() -> None:
    """Integers as numbers of the predictive's dtype; levels of rows and of all."""
    p = vmtl.PredictiveMixture(Normal(torch.zeros(1, 1, 3), 1.0))
    found = as_values(torch.tensor([[1], [2]]), p)
    assert found.dtype == torch.get_default_dtype()
    assert found.tolist() == [[1.0] * 3, [2.0] * 3]
    kept = torch.zeros(3, dtype=torch.float32)
    assert as_values(kept, p).dtype == torch.float32
    assert levels(0.25, p).tolist() == [0.25] * 3
    assert levels(torch.tensor(0.25, dtype=torch.float32), p).dtype == torch.get_default_dtype()
    for wrong in (0.0, 1.0, float("nan"), -0.1, 1.1):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            levels(wrong, p)
    with pytest.raises(ValueError, match=r"got \(4,\)"):
        as_values(torch.zeros(4), p)
    with pytest.raises(ValueError, match="got float"):
        as_values(3.0, p)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a column"):
        p.log_prob(torch.zeros(3, 1))
    one = vmtl.PredictiveMixture(Normal(torch.zeros(1, 1, 1), 1.0))
    assert one.log_prob(torch.zeros(1, 1)).shape == (1, 1)
    assert p.log_prob(torch.zeros(2, 1)).shape == (2, 3)
