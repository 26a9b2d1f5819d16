"""Tolerances of random quantities, and quadrature, shared by the tests of the core."""

from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor

FALSE_FAILURES = 1e-5
COMPARISONS = 20_000  # more than the suite holds, counting every element that is compared
# Standard errors allowed to one comparison, so that a correct suite fails with probability below
# FALSE_FAILURES on a fresh set of seeds.
K = NormalDist().inv_cdf(1 - FALSE_FAILURES / COMPARISONS / 2)


def assert_mean(draws: Tensor, expected: Tensor | float, rounding: float = 1e-12) -> None:
    """The mean of independent draws, along dimension 0, is `expected` within K standard errors."""
    mean, error = draws.mean(0), draws.std(0) / len(draws) ** 0.5
    excess = (mean - expected).abs() - K * error - rounding
    assert (excess <= 0).all(), f"mean {mean}, expected {expected}, standard error {error}"


def assert_spread(draws: Tensor, mean: Tensor | float, sd: Tensor | float) -> None:
    """Independent draws along dimension 0 lie about `mean` with standard deviation `sd`.

    `assert_mean` takes its error from the draws, so that it can't see how many samples each is the
    mean of; this does.
    """
    sd = torch.as_tensor(sd).to(draws).expand(draws.shape[1:])
    assert (sd > 0).all(), "a spread of 0 would allow any number of samples"
    assert_mean(draws, mean)
    assert_mean(((draws - mean) / sd).square(), 1.0)


def assert_frequencies(labels: Tensor, probabilities: Tensor) -> None:
    """Labels drawn independently along dimension 0 have the given probabilities (..., C)."""
    one_hot = torch.nn.functional.one_hot(labels.long(), probabilities.shape[-1])
    error = (probabilities * (1 - probabilities) / len(labels)).sqrt()
    excess = (one_hot.double().mean(0) - probabilities).abs() - K * error
    assert (excess <= 1e-12).all(), f"{one_hot.double().mean(0)}, expected {probabilities}"


def line(low: float = -30.0, high: float = 30.0, points: int = 12_001) -> tuple[Tensor, float]:
    """Equally spaced points and their spacing: sums over them are exact for smooth densities."""
    return torch.linspace(low, high, points, dtype=torch.float64), (high - low) / (points - 1)


def integral(
    function: Callable[[Tensor], Tensor], low: float = -30.0, high: float = 30.0
) -> Tensor:
    """Integral over a line of a function of points (P,) with values (P, ...)."""
    points, step = line(low, high)
    return function(points).sum(0) * step


def plane(low: float = -12.0, high: float = 12.0, points: int = 481) -> tuple[Tensor, float]:
    """Points of a square grid, (P * P, 2), and the area of a cell."""
    axis, step = line(low, high, points)
    return torch.cartesian_prod(axis, axis), step**2
