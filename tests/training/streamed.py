"""`python streamed.py FOLDER ROWS`: by how much a fit on a table on the disk raises peak memory.

Rows are read, not mapped: the system counts mapped pages as the process's, though it takes them back
when it likes, and would hide what `fit` itself takes.
"""

import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).parents[2]))

import vmtl_core as vmtl

TASKS, COLUMNS = 10, 64


class OnDisk(Dataset[Any]):
    """Rows of arrays on the disk."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.x = folder / "x"
        self.task = np.memmap(folder / "task", np.int32, "r", shape=(rows,))

    def __len__(self) -> int:
        return len(self.task)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, float, int]:
        x = torch.from_numpy(np.fromfile(self.x, np.float32, COLUMNS, offset=4 * COLUMNS * row))
        return x, float(x[0]) - float(x[1]), int(self.task[row])


def write(folder: Path, rows: int) -> int:
    """A table on the disk, block by block; the bytes of its inputs."""
    draw = np.random.default_rng(0)
    x = np.memmap(folder / "x", np.float32, "w+", shape=(rows, COLUMNS))
    for start in range(0, rows, 10_000):
        x[start : start + 10_000] = draw.standard_normal((10_000, COLUMNS), np.float32)
    task = np.memmap(folder / "task", np.int32, "w+", shape=(rows,))
    task[:] = np.arange(rows) % TASKS
    x.flush()
    return x.nbytes


def train(data: OnDisk, steps: int) -> vmtl.History:
    rows = len(data)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(TASKS, (3,)),
        vmtl.GaussianEncoder(TASKS, COLUMNS, 2, hidden=(8,)),
        task_sizes=[rows // TASKS] * TASKS,
        sources="joint",
    )
    options: dict[str, Any] = {"steps": steps, "progress": False, "tolerance": None}
    return vmtl.fit(model, data, batch_size=2 * TASKS, task=data.task, **options)


def peak() -> int:
    """Bytes: kilobytes where the system is Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(folder: Path, rows: int) -> None:
    torch.set_num_threads(1)
    small = OnDisk(folder, 1000)
    train(small, 5)
    before = peak()
    train(OnDisk(folder, rows), 20)
    print(peak() - before)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
