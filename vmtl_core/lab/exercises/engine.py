"""What an exercise is, and how an answer is judged.

The naming rule, which a test holds for every chapter. For exercise 4.2,

- the chapter's module `chapter_04.py` has the functions `stub_4_2` and `solution_4_2`;
- in the notebook both are called `answer_4_2`: a code cell holds the stub (or `answer_4_2 = ...` for
  a value), a code cell calls `check("4.2", answer_4_2)`, and the code block of a folded
  `<details>` holds the solution. But for the name they are the module's functions: the same
  statements, docstring and comments (line breaks may differ).

An exercise about a value or a choice has a number, a tensor, a tuple or a string such as "b" for its
solution, and `stub=None`, `cases=None`.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vmtl_core._checks import require
from vmtl_core.lab.exercises.compare import as_number, describe, difference, direction
from vmtl_core.lab.exercises.kinds import (
    NOT_FINITE,
    PARTLY,
    Question,
    kind_of,
    kind_of_value,
    of_mistakes,
)
from vmtl_core.lab.exercises.relations import Kind
from vmtl_core.lab.exercises.runs import Cases, inputs, is_unsolved, run

NUMBER = re.compile(r"(?:0|[1-9]\d*)\.[1-9]\d*")


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that is known, and what to say to it.

    Args:
        name: a short name, such as "convex".
        message: what the answer is and why it is not what was asked; names an equation.
        answer: the wrong function or value.
    """

    name: str
    message: str
    answer: Any


