"""torch.compile of encoders of many tasks: a row goes through its own, and its sources', alone."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.double import _double_precision  # noqa: F401
from vmtl_core import posteriors

FEATURES, ROWS = 3, 4


def build(tasks: int, covariance: str) -> vmtl.MultiTaskELBO:
    torch.manual_seed(0)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(tasks, (2,), covariance=covariance),
        vmtl.GaussianEncoder(tasks, FEATURES, 2, hidden=(5,)),
        task_sizes=[ROWS] * tasks,
        neighbours=3,
    )
    with torch.no_grad():
        for one in model.parameters():  # no two tasks alike
            one.add_(torch.randn_like(one), alpha=0.3)
    return model


def results(model: Any, tasks: int) -> list[Tensor]:
    """Terms and gradients."""
    draw = torch.Generator().manual_seed(1)
    task = torch.arange(tasks).repeat(ROWS)
    x = torch.randn(len(task), FEATURES, generator=draw)
    torch.manual_seed(2)
    model.zero_grad()
    terms = model(x, x.sum(-1), task)
    terms.loss.backward()
    return [*terms, *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("tasks", [posteriors.GATHERED, posteriors.GATHERED + 4])
def test_sources_of_many_tasks(
    tasks: int, covariance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One graph, the numbers of the model as it is, and not every task's encoder for every row."""
    eager = build(tasks, covariance)
    torch.compiler.reset()
    compiled = torch.compile(deepcopy(eager), backend="eager", fullgraph=True)
    calls = []
    original = vmtl.GaussianEncoder.forward

    def forward(self: Any, x: Tensor) -> Any:
        calls.append(len(x))
        return original(self, x)

    wanted = results(eager, tasks)
    monkeypatch.setattr(vmtl.GaussianEncoder, "forward", forward)
    for found, value in zip(results(compiled, tasks), wanted, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-10)
    assert bool(calls) == (tasks <= posteriors.GATHERED)
