"""Answers that outlive the kernel: the file beside a notebook, whatever has become of it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest

from vmtl_core.lab import exercises
from vmtl_core.lab.exercises import check, find, kept, progress
from vmtl_core.lab.exercises.collect import collect, executed
from vmtl_core.lab.exercises.kept import FORMAT, NAME, READERS, SWITCH, Answer, Kept, place
from vmtl_core.lab.exercises.record import Record

SOLUTION = find("3.3").solution
(MISTAKE, *_) = find("3.3").mistakes
NOW = "2026-01-31T10:20:30+00:00"
Restart = Callable[[], None]


@pytest.fixture(autouse=True)
def restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Restart:
    """Begins anew as a fresh kernel would, in an empty folder of a notebook that a reader has opened."""
    for name in (SWITCH, *READERS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "03.ipynb"))
    monkeypatch.chdir(tmp_path)

    def anew() -> None:
        monkeypatch.setattr(exercises, "_CHECKED", Record(place))

    anew()
    return anew


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_answers_outlive_the_kernel(restart: Restart, tmp_path: Path) -> None:
    check("3.3", MISTAKE.answer)
    check("10.4", find("10.4").solution)
    check("3.4", ...)
    before = progress()
    assert names(tmp_path) == [NAME]
    restart()
    after = progress()
    assert after.equals(before)
    said = datetime.fromisoformat(after.time["3.3"])
    assert timedelta(0) <= datetime.now(UTC) - said < timedelta(minutes=5)
    check("3.3", SOLUTION)
    restart()
    assert progress().loc["3.3", ["verdict", "tries"]].tolist() == ["correct", 2]
    assert progress().loc["10.4", ["verdict", "tries"]].tolist() == ["correct", 1]


def test_running_the_stub_again_takes_no_answer_away(restart: Restart) -> None:
    """As "Run all" does after a restart; a stub after an answer of this kernel counts, as ever."""
    check("3.3", SOLUTION)
    restart()
    check("3.3", ...)
    assert progress().verdict["3.3"] == "correct"
    check("3.3", MISTAKE.answer)
    check("3.3", ...)
    assert progress().verdict["3.3"] == "not tried"
    restart()
    assert progress().verdict["3.3"] == f"wrong: {MISTAKE.name}"


def test_forgetting(restart: Restart, tmp_path: Path) -> None:
    check("3.3", SOLUTION)
    last = progress(forget=True)
    assert last.verdict["3.3"] == "correct", "what is forgotten is shown once more"
    assert len(progress()) == 0
    assert names(tmp_path) == []
    restart()
    assert len(progress()) == 0
    check("3.3", MISTAKE.answer)
    assert progress().tries["3.3"] == 1


@pytest.mark.parametrize(
    ("variables", "where"),
    [
        ({}, None),
        ({"JPY_SESSION_NAME": "/home/ada/03.ipynb"}, NAME),
        ({"COLAB_RELEASE_TAG": "release"}, NAME),
        ({"JPY_SESSION_NAME": "/home/ada/03.ipynb", SWITCH: "off"}, None),
        ({"JPY_SESSION_NAME": "/home/ada/03.ipynb", SWITCH: " OFF "}, None),
        ({SWITCH: "mine.json"}, "mine.json"),
        ({SWITCH: ""}, None),
    ],
)
def test_where_the_file_lies(
    variables: dict[str, str], where: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert place() == (None if where is None else tmp_path / where)


@pytest.mark.nightly
def test_a_program_that_executes_notebooks_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: Restart
) -> None:
    """nbclient, which nbconvert, nbval and the book's build use; and the teacher's `--run`, from a notebook too."""
    cells = ["from vmtl_core.lab.exercises import check", "check('3.3', 0)", "check('3.4', ...)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    work = tmp_path / "work"
    work.mkdir()
    nbformat.write(notebook, work / "ada.ipynb")
    assert "Exercise 3.3: " in str(executed(work / "ada.ipynb"))
    assert names(work) == ["ada.ipynb"]
    monkeypatch.delenv("JPY_SESSION_NAME")
    call = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute"]
    subprocess.run([*call, "--inplace", str(work / "ada.ipynb")], check=True, capture_output=True)
    assert "Exercise 3.3: " in (work / "ada.ipynb").read_text("utf-8")
    assert names(work) == ["ada.ipynb"]
    restart()
    assert len(progress()) == 0


ANSWER = {"verdict": "correct", "tries": 1, "time": NOW}
GOOD = {"format": FORMAT, "answers": {"3.3": ANSWER}}


def held(**changes: object) -> bytes:
    return json.dumps({"format": FORMAT, "answers": {"3.3": ANSWER | changes}}).encode()


BAD: dict[str, bytes] = {
    "empty": b"",
    "truncated": json.dumps(GOOD).encode()[:-9],
    "not text": b"\x89PNG\r\n\x1a\n\x00\xff",
    "another's": b'{"cells": [], "nbformat": 4}',
    "a list": b"[1, 2]",
    "of a later version": json.dumps(GOOD | {"format": "vmtl_core answers, 2"}).encode(),
    "no answers": json.dumps({"format": FORMAT}).encode(),
    "answers a list": json.dumps({"format": FORMAT, "answers": [1]}).encode(),
    "a number that is none": json.dumps({"format": FORMAT, "answers": {"x": ANSWER}}).encode(),
    "a verdict that is none": held(verdict="splendid"),
    "tries no number": held(tries="1"),
    "tries true": held(tries=True),
    "tries infinite": held(tries=float("inf")),
    "no time": held(time="yesterday"),
    "a time of no place": held(time="2026-01-31T10:20:30"),
    "one more": held(more=1),
    "deep": b"[" * 100_000,
    "large": b" " * 2**21,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_damaged_file_is_put_aside_with_one_sentence(
    content: bytes, restart: Restart, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is kept as it is, a new record begins, and nothing is raised."""
    for n in (1, 2):
        (tmp_path / NAME).write_bytes(content)
        restart()
        check("3.3", SOLUTION)
        said = capsys.readouterr().out.splitlines()
        aside = f".vmtl_answers.unread-{n}.json"
        assert len(said) == 2
        assert re.fullmatch(f"{NAME} can't be read, .*: it is kept as {aside}, and a new record begins.", said[0])  # fmt: skip
        assert said[1] == "Exercise 3.3: correct."
        assert (tmp_path / aside).read_bytes() == content
        restart()
        assert progress().verdict["3.3"] == "correct"
        assert capsys.readouterr().out == ""


