"""The same table in other units gives the same predictions, (5.13)."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

import vmtl_core as vmtl
from tests.closed_form.models import build, table
from vmtl_core import units
from vmtl_core.averaging import POINTS
from vmtl_core.points import posterior_points

SIZES = [8, 8, 8]
SHIFT, SCALE = (300.0, -7.0), (40.0, 0.02)
Y_SHIFT, Y_SCALE = 90.0, 9.0
Widen = Callable[[Tensor], Tensor]


def beside(value: float, first: bool = False) -> Widen:
    """A constant column before or behind the inputs."""

    def widen(x: Tensor) -> Tensor:
        ones = torch.full((len(x), 1), value)
        return torch.cat([ones, x] if first else [x, ones], 1)

    return widen


INTERCEPTS: dict[str, Widen] = {
    "implicit": lambda x: x,
    "last": beside(1.0),
    "first": beside(1.0, first=True),
    "constant 2": beside(2.0),
}
every_kind = pytest.mark.parametrize("kind", ["gaussian", "labels", "counts", "classes"])


def predictions(kind: str, widen: Widen, other: bool, average: bool) -> Tensor:
    """Mean and sd of every row, of the latent predictors of classes; in standard units of y."""
    x, y, task = table(kind, SIZES)
    new = x.flip(0) + 0.3
    if other:
        x, new = (t * torch.tensor(SCALE) + torch.tensor(SHIFT) for t in (x, new))
        y = Y_SHIFT + Y_SCALE * y if kind == "gaussian" else y
    model = build(kind, rows=3, task_sizes=SIZES)
    vmtl.fit(model, widen(x), y, task, progress=False, average=average)
    if kind == "classes":
        return logits(model, widen(new), task)
    found = vmtl.predictive(model, widen(new), task)
    mean, sd = found.mean, found.variance.sqrt()
    if other and kind == "gaussian":
        mean, sd = (mean - Y_SHIFT) / Y_SCALE, sd / Y_SCALE
    return torch.stack([mean, sd])


@torch.no_grad()
def logits(model: vmtl.MultiTaskELBO, x: Tensor, task: Tensor) -> Tensor:
    """Mean and sd of every logit at every point of the hyperparameters, (2, K, N, C)."""
    points = posterior_points(model)
    assert points is not None
    wide = torch.cat([x, torch.ones(len(x), 1)], 1)[:, :3]
    mean = torch.einsum("nd,knpd->knp", wide, points.loc[:, task])
    sd = torch.einsum("nd,knpde->knpe", wide, points.scale_tril[:, task]).norm(dim=-1)
    return torch.stack([mean, sd])


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-6) -> None:
    """Within so many predictive sds."""
    away = ((found - expected) / expected[1]).abs().max()
    assert float(away) < tolerance, f"{float(away)} sds apart"


@pytest.mark.parametrize("average", [False, True], ids=["optimum", "average"])
@pytest.mark.parametrize("intercept", ["implicit", "first"])
@every_kind
def test_units_of_inputs_and_target_do_not_matter(kind: str, intercept: str, average: bool) -> None:
    """(5.13): x_d -> s_d x_d + c_d, y -> 90 + 9 y."""
    widen = INTERCEPTS[intercept]
    same(predictions(kind, widen, True, average), predictions(kind, widen, False, average))


@every_kind
def test_where_the_intercept_stands_does_not_matter(kind: str) -> None:
    """(5.13), at the optimum: first, last, implicit, or a column of 2."""
    expected = predictions(kind, INTERCEPTS["implicit"], False, False)
    for widen in INTERCEPTS.values():
        same(predictions(kind, widen, True, False), expected)


def test_standard_weights_are_those_of_the_standard_table() -> None:
    """(5.13): w = o + B u predicts a + b u'((x - c) / s, 1)."""
    x, y, _ = table(sizes=SIZES)
    x, y = x * torch.tensor(SCALE) + torch.tensor(SHIFT), Y_SHIFT + Y_SCALE * y
    found = units.measure(units.design(x, 3), y, [vmtl.LinearGaussian()], 1, centre=True)
    u = torch.randn(3)
    w = found.offset[0] + found.basis[0] @ u
    standard = (x - x.mean(0)) / x.std(0, correction=0)
    expected = y.mean() + y.std(correction=0) * (standard @ u[:2] + u[2])
    torch.testing.assert_close(x @ w[:2] + w[2], expected)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_there_and_back(covariance: str) -> None:
    """`to_data` is the law of o + B u, by draws; `to_standard` undoes it."""
    basis = torch.randn(1, 3, 3) + 3 * torch.eye(3)
    if covariance == "diagonal":
        basis = torch.diag_embed(basis.diagonal(dim1=-2, dim2=-1))
    offset, made = torch.randn(1, 3), units.Units()
    made.set(basis, offset, offset)
    law = Independent(Normal(torch.randn(2, 3), torch.rand(2, 3) + 0.2), 1)
    there = made.to_data(law)
    torch.testing.assert_close(there.mean, law.mean @ basis[0].T + offset[0])
    covariances = basis[0] @ torch.diag_embed(law.variance) @ basis[0].T
    torch.testing.assert_close(
        there.variance, covariances.diagonal(dim1=-2, dim2=-1), rtol=1e-10, atol=1e-10
    )
    back = made.to_standard(there)
    torch.testing.assert_close(back.mean, law.mean)
    torch.testing.assert_close(back.variance, law.variance)


