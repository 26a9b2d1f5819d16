"""Scores of predictions on held-out data.

A *distribution* below is any ``torch.distributions.Distribution`` of batch shape ``(N,)``: one
Gaussian a row, a mixture, a categorical.  All functions return 0-dimensional tensors or named
tuples of floats.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vmtl_core.lab.scores.intervals import (
    Interval,
    check_level,
    mean_and_interval,
    paired_difference,
)

__all__ = [
    "Interval",
    "accuracy",
    "brier",
    "coverage",
    "expected_calibration_error",
    "log_score",
    "mean_and_interval",
    "nmse",
    "paired_difference",
]


def nmse(prediction: Tensor, y: Tensor) -> Tensor:
    """Normalised mean squared error, mean (y - prediction)^2 / var y; to be minimised.

    The variance is that of the ``y`` given, with divisor N: always predicting their mean scores 1.

    Args:
        prediction: ``(N,)``, in the units of ``y``.
        y: held-out targets, ``(N,)``.

    Raises:
        ValueError: if the shapes differ or ``y`` does not vary.

    >>> nmse(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 6.0]))
    tensor(0.6429)
    """
    _same_shape("prediction", prediction, y)
    variance = y.var(correction=0)
    if not variance > 0:
        raise ValueError(f"`y` must hold at least two different values; got {y.numel()} equal ones")
    return (y - prediction).square().mean() / variance


def log_score(distribution: Distribution, y: Tensor) -> Tensor:
    """Mean log density (or probability) of the held-out targets, in nats; to be maximised.

    For a mixture it is the log of the mixture's density, not the mixture of log densities.

    Args:
        distribution: of batch shape ``(N,)``.
        y: held-out targets, ``(N,)``.

    Raises:
        ValueError: if the batch shape is not that of ``y``.

    >>> log_score(torch.distributions.Normal(torch.zeros(2), torch.ones(2)), torch.zeros(2))
    tensor(-0.9189)
    """
    _fits(distribution, y)
    return distribution.log_prob(y).mean()


def coverage(distribution: Distribution, y: Tensor, level: float = 0.9) -> Tensor:
    """Share of held-out targets inside their central predictive interval; ``level`` is ideal.

    Equation (6.5): a target is inside if (1 - level)/2 <= cdf(y) <= (1 + level)/2.

    Args:
        distribution: continuous, with a ``cdf``, of batch shape ``(N,)``.
        y: held-out targets, ``(N,)``.
        level: between 0 and 1.

    Raises:
        ValueError: if ``level`` is out of range or the batch shape is not that of ``y``.

    >>> distribution = torch.distributions.Normal(torch.zeros(4), torch.ones(4))
    >>> coverage(distribution, torch.tensor([-1.7, -1.6, 0.0, 1.6]))
    tensor(0.7500)
    """
    _fits(distribution, y)
    check_level(level)
    probability = distribution.cdf(y)
    inside = (probability >= (1 - level) / 2) & (probability <= (1 + level) / 2)
    return inside.to(probability.dtype).mean()


def accuracy(probs: Tensor, y: Tensor) -> Tensor:
    """Share of rows whose most probable class is the right one; to be maximised.

    Args:
        probs: probabilities of the classes ``(N, C)``, or of class 1 ``(N,)``.
        y: labels 0...C-1, ``(N,)``.

    Raises:
        ValueError: if the shapes do not fit, or ``probs`` are not probabilities.

    >>> accuracy(torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1, 0, 0]))
    tensor(0.6667)
    """
    probs, labels = _class_table(probs, y)
    return (probs.argmax(1) == labels).to(probs.dtype).mean()


def brier(probs: Tensor, y: Tensor) -> Tensor:
    """Brier score, mean over rows of sum_c (p_c - [y = c])^2, from 0 to 2; to be minimised.

    Brier's original: with two classes it is twice mean (p_1 - y)^2.

    Args and Raises as :func:`accuracy`.

    References:
        G. Brier, *Verification of forecasts expressed in terms of probability*, 1950.

    >>> brier(torch.tensor([0.8, 0.5]), torch.tensor([1, 0]))
    tensor(0.2900)
    """
    probs, labels = _class_table(probs, y)
    truth = torch.nn.functional.one_hot(labels, probs.shape[1]).to(probs)
    return (probs - truth).square().sum(1).mean()


def expected_calibration_error(probs: Tensor, y: Tensor, bins: int = 10) -> Tensor:
    """Mean over rows of the gap between a bin's accuracy and confidence, 0 to 1; to be minimised.

    Equation (6.7). Confidence is the probability of the most probable class; bins are of equal width on [0, 1],
    each open below and closed above.

    Args:
        probs: probabilities of the classes ``(N, C)``, or of class 1 ``(N,)``.
        y: labels 0...C-1, ``(N,)``.
        bins: number of bins, at least 1.

    Raises:
        ValueError: if the shapes do not fit, or ``bins`` is less than 1.

    References:
        C. Guo, G. Pleiss, Y. Sun and K. Weinberger, *On calibration of modern neural networks*,
        2017.

    >>> expected_calibration_error(torch.full((4,), 0.75), torch.ones(4))
    tensor(0.2500)
    """
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1; got {bins}")
    probs, labels = _class_table(probs, y)
    confidence, guess = probs.max(1)
    edges = torch.linspace(0, 1, bins + 1, dtype=probs.dtype, device=probs.device)
    which = torch.bucketize(confidence, edges[1:-1])
    gap = (guess == labels).to(probs.dtype) - confidence
    return torch.zeros_like(edges[1:]).index_add_(0, which, gap).abs().sum() / len(labels)


def _class_table(probs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities ``(N, C)`` and labels ``(N,)`` as integers."""
    if probs.ndim == 1:
        probs = torch.stack([1 - probs, probs], dim=1)
    if probs.ndim != 2 or y.shape != probs.shape[:1] or not len(y):
        found = f"{tuple(probs.shape)} and {tuple(y.shape)}"
        raise ValueError(f"`probs` and `y` must have shapes (N, C) or (N,), and (N,); got {found}")
    if (probs < 0).any() or ((probs.sum(1) - 1).abs() > 1e-4).any():
        raise ValueError(
            "`probs` must be at least 0 with rows that sum to 1; got "
            f"{probs.min().item():.4g} and sums up to {probs.sum(1).max().item():.4g}"
        )
    labels = y.long()
    if (labels != y).any() or (labels < 0).any() or (labels >= probs.shape[1]).any():
        raise ValueError(
            f"`y` must hold labels 0...{probs.shape[1] - 1}; got {y.unique().tolist()}"
        )
    return probs, labels


def _fits(distribution: Distribution, y: Tensor) -> None:
    if distribution.batch_shape != y.shape:
        found = f"{tuple(distribution.batch_shape)} for y {tuple(y.shape)}"
        raise ValueError(f"`distribution` must have the batch shape of `y`; got {found}")


def _same_shape(name: str, value: Tensor, y: Tensor) -> None:
    if value.shape != y.shape:
        found = f"{tuple(value.shape)} and {tuple(y.shape)}"
        raise ValueError(f"`{name}` must have the shape of `y`; got {found}")
