"""Distribution functions that torch lacks, and their inverses."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    Poisson,
    VonMises,
)

from vmtl_core._checks import require

BISECTIONS = 60


def known(dist: Distribution, what: Callable[[], Any], name: str) -> Any:
    """What a likelihood's Distribution says.

    Raises:
        ValueError: that names `likelihood`, where it says nothing.
    """
    try:
        return what()
    except NotImplementedError:
        raise ValueError(
            f"`likelihood` returns a {type(dist).__name__}, which doesn't know its {name}: use "
            "`sample`"
        ) from None


def circular(dist: Distribution) -> bool:
    """Whether y is an angle."""
    while isinstance(dist, Independent):
        dist = dist.base_dist
    return isinstance(dist, VonMises)


def refuse_classes(dist: Distribution) -> None:
    """Raise `ValueError` for classes, which have no order."""
    require(
        not isinstance(dist, Categorical),
        "`likelihood` is of classes, which have no order, so no `cdf` or `icdf`: use `probs` or "
        "`sample`",
    )


def distribution_function(dist: Distribution, value: Tensor) -> Tensor:
    """P(y <= value), with those of Bernoulli and Poisson, which torch doesn't have.

    Raises:
        ValueError: for classes, which have no order, and where the family doesn't know it.
    """
    refuse_classes(dist)
    if isinstance(dist, Bernoulli):
        below = torch.where(value < 1, 1 - dist.probs, 1.0)
        return torch.where(value < 0, 0.0, below).to(dist.probs)
    if isinstance(dist, Poisson):
        return poisson_function(value, dist.rate)
    return known(dist, lambda: dist.cdf(value), "cdf")


def poisson_function(value: Tensor, rate: Tensor) -> Tensor:
    """P(y <= value) of counts: the upper incomplete gamma function."""
    counts = value.floor().to(rate.dtype)
    inside = torch.special.gammaincc(counts.clamp_min(0) + 1, rate)
    return torch.where(counts < 0, torch.zeros_like(inside), inside)


def counted(cdf: Callable[[Tensor], Tensor], level: Tensor) -> Tensor:
    """The smallest integer y >= 0 with cdf(y) >= level, by doubling and halving."""
    low, high = torch.full_like(level, -1.0), torch.zeros_like(level)  # cdf(low) < level
    for _ in range(2 * BISECTIONS):
        short = cdf(high) < level
        if not bool(short.any()):
            break
        low, high = torch.where(short, high, low), torch.where(short, 2 * high + 1, high)
    while True:
        middle = ((low + high) / 2).floor()
        between = (middle > low) & (middle < high)
        if not bool(between.any()):
            return high
        short = cdf(middle) < level
        low = torch.where(between & short, middle, low)
        high = torch.where(between & ~short, middle, high)


def by_bisection(
    cdf: Callable[[Tensor], Tensor],
    level: Tensor,
    bracket: tuple[Tensor, Tensor] | None,
    dist: Distribution,
) -> Tensor:
    """The y with cdf(y) = level, of continuous y. Without a bracket, one is found by doubling."""
    low, high = _bracket(cdf, level, dist) if bracket is None else bracket
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        below = ~(cdf(middle) >= level)  # NaN, outside a mixture's support, is below
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return 0.5 * (low + high)


def _bracket(
    cdf: Callable[[Tensor], Tensor], level: Tensor, dist: Distribution
) -> tuple[Tensor, Tensor]:
    """Numbers below and above the quantile: the support's bounds, else ever further out."""
    support: Any = known(dist, lambda: dist.support, "support")
    require(
        not support.is_discrete,
        f"`likelihood` returns a {type(dist).__name__}, whose quantiles aren't known: use `sample`",
    )
    support = getattr(support, "base_constraint", support)  # of a mixture: its components'
    lower, upper = (getattr(support, name, None) for name in ("lower_bound", "upper_bound"))
    start = torch.zeros_like(level) if lower is None else torch.as_tensor(lower) + 0 * level
    reach = torch.ones_like(level)
    for _ in range(2 * BISECTIONS):
        low = start - reach if lower is None else start
        high = start + reach if upper is None else torch.as_tensor(upper) + 0 * level
        short = torch.zeros_like(level, dtype=torch.bool)
        if lower is None:
            short = short | (cdf(low) >= level)
        if upper is None:
            short = short | (cdf(high) < level)
        if not bool(short.any()):
            break
        reach = torch.where(short, 2 * reach, reach)
    return low, high
