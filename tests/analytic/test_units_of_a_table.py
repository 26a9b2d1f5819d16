"""The units that a table gives, (5.13): which columns, which scales, which intercept."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Laplace, MultivariateNormal, Normal

import vmtl_core as vmtl
from vmtl_core import units

GAUSSIAN, LABELS = [vmtl.LinearGaussian()], [vmtl.LinearBernoulli()]
COUNTS, CLASSES = [vmtl.LinearPoisson()], [vmtl.LinearCategorical()]


def inputs(columns: int = 2, rows: int = 40) -> Tensor:
    """Columns of many sds and means."""
    spread = torch.linspace(0.5, 20.0, columns)
    return torch.randn(rows, columns) * spread + torch.linspace(-30, 90, columns)


def wide(x: Tensor, constant: float = 1.0) -> Tensor:
    """With a constant column at the end."""
    return torch.cat([x, torch.full((len(x), 1), constant)], 1)


def standardised(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / x.std(0, correction=0)


def predictors(found: units.Measured, x: Tensor, u: Tensor) -> Tensor:
    """x'w for w = o + B u of the first column."""
    return x @ (found.offset[0] + found.basis[0] @ u)


@pytest.mark.parametrize(
    ("likelihoods", "stretch", "shift"),
    [
        (GAUSSIAN, None, None),
        (LABELS, 2.5, math.log(13 / 29)),
        (COUNTS, 1.0, math.log(12.5 / 40)),
        ([*LABELS, *GAUSSIAN], 2.5, 0.0),
        ([*LABELS, *COUNTS], 2.5, 0.0),
        ([*COUNTS, *GAUSSIAN], 1.0, 0.0),
    ],
    ids=["numbers", "labels", "counts", "labels and numbers", "labels and counts", "counts and"],
)
def test_inputs_with_an_intercept(
    likelihoods: list[Any], stretch: float | None, shift: float | None
) -> None:
    """Standardised inputs, and an intercept about that of a model without inputs."""
    x = inputs()
    y = 9 * torch.randn(40) + 100 if stretch is None else (torch.arange(40) < 12).double()
    found = units.measure(wide(x, 2.0), y, likelihoods, 1, centre=True)
    scale = float(y.std(correction=0)) if stretch is None else 1.0
    assert found.target_scale == pytest.approx(scale)
    unit = scale if stretch is None else stretch
    middle = float(y.mean()) if shift is None else shift
    u = torch.randn(3)
    expected = middle + unit * (standardised(x) @ u[:2] + u[2])
    torch.testing.assert_close(predictors(found, wide(x, 2.0), u), expected)


def test_intercepts_of_classes() -> None:
    """Logits of the shares of a table in which every class has come once more."""
    y = torch.tensor([0.0, 2, 2, 0, 2, 2])
    found = units.measure(wide(inputs(2, 6)), y, CLASSES, 4, centre=True)
    logits = wide(inputs(2, 6))[0, 2] * found.offset[:, 2]
    torch.testing.assert_close(logits.softmax(0), torch.tensor([0.3, 0.1, 0.5, 0.1]))
    assert float(logits.sum()) == pytest.approx(0.0, abs=1e-12)
    assert found.target_scale == 1.0
    torch.testing.assert_close(found.basis[3], found.basis[0])


def test_columns_of_targets() -> None:
    """One unit for all of them, each column about its own mean."""
    y = torch.randn(40, 2) * torch.tensor([1.0, 7.0]) + torch.tensor([50.0, -3.0])
    x = wide(inputs())
    found = units.measure(x, y, GAUSSIAN, 2, centre=True)
    scale = float(y.var(0, correction=0).mean().sqrt())
    assert found.target_scale == pytest.approx(scale)
    torch.testing.assert_close(x[0, 2] * found.offset[:, 2], y.mean(0))


