"""What a class gets: chapters without solutions, chapters solved, slides; the teacher's plans."""

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch

from tests.book.chapters import APPENDICES, BOOK, CHAPTERS, every_chapter, read
from tests.book.test_exercise_cells import assignment, definition, source_of
from tests.conftest import ROOT
from tools.handouts import main, student, with_solutions
from tools.slides import slides, write_scripts
from vmtl_core.lab.exercises import chapters, exercises, find
from vmtl_core.lab.exercises.compare import difference
from vmtl_core.lab.exercises.engine import Exercise

TEACHING = (BOOK / "teaching.md").read_text("utf-8")
TWO_HOURS, SIX_WEEKS = re.findall(r"(?:^\|.*\n)+", TEACHING, re.M)
MINUTES = re.compile(r"\*\*Time\W.*?(\d+) minutes")


def text(cells: list[Any], kind: str) -> str:
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == kind)


def of_chapter(chapter: Path) -> list[Exercise]:
    """The exercises of a notebook; a chapter may have none."""
    number = int(chapter.name[:2])
    return exercises(number) if number in chapters() else []


@every_chapter
def test_a_student_sees_no_solution(chapter: Path) -> None:
    number = int(chapter.name[:2])
    made = student(read(chapter), f"{number:02d}")
    nbformat.validate(made)
    prose, code = text(made.cells, "markdown"), text(made.cells, "code")
    assert "<details>" not in prose
    for exercise in of_chapter(chapter):
        name = exercise.number.replace(".", "_")
        assert f'check("{exercise.number}", answer_{name})' in code
        assert f"answer_{name}" not in prose.replace(f", answer_{name})", "")
    ends = made.cells[-1].source.endswith(f'progress("answers_{number:02d}.csv")')
    assert ends == bool(of_chapter(chapter))
    assert all(not cell.get("outputs") for cell in made.cells)
    kept = [cell.source for cell in read(chapter).cells if cell.cell_type == "code"]
    assert [cell.source for cell in made.cells if cell.cell_type == "code"][: len(kept)] == kept


@every_chapter
def test_the_solutions_are_in_the_place_of_the_stubs(chapter: Path) -> None:
    made = with_solutions(read(chapter))
    nbformat.validate(made)
    cells = [
        re.sub(r"^(\s*)[%!].*$", r"\1pass", c.source, flags=re.M)
        for c in made.cells
        if c.cell_type == "code"
    ]
    for exercise in of_chapter(chapter):
        name = exercise.number.replace(".", "_")
        if exercise.is_code:
            codes = [one for cell in cells if (one := definition(cell, f"answer_{name}"))]
            assert codes == [definition(source_of(exercise.solution), f"solution_{name}")]
        else:
            (given,) = filter(None, (assignment(cell, f"answer_{name}") for cell in cells))
            value = eval(given, {"torch": torch, "math": math})
            assert difference(value, exercise.solution, 1e-12) is None
    assert len(cells) == sum(cell.cell_type == "code" for cell in read(chapter).cells)
    assert "<details>" not in text(made.cells, "markdown")


def test_a_solution_without_a_stub_is_told() -> None:
    fold = "<details><summary>Solution of 9.1</summary>\n\n```python\nanswer_9_1 = 1\n```\n\n</details>"
    chapter = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(fold)])
    with pytest.raises(ValueError, match="`answer_9_1` must be in one code cell; it is in 0"):
        with_solutions(chapter)


def executed_chapter() -> Any:
    """A chapter with a figure, a widget, a table, and one cell tagged each way."""
    v4 = nbformat.v4
    picture = v4.new_output("display_data", {"image/png": "iVBORw0KGgo="})
    widget = v4.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})
    printed = [v4.new_output("stream", name="stdout", text=f"{word}\n") for word in ("one", "two")]
    cells = [
        v4.new_markdown_cell(
            "# 12. Title\n\nWhat it says.\n\nMore.\n\n## Part\n\nFirst.\n\n"
            "$$ a = b \\tag{12.1} $$\n\n$$ c $$\n\nHence it follows."
        ),
        v4.new_code_cell("plot()", outputs=[picture], metadata={"mystnb": {"image": {"alt": "A"}}}),
        v4.new_code_cell(
            "Widget()", outputs=[widget], metadata={"mystnb": {"image": {"alt": "A"}}}
        ),
        v4.new_code_cell("print(1)", outputs=printed[:1], metadata={"tags": ["slide"]}),
        v4.new_code_cell("print(2)", outputs=printed[1:]),
        v4.new_markdown_cell("## Left out", metadata={"tags": ["no-slide"]}),
        v4.new_markdown_cell("### Exercise 12.1\n\nAsked.\n\n<details>\n\nAnswered.\n\n</details>"),
    ]
    known = {"kernelspec": {"name": "python3", "display_name": ""}, "language_info": {"name": ""}}
    return v4.new_notebook(cells=cells, metadata=known)


