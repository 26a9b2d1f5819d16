"""The record of what was checked, as a table."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmtl_core.lab.exercises.engine import Exercise, Result

if TYPE_CHECKING:
    import pandas as pd

NOT_TRIED = "not tried"
COLUMNS = ("title", "verdict", "tries")


class Record:
    """The last result of every exercise, and how often it was tried."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.tries: Counter[str] = Counter()

    def add(self, result: Result) -> None:
        """Take a result up; one of the stub is no try."""
        self.results[result.number] = result
        self.tries[result.number] += result.attempted

    def table(self, exercises: Sequence[Exercise]) -> "pd.DataFrame":
        """One row for each of `exercises`, indexed by its number: title, verdict, tries."""
        import pandas as pd

        rows = [(e.title, self._verdict(e.number), self.tries[e.number]) for e in exercises]
        numbers = pd.Index([e.number for e in exercises], name="exercise", dtype="str")
        return pd.DataFrame(rows, numbers, COLUMNS)

    def _verdict(self, number: str) -> str:
        return self.results[number].verdict if number in self.results else NOT_TRIED
