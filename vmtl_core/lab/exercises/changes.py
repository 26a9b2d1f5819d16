"""Kinds of mistake in the arguments: the right function of something that wasn't given.

A variance used for a standard deviation, a probability for its log, two arguments exchanged, one
forgotten: the answer is then the solution of arguments that are changed in that way.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from vmtl_core.lab.exercises.relations import Kind

Arguments = tuple[Any, ...]
FEW = 3
"""The most entries of which each has its own sign tried."""


class Change(NamedTuple):
    """A kind of mistake and what it does to the arguments of one case."""

    kind: Kind
    of: Callable[[Arguments], Arguments]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numeric(value: Any) -> bool:
    return _number(value) or (isinstance(value, Tensor) and value.is_floating_point())


def _tensor(change: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    """`change` of a tensor or a number; of the scale of a Gaussian."""

    def changed(value: Any) -> Any:
        if isinstance(value, Normal):
            return Normal(value.loc, change(value.scale))
        if _number(value):
            number = change(torch.as_tensor(float(value), dtype=torch.float64)).item()
            return round(number) if isinstance(value, int) and number % 1 == 0 else number
        return change(value)

    return changed


ONE: list[tuple[str, str, Callable[[Tensor], Tensor]]] = [
    (
        "squared",
        "`{}` squared: a standard deviation where a variance belongs, or the other way?",
        torch.square,
    ),
    (
        "root",
        "the square root of `{}`: a variance where a standard deviation belongs, or the other way?",
        torch.sqrt,
    ),
    ("negated", "`{}` with its sign changed", torch.neg),
    ("one over", "one over `{}`", torch.reciprocal),
    (
        "exp of",
        "exp of `{}`: a probability where its logarithm belongs, or the other way?",
        torch.exp,
    ),
    ("log of", "the logarithm of `{}`", torch.log),
    ("half of", "half of `{}`", lambda x: x / 2),
    ("twice", "twice `{}`", lambda x: 2 * x),
    ("complement", "one minus `{}`", lambda x: 1 - x),
    ("one less", "`{}` less one", lambda x: x - 1),
    ("one more", "`{}` plus one", lambda x: x + 1),
    ("left out", "`{}` put at 0: it was left out", torch.zeros_like),
    ("left out", "`{}` put at 1: it was left out", torch.ones_like),
]
"""What may have happened to one argument."""

MATRICES: list[tuple[str, str, Callable[[Tensor], Tensor]]] = [
    ("inverted", "the inverse matrix of `{}`: a precision for a covariance?", torch.linalg.inv),
    ("factor", "the Cholesky factor of `{}`", torch.linalg.cholesky),
    (
        "squared",
        "the matrix `{}` times its transpose: a matrix for its factor?",
        lambda x: x @ x.mT,
    ),
    ("diagonal", "the diagonal of `{}` alone", lambda x: torch.diag_embed(x.diagonal(0, -2, -1))),
]
"""What may have happened to a square matrix."""

TENSORS: list[tuple[str, str, Callable[[Tensor], Tensor]]] = [
    ("transposed", "`{}` transposed", lambda x: x.mT),
    ("reversed", "`{}` in the reverse order", lambda x: x.flip(-1)),
    ("averaged", "the mean of `{}`, the same everywhere", lambda x: x.mean().expand(x.shape)),
    (
        "averaged",
        "the mean of `{}` over its last dimension",
        lambda x: x.mean(-1, True).expand(x.shape),
    ),
    (
        "averaged",
        "the mean of `{}` over its first dimension",
        lambda x: x.mean(0, True).expand(x.shape),
    ),
    ("first", "the first entry of `{}`, the same everywhere", lambda x: x[..., :1].expand(x.shape)),
    ("softmax", "the softmax of `{}`", lambda x: x.softmax(-1)),
    ("not normalised", "`{}` divided by its sum", lambda x: x / x.sum(-1, True)),
    ("centred", "`{}` less its mean", lambda x: x - x.mean(-1, True)),
]


def changes(names: list[str], case: Arguments) -> Iterator[Change]:
    """Every change that fits the arguments of a case.

    Args:
        names: of the arguments.
        case: the arguments themselves, of which only their kinds matter.
    """
    for i, value in enumerate(case):
        if _numeric(value) or isinstance(value, Normal):
            more = TENSORS if isinstance(value, Tensor) and value.ndim else []
            if more and value.ndim > 1 and value.shape[-1] == value.shape[-2]:
                more = [*TENSORS, *MATRICES]
            for name, said, change in [*ONE, *more]:
                yield _made(f"{names[i]} {name}", said.format(names[i]), i, _tensor(change))
        if isinstance(value, Normal):
            moved = f"the mean of `{names[i]}` with its sign changed"
            yield _made(f"{names[i]} negated", moved, i, lambda q: Normal(-q.loc, q.scale))
        if isinstance(value, Tensor) and value.is_floating_point() and value.ndim:
            for place in range(value.shape[-1] if value.shape[-1] <= FEW else 0):
                part = "entry" if value.ndim == 1 else "column"
                said = f"`{names[i]}` with the sign of {part} {place} changed"
                turned = partial(_turned, place=place)
                yield _made(f"{names[i]}[{place}] negated", said, i, turned)
    for i, j in combinations(range(len(case)), 2):
        if _alike(case[i], case[j]):
            said = f"`{names[i]}` and `{names[j]}` exchanged"
            yield Change(Kind("exchanged", _told(said)), lambda a, i=i, j=j: _swapped(a, i, j))  # type: ignore[misc]
    if len(case) > 1:
        yield from _sizes(names, case)


def _sizes(names: list[str], case: Arguments) -> Iterator[Change]:
    """A whole number that is to be the size of another argument: a batch for the whole."""
    for i, value in enumerate(case):
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        for j, other in enumerate(case):
            if isinstance(other, Tensor) and other.ndim:
                said = f"the number of rows of `{names[j]}` in place of `{names[i]}`"
                yield Change(
                    Kind("unscaled batch", _told(said)),
                    lambda a, i=i, j=j: (*a[:i], len(a[j]), *a[i + 1 :]),  # type: ignore[misc]
                )


def _turned(value: Tensor, place: int) -> Tensor:
    """With the sign of one entry of the last dimension changed."""
    signs = torch.ones(value.shape[-1]).to(value)
    signs[place] = -1
    return value * signs


def jittered(value: Any) -> Any:
    """An argument moved a little, to see whether an answer uses it; None where that can't be."""
    if isinstance(value, Normal):
        return Normal(value.loc + 0.1, 1.1 * value.scale)
    if isinstance(value, float):
        return 1.1 * value + 0.01
    if isinstance(value, Tensor) and value.is_floating_point():
        return value + 0.05 * (1 + torch.arange(value.numel()).view(value.shape).to(value) % 3)
    return None


def _made(name: str, said: str, place: int, change: Callable[[Any], Any]) -> Change:
    return Change(
        Kind(name, _told(said)),
        lambda a: (*a[:place], change(a[place]), *a[place + 1 :]),
    )


def _told(said: str) -> str:
    head, mark, tail = said.partition(":")
    return f"it would be right for {head}{mark}{tail}" + ("" if said.endswith("?") else ".")


def _alike(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return left.shape == right.shape and left.dtype == right.dtype
    return (_number(left) and _number(right)) or (
        isinstance(left, Normal) and isinstance(right, Normal)
    )


def _swapped(arguments: Arguments, i: int, j: int) -> Arguments:
    both = list(arguments)
    both[i], both[j] = both[j], both[i]
    return tuple(both)
