"""Predictives of several likelihoods, quantiles, supports, and uncertainty at its edges."""

import math
from typing import Any

import pytest
import torch
from torch.distributions import Bernoulli, Normal, Uniform

import vmtl_core as vmtl

TASK = torch.tensor([1, 0, 0, 1, 0])
X = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)
SD = torch.tensor([1.7, 0.6, 0.6, 1.7, 0.6], dtype=torch.float64)


def two_regressions() -> tuple[Any, Normal]:
    """Noise scales of their own, posteriors as good as known: the exact predictive is Normal."""
    weights = vmtl.GaussianWeights(2, (2,), initial_scale=1e-9, covariance="diagonal")
    with torch.no_grad():
        weights.loc.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.5]]))
    likelihood = [vmtl.LinearGaussian(0.6), vmtl.LinearGaussian(1.7)]
    model = vmtl.MultiTaskELBO(likelihood, weights, task_sizes=[3, 2], sources="own")
    exact = Normal((X * weights.loc.detach()[TASK]).sum(-1), SD)
    return vmtl.predictive(model, X, TASK), exact


def test_quantiles_of_every_row() -> None:
    """(6.2) in the order of the rows; one level for all, one a row, or several for all rows."""
    p, exact = two_regressions()
    levels = torch.tensor([0.01, 0.3, 0.5, 0.9, 0.975])
    torch.testing.assert_close(p.icdf(levels), exact.icdf(levels))
    torch.testing.assert_close(p.icdf(torch.tensor(0.2)), exact.icdf(torch.full((5,), 0.2)))
    several = torch.tensor([[0.1], [0.5], [0.9]])
    torch.testing.assert_close(p.icdf(several), exact.icdf(several.expand(3, 5)))


def test_distribution_function_of_every_row() -> None:
    """(6.2) in the order of the rows, for one value a row or several."""
    p, exact = two_regressions()
    y = torch.linspace(-3, 4, 5)
    torch.testing.assert_close(p.cdf(y), exact.cdf(y))
    several = torch.stack([y, y + 1, y - 2])
    torch.testing.assert_close(p.cdf(several), exact.cdf(several))
    torch.testing.assert_close(p.log_prob(several), exact.log_prob(several))
    torch.testing.assert_close(p.cdf(torch.tensor(0.3)), exact.cdf(torch.full((5,), 0.3)))


def test_draws_of_every_row() -> None:
    """(6.2) (S, N), every row its own mean and spread."""
    p, exact = two_regressions()
    draws = p.sample((4000,))
    assert draws.shape == (4000, 5)
    torch.testing.assert_close(draws.mean(0), exact.mean, atol=0.2, rtol=0)
    torch.testing.assert_close(draws.std(0), exact.stddev, atol=0.1, rtol=0)
    assert p.sample().shape == (5,)


def test_bisection_goes_to_the_end() -> None:
    """(6.2) components far apart: the quantile is exact to the last digits, not to a fraction."""
    loc = torch.tensor([-1e3, 0.0, 5.0, 2e3])[None, :, None]
    p = vmtl.PredictiveMixture(Normal(loc, torch.full_like(loc, 0.1)))
    for level in (0.1, 0.3, 0.6, 0.9):
        y = p.icdf(torch.tensor([level]))
        torch.testing.assert_close(p.cdf(y), torch.tensor([level]), atol=1e-9, rtol=0)


def test_a_value_that_one_component_allows() -> None:
    """(6.2) a mixture's support is the union of its parts'; outside of all it is refused by row."""
    low = torch.tensor([0.0, 2.0])[None, :, None].expand(1, 2, 3)
    p = vmtl.PredictiveMixture(Uniform(low, low + 1, validate_args=False))
    inside = torch.tensor([0.5, 2.5, 0.25])
    torch.testing.assert_close(p.log_prob(inside), torch.full((3,), math.log(0.5)))
    with pytest.raises(ValueError, match=r"got \[1\.5\]"):
        p.log_prob(torch.tensor([0.5, 1.5, 2.5]))
    with pytest.raises(ValueError, match=r"got \[4\.0\]"):
        p.log_prob(torch.tensor([[0.5, 0.5, 0.5], [0.5, 4.0, 2.5]]))


def test_epistemic_uncertainty_is_not_negative() -> None:
    """(6.4) equal components: rounding must not make it less than none at all."""
    probs = torch.rand(1, 1, 4000, dtype=torch.float32).expand(3, 5, 4000)
    u = vmtl.decompose_uncertainty(vmtl.PredictiveMixture(Bernoulli(probs=probs)))
    assert u.epistemic.min() == 0
    assert u.epistemic.max() < 1e-5
    torch.testing.assert_close(u.total, u.aleatoric, atol=1e-5, rtol=0)
