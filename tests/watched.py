"""A family that torch has no KL for, and that remembers how many draws it was asked for."""

from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, constraints


class Watched(Distribution):
    """A Gaussian under another name: no registered KL, no fast formula. Rebuilt ones share `asked`."""

    arg_constraints: dict[str, Any] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True
    asked: list[int] = []

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: bool | None = False):
        self.loc, self.scale = torch.broadcast_tensors(loc, torch.as_tensor(scale).to(loc))
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Watched":
        shape = Size(batch_shape)
        return type(self)(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape: Any = Size()) -> Tensor:
        self.asked.append(Size(sample_shape).numel())
        return self.loc + self.scale * torch.randn(Size(sample_shape) + self.loc.shape).to(self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        return torch.distributions.Normal(self.loc, self.scale).log_prob(value)


class Sealed(Watched):
    """One that can't be rebuilt from its parameters."""

    arg_constraints: dict[str, Any] = {}


def vectors(family: type[Watched], *shape: int) -> Distribution:
    """Vectors of independent coordinates, all different: batch shape `shape[:-1]`."""
    draw = torch.Generator().manual_seed(len(shape))
    loc = torch.randn(shape, generator=draw, dtype=torch.float64)
    scale = 0.5 + torch.rand(shape, generator=draw, dtype=torch.float64)
    return Independent(family(loc, scale), 1)
