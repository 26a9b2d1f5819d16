"""Every exercise is in its chapter's notebook: the stub, the check and the folded solution."""

import ast
import builtins
import importlib
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.book.chapters import CHAPTERS, markdown, read
from vmtl_core.lab.exercises import chapters, exercises
from vmtl_core.lab.exercises.compare import difference
from vmtl_core.lab.exercises.engine import Exercise

EXERCISES = [exercise for chapter in chapters() for exercise in exercises(chapter)]
DETAILS = re.compile(r"<details>.*?</details>", re.S)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
HEADING = re.compile(r"^### Exercise (\d+\.\d+) (★{1,3}) (\S.*)$", re.M)
PROJECT = re.compile(r"^### Project ★★★ \S.*$", re.M)
RUBRIC = re.compile(r"^\| (\d+) \|", re.M)
WITH_PROJECTS = (2, 4, 6, 8, 10, 12, 14)


every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.number)


def suffix(exercise: Exercise) -> str:
    return exercise.number.replace(".", "_")


def notebook(exercise: Exercise) -> Path:
    """The notebook of the exercise's chapter."""
    wanted = f"{int(exercise.number.split('.')[0]):02d}_"
    found = [path for path in CHAPTERS if path.name.startswith(wanted)]
    assert len(found) == 1, f"no notebook book/{wanted}*.ipynb for exercise {exercise.number}"
    return found[0]


def code_cells(exercise: Exercise) -> list[str]:
    """The Python of the notebook's cells, without the lines for IPython alone."""
    cells = [cell.source for cell in read(notebook(exercise)).cells if cell.cell_type == "code"]
    return [re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.M) for source in cells]


def folded(exercise: Exercise) -> list[str]:
    """The code blocks of the notebook's <details>."""
    cells = [cell.source for cell in read(notebook(exercise)).cells if cell.cell_type == "markdown"]
    return [
        code for text in cells for part in DETAILS.findall(text) for code in PYTHON.findall(part)
    ]


def definition(source: str, name: str) -> tuple[str, list[str]] | None:
    """The function `name` in some code: its syntax tree without the name, and its comments."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            text = "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
            node.name = "answer"
            tokens = tokenize.generate_tokens(io.StringIO(text).readline)
            return ast.dump(node), [t.string for t in tokens if t.type == tokenize.COMMENT]
    return None


def assignment(source: str, name: str) -> str | None:
    """What is assigned to `name` in some code."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.unparse(node.value)
    return None


def the_one(find: Callable[[str, str], Any], sources: list[str], name: str, where: str) -> Any:
    found = [one for source in sources if (one := find(source, name)) is not None]
    assert len(found) == 1, f"`{name}` must be in {where} once; it is there {len(found)} times"
    return found[0]


def source_of(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function))


@every_exercise
def test_the_notebook_holds_the_stub_and_the_check(exercise: Exercise) -> None:
    answer, cells = f"answer_{suffix(exercise)}", code_cells(exercise)
    if exercise.stub is None:
        assert the_one(assignment, cells, answer, "a code cell") in ("...", "None")
    else:
        stub = f"stub_{suffix(exercise)}"
        assert exercise.stub.__name__ == stub
        held = the_one(definition, cells, answer, "a code cell")
        assert held == definition(source_of(exercise.stub), stub), "not the module's stub"
    call = re.compile(rf"^check\([\"']{re.escape(exercise.number)}[\"'], {answer}\)", re.M)
    assert sum(len(call.findall(cell)) for cell in cells) == 1, f"check it once: {call.pattern}"


@every_exercise
def test_the_folded_solution_is_the_modules(exercise: Exercise) -> None:
    answer, blocks = f"answer_{suffix(exercise)}", folded(exercise)
    if not exercise.is_code:
        written = the_one(assignment, blocks, answer, "a folded <details>")
        value = eval(written, {"torch": torch, "math": importlib.import_module("math")})
        assert difference(value, exercise.solution, 1e-12) is None
        return
    solution = f"solution_{suffix(exercise)}"
    assert exercise.solution.__name__ == solution
    held = the_one(definition, blocks, answer, "a folded <details>")
    assert held == definition(source_of(exercise.solution), solution), "not the module's solution"


@every_exercise
def test_the_solution_runs_in_the_notebook(exercise: Exercise) -> None:
    """Every global name that stub and solution use is one that the notebook has."""
    if not exercise.is_code:
        return
    known = set(dir(builtins))
    for cell in code_cells(exercise):
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                known |= {(name.asname or name.name).split(".")[0] for name in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                known.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                known.add(node.name)
    for function in filter(None, (exercise.stub, exercise.solution)):
        tree = ast.parse(source_of(function))
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        own = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        own |= {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
        missing = {n.id for n in names} - own - known
        assert not missing, f"the notebook does not import or define {sorted(missing)}"


@every_exercise
def test_the_heading_has_the_stars(exercise: Exercise) -> None:
    """`### Exercise 4.2 ★★ Between convex and jensen`, with the module's stars."""
    text = markdown(notebook(exercise))
    found = {number: len(stars) for number, stars, _ in HEADING.findall(text)}
    assert found.get(exercise.number) == exercise.stars
    assert len(found) == len(re.findall(r"^#+ Exercise ", text, re.M)), "a heading in another form"


@every_exercise
def test_the_first_hint_is_not_the_second(exercise: Exercise) -> None:
    assert len(exercise.nudge) > 10, "a nudge says where to look"
    assert exercise.nudge != exercise.hint


def test_a_third_asks_for_thought() -> None:
    assert sum(exercise.stars >= 2 for exercise in EXERCISES) >= len(EXERCISES) / 3


@pytest.mark.parametrize("chapter", WITH_PROJECTS)
def test_every_second_chapter_has_a_project_with_a_rubric(chapter: int) -> None:
    """Its points, the first column of a table, add up to ten."""
    (path,) = (path for path in CHAPTERS if int(path.name[:2]) == chapter)
    cells = [c.source for c in read(path).cells if PROJECT.search(c.source)]
    assert len(cells) == 1, "one project, `### Project ★★★ Title`"
    points = [int(number) for number in RUBRIC.findall(cells[0])]
    assert len(points) >= 3
    assert sum(points) == 10
