"""A fitted model takes in new rows, and is kept in a file."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from vmtl_core._checks import require
from vmtl_core.saving import write
from vmtl_core.table.adding import Rows, added
from vmtl_core.table.enlarging import enlarge, put, remember
from vmtl_core.table.given import Reading
from vmtl_core.table.packed import packed
from vmtl_core.table.tasks import ids_of, names_of
from vmtl_core.table.threads import one_thread


class Growing(Reading):
    """Methods of a fitted estimator that change or keep it."""

    model_: Any
    history_: Any
    inputs_: Any
    tasks_: list[Any]
    rows_: list[int]
    task_elbo_: list[float]
    log_unit_: float
    _coded: Any
    _build: Any

    @one_thread()
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
                `sources` "previous" or "joint".

        Warns:
            UnseenWarning: levels or gaps that the fit hasn't seen.
        """
        check_is_fitted(self)
        kind = self.model_.sources
        require(kind in ("own", "groups"), f"`add` needs sources='groups' or 'own'; got {kind!r}")
        y = self._coded(self._truth(X, y))
        given = self._read(X, task, exposure, reset=False)
        tasks = len(self.tasks_)
        names = names_of(given.task)
        every = [*self.tasks_, *(name for name in names if name not in self.tasks_)]
        members = [every.index(name) for name in names]
        ids = ids_of(given.task, names, len(names), "raise")
        x = self.inputs_.design(given.inputs)
        likelihood = self._row_likelihood(given.exposure, y)
        state = dict(self.history_.optimizer["coordinate"])
        found = added(self.model_, state, tasks, Rows(x, y, ids, members, likelihood))
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
        remember(state, tasks, members, found)
        self.history_.optimizer = {**self.history_.optimizer, "coordinate": state}
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
