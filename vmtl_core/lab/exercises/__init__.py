"""Exercises of the chapters: `check("4.2", answer)` judges an answer, `hint("4.2")` helps.

`progress()` is the table of what was checked, and `python -m vmtl_core.lab.exercises FOLDER` that of a
folder of answers.

Each chapter has a module here, `chapter_04.py` for chapter 4, with a list `EXERCISES`; it is imported
when one of its exercises is asked for.
"""

from importlib import import_module
from os import PathLike
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from vmtl_core.lab.exercises.engine import NUMBER, Exercise, Result, judge
from vmtl_core.lab.exercises.kept import place
from vmtl_core.lab.exercises.record import Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check", "hint", "progress"]

_CHECKED = Record(place)


def check(number: str, answer: Any) -> Result:
    """Print whether an answer is right and, if not, which known mistake it is.

    An answer that is not there yet, or that raises, is told so; nothing is raised.

    Args:
        number: of the exercise, such as "4.2".
        answer: the function or value that the exercise asks for.

    Returns:
        The verdict, with `.correct`, `.message`, `.mistake` (the mistake's name, or None) and
        `.attempted` (False of the stub).

    Raises:
        ValueError: if there is no such exercise.
    """
    exercise = find(number)
    result = judge(exercise, answer)
    _CHECKED.add(result)
    print(f"Exercise {exercise.number}: {result.message}")
    return result


def progress(path: str | PathLike[str] | None = None, *, forget: bool = False) -> "pd.DataFrame":
    """What was checked: one row an exercise.

    It lists every exercise of the chapters of which one was checked. The last answer counts.
    In a notebook that was opened in JupyterLab or Colab answers outlive a restart of the kernel: they lie
    beside it, in `.vmtl_answers.json`. The environment variable `VMTL_ANSWERS` names another file, or
    is "off" for none; a program that executes notebooks, such as nbconvert, keeps none.

    Args:
        path: a file to keep the table in as CSV, for a teacher; None to keep none.
        forget: whether to forget all answers afterwards, those in the file too.

    Returns:
        Indexed by `exercise`, the number; columns `title`, `stars`, `verdict` ("correct", "wrong",
        "wrong: convex" with the name of the mistake or of its kind, or "not tried"), `tries` and
        `time`, when the last answer was checked (UTC; "" of none).
    """
    checked = {int(number.split(".")[0]) for number in _CHECKED.seen()}
    seen = sorted(checked.intersection(chapters()))
    table = _CHECKED.table([exercise for chapter in seen for exercise in exercises(chapter)])
    if path is not None:
        table.to_csv(path)
    if forget:
        _CHECKED.forget()
    return table


def hint(number: str) -> None:
    """Print a hint of an exercise: one that gives nothing away, and asked again, one that says more.

    Raises:
        ValueError: if there is no such exercise.
    """
    exercise = find(number)
    print(f"Hint for exercise {exercise.number}: {_CHECKED.hint(exercise)}")


def find(number: str) -> Exercise:
    """The exercise of that number.

    Raises:
        ValueError: if there is none, with the numbers that exist.
    """
    found: dict[str, Exercise] = {}
    if isinstance(number, str) and NUMBER.fullmatch(number.strip()):
        number = number.strip()
        chapter = int(number.split(".")[0])
        found = {e.number: e for e in exercises(chapter)} if chapter in chapters() else {}
    if number not in found:
        known = [e.number for chapter in chapters() for e in exercises(chapter)]
        raise ValueError(
            f"`number` must be that of an exercise, a string: {', '.join(known) or 'there is none'}; "
            f"got {number!r}"
        )
    return found[number]


def chapters() -> list[int]:
    """The chapters that have exercises."""
    names = sorted(module.name for module in iter_modules(__path__))
    return [int(name[-2:]) for name in names if name.startswith("chapter_")]


def exercises(chapter: int) -> list[Exercise]:
    """The exercises of one chapter."""
    return list(import_module(f"{__name__}.chapter_{chapter:02d}").EXERCISES)
