"""How the rows of a table are spread over its tasks. Shapes depend on T only, for torch.compile."""

import torch
from torch import Tensor


def rows_per_task(task: Tensor, tasks: int) -> Tensor:
    """How many rows each task has, shape (T,)."""
    return task.new_zeros(tasks).index_add(0, task, torch.ones_like(task))


def place_in_task(task: Tensor, tasks: int) -> Tensor:
    """0 for the first row of every task, 1 for its second, ...; shape (B,)."""
    order = task.argsort(stable=True)
    sizes = rows_per_task(task, tasks)
    first = sizes.cumsum(0) - sizes
    count = torch.arange(len(task), device=task.device)
    return torch.empty_like(order).scatter(0, order, count - first[task[order]])
