"""How sure a mean over repetitions is."""

from __future__ import annotations

from typing import NamedTuple

from scipy import stats
from torch import Tensor


class Interval(NamedTuple):
    """A mean with its uncertainty."""

    mean: float
    standard_error: float
    low: float
    high: float


def mean_and_interval(values: Tensor, level: float = 0.95) -> Interval:
    """Mean of independent repetitions (seeds, say), its standard error and Student interval.

    Args:
        values: one score per repetition, ``(R,)``, R at least 2.
        level: probability that the interval covers the true mean, for normal scores.

    Returns:
        ``mean``, ``standard_error`` = sd / sqrt(R) with divisor R - 1 in sd, ``low``, ``high``.

    Raises:
        ValueError: if there are fewer than two values or ``level`` is out of range.

    >>> import torch
    >>> low, high = mean_and_interval(torch.tensor([1.0, 2.0, 3.0]))[2:]
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    check_level(level)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"`values` must have shape (R,), R at least 2; got {tuple(values.shape)}")
    values = values.double()
    mean, error = values.mean().item(), values.std().item() / len(values) ** 0.5
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * error
    return Interval(mean, error, mean - half, mean + half)


def paired_difference(first: Tensor, second: Tensor, level: float = 0.95) -> Interval:
    """Mean of ``first - second`` over repetitions that both methods shared, with its interval.

    Pairing removes what the repetitions have in common (a hard split, say), so that the interval
    is usually much narrower than those of the two methods apart.

    Args:
        first: one score per repetition, ``(R,)``.
        second: the other method's, on the same repetitions in the same order, ``(R,)``.
        level: as in :func:`mean_and_interval`.

    Raises:
        ValueError: if the shapes differ or there are fewer than two repetitions.

    >>> import torch
    >>> paired_difference(torch.tensor([1.0, 5.0]), torch.tensor([0.5, 4.5])).high
    0.5
    """
    if first.shape != second.shape:
        found = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise ValueError(f"`first` must have the shape of `second`; got {found}")
    return mean_and_interval(first.double() - second.double(), level)


def check_level(level: float) -> None:
    """Raise a ValueError unless ``level`` is a probability between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"`level` must be between 0 and 1; got {level}")
