"""Nodes of expectations, and moments of predictors in every shape that they come in."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Laplace, MultivariateNormal, Normal
from torch.nn import functional as F

import vmtl_core as vmtl
from vmtl_core import expectations


def double_factorial(n: int) -> float:
    return 1.0 if n <= 1 else n * double_factorial(n - 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_moments_of_the_nodes(dtype: torch.dtype) -> None:
    """E u^k of N(0, 1) to the eighth power."""
    nodes, weights = expectations.normal_nodes(torch.zeros((), dtype=dtype))
    assert nodes.dtype == weights.dtype == dtype
    rounding = 1e-3 if dtype == torch.float32 else 1e-7
    for power in range(9):
        exact = 0.0 if power % 2 else double_factorial(power - 1)
        assert float(weights @ nodes**power) == pytest.approx(exact, rel=rounding, abs=rounding)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_nodes_of_classes(classes: int) -> None:
    """Mirrored, of variance 1, about uncorrelated, and the same at every call."""
    like = torch.zeros(5, classes)
    nodes = expectations.class_nodes(like)
    assert nodes.shape == (64, classes)
    torch.testing.assert_close(nodes[:32], -nodes[32:])
    torch.testing.assert_close(nodes.square().mean(0), torch.ones(classes))
    correlation = nodes.T @ nodes / 64 - torch.eye(classes)
    assert float(correlation.abs().max()) < (0.2 if classes < 4 else 0.4)
    share = (nodes.abs() < 0.6745).double().mean(0)  # half of a normal's
    assert float((share - 0.5).abs().max()) < 0.1
    assert torch.equal(nodes, expectations.class_nodes(like))


def test_log_normalisers_keep_their_shape() -> None:
    """Leading dimensions are rows; without variance it is the log-sum-exp itself."""
    mean, variance = torch.randn(2, 5, 3), torch.rand(2, 5, 3)
    found = expectations.expected_log_normaliser(mean, variance)
    flat = expectations.expected_log_normaliser(mean.flatten(0, 1), variance.flatten(0, 1))
    torch.testing.assert_close(found, flat.view(2, 5))
    none = expectations.expected_log_normaliser(mean, torch.zeros_like(mean))
    torch.testing.assert_close(none, mean.logsumexp(-1))
    single = expectations.expected_log_normaliser(mean[0, 0], variance[0, 0])
    torch.testing.assert_close(single, found[0, 0])
    sure = expectations.expected_softplus(mean, torch.zeros_like(mean))
    torch.testing.assert_close(sure, F.softplus(mean))


def columns(columns: int) -> Any:
    return Independent(Normal(torch.randn(2, 3, columns), torch.rand(2, 3, columns) + 0.1), 2)


LAWS: dict[str, Any] = {
    "vector": lambda: Independent(Normal(torch.randn(2, 3), torch.rand(2, 3) + 0.1), 1),
    "full": lambda: MultivariateNormal(torch.randn(2, 3), torch.eye(3) + 0.4),
    "one column": lambda: columns(1),
    "two columns": lambda: columns(2),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("compiling", [False, True])
def test_both_ways_to_the_moments(
    name: str, compiling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By tasks or, in a compiled graph, by rows; with and without an intercept; by sampling."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    q, task = LAWS[name](), torch.tensor([1, 0, 1, 1])
    for x in (torch.randn(4, 3), torch.randn(4, 2)):
        found = expectations.linear_moments(q, x, task)
        assert found is not None
        wide = x if x.shape[1] == 3 else torch.cat([x, torch.ones(4, 1)], 1)
        mean = torch.einsum("bd,bd...->b...", wide, q.mean[task])
        if name == "full":
            variance = torch.einsum("bd,bde,be->b", wide, q.covariance_matrix[task], wide)
        else:
            variance = torch.einsum("bd,bd...->b...", wide.square(), q.variance[task])
        assert found[0].shape == mean.shape
        torch.testing.assert_close(found[0], mean)
        torch.testing.assert_close(found[1], variance)


def test_no_rows() -> None:
    found = expectations.linear_moments(
        LAWS["full"](), torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)
    )
    assert found is not None
    assert found[0].shape == found[1].shape == (0,)


def test_moments_are_in_the_dtype_of_the_weights() -> None:
    q = Independent(Normal(torch.zeros(2, 3).float(), torch.ones(2, 3).float()), 1)
    task = torch.tensor([0, 1])
    found = expectations.linear_moments(q, torch.randn(2, 3, dtype=torch.float64), task)
    assert found is not None
    assert found[0].dtype == found[1].dtype == torch.float32
    half = Independent(Normal(torch.zeros(2, 3).bfloat16(), torch.ones(2, 3).bfloat16()), 1)
    with pytest.raises(ValueError, match=r"`weights` must be in float32 or float64"):
        expectations.linear_moments(half, torch.randn(2, 3), task)


def test_who_knows_the_expectation() -> None:
    """All of a list must: else every task's is estimated from samples."""

    def mine(z: Tensor, w: Tensor) -> Laplace:
        return Laplace((z * w).sum(-1), 1.0)

    ours = vmtl.LinearGaussian()
    assert expectations.has_expectation(ours)
    assert expectations.has_expectation([ours, vmtl.LinearPoisson()])
    assert not expectations.has_expectation([ours, mine])
    assert not expectations.has_expectation(mine)


def test_other_shapes_are_left_to_the_general_path() -> None:
    task = torch.tensor([0, 1])
    q = LAWS["vector"]()
    assert expectations.linear_moments(q, torch.randn(2, 3, 1), task) is None
    assert expectations.linear_moments(q, torch.randn(2, 4), task) is None
    assert expectations.linear_moments(q, torch.randn(2, 1), task) is None
    scalars = Normal(torch.zeros(2), 1.0)
    assert expectations.linear_moments(scalars, torch.randn(2, 1), task) is None
