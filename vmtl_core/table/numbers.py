"""What the estimators of numbers share: a table of mean, sd and interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vmtl_core.answers import Predictive
from vmtl_core.table.base import Asked, VMTLEstimator


class NumberEstimator(VMTLEstimator):
    """Predicts a number with its spread. See `VMTLRegressor`."""

    counts = False

    def _coded(self, y: pd.Series) -> Tensor:
        return torch.from_numpy(self._numbers(y))

    def _numbers(self, y: pd.Series) -> np.ndarray:
        raise NotImplementedError

    def _law(self, asked: Asked) -> Predictive:
        """The predictive of y."""
        return asked.answer

    def _answers(self, X: Any, task: Any, exposure: Any, interval: float | None) -> Any:
        asked = self._ask(X, task, exposure)
        law = self._law(asked)
        if interval is None and not self.frame_style_:
            return law.mean.numpy()
        low, high = torch.tensor(
            self._level(0.9 if interval is None else interval), dtype=torch.float64
        )
        return pd.DataFrame(
            {
                "mean": law.mean.numpy(),
                "sd": law.variance.sqrt().numpy(),
                "lower": law.icdf(low).numpy(),
                "upper": law.icdf(high).numpy(),
            },
            index=asked.index,
        )

    def _inside(self, X: Any, y: np.ndarray, task: Any, intervals: np.ndarray) -> list[np.ndarray]:
        """Which rows' targets their central intervals hold, for each probability, (N,) each."""
        law, truth = self._law(self._ask(X, task)), torch.from_numpy(y.copy())
        high = law.cdf(truth)
        low = high
        if self.counts:  # icdf(level) <= y where cdf(y) >= level, and >= y where cdf(y - 1) < level
            low = torch.where(truth > 0, law.cdf((truth - 1).clamp_min(0)), 0.0)
        ends = [self._level(float(one)) for one in intervals]
        return [((high >= a) & (low <= b)).numpy() for a, b in ends]

    def log_score(self, X: Any, y: Any = None, task: Any = None, exposure: Any = None) -> pd.Series:
        """Log predictive density (mass for counts) of every row's target, in nats.

        Args:
            X, y, task, exposure: as in `score`.
        """
        truth = self._coded(self._truth(X, y))
        asked = self._ask(X, task, exposure)
        return pd.Series(self._law(asked).log_prob(truth).numpy(), asked.index, name="log score")
