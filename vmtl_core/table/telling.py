"""What a fitted model tells: coefficients, who helps whom, a summary, a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from vmtl_core._checks import number, require
from vmtl_core.table.coefficients import POPULATION, of_population, of_tasks, tidy
from vmtl_core.table.summary import text


class Telling:
    """Methods of a fitted estimator that say what it found."""

    model_: Any
    history_: Any
    inputs_: Any
    tasks_: list[Any]
    rows_: list[int]
    target_name_: Any
    task_elbo_: list[float]
    log_score: Any
    log_unit_ = 0.0

    def _level(self, interval: float) -> tuple[float, float]:
        """The interval's two ends as levels."""
        found = number("interval", interval)
        require(0 < found < 1, f"`interval` must be between 0 and 1; got {interval!r}")
        return (1 - found) / 2, (1 + found) / 2

    def _class_names(self) -> list[Any]:
        """Names of the columns of w."""
        return [self.target_name_]

    def coefficients(self, interval: float = 0.9) -> pd.DataFrame:
        """Coefficients of every task, and their mean in the population, in the table's units.

        Args:
            interval: probability of the central interval from `lower` to `upper`.

        Returns:
            One row for each task, input, and of three classes or more each class: `mean`, `sd`,
            `lower`, `upper`. The task "population" is the mean over all tasks there might be.
            Classes: log odds of the second, or scores of each; counts: log rate.
        """
        check_is_fitted(self)
        levels = self._level(interval)
        every = of_tasks(self.model_, len(self.tasks_), levels)
        tasks = self._tidy(every, self.tasks_)
        return pd.concat([self._population(levels), tasks], ignore_index=True)

    def _population(self, levels: tuple[float, float]) -> pd.DataFrame:
        """The population's rows of `coefficients`."""
        found = of_population(self.model_, self.history_.hyperparameters, levels)
        return self._tidy({name: value[None] for name, value in found.items()}, [POPULATION])

    def _tidy(self, laws: dict[str, np.ndarray], tasks: list[Any]) -> pd.DataFrame:
        names, classes = self.inputs_.names, self._class_names()
        return tidy(laws, tasks, classes, names, self.inputs_.unit, self.log_unit_)

    def helps(self) -> pd.DataFrame:
        """Who helps whom: how much each other task, and the population, explains a task.

        Returns:
            The responsibilities, (4.5): a row for each task, which sums to 1; a column for each
            task, and the last for the population.
        """
        check_is_fitted(self)
        found = self.model_.responsibilities().numpy()
        columns = [*self.tasks_, *[None] * (self.model_.tasks - len(self.tasks_)), POPULATION]
        keep = [i for i, name in enumerate(columns) if name is not None]
        names = pd.Index([columns[i] for i in keep], dtype=object, name="source")
        rows = pd.Index(self.tasks_, dtype=object, name="task")
        return pd.DataFrame(found[: len(self.tasks_), keep], rows, names)

    def groups(self) -> pd.DataFrame:
        """Which tasks form a group: the probability of every membership, tasks by groups.

        Raises:
            ValueError: unless the model was fitted with `sources="groups"`.
        """
        check_is_fitted(self)
        found = getattr(self.model_, "groups", None)
        require(
            found is not None and self.model_.sources == "groups",
            f"`groups` needs a fit with sources='groups'; got sources={self.model_.sources!r}",
        )
        assert found is not None
        memberships = found()[: len(self.tasks_)].numpy()
        columns = [f"group {c + 1}" for c in range(memberships.shape[1])]
        return pd.DataFrame(memberships, pd.Index(self.tasks_, dtype=object, name="task"), columns)

    def summary(self) -> str:
        """What a mixed model's summary says, as text.

        Population and spread of every coefficient with 90 % intervals, noise, log evidence (a lower
        bound, with its hyperpriors), how the fit ended, which inputs were left out.
        """
        check_is_fitted(self)
        return text(self)

    def compare(self, other: Any, X: Any = None, y: Any = None, task: Any = None) -> pd.Series:
        """This model against another, by held-out rows or by evidence: above 0, this is better.

        Args:
            other: fitted to the same rows.
            X, y, task: rows to be judged by, as in `score`; None compares the evidence of the
                fitted rows, task by task.

        Returns:
            `difference`, in nats a row (by evidence: a task), and `error`, the standard error of
            that mean; rows of one task are counted as belonging together. `tasks`: how many.

        Raises:
            ValueError: if there is no error to be had, with a single task.
        """
        check_is_fitted(self)
        if X is None:
            require(
                self.tasks_ == other.tasks_ and self.rows_ == other.rows_,
                "`other` must have been fitted to the same tasks and rows",
            )
            gap = pd.Series(np.subtract(self.task_elbo_, other.task_elbo_))
            size = pd.Series(1.0, gap.index)
        else:
            each = self.log_score(X, y, task).to_numpy() - other.log_score(X, y, task).to_numpy()
            names = pd.factorize(self._read(X, task, None, reset=False).task)[0]  # type: ignore[attr-defined]
            gap = pd.Series(each).groupby(names).sum()
            size = pd.Series(np.bincount(names).astype(float))
        count = len(gap)
        require(count > 1, f"`X` must hold rows of two tasks or more; got {count}")
        mean = float(gap.sum() / size.sum())
        away = gap - mean * size
        error = float(np.sqrt(count / (count - 1) * (away**2).sum()) / size.sum())
        return pd.Series({"difference": mean, "error": error, "tasks": float(count)})
