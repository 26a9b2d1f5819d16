"""Checks of user input. Every message names the argument, what was expected and what came."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from vmtl_core._rows import rows_per_task

MOST_NUMBERS = 2**40


def require(condition: bool, message: str) -> None:
    """Raise `ValueError(message)` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def one_of(name: str, value: Any, allowed: Collection[Any]) -> None:
    """Raise unless `value` is one of `allowed`."""
    require(
        any(value is a or (isinstance(a, str) and value == a) for a in allowed),
        f"`{name}` must be one of {', '.join(sorted(map(repr, allowed)))}; got {value!r}",
    )


def positive_int(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`; numpy's integers pass, True and 1.0 don't."""
    is_int = hasattr(value, "__index__") and not isinstance(value, bool | Tensor)
    require(is_int and value >= least, f"`{name}` must be an integer >= {least}; got {value!r}")
    require(value < 2**63, f"`{name}` must be below 2^63, to fit into 64 bits; got {value!r}")
    return int(value)


def number(name: str, value: Any) -> float:
    """`value` as a float. Text isn't one, nor a tensor whose gradient the float would lose."""
    no_number = isinstance(value, str | bytes | complex)
    if not (no_number or (isinstance(value, Tensor) and value.requires_grad)):
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            pass
    raise ValueError(f"`{name}` must be a plain number; got {value!r}")


def positive_number(name: str, value: Any) -> float:
    """`value` as a float above zero (infinity allowed, NaN not)."""
    found = number(name, value)
    if not found > 0:  # no `require`: under torch.compile a number may have no text
        raise ValueError(f"`{name}` must be > 0; got {found:g}")
    return found


def positive_finite(name: str, value: Any) -> float:
    """`value` as a float above zero and below infinity."""
    found = positive_number(name, value)
    require(math.isfinite(found), f"`{name}` must be finite; got {found:g}")
    return found


def positive_scale(name: str, value: Any) -> float:
    """`value` as a standard deviation above zero whose square the default dtype can hold."""
    found, limits = positive_finite(name, value), torch.finfo(torch.get_default_dtype())
    low, high = math.sqrt(limits.tiny), math.sqrt(limits.max)
    require(low < found < high, f"`{name}` must be in {low:.2g}...{high:.2g}; got {found:g}")
    return found


def sizes(name: str, value: Any) -> tuple[int, ...]:
    """`value` as a tuple of integers above zero."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    require(is_list, f"`{name}` must be a tuple of integers >= 1; got {value!r}")
    return tuple(positive_int(f"{name}[{i}]", one) for i, one in enumerate(value))


def room(names: str, *counts: int) -> None:
    """Raise unless a tensor of so many numbers is below 2^40, far beyond any machine's memory."""
    require(
        math.prod(counts) < MOST_NUMBERS,
        f"{names} must leave fewer than 2^40 numbers; got a tensor of shape {tuple(counts)}",
    )


def broadcastable(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two shapes broadcast."""
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))


def is_distribution(name: str, value: Any) -> None:
    """Raise unless `value` is a torch Distribution."""
    require(
        isinstance(value, Distribution),
        f"`{name}` must be a torch Distribution; got {type(value).__name__}",
    )


def check_log_weights(log_weights: Tensor) -> None:
    """Raise unless every row of `log_weights` is log probabilities."""
    real("log_weights", log_weights)
    total = log_weights.detach().exp().sum(-1).flatten()
    wrong = total[~((total - 1).abs() < 1e-3)]
    require(
        not len(wrong),
        "`log_weights` must be log probabilities, each row's sum 1; "
        f"{len(wrong)} of {len(total)} rows sum to another, the first to "
        f"{wrong[:1].sum().item():.4g}",
    )


def real(name: str, value: Any) -> None:
    """Raise unless `value` is a tensor of real floating-point numbers."""
    found = value.dtype if isinstance(value, Tensor) else type(value).__name__
    require(
        isinstance(value, Tensor) and value.is_floating_point(),
        f"`{name}` must be a floating-point tensor; got {found}",
    )


def one_dtype(first: str, a: Tensor, second: str, b: Tensor) -> None:
    """Raise unless two tensors are of one floating-point dtype."""
    real(first, a)
    real(second, b)
    require(a.dtype == b.dtype, f"`{second}` must be {a.dtype} as `{first}` is; got {b.dtype}")


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


def long_format(tasks: int, x: Tensor, task: Tensor, y: Tensor | None = None) -> Tensor:
    """`task` as int64; raise unless x (N, ...), y (N, ...), task (N,) are a table of T tasks."""
    task = table(x, task, y)
    outside = task[(task < 0) | (task >= tasks)].unique().tolist()
    require(not outside, f"`task` must hold ids 0...{tasks - 1}; got {outside[:10]}")
    return task


def table(x: Tensor, task: Tensor, y: Tensor | None = None) -> Tensor:
    """`task` as int64, the one type that indexes, counts beyond 127 and is never a mask.

    Raise unless x, y and task have the same, at least one, number of rows, all real and finite.
    """
    columns = {"x": x, "task": task} | ({} if y is None else {"y": y})
    for name, value in columns.items():
        require(isinstance(value, Tensor), f"`{name}` must be a tensor; got {type(value).__name__}")
        real_numbers = name == "task" or not value.is_complex()
        require(real_numbers, f"`{name}` must be of real numbers; got {value.dtype}")
    task = ids(task)
    for name, value in columns.items():
        require(
            value.ndim >= 1 and len(value) == len(task),
            f"`{name}` must have one row for each of the {len(task)} entries of `task`; "
            f"got shape {tuple(value.shape)}",
        )
        finite(name, value)
    require(len(task) > 0, "`task` must hold at least one example; got none")
    return task


def ids(task: Tensor) -> Tensor:
    """`task` as int64; raise unless it is a column of integers."""
    return integers(task).long()


def integers(task: Tensor) -> Tensor:
    """`task` as it is; raise unless it is a column of integers."""
    require(isinstance(task, Tensor), f"`task` must be a tensor; got {type(task).__name__}")
    integer = not (task.is_floating_point() or task.is_complex() or task.dtype == torch.bool)
    require(
        task.ndim == 1 and integer,
        f"`task` must be a one-dimensional integer tensor; got shape {tuple(task.shape)}, "
        f"{task.dtype}",
    )
    return task


def sizes_match(task_sizes: Tensor, task: Tensor) -> None:
    """Raise unless `task` is the whole table that `task_sizes` describes."""
    counts_match(task_sizes, rows_per_task(task, len(task_sizes)))


def counts_match(task_sizes: Tensor, counts: Tensor) -> None:
    """Raise unless `counts`, the rows of every task, (T,), are what `task_sizes` says."""
    empty = ((counts == 0) & (task_sizes > 0)).nonzero().flatten().tolist()
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
