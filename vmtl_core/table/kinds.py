"""What kind of input a column of a table is, and its values as numbers."""

import re
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from vmtl_core._checks import require
from vmtl_core.table import told

MOST_LEVELS = 100
"""Text with more different values than that is taken for names or remarks, not for levels."""

COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
"""A number as much of Europe writes it."""


def gaps(values: pd.Series) -> np.ndarray:
    """Where a column has no value, (N,), boolean."""
    return np.asarray(values.isna(), dtype=bool)


def kind_of(values: pd.Series) -> str:
    """ "number", "yes/no", "levels" or "ordered".

    Raises:
        ValueError: for dates, complex numbers, lists and text that is neither numbers nor levels.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "ordered" if dtype.ordered else "levels"
    if types.is_bool_dtype(dtype):
        return "yes/no"
    if types.is_complex_dtype(dtype):
        raise ValueError(f"column {values.name!r} must be real; Complex data not supported")
    if types.is_numeric_dtype(dtype):
        return "number"
    text = types.is_object_dtype(dtype) or types.is_string_dtype(dtype)
    require(
        text,
        f"column {values.name!r} holds {dtype}, which is no input: make numbers of it (days since "
        "a date, say), or leave it out of `inputs`",
    )
    return _kind_of_text(values, values[~gaps(values)])


def _kind_of_text(values: pd.Series, filled: pd.Series) -> str:
    """The kind of a column of objects."""
    odd = np.array([isinstance(one, list | dict | set | np.ndarray) for one in values], dtype=bool)
    require(
        not odd.any(),
        f"column {values.name!r} must hold numbers, booleans or text; argument must be a string or "
        f"a number, and isn't in {told.rows(odd, values.index)}",
    )
    if len(filled) and all(isinstance(one, bool | np.bool_) for one in filled):
        return "yes/no"
    parsed = pd.to_numeric(filled.astype(object), errors="coerce").notna()
    codes = any(
        isinstance(one, str) and len(one) > 1 and one[0] == "0" and one.isdigit() for one in filled
    )
    if parsed.all() and not codes:
        return "number"
    if parsed.mean() > 0.5 and not parsed.all():
        _refuse_text(values, ~parsed.reindex_like(filled).to_numpy(), filled)
    elif len(filled) and all(COMMA.fullmatch(str(one)) for one in filled):
        raise ValueError(
            f"column {values.name!r} must hold numbers; {told.plain(filled.iloc[0])!r} has a comma for "
            "the point: read the file with `decimal=','`, or make the column a category"
        )
    return "levels"


def _refuse_text(values: pd.Series, bad: np.ndarray, filled: pd.Series) -> None:
    where = np.zeros(len(values), dtype=bool)
    where[np.flatnonzero(~gaps(values))[bad]] = True
    first = told.plain(values[where].iloc[0])
    raise ValueError(
        f"column {values.name!r} must hold numbers; {first!r} isn't one, in "
        f"{told.rows(where, values.index)}: correct it, or make it a category"
    )


def text_levels(values: pd.Series, kind: str) -> list[Any]:
    """The levels of a column: a category's own order, else sorted.

    Raises:
        ValueError: if there are too many to be levels.
    """
    if kind == "ordered":
        return [told.plain(one) for one in values.cat.categories]
    found = [told.plain(one) for one in pd.unique(values.dropna())]
    require(
        len(found) <= MOST_LEVELS,
        f"column {values.name!r} holds {len(found)} different values, too many for levels (at most "
        f"{MOST_LEVELS}): {told.some(found)}. Leave it out of `inputs`, or make it the task",
    )
    return in_order(found)


def in_order(values: list[Any]) -> list[Any]:
    """Sorted, or where types don't compare by type and text."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda one: (type(one).__name__, str(one)))


def numbers(values: pd.Series) -> np.ndarray:
    """A column as float64, NaN for gaps.

    Raises:
        ValueError: for what isn't a number, and for infinity.
    """
    empty = gaps(values)
    plain = values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values
    parsed = pd.to_numeric(plain, errors="coerce")
    found = parsed.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    bad = np.isnan(found) & ~empty
    if bad.any():
        _refuse_text(values, bad[~empty], values[~empty])
    infinite = np.isinf(found)
    require(
        not infinite.any(),
        f"column {values.name!r} must be finite; infinity (inf) in "
        f"{told.rows(infinite, values.index)}",
    )
    return found
