"""What `check` says to every kind of answer."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake, judge

NAN = float("nan")


def stub_9_1(x: Tensor) -> Tensor:
    raise NotImplementedError("your code here")


def half(x: Tensor) -> Tensor:
    return x / 2


CODE = Exercise(
    number="9.1",
    title="Half of it",
    stub=stub_9_1,
    solution=half,
    cases=lambda: [(torch.ones(3),), (torch.arange(6.0).reshape(2, 3),)],
    hint="Divide by two.",
    mistakes=[
        Mistake("double", "that is twice, see (9.1).", lambda x: 2 * x),
        Mistake("constant", "that is one half always, see (9.1).", lambda x: 0 * x + 0.5),
        Mistake("sum", "that is a sum, see (9.2).", lambda x: x.sum()),
    ],
)
CHOICE = Exercise(
    number="9.2",
    title="Which one",
    solution="b",
    hint="Not a.",
    mistakes=[Mistake("a", "a is the KL.", "a"), Mistake("c", "c is the entropy.", "c")],
)
NUMBERS = Exercise(
    number="9.3",
    title="Two numbers",
    solution=torch.tensor([0.25, 4.0]),
    hint="Square them.",
    tolerance=0.01,
    mistakes=[
        Mistake("root", "these are the sd, not the variance.", [0.5, 2.0]),
        Mistake("one", "these are the mean.", [1.0, 1.0]),
    ],
)
PAIR = Exercise(
    number="9.4",
    title="Mean and variance",
    stub=stub_9_1,
    solution=lambda x: (x.mean(), x.var(correction=0)),
    cases=lambda: [(torch.randn(5),)],
    hint="Divide by N.",
    mistakes=[
        Mistake("correction", "divided by N - 1.", lambda x: (x.mean(), x.var())),
        Mistake("swapped", "the variance first.", lambda x: (x.var(correction=0), x.mean())),
    ],
)


def raises(x: Tensor) -> Tensor:
    raise TypeError("no such thing")


def changes_its_argument(x: Tensor) -> Tensor:
    return x.div_(2)


# answer to CODE -> correct, mistake, attempted, part of the message
FUNCTIONS: dict[str, tuple[Any, bool, str | None, bool, str]] = {
    "solution": (half, True, None, True, "correct."),
    "in place": (changes_its_argument, True, None, True, "correct."),
    "float32": (lambda x: half(x).float(), True, None, True, "correct."),
    "array": (lambda x: half(x).numpy(), True, None, True, "correct."),
    "graph": (lambda x: half(x).requires_grad_(), True, None, True, "correct."),
    "stub": (stub_9_1, False, None, False, 'not solved yet. hint("9.1")'),
    "returns nothing": (lambda x: None, False, None, False, "not solved yet"),
    "returns ...": (lambda x: ..., False, None, False, "not solved yet"),
    "missing": (..., False, None, False, "not solved yet"),
    "none": (None, False, None, False, "not solved yet"),
    "double": (lambda x: x + x, False, "double", True, "not right: that is twice"),
    "constant": (lambda x: torch.full_like(x, 0.5), False, "constant", True, "one half always"),
    "sum": (lambda x: float(x.sum()), False, "sum", True, "that is a sum"),
    "sum of ones only": (lambda x: half(x) if x[0].ndim else x.sum(), False, None, True, "shape"),
    "double at times": (
        lambda x: 2 * x if x.ndim == 1 else x,
        False,
        None,
        True,
        "its value at [0] is 2, should be 0.5.",
    ),
    "second case": (
        lambda x: half(x) if x.ndim == 1 else x,
        False,
        None,
        True,
        "its value at [0, 1] is 1, should be 0.5.\nThat was case 2 of 2, with arguments "
        "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0] (shape (2, 3)).",
    ),
    "shape": (lambda x: half(x)[:1], False, None, True, "its shape is (1,), should be (3,)."),
    "nan": (
        lambda x: x * NAN,
        False,
        "not finite",
        True,
        "its value at [0] is nan, should be 0.5.",
    ),
    "infinite": (lambda x: x / 0, False, "not finite", True, "its value at [0] is inf"),
    "text": (lambda x: "half", False, None, True, "a number or a tensor; got 'half'"),
    "raises": (
        raises,
        False,
        None,
        True,
        "raises TypeError: no such thing\nHint: Divide by two.",
    ),
    "arguments": (lambda: 1, False, None, True, "raises TypeError"),
    "value": (0.5, False, None, True, "the answer is a function; got 0.5."),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_answers_that_are_functions(kind: str) -> None:
    answer, correct, mistake, attempted, message = FUNCTIONS[kind]
    result = judge(CODE, answer)
    assert (result.correct, result.mistake, result.attempted) == (correct, mistake, attempted)
    assert message in result.message


VALUES: list[tuple[Exercise, Any, bool, str | None, str]] = [
    (CHOICE, "b", True, None, "correct."),
    (CHOICE, " B ", True, None, "correct."),
    (CHOICE, "a", False, "a", "not right: a is the KL."),
    (CHOICE, "d", False, None, "not right: answer with one of 'a', 'b', 'c'."),
    (CHOICE, 2, False, None, "answer with one of"),
    (CHOICE, half, False, None, "the answer is a value, not a function; got the function half."),
    (NUMBERS, [0.25, 4.0], True, None, "correct."),
    (NUMBERS, np.array([0.251, 3.99]), True, None, "correct."),
    (NUMBERS, (0.5, 2.0), False, "root", "not the variance"),
    (NUMBERS, [0.25, 5.0], False, None, "not right: 5 at [1] is too large."),
    (NUMBERS, [0.2, 4.0], False, None, "not right: 0.2 at [0] is too small."),
    (NUMBERS, [0.25, NAN], False, None, "nan at [1] is not a finite number."),
    (NUMBERS, 0.25, False, None, "the answer is numbers of shape (2,); got 0.25."),
    (NUMBERS, "a", False, None, "the answer is numbers of shape (2,); got 'a'."),
    (NUMBERS, ..., False, None, "not solved yet"),
]


@pytest.mark.parametrize(("exercise", "answer", "correct", "mistake", "message"), VALUES)
def test_answers_that_are_values(
    exercise: Exercise, answer: Any, correct: bool, mistake: str | None, message: str
) -> None:
    result = judge(exercise, answer)
    assert (result.correct, result.mistake) == (correct, mistake)
    assert message in result.message


def test_tuples_are_compared_entry_by_entry() -> None:
    def only_the_mean_is_right(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean(), x.mean()

    assert judge(PAIR, PAIR.solution).correct
    assert judge(PAIR, lambda x: [float(v) for v in PAIR.solution(x)]).correct
    assert judge(PAIR, lambda x: (x.mean(), x.var())).mistake == "correction"
    assert "entry 1: your value is" in judge(PAIR, only_the_mean_is_right).message
    assert judge(PAIR, torch.mean).mistake == "one entry"
    assert "a tuple of 2" in judge(PAIR, torch.square).message


def test_nan_agrees_with_nan_alone() -> None:
    exercise = Exercise(
        number="9.5",
        title="Not a number",
        stub=stub_9_1,
        solution=torch.log,
        cases=lambda: [(torch.tensor([-1.0, 0.0, 1.0]),)],
        hint="Take the logarithm.",
        mistakes=[],
    )
    assert judge(exercise, lambda x: x.log()).correct
    assert "is 0, should be nan" in judge(exercise, lambda x: x.log().nan_to_num(0, 0, 0)).message


def test_random_answers_are_seeded_and_the_global_state_is_left_alone() -> None:
    def noise(x: Tensor) -> Tensor:
        return torch.randn(3)

    exercise = Exercise(
        number="9.6",
        title="Noise",
        stub=stub_9_1,
        solution=lambda x: torch.randn(3),
        cases=lambda: [(torch.zeros(1),), (torch.zeros(2),)],
        hint="Draw.",
        mistakes=[],
    )
    state = torch.random.get_rng_state()
    assert judge(exercise, noise).correct
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_default_dtype() == torch.float32


def test_the_comparison_runs_in_float64_with_gradients() -> None:
    def needs_both(x: Tensor) -> Tensor:
        assert x.dtype == torch.zeros(1).dtype == torch.float64
        at = x.clone().requires_grad_()
        return torch.autograd.grad((at.square() / 4).sum(), at)[0]

    with torch.no_grad():
        assert judge(CODE, needs_both).correct


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": "9"}, "`number` must look like '4.2'; got '9'"),
        ({"number": "9.0"}, "`number`"),
        ({"stub": None}, "`stub` and `cases`"),
        ({"cases": None}, "`stub` and `cases`"),
        ({"solution": 1.0}, "`stub` and `cases`"),
    ],
)
def test_exercises_that_do_not_fit_together(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Exercise(**(vars(CODE) | change))
