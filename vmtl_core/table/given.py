"""How a table, or X and y, is taken apart into inputs, tasks, target and exposure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import column_or_1d, validate_data

from vmtl_core._checks import require
from vmtl_core.table import told
from vmtl_core.table.kinds import gaps

ONE_TASK = "all rows"
"""Name of the task of a table without a task column."""


class Given(NamedTuple):
    """Rows as they came, taken apart."""

    inputs: pd.DataFrame
    task: pd.Series
    exposure: np.ndarray | None


class Reading:
    """Methods of an estimator that read rows."""

    frame_style_: bool
    task_name_: Any
    target_name_: Any
    exposure_name_: Any
    input_names_: list[Any]

    def _by_name(
        self, X: Any, task: Any, target: Any, inputs: Any, exposure: Any
    ) -> tuple[Any, Any, Any]:
        """The target, and remember which columns are inputs, task and exposure."""
        require(
            isinstance(X, pd.DataFrame),
            f"`X` must be a data frame with `target`; got {type(X).__name__}",
        )
        if task is not None:
            self.task_name_ = task
        special = [one for one in (self.task_name_, target, exposure) if one is not None]
        if inputs is None:
            inputs = [name for name in X.columns if name not in special]
        require(not isinstance(inputs, str), f"`inputs` must be a list of names; got {inputs!r}")
        self.input_names_ = list(inputs)
        self.exposure_name_ = exposure
        both = [name for name in self.input_names_ if name in special]
        require(not both, f"`inputs` must not name the target, task or exposure; got {both}")
        _have(X, [target])
        return X[target], None, None

    def _read(self, X: Any, task: Any, exposure: Any, reset: bool) -> Given:
        """Take new rows apart: inputs, tasks, exposure.

        Raises:
            ValueError: for columns that are missing, or other than those of the fit.
        """
        if isinstance(X, pd.DataFrame):
            X = self._columns(X)
            if self.exposure_name_ is not None:
                exposure = X[self.exposure_name_]
                X = X.drop(columns=self.exposure_name_)
            validate_data(self, X, reset=reset, skip_check_array=True)
            require(len(X) > 0, "`X` must have at least one row; got 0 sample(s)")
            require(X.shape[1] > 0, "`X` must have a column; 0 feature(s)")
        else:
            require(
                not (isinstance(X, pd.Series) or type(X) is dict),  # a sparse array is one too
                f"`X` must be a data frame; got {type(X).__name__}: one row of a table is "
                "`table.iloc[[0]]`, and `pandas.DataFrame` makes a frame of columns",
            )
            X = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite=False)
            X = pd.DataFrame(X)
        if task is not None:
            task = task if isinstance(task, pd.Series) else pd.Series(task, name="task")
            require(
                len(task) == len(X),
                f"`task` must have one entry for each of the {len(X)} rows; got {len(task)}",
            )
            task = pd.Series(task.array, index=X.index, name=task.name)
            X = X.drop(columns=self.task_name_) if self.task_name_ in X.columns else X
        elif self.task_name_ is not None:
            _have(X, [self.task_name_])
            task, X = X[self.task_name_], X.drop(columns=self.task_name_)
        else:
            task = pd.Series([ONE_TASK] * len(X), index=X.index, name="task")
        return Given(X, task, self._exposures(exposure, task.index))

    def _columns(self, X: pd.DataFrame) -> pd.DataFrame:
        """The columns that are used, where they were named."""
        twice = X.columns[X.columns.duplicated()].tolist()
        require(not twice, f"`X` must have columns of different names; {twice[:5]} come twice")
        if not self.frame_style_:
            return X
        named = [one for one in (self.task_name_, self.exposure_name_) if one is not None]
        _have(X, [*named, *self.input_names_])
        return X[[*named, *self.input_names_]]

    def _exposures(self, exposure: Any, index: Any) -> np.ndarray | None:
        if exposure is None:
            return None
        require(getattr(self, "exposed_", True), "`exposure` must be None: the fit had none")
        values = pd.Series(np.asarray(exposure, dtype=float), index=index)
        bad = ~(values > 0) | np.isinf(values)
        if bad.any():
            raise ValueError(
                f"exposure {self.exposure_name_!r} must be above 0 and finite; it isn't in "
                f"{told.rows(bad, index)}"
            )
        return values.to_numpy(copy=True)

    def _values(self, y: Any, index: Any) -> pd.Series:
        """The target with the rows' index, a value in every row."""
        name = self.target_name_
        if not isinstance(y, pd.Series):
            y = pd.Series(column_or_1d(y, warn=True))
        require(
            len(y) == len(index),
            f"`y` must have one entry for each of the {len(index)} rows (inconsistent numbers of "
            f"samples); got {len(y)}",
        )
        y = pd.Series(y.array, index=index, name=name)
        empty = gaps(y)
        if empty.any():
            raise ValueError(
                f"target {name!r} must have a value in every row; missing (NaN) in "
                f"{told.rows(empty, index)}: leave such rows out"
            )
        return y

    def _truth(self, X: Any, y: Any) -> Any:
        """The target of rows to be judged by: `y`, or the table's column."""
        if y is None and self.frame_style_:
            _have(X, [self.target_name_])
            y = X[self.target_name_]
        require(y is not None, "`y` must be given")
        index = X.index if isinstance(X, pd.DataFrame) else range(len(y))
        return self._values(y, pd.Index(index))


def _have(X: pd.DataFrame, names: list[Any]) -> None:
    missing = [name for name in names if name not in X.columns]
    require(
        not missing,
        f"`X` must have the columns {missing}; it has {told.some(X.columns)}"
        + "".join(told.meant(name, X.columns) for name in missing[:1]),
    )
