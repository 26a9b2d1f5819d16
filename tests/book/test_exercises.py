"""Every exercise of every chapter: its stub, its solution and its known mistakes are judged rightly."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.book.chapters import CHAPTERS, read
from vmtl_core.lab.exercises import chapters, exercises
from vmtl_core.lab.exercises.compare import difference
from vmtl_core.lab.exercises.engine import Exercise, judge

EXERCISES = [exercise for chapter in chapters() for exercise in exercises(chapter)]
THEORY = set(range(1, 9))  # once these chapters are there, the counts below hold
CONCEPT = re.compile(
    r"\(\d+\.\d+[a-z]?\)|\b(KL|ELBO|prior|posterior|likelihood|evidence|entropy|variance|mean|bound|"
    r"mixture|temperature|Gumbel|softmax|gradient|sample|average|weight|density|noise|draw|alpha|"
    r"pooled|pooling|responsibilit|transfer|predict|calibrat|coverage|quantile|interval|boundary|"
    r"task|receiver|source)",
    re.I,
)

every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.number)
every_chapter = pytest.mark.parametrize("chapter", chapters())


def floats(value: Any) -> list[Tensor]:
    if isinstance(value, tuple | list):
        return [tensor for entry in value for tensor in floats(entry)]
    return [value] if isinstance(value, Tensor) and value.is_floating_point() else []


@every_chapter
def test_the_list_is_in_order(chapter: int) -> None:
    numbers = [exercise.number for exercise in exercises(chapter)]
    assert numbers == [f"{chapter}.{i + 1}" for i in range(len(numbers))]
    assert len(numbers) >= 3, "at least three exercises a chapter"


def test_every_chapter_of_the_book_has_exercises() -> None:
    """A notebook that calls `check` has a module, and a module has a notebook."""
    asking = {
        int(path.name[:2])
        for path in CHAPTERS
        if any(re.search(r"\bcheck\(\s*[\"']", cell.source) for cell in read(path).cells)
    }
    assert asking == set(chapters())


@pytest.mark.skipif(not set(chapters()) >= THEORY, reason="chapters 1-8 are not all there yet")
def test_there_are_enough() -> None:
    assert len(EXERCISES) >= 20
    assert sum(not exercise.is_code for exercise in EXERCISES) >= 5


@every_exercise
def test_the_stub_is_not_solved_yet(exercise: Exercise) -> None:
    result = judge(exercise, exercise.stub)
    assert not result.attempted
    assert not result.correct
    assert result.message.startswith("not solved yet")


@every_exercise
def test_the_solution_is_correct(exercise: Exercise) -> None:
    result = judge(exercise, exercise.solution)
    assert result.correct, result.message


@every_exercise
def test_every_mistake_is_recognised_as_itself(exercise: Exercise) -> None:
    assert len({mistake.name for mistake in exercise.mistakes}) == len(exercise.mistakes) >= 2
    for mistake in exercise.mistakes:
        result = judge(exercise, mistake.answer)
        assert result.mistake == mistake.name, f"{mistake.name}: {result.message}"
        assert mistake.message in result.message


@every_exercise
def test_messages_teach(exercise: Exercise) -> None:
    """A message names an equation or a concept, and no two are the same; there is a hint."""
    messages = [mistake.message for mistake in exercise.mistakes]
    assert len(set(messages)) == len(messages)
    for message in messages:
        assert CONCEPT.search(message), f"names no equation and no concept: {message!r}"
    assert len(exercise.hint) > 10
    assert exercise.title.strip()


@every_exercise
def test_cases_are_several_the_same_every_time_and_float64(exercise: Exercise) -> None:
    if exercise.cases is None:
        return
    first, again = exercise.inputs(), exercise.inputs()
    assert len(first) >= 2, "one case may agree by chance"
    for left, right in zip(first, again, strict=True):
        assert isinstance(left, tuple), "a case is a tuple of arguments"
        for one, other in zip(floats(left), floats(right), strict=True):
            assert one.dtype == torch.float64
            assert difference(one, other, 0.0) is None
