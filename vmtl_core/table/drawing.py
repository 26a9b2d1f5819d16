"""One call a picture. matplotlib and seaborn are imported when the first is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.utils.validation import check_is_fitted


class Drawing:
    """Methods of a fitted estimator that draw; each takes `axes`, or makes them, and returns them."""

    def plot_tasks(self, kind: str = "heat map", axes: Any = None) -> Any:
        """Who helps whom: `helps()` with like tasks side by side.

        Args:
            kind: "heat map", or "network", whose lines are as strong as two tasks' ties.
            axes: where to draw.
        """
        check_is_fitted(self)
        from vmtl_core.table import pictures

        return pictures.tasks(self, kind, axes)

    def plot_coefficients(self, input: Any = None, interval: float = 0.9, axes: Any = None) -> Any:
        """A forest of one coefficient: every task's with its interval, and the population's.

        Args:
            input: name as in `coefficients()`; None for the first.
            interval: probability of the intervals.
            axes: where to draw.
        """
        check_is_fitted(self)
        from vmtl_core.table import pictures

        return pictures.coefficients(self, input, interval, axes)

    def plot_calibration(self, X: Any, y: Any = None, task: Any = None, axes: Any = None) -> Any:
        """What intervals, or probabilities, promised against what they kept; use held-out rows.

        Args:
            X, y, task: rows with their target, as in `score`.
            axes: where to draw.
        """
        check_is_fitted(self)
        from vmtl_core.table import pictures

        return pictures.calibration(self, X, y, task, axes)

    def plot_task(
        self, task: Any, X: Any, input: Any = None, interval: float = 0.9, axes: Any = None
    ) -> Any:
        """Predictions of one task along one input, with a band, over its rows.

        The other inputs are held at the task's mean, or its commonest value.

        Args:
            task: its name.
            X: a table with its rows.
            input: a column of numbers; None for the first.
            interval: probability of the band.
            axes: where to draw.
        """
        check_is_fitted(self)
        from vmtl_core.table import pictures

        return pictures.one_task(self, task, X, input, interval, axes)

    def plot_learning_curve(
        self,
        X: Any,
        sizes: Sequence[int] = (2, 4, 8, 16),
        repeats: int = 3,
        seed: int = 0,
        axes: Any = None,
    ) -> Any:
        """What more rows would bring: the held-out log score of fits to fewer.

        A quarter of every task's rows is held out; the model is fitted anew to at most `sizes` of
        the rest, with other splits `repeats` times; the band is the standard error.

        Args:
            X: the whole table, with its target.
            sizes: rows of each task.
            repeats: splits.
            seed: of the splits.
            axes: where to draw.
        """
        check_is_fitted(self)
        from vmtl_core.table import pictures

        return pictures.learning_curve(self, X, sizes, repeats, seed, axes)
