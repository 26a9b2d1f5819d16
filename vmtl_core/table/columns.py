"""Inputs of a table as numbers: what each column is, and how new rows are coded alike."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from vmtl_core._checks import require
from vmtl_core.table import told
from vmtl_core.table.kinds import gaps, kind_of, numbers, text_levels


@dataclass
class Column:
    """One input column.

    Args:
        name: as in the table.
        kind: "number", "yes/no", "levels" (one-hot, without the reference) or "ordered" (0, 1, ...).
        levels: of the latter two, in order; the reference is the commonest.
        reference: its place among the levels.
        indicator: whether a further input says that the value is missing.
        mean: of each coded input in the fitted rows, which stands for gaps and unseen levels.
    """

    name: Any
    kind: str
    levels: list[Any]
    reference: int
    indicator: bool
    mean: list[float]

    @classmethod
    def fit(cls, values: pd.Series, missing: str) -> Column:
        """Learn the coding from the fitted rows.

        Raises:
            ValueError: for what can't be an input, named with its first row.
        """
        kind, levels, reference = kind_of(values), [], 0
        empty = gaps(values)
        require(
            missing == "indicate" or not empty.any(),
            f"column {values.name!r} must have a value in every row; missing (NaN) in "
            f"{told.rows(empty, values.index)}: fill them, or set `missing='indicate'`",
        )
        if kind in ("levels", "ordered"):
            levels = text_levels(values, kind)
            counts = values.dropna().value_counts()
            reference = max(range(len(levels)), key=lambda i: counts.get(levels[i], 0), default=0)
        one = cls(values.name, kind, levels, reference, False, [])
        coded = one._code(values)
        one.mean = [0.0] * coded.shape[1] if empty.all() else coded[~empty].mean(0).tolist()
        one.indicator = bool(empty.any() and not empty.all())
        return one

    @property
    def inputs(self) -> list[str]:
        """Names of the coded inputs."""
        if self.kind == "levels":
            rest = [one for i, one in enumerate(self.levels) if i != self.reference]
            names = [f"{self.name}[{level}]" for level in rest]
        else:
            names = [str(self.name)]
        return [*names, f"{self.name} is missing"] if self.indicator else names

    def _code(self, values: pd.Series) -> np.ndarray:
        """The inputs without the indicator, NaN where nothing is known, (N, k)."""
        if not self.levels and self.kind in ("number", "yes/no"):
            return numbers(values)[:, None]
        place = pd.Index(self.levels, dtype=object).get_indexer(values.astype(object))
        known = place >= 0
        if self.kind == "ordered":
            return np.where(known, place, np.nan)[:, None]
        if len(self.levels) < 2:
            return np.zeros((len(values), 0))
        encoder = OneHotEncoder(
            categories=[np.arange(len(self.levels))],
            drop=[self.reference],
            sparse_output=False,
        ).fit(np.arange(len(self.levels))[:, None])
        coded = encoder.transform(np.where(known, place, 0)[:, None])
        coded[~known] = np.nan
        return coded

    def encode(self, values: pd.Series) -> np.ndarray:
        """Coded inputs of new rows, (N, k).

        Raises:
            ValueError: for what isn't a number in a column of numbers, or infinite.

        Warns:
            UnseenWarning: levels, or gaps, that the fit has not seen.
        """
        coded, empty = self._code(values), gaps(values)
        if self.levels and len(self.levels) > 1:
            unseen = np.isnan(coded).any(1) & ~empty
            if unseen.any():
                names = told.some(pd.unique(values[unseen]))
                self._tell(f"holds levels that the fit has not seen, {names}", unseen, values)
        if empty.any() and not self.indicator and coded.shape[1]:
            self._tell("has no value, and had one in every fitted row", empty, values)
        coded = np.where(np.isnan(coded), np.asarray(self.mean), coded)
        return np.column_stack([coded, empty]) if self.indicator else coded

    def _tell(self, what: str, where: np.ndarray, values: pd.Series) -> None:
        warnings.warn(
            f"column {self.name!r} {what}, in {told.rows(where, values.index)}; they are taken as "
            "the mean of the fitted rows",
            told.UnseenWarning,
            stacklevel=6,
        )
