"""When the evidence of correlations is great enough, by a sum over a grid of the one there is."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.closed_form.models import ascent, build, table
from vmtl_core import shear, tilted
from vmtl_core.population import Own
from vmtl_core.sites import Table

GRID = torch.linspace(-2.5, 2.5, 201, dtype=torch.float64)


def half(kind: str, tasks: int = 40, rows: int = 6) -> tuple[Table, Own]:
    """Two correlated slopes a task, without intercept."""
    draw = torch.Generator().manual_seed(2)
    task = torch.arange(tasks).repeat_interleave(rows)
    x = torch.randn(len(task), 2, generator=draw)
    w = torch.randn(tasks, 2, generator=draw) @ torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    eta = (x * w[task]).sum(-1)
    noise = torch.randn(len(task), generator=draw)
    y = eta + 0.5 * noise if kind == "gaussian" else (eta + noise > 0).to(x)
    model = build(kind, task_sizes=[rows] * tasks, neighbours=0)
    climb = ascent(model, (x, y, task))
    return climb.problem.table, climb.own


@pytest.mark.parametrize("kind", ["gaussian", "labels"])
def test_correlations_where_they_gain(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Integrated over the slope they must have more evidence than none, to a fifth of a nat."""
    data, own = half(kind)
    plain = tilted.tilted(data, own, 1e-6).objective
    found, other, reached = tilted.climb_evidence(data, own, True, 1e-6)
    values = [tilted.evidence(data, own, found._replace(slopes=s.view(1, 1)), other) for s in GRID]
    total = data.tasks * (torch.stack(values) - plain)
    gain = float(total.logsumexp(0)) + math.log(float(GRID[1] - GRID[0]))
    for wanted in (0.2, -0.2):
        moved = found, other, reached + (wanted - gain) / data.tasks
        monkeypatch.setattr(shear, "climb_evidence", lambda *_, moved=moved: moved)
        lower = shear.shear(data, own, 1e-6)
        assert (lower is not None) == (wanted > 0)
        if lower is not None:
            slope = found.slopes[0, 0] * (found.log_sd[0, 1] - found.log_sd[0, 0]).exp()
            torch.testing.assert_close(lower, torch.eye(2)[None] + shifted(slope))


def shifted(slope: Tensor) -> Tensor:
    """A matrix with one entry, below the diagonal."""
    return torch.tensor([[[0.0, 0.0], [float(slope), 0.0]]])


def test_where_they_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer than eight tasks for each, one weight, a population that isn't learned."""
    asked: list[Any] = []
    found = tilted.climb_evidence

    def noted(*given: Any) -> Any:
        asked.append(given)
        return found(*given)

    monkeypatch.setattr(shear, "climb_evidence", noted)
    data, own = half("gaussian", 7)
    assert shear.shear(data, own, 1e-6) is None
    assert not asked
    data, own = half("gaussian", 8)
    shear.shear(data, own, 1e-6)
    assert [one[2:] for one in asked] == [(True, 1e-6)]
    for name in ("learned", "weak"):
        data, own = half("gaussian", 8)
        setattr(own.population, name, False)
        assert shear.shear(data, own, 1e-6) is None
    assert len(asked) == 1


def test_three_slopes_have_three_curvatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Laplace's volume: (2 pi)^(3/2) over the root of the curvature's determinant."""
    sizes = [2] * 24
    climb = ascent(build(rows=3, task_sizes=sizes, neighbours=0), table(sizes=sizes, inputs=3))
    data, own = climb.problem.table, climb.own
    found, other, _ = tilted.climb_evidence(data, own, True, 1e-3)
    monkeypatch.setattr(shear, "curvature", lambda *_: torch.diag(torch.tensor([2.0, 3.0, 4.0])))
    volume = 1.5 * math.log(2 * math.pi) - 0.5 * math.log(24)
    for gain in (0.01, -0.01):
        moved = found, other, own.objective + (gain - volume) / 24
        monkeypatch.setattr(shear, "climb_evidence", lambda *_, moved=moved: moved)
        assert (shear.shear(data, own, 1e-3) is not None) == (gain > 0)