def test_without_an_intercept() -> None:
    """Inputs keep their zero and share a unit: the mean square of those that are ever on."""
    x = torch.cat([inputs(), torch.zeros(40, 1)], 1)
    y = torch.randn(40) + 8
    found = units.measure(x, y, GAUSSIAN, 1, centre=True)
    assert found.target_scale == pytest.approx(float(y.square().mean().sqrt()))
    common = x[:, :2].square().mean().sqrt()
    torch.testing.assert_close(found.basis[0], found.target_scale / common * torch.eye(3))
    assert float(found.offset.abs().max()) == 0.0
    again = units.measure(wide(x), y, GAUSSIAN, 1, centre=False)
    common = wide(x)[:, [0, 1, 3]].square().mean().sqrt()
    torch.testing.assert_close(again.basis[0], found.target_scale / common * torch.eye(4))
    assert float(again.offset.abs().max()) == 0.0
    nothing = units.measure(torch.zeros(40, 2), y, GAUSSIAN, 1, centre=False)
    torch.testing.assert_close(nothing.basis[0], nothing.target_scale * torch.eye(2))
    labels = units.measure(x, y, LABELS, 1, centre=False)
    torch.testing.assert_close(
        labels.basis[0], 2.5 / x[:, :2].square().mean().sqrt() * torch.eye(3)
    )


@pytest.mark.parametrize("count", [50, 51])
@pytest.mark.parametrize("likelihoods", [GAUSSIAN, LABELS], ids=["numbers", "labels"])
def test_many_inputs_share_a_unit(likelihoods: list[Any], count: int) -> None:
    """More than fifty: one unit; for numbers rows of length one, and no stretch for labels."""
    x = wide(inputs(count))
    y = torch.randn(40) if likelihoods is GAUSSIAN else (torch.arange(40) % 2).double()
    found = units.measure(x, y, likelihoods, 1, centre=True)
    spread = x[:, :-1].std(0, correction=0)
    unit = found.target_scale if likelihoods is GAUSSIAN else 2.5
    if count > 50:
        unit = found.target_scale
        spread = spread.square().mean().sqrt().expand(count)
        spread = spread * count**0.5 if likelihoods is GAUSSIAN else spread
    torch.testing.assert_close(found.basis[0].diagonal()[:-1], unit / spread)
    flat = units.measure(x[:, :-1], y, likelihoods, 1, centre=False)
    common = x[:, :-1].square().mean().sqrt()
    crowd = count**0.5 if likelihoods is GAUSSIAN and count > 50 else 1.0
    unit = flat.target_scale if likelihoods is GAUSSIAN or count > 50 else 2.5
    torch.testing.assert_close(
        flat.basis[0], unit / common / crowd * torch.eye(count), rtol=1e-9, atol=1e-12
    )


def test_other_constant_columns() -> None:
    """The first column that is constant and not zero is the intercept; others keep their size."""
    x = torch.cat([torch.zeros(40, 1), inputs(1), torch.full((40, 1), 3.0)], 1)
    x = torch.cat([x, torch.full((40, 1), -4.0)], 1)
    y = torch.randn(40) + 2
    found = units.measure(x, y, GAUSSIAN, 1, centre=True)
    u, b = torch.randn(4), found.target_scale
    expected = y.mean() + b * (standardised(x[:, 1:2])[:, 0] * u[1] + u[2] - u[3])
    torch.testing.assert_close(predictors(found, x, u), expected)
    assert float(found.basis[0, 0, 0]) == pytest.approx(b)


def test_equal_targets_have_unit_one() -> None:
    assert (
        units.measure(wide(inputs()), torch.full((40,), 7.0), GAUSSIAN, 1, True).target_scale == 1
    )


def test_design() -> None:
    x = torch.randn(4, 2, dtype=torch.float32)
    assert units.design(x, 2).dtype == torch.float64
    assert torch.equal(units.design(x, 2), x.double())
    assert torch.equal(units.design(x, 3), wide(x.double()))


def law(columns: int, full: bool = False) -> Any:
    """Gaussian w of two tasks, three weights."""
    if full:
        root = torch.randn(2, 3, 3).tril() + 2 * torch.eye(3)
        return MultivariateNormal(torch.randn(2, 3), scale_tril=root)
    shape = (2, 3, columns) if columns else (2, 3)
    normal = Normal(torch.randn(shape), torch.rand(shape) + 0.2)
    return Independent(normal, 2 if columns else 1)


