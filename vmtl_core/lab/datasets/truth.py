"""What is known of generated data."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Truth:
    """What generated a synthetic data set, in the units in which it was generated.

    Attributes:
        weights: true weight vector of every task, ``(T, D)``; there is no intercept.
        cluster: the group that each task belongs to, ``(T,)`` integers.
        between_sd: standard deviation, per coordinate, of a task's weights about its cluster's
            centre; None where the weights were set by hand.
        noise: standard deviation of the noise on ``y``; None for a classification.
    """

    weights: Tensor
    cluster: Tensor
    between_sd: float | None = None
    noise: float | None = None
