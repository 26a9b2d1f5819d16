"""How errors and warnings name rows, columns and values of a table."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np

SHOWN = 5


class UnseenWarning(UserWarning):
    """New rows hold tasks, levels or gaps that the fit has not seen."""


def rows(bad: Any, index: Any) -> str:
    """How many rows are bad, and which is the first, by position and index label.

    Args:
        bad: booleans, (N,).
        index: the labels, (N,).
    """
    places = np.flatnonzero(np.asarray(bad))
    if not len(places):
        return "no row"
    first = int(places[0])
    label = plain(index[first])
    count = f"{len(places)} row{'s' if len(places) > 1 else ''}"
    return f"{count} of {len(index)}, the first at position {first} (index label {label!r})"


def plain(value: Any) -> Any:
    """A numpy scalar as Python's own, all else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def meant(name: Any, names: Iterable[Any]) -> str:
    """The one of `names` that is nearest to a misspelt one, for the end of a message; or nothing."""
    spelt = {str(one).lower(): plain(one) for one in names}
    near = get_close_matches(str(name).lower(), spelt, 1)
    return f"; did you mean {spelt[near[0]]!r}?" if near else ""


def some(values: Iterable[Any]) -> str:
    """The first few values, for a message."""
    found = [plain(value) for value in values]
    listed = ", ".join(repr(value) for value in found[:SHOWN])
    return listed if len(found) <= SHOWN else f"{listed} and {len(found) - SHOWN} more"
