"""Solutions agree with computations that share nothing with them: quadrature, autograd, simulation.

A section for each chapter; the cases are those of the exercise, in float64.
"""

from collections.abc import Iterator
from typing import Any

from vmtl_core.lab.exercises import find
from vmtl_core.lab.exercises.runs import float64, run


def solved(number: str) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Arguments and value of an exercise's solution, case by case."""
    exercise = find(number)
    assert exercise.cases is not None
    values = run(exercise.solution, exercise.cases)
    with float64():
        yield from zip(exercise.inputs(), values, strict=True)


# Chapter 0

# Chapter 1

# Chapter 2

# Chapter 3

# Chapter 4

# Chapter 5

# Chapter 6

# Chapter 7

# Chapter 8

# Chapter 9

# Chapter 10

# Chapter 11

# Chapter 12
