"""Names of tasks, of any type, and their ids."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch

from vmtl_core._checks import require
from vmtl_core.table import told
from vmtl_core.table.kinds import gaps, in_order


def names_of(values: pd.Series) -> list[Any]:
    """The tasks' names in order, each once.

    Raises:
        ValueError: for a row without a task.
    """
    empty = gaps(values)
    if empty.any():
        raise ValueError(
            f"task column {values.name!r} must name a task in every row; missing (NaN) in "
            f"{told.rows(empty, values.index)}. If a task is called 'N/A', 'NA' or 'None', "
            "pandas has read it as missing: read the file by `vmtl_core.table.read_csv`"
        )
    return in_order([told.plain(one) for one in pd.unique(values)])


def ids_of(values: pd.Series, names: list[Any], first_unseen: int, unseen: str) -> torch.Tensor:
    """Ids of the rows' tasks, (N,): the place among `names`, or `first_unseen` and above.

    Args:
        values: the task column.
        names: of the fitted tasks.
        first_unseen: id of the first task that isn't among them.
        unseen: "predict", which warns once, or "raise".

    Raises:
        ValueError: for a row without a task, or with `unseen="raise"` of an unseen one.

    Warns:
        UnseenWarning: how many rows are of how many unseen tasks.
    """
    present = names_of(values)
    place = {name: i for i, name in enumerate(names)}
    new = [name for name in present if name not in place]
    place |= {name: first_unseen + i for i, name in enumerate(new)}
    codes, uniques = pd.factorize(values)
    ids = np.array([place[told.plain(one)] for one in uniques], dtype=np.int64)[codes]
    if new:
        where = told.rows(ids >= first_unseen, values.index)
        listed = f"{len(new)} task{'s' if len(new) > 1 else ''} that the fit has not seen"
        message = f"task column {values.name!r} names {listed}, {told.some(new)}, in {where}"
        require(unseen == "predict", f"{message}; `unseen='predict'` predicts them all the same")
        warnings.warn(
            f"{message}; they are predicted from what all tasks have in common",
            told.UnseenWarning,
            stacklevel=5,
        )
    return torch.from_numpy(ids)
