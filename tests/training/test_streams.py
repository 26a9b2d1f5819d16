"""fit on a Dataset and on an iterable of batches: the numbers of a table in memory."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import vmtl_core as vmtl
from tests.conftest import ROOT
from tests.training.killed import same
from tests.training.streamed import write
from vmtl_core import adam

SIZES = [40, 25, 15]
BATCH = 16


def table() -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    task = torch.arange(3).repeat_interleave(torch.tensor(SIZES))[
        torch.randperm(80, generator=draw)
    ]
    x = torch.randn(len(task), 2, generator=draw)
    return x, x.sum(-1) + task + 0.3 * torch.randn(len(task), generator=draw), task


def build(encoder: bool = True, sizes: Any = SIZES, **options: Any) -> vmtl.MultiTaskELBO:
    torch.manual_seed(1)
    latents = vmtl.GaussianEncoder(3, 2, 2) if encoder else None
    weights = vmtl.GaussianWeights(3, (3,))
    options = {"task_sizes": sizes, "sources": "own"} | options
    return vmtl.MultiTaskELBO(vmtl.LinearGaussian(), weights, latents, **options)


def fit(model: vmtl.MultiTaskELBO, *rows: Any, **options: Any) -> vmtl.History:
    options = {"steps": 12, "progress": False, "tolerance": None, "lr": 0.02} | options
    return vmtl.fit(model, *rows, **options)


class Items(Dataset[Any]):
    """A map-style Dataset of numpy's and Python's numbers."""

    def __init__(self, *columns: Tensor) -> None:
        self.x, self.y, self.task = (one.numpy() for one in columns)

    def __len__(self) -> int:
        return len(self.task)

    def __getitem__(self, row: int) -> tuple[Any, Any, int]:
        return self.x[row], self.y[row], int(self.task[row])


class Many(Items):
    """One that gives many items at once."""

    def __getitem__(self, row: int) -> Any:
        raise AssertionError("asked one by one")

    def __getitems__(self, rows: list[int]) -> list[Any]:
        return [Items.__getitem__(self, row) for row in rows]


class Batches:
    """An iterable that draws as fit does, `count` batches a pass."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        drawn = vmtl.StratifiedBatches(table()[2], BATCH)
        for _ in range(self.count):
            rows = drawn.draw()
            yield tuple(one[rows] for one in table())


class Sized(Batches):
    def __len__(self) -> int:
        return self.count


class Rows:
    """What is like a Dataset, and gone through row by row."""

    def __init__(self) -> None:
        self.items = Items(*table())

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Any:
        return self.items[row]

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("gone through")


class Whole(IterableDataset[Any]):
    """One that makes its own batches."""

    def __iter__(self) -> Iterator[Any]:
        return iter(Batches(4))


class Lengthless(Dataset[Any]):
    """One that doesn't say how long it is."""


class Short(Batches):
    """One that gives fewer batches than it says."""

    def __len__(self) -> int:
        return 5


def loader(**options: Any) -> DataLoader[Any]:
    data = TensorDataset(*table())
    return DataLoader(data, **({"batch_size": BATCH, "shuffle": True} | options))


STREAMS: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "tensors": lambda: (TensorDataset(*table()), {"batch_size": BATCH}),
    "items": lambda: (Items(*table()), {"batch_size": BATCH}),
    "told": lambda: (Items(*table()), {"batch_size": BATCH, "task": table()[2].int().numpy()}),
    "many": lambda: (Many(*table()), {"batch_size": BATCH, "task": table()[2]}),
    "not torch's": lambda: (Rows(), {"batch_size": BATCH}),
    "batches": lambda: (Batches(4), {}),
    "iterable dataset": lambda: (Whole(), {}),
}


@pytest.mark.parametrize("encoder", [True, False])
@pytest.mark.parametrize("kind", STREAMS)
def test_the_numbers_of_a_table(kind: str, encoder: bool) -> None:
    """Bit for bit: the same draws, and the same units where there are all rows to tell them."""
    if kind in ("batches", "iterable dataset") and not encoder:
        return  # its first batch tells the units
    one, two = build(encoder), build(encoder)
    wanted = fit(one, *table(), batch_size=BATCH, method="adam")
    x, options = STREAMS[kind]()
    history = fit(two, x, **options)
    assert history.method == "adam"
    assert history.terms == wanted.terms
    same(two.state_dict(), one.state_dict())


def test_batches_tell_a_linear_model_the_units() -> None:
    """By the first of them."""
    model = build(encoder=False)
    fit(model, [table()], steps=2)
    whole = build(encoder=False)
    fit(whole, *table(), steps=2, method="adam")
    same(model.prior.units.state_dict(), whole.prior.units.state_dict())


