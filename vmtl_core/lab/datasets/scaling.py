"""Standardisation that remembers itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scaling:
    """Means and standard deviations by which data were standardised.

    Attributes:
        x_mean: ``(D,)``, in the inputs' units.
        x_sd: ``(D,)``, in the inputs' units; 1 for an input that did not vary.
        y_mean: scalar, in the target's units; 0 if the target was left alone.
        y_sd: scalar, in the target's units; 1 if the target was left alone or did not vary.
    """

    x_mean: Tensor
    x_sd: Tensor
    y_mean: Tensor
    y_sd: Tensor

    @classmethod
    def fit(cls, x: Tensor, y: Tensor | None = None) -> Scaling:
        """Measure ``x`` ``(N, D)`` and, unless None, ``y`` ``(N,)``; the sd's divisor is N.

        >>> Scaling.fit(torch.tensor([[1.0, 7.0], [3.0, 7.0]])).x_sd
        tensor([1., 1.])
        """
        target = x.new_tensor([-1.0, 1.0]) if y is None else y
        return cls(x.mean(0), _spread(x), target.mean(), _spread(target))

    def scale_x(self, x: Tensor) -> Tensor:
        """From the inputs' units to standard units, ``(N, D)``."""
        return (x - self.x_mean.to(x)) / self.x_sd.to(x)

    def scale_y(self, y: Tensor) -> Tensor:
        """From the target's units to standard units."""
        return (y - self.y_mean.to(y)) / self.y_sd.to(y)

    def unscale_y(self, mean: Tensor, sd: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """A prediction's mean and standard deviation, in the target's own units.

        >>> scaling = Scaling.fit(torch.zeros(2, 1), torch.tensor([10.0, 14.0]))
        >>> scaling.unscale_y(torch.tensor(1.0), torch.tensor(0.5))
        (tensor(14.), tensor(1.))
        """
        y_mean, y_sd = self.y_mean.to(mean), self.y_sd.to(mean)
        return mean * y_sd + y_mean, None if sd is None else sd * y_sd


def _spread(values: Tensor) -> Tensor:
    """Standard deviation along the first dimension, 1 where all values are (nearly) equal."""
    sd = values.std(0, correction=0)
    varies = sd > 1e-6 * values.abs().amax(0)
    return torch.where(varies, sd, torch.ones_like(sd))
