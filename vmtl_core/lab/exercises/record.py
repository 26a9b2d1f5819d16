"""The record of what was checked, as a table."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmtl_core.lab.exercises.engine import Exercise, Result

if TYPE_CHECKING:
    import pandas as pd

NOT_TRIED = "not tried"
COLUMNS = ("title", "stars", "verdict", "tries")


class Record:
    """The last result of every exercise, how often it was tried, and which hints were given."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.tries: Counter[str] = Counter()
        self._hinted: set[str] = set()

    def add(self, result: Result) -> None:
        """Take a result up; one of the stub is no try."""
        self.results[result.number] = result
        self.tries[result.number] += result.attempted

    def hint(self, exercise: Exercise) -> str:
        """The first hint of an exercise, and from the second call on the second."""
        first = exercise.nudge and exercise.number not in self._hinted
        self._hinted.add(exercise.number)
        if first:
            return f'{exercise.nudge}\nhint("{exercise.number}") again says more.'
        return exercise.hint

    def table(self, exercises: Sequence[Exercise]) -> "pd.DataFrame":
        """One row for each of `exercises`, indexed by its number: title, stars, verdict, tries."""
        import pandas as pd

        rows = [
            (e.title, e.stars, self._verdict(e.number), self.tries[e.number]) for e in exercises
        ]
        numbers = pd.Index([e.number for e in exercises], name="exercise", dtype="str")
        return pd.DataFrame(rows, numbers, COLUMNS)

    def _verdict(self, number: str) -> str:
        return self.results[number].verdict if number in self.results else NOT_TRIED
