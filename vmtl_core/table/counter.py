"""Counts from a table."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_tweedie_score
from torch import Tensor
from torch.distributions import Distribution, Poisson

from vmtl_core.answers import Predictive
from vmtl_core.exact import PoissonPredictive
from vmtl_core.likelihoods import LinearPoisson
from vmtl_core.predictive_rows import PredictiveRows
from vmtl_core.table import told
from vmtl_core.table.base import Asked
from vmtl_core.table.exposed import ExposedPoisson
from vmtl_core.table.kinds import numbers
from vmtl_core.table.numbers import NumberEstimator


class VMTLCounter(RegressorMixin, NumberEstimator):
    """A count for every row of a table with a task column: y ~ Poisson(e exp(x'w_t)), (1.1).

    e is the row's exposure, 1 without one: hours watched, persons at risk. Twice the exposure is
    twice the expected count, exactly; the coefficients are of the log rate per unit of exposure.

    Args:
        task, sources, neighbours, missing, unseen, steps, average, seed, progress: as in
            `VMTLRegressor`.
    """

    counts = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags

    def fit(
        self,
        X: Any,
        y: Any = None,
        task: Any = None,
        *,
        target: Any = None,
        inputs: Any = None,
        exposure: Any = None,
    ) -> Self:
        """As `VMTLRegressor.fit`.

        Args:
            X, y, task, target, inputs: as there; y holds 0, 1, 2, ...
            exposure: with `target` a column's name, else numbers above 0, (N,); None for 1.
        """
        return self._fit(X, y, task, target, inputs, exposure)

    def _numbers(self, y: pd.Series) -> np.ndarray:
        found = numbers(y)
        bad = (found < 0) | (found != np.floor(found))
        if bad.any():
            raise ValueError(
                f"target {y.name!r} must hold counts 0, 1, 2, ...; it doesn't in "
                f"{told.rows(bad, y.index)}, {found[bad][0]:g}"
            )
        return found

    def _likelihood(self, exposure: np.ndarray | None, y: Tensor) -> Any:
        self.log_unit_ = 0.0
        if exposure is None:
            return LinearPoisson()
        likelihood = ExposedPoisson(torch.from_numpy(exposure), y)
        self.log_unit_ = likelihood.log_unit
        return likelihood

    def _row_likelihood(self, exposure: np.ndarray | None, y: Tensor) -> Any:
        if not self.exposed_:
            return LinearPoisson()
        exposure = np.ones(len(y)) if exposure is None else exposure
        return ExposedPoisson(torch.from_numpy(exposure), y, self.log_unit_)

    def _settle(self, x: Tensor, y: Tensor, ids: Tensor) -> None:
        super()._settle(x, y, ids)
        for bundle in (self.model_.posteriors, self.model_.own):
            if bundle is not None:
                bundle.likelihood = LinearPoisson()

    def _law(self, asked: Asked) -> Predictive:
        """The predictive of the count: that of the rate, times the exposure."""
        exposure = np.ones(len(asked.x)) if asked.exposure is None else asked.exposure
        more = torch.from_numpy(np.log(exposure)) + self.log_unit_
        return shifted(asked.answer, more)

    def _law_given(
        self, eta: Tensor, noise: Tensor | None, exposure: np.ndarray | None
    ) -> Distribution:
        hours = 1.0 if exposure is None else torch.from_numpy(exposure)
        return Poisson((eta[..., 0] + self.log_unit_).exp() * hours)

    def predict(
        self, X: Any, task: Any = None, *, exposure: Any = None, interval: float | None = None
    ) -> Any:
        """As `VMTLRegressor.predict`: mean, sd and interval of a new count.

        Args:
            X, task, interval: as there.
            exposure: the rows', (N,), after a fit without names; 1 if None.
        """
        return self._answers(X, task, exposure, interval)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, task: Any = None) -> float:
        """The share of the Poisson deviance that the means explain: 1 for all, 0 for none.

        Args:
            X, y, sample_weight, task: as in `VMTLRegressor.score`.
        """
        truth = self._numbers(self._truth(X, y))
        mean = self._law(self._ask(X, task)).mean.numpy()
        return float(d2_tweedie_score(truth, mean, power=1, sample_weight=sample_weight))


def shifted(answer: Predictive, more: Tensor) -> Predictive:
    """The predictive of counts whose log rate is `more` higher, (N,)."""
    if isinstance(answer, PredictiveRows):
        pairs = zip(answer.rows, answer.parts, strict=True)
        return PredictiveRows(answer.rows, [shifted(part, more[rows]) for rows, part in pairs])
    assert isinstance(answer, PoissonPredictive)
    return PoissonPredictive(answer.loc + more, answer.spread, answer.log_weights)
