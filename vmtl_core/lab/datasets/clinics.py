"""The messy table of chapter 0, simulated: patients of rehabilitation clinics."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd

from vmtl_core.table import read_csv

INPUTS = ("age", "diagnosis", "aid", "smoker", "walk_before")
"""The columns that may say something of `walk_after`; the rest are names, dates and remarks."""


def clinics() -> tuple[pd.DataFrame, pd.DataFrame]:
    """244 simulated patients of 14 clinics, and 40 new ones, some of a clinic that is new too.

    The target `walk_after` is how many metres a patient walks in six minutes after twelve weeks;
    `walk_before` how many on admission. One clinic is called N/A; there are gaps, text, dates, a
    constant column, and clinics of 3 to 48 patients. `tools/make_clinics.py` made it, and holds
    the truth behind it. The new patients' table has their target too, to be compared with.

    >>> table, new = clinics()
    >>> len(table), table["clinic"].nunique(), "N/A" in set(table["clinic"]), len(new)
    (244, 14, True, 40)
    """
    return tuple(read_csv(table_file(name), task="clinic") for name in ("clinics", "clinics_new"))  # type: ignore[return-value]


def table_file(name: str) -> Path:
    """Where a table that ships lies, `name`.csv.gz.

    Raises:
        ValueError: if no such table ships.
    """
    with as_file(files("vmtl_core.lab") / "data" / f"{name}.csv.gz") as path:
        if not path.is_file():
            raise ValueError(f"`name` must be that of a table in vmtl_core/lab/data; got {name!r}")
        return path
