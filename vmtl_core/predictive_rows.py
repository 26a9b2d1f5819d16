"""Predictives of many rows, or of different likelihoods, side by side."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Size, Tensor

from vmtl_core._checks import require
from vmtl_core.answers import Predictive, Sampler, Uncertainty, as_values


class Rebuilt(Sequence[Predictive]):
    """Parts that are made anew whenever they are asked for, so that one is in memory at a time.

    Args:
        make: for every part, what makes it; each gives the same numbers every time.
    """

    def __init__(self, make: Sequence[Callable[[], Predictive]]):
        self.make = make

    def __len__(self) -> int:
        return len(self.make)

    def __getitem__(self, index: Any) -> Any:
        return self.make[index]()

    def __iter__(self) -> Iterator[Predictive]:
        return (make() for make in self.make)


class PredictiveRows(Predictive):
    """Predictives of different rows, in the order of the rows.

    Rows with different likelihoods, or too many rows to hold all their components at once.

    Args:
        rows: for every part the positions of its rows; together 0...N-1, each once.
        parts: a predictive for each, as a list or as a sequence that makes them when asked.
        sampler: sample shape -> joint draws of all rows; each part on its own if None.
    """

    def __init__(
        self, rows: list[Tensor], parts: Sequence[Predictive], sampler: Sampler | None = None
    ):
        self.rows, self.parts = rows, parts
        first = parts[0]
        self._like = first.like.new_empty(0)
        if isinstance(parts, list):
            shapes = {tuple(part.event_shape) for part in parts}
            require(
                len(shapes) == 1, f"all tasks must predict one shape of y; got {sorted(shapes)}"
            )
        super().__init__(sum(len(r) for r in rows), first.event_shape, sampler)

    @property
    def like(self) -> Tensor:
        return self._like

    def _join(self, tensors: list[Tensor], dim: int = 0) -> Tensor:
        shapes = {t.shape[:dim] + t.shape[dim + 1 :] for t in tensors}
        require(
            len(shapes) == 1,
            "tasks with different numbers of classes have no common shape; ask the `parts`",
        )
        order = torch.cat(self.rows).argsort()
        return torch.cat(tensors, dim).index_select(dim, order)

    @property
    def mean(self) -> Tensor:
        return self._join([part.mean for part in self.parts])

    @property
    def variance(self) -> Tensor:
        return self._join([part.variance for part in self.parts])

    @property
    def probs(self) -> Tensor:
        """Averaged probabilities of labels, as those of `PredictiveMixture`.

        Raises:
            AttributeError: unless all rows are of labels.
        """
        return self._join([part.probs for part in self.parts])

    def log_prob(self, value: Tensor) -> Tensor:
        """log of the averaged density or mass, for values (..., N, *event)."""
        value = self._values(value)
        dim = value.ndim - 1 - len(self.event_shape)
        pairs = zip(self.rows, self.parts, strict=True)
        return self._join(
            [part.log_prob(value.index_select(dim, rows)) for rows, part in pairs], dim
        )

    def _independent(self, shape: Size) -> Tensor:
        draws = [part.sample(shape) for part in self.parts]
        if len({draw.dtype for draw in draws}) > 1:  # numbers beside labels
            draws = [draw.to(self.like) for draw in draws]
        return self._join(draws, len(shape))

    def cdf(self, value: Tensor) -> Tensor:
        """Averaged distribution function, for values (..., N)."""
        value = self._values(value)
        pairs = zip(self.rows, self.parts, strict=True)
        return self._join([part.cdf(value[..., rows]) for rows, part in pairs], value.ndim - 1)

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles, for levels strictly between 0 and 1, scalar or (..., N)."""
        level = as_values(torch.as_tensor(value, device=self.rows[0].device), self)
        pairs = zip(self.rows, self.parts, strict=True)
        return self._join([part.icdf(level[..., rows]) for rows, part in pairs], level.ndim - 1)

    def uncertainty(self) -> Uncertainty:
        """See `decompose_uncertainty`; variances for numbers and entropies for labels."""
        parts = [part.uncertainty() for part in self.parts]
        return Uncertainty(*(self._join(list(one)) for one in zip(*parts, strict=True)))
