"""A folder of answers, read into one table: notebooks as handed in, and tables of `progress`.

A notebook holds what `check` printed under its cells; that is read, or, with `run`, printed anew by
executing the notebook, which is other people's code.
"""

import csv
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmtl_core._checks import require
from vmtl_core.lab.exercises import find
from vmtl_core.lab.exercises.kept import SWITCH
from vmtl_core.lab.exercises.record import NOT_TRIED

if TYPE_CHECKING:
    import pandas as pd

SAID = re.compile(r"^Exercise (\d+\.\d+): (.*?)(?=^Exercise \d+\.\d+: |\Z)", re.M | re.S)
Verdicts = dict[str, str]


def collect(folder: Path, run: bool = False) -> tuple["pd.DataFrame", list[str]]:
    """The answers in a folder.

    Args:
        folder: with `.ipynb` and `.csv` files; what lies in a folder of its own within it belongs
            together, as the work of the one whose name that folder has.
        run: whether to execute the notebooks, each in its own place, instead of believing what they
            and the tables hold. A teacher who does so runs other people's code.

    Returns:
        A table with a row for each person or file and a column for each exercise, of "correct",
        "wrong", "wrong: convex" (a known mistake), "not tried"; and what could not be read, a
        sentence each.

    Raises:
        ValueError: if there is no such folder, or no answers in it.
    """
    import pandas as pd

    require(folder.is_dir(), f"`folder` must be one; {folder} is not")
    found: dict[str, Verdicts] = {}
    problems: list[str] = []
    kinds = (".ipynb",) if run else (".ipynb", ".csv")
    for path in _files(folder, kinds):
        parts = path.relative_to(folder).with_suffix("").parts
        try:
            verdicts, who = read(path, run), found.setdefault(parts[0], {})
            who |= {n: v for n, v in verdicts.items() if v != NOT_TRIED or n not in who}
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"{path.relative_to(folder)} can't be read: {error}")
    require(bool(found or problems), f"no file {' or '.join(kinds)} in {folder}")
    numbers = sorted({n for verdicts in found.values() for n in verdicts}, key=_order)
    table = pd.DataFrame.from_dict(found, orient="index", columns=None, dtype="str")
    table = table.reindex(columns=numbers).fillna(NOT_TRIED).sort_index()
    return table.rename_axis("who"), problems


def read(path: Path, run: bool = False) -> Verdicts:
    """The verdicts in one file, by the exercise's number; the last one counts.

    Raises:
        ValueError: if it holds none, or names an exercise that does not exist.
    """
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            verdicts = {row["exercise"]: row["verdict"] for row in csv.DictReader(file)}
    else:
        notebook = executed(path) if run else json.loads(path.read_text("utf-8"))
        verdicts = {number: verdict(number, text) for number, text in SAID.findall(_said(notebook))}
    if not verdicts:
        raise ValueError("it holds no checked exercise; was the notebook saved after it was run?")
    for number in verdicts:
        find(number)
    return verdicts


def verdict(number: str, said: str) -> str:
    """The verdict that `check` has put into words, as `Result.verdict` has it."""
    if said.startswith("correct."):
        return "correct"
    if said.startswith("not solved yet"):
        return NOT_TRIED
    for mistake in find(number).mistakes:
        if said.strip() == f"not right: {mistake.message}".strip():
            return f"wrong: {mistake.name}"
    return "wrong"


def executed(path: Path) -> Any:
    """The notebook, executed from top to bottom in its own folder, whatever cells raise; it neither
    reads nor leaves a record of answers there.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=600, allow_errors=True, resources=place)
    return client.execute(env=os.environ | {SWITCH: "off"})


def _files(folder: Path, kinds: tuple[str, ...]) -> list[Path]:
    """Tables after notebooks, and of tables the one with the last answer last, for it counts; no file
    that is hidden.
    """
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in kinds
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return sorted(found, key=lambda path: (path.suffix == ".csv", _latest(path)))


def _latest(path: Path) -> str:
    """When the last answer in a table was checked; "" of a table that doesn't say, and of a notebook."""
    if path.suffix != ".csv":
        return ""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return max((row.get("time") or "" for row in csv.DictReader(file)), default="")
    except (OSError, ValueError, csv.Error):
        return ""


def _said(notebook: Any) -> str:
    """All that the notebook's cells have printed."""
    outputs = [one for cell in notebook["cells"] for one in cell.get("outputs", [])]
    streams = [one["text"] for one in outputs if one.get("name") == "stdout"]
    return "\n".join(text if isinstance(text, str) else "".join(text) for text in streams)


def _order(number: str) -> tuple[int, int]:
    chapter, place = number.split(".")
    return int(chapter), int(place)
