"""Running answers: in float64, from a seed, on cases made anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from vmtl_core._random import forked

UNSOLVED = (None, ..., NotImplemented)
Cases = Callable[[], list[tuple[Any, ...]]]
CPU = torch.device("cpu")


def inputs(cases: Cases) -> list[tuple[Any, ...]]:
    """The cases, made anew, so that an answer that changes its arguments harms nobody."""
    with forked(0, CPU), float64():
        return cases()


def run(
    function: Callable[..., Any],
    cases: Cases,
    change: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None,
    seed: int = 0,
) -> list[Any]:
    """A function's values on the cases; ends early at the first that is missing.

    Args:
        function: an answer, or a solution.
        cases: what makes the arguments.
        change: of the arguments of a case, before they are handed over.
        seed: of what the function draws; case i has its own, seed + i.
    """
    values: list[Any] = []
    with float64():
        for case in range(len(inputs(cases))):
            arguments = inputs(cases)[case]
            if change is not None:
                arguments = change(arguments)
            with forked(seed + case, CPU):
                values.append(function(*arguments))
            if is_unsolved(values[-1]):
                break
    return values


def is_unsolved(value: Any) -> bool:
    """Whether a value says that there is none yet."""
    return any(value is mark for mark in UNSOLVED)


@contextmanager
def float64() -> Iterator[None]:
    """Tensors made inside are float64, and gradients are recorded."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(before)
