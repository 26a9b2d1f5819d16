"""Scores of counts: answers known by hand, each wrong for a likely slip."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Poisson

from vmtl_core.lab.scores import count_coverage, count_error


def rates(count: int, seed: int = 0) -> torch.Tensor:
    return 4 * torch.rand(count, generator=torch.Generator().manual_seed(seed)) + 0.2


def test_coverage_of_true_counts_is_the_level() -> None:
    """Exactly the level, where counting whole counts inside the interval gives more."""
    rate = rates(20_000).double()
    y = torch.poisson(rate, generator=torch.Generator().manual_seed(1))
    for level in (0.5, 0.9):
        error = math.sqrt(level * (1 - level) / len(y))
        found = count_coverage(Poisson(rate), y, level).item()
        assert abs(found - level) < 4.5 * error
    cdf = torch.special.gammaincc(y + 1, rate)
    below = cdf - Poisson(rate).log_prob(y).exp()
    whole = ((cdf >= 0.05) & (below <= 0.95)).double().mean().item()  # from quantile to quantile
    assert whole > 0.9 + 4.5 * math.sqrt(0.09 / len(y))


def test_coverage_of_a_count_is_the_share_of_its_jump_inside() -> None:
    zero, one = math.exp(-1), math.exp(-1)  # probabilities of 0 and 1 at rate 1
    y, distribution = torch.tensor([0.0, 3.0]), Poisson(torch.ones(2))
    below = zero + one + one / 2
    inside = [(zero - 0.05) / zero, (0.95 - below) / (one / 6)]
    assert count_coverage(distribution, y).item() == pytest.approx(sum(inside) / 2, rel=1e-4)
    far = torch.tensor([60.0, 60.0])
    assert count_coverage(distribution, far).item() == 0


def test_coverage_of_a_mixture_is_by_its_own_cdf() -> None:
    rate = torch.tensor([[1.0, 12.0]]).double().expand(4, 2)
    mixture = MixtureSameFamily(Categorical(torch.ones(4, 2)), Poisson(rate))
    y = torch.tensor([0.0, 5.0, 12.0, 25.0]).double()
    cdf = torch.special.gammaincc(y[:, None] + 1, rate).mean(1)
    below = cdf - mixture.log_prob(y).exp()
    wanted = ((cdf.clamp(0.05, 0.95) - below.clamp(0.05, 0.95)) / (cdf - below)).mean()
    assert count_coverage(mixture, y).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_error_is_that_of_medians() -> None:
    rate = rates(500).double()
    y = torch.poisson(rate, generator=torch.Generator().manual_seed(2))
    counts = torch.arange(60).double()
    cdf = torch.special.gammaincc(counts + 1, rate[:, None])
    median = (cdf < 0.5).sum(1)
    wanted = (y - median).abs().mean() / (y - y.median()).abs().mean()
    assert count_error(Poisson(rate), y).item() == pytest.approx(wanted.item())
    assert abs(wanted.item() - (y - rate).abs().mean() / (y - y.median()).abs().mean()) > 1e-3
    constant = Poisson(torch.full_like(y, 2.3))  # whose median is 2, as that of y
    assert y.median() == 2
    assert count_error(constant, y).item() == pytest.approx(1)


def test_a_median_beyond_all_counts_is_cut_off() -> None:
    y = torch.tensor([0.0, 2.0, 5.0])
    assert count_error(Poisson(torch.full((3,), 1e4)), y).item() == pytest.approx(23 / 5)


ONES = Poisson(torch.ones(2))
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "level": (lambda: count_coverage(ONES, torch.ones(2), 1.0), r"`level` .* 1.0"),
    "shape": (
        lambda: count_coverage(ONES, torch.ones(3)),
        r"`distribution` .* \(2,\) for y \(3,\)",
    ),
    "half": (
        lambda: count_coverage(ONES, torch.tensor([1.0, 0.5])),
        r"`y` must hold counts.* got \[0.5, 1",
    ),
    "negative": (lambda: count_error(ONES, torch.tensor([1.0, -1.0])), r"`y` .* \[-1.0, 1.0\]"),
    "none": (lambda: count_error(Poisson(torch.ones(0)), torch.ones(0)), r"`y` .* got \[\]"),
    "constant": (lambda: count_error(ONES, torch.ones(2)), r"two different values; got 2 equal"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
