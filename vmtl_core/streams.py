"""Where the rows of a step come from: a table in memory, a Dataset, an iterable of batches."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset, default_collate

from vmtl_core._checks import counts_match, integers, positive_int, require
from vmtl_core._precision import has_double
from vmtl_core._random import forked, step_seed
from vmtl_core._rows import rows_per_task
from vmtl_core.batches import StratifiedBatches
from vmtl_core.checkpoint import checksum
from vmtl_core.elbo import MultiTaskELBO

Batch = tuple[Tensor, Tensor, Tensor]
SAMPLE = 10_000
"""So many rows of a Dataset, all if there are no more, tell a linear model the table's units."""
BLOCK = 65_536


class Rows(Protocol):
    """What Adam trains on, step by step."""

    device: torch.device
    checked: bool
    """Whether the rows have been checked, all of them, before the first step."""
    streamed: str
    """Why the closed form can't have these rows; empty where it can."""
    whole: bool
    """Whether `sample` is the table, or large enough to judge its columns by."""
    first: Batch
    """The table, or a first batch, to try the model on."""
    sample: Batch
    """The table, or rows that stand for it where its units are asked for."""

    def start(self, step: int) -> None:
        """What `batch` is asked for next is this step's."""

    def batch(self, step: int) -> Batch:
        """x, y and task of one step, whose random stream is the global one."""

    def last(self, step: int) -> Batch:
        """What the objective is looked at once more, after so many steps."""

    def identity(self) -> dict[str, str]:
        """What the rows are, for a checkpoint, as text."""


class TableRows:
    """A table in memory, or stratified batches of it."""

    checked, whole = True, True

    def __init__(self, x: Tensor, y: Tensor, task: Tensor, batch_size: int | None):
        self.device, self.first, self.sample = x.device, (x, y, task), (x, y, task)
        self.streamed = "" if batch_size is None else "`batch_size` must be None"
        self.batches = None if batch_size is None else StratifiedBatches(task, batch_size)

    def start(self, step: int) -> None:
        """Nothing is kept from step to step."""

    def batch(self, step: int) -> Batch:
        if self.batches is None:
            return self.sample
        rows = self.batches.draw()
        x, y, task = self.sample
        return x[rows], y[rows], task[rows]

    def last(self, step: int) -> Batch:
        return self.sample

    def identity(self) -> dict[str, str]:
        return dict(zip(("x", "y", "task"), map(checksum, self.sample), strict=True))


class DatasetRows:
    """Stratified batches of a map-style Dataset, whose items are x, y and task of a row.

    Args:
        model: whose `task_sizes` the Dataset must have.
        dataset: with `__len__` and `__getitem__`, or `__getitems__` too.
        task: ids of all rows, (N,), an array or a tensor; None asks each item once.
        batch_size: as in `fit`.
        seed: of the sample.
    """

    checked, whole, streamed = False, True, "`x` must be a table in memory, not a Dataset"

    def __init__(self, model: MultiTaskELBO, dataset: Any, task: Any, batch_size: Any, seed: int):
        self.device, self.dataset = device_of(model), dataset
        require(batch_size is not None, "`batch_size` must be given with a Dataset; got None")
        size = len(dataset)
        require(size > 0, "`x` must hold at least one row; got an empty Dataset")
        self.task = _own_ids(dataset) if task is None else as_ids(task)
        require(
            len(self.task) == size,
            f"`task` must have an id for each of the {size} items of `x`; got {len(self.task)}",
        )
        _in_range(self.task, model.tasks)
        self.batches = StratifiedBatches(self.task, positive_int("batch_size", batch_size))
        sizes = self.batches.sizes
        sizes = torch.cat([sizes, sizes.new_zeros(model.tasks - len(sizes))])
        counts_match(model.task_sizes.to(sizes.device), sizes)
        with forked(seed, self.task.device):
            self.first = self.sample = self._take(self.batches.draw())
            if model.latents_are_inputs and self.first[0].ndim <= 2:
                rows = torch.arange(size) if size <= SAMPLE else torch.randint(size, (SAMPLE,))
                self.sample = self._take(rows)

    def start(self, step: int) -> None:
        """Each step draws afresh."""

    def batch(self, step: int) -> Batch:
        return self._take(self.batches.draw())

    last = batch

    def _take(self, rows: Tensor) -> Batch:
        """These rows, on the model's device."""
        numbers = rows.tolist()
        found: Any
        if isinstance(self.dataset, TensorDataset):
            found = self.dataset[rows]
        elif hasattr(self.dataset, "__getitems__"):
            found = default_collate(self.dataset.__getitems__(numbers))
        else:
            found = default_collate([self.dataset[i] for i in numbers])
        found = as_batch(found, self.device, "`x` must be a Dataset whose items are (x, y, task)")
        told, came = self.task[rows].long(), found[2].to(self.task.device)
        differ = (told != came).nonzero().flatten().tolist() if told.shape == came.shape else [0]
        require(
            not differ,
            "`task` must agree with the items of `x`; "
            + "".join(f"row {numbers[i]} is of task {came[i]}, not {told[i]}" for i in differ[:1]),
        )
        return found

    def identity(self) -> dict[str, str]:
        kind = type(self.dataset).__name__
        x, y, _ = map(checksum, self.first)
        return {
            "x": f"{kind} of {len(self.task)} rows, some {x}",
            "y": f"{kind} of {len(self.task)} rows, some {y}",
            "task": checksum(self.task),
        }


