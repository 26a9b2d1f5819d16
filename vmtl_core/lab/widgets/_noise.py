"""Noise that Python and JavaScript draw alike: a function of the seed and the position alone."""

import numpy as np
import torch
from torch import Tensor


def hash32(value: np.ndarray) -> np.ndarray:
    """Scrambles 32-bit integers (xorshift-multiply); `js/math.js` holds the same three lines."""
    x: np.ndarray = value.astype(np.uint32)
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)


def uniforms(seed: int, *shape: int) -> Tensor:
    """Numbers in (0, 1), float64, of the given shape; equal bit for bit to those of JavaScript.

    Example:
        >>> uniforms(0, 2).tolist() == uniforms(0, 3)[:2].tolist()
        True
    """
    start = hash32(np.array([seed % 2**32], dtype=np.uint64))
    counter = np.arange(int(np.prod(shape)), dtype=np.uint32)
    bits = hash32(start + counter).astype(np.float64)
    return torch.from_numpy((bits + 0.5) / 2.0**32).reshape(shape)


def gumbel(seed: int, *shape: int) -> Tensor:
    """Gumbel(0, 1) variates -log(-log u) of `uniforms(seed, *shape)`."""
    return -(-uniforms(seed, *shape).log()).log()


def normal(seed: int, *shape: int) -> Tensor:
    """Standard normal variates by Box and Muller's method, a pair of them from each pair of uniforms.

    A longer row starts with the numbers of a shorter one of the same seed.
    """
    count = int(np.prod(shape))
    u, v = uniforms(seed, count + count % 2).reshape(-1, 2).unbind(-1)
    radius, angle = (-2 * u.log()).sqrt(), 2 * torch.pi * v
    pairs = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    return pairs.flatten()[:count].reshape(shape)