def test_slides_show_what_a_room_needs(tmp_path: Path) -> None:
    page = slides(executed_chapter(), tmp_path)
    body = page[page.index('<div class="slides">') :]
    assert "<title>12. Title slides</title>" in page
    notes = re.findall(r'<aside class="notes">(.*?)</aside>', body, re.S)
    shown = re.sub(r'<aside class="notes">.*?</aside>', "", body, flags=re.S)
    for word in ("What it says.", "First.", "12.1} ", "one", "Asked.", "image/png;base64"):
        assert word in shown, word
    for word in ("More.", "c $$", "Hence it follows.", "two", "Left out", "plot()", "Widget"):
        assert word not in shown, word
    assert "Answered." not in body
    assert "Hence it follows." in notes[1]
    assert shown.count("data:image/png") == 1


def test_slides_ask_nothing_of_a_network(tmp_path: Path) -> None:
    """What a page loads lies beside it; the copies are those that the README names."""
    page = slides(executed_chapter(), tmp_path)
    loaded = re.findall(r"<(?:script|link|img)[^>]*?(?:src|href)=\"([^\"]*)\"", page)
    loaded = [one for one in loaded if not one.startswith("data:")]
    write_scripts(tmp_path)
    assert len(loaded) == 5
    assert all((tmp_path / one).is_file() for one in loaded), loaded
    assert "import mermaid" not in page
    told = (ROOT / "tools" / "reveal" / "README.md").read_text("utf-8")
    names = ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js")
    copies = [(tmp_path / "reveal" / name).read_bytes() for name in names]
    assert re.findall(r"[0-9a-f]{64}", told) == [hashlib.sha256(one).hexdigest() for one in copies]


def test_all_that_is_written(tmp_path: Path) -> None:
    """Slides as well, of the chapters that a build has executed."""
    assert main(tmp_path) == 0
    names = {chapter.name for chapter in (*CHAPTERS, *APPENDICES)}
    assert {path.name for path in (tmp_path / "student").iterdir()} == names
    assert {path.name for path in (tmp_path / "solutions").iterdir()} == names
    built = ROOT / "_build" / "jupyter_execute" / "book"
    for chapter in (*CHAPTERS, *APPENDICES):
        page = tmp_path / "slides" / f"{chapter.stem}.html"
        assert page.exists() == (built / chapter.name).exists()
        least = 10 if chapter in CHAPTERS else 5
        assert not page.exists() or page.read_text("utf-8").count("<section") > least


def rows(table: str) -> list[list[str]]:
    """The cells of a Markdown table below its heading."""
    return [
        [cell.strip() for cell in line.strip("|\n ").split(" |")] for line in table.splitlines()[2:]
    ]


def reading(chapters: str) -> list[int]:
    """The minutes that the named chapters themselves say they take."""
    names = re.findall(r"\]\((\d\d_\w+\.ipynb)\)", chapters)
    found = [MINUTES.search(text(read(BOOK / name).cells, "markdown")) for name in names]
    return [int(one[1]) for one in found if one]


def test_the_two_hours_are_two_hours() -> None:
    assert sum(int(row[0]) for row in rows(TWO_HOURS)) == 120


def test_the_six_weeks_are_six_and_their_minutes_the_chapters() -> None:
    plan = rows(SIX_WEEKS)
    assert [row[0] for row in plan] == [str(week) for week in range(1, 7)]
    for row in plan:
        each = reading(row[1])
        choice = " or " in row[1]
        assert not choice or len(set(each)) == 1
        assert int(row[2]) == (each[0] if choice else sum(each)), row[1]
    rest = TEACHING[TEACHING.index(SIX_WEEKS) + len(SIX_WEEKS) :]
    optional = re.search(r"\((10_digits\.ipynb)\).*?(\d+) minutes", rest)
    assert optional
    assert reading(f"]({optional[1]})") == [int(optional[2])]
    linked = set(re.findall(r"\]\((\d\d_\w+\.ipynb)\)", TEACHING))
    assert linked <= {chapter.name for chapter in CHAPTERS}


def test_the_exercises_of_the_plans_are_those_of_their_chapters() -> None:
    for row in [*rows(TWO_HOURS), *rows(SIX_WEEKS)]:
        chapters = {int(name) for name in re.findall(r"\]\((\d\d)_", " ".join(row))}
        for number in re.findall(r"\b\d+\.\d+\b", row[-1]):
            assert int(number.split(".")[0]) in chapters, row
            assert find(number).number == number
