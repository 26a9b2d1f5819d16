"""`check` and `hint`: what they print, and what an unknown number is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmtl_core.lab import exercises
from vmtl_core.lab.exercises import check, hint
from vmtl_core.lab.exercises.engine import Exercise, Result
from vmtl_core.lab.exercises.record import Record

MODULE = """
from vmtl_core.lab.exercises.engine import Exercise, Mistake
EXERCISES = [
    Exercise(number=f"99.{i}", title="t", solution=1.0, hint="It is one.",
             mistakes=[Mistake("two", "that is two (99.1)", 2.0), Mistake("three", "t", 3.0)])
    for i in (1, 2, 12)
]
"""


@pytest.fixture
def _chapter_99(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "chapter_99.py").write_text(MODULE)
    monkeypatch.setattr(exercises, "__path__", [*exercises.__path__, str(tmp_path)])


@pytest.mark.usefixtures("_chapter_99")
def test_check_prints_what_it_returns(capsys: pytest.CaptureFixture[str]) -> None:
    result = check("99.1", 2.0)
    assert result == Result("99.1", False, "not right: that is two (99.1)", "two")
    assert check(" 99.12 ", 1).correct
    assert not check("99.2", ...).attempted
    assert capsys.readouterr().out == (
        "Exercise 99.1: not right: that is two (99.1)\n"
        "Exercise 99.12: correct.\n"
        'Exercise 99.2: not solved yet. hint("99.2") gives a hint.\n'
    )


@pytest.mark.usefixtures("_chapter_99")
def test_hint_prints_the_hint(capsys: pytest.CaptureFixture[str]) -> None:
    hint("99.2")
    assert capsys.readouterr().out == "Hint for exercise 99.2: It is one.\n"


def test_there_are_two_hints() -> None:
    exercise = Exercise("9.1", "One", 1.0, [], hint="It is one.", nudge="Count.")
    record = Record()
    first, second, third = (record.hint(exercise) for _ in range(3))
    assert first == 'Count.\nhint("9.1") again says more.'
    assert second == third == "It is one."
    assert Record().hint(exercise) == first


@pytest.mark.usefixtures("_chapter_99")
@pytest.mark.parametrize("ask", [lambda n: check(n, 1.0), hint], ids=["check", "hint"])
@pytest.mark.parametrize("number", ["99.3", "98.1", "99", "", "a.b", 99.1, None])
def test_an_unknown_number_is_told_those_that_exist(ask: Callable[[Any], Any], number: Any) -> None:
    with pytest.raises(ValueError, match=r"99\.1, 99\.2, 99\.12; got") as caught:
        ask(number)
    assert repr(number) in str(caught.value)


def test_a_result_shows_nothing_a_second_time(capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook would print the value of a cell's last line below what `check` has printed."""
    Result("9.1", True, "correct.")._ipython_display_()
    assert capsys.readouterr().out == ""
