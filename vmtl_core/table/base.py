"""What the three estimators share: reading a table, fitting the core, asking it."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor

from vmtl_core._checks import one_of, require
from vmtl_core.answers import Predictive
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.posteriors import FULL_NUMBERS, FULL_ROWS, GaussianWeights
from vmtl_core.predictive import predictive
from vmtl_core.saving import write
from vmtl_core.table import told
from vmtl_core.table.adding import Rows, added
from vmtl_core.table.enlarging import enlarge, put, remember
from vmtl_core.table.inputs import Inputs
from vmtl_core.table.kinds import gaps
from vmtl_core.table.packed import packed
from vmtl_core.table.tasks import ids_of, names_of
from vmtl_core.table.telling import Telling
from vmtl_core.training import fit

DRAWS = 1000
"""Samples of w for what has no closed form: probabilities of three classes or more."""
ONE_TASK = "all rows"
"""Name of the task of a table without a task column."""


class Given(NamedTuple):
    """Rows as they came, taken apart."""

    inputs: pd.DataFrame
    task: pd.Series
    exposure: np.ndarray | None


class Asked(NamedTuple):
    """Rows as the core takes them, and what it says of them."""

    x: Tensor
    ids: Tensor
    index: Any
    exposure: np.ndarray | None
    answer: Predictive


class VMTLEstimator(Telling, BaseEstimator):
    """A multi-task model of a table. The estimators' common part; see `VMTLRegressor`."""

    target_name = "y"

    def __init__(
        self,
        task: Any = None,
        *,
        sources: str = "own",
        neighbours: int | None = None,
        missing: str = "indicate",
        unseen: str = "predict",
        steps: int = 2000,
        average: bool = True,
        seed: int = 0,
        progress: bool = False,
    ):
        self.task = task
        self.sources = sources
        self.neighbours = neighbours
        self.missing = missing
        self.unseen = unseen
        self.steps = steps
        self.average = average
        self.seed = seed
        self.progress = progress

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "indicate"
        return tags

    def fit(
        self, X: Any, y: Any = None, task: Any = None, *, target: Any = None, inputs: Any = None
    ) -> Self:
        """Fit to a table, by the names of its columns, or to X and y.

        Args:
            X: a data frame, one row an example; or with `y` an array too, (N, D).
            y: the target, (N,); None with `target`.
            task: the rows' tasks, (N,), if no column of X is; with `target`, a column's name.
            target: name of the target's column. `predict` then answers with a data frame.
            inputs: names of the input columns; None for all but target, task and exposure.

        Returns:
            The estimator itself.

        Raises:
            ValueError: for what can't be fitted, with the column's name and the first such row.

        Warns:
            IdentificationWarning: once, which inputs are left out, being constant or made up by
                others.
            ConvergenceWarning: it stopped before the objective had settled.
        """
        return self._fit(X, y, task, target, inputs, None)

    def _fit(self, X: Any, y: Any, task: Any, target: Any, inputs: Any, exposure: Any) -> Self:
        one_of("missing", self.missing, ("indicate", "raise"))
        one_of("unseen", self.unseen, ("predict", "raise"))
        self.frame_style_ = target is not None
        self.target_name_ = self.target_name if target is None else target
        self.task_name_ = self.task
        self.exposure_name_, self.exposed_ = None, True
        if self.frame_style_:
            require(y is None, "`y` must be None with `target`, which names its column")
            y, task, exposure = self._by_name(X, task, target, inputs, exposure)
        elif y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        given = self._read(X, task, exposure, reset=True)
        y = self._values(y, given.task.index)
        self.exposed_ = given.exposure is not None
        self._learn(y)
        self.tasks_ = names_of(given.task)
        self.inputs_ = Inputs.fit(given.inputs, self.missing)
        self.rows_ = pd.Series(given.task).value_counts().reindex(self.tasks_).tolist()
        ids = ids_of(given.task, self.tasks_, len(self.tasks_), "raise")
        x, y = self.inputs_.design(given.inputs), self._coded(y)
        self.model_ = self._build(len(self.tasks_), x.shape[1], given.exposure, y)
        self.history_ = fit(
            self.model_,
            x,
            y,
            ids,
            steps=self.steps,
            seed=self.seed,
            progress=self.progress,
            method="coordinate",
            average=self.average,
        )
        self._settle(x, y, ids)
        return self

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

    def add(self, X: Any, y: Any = None, task: Any = None, exposure: Any = None) -> Self:
        """Take in new rows of known or new tasks, without fitting the others anew.

        Only the sites of these tasks and their E-step are computed, (5.15) and (5.16); population,
        noise and the other tasks stay as they are. For a few rows that is a whole fit's answer to
        within a fraction of its sd; after many, fit anew.

        Args:
            X, y, task, exposure: as in `fit`; with a named target, a table that has its column.

        Returns:
            The estimator itself.

        Raises:
            ValueError: for rows that can't be read, or a fit that `add` can't go on from: with
                other `sources` than "own".

        Warns:
            UnseenWarning: levels or gaps that the fit hasn't seen.
        """
        check_is_fitted(self)
        require(self.sources == "own", f"`add` needs sources='own'; got {self.sources!r}")
        y = self._coded(self._truth(X, y))
        given = self._read(X, task, exposure, reset=False)
        tasks = len(self.tasks_)
        names = names_of(given.task)
        every = [*self.tasks_, *(name for name in names if name not in self.tasks_)]
        members = [every.index(name) for name in names]
        ids = ids_of(given.task, names, len(names), "raise")
        x = self.inputs_.design(given.inputs)
        likelihood = self._row_likelihood(given.exposure, y)
        packed = dict(self.history_.optimizer["coordinate"])
        found = added(self.model_, packed, tasks, Rows(x, y, ids, members, likelihood))
        counts = torch.bincount(ids).tolist()
        self.rows_ = [*self.rows_, *[0] * (len(every) - tasks)]
        self.task_elbo_ = [*self.task_elbo_, *[np.nan] * (len(every) - tasks)]
        for t, count in zip(members, counts, strict=True):
            self.rows_[t] += count
            self.task_elbo_[t] = np.nan  # of other rows than a fit's
        old, self.tasks_ = self.model_, every
        log_unit = self.log_unit_
        self.model_ = self._build(len(every), x.shape[1], None, y)
        self.log_unit_ = log_unit
        enlarge(old, self.model_, tasks)
        put(self.model_, members, found)
        remember(packed, tasks, members, found)
        self.history_.optimizer = {**self.history_.optimizer, "coordinate": packed}
        return self

    def _row_likelihood(self, exposure: np.ndarray | None, y: Tensor) -> Any:
        """The fitted likelihood, for new rows."""
        return self.model_.posteriors.likelihood

    def save(self, path: str | os.PathLike[str]) -> None:
        """Keep the fitted model in one file, which `vmtl_core.load` reads, anywhere.

        It holds tensors and text, no code; and of the rows no more than how many each task has.
        Written aside and renamed: `path` is the old file or the new one, whole.

        Args:
            path: where to.

        Raises:
            ValueError: for names of tasks, levels or classes that are no text, number or date.
        """
        check_is_fitted(self)
        write(path, packed(self))

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

    def _build(
        self, tasks: int, size: int, exposure: np.ndarray | None, y: Tensor
    ) -> MultiTaskELBO:
        """The core's model of so many tasks and inputs; a lone task has an empty one beside it."""
        event = (size, *self._outputs())
        count = max(tasks, 2)
        numbers = count * size * int(np.prod(event))
        require(
            size <= FULL_ROWS and numbers <= FULL_NUMBERS,
            f"`inputs` must make at most {FULL_ROWS} coded columns, and columns squared times tasks "
            f"at most {FULL_NUMBERS:,}; got {size} columns and {count} tasks",
        )
        sizes = [*self.rows_, *[0] * (count - tasks)]
        model = MultiTaskELBO(
            self._likelihood(exposure, y),
            GaussianWeights(count, event),
            task_sizes=[max(one, 1) for one in sizes],
            sources=self.sources,
            neighbours=self.neighbours,
        ).double()
        model.task_sizes = torch.tensor(sizes)
        return model

    def _learn(self, y: pd.Series) -> None:
        """What the target's values say beforehand: its classes."""

    def _outputs(self) -> tuple[int, ...]:
        """Columns of w beside its rows: none, or one for each of several classes."""
        return ()

    def _settle(self, x: Tensor, y: Tensor, ids: Tensor) -> None:
        """What is kept of the fitted rows: how well each task's are explained."""
        with torch.no_grad():
            generator = torch.Generator().manual_seed(self.seed)
            terms = self.model_(x, y, ids, generator=generator)
        self.task_elbo_ = (terms.log_likelihood - terms.kl_weights).tolist()[: len(self.tasks_)]

    def _likelihood(self, exposure: np.ndarray | None, y: Tensor) -> Any:
        raise NotImplementedError

    def _coded(self, y: pd.Series) -> Tensor:
        """The target as the core takes it, (N,), float64."""
        raise NotImplementedError

    def _ask(self, X: Any, task: Any = None, exposure: Any = None) -> Asked:
        """What the core says of new rows."""
        check_is_fitted(self)
        given = self._read(X, task, exposure, reset=False)
        ids = ids_of(given.task, self.tasks_, self.model_.tasks, self.unseen)
        x = self.inputs_.design(given.inputs)
        generator = torch.Generator().manual_seed(self.seed)
        answer = predictive(self.model_, x, ids, weight_samples=DRAWS, generator=generator)
        return Asked(x, ids, given.task.index, given.exposure, answer)

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
        f"`X` must have the columns {missing}; it has {told.some(X.columns)}",
    )
