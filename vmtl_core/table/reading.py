"""Tables from disk."""

from typing import Any

import pandas as pd

from vmtl_core._checks import require

BLANK = {"#N/A", "#NA", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null", "None", "<NA>", "-nan"}
"""What is read as missing in all columns but the task's, beside nothing at all."""


def read_csv(path: Any, task: str, **options: Any) -> pd.DataFrame:
    """pandas' `read_csv`, but a task may be called "N/A", "NA" or "None".

    In the task column only an empty field is missing; pandas would read those names as missing
    too, and every such row would be of no task.

    Args:
        path: file, address or open file, as pandas takes it.
        task: name of the task column.
        options: passed to `pandas.read_csv`, such as `sep=";"`, `decimal=","`, `thousands="."`.

    Raises:
        ValueError: if there is no such column.

    Example:
        >>> from io import StringIO
        >>> read_csv(StringIO("clinic,age\\nN/A,31\\nEast,N/A"), task="clinic")["clinic"].tolist()
        ['N/A', 'East']
    """
    point, groups = options.pop("decimal", "."), options.pop("thousands", None)
    table = pd.read_csv(path, keep_default_na=False, na_values={task: [""]}, dtype=str, **options)
    require(
        task in table.columns,
        f"`task` must be a column of the table, one of {list(table.columns)}; got {task!r}",
    )
    for name in table.columns:
        values = table[name]
        if name != task:
            values = values.mask(values.str.strip().isin(BLANK | {""}))
        table[name] = _typed(values, point, groups)
    return table


def _typed(values: pd.Series, point: str, groups: str | None) -> pd.Series:
    """Text that is numbers, or true and false, throughout as such."""
    filled = values.dropna()
    if len(filled) and filled.isin(["True", "False", "TRUE", "FALSE", "true", "false"]).all():
        found = values.str.lower().map({"true": True, "false": False})
        return found.astype(bool) if len(filled) == len(values) else found.astype("boolean")
    digits = filled[filled.str.match(r"0\d")]
    numbers = values if groups is None else values.str.replace(groups, "", regex=False)
    if point != ".":
        other = numbers.str.contains(".", regex=False, na=False)
        numbers = numbers.mask(other).str.replace(point, ".", regex=False)
    parsed = pd.to_numeric(numbers, errors="coerce")
    return (
        parsed
        if len(digits) == 0 and len(filled) and parsed[filled.index].notna().all()
        else values
    )