def steep() -> tuple[Tensor, Tensor, Tensor]:
    """y = 90 - 9 x and 80 - 8 x, ten rows each, noise 4."""
    draw = torch.Generator().manual_seed(4)
    task = torch.arange(2).repeat_interleave(10)
    x = 10 * torch.rand(20, 1, generator=draw)
    slope, start = torch.tensor([-9.0, -8.0])[task], torch.tensor([90.0, 80.0])[task]
    return x, start + slope * x[:, 0] + 4 * torch.randn(20, generator=draw), task


@pytest.mark.parametrize("average", [False, True], ids=["optimum", "average"])
def test_raw_units_find_the_slope(average: bool) -> None:
    """The default in raw units: right sign, within two sds of the truth."""
    model = build(rows=2, task_sizes=[10, 10])
    vmtl.fit(model, *steep(), progress=False, average=average)
    q = model.q_weights()
    for mean, sd, true in zip(
        q.mean[:, 0].tolist(), q.stddev[:, 0].tolist(), (-9.0, -8.0), strict=True
    ):
        assert abs(mean - true) < 2 * sd, (mean, sd, true)
        assert mean + 4 * sd < 0
    assert vmtl.predictive(model, torch.tensor([[5.0]]), torch.tensor([0])).mean[0] == (
        pytest.approx(45.0, abs=5.0)
    )


def test_adam_warns_of_the_columns_by_name() -> None:
    x, y, task = steep()
    wide = torch.cat([torch.randn(20, 1), 100 + x], 1)
    model = build(rows=3, task_sizes=[10, 10])
    with pytest.warns(
        vmtl.UnitsWarning, match=r"Adam .*column 1 of `x` \(mean 10.*, `y` "
    ) as found:
        vmtl.fit(model, wide, y, task, steps=3, method="adam", progress=False, tolerance=None)
    assert "column 0" not in str(found[0].message)
    vmtl.fit(build(rows=3, task_sizes=[10, 10]), wide, y, task, progress=False)  # no warning


def test_units_and_average_travel() -> None:
    """`state_dict` carries both; a model that was never fitted takes them up."""
    model, other = (build(rows=2, task_sizes=[10, 10]) for _ in range(2))
    x, y, task = steep()
    vmtl.fit(model, x, y, task, progress=False)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer))
    a, b = (vmtl.predictive(one, x, task) for one in (model, other))
    assert torch.equal(a.mean, b.mean)
    assert torch.equal(a.variance, b.variance)
    assert torch.equal(model.prior.base().mean, other.prior.base().mean)  # type: ignore[misc]
    assert torch.equal(model(x, y, task).own_elbo, other(x, y, task).own_elbo)
    assert len(other.average) == POINTS[0][1]


def test_one_table_s_units_do_not_stay() -> None:
    """A second fit takes those of its own table."""
    x, y, task = steep()
    model = build(rows=2, task_sizes=[10, 10])
    vmtl.fit(model, x, y, task, progress=False)
    small = (x - 5) / 3, (y - 45) / 25, task
    vmtl.fit(model, *small, progress=False)
    fresh = build(rows=2, task_sizes=[10, 10])
    vmtl.fit(fresh, *small, progress=False)
    for name, value in fresh.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
