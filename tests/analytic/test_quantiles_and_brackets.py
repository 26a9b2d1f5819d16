"""Distribution functions that torch lacks, against scipy, and quantiles wherever they lie."""

from typing import Any

import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Exponential,
    Independent,
    Normal,
    Poisson,
    VonMises,
    constraints,
)

from vmtl_core import cdf
from vmtl_core.quadrature import normal_nodes, poisson_below, poisson_log_mass

LEVELS = torch.tensor([1e-6, 0.02, 0.5, 0.9, 1 - 1e-6], dtype=torch.float64)


class Supported(Distribution):
    """Knows nothing but where it lies."""

    arg_constraints: dict[str, Any] = {}

    def __init__(self, support: Any):
        self._support = support
        super().__init__(validate_args=False)

    @property
    def support(self) -> Any:
        return self._support


def quantiles(law: Any, support: Any, level: Tensor = LEVELS) -> Tensor:
    """By bisection from the support alone."""
    return cdf.by_bisection(law.cdf, level, None, Supported(support))


@pytest.mark.parametrize(
    ("loc", "scale"), [(0.0, 1.0), (1e6, 3.0), (-4e5, 1e-2), (0.3, 1e7), (1e25, 1e24)]
)
def test_on_the_whole_line(loc: float, scale: float) -> None:
    law = Normal(torch.tensor(loc), torch.tensor(scale))
    found = quantiles(law, constraints.real)
    torch.testing.assert_close(found, law.icdf(LEVELS), rtol=1e-6, atol=1e-7 * scale)


class Shifted:
    """3 + s times an exponential, or -3 minus it; its cdf."""

    def __init__(self, scale: float, sign: int):
        self.law, self.sign = Exponential(torch.tensor(1 / scale)), sign

    def cdf(self, y: Tensor) -> Tensor:
        below = self.law.cdf((self.sign * y - 3).clamp_min(0))
        return below if self.sign > 0 else 1 - below

    def icdf(self, level: Tensor) -> Tensor:
        return self.sign * (3 + self.law.icdf(level if self.sign > 0 else 1 - level))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("sign", [1, -1], ids=["above 3", "below -3"])
def test_on_half_a_line(sign: int, scale: float) -> None:
    law = Shifted(scale, sign)
    support = constraints.greater_than(3.0) if sign > 0 else constraints.less_than(-3.0)
    torch.testing.assert_close(quantiles(law, support), law.icdf(LEVELS), rtol=1e-8, atol=0)


def test_between_two_bounds() -> None:
    law = torch.distributions.Uniform(torch.tensor(2.0), torch.tensor(5.0))
    found = quantiles(law, constraints.interval(2.0, 5.0))
    torch.testing.assert_close(found, 2 + 3 * LEVELS)


def test_bounds_of_a_mixture_are_its_components() -> None:
    """Nothing is asked of a cdf outside the support, where this one is wrong."""
    parts = Exponential(torch.ones(2))
    mixture = torch.distributions.MixtureSameFamily(Categorical(torch.ones(2)), parts)

    def below(y: Tensor) -> Tensor:
        return torch.where(y < 0, torch.ones_like(y), 1 - (-y).exp())

    found = cdf.by_bisection(below, LEVELS, None, Supported(mixture.support))
    torch.testing.assert_close(found, -(-LEVELS).log1p())


def test_a_bracket_is_kept_to() -> None:
    law = Normal(torch.zeros(()), torch.ones(()))
    ends = law.icdf(LEVELS) - 3, law.icdf(LEVELS) + 1
    found = cdf.by_bisection(law.cdf, LEVELS, ends, law)
    torch.testing.assert_close(found, law.icdf(LEVELS), rtol=0, atol=1e-9)


def test_counts_are_refused_a_bracket() -> None:
    with pytest.raises(ValueError, match="quantiles aren't known"):
        quantiles(Poisson(torch.tensor(2.0)), constraints.nonnegative_integer)
    with pytest.raises(ValueError, match="doesn't know its support"):
        cdf.by_bisection(lambda y: y, LEVELS, None, Distribution(validate_args=False))


