"""Fits that are killed and called again: `python killed.py KIND` prints at which moments.

Run as a program, for a process that has started threads, as pytest may, had better not fork. What a
fit finds must be, bit for bit, what it finds in a process that nobody kills.
"""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[2]))

import vmtl_core as vmtl
from vmtl_core import adam, closed_form, saving, training
from vmtl_core.coordinate import Ascent

FORK = multiprocessing.get_context("fork")
TASKS = 6
KINDS: dict[str, dict[str, Any]] = {
    "adam": {"method": "adam", "steps": 90, "every": 7, "tolerance": None},
    "batches": {"method": "adam", "steps": 40, "every": 1, "batch_size": 12, "lr": 0.02},
    "dataset": {"steps": 40, "every": 3, "batch_size": 12, "lr": 0.02},
    "loader": {"steps": 40, "every": 3, "lr": 0.02},
    "closed": {},
    "seldom": {"every": 3, "tolerance": 1e-9},
    "groups": {},
}


def table() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two groups of three tasks."""
    draw = torch.Generator().manual_seed(0)
    task = torch.arange(10 * TASKS) % TASKS
    x = torch.randn(len(task), 2, generator=draw)
    slope = torch.where(task < TASKS // 2, 1.0, -1.0)
    return x, slope * x.sum(-1) + 0.5 * torch.randn(len(task), generator=draw), task


def build(kind: str) -> vmtl.MultiTaskELBO:
    torch.manual_seed(3)
    by_adam = kind in ("adam", "batches", "dataset", "loader")
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(TASKS, (2,)),
        vmtl.GaussianEncoder(TASKS, 2, 2) if by_adam else None,
        task_sizes=[10] * TASKS,
        sources="groups" if kind == "groups" else "own",
        temperature=vmtl.exponential_decay(1.0, 0.2, 50),
    )


def rows(kind: str) -> tuple[Any, ...]:
    """The table, as it is given to `fit`."""
    if kind == "dataset":
        return (TensorDataset(*table()),)
    if kind == "loader":
        sampler = vmtl.StratifiedBatches(table()[2], 12)
        return (DataLoader(TensorDataset(*table()), batch_sampler=sampler),)
    return table()


def fit(kind: str, file: Path | None) -> dict[str, Any]:
    """Everything that a fit gives, and the first step of the next one."""
    torch.set_num_threads(1)
    model, options = build(kind), {"progress": False} | KINDS[kind]
    if file is None:
        options.pop("every", None)
    history = vmtl.fit(model, *rows(kind), checkpoint=file, **options)
    found = {"model": dict(model.state_dict()), "history": history.state_dict()}
    again = vmtl.fit(model, *table(), progress=False, steps=1, tolerance=None, average=False)
    return found | {"again": again.terms}


def killing(owner: Any, name: str, count: int, half: bool = False) -> None:
    """The process dies at the count-th call: before it, or after it wrote half a file."""
    original, calls = getattr(owner, name), [0]

    def fatal(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            if half:
                args[1].write(b"half")
                args[1].flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    setattr(owner, name, fatal)


MOMENTS: dict[str, list[tuple[Any, str, int, bool]]] = {
    "adam": [
        (adam, "record_terms", 4, False),  # before the second writing
        (torch, "save", 3, True),
        (adam, "record_terms", 30, False),
        (saving.os, "replace", 2, False),
        (training.MultiTaskELBO, "settings", 5, False),
    ],
    "closed": [
        (training, "correlated", 1, False),
        (Ascent, "sweep", 1, False),
        (torch, "save", 2, True),
        (Ascent, "sweep", 3, False),
        (training, "_average", 1, False),
        (training, "weighted", 1, False),
    ],
}
MOMENTS["batches"] = MOMENTS["dataset"] = MOMENTS["loader"] = MOMENTS["adam"]
MOMENTS["seldom"] = MOMENTS["closed"]
MOMENTS["groups"] = [(closed_form, "begin_groups", 1, False), *MOMENTS["closed"]]


def child(function: Callable[..., Any], *args: Any) -> Any:
    """A process at work."""
    process = FORK.Process(target=function, args=args)
    process.start()
    return process


def doomed(kind: str, file: Path, moment: tuple[Any, str, int, bool]) -> None:
    killing(*moment)
    fit(kind, file)


def whole(kind: str, file: Path | None, found: Path) -> None:
    start = time.monotonic()
    torch.save({"found": fit(kind, file), "seconds": time.monotonic() - start}, found)


def ended(kind: str, file: Path | None, folder: Path) -> dict[str, Any]:
    """What a process that lives to its end finds."""
    process = child(whole, kind, file, folder / "found")
    process.join()
    assert process.exitcode == 0
    result: dict[str, Any] = torch.load(folder / "found", weights_only=True)
    return result


def same(a: Any, b: Any, place: str = "") -> None:
    """Raise unless two results are bitwise equal."""
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, place
        assert torch.equal(a, b), place
    elif isinstance(a, dict):
        assert list(a) == list(b), place
        for key in a:
            same(a[key], b[key], f"{place} {key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), place
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            same(one, other, f"{place} {i}")
    else:
        assert a == b, f"{place}: {a} and {b}"


def at_moments(kind: str, wanted: Any, folder: Path) -> int:
    """Killed at one moment after the other, each time going on from the file."""
    for moment in MOMENTS[kind]:
        process = child(doomed, kind, folder / "fit", moment)
        process.join()
        assert process.exitcode == -signal.SIGKILL, moment
    for _ in range(2):  # the second finds a fit that had ended
        same(ended(kind, folder / "fit", folder)["found"], wanted)
    assert sorted(one.name for one in folder.iterdir()) == ["fit", "found"]
    return len(MOMENTS[kind])


def at_random(kind: str, wanted: Any, seconds: float, folder: Path, times: int = 3) -> list[float]:
    """Killed at random times, afresh after each that had ended."""
    chance, at = random.Random(0), []
    for _ in range(times):
        after = chance.uniform(0, seconds)
        process = child(whole, kind, folder / "fit", folder / "found")
        time.sleep(after)
        process.kill()
        process.join()
        at.append(round(after, 2))
    same(ended(kind, folder / "fit", folder)["found"], wanted)
    return at


def main(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fit(kind, None)  # in this process, so that all others find it warm
        straight = ended(kind, None, Path(folder))
        (places := [Path(folder) / name for name in "ab"])[0].mkdir()
        places[1].mkdir()
        count = at_moments(kind, straight["found"], places[0])
        at = at_random(kind, straight["found"], straight["seconds"], places[1])
    step = straight["found"]["history"]["step"]
    print(f"{kind}: {step} steps; killed at {count} moments and after {at} s: the same numbers")


if __name__ == "__main__":
    main(sys.argv[1])
