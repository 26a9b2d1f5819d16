"""Mini-batches that hold every task."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from vmtl_core._checks import ids, positive_int, require
from vmtl_core._rows import place_in_task, rows_per_task


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
    """

    def __init__(self, task: Tensor, batch_size: int, generator: Generator | None = None):
        self.task, self.generator = ids(task), generator
        self.batch_size = positive_int("batch_size", batch_size)
        require(len(task) > 0, "`task` must hold at least one example; got none")
        least, tasks = int(self.task.min()), int(self.task.max()) + 1
        require(least >= 0, f"`task` must hold ids 0...T-1; got {least}")
        require(
            tasks <= len(task),
            f"`task` must hold every id 0...{tasks - 1}; got {len(task)} rows in all",
        )
        sizes = rows_per_task(self.task, tasks)
        empty = (sizes == 0).nonzero().flatten().tolist()
        require(
            not empty,
            f"`task` must hold every id 0...{tasks - 1}; ids {empty[:10]} have no example",
        )
        require(
            batch_size >= tasks,
            f"`batch_size` must be at least the number of tasks, {tasks}, so that each is in every "
            f"batch; got {batch_size}",
        )
        share = (sizes * min(batch_size / len(task), 1.0)).floor().long().clamp_min(1)
        self.counts = torch.minimum(share, sizes)

    def draw(self) -> Tensor:
        """Row numbers of one batch, (sum_t B_t,), ordered by task."""
        task, generator = self.task, self.generator
        device = task.device if generator is None else generator.device
        order = torch.randperm(len(task), generator=generator, device=device).to(task.device)
        order = order[task[order].argsort(stable=True)]
        shuffled = task[order]
        place = place_in_task(shuffled, len(self.counts))
        return order[place < self.counts[shuffled]]

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(len(self)):
            yield self.draw().tolist()

    def __len__(self) -> int:
        return max(1, len(self.task) // self.batch_size)
