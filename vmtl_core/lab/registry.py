"""Every numbered equation of the book: the chapter that derives it, the code, the tests.

The table itself is `data/equations.toml`; the page of equations is made from it, and a test fails on
an orphan anywhere.
"""

import re
import tomllib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

NUMBER = re.compile(r"([1-9]\d?)\.([1-9]\d?)([a-z]?)")
TABLE = Path(__file__).parent / "data" / "equations.toml"


@dataclass(frozen=True)
class Equation:
    """One numbered equation.

    Args:
        number: "4.4", the fourth of chapter 4, or "4.4a".
        title: a few words.
        chapter: the notebook without its suffix.
        functions: dotted paths of what implements it, each with a docstring that names "(4.4)".
        tests: pytest node ids, `file::function`, each with a docstring that names "(4.4)". A step
            of a derivation has neither.
    """

    number: str
    title: str
    chapter: str
    functions: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """The equation's anchor on the chapter's page."""
        return "eq-" + self.number.replace(".", "-")


def order(number: str) -> tuple[int, int, str]:
    """Key that sorts "4.4" before "4.4a" and that before "4.10".

    Raises:
        ValueError: if it is no equation's number.
    """
    found = NUMBER.fullmatch(number)
    if found is None:
        raise ValueError(f"`number` must look like '4.4' or '4.4a'; got {number!r}")
    return int(found[1]), int(found[2]), found[3]


def resolve(path: str) -> Any:
    """The object that a dotted path names.

    Raises:
        ImportError: if there is none.
    """
    names = path.split(".")
    found: Any = import_module(names[0])
    for i, name in enumerate(names[1:], start=2):
        found = getattr(found, name) if hasattr(found, name) else import_module(".".join(names[:i]))
    return found


def _equation(number: str, chapter: str, entry: str | dict[str, Any]) -> Equation:
    if isinstance(entry, str):
        return Equation(number, entry, chapter)
    functions = tuple(f"vmtl_core.{name}" for name in entry["functions"])
    return Equation(
        number,
        entry["title"],
        chapter,
        functions,
        tuple(f"tests/{test}" for test in entry["tests"]),
    )


EQUATIONS = [
    _equation(number, chapter, entry)
    for chapter, numbers in tomllib.loads(TABLE.read_text("utf-8")).items()
    for number, entry in numbers.items()
]
