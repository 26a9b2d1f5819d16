"""Tables that break a naive fit: right and finite, or a ValueError that names what is wrong."""

import math

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.closed_form.models import build

pytestmark = pytest.mark.filterwarnings("ignore::vmtl_core.IdentificationWarning")
TASKS, ROWS = 4, 6
Table = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(autouse=True)
def _double_precision() -> None:
    torch.set_default_dtype(torch.float64)  # tests/conftest.py puts it back


def regression() -> Table:
    task = torch.arange(TASKS).repeat_interleave(ROWS)
    x = torch.randn(len(task), 2)
    return x, x.sum(-1) + 0.3 * torch.randn(len(task)), task


def with_column(column: Tensor) -> Table:
    x, y, task = regression()
    return torch.cat([x, column[:, None]], 1), y, task


def twice() -> Table:
    x, y, task = regression()
    return torch.cat([x, -2 * x[:, :1]], 1), y, task


def of_task() -> Table:
    """A column that is constant within every task."""
    x, y, task = regression()
    return torch.cat([x, task[:, None].to(x)], 1), y + task, task


def one_row() -> Table:
    x, y, _ = regression()
    return x[:TASKS], y[:TASKS], torch.arange(TASKS)


def outlier() -> Table:
    x, y, task = regression()
    y[5] = 1e6
    return x, y, task


def labels(flat: bool = False) -> Table:
    """Separable by the first input; or all 1 in task 0."""
    x, y, task = regression()
    return x, torch.where(task == 0, 1.0, (y > 0).to(x)) if flat else (x[:, 0] > 0).to(x), task


def counts(first: float = 0.0) -> Table:
    x, y, task = regression()
    y = torch.zeros_like(y)
    y[0] = first
    return x, y, task


TABLES = {
    "collinear": ("gaussian", twice),
    "collinear labels": ("labels", lambda: (twice()[0], *labels()[1:])),
    "constant within tasks": ("gaussian", of_task),
    "column of 0": ("gaussian", lambda: with_column(torch.zeros(TASKS * ROWS))),
    "column of 5": ("gaussian", lambda: with_column(torch.full((TASKS * ROWS,), 5.0))),
    "one row a task": ("gaussian", one_row),
    "one label a task": (
        "labels",
        lambda: (one_row()[0], (one_row()[1] > 0).double(), one_row()[2]),
    ),
    "separable": ("labels", labels),
    "a task of one label": ("labels", lambda: labels(flat=True)),
    "outlier": ("gaussian", outlier),
    "counts of 0": ("counts", counts),
    "one huge count": ("counts", lambda: counts(1e6)),
    "one class": ("classes", counts),
}


