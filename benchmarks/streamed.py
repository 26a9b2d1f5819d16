"""A table that is never in memory: steps of Adam on memory-mapped rows, and peak memory.

    python benchmarks/streamed.py

Writes 10 million rows of 20 columns, 0.8 GB, into a temporary folder, trains encoders on them in a process
of its own, and prints its peak memory, mapped pages of the table counted in. That is held to the bar
only at the size it is set for.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

import vmtl_core as vmtl

ROWS, COLUMNS, TASKS, BLOCK = 10_000_000, 20, 100, 100_000
BAR = 2.0
"""GB that the process may take in all, at `ROWS` rows."""


class Mapped(Dataset[Any]):
    """Rows of memory-mapped arrays: inputs with the target in the last column, and task ids."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.table = np.memmap(folder / "table", np.float32, "r", shape=(rows, COLUMNS + 1))
        self.task = np.memmap(folder / "task", np.int32, "r", shape=(rows,))

    def __len__(self) -> int:
        return len(self.task)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, int]:
        values = torch.from_numpy(self.table[row].copy())
        return values[:-1], values[-1], int(self.task[row])


def write(folder: Path, rows: int) -> None:
    """One hundred regressions on the sine of a direction, tasks in random order."""
    draw = np.random.default_rng(0)
    table = np.memmap(folder / "table", np.float32, "w+", shape=(rows, COLUMNS + 1))
    task = np.memmap(folder / "task", np.int32, "w+", shape=(rows,))
    shift = draw.standard_normal(TASKS, np.float32)
    for start in range(0, rows, BLOCK):
        block = slice(start, min(start + BLOCK, rows))
        size = block.stop - start
        x = draw.standard_normal((size, COLUMNS), np.float32)
        task[block] = draw.integers(TASKS, size=size)
        noise = 0.3 * draw.standard_normal(size, np.float32)
        table[block, :-1] = x
        table[block, -1] = np.sin(x[:, :4].sum(1) / 2) + shift[task[block]] + noise
    table.flush()
    task.flush()


def train(folder: Path, rows: int, steps: int) -> None:
    """Fit, and print what it took."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = Mapped(folder, rows)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(TASKS, (5,)),
        vmtl.GaussianEncoder(TASKS, COLUMNS, 4, hidden=(16,)),
        task_sizes=np.bincount(data.task, minlength=TASKS).tolist(),
        neighbours=8,
    )
    start = time.perf_counter()
    options: dict[str, Any] = {"batch_size": 1000, "task": data.task, "progress": False}
    history = vmtl.fit(model, data, steps=steps, tolerance=None, **options)
    took = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    size = (folder / "table").stat().st_size / 1e9
    first, last = history.terms["elbo"][0], history.terms["elbo"][-1]
    print(f"{rows:,} rows, {size:.2f} GB on the disk; {steps} steps of 1,000 rows in {took:.0f} s")
    print(f"elbo {first / rows * TASKS:.3f} -> {last / rows * TASKS:.3f} nats a row")
    print(f"peak memory {memory:.2f} GB")
    if rows == ROWS:
        print(f"bar: at most {BAR} GB: {'met' if memory <= BAR else 'MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="train on a memory-mapped table")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="of a table that is there; fit on it, no other")
    options = parser.parse_args()
    if options.folder is not None:
        train(options.folder, options.rows, options.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.rows)
        numbers = ["--rows", str(options.rows), "--steps", str(options.steps)]
        subprocess.run([sys.executable, __file__, "--folder", folder, *numbers], check=True)


if __name__ == "__main__":
    main()
