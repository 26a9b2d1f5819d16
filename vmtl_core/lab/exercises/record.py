"""The record of what was checked, as a table; it outlives the kernel where it has a file."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vmtl_core.lab.exercises.engine import Exercise, Result
from vmtl_core.lab.exercises.kept import Answer, Kept, Unreadable

if TYPE_CHECKING:
    import pandas as pd

Found = TypeVar("Found")
NOT_TRIED = "not tried"
COLUMNS = ("title", "stars", "verdict", "tries", "time")


def nowhere() -> None:
    """No file."""
    return


class Record:
    """The last answer to every exercise, how often it was tried, and which hints were given.

    Args:
        place: says where the file of answers lies, or None for none; asked when it is first needed.
    """

    def __init__(self, place: Callable[[], Path | None] = nowhere) -> None:
        self._place: Callable[[], Path | None] | None = place
        self._file: Kept | None = None
        self._answers: dict[str, Answer] = {}
        self._unsaved: dict[str, Answer] = {}
        self._earlier: set[str] = set()
        self._stubs: set[str] = set()
        self._hinted: set[str] = set()

    def add(self, result: Result) -> None:
        """Take a result up; one of the stub is no try, and takes no answer of before the kernel away."""
        self._open()
        number = result.number
        if not result.attempted:
            self._stubs |= {number} - self._earlier
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        answer = Answer(result.verdict, 1, now)
        self._answers[number] = answer.after(self._answers.get(number))
        self._unsaved[number] = answer.after(self._unsaved.get(number))
        self._stubs.discard(number)
        self._earlier.discard(number)
        self._save()

    def seen(self) -> set[str]:
        """The numbers of the exercises that were checked."""
        self._open()
        return self._answers.keys() | self._stubs

    def forget(self) -> None:
        """Forget all answers, those in the file too."""
        self._open()
        for one in (self._answers, self._unsaved, self._earlier, self._stubs):
            one.clear()
        self._with_file(Kept.forget)

    def hint(self, exercise: Exercise) -> str:
        """The first hint of an exercise, and from the second call on the second."""
        first = exercise.nudge and exercise.number not in self._hinted
        self._hinted.add(exercise.number)
        if first:
            return f'{exercise.nudge}\nhint("{exercise.number}") again says more.'
        return exercise.hint

    def table(self, exercises: Sequence[Exercise]) -> "pd.DataFrame":
        """One row for each of `exercises`, indexed by its number: title, stars, verdict, tries, time."""
        import pandas as pd

        rows = [(e.title, e.stars, *self._last(e.number)) for e in exercises]
        numbers = pd.Index([e.number for e in exercises], name="exercise", dtype="str")
        return pd.DataFrame(rows, numbers, COLUMNS)

    def _last(self, number: str) -> Answer:
        answer = self._answers.get(number, Answer(NOT_TRIED, 0, ""))
        return Answer(NOT_TRIED, answer.tries, "") if number in self._stubs else answer

    def _open(self) -> None:
        """Read the file, once."""
        if self._place is None:
            return
        path, self._place = self._place(), None
        self._file = None if path is None else Kept(path)
        self._merge(self._with_file(Kept.read))

    def _save(self) -> None:
        """Write what the file lacks; where that can't be done now, it is with the next answer."""
        found = self._with_file(lambda file: file.add(self._unsaved))
        if found is not None:
            self._unsaved = {}
            self._merge(found)

    def _merge(self, found: dict[str, Answer] | None) -> None:
        """Take up what the file holds, by other notebooks or of an earlier kernel."""
        if found is not None:
            self._earlier |= found.keys() - self._answers.keys()
            self._answers = found

    def _with_file(self, act: Callable[[Kept], Found]) -> Found | None:
        """What is done with the file; None where there is none, or it can't be done now."""
        if self._file is None:
            return None
        try:
            return act(self._file)
        except Unreadable as why:
            return self._anew(self._file, act, why)
        except OSError:
            return None

    def _anew(self, file: Kept, act: Callable[[Kept], Found], why: Unreadable) -> Found | None:
        """The same with a new file, the one that can't be read put aside."""
        try:
            aside = file.put_aside()
            if aside is not None:
                print(f"{file.path.name} can't be read, {why}: it is kept as {aside.name}, and a new record begins.")  # fmt: skip
            return act(file)
        except (Unreadable, OSError):
            print(f"{file.path.name} can't be read, {why}: answers are remembered until the kernel stops.")  # fmt: skip
            self._file = None
            return None