class IterableRows:
    """Batches (x, y, task) as an iterable gives them, pass after pass.

    Args:
        model: whose `task_sizes` a pass may not exceed.
        batches: begun anew by `iter` for every pass.
        seed: of the fit. What the iterable draws from torch's global stream depends on it and the
            step alone.
        kept: whether a pass must be found again after the process was killed.
    """

    checked, whole, streamed = False, False, "`x` must be a table in memory, not batches"

    def __init__(self, model: MultiTaskELBO, batches: Any, seed: int, kept: bool):
        self.device, self.batches, self.seed = device_of(model), batches, seed
        self.once, self.length = isinstance(batches, Iterator), _length(batches)
        require(
            not kept or (self.length is not None and not self.once),
            "`checkpoint` needs an `x` that can be found again where it was: a Dataset, or batches "
            f"with a length, as a DataLoader has; got {type(batches).__name__}",
        )
        self.sizes = model.task_sizes
        sampler = getattr(batches, "batch_sampler", None)
        self.stratified = isinstance(sampler, StratifiedBatches)
        if isinstance(sampler, StratifiedBatches):
            _in_range(sampler.task, model.tasks)
            sizes = sampler.sizes.to(self.device)
            missing = sizes.new_zeros(len(self.sizes) - len(sizes))
            counts_match(self.sizes, torch.cat([sizes, missing]))
        self.held: Batch | None = None
        with self._stream(0):
            self._begin()
            self.held = self.first = self.sample = self._next(0)
            self.state = torch.get_rng_state()

    def start(self, step: int) -> None:
        """Go to where a fit that never stopped would be; without a length, on from here."""
        if step == 0 or self.once or self.length is None:
            return
        self.held = None
        self.position = self.length
        for earlier in range(step - step % self.length, step):
            with self._stream(earlier):
                self.batch(earlier)

    def batch(self, step: int) -> Batch:
        if self.held is not None:
            found, self.held = self.held, None
            torch.set_rng_state(self.state)  # as if it were drawn now
            return found
        if self.position == self.length:
            self._begin()
        return self._next(step)

    def last(self, step: int) -> Batch:
        return self.sample

    def _stream(self, step: int) -> Any:
        return forked(step_seed(self.seed, step), self.device)

    def _begin(self) -> None:
        self.iterator: Iterator[Any] = iter(self.batches)
        self.position, self.counts = 0, torch.zeros_like(self.sizes)

    def _next(self, step: int) -> Batch:
        """The next batch, of the next pass if this one is at its end."""
        try:
            found = next(self.iterator)
        except StopIteration:
            found = self._another_pass(step)
        self.position += 1
        batch = as_batch(found, self.device, "`x` must yield batches (x, y, task)")
        self._count(batch[2])
        return batch

    def _another_pass(self, step: int) -> Any:
        require(self.position > 0, "`x` must yield at least one batch; a pass over it yields none")
        require(
            not self.once,
            f"`x` is an iterator, which can be gone through once, and ended before step {step}: "
            "give what `iter` begins anew, as a DataLoader or a list, or fewer `steps`",
        )
        require(
            self.length is None,
            f"`x` must yield as many batches as its length says, {self.length}; "
            f"got {self.position}",
        )
        self._begin()
        try:
            return next(self.iterator)
        except StopIteration:
            raise ValueError(
                f"`x` must yield its batches in every pass; that of step {step} yields none"
            ) from None

    def _count(self, task: Tensor) -> None:
        """Raise for ids that there can't be, and more rows of a task in a pass than it has."""
        if task.is_floating_point() or task.ndim != 1:
            return  # what is wrong with it, the objective says
        _in_range(task, len(self.sizes))
        self.counts += rows_per_task(task.long(), len(self.sizes))
        over = (self.counts > self.sizes).nonzero().flatten().tolist()
        require(
            self.stratified or not over,
            f"`x` must yield no more rows of a task in a pass than `task_sizes` says; tasks "
            f"{over[:10]} had {self.counts[over[:10]].tolist()} after {self.position} batches, "
            f"`task_sizes` says {self.sizes[over[:10]].tolist()} (if it is meant to repeat rows: give "
            "a Dataset and `batch_size`, or a DataLoader with StratifiedBatches as `batch_sampler`)",
        )

    def identity(self) -> dict[str, str]:
        kind = f"{type(self.batches).__name__} of {self.length} batches"
        x, y, task = (f"{kind}, the first {checksum(one)}" for one in self.sample)
        return {"x": x, "y": y, "task": task}