@pytest.mark.parametrize("columns", [0, 2])
def test_diagonal_maps_stay_diagonal(columns: int) -> None:
    """Each weight by its own number, which may be negative, column by column."""
    size, shift = torch.randn(max(columns, 1), 3), torch.randn(max(columns, 1), 3)
    made, q = units.Units(), law(columns)
    assert made.to_data(q) is q
    assert made.to_standard(q) is q
    made.set(torch.diag_embed(size), shift, torch.zeros(()))
    assert made.diagonal
    found = made.to_data(q)
    wanted = (lambda t: t.T) if columns else (lambda t: t[0])
    torch.testing.assert_close(found.mean, wanted(shift) + wanted(size) * q.mean)
    torch.testing.assert_close(found.stddev, wanted(size).abs() * q.stddev)
    assert found.event_shape == q.event_shape
    torch.testing.assert_close(made.to_standard(found).stddev, q.stddev)
    made.clear()
    assert made.to_data(q) is q
    assert made.diagonal


def test_full_maps_of_full_and_diagonal_laws() -> None:
    """Mean o + B m and covariance B S B', with a lower triangular factor of positive diagonal."""
    basis, shift, made = torch.randn(1, 3, 3), torch.randn(1, 3), units.Units()
    made.set(basis, shift, torch.zeros(()))
    assert not made.diagonal
    for q in (law(0, full=True), law(0)):
        found: Any = made.to_data(q)
        covariance = q.covariance_matrix if q.event_shape and hasattr(q, "scale_tril") else None
        covariance = torch.diag_embed(q.variance) if covariance is None else covariance
        torch.testing.assert_close(found.mean, shift + q.mean @ basis[0].T)
        torch.testing.assert_close(found.covariance_matrix, basis @ covariance @ basis.mT)
        assert bool((found.scale_tril.diagonal(dim1=-2, dim2=-1) > 0).all())
        torch.testing.assert_close(found.scale_tril.tril(), found.scale_tril)
        back: Any = made.to_standard(found)
        torch.testing.assert_close(back.mean, q.mean)
        torch.testing.assert_close(back.covariance_matrix, covariance)
    other = Independent(Laplace(torch.zeros(2, 3), 1.0), 1)
    assert made.to_data(other) is other


def test_diagonal_is_seen_again_after_loading() -> None:
    """And an empty state empties a map that was set."""
    made, other = units.Units(), units.Units()
    made.set(torch.randn(1, 3, 3), torch.randn(1, 3), torch.zeros(()))
    other.load_state_dict(made.state_dict())
    assert not other.diagonal
    torch.testing.assert_close(other.basis, made.basis)
    other.load_state_dict({})
    assert other.diagonal
    assert other.basis is None
    assert made.basis is not None
    made.set(torch.eye(3)[None], torch.zeros(1, 3), torch.zeros((), dtype=torch.float32))
    assert made.basis.dtype == torch.float32
    assert made.diagonal


def test_lower_triangular_roots() -> None:
    """L L' = F F' with a positive diagonal, for every task and column; wide factors too."""
    for shape in ((4, 2, 3, 3), (2, 3, 5), (3, 3)):
        factor = torch.randn(shape)
        found = units.triangular(factor)
        torch.testing.assert_close(found @ found.mT, factor @ factor.mT)
        torch.testing.assert_close(found, found.tril())
        assert bool((found.diagonal(dim1=-2, dim2=-1) > 0).all())


def test_columns_that_are_never_on_do_not_crowd() -> None:
    x = torch.cat([torch.rand(30, 50) + 0.1, torch.zeros(30, 5)], 1)
    found = units.measure(x, torch.randn(30), GAUSSIAN, 1, centre=False)
    common = x[:, :50].square().mean().sqrt()
    torch.testing.assert_close(found.basis[0], found.target_scale / common * torch.eye(55))


def test_double_precision_whatever_the_default() -> None:
    x, y = inputs(), torch.randn(40)
    torch.set_default_dtype(torch.float32)
    for design, centre in ((x, False), (wide(x).double(), True)):
        found = units.measure(design, y, GAUSSIAN, 1, centre)
        assert found.basis.dtype == found.offset.dtype == torch.float64
    made = units.Units()
    made.set(found.basis, found.offset, torch.zeros((), dtype=torch.float32))
    assert made.offset is not None
    assert made.offset.dtype == torch.float32
