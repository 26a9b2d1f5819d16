"""`torch.compile` switches torch's validation of Distributions off for good; the core's checks stay."""

from collections.abc import Iterator

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Distribution, Gamma, Independent, StudentT

import vmtl_core as vmtl


@pytest.fixture(autouse=True)
def _switched_off() -> Iterator[None]:
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    yield
    Distribution.set_default_validate_args(before)


def test_draws_outside_the_support_are_refused() -> None:
    """Not the -0.4 that Bernoulli's formula gives for a label of 2."""
    labels, truth = Categorical(torch.ones(2, 3)), Bernoulli(torch.ones(3) / 2)
    with pytest.raises(ValueError, match=r"every draw of `q`.*Boolean"):
        vmtl.pairwise_kl(labels, truth)
    wide = Independent(StudentT(torch.full((2, 1), 3.0)), 1)
    with pytest.raises(ValueError, match=r"every draw of `q`.*GreaterThan"):
        vmtl.pairwise_kl(wide, Independent(Gamma(torch.ones(2, 1), 1.0), 1))


def test_draws_inside_it_are_not() -> None:
    """KL of an exponential to a log-normal, from other draws than the core's."""
    q, p = Gamma(torch.ones(1), 2.0), torch.distributions.LogNormal(torch.zeros(1), 1.0)
    found = vmtl.pairwise_kl(q, p, samples=20_000)
    draws = q.sample((20_000,))
    expected = (q.log_prob(draws) - p.log_prob(draws)).mean()
    assert float(found) == pytest.approx(float(expected), abs=0.05)


def test_nan_travels_through() -> None:
    q = Gamma(torch.tensor([float("nan")]), torch.ones(1))
    p = torch.distributions.LogNormal(torch.zeros(1), 1.0)
    assert bool(vmtl.pairwise_kl(q, p, samples=3).isnan().all())