@pytest.mark.parametrize("rate", [1e-3, 0.7, 20.0, 3e4, 1e9])
def test_counted(rate: float) -> None:
    """The smallest count that reaches the level."""

    def below(y: Tensor) -> Tensor:
        return torch.as_tensor(scipy.stats.poisson.cdf(y.numpy(), rate))

    found = cdf.counted(below, LEVELS)
    assert torch.equal(found, found.floor())
    assert bool((below(found) >= LEVELS).all())
    assert bool(((below(found - 1) < LEVELS) | (found == 0)).all())
    assert bool((found >= 0).all())


def test_counted_far_out() -> None:
    """Some ninety doublings away."""
    found = cdf.counted(lambda y: 1 - (-y / 1e27).exp(), LEVELS)
    torch.testing.assert_close(found, -1e27 * (-LEVELS).log1p())


def test_poisson_function() -> None:
    y = torch.tensor([-3.0, -0.5, 0.0, 0.99, 1.0, 7.5, 40.0])
    expected = torch.as_tensor(scipy.stats.poisson.cdf(y.numpy(), 6.5))
    torch.testing.assert_close(cdf.poisson_function(y, torch.tensor(6.5)), expected)
    found = cdf.distribution_function(Poisson(torch.tensor(6.5)), torch.tensor([2, 9]))
    torch.testing.assert_close(
        found, torch.as_tensor(scipy.stats.poisson.cdf([2, 9], 6.5)), check_dtype=False
    )


def test_labels() -> None:
    law = Bernoulli(torch.tensor([0.3]))
    y = torch.tensor([-0.1, 0.0, 0.9, 1.0, 2.0])
    found = cdf.distribution_function(law, y)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.7, 0.7, 1.0, 1.0]))
    with pytest.raises(ValueError, match="no order"):
        cdf.distribution_function(Categorical(torch.ones(3)), y)


def test_angles() -> None:
    angle = VonMises(torch.zeros(2), torch.ones(2))
    assert cdf.circular(angle)
    assert cdf.circular(Independent(angle, 1))
    assert not cdf.circular(Independent(Normal(torch.zeros(2), 1.0), 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sd", [0.0, 1e-30])
def test_known_log_rates(sd: float, dtype: torch.dtype) -> None:
    """Where the log rate is known, masses and distribution function are Poisson's own."""
    y = torch.tensor([0.0, 1.0, 4.0, 30.0], dtype=dtype)
    mean, spread = torch.full_like(y, 1.2), torch.full_like(y, sd)
    law = Poisson(mean.exp())
    mass = poisson_log_mass(y, mean, spread)
    torch.testing.assert_close(mass, law.log_prob(y), rtol=1e-4, atol=1e-4)
    expected = cdf.poisson_function(y, mean.exp())
    torch.testing.assert_close(poisson_below(y, mean, spread), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("y", [0.0, 3.0, 200.0])
def test_masses_add_up_to_the_distribution_function(y: float) -> None:
    """Where the narrower of the two factors changes over, and on both sides."""
    for share in (0.3, 0.99, 1.01, 4.0):
        sd = torch.tensor((share / (y + 1)) ** 0.5)
        mean = torch.tensor(y + 1.0).log() + torch.tensor([-2.0, 0.0, 1.5]) * sd
        counts = torch.arange(y + 1.0)[:, None]
        total = poisson_log_mass(counts, mean, sd).exp().sum(0)
        below = poisson_below(torch.tensor(y), mean, sd)
        torch.testing.assert_close(below, total, rtol=0, atol=3e-7)
        again = poisson_below(torch.tensor(y + 0.8), mean, sd)
        assert torch.equal(below, again)
    assert float(poisson_below(torch.tensor(-1.0), torch.zeros(()), torch.ones(()))) == 0.0


def test_nodes_of_a_normal() -> None:
    """Even moments to the twelfth; closer together for wide predictors, at most FINEST of them."""
    for spread, least, most in ((0.0, 13, 15), (3.0, 37, 37), (40.0, 401, 401)):
        nodes, log_weights = normal_nodes(torch.tensor([spread, spread / 2]))
        assert least <= len(nodes) <= most
        assert float(log_weights.logsumexp(0)) == pytest.approx(0.0, abs=1e-12)
        assert float(nodes.max()) == -float(nodes.min()) == 6.0
        weights = log_weights.exp()
        for power, value in ((1, 0.0), (2, 1.0), (4, 3.0)):
            found = float(weights @ nodes**power)
            assert found == pytest.approx(value, abs=1e-4)
