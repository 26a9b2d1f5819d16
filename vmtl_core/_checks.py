"""Checks of user input. Every message names the argument, what was expected and what came."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor


def require(condition: bool, message: str) -> None:
    """Raise `ValueError(message)` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def one_of(name: str, value: Any, allowed: Collection[Any]) -> None:
    """Raise unless `value` is one of `allowed`."""
    require(
        any(value is a or (isinstance(a, str) and value == a) for a in allowed),
        f"`{name}` must be one of {sorted(map(repr, allowed))}; got {value!r}",
    )


def positive_int(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`."""
    is_int = isinstance(value, int) and not isinstance(value, bool)
    require(is_int and value >= least, f"`{name}` must be an integer >= {least}; got {value!r}")
    return value


def positive_number(name: str, value: Any) -> float:
    """`value` as a float above zero (infinity allowed, NaN not)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be a number > 0; got {value!r}") from None
    require(number > 0, f"`{name}` must be > 0; got {number:g}")
    return number


def finite(name: str, value: Tensor) -> None:
    """Raise if a floating-point tensor holds NaN or infinity, and say where."""
    if not value.is_floating_point() or bool(torch.isfinite(value).all()):
        return
    rows = (~torch.isfinite(value)).reshape(len(value), -1).any(1).nonzero().flatten()
    numbers = value[rows[0]].reshape(-1)
    found = numbers[~torch.isfinite(numbers)][0].item()
    raise ValueError(
        f"`{name}` must be finite; {len(rows)} of {len(value)} rows hold NaN or infinity, "
        f"the first is row {rows[0].item()} with {found}"
    )


def long_format(tasks: int, x: Tensor, task: Tensor, y: Tensor | None = None) -> None:
    """Raise unless x (N, ...), y (N, ...) and task (N,) are a table of examples of T tasks."""
    columns = {"x": x, "task": task} | ({} if y is None else {"y": y})
    for name, value in columns.items():
        require(isinstance(value, Tensor), f"`{name}` must be a tensor; got {type(value).__name__}")
    integer = not (task.is_floating_point() or task.is_complex() or task.dtype == torch.bool)
    require(
        task.ndim == 1 and integer,
        f"`task` must be a one-dimensional integer tensor; got shape {tuple(task.shape)}, "
        f"{task.dtype}",
    )
    for name, value in columns.items():
        require(
            value.ndim >= 1 and len(value) == len(task),
            f"`{name}` must have one row for each of the {len(task)} entries of `task`; "
            f"got shape {tuple(value.shape)}",
        )
        finite(name, value)
    require(len(task) > 0, "`task` must hold at least one example; got none")
    outside = task[(task < 0) | (task >= tasks)].unique().tolist()
    require(not outside, f"`task` must hold ids 0...{tasks - 1}; got {outside[:10]}")


def sizes_match(task_sizes: Tensor, task: Tensor) -> None:
    """Raise unless `task` is the whole table that `task_sizes` describes."""
    counts = torch.bincount(task, minlength=len(task_sizes))
    empty = (counts == 0).nonzero().flatten().tolist()
    require(
        not empty,
        f"`task` must hold every id 0...{len(task_sizes) - 1}; ids {empty[:10]} have no example",
    )
    wrong = (counts != task_sizes).nonzero().flatten().tolist()
    require(
        not wrong,
        f"`task` must agree with `task_sizes`; tasks {wrong[:10]} have "
        f"{counts[wrong[:10]].tolist()} rows, `task_sizes` says {task_sizes[wrong[:10]].tolist()}",
    )
