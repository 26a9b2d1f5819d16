"""Comparison of an answer with what it should be: tensors, numbers, strings, and tuples of them."""

import re
from typing import Any

import torch
from torch import Tensor

SHOWN = 6  # numbers of an argument that a message prints
INTRODUCING = {"answer", "choice", "option", "is", "it", "the"}  # a choice; no part of it


def difference(found: Any, wanted: Any, tolerance: float) -> str | None:
    """How `found` differs from `wanted`, in words; None if it does not.

    Tensors, arrays and numbers are compared in float64 within the tolerance, relative and absolute;
    NaN equals NaN only. Strings are compared without regard to case, to what isn't a letter or
    a digit, and to words such as "answer": "(B)" is "b".
    """
    return _difference(found, wanted, tolerance, "")


def _difference(found: Any, wanted: Any, tolerance: float, place: str) -> str | None:
    if isinstance(wanted, str):
        return (
            None
            if _words(found) == _words(wanted)
            else f"{place}it is {describe(found)}, should be {wanted!r}."
        )
    if isinstance(wanted, tuple | list):
        if not isinstance(found, tuple | list) or len(found) != len(wanted):
            return f"{place}it should be a tuple of {len(wanted)}; got {describe(found)}."
        for i, pair in enumerate(zip(found, wanted, strict=True)):
            text = _difference(*pair, tolerance, f"{place}entry {i}: ")
            if text is not None:
                return text
        return None
    left, right = as_tensor(found), as_tensor(wanted)
    if right is None:
        return None if found == wanted else f"{place}it is {found!r}, should be {wanted!r}."
    if left is None:
        return f"{place}it should be a number or a tensor; got {describe(found)}."
    if left.shape != right.shape:
        return f"{place}its shape is {tuple(left.shape)}, should be {tuple(right.shape)}."
    return _first_value(left, right, tolerance, place)


def _words(value: Any) -> list[str] | None:
    """The words of a choice, without those that only introduce it; None for what is no string."""
    if isinstance(value, tuple | list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        return None
    words = re.findall(r"\w+", value.lower())
    return [word for word in words if word not in INTRODUCING] or words


def _first_value(left: Tensor, right: Tensor, tolerance: float, place: str) -> str | None:
    close = torch.isclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)
    if bool(close.all()):
        return None
    index = tuple((~close).nonzero()[0].tolist())
    where = f"its value at {list(index)}" if index else "your value"
    return f"{place}{where} is {left[index]:.6g}, should be {right[index]:.6g}."


def direction(found: Any, wanted: Any, tolerance: float) -> str:
    """What is wrong with a value, without giving the right one away."""
    left, right = as_tensor(found), as_tensor(wanted)
    if right is None:
        return f"{describe(found)} is wrong."
    if left is None or left.shape != right.shape:
        kind = f"numbers of shape {tuple(right.shape)}" if right.ndim else "a number"
        return f"the answer is {kind}; got {describe(found)}."
    close = torch.isclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)
    index = tuple((~close).nonzero()[0].tolist())
    where = f" at {list(index)}" if index else ""
    if not bool(torch.isfinite(left[index])):
        return f"{left[index]:g}{where} is not a finite number."
    size = "large" if left[index] > right[index] else "small"
    return f"{left[index]:.6g}{where} is too {size}."


def as_tensor(value: Any) -> Tensor | None:
    """A number, array or tensor in float64, off the graph; None for anything else."""
    if isinstance(value, str) or value is None:
        return None
    try:
        return torch.as_tensor(value, dtype=torch.float64, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError):
        return None


def as_number(value: Any) -> Any:
    """A string that holds a number as that number, anything else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def describe(value: Any) -> str:
    """A value in a few words: small tensors in full, large ones by their shape."""
    if isinstance(value, Tensor):
        if value.numel() > SHOWN:
            return f"a tensor of shape {tuple(value.shape)}"
        numbers = [float(f"{number:.6g}") for number in value.detach().flatten().tolist()]
        if value.ndim == 0:
            return f"{numbers[0]:g}"
        return f"{numbers} (shape {tuple(value.shape)})" if value.ndim > 1 else f"{numbers}"
    if callable(value):
        return f"the {type(value).__name__} {getattr(value, '__name__', '')}".rstrip()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
