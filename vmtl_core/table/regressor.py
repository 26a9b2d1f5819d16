"""Regression from a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from torch import Tensor
from torch.distributions import Distribution, Normal

from vmtl_core._checks import require
from vmtl_core.likelihoods import LinearGaussian
from vmtl_core.table.kinds import numbers
from vmtl_core.table.numbers import NumberEstimator


class VMTLRegressor(RegressorMixin, NumberEstimator):
    """A number for every row of a table with a task column: y ~ N(x'w_t, sigma^2), (1.1).

    Every task has coefficients and an intercept of its own, with a prior that is made of the other
    tasks; `vmtl_core.fit` fits it, and `vmtl_core.predictive` answers. Columns of text and
    categories become 0 and 1, the table's units don't matter.

    Args:
        task: name of the task column (its position in an array); None if tasks are given apart, or
            if all rows are one task.
        sources, neighbours: as in `MultiTaskELBO`.
        missing: "indicate" puts the mean for a missing input and adds a 0/1 input that says so;
            "raise" refuses. A missing target or task is always refused.
        unseen: "predict" predicts tasks that weren't fitted from what all have in common, with one
            warning that counts them; "raise" refuses.
        steps, average: as in `vmtl_core.fit`.
        seed: of everything random.
        progress: whether to show a bar.

    Attributes:
        model_: the fitted `MultiTaskELBO`.
        history_: the `History` of the fit.
        tasks_: names of the tasks, in the order of their ids.

    Example:
        >>> import pandas as pd
        >>> from vmtl_core.table import VMTLRegressor
        >>> table = pd.DataFrame(
        ...     {"shop": list("aaabbb"), "price": [1, 2, 3, 1, 2, 3], "sold": [9, 7, 5, 8, 6, 4]}
        ... )
        >>> model = VMTLRegressor(task="shop").fit(table, target="sold")
        >>> model.predict(table.head(2))["mean"].round().tolist()
        [9.0, 7.0]
    """

    def _likelihood(self, exposure: np.ndarray | None, y: Tensor) -> Any:
        return LinearGaussian()

    def _law_given(
        self, eta: Tensor, noise: Tensor | None, exposure: np.ndarray | None
    ) -> Distribution:
        assert noise is not None
        return Normal(eta[..., 0], noise)

    def _numbers(self, y: pd.Series) -> np.ndarray:
        return numbers(y)

    def _learn(self, y: pd.Series) -> None:
        """Refuse what leaves no noise to learn."""
        values = numbers(y)
        require(
            bool((values != values[0]).any()),
            f"target {y.name!r} must vary, for a noise scale to be learned; all rows hold "
            f"{values[0]:g} (n_samples = {len(y)})",
        )

    def predict(self, X: Any, task: Any = None, *, interval: float | None = None) -> Any:
        """Predictions of new rows.

        Args:
            X: rows with the fit's columns; others don't matter if the fit named its target.
            task: the rows' tasks, if no column is.
            interval: probability of the central interval from `lower` to `upper`.

        Returns:
            A data frame with the rows' index: `mean`, `sd`, `lower`, `upper` of a new y. After
            `fit(X, y)` without `interval` the means alone, an array (N,), as scikit-learn wants.

        Raises:
            ValueError: for rows that can't be read, or of unseen tasks with `unseen="raise"`.

        Warns:
            UnseenWarning: tasks, levels or gaps that the fit hasn't seen.
        """
        return self._answers(X, task, None, interval)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, task: Any = None) -> float:
        """R^2 of the means: 1 for no error, 0 for no better than the mean of y.

        Args:
            X, task: as in `predict`; with a named target, its column is y.
            y: the target.
            sample_weight: of the rows.
        """
        truth = self._truth(X, y)
        mean = self._ask(X, task).answer.mean.numpy()
        return float(r2_score(truth, mean, sample_weight=sample_weight))
