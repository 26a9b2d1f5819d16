"""What all predictive distributions share."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vmtl_core._checks import broadcastable, require

Sampler = Callable[[Size], Tensor]
NUMBERS = 2**24
"""How many numbers the tensors of one batch of rows may hold."""


class Uncertainty(NamedTuple):
    """Uncertainty of each row, (N, ...): variances of y, or for labels entropies in nats."""

    total: Tensor
    aleatoric: Tensor
    epistemic: Tensor


class Predictive(Distribution):
    """Predictives of N rows, batch shape (N,): each row's marginal distribution, and joint draws.

    Args:
        rows: N.
        event_shape: shape of one y.
        sampler: sample shape -> joint draws (*shape, N, *event); rows independent if None.
    """

    arg_constraints: dict[str, Any] = {}

    def __init__(self, rows: int, event_shape: Size, sampler: Sampler | None = None):
        self.sampler = sampler
        super().__init__(Size((rows,)), event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return False

    @property
    def probs(self) -> Tensor:
        """Probability of 1, (N,), or of every class, (N, C), of labels.

        Raises:
            AttributeError: unless y is a label.
        """
        raise AttributeError(f"a {type(self).__name__} has no `probs`")

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """Refused: values with leading dimensions, (..., N, *event), do what it would.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"`batch_shape` of a predictive is {tuple(self.batch_shape)}, its rows, and can't be "
            f"expanded to {tuple(batch_shape)}; `log_prob`, `cdf` and `icdf` take values with "
            "leading dimensions, (..., N)"
        )

    def sample(self, sample_shape: Any = Size()) -> Tensor:
        """Joint draws of all rows, (*shape, N, *event)."""
        shape = Size(sample_shape)
        return self._independent(shape) if self.sampler is None else self.sampler(shape)

    @abstractmethod
    def _independent(self, shape: Size) -> Tensor:
        """Draws of every row on its own, (*shape, N, *event)."""

    @abstractmethod
    def uncertainty(self) -> Uncertainty:
        """See `decompose_uncertainty`."""

    @property
    @abstractmethod
    def like(self) -> Tensor:
        """A tensor of the dtype and device of what is computed here."""

    def _values(self, value: Tensor) -> Tensor:
        """`value` of the dtype computed in, spread over the rows, (..., N, *event).

        Raises:
            ValueError: if its shape doesn't fit, or is the (N, 1) of a column for N rows.
        """
        rows, dims = self.batch_shape[0], len(self.event_shape)
        require(
            not isinstance(value, Tensor)
            or rows == 1
            or tuple(value.shape[: value.ndim - dims]) != (rows, 1),
            f"`value` must have one entry for each of the {rows} rows, (..., N, *event); got a "
            f"column, {tuple(getattr(value, 'shape', ()))}, every entry of which would be compared "
            "with every row: take its `[:, 0]`",
        )
        return as_values(value, self)


def levels(value: Any, predictive: Predictive) -> Tensor:
    """Levels of quantiles, spread over the rows.

    Raises:
        ValueError: unless they lie strictly between 0 and 1.
    """
    like = predictive.like
    level = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    outside = level[~((level > 0) & (level < 1))].tolist()
    require(not outside, f"`value` must lie strictly between 0 and 1; got {outside[:5]}")
    return as_values(level, predictive)


def as_values(value: Tensor, predictive: Predictive) -> Tensor:
    """`value` spread over the rows, shape (..., N, *event); integers and booleans as numbers.

    Raises:
        ValueError: if its shape doesn't broadcast with (N, *event).
    """
    wanted = tuple(predictive.batch_shape + predictive.event_shape)
    found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    require(
        isinstance(value, Tensor) and broadcastable(value.shape, wanted),
        f"`value` must be a tensor of shape (..., N, *event) = (..., {str(wanted)[1:]}; got {found}",
    )
    if not value.is_floating_point():
        value = value.to(predictive.like.dtype)
    return value.expand(torch.broadcast_shapes(value.shape, wanted))
