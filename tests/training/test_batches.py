"""Batches of the user's own: what is told of those that leave tasks out, and those that don't."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import vmtl_core as vmtl
from vmtl_core import batches as module

TASKS, ROWS = 40, 12


def table() -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    task = torch.arange(TASKS).repeat_interleave(ROWS)
    x = torch.randn(len(task), 2, generator=draw)
    slopes = 1 + 0.3 * torch.randn(TASKS, 2, generator=draw)
    noise = 0.3 * torch.randn(len(task), generator=draw)
    return x, (slopes[task] * x).sum(-1) + noise, task


def build() -> Any:
    torch.manual_seed(0)
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(TASKS, (2,)),
        task_sizes=[ROWS] * TASKS,
        sources="own",
    )


def error_of(model: Any, steps: int, loader: DataLoader) -> float:
    """NMSE on the training rows after so many steps of a loop of the user's own."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    x, y, task = table()
    step = 0
    while step < steps:
        for batch in loader:
            optimizer.zero_grad()
            model(*batch).loss.backward()
            optimizer.step()
            step += 1
    found = (x * model.q_weights().mean[task]).sum(-1)
    return float((found - y).square().detach().mean() / y.var())


def test_a_random_batch_is_warned_of_once() -> None:
    """By name, with what to use; that is unbiased and learns what the table says."""
    data = TensorDataset(*table())
    random = DataLoader(data, batch_size=2, shuffle=True)
    with pytest.warns(vmtl.BatchWarning, match=r"leaves out \d+ of 40 .*StratifiedBatches") as told:
        biased = error_of(build(), 300, random)
    assert len(told) == 1
    assert told[0].filename == __file__
    batches = vmtl.StratifiedBatches(table()[2], TASKS)
    assert len(batches) == ROWS
    assert error_of(build(), 300, DataLoader(data, batch_sampler=batches)) < 0.05 < biased - 0.03


def test_what_is_not_warned_of() -> None:
    """Rows looked at without a gradient, or in evaluation mode; every task in the batch."""
    x, y, task = table()
    model = build()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(x, y, task)
        with torch.no_grad():
            model(x[:30], y[:30], task[:30])
        model.eval()(x[:30], y[:30], task[:30])
    with pytest.warns(vmtl.BatchWarning, match=r"leaves out 37 of 40 tasks, the first \[3, 4"):
        model.train()(x[:30], y[:30], task[:30])


def test_an_epoch() -> None:
    """N // B lists of row numbers, repeated by a generator of the same seed and by it alone."""
    task = torch.tensor([2, 0, 1, 0, 0, 0, 2, 0, 0], dtype=torch.int8)
    make = [vmtl.StratifiedBatches(task, 4, torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    one, again, other = (list(batches) for batches in make)
    assert len(one) == len(make[0]) == 2
    assert one == again != other
    assert one != list(make[0])
    for rows in one:
        assert sorted(task[rows].tolist()) == [0, 0, 1, 2]
    assert len(vmtl.StratifiedBatches(task, 100)) == 1


def test_many_rows() -> None:
    """Beyond `MANY_ROWS` no draw looks at all rows: the same counts, none twice, all as likely."""
    sizes = torch.tensor([300, 7, 1, 52])
    task = torch.arange(4).repeat_interleave(sizes)
    task = task[torch.randperm(len(task), generator=torch.Generator().manual_seed(0))]
    usual = vmtl.StratifiedBatches(task, 60)
    draws, made = 4000, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY_ROWS", 100)  # and blocks of as many, the last one shorter
        for size in (60, 200):
            generator = torch.Generator().manual_seed(1)
            made.append(vmtl.StratifiedBatches(task.int(), size, generator))
    few, most = made
    assert few.counts.equal(usual.counts)
    assert few.sizes.equal(sizes)
    times = torch.zeros(len(task))
    for _ in range(draws):
        rows = few.draw()
        assert task[rows].bincount().equal(few.counts)
        times[rows] += 1  # a row that came twice would count once
    assert times.sum() == draws * few.counts.sum()
    share = (few.counts / sizes)[task]
    error = (share * (1 - share) / draws).sqrt()
    assert ((times / draws - share).abs() <= 6 * error).all()
    assert most.draw().unique().numel() == most.counts.sum()
