"""Two tasks that are each other's prior: the closed forms of chapters 11 and 12.

N observations y ~ N(w_t, sigma^2) of each task, sigma known, prior of w_t flat but for what the other
task says. Everything depends on the difference of the sample means, Delta, and on the standard error
of one of them, s = sigma / sqrt(N). By symmetry both posteriors have one variance, and their means
stay about the mean of all observations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Pair", "exact_posterior", "joint_posterior", "own_posterior", "previous_posterior"]

_HALVINGS = 80


class Pair(NamedTuple):
    """Posteriors of both tasks, N(c + gap / 2, variance) and N(c - gap / 2, variance)."""

    gap: Tensor
    """m_1 - m_2."""
    variance: Tensor
    """v_1 = v_2; 0 where the posterior has collapsed."""


def exact_posterior(difference: Any, count: Any, noise: Any, width: Any = 0.0) -> Pair:
    """The marginals of the joint posterior of both w under w_2 = w_1 + N(0, width^2), flat w_1.

    By inverting the precision matrix of (w_1, w_2); with `width` 0 that of the one w they share.

    Args:
        difference: Delta, difference of the sample means.
        count: N, observations of each task.
        noise: sigma > 0.
        width: delta >= 0. All four broadcast.

    Example:
        >>> exact_posterior(1.0, 4, 2.0, 1.0)
        Pair(gap=tensor(0.3333, dtype=torch.float64), variance=tensor(0.6667, dtype=torch.float64))
    """
    delta, square, spread = _read(difference, count, noise, width)
    inner = spread.clamp_min(1e-300)  # 1 / width^2 would be infinite
    determinant = (2 / square + inner / square.square()).clamp_min(1e-300)
    variance = (inner / square + 1) / determinant
    covariance = 1 / determinant
    return Pair((variance - covariance) / square * delta, variance)


def own_posterior(difference: Any, count: Any, noise: Any, width: Any = 0.0) -> Pair:
    r"""Own likelihood times the other's own-data posterior, widened; arguments as `exact_posterior`.

    Equation (12.2), with $s^2 = \sigma^2 / N$:
    $v = [1/s^2 + 1/(s^2 + \delta^2)]^{-1}$ and $m_1 - m_2 = v\,[1/s^2 - 1/(s^2 + \delta^2)]\,\Delta$.
    """
    return previous_posterior(difference, count, noise, width, rounds=2)


def previous_posterior(
    difference: Any, count: Any, noise: Any, width: Any = 0.0, rounds: int = 10
) -> Pair:
    r"""Both posteriors after exact updates in turn, each under the other's last posterior.

    Equation (11.6): $1/v_{i+1} = 1/s^2 + 1/(v_i + \delta^2)$, and
    $d_{i+1} = v_{i+1}\,[\Delta/s^2 - d_i/(v_i + \delta^2)]$. Round 1 has a flat prior; round 2 is the
    last in which nothing has been counted twice.

    Args:
        difference, count, noise, width: as `exact_posterior`.
        rounds: r >= 1.

    Raises:
        ValueError: if `rounds` is below 1.

    Example:
        >>> previous_posterior(1.0, 4, 2.0, rounds=10).variance
        tensor(0.1000, dtype=torch.float64)
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be at least 1; got {rounds!r}")
    delta, square, spread = _read(difference, count, noise, width)
    gap, variance = delta, square
    for _ in range(rounds - 1):
        prior = variance + spread
        variance = 1 / (1 / square + 1 / prior)
        gap = variance * (delta / square - gap / prior)
    return Pair(gap, variance)


def joint_posterior(difference: Any, count: Any, noise: Any, width: Any = 0.0) -> Pair:
    r"""Where the joint objective is best; arguments as `exact_posterior`.

    Equation (12.4): $v$ solves $1/s^2 = \Delta^2/(v + \delta^2 + 4 s^2)^2 +
    \delta^4/((v + \delta^2)^2 v)$, found by bisection, and
    $m_1 - m_2 = \Delta (v + \delta^2) / (v + \delta^2 + 4 s^2)$. Without width it is the fused lasso.

    Equation (11.4): $|m_1 - m_2| = \max(|\Delta| - 4 s, 0)$, $v = |m_1 - m_2|\, s$.

    Example:
        >>> joint_posterior(1.5, 16, 1.0)
        Pair(gap=tensor(0.5000, dtype=torch.float64), variance=tensor(0.1250, dtype=torch.float64))
    """
    delta, square, spread = _read(difference, count, noise, width)
    se = square.sqrt()
    low, high = torch.zeros_like(delta), 2**0.5 * delta.abs() * se + 2 * square
    for _ in range(_HALVINGS):
        v = (low + high) / 2
        wide = v + spread
        pull = delta.square() / (wide + 4 * square).square()
        pull = pull + (spread / wide).square() / v.clamp_min(1e-300)
        low, high = torch.where(pull > 1 / square, v, low), torch.where(pull > 1 / square, high, v)
    fused = torch.where(delta.abs() > 4 * se, (delta.abs() - 4 * se) * se, 0.0)
    v = torch.where(spread == 0, fused, (low + high) / 2)
    return Pair(delta * (v + spread) / (v + spread + 4 * square), v)


def _read(difference: Any, count: Any, noise: Any, width: Any) -> list[Tensor]:
    """Delta, s^2 and delta^2, broadcast, float64."""
    values = [torch.as_tensor(v, dtype=torch.float64) for v in (difference, count, noise, width)]
    delta, number, sigma, wide = torch.broadcast_tensors(*values)
    return [delta, sigma.square() / number, wide.square()]
