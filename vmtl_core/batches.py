"""Mini-batches that hold every task."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from vmtl_core._checks import integers, positive_int, require
from vmtl_core._rows import place_in_task, rows_per_task

MANY_ROWS, FEW = 2**20, 4
"""Beyond so many rows, and in batches of at most this part of them, no draw looks at all rows."""


class BatchWarning(UserWarning):
    """A batch leaves tasks out: their prior counts in the objective, and their data do not."""


class StratifiedBatches:
    r"""Random mini-batches with every task in each, in proportion to its size.

    From task t come $\max(1, \lfloor N_t B / N \rfloor)$ rows, all of them equally likely and none
    twice, so that the estimate of the objective, which scales them by N_t / B_t, (5.3), is
    unbiased. What `fit(batch_size=)` draws; for a training loop of your own give it to a
    `torch.utils.data.DataLoader` as `batch_sampler`.

    Iterating gives one epoch, lists of row numbers: N // B batches, at least one, each drawn afresh.
    In an epoch a row may thus come twice or not at all.

    Beyond a million rows a draw costs O(B log B), and 4 bytes a row are kept beside `task`.

    Args:
        task: task ids 0...T-1 of all rows, shape (N,).
        batch_size: B, about how many rows, at least T.
        generator: source of the randomness; the global stream if None.

    Raises:
        ValueError: if an id has no row, or `batch_size` is below the number of tasks.

    Example:
        >>> task = torch.tensor([0, 0, 0, 0, 1, 1])
        >>> batches = StratifiedBatches(task, 3, torch.Generator().manual_seed(0))
        >>> [task[rows].tolist() for rows in batches]
        [[0, 0, 1], [0, 0, 1]]
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> loader = DataLoader(TensorDataset(torch.arange(6.0), task), batch_sampler=batches)
        >>> [ids.tolist() for x, ids in loader]
        [[0, 0, 1], [0, 0, 1]]
    """

    def __init__(self, task: Tensor, batch_size: int, generator: Generator | None = None):
        self.generator = generator
        self.batch_size = positive_int("batch_size", batch_size)
        self.task = task = integers(task)
        require(len(task) > 0, "`task` must hold at least one example; got none")
        least, tasks = int(task.min()), int(task.max()) + 1
        require(least >= 0, f"`task` must hold ids 0...T-1; got {least}")
        require(
            tasks <= len(task),
            f"`task` must hold every id 0...{tasks - 1}; got {len(task)} rows in all",
        )
        blocks = task.split(MANY_ROWS)
        self.sizes = torch.stack([rows_per_task(one.long(), tasks) for one in blocks]).sum(0)
        empty = (self.sizes == 0).nonzero().flatten().tolist()
        require(
            not empty,
            f"`task` must hold every id 0...{tasks - 1}; ids {empty[:10]} have no example",
        )
        require(
            batch_size >= tasks,
            f"`batch_size` must be at least the number of tasks, {tasks}, so that each is in every "
            f"batch; got {batch_size}",
        )
        share = (self.sizes * min(batch_size / len(task), 1.0)).floor().long().clamp_min(1)
        self.counts = torch.minimum(share, self.sizes)
        few = len(task) > MANY_ROWS and FEW * batch_size <= len(task)
        self._order = by_task(task, self.sizes) if few else None

    def draw(self) -> Tensor:
        """Row numbers of one batch, (sum_t B_t,), ordered by task."""
        if self._order is not None:
            return self._order[self._places()].long()
        task, generator = self.task.long(), self.generator
        device = task.device if generator is None else generator.device
        order = torch.randperm(len(task), generator=generator, device=device).to(task.device)
        order = order[task[order].argsort(stable=True)]
        shuffled = task[order]
        place = place_in_task(shuffled, len(self.counts))
        return order[place < self.counts[shuffled]]

    def _places(self) -> Tensor:
        """Places of one batch among the rows ordered by task: B_t different ones of each task.

        What comes twice is drawn again until nothing does, which favours no row.
        """
        device = self.sizes.device
        first = self.sizes.cumsum(0) - self.sizes
        task = torch.arange(len(self.sizes), device=device).repeat_interleave(self.counts)
        places = first[task] + self._below(self.sizes[task])
        while True:
            places = places.sort().values
            twice = F.pad(places[1:] == places[:-1], (1, 0))
            if not bool(twice.any()):
                return places
            again = task[twice]
            places[twice] = first[again] + self._below(self.sizes[again])

    def _below(self, limit: Tensor) -> Tensor:
        """A random integer from 0 up to each limit; the remainder of one so large is uniform."""
        generator = self.generator
        device = limit.device if generator is None else generator.device
        drawn = torch.randint(2**62, limit.shape, generator=generator, device=device)
        return drawn.to(limit.device) % limit

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(len(self)):
            yield self.draw().tolist()

    def __len__(self) -> int:
        return max(1, len(self.task) // self.batch_size)


def by_task(task: Tensor, sizes: Tensor) -> Tensor:
    """Row numbers ordered by task, (N,), in 32 bits where they fit, made block by block."""
    kind = torch.int32 if len(task) < 2**31 else torch.int64
    order = torch.empty(len(task), dtype=kind, device=task.device)
    free = sizes.cumsum(0) - sizes
    for start in range(0, len(task), MANY_ROWS):
        block = task[start : start + MANY_ROWS].long()
        rows = torch.arange(start, start + len(block), dtype=kind, device=task.device)
        order[free[block] + place_in_task(block, len(sizes))] = rows
        free += rows_per_task(block, len(sizes))
    return order