@dataclass(frozen=True)
class Exercise:
    """One exercise: what the notebook holds, the right answer and the known wrong ones.

    Args:
        number: "4.2" is the second of chapter 4.
        title: a few words.
        stub: the function that the notebook holds; None where the answer is a value.
        solution: the right function or value.
        mistakes: at least two; the first that an answer agrees with on all cases is named.
        cases: function that makes the inputs, a list of tuples of arguments; called anew for every
            answer, with torch seeded and in float64. None where the answer is a value.
        hint: what `hint` prints when it is asked for the second time, and `check` with an answer that
            it can't name.
        nudge: what `hint` prints first: where to look or what to ask, giving nothing away.
        stars: how hard it is, 1 to 3: a few minutes, a quarter of an hour, an evening.
        tolerance: relative and absolute, of every number.
        terms: function of the arguments that gives what the solution is the sum of, by name, so that
            a mistake in one of them is told; None where it is no sum.

    Raises:
        ValueError: if these do not fit together.
    """

    number: str
    title: str
    solution: Any
    mistakes: Sequence[Mistake]
    hint: str
    stub: Callable[..., Any] | None = None
    cases: Cases | None = None
    tolerance: float = 1e-6
    nudge: str = ""
    stars: int = 1
    terms: Callable[..., dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        require(
            NUMBER.fullmatch(self.number) is not None,
            f"`number` must look like '4.2'; got {self.number!r}",
        )
        require(
            self.stars in (1, 2, 3),
            f"exercise {self.number}: `stars` must be 1, 2 or 3; got {self.stars!r}",
        )
        given = (self.stub is not None, self.cases is not None)
        require(
            given == (self.is_code, self.is_code),
            f"exercise {self.number}: `stub` and `cases` belong to a solution that is a function, "
            "and to no other",
        )

    @property
    def is_code(self) -> bool:
        """Whether a function is asked for; else a value or a choice."""
        return callable(self.solution)

    def inputs(self) -> list[tuple[Any, ...]]:
        """The cases, made anew, so that an answer that changes its arguments harms nobody."""
        return [] if self.cases is None else inputs(self.cases)


@dataclass(frozen=True)
class Result:
    """What `check` found.

    Args:
        number: of the exercise.
        correct: whether the answer is right.
        message: what was printed.
        mistake: the name of the known mistake that the answer is, or of its kind; None if neither.
        attempted: whether there was an answer, right or wrong; False of the stub.
    """

    number: str
    correct: bool
    message: str
    mistake: str | None = None
    attempted: bool = True

    @property
    def verdict(self) -> str:
        """In a word or two: "correct", "wrong", "wrong: convex" (a known mistake), "not tried"."""
        if not self.attempted:
            return "not tried"
        wrong = f"wrong: {self.mistake}" if self.mistake else "wrong"
        return "correct" if self.correct else wrong

    def _ipython_display_(self) -> None:
        """Nothing: the message has been printed."""


def judge(exercise: Exercise, answer: Any) -> Result:
    """Compare an answer with the solution, then with known mistakes and kinds. Never raises."""
    number = exercise.number
    if not exercise.is_code and not isinstance(exercise.solution, str):
        answer = as_number(answer)
    unsolved = Result(
        number, False, f'not solved yet. hint("{number}") gives a hint.', attempted=False
    )
    if is_unsolved(answer):
        return unsolved
    if callable(answer) != exercise.is_code:
        wanted = "a function" if exercise.is_code else "a value, not a function"
        return Result(number, False, f"the answer is {wanted}; got {describe(answer)}.")
    try:
        found = _evaluate(exercise, answer)
    except NotImplementedError:
        return unsolved
    except Exception as error:
        text = f"your function raises {type(error).__name__}: {error}\nHint: {exercise.hint}"
        return Result(number, False, text)
    if any(is_unsolved(value) for value in found):
        return unsolved
    wrong = _first_difference(exercise, found, exercise.solution)
    if wrong is None:
        return Result(number, True, "correct.")
    for mistake in exercise.mistakes:
        if _first_difference(exercise, found, mistake.answer) is None:
            return Result(number, False, f"not right: {mistake.message}", mistake.name)
    kind = _kind(exercise, answer, found)
    if kind is None or kind.name in (NOT_FINITE.name, PARTLY):
        told = "" if kind is None else f"{kind.message}\n"
        said, name = told + _explain(exercise, found, wrong), kind and kind.name
    else:
        said, name = kind.message, kind.name
    return Result(number, False, f"not right: {said}", name)


def _kind(exercise: Exercise, answer: Any, found: list[Any]) -> Kind | None:
    """The kind of a mistake that is on no list, or None."""
    if exercise.cases is not None:
        question = Question(
            solution=exercise.solution,
            answer=answer,
            cases=exercise.cases,
            names=list(inspect.signature(exercise.stub or exercise.solution).parameters),
            found=found,
            tolerance=exercise.tolerance,
            terms=exercise.terms,
        )
        kind = kind_of(question)
        if kind is not None and kind.name not in ("unused", PARTLY):
            return kind
        return (
            of_mistakes(question, [(m.name, m.message, m.answer) for m in exercise.mistakes])
            or kind
        )
    if isinstance(exercise.solution, str):
        return None
    return kind_of_value(found[0], exercise.solution, exercise.tolerance)


def _evaluate(exercise: Exercise, answer: Any) -> list[Any]:
    """The answer's value on every case, or the value itself; stops at a missing one."""
    return [answer] if exercise.cases is None else run(answer, exercise.cases)


def _first_difference(exercise: Exercise, found: list[Any], other: Any) -> tuple[int, str] | None:
    """The first case in which `found` is not what `other` gives, and how; None if they agree."""
    for case, (value, wanted) in enumerate(zip(found, _evaluate(exercise, other), strict=True)):
        text = difference(value, wanted, exercise.tolerance)
        if text is not None:
            return case, text
    return None


def _explain(exercise: Exercise, found: list[Any], wrong: tuple[int, str]) -> str:
    """What to say to an answer that is no known mistake; the solution of a value is not given away."""
    if not exercise.is_code:
        if isinstance(exercise.solution, str):
            answers = {exercise.solution, *(m.answer for m in exercise.mistakes)}
            choice = ", ".join(sorted(map(repr, answers)))
            return f"answer with one of {choice}.\nHint: {exercise.hint}"
        told = direction(found[0], exercise.solution, exercise.tolerance)
        return f"{told}\nHint: {exercise.hint}"
    case, text = wrong
    arguments = ", ".join(describe(argument) for argument in exercise.inputs()[case])
    where = f"That was case {case + 1} of {len(found)}, with arguments {arguments}."
    return f"{text}\n{where}\nHint: {exercise.hint}"
