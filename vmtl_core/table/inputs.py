"""All inputs of a table as one design: coded columns, what is left out, and a column of ones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from vmtl_core._checks import require
from vmtl_core.history import IdentificationWarning
from vmtl_core.table.columns import Column
from vmtl_core.units import MANY_INPUTS, unidentified

INTERCEPT = "intercept"


@dataclass
class Inputs:
    """How rows become a design (N, D): the inputs that are kept, then ones.

    Args:
        columns: the table's.
        kept: which coded inputs the design has.
        left_out: coded inputs that it hasn't, and why.
        scale: what each is divided by: 1, but its sd where there are more than 50, which the core
            would give one unit.
    """

    columns: list[Column]
    kept: list[int]
    left_out: dict[str, str]
    scale: list[float]

    @classmethod
    def fit(cls, frame: pd.DataFrame, missing: str) -> Inputs:
        """Learn the coding, and leave out what the rows say nothing of.

        Raises:
            ValueError: for a column that can't be an input, named with its first row.

        Warns:
            IdentificationWarning: once, which inputs are left out.
        """
        columns = [Column.fit(frame[name], missing) for name in frame.columns]
        made = cls(columns, [], {}, [])
        coded, names = made._coded(frame), [one for column in columns for one in column.inputs]
        require(
            len(names) == len(set(names)),
            f"columns must have names that differ, as text too; got {names}",
        )
        made.left_out = _left_out(coded, names)
        made.kept = [i for i, name in enumerate(names) if name not in made.left_out]
        spread = coded[:, made.kept].std(0)
        made.scale = spread.tolist() if len(made.kept) > MANY_INPUTS else [1.0] * len(made.kept)
        if made.left_out:
            listed = "; ".join(f"{name!r} ({why})" for name, why in made.left_out.items())
            warnings.warn(
                f"left out of the inputs, for the rows say nothing of it: {listed}",
                IdentificationWarning,
                stacklevel=5,
            )
        return made

    @property
    def names(self) -> list[str]:
        """Of the design's columns; the last is the intercept."""
        every = [one for column in self.columns for one in column.inputs]
        return [*(every[i] for i in self.kept), INTERCEPT]

    @property
    def unit(self) -> np.ndarray:
        """What the design's weights are divided by to be those of the inputs, (D,)."""
        return np.array([*self.scale, 1.0])

    def _coded(self, frame: pd.DataFrame) -> np.ndarray:
        parts = [column.encode(frame[column.name]) for column in self.columns]
        return np.column_stack([np.zeros((len(frame), 0)), *parts])

    def design(self, frame: pd.DataFrame) -> torch.Tensor:
        """(N, D), float64."""
        coded = self._coded(frame)[:, self.kept] / np.asarray(self.scale)
        return torch.from_numpy(np.column_stack([coded, np.ones(len(frame))]))


def _left_out(coded: np.ndarray, names: list[str]) -> dict[str, str]:
    """Constant inputs, and those that others make up."""
    constant = coded.max(0) == coded.min(0) if len(coded) else np.zeros(len(names), bool)
    found = {name: "constant" for name, same in zip(names, constant, strict=True) if same}
    varies = [i for i, same in enumerate(constant) if not same]
    standard = coded[:, varies]
    standard = (standard - standard.mean(0)) / standard.std(0)
    seen: dict[bytes, str] = {}
    for i, column in zip(varies, standard.T, strict=True):
        twin = seen.setdefault(column.tobytes(), names[i])
        if twin != names[i]:
            found[names[i]] = f"the same as {twin!r}"
    rest = [j for j, i in enumerate(varies) if names[i] not in found]
    wide = torch.from_numpy(np.column_stack([standard[:, rest], np.ones(len(coded))]))
    for j, why in unidentified(wide, 1e-10).items():
        found[names[varies[rest[j]]]] = why
    return found
