"""The one container that every data set of the book comes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import pandas as pd
import torch
from torch import Tensor

from vmtl_core.lab.datasets.scaling import Scaling
from vmtl_core.lab.datasets.truth import Truth

Kind = Literal["regression", "classification", "counts"]


@dataclass(frozen=True, eq=False)
class MultiTaskData:
    """Examples of several tasks in long format, as in a table with a task column.

    Attributes:
        x: inputs, ``(N, D)``, floating point.
        y: targets, ``(N,)``, floating point; class labels and counts are 0.0, 1.0, ...
        task: task of each example, ``(N,)`` integers in 0...T-1.
        task_names: T names.
        input_names: D names.
        target_name: name of ``y``.
        description: origin and meaning, a few sentences.
        kind: ``"regression"``, ``"classification"`` or ``"counts"``.
        train_size: examples per task that :meth:`split` trains on unless told otherwise.
        truth: what generated the data, for synthetic sets; always in the original units.
        scaling: how the data were standardised, None if they were not.
        groups: name of each task's known group, T names, None where none is known; no method
            sees it.

    Raises:
        ValueError: if the shapes do not fit, a task id is out of range or a value is not finite.
    """

    x: Tensor
    y: Tensor
    task: Tensor
    task_names: tuple[str, ...]
    input_names: tuple[str, ...]
    target_name: str
    description: str
    kind: Kind = "regression"
    train_size: int | None = None
    truth: Truth | None = None
    scaling: Scaling | None = None
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def tasks(self) -> int:
        """Number of tasks T, including those that have no example in this part of the data."""
        return len(self.task_names)

    @property
    def task_sizes(self) -> list[int]:
        """Number of examples of every task, T integers; they sum to N."""
        return torch.bincount(self.task, minlength=self.tasks).tolist()

    @property
    def task_rows(self) -> list[Tensor]:
        """Row numbers of every task's examples, T integer tensors."""
        return list(torch.argsort(self.task, stable=True).split(self.task_sizes))

    def rows(self, index: Tensor) -> MultiTaskData:
        """Keep the rows in ``index`` ``(M,)`` (integers or a mask), with all T tasks' names."""
        return replace(self, x=self.x[index], y=self.y[index], task=self.task[index])

    def subset(self, tasks: Sequence[int]) -> MultiTaskData:
        """Keep only ``tasks``, renumbered 0, 1, ... in the order given.

        Raises:
            ValueError: if ``tasks`` is empty, repeats an id or holds one that is out of range.
        """
        chosen = [int(t) for t in tasks]
        if (
            not chosen
            or len(set(chosen)) < len(chosen)
            or not set(chosen) <= set(range(self.tasks))
        ):
            raise ValueError(
                f"`tasks` must hold different ids in 0...{self.tasks - 1}, one or more; got {chosen}"
            )
        new_id = torch.full((self.tasks,), -1, dtype=torch.long, device=self.task.device)
        new_id[chosen] = torch.arange(len(chosen), device=self.task.device)
        keep = new_id[self.task] >= 0
        truth = self.truth and replace(
            self.truth, weights=self.truth.weights[chosen], cluster=self.truth.cluster[chosen]
        )
        kept = replace(
            self.rows(keep),
            task=new_id[self.task[keep]],
            truth=truth,
            task_names=tuple(self.task_names[t] for t in chosen),
            groups=self.groups and tuple(self.groups[t] for t in chosen),
        )
        return kept

    def split(
        self, n_train: int | None = None, seed: int = 0
    ) -> tuple[MultiTaskData, MultiTaskData]:
        """Draw ``n_train`` examples of every task for training; the rest is for testing.

        A task with N_t <= ``n_train`` examples gives N_t - 1 of them to the training set, so that
        one is left to test on.  A task with a single example gives it to the training set: every
        task is trained on, and such a task is not tested.  Rows keep their order.

        Args:
            n_train: examples per task; None takes the data set's own ``train_size``.
            seed: of the random choice; same seed, same split.

        Returns:
            The training and the test set; together they hold every row once.

        Raises:
            ValueError: if ``n_train`` is not a positive integer.
        """
        wanted = self.train_size if n_train is None else n_train
        if wanted is None or isinstance(wanted, bool) or int(wanted) != wanted or wanted < 1:
            raise ValueError(f"`n_train` must be a positive integer; got {wanted!r}")
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self), generator=generator)
        task = self.task.cpu()
        order = order[torch.argsort(task[order], stable=True)]  # random order inside each task
        sizes = torch.tensor(self.task_sizes)
        first = sizes.cumsum(0) - sizes
        rank = torch.arange(len(self)) - first[task[order]]
        quota = torch.clamp(torch.clamp(sizes - 1, min=1), max=int(wanted))
        training = torch.empty(len(self), dtype=torch.bool)
        training[order] = rank < quota[task[order]]
        training = training.to(self.task.device)
        return self.rows(training), self.rows(~training)

    def standardise(self, *others: MultiTaskData) -> tuple[MultiTaskData, ...]:
        """Shift and scale to mean 0 and standard deviation 1, as measured on *this* (training) set.

        One mean and one standard deviation per input, over all tasks together, so that differences
        between tasks survive.  The target is standardised for a regression only.  The result's
        ``scaling`` maps predictions back.

        Args:
            *others: sets, such as the test set, to which the same shift and scale are applied.

        Returns:
            This set and the others, transformed: ``train, test = train.standardise(test)``.

        Raises:
            ValueError: if this set or another is standardised already.
        """
        everything = (self, *others)
        if any(data.scaling is not None for data in everything):
            raise ValueError("`standardise` needs data in original units; got standardised data")
        scaling = Scaling.fit(self.x, self.y if self.kind == "regression" else None)
        return tuple(
            replace(d, x=scaling.scale_x(d.x), y=scaling.scale_y(d.y), scaling=scaling)
            for d in everything
        )

    def to(self, *args: Any, **kwargs: Any) -> MultiTaskData:
        """Move ``x``, ``y`` and ``task`` as :meth:`torch.Tensor.to`; ``task`` stays integer."""
        x = self.x.to(*args, **kwargs)
        return replace(self, x=x, y=self.y.to(x), task=self.task.to(x.device))

    def to_frame(self) -> pd.DataFrame:
        """Tidy table with one row per example: ``task`` (its name), the inputs, the target."""
        names = pd.Categorical.from_codes(self.task.cpu().numpy(), list(self.task_names))
        table = pd.DataFrame(self.x.cpu().numpy(), columns=list(self.input_names))
        table.insert(0, "task", names)
        table[self.target_name] = self.y.cpu().numpy()
        return table


