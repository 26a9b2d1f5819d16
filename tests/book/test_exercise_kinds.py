"""Kinds of mistake that no exercise lists are named, in answers such as students give."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.book.student_answers import STUDENTS
from vmtl_core.lab.exercises import chapters, exercises, find
from vmtl_core.lab.exercises.engine import Exercise, judge
from vmtl_core.lab.exercises.runs import run

CODE = [e for chapter in chapters() for e in exercises(chapter) if e.is_code]
VALUES = [
    e
    for chapter in chapters()
    for e in exercises(chapter)
    if not e.is_code and not isinstance(e.solution, str)
]
CHOICES = [e for c in chapters() for e in exercises(c) if isinstance(e.solution, str)]
SPOILED: dict[str, Callable[[Tensor], Tensor]] = {
    "sign": lambda w: -w,
    "half": lambda w: w / 2,
    "double": lambda w: 2 * w,
    "log": torch.log,
    "exp": torch.exp,
    "square": torch.square,
    "root": torch.sqrt,
    "reciprocal": lambda w: 1 / w,
    "bits": lambda w: w / math.log(2),
    "constant": lambda w: w - 0.5 * math.log(2 * math.pi),
}
UNKNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "a constant": lambda w: w + 0.37,
    "a factor": lambda w: 0.37 * w,
    "noise": lambda w: w + 0.01 * torch.randn(w.shape),
    "a sum": lambda w: w.sum(0) if w.ndim else 3 * w,
}
OFTEN = {"sign", "log", "a constant", "noise", "a sum"}
EVERY = [
    pytest.param(kind, marks=() if kind in OFTEN else pytest.mark.nightly)
    for kind in (*SPOILED, *UNKNOWN)
]


def number(exercise: Exercise) -> str:
    return exercise.number


def each(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """`change` of every tensor of a value."""
    if isinstance(value, tuple | list) and any(isinstance(entry, Tensor) for entry in value):
        return tuple(each(change, entry) for entry in value)
    return change(torch.as_tensor(value, dtype=torch.float64))


def spoiled(exercise: Exercise, change: Callable[[Tensor], Tensor]) -> Any:
    if not exercise.is_code:
        return each(change, exercise.solution)
    return lambda *arguments: each(change, exercise.solution(*arguments))


@pytest.mark.parametrize("case", range(len(STUDENTS)), ids=lambda i: f"{STUDENTS[i][0]}-{i}")
def test_answers_of_students(case: int) -> None:
    number, answer, name = STUDENTS[case]
    result = judge(find(number), answer)
    assert not result.correct
    if name is not None:
        assert result.mistake is not None, result.message
        assert name in result.mistake
    elif result.mistake is None:
        assert find(number).hint in result.message


def test_most_answers_of_students_are_named() -> None:
    assert len(STUDENTS) >= 70
    assert sum(name is not None for _, _, name in STUDENTS) >= 0.85 * len(STUDENTS)


@pytest.mark.parametrize("exercise", CODE, ids=number)
@pytest.mark.parametrize("kind", EVERY)
def test_a_spoiled_solution_is_named(exercise: Exercise, kind: str) -> None:
    """Zeros and ones are their own squares; what is nowhere a number is called so."""
    result = judge(exercise, spoiled(exercise, (SPOILED | UNKNOWN)[kind]))
    assert result.correct or result.mistake is not None, result.message
    assert not result.correct or exercise.number == "0.2"


@pytest.mark.parametrize("exercise", VALUES, ids=number)
@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_value_is_named(exercise: Exercise, kind: str) -> None:
    result = judge(exercise, spoiled(exercise, SPOILED[kind]))
    assert result.mistake is not None, result.message
    assert f"{float(exercise.solution):.3g}" not in result.message


@pytest.mark.parametrize("exercise", CHOICES, ids=number)
def test_choices_may_be_dressed(exercise: Exercise) -> None:
    right = exercise.solution
    for answer in (f"({right})", f"{right}.", f"Answer: {right.upper()}", [right], f"{right})"):
        assert judge(exercise, answer).correct
    wrong = exercise.mistakes[0]
    assert judge(exercise, f"({wrong.answer})").mistake == wrong.name


def test_a_number_in_quotation_marks() -> None:
    assert judge(find("1.5"), "0.6").correct
    assert not judge(find("1.5"), "six").correct


def test_an_argument_that_is_left_unused_is_named() -> None:
    def answer(start: Tensor, phi: Tensor) -> Tensor:
        return torch.full(start.shape, 1 / len(start)) + 0.01 * phi.softmax(0)

    result = judge(find("7.3"), answer)
    assert result.mistake == "unused"
    assert "`start`" in result.message
    assert "`phi`" not in result.message


def test_a_biased_sample_is_told_from_an_unbiased_one() -> None:
    right = find("4.2").solution

    def biased(kl: Tensor, log_weights: Tensor, tau: float) -> Tensor:
        return right(kl, log_weights, tau) + 0.5 + 0.01 * torch.randn(len(kl))

    def unbiased(kl: Tensor, log_weights: Tensor, tau: float) -> Tensor:
        return right(kl, log_weights, tau) + 0.01 * torch.randn(len(kl))

    assert judge(find("4.2"), biased).mistake == "sampled, biased"
    assert judge(find("4.2"), unbiased).mistake == "sampled"


def test_running_an_answer_again_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def talks(kl: Tensor, log_weights: Tensor, tau: float) -> Tensor:
        calls.append(1)
        print("called")
        return kl.sum(-1).sin() - tau * log_weights.sum(-1).cos()

    exercise = find("4.2")
    assert judge(exercise, talks).mistake is None
    assert capsys.readouterr().out == "called\n" * len(exercise.inputs())
    assert len(calls) > len(exercise.inputs())


def test_terms_add_up_to_the_solution() -> None:
    with_terms = [exercise for exercise in CODE if exercise.terms is not None]
    assert with_terms
    for exercise in with_terms:
        assert exercise.terms is not None
        assert exercise.cases is not None
        terms, wanted = run(exercise.terms, exercise.cases), run(exercise.solution, exercise.cases)
        for each_term, total in zip(terms, wanted, strict=True):
            torch.testing.assert_close(sum(each_term.values()), total)