def stream(
    model: MultiTaskELBO, x: Any, task: Any, batch_size: int | None, seed: int, kept: bool
) -> Rows:
    """The rows of a Dataset or of an iterable of batches."""
    by_row = hasattr(x, "__getitem__") and hasattr(x, "__len__")
    meant = batch_size is not None and not isinstance(x, list | tuple)
    is_dataset = isinstance(x, Dataset) and not isinstance(x, IterableDataset)
    if is_dataset or not isinstance(x, Iterable) or (by_row and meant):
        require(
            by_row,
            "`x` must be a tensor, a Dataset with `__getitem__` and `__len__`, or an iterable of "
            f"batches (x, y, task); got {type(x).__name__}",
        )
        return DatasetRows(model, x, task, batch_size, seed)
    require(
        batch_size is None and task is None,
        "`batch_size` and `task` must be None where `x` yields batches, which have their own; got "
        f"{batch_size!r} and {type(task).__name__}",
    )
    return IterableRows(model, x, seed, kept)


def device_of(model: MultiTaskELBO) -> torch.device:
    """That of the model's parameters, to which batches go."""
    return next(iter(model.parameters()), model.task_sizes).device


def as_batch(found: Any, device: torch.device, wanted: str) -> Batch:
    """What came as three tensors on a device; float64 as float32 where the device has none."""
    are_three = isinstance(found, tuple | list) and len(found) == 3
    are_three = are_three and all(isinstance(one, Tensor) for one in found)
    shown = type(found).__name__
    if isinstance(found, tuple | list):
        shown += f" of {[type(one).__name__ for one in found[:4]]}"
    require(are_three, f"{wanted} of tensors; got {shown}")
    if not has_double(device):
        found = [one.float() if one.dtype == torch.float64 else one for one in found]
    x, y, task = (one.to(device, non_blocking=True) for one in found)
    return x, y, task


def as_ids(task: Any) -> Tensor:
    """Task ids as a tensor that shares an array's memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        try:
            return integers(torch.as_tensor(task))
        except (TypeError, RuntimeError) as error:
            raise ValueError(
                f"`task` must be an array of integers; got {type(task).__name__} ({error})"
            ) from error


def _own_ids(dataset: Any) -> Tensor:
    """The ids of all items, each of which is asked for, in 32 bits."""
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 3:
        return integers(dataset.tensors[2])
    found = torch.empty(len(dataset), dtype=torch.int32)
    for start in range(0, len(found), BLOCK):
        rows = range(start, min(start + BLOCK, len(found)))
        found[start : rows.stop] = torch.tensor([_id(dataset[i], i) for i in rows])
    return found


def _id(item: Any, row: int) -> int:
    is_three = isinstance(item, tuple | list) and len(item) == 3
    require(
        is_three,
        f"`x` must be a Dataset whose items are (x, y, task); item {row} is a {type(item).__name__}",
    )
    try:
        return positive_int("task", item[2].item() if hasattr(item[2], "item") else item[2], 0)
    except ValueError as error:
        raise ValueError(f"item {row} of `x`: {error}") from error


def _in_range(task: Tensor, tasks: int) -> None:
    if len(task) and (int(task.min()) < 0 or int(task.max()) >= tasks):
        outside = task[(task < 0) | (task >= tasks)].unique().tolist()
        require(not outside, f"`task` must hold ids 0...{tasks - 1}; got {outside[:10]}")


def _length(batches: Any) -> int | None:
    try:
        return len(batches)
    except TypeError:
        return None
