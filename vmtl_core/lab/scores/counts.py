"""Error and calibration of predictions of counts, whose cdf has steps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vmtl_core.lab.scores.intervals import check_level


def count_coverage(distribution: Distribution, y: Tensor, level: float = 0.9) -> Tensor:
    """Share of held-out counts inside their central predictive interval; ``level`` is ideal.

    As (6.5), but the cdf of counts jumps from F(y - 1) to F(y) at a count, which is inside by the
    share of that jump that lies between (1 - level)/2 and (1 + level)/2.  So a predictive that is
    right is inside with probability ``level`` exactly, as a continuous one is.

    Args:
        distribution: of counts 0, 1, ..., with a ``log_prob``, of batch shape ``(N,)``.
        y: held-out counts, ``(N,)``.
        level: between 0 and 1.

    Raises:
        ValueError: if ``level`` is out of range, the batch shape is not that of ``y``, or ``y``
            holds anything but counts.

    References:
        C. Czado, T. Gneiting and L. Held, *Predictive model assessment for count data*, 2009.

    >>> rate = torch.tensor([1.0, 1.0, 1.0])
    >>> count_coverage(torch.distributions.Poisson(rate), torch.tensor([0.0, 1.0, 9.0]))
    tensor(0.6214)
    """
    check_level(level)
    _check(distribution, y)
    below = torch.zeros_like(y)
    for count in range(int(y.max())):
        each = distribution.log_prob(torch.full_like(y, count)).exp()
        below = below + torch.where(y > count, each, 0.0)
    jump = distribution.log_prob(y).exp()
    low, high = (1 - level) / 2, (1 + level) / 2
    inside = (below + jump).clamp(low, high) - below.clamp(low, high)
    # A count that was all but impossible is outside, wherever its jump lies.
    return torch.where(jump > 0, inside / jump.clamp_min(1e-30), 0.0).mean()


def count_error(distribution: Distribution, y: Tensor) -> Tensor:
    """Mean absolute error of the predictive medians over that of one median for all rows.

    To be minimised; always predicting the median of ``y`` scores 1.  The median in the place of the
    mean, because a rate whose logarithm is known to a unit or two has a mean far above all its
    likely values.

    Args and Raises as :func:`count_coverage`, and ValueError if ``y`` does not vary.  A median
    beyond twice the largest count is taken to be there.

    >>> count_error(torch.distributions.Poisson(torch.tensor([1.0, 3.0])), torch.tensor([1.0, 4.0]))
    tensor(0.3333)
    """
    _check(distribution, y)
    deviation = (y - y.median()).abs().mean()
    if not deviation > 0:
        raise ValueError(f"`y` must hold at least two different values; got {len(y)} equal ones")
    median, below = torch.zeros_like(y), torch.zeros_like(y)
    for count in range(2 * int(y.max())):
        below = below + distribution.log_prob(torch.full_like(y, count)).exp()
        median = median + (below < 0.5)
        if (below >= 0.5).all():
            break
    return (y - median).abs().mean() / deviation


def _check(distribution: Distribution, y: Tensor) -> None:
    if distribution.batch_shape != y.shape:
        found = f"{tuple(distribution.batch_shape)} for y {tuple(y.shape)}"
        raise ValueError(f"`distribution` must have the batch shape of `y`; got {found}")
    if not len(y) or (y < 0).any() or (y != y.round()).any():
        raise ValueError(f"`y` must hold counts 0, 1, ...; got {y.unique()[:5].tolist()}")
