"""The sets of `benchmarks/fit.py`: those of the accuracy table, all of chem97, and more and more tasks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import vmtl_core
from vmtl_core.lab.datasets import MultiTaskData, chem97, clusters
from vmtl_core.lab.experiments import accuracy

RESULTS = Path(vmtl_core.__file__).parent / "lab" / "data" / "results" / "fit.csv"
TABLES = ("schools", "rail choices", "linked tasks")
GENERATED = ("clusters, sd 0.05", "clusters, sd 0.15", "clusters, sd 0.5", "opposites")
ALL_CHEM, TEXTBOOK = "chem97, all", "textbook"
SCALING = {f"{tasks} tasks": tasks for tasks in (10, 100, 1000, 10_000)}
ALONE = (ALL_CHEM, *SCALING)
"""Sets whose memory is measured: each run has a process of its own."""

Pair = tuple[MultiTaskData, MultiTaskData]


def every_school(seed: int) -> Pair:
    """All rows of all schools of chem97, to train on and to predict."""
    (data,) = chem97().standardise()
    return data, data


def simulated(tasks: int, seed: int) -> Pair:
    """Tasks in groups of ten, eight rows each, five inputs; one more row each to predict."""
    count = max(1, tasks // 10)
    data = clusters(tasks=tasks, clusters=count, per_task=8, seed=seed, test_per_task=1)
    return data.split(seed=seed)


def precise(seed: int) -> Pair:
    """The clusters in float64."""
    train, test = accuracy.SETS["clusters, sd 0.15"](seed)
    return train.to(torch.float64), test.to(torch.float64)


SETS: dict[str, Callable[[int], Pair]] = {
    TEXTBOOK: precise,
    **{name: accuracy.SETS[name] for name in (*TABLES, *GENERATED)},
    ALL_CHEM: every_school,
    **{name: partial(simulated, tasks) for name, tasks in SCALING.items()},
}
"""Training and test set by name of the set and seed of the split."""