def test_a_file_damaged_meanwhile(tmp_path: Path, restart: Restart) -> None:
    """What this kernel has checked since it last wrote is written anew."""
    check("3.3", SOLUTION)
    (tmp_path / NAME).write_text("{", "utf-8")
    check("3.4", 0)
    restart()
    assert progress().verdict["3.4"] == "wrong"
    assert (tmp_path / ".vmtl_answers.unread-1.json").read_text("utf-8") == "{"


def test_an_exercise_of_another_version_stays_in_the_file(tmp_path: Path, restart: Restart) -> None:
    """It is in no table, and no error."""
    answers = {"3.99": ANSWER, "77.1": ANSWER}
    (tmp_path / NAME).write_text(json.dumps({"format": FORMAT, "answers": answers}), "utf-8")
    restart()
    assert list(progress().index) == [e.number for e in exercises.exercises(3)]
    check("3.3", SOLUTION)
    assert Kept(tmp_path / NAME).read().keys() == {"3.99", "77.1", "3.3"}


@pytest.mark.parametrize("what", ["folder", "nowhere", "locked"])
def test_where_nothing_can_be_written_answers_are_remembered(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: Restart,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "deep" / "mine.json" if what == "nowhere" else tmp_path / "mine.json"
    monkeypatch.setenv(SWITCH, str(path))
    monkeypatch.setattr(kept, "PATIENCE", 0.0)
    if what == "folder":
        path.mkdir()
    if what == "locked":
        path.with_name("mine.json.lock").touch()
    restart()
    check("3.3", MISTAKE.answer)
    check("3.3", SOLUTION)
    assert progress().loc["3.3", ["verdict", "tries"]].tolist() == ["correct", 2]
    assert capsys.readouterr().out.count("\n") < 6
    if what == "locked":
        path.with_name("mine.json.lock").unlink()
        check("3.4", 0)
        found = Kept(path).read()
        assert (found["3.3"].tries, found["3.4"].verdict) == (2, "wrong")
    else:
        progress(forget=True)
        assert len(progress()) == 0


def test_a_lock_that_was_left_over_holds_nobody_up(tmp_path: Path) -> None:
    lock = tmp_path / f"{NAME}.lock"
    lock.touch()
    old = time.time() - 60
    os.utime(lock, (old, old))
    check("3.3", SOLUTION)
    assert names(tmp_path) == [NAME]


def test_nothing_is_lost_where_a_write_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: Restart
) -> None:
    """A full disk: what lay there stays, and no pieces beside it."""
    check("3.3", SOLUTION)
    content = (tmp_path / NAME).read_bytes()

    def full(*given: object, **named: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        check("3.4", 0)
    assert names(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == content
    check("3.4", 0)
    restart()
    assert progress().tries["3.4"] == 2


PROGRAM = """
import sys
from vmtl_core.lab.exercises import _CHECKED
from vmtl_core.lab.exercises.engine import Result
for i in range(1, 41):
    _CHECKED.add(Result(f"{sys.argv[1]}.{i}", True, ""))
    _CHECKED.add(Result("9.1", i % 2 == 0, ""))
"""


def test_two_notebooks_write_one_file(tmp_path: Path, restart: Restart) -> None:
    """Neither loses an answer of its own or the other's, and common tries add up."""
    running = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, chapter], cwd=tmp_path)
        for chapter in ("3", "4")
    ]
    assert [one.wait(timeout=120) for one in running] == [0, 0]
    found = Kept(tmp_path / NAME).read()
    assert found.keys() == {f"{c}.{i}" for c in (3, 4) for i in range(1, 41)} | {"9.1"}
    assert found["9.1"].tries == 80
    assert names(tmp_path) == [NAME]


def test_two_notebooks_see_each_other_s_answers_at_the_next_of_their_own(tmp_path: Path) -> None:
    Kept(tmp_path / NAME).add({"4.2": Answer("wrong: convex", 3, NOW)})
    assert progress().verdict["4.2"] == "wrong: convex"
    Kept(tmp_path / NAME).add({"4.2": Answer("correct", 1, NOW)})
    check("3.3", SOLUTION)
    assert progress().loc["4.2", ["verdict", "tries"]].tolist() == ["correct", 4]


def test_the_later_of_two_tables_counts(tmp_path: Path, restart: Restart) -> None:
    """Whatever they are called: a record that holds several chapters is handed in with each."""
    folder = tmp_path / "in" / "ada"
    folder.mkdir(parents=True)
    check("3.3", MISTAKE.answer)
    progress(folder / "answers_04.csv")
    path = tmp_path / NAME
    held = json.loads(path.read_text("utf-8"))
    held["answers"]["3.3"]["time"] = "2020-01-01T00:00:00+00:00"
    path.write_text(json.dumps(held), "utf-8")
    restart()
    progress(folder / "answers_05.csv")
    check("3.3", SOLUTION)
    progress(folder / "answers_03.csv")
    table, problems = collect(tmp_path / "in")
    assert problems == []
    assert table.loc["ada", "3.3"] == "correct"