def test_a_list_is_gone_through_again() -> None:
    x, y, task = table()
    every = [(x[i::4], y[i::4], task[i::4]) for i in range(4)]
    history = fit(build(), every, steps=9)
    assert history.step == len(history.terms["elbo"]) == 9


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Sized(5), id="sized"),
        pytest.param(loader, id="loader"),
        pytest.param(
            lambda: loader(
                batch_sampler=vmtl.StratifiedBatches(table()[2], BATCH), batch_size=1, shuffle=False
            ),
            id="stratified",
        ),
        pytest.param(lambda: Items(*table()), id="dataset"),
    ],
)
@pytest.mark.filterwarnings("ignore::vmtl_core.BatchWarning")
@pytest.mark.parametrize("at", [4, 5, 7])
def test_stopped_and_called_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any], at: int
) -> None:
    """In the middle of a pass, or at its end: the numbers of a fit that never stopped."""
    options: dict[str, Any] = {"batch_size": BATCH} if isinstance(make(), Items) else {}
    straight, stopped, resumed = build(), build(), build()
    wanted = fit(straight, make(), **options)
    record = adam.record_terms

    def interrupted(terms: Any, temperature: float, history: vmtl.History) -> None:
        if history.step == at:
            raise KeyboardInterrupt
        record(terms, temperature, history)

    options |= {"checkpoint": tmp_path / "fit", "every": 3}
    with monkeypatch.context() as patch:
        patch.setattr(adam, "record_terms", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(stopped, make(), **options)
    history = fit(resumed, make(), **options)
    assert history.terms == wanted.terms
    same(resumed.state_dict(), straight.state_dict())
    again = fit(resumed, make(), **options)  # it had ended
    assert again.terms == wanted.terms


def test_of_another_stream(tmp_path: Path) -> None:
    """A checkpoint knows a Dataset by its length, its ids and some rows."""
    x, y, task = table()
    options: dict[str, Any] = {"batch_size": BATCH, "checkpoint": tmp_path / "fit"}
    fit(build(), Items(x, y, task), **options)
    with pytest.raises(
        ValueError, match=r"`x` must be that of the fit in .*Items of 80 rows, some"
    ):
        fit(build(), Items(x + 1, y, task), **options)
    with pytest.raises(ValueError, match="`y` must be that of the fit in"):
        fit(build(), Items(x, y + 1, task), **options)
    with pytest.raises(ValueError, match="must be that of the fit in"):
        fit(build(), loader(), checkpoint=tmp_path / "fit")


def one_batch(**changes: Any) -> list[Any]:
    """A good batch and one with changes."""
    good = dict(zip(("x", "y", "task"), (one[:20] for one in table()), strict=True))
    return [tuple(good.values()), tuple((good | changes).values())]


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from iter(lambda: tuple(one[0] for one in table()), None)


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no stream": (3, {}, "`x` must be a tensor, a Dataset .*iterable of batches .*got int"),
    "no length": (
        Lengthless(),
        {"batch_size": 9},
        "`x` must be .*a Dataset with `__getitem__` and `__len__`.*got Lengthless",
    ),
    "no batch size": (Items(*table()), {}, "`batch_size` must be given with a Dataset; got None"),
    "batch size": (
        [table()],
        {"batch_size": 4},
        "`batch_size` and `task` must be None where `x` yields batches.*got 4 and NoneType",
    ),
    "task": (
        [table()],
        {"task": table()[2]},
        "`batch_size` and `task` must be None.*got None and Tensor",
    ),
    "nothing": ([], {}, "`x` must yield at least one batch; a pass over it yields none"),
    "rows": (
        table()[0].numpy(),
        {},
        r"`x` must yield batches \(x, y, task\) of tensors; got ndarray",
    ),
    "pairs": ([table()[:2]], {}, r"`x` must yield batches .*; got tuple of \['Tensor', 'Tensor'\]"),
    "arrays": ([[one.numpy() for one in table()]], {}, r"of tensors; got list of \['ndarray'"),
    "once": (
        iter(one_batch()),
        {},
        "`x` is an iterator, which can be gone through once, and ended before step 2",
    ),
    "shape of x": (
        one_batch(x=torch.ones(19, 2)),
        {},
        "batch of step 1: `x` must have one row for",
    ),
    "columns": (one_batch(x=torch.ones(20, 3)), {}, r"batch of step 1: `x` must have 2 numbers"),
    "shape of y": (one_batch(y=torch.ones(20, 2)), {}, "batch of step 1: `y` must"),
    "not finite": (one_batch(x=torch.full((20, 2), torch.nan)), {}, "step 1: `x` must be finite"),
    "id": (
        one_batch(task=torch.arange(20) % 4),
        {},
        r"batch of step 1: `task` must hold ids 0...2; got \[3\]",
    ),
    "float ids": (one_batch(task=torch.ones(20)), {}, "step 1: `task` must be a .*integer tensor"),
    "too many": (
        [table(), table()],
        {},
        r"batch of step 1: `x` must yield no more rows of a task in a pass than `task_sizes` says; "
        r"tasks \[0, 1, 2\] had \[80, 50, 30\] after 2 batches, `task_sizes` says \[40, 25, 15\]",
    ),
    "sampler": (
        loader(
            batch_sampler=vmtl.StratifiedBatches(table()[2][:50], 9), batch_size=1, shuffle=False
        ),
        {},
        "`task` must agree with `task_sizes`; tasks .* have",
    ),
    "sizes": (
        TensorDataset(*(one[:60] for one in table())),
        {"batch_size": 9},
        "`task` must agree with `task_sizes`; tasks",
    ),
    "id of an item": (
        Items(table()[0], table()[1], table()[2] + 1),
        {"batch_size": 9},
        r"`task` must hold ids 0...2; got \[3\]",
    ),
    "ids told wrong": (
        Items(*table()),
        {"batch_size": 9, "task": table()[2].sort().values},
        r"`task` must agree with the items of `x`; row \d+ is of task \d, not \d",
    ),
    "too few ids": (
        Items(*table()),
        {"batch_size": 9, "task": table()[2][:-1]},
        "`task` must have an id for each of the 80 items of `x`; got 79",
    ),
    "text": (
        Items(*table()),
        {"batch_size": 9, "task": np.array(["a"] * 80)},
        "`task` must be an array of integers; got ndarray",
    ),
    "two columns": (
        TensorDataset(*table()[:2]),
        {"batch_size": 9},
        r"`x` must be a Dataset whose items are \(x, y, task\); item 0 is a tuple",
    ),
    "empty": (TensorDataset(*(one[:0] for one in table())), {"batch_size": 9}, "`x` .* empty Data"),
    "closed form": (
        TensorDataset(*table()),
        {"batch_size": 9, "method": "coordinate"},
        "`method='coordinate'` can't be had for this fit: `",
    ),
    "checkpoint": (
        Batches(3),
        {"checkpoint": "fit"},
        "`checkpoint` needs an `x` that can be found again.*got Batches",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, with what came; a batch that comes late, with its step."""
    monkeypatch.chdir(tmp_path)
    x, options, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        fit(build(), x, **({"steps": 4} | options))


def test_what_is_refused_otherwise() -> None:
    """A length that isn't true, an end that comes, groups, and a table without y."""
    with pytest.raises(ValueError, match="as many batches as its length says, 5; got 3"):
        fit(build(), Short(3))
    empty = Batches(2)

    def rate(step: int) -> float:
        empty.count = 0
        return 0.02

    with pytest.raises(ValueError, match=r"batch of step 2: .*that of step 2 yields none"):
        fit(build(), empty, lr=rate)
    with pytest.raises(ValueError, match=r"groups are found in closed form alone.*not a Dataset"):
        fit(build(False, sources="groups"), TensorDataset(*table()), batch_size=9)
    with pytest.raises(ValueError, match="`y` must be a tensor; got None"):
        fit(build(), table()[0])
    exact = fit(build(False), *table(), lr=None)
    with pytest.raises(ValueError, match="`resume` is of a fit in closed form"):
        fit(build(False), [table()], resume=exact)


def test_an_endless_stream_of_its_own_draws() -> None:
    """More rows than there are: refused unless our sampler draws them."""
    with (
        pytest.raises(ValueError, match=r"no more rows of a task in a pass.*StratifiedBatches"),
        pytest.warns(vmtl.BatchWarning),
    ):
        fit(build(), DataLoader(Endless(), batch_size=10), steps=20)
    sampler = vmtl.StratifiedBatches(table()[2], 79)
    assert fit(build(), loader(batch_sampler=sampler, batch_size=1, shuffle=False)).step == 12


@pytest.mark.parametrize("rows", [400_000, pytest.param(1_200_000, marks=pytest.mark.nightly)])
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told in other units elsewhere")
def test_memory(tmp_path: Path, rows: int) -> None:
    """A table on the disk is never in memory: a fit takes less than half of its size more."""
    size = write(tmp_path, rows)
    command = [sys.executable, "tests/training/streamed.py", str(tmp_path), str(rows)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < size / 2