def _check(data: MultiTaskData) -> None:
    x, y, task = data.x, data.y, data.task
    if x.ndim != 2 or y.shape != x.shape[:1] or task.shape != x.shape[:1]:
        found = f"x {tuple(x.shape)}, y {tuple(y.shape)}, task {tuple(task.shape)}"
        raise ValueError(f"`x`, `y`, `task` must have shapes (N, D), (N,), (N,); got {found}")
    if x.shape[1] != len(data.input_names):
        raise ValueError(f"`input_names` must hold {x.shape[1]} names; got {len(data.input_names)}")
    if task.dtype != torch.long:
        raise ValueError(f"`task` must hold integers (torch.long); got {task.dtype}")
    for name, value in (("x", x), ("y", y)):
        if not torch.isfinite(value).all():
            raise ValueError(
                f"`{name}` must be finite; got {(~torch.isfinite(value)).sum()} values"
                " that are NaN or infinite"
            )
    if len(task) and not (task.min() >= 0 and task.max() < data.tasks):
        raise ValueError(
            f"`task` must hold ids in 0...{data.tasks - 1}; got "
            f"{int(task.min())}...{int(task.max())}"
        )
    if data.groups is not None and len(data.groups) != data.tasks:
        raise ValueError(f"`groups` must hold {data.tasks} names; got {len(data.groups)}")
    if data.kind not in get_args(Kind):
        kinds = ", ".join(map(repr, get_args(Kind)))
        raise ValueError(f"`kind` must be one of {kinds}; got {data.kind!r}")
