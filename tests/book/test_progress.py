"""What a reader's checks leave behind, and what a teacher reads out of a folder of answers."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from vmtl_core.lab import exercises
from vmtl_core.lab.exercises import check, find, progress
from vmtl_core.lab.exercises.__main__ import main
from vmtl_core.lab.exercises.collect import collect, executed
from vmtl_core.lab.exercises.engine import Result
from vmtl_core.lab.exercises.record import Record

SOLUTION = find("3.3").solution
(MISTAKE, *_) = find("3.3").mistakes


@pytest.fixture(autouse=True)
def _nothing_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exercises, "_CHECKED", Record())


def handed_in(path: Path, *answers: tuple[str, object]) -> None:
    """A notebook that was run: a cell for each answer, with what `check` prints."""
    cells = []
    for number, answer in answers:
        said = f"Exercise {number}: {exercises.judge(find(number), answer).message}\n"
        output = nbformat.v4.new_output("stream", name="stdout", text=said)
        cells.append(nbformat.v4.new_code_cell(f"check({number!r}, ...)", outputs=[output]))
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def test_verdicts() -> None:
    assert Result("9.1", True, "correct.").verdict == "correct"
    assert Result("9.1", False, "no").verdict == "wrong"
    assert Result("9.1", False, "no", "convex").verdict == "wrong: convex"
    assert Result("9.1", False, "not yet", attempted=False).verdict == "not tried"


def test_progress_is_empty_at_first_and_then_follows() -> None:
    assert list(progress().columns) == ["title", "stars", "verdict", "tries", "time"]
    assert len(progress()) == 0
    check("3.3", MISTAKE.answer)
    check("3.3", ...)
    check("3.4", ...)
    table, untried = progress(), ["not tried"] * len(exercises.exercises(3))
    assert list(table.index) == [e.number for e in exercises.exercises(3)]
    assert list(table.verdict) == untried  # the last answer counts
    check("3.3", SOLUTION)
    third, fourth = find("3.3"), find("3.4")
    assert progress().loc["3.3"].tolist()[:-1] == [third.title, third.stars, "correct", 2]
    assert progress().loc["3.4"].tolist() == [fourth.title, fourth.stars, "not tried", 0, ""]
    assert list(table.verdict) == untried, "a table of before stays as it was"


def test_progress_is_kept_in_a_file(tmp_path: Path) -> None:
    check("3.3", MISTAKE.answer)
    written = progress(tmp_path / "ada.csv")
    kept = pd.read_csv(tmp_path / "ada.csv", dtype={"exercise": "str"}, index_col="exercise")
    assert kept.verdict.to_dict() == written.verdict.to_dict()
    assert kept.verdict["3.3"] == f"wrong: {MISTAKE.name}"


def test_a_folder_of_notebooks_and_tables(tmp_path: Path) -> None:
    handed_in(tmp_path / "ada.ipynb", ("3.3", SOLUTION), ("10.4", "?"), ("3.4", ...))
    handed_in(tmp_path / "bob" / "third.ipynb", ("3.3", ...), ("3.3", MISTAKE.answer))
    handed_in(tmp_path / "bob" / "tenth.ipynb", ("10.4", find("10.4").solution))
    handed_in(tmp_path / ".ipynb_checkpoints" / "ada-checkpoint.ipynb", ("3.3", "?"))
    check("3.3", SOLUTION)
    progress(tmp_path / "eve.csv")
    table, problems = collect(tmp_path)
    assert problems == []
    assert list(table.columns) == [*(e.number for e in exercises.exercises(3)), "10.4"]
    assert table["3.3"].to_dict() == {
        "ada": "correct",
        "bob": f"wrong: {MISTAKE.name}",
        "eve": "correct",
    }
    assert table["10.4"].to_dict() == {"ada": "wrong", "bob": "correct", "eve": "not tried"}
    assert set(table["3.4"]) == {"not tried"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.ipynb", "{", "a.ipynb can't be read"),
        ("a.ipynb", "[]", "a.ipynb can't be read"),
        ("a.ipynb", '{"cells": []}', "it holds no checked exercise"),
        ("a.csv", "x,y\n1,2\n", "a.csv can't be read: 'exercise'"),
        ("a.csv", "exercise,verdict\n99.1,correct\n", "`number` must be that of an exercise"),
    ],
)
def test_what_cannot_be_read_is_told(
    name: str, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the others are read all the same."""
    (tmp_path / name).write_text(text, "utf-8")
    handed_in(tmp_path / "bob.ipynb", ("3.3", SOLUTION))
    assert main([str(tmp_path), "--out", str(tmp_path / "table.csv")]) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert "1 of 1" in printed.out
    assert "bob,correct" in (tmp_path / "table.csv").read_text("utf-8")


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_nothing_to_read(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / name)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_the_command(tmp_path: Path) -> None:
    handed_in(tmp_path / "ada.ipynb", ("3.3", SOLUTION), ("3.4", "?"))
    ran = subprocess.run(
        [sys.executable, "-m", "vmtl_core.lab.exercises", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "1 of 2" in ran.stdout


def test_a_notebook_can_be_executed_anew(tmp_path: Path) -> None:
    """What it and a table claim then counts no more, and a cell that raises stops nothing."""
    path = tmp_path / "ada.ipynb"
    handed_in(path, ("3.3", SOLUTION))
    kept = json.loads(path.read_text("utf-8"))
    sources = [
        "from vmtl_core.lab.exercises import check",
        "1 / 0",
        f"check('3.3', {MISTAKE.answer!r})",
    ]
    output = kept["cells"][0]["outputs"]
    kept["cells"] = [nbformat.v4.new_code_cell(source) for source in sources]
    kept["cells"][-1]["outputs"] = output
    path.write_text(json.dumps(kept), "utf-8")
    check("3.3", SOLUTION)
    progress(tmp_path / "ada.csv")
    assert collect(tmp_path)[0].loc["ada", "3.3"] == "correct"
    assert collect(tmp_path, run=True)[0].loc["ada", "3.3"] == f"wrong: {MISTAKE.name}"
    assert executed(path)["cells"][1]["outputs"][0]["ename"] == "ZeroDivisionError"