@pytest.mark.parametrize("intercept", [0, 1], ids=["origin", "intercept"])
@pytest.mark.parametrize("name", TABLES)
def test_everything_is_finite(name: str, intercept: int) -> None:
    """Parameters, points and predictions; the fit has settled."""
    kind, make = TABLES[name]
    x, y, task = make()
    sizes = [len(x) // TASKS] * TASKS
    model = build(kind, rows=x.shape[1] + intercept, task_sizes=sizes)
    history = vmtl.fit(model, x, y, task, progress=False)
    assert history.converged
    assert all(bool(t.isfinite().all()) for t in model.state_dict().values())
    found = vmtl.predictive(model, x, task)
    assert bool(found.log_prob(y).isfinite().all())
    spread = found.probs if kind == "classes" else found.variance
    assert bool((spread.isfinite() & (spread > 0)).all())


def test_a_singular_design_predicts_as_one_without_the_copy() -> None:
    x, y, task = twice()
    scores = []
    for inputs in (x, x[:, :2]):
        model = build(rows=inputs.shape[1] + 1, task_sizes=[ROWS] * TASKS)
        vmtl.fit(model, inputs, y, task, progress=False)
        scores.append(vmtl.predictive(model, inputs, task).mean)
    assert float((scores[0] - scores[1]).abs().max()) < 0.2


def test_an_exact_fit_is_exact() -> None:
    """y = 2 x without noise: the slope to a thousandth, and an honest, small sd."""
    x, _, task = regression()
    model = build(rows=3, task_sizes=[ROWS] * TASKS)
    vmtl.fit(model, x, 2 * x[:, 0], task, progress=False)
    q = model.q_weights()
    sd = q.stddev.detach()
    torch.testing.assert_close(
        q.mean.detach(), torch.tensor([[2.0, 0.0, 0.0]]).expand(TASKS, -1), rtol=0, atol=1e-3
    )
    assert float(sd.max()) < 0.01


@pytest.mark.parametrize("value", [0.0, 7.1])
def test_a_target_that_does_not_vary_is_refused(value: float) -> None:
    """By name; with a noise scale that is given it is fitted."""
    x, y, task = regression()
    y = torch.full_like(y, value)
    with pytest.raises(ValueError, match=rf"`y` must vary .* every row is {value}"):
        vmtl.fit(build(rows=3, task_sizes=[ROWS] * TASKS), x, y, task, progress=False)
    given = build(rows=3, task_sizes=[ROWS] * TASKS, likelihood=vmtl.LinearGaussian(0.5))
    vmtl.fit(given, x, y, task, progress=False)
    torch.testing.assert_close(vmtl.predictive(given, x, task).mean, y, rtol=0, atol=0.3)


@pytest.mark.parametrize(("name", "value"), [("x", math.nan), ("x", math.inf), ("y", math.nan)])
def test_what_is_not_finite_is_named(name: str, value: float) -> None:
    x, y, task = regression()
    (x if name == "x" else y)[3] = value
    with pytest.raises(ValueError, match=f"`{name}` must be finite; .* row 3 with {value}"):
        vmtl.fit(build(rows=3, task_sizes=[ROWS] * TASKS), x, y, task, progress=False)


@pytest.mark.parametrize("kind", ["separable", "one label"])
def test_labels_without_a_maximum_have_their_posterior(kind: str) -> None:
    """One weight under N(0, 9): the Gaussian's moments near those of quadrature."""
    task = torch.arange(2).repeat_interleave(8)
    x = torch.randn(16, 1) if kind == "separable" else torch.ones(16, 1)
    y = (x[:, 0] > 0).to(x)
    law = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(1), 3.0), 1)
    model = build("labels", 1, task_sizes=[8, 8], base_prior=law, transfer=None)
    vmtl.fit(model, x, y, task, progress=False)
    w = torch.linspace(-30, 30, 6001)
    found = model.source_weights()
    for t in range(2):
        eta = w[:, None] * x[task == t, 0]
        log_density = (y[task == t] * eta - torch.nn.functional.softplus(eta)).sum(-1)
        mass = (log_density - w**2 / 18).softmax(0)
        mean = (mass * w).sum()
        sd = (mass * (w - mean) ** 2).sum().sqrt()
        assert float(found.mean[t].detach()) == pytest.approx(float(mean), abs=0.15 * float(sd))
        assert float(found.stddev[t].detach()) == pytest.approx(float(sd), rel=0.2)


@pytest.mark.parametrize("apart", [0.0, 1e-4], ids=["a copy", "nearly one"])
def test_an_exact_fit_beside_a_copy(apart: float) -> None:
    """y = x_0 without noise and x_1 the same: no search runs into a singular matrix."""
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 40, generator=draw, dtype=torch.float32).double().unbind()
    x, task = torch.stack([a, a + apart * b], 1), torch.arange(40) % 2
    model = build(rows=2, task_sizes=[20, 20])
    vmtl.fit(model, x, a, task, progress=False)
    torch.testing.assert_close(vmtl.predictive(model, x, task).mean, a, rtol=1e-3, atol=1e-3)
