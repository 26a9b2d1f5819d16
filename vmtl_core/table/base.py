"""What the three estimators share: reading a table, fitting the core, asking it."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from vmtl_core._checks import one_of, require
from vmtl_core.answers import Predictive
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.posteriors import FULL_NUMBERS, FULL_ROWS, GaussianWeights
from vmtl_core.predictive import predictive
from vmtl_core.table.drawing import Drawing
from vmtl_core.table.growing import Growing
from vmtl_core.table.inputs import Inputs
from vmtl_core.table.sampling import Sampling
from vmtl_core.table.tasks import ids_of, names_of
from vmtl_core.table.telling import Telling
from vmtl_core.table.threads import one_thread
from vmtl_core.training import fit

DRAWS = 1000
"""Samples of w for what has no closed form: probabilities of three classes or more."""


class Asked(NamedTuple):
    """Rows as the core takes them, and what it says of them."""

    x: Tensor
    ids: Tensor
    index: Any
    exposure: np.ndarray | None
    answer: Predictive


class VMTLEstimator(Growing, Telling, Drawing, Sampling, BaseEstimator):
    """A multi-task model of a table. The estimators' common part; see `VMTLRegressor`."""

    target_name = "y"

    def __init__(
        self,
        task: Any = None,
        *,
        sources: str = "auto",
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
        with one_thread():
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
        with one_thread():
            answer = predictive(self.model_, x, ids, weight_samples=DRAWS, generator=generator)
        return Asked(x, ids, given.task.index, given.exposure, answer)
