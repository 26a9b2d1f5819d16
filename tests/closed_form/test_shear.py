"""Correlations in the population: found where they are planted, and only there."""

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

import vmtl_core as vmtl
from vmtl_core.tilted import unit_lower

TASKS, ROWS = 200, 8


def planted(correlation: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, y, task of regressions whose two slopes and intercept come from one population, and V_0."""
    draw = torch.Generator().manual_seed(seed)
    sd = torch.tensor([0.8, 0.5, 0.4], dtype=torch.float64)
    cov = torch.eye(3, dtype=torch.float64)
    cov[0, 1] = cov[1, 0] = correlation
    cov = sd[:, None] * cov * sd
    w = torch.linalg.cholesky(cov) @ torch.randn(3, TASKS, generator=draw, dtype=torch.float64)
    x = torch.randn(TASKS * ROWS, 3, generator=draw, dtype=torch.float64)
    x[:, 2] = 1
    task = torch.arange(TASKS).repeat_interleave(ROWS)
    noise = 0.3 * torch.randn(len(x), generator=draw, dtype=torch.float64)
    return x, (x * w.T[task]).sum(1) + noise, task, cov


def fitted(x: Tensor, y: Tensor, task: Tensor) -> vmtl.MultiTaskELBO:
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(TASKS, (3,)),
        task_sizes=[ROWS] * TASKS,
        neighbours=0,
        sources="own",
    ).double()
    vmtl.fit(model, x, y, task, progress=False)
    return model


def correlations(model: vmtl.MultiTaskELBO) -> Tensor:
    p_0 = model.prior.base()  # type: ignore[misc]
    assert isinstance(p_0, MultivariateNormal)
    cov = p_0.covariance_matrix[0].detach()
    sd = cov.diagonal().sqrt()
    return cov / sd[:, None] / sd


@pytest.mark.parametrize("correlation", [-0.8, 0.6])
def test_a_planted_correlation_is_found(correlation: float) -> None:
    x, y, task, cov = planted(correlation)
    model = fitted(x, y, task)
    found = correlations(model)
    # the standard error of a correlation from 200 tasks is below .07
    assert abs(found[0, 1] - correlation) < 0.2
    assert found[0, 2].abs() < 0.25
    # known covariance as a fixed prior: the posteriors are nearly the same
    given = MultivariateNormal(torch.zeros(3, dtype=torch.float64), cov)
    exact = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(TASKS, (3,)),
        task_sizes=[ROWS] * TASKS,
        neighbours=0,
        base_prior=given,
        transfer=None,
        sources="own",
    ).double()
    vmtl.fit(exact, x, y, task, progress=False)
    gap = (model.q_weights().mean - exact.q_weights().mean).square().mean().sqrt()
    assert gap < 0.1 * model.q_weights().mean.std()


def test_independent_coordinates_stay_so() -> None:
    x, y, task, _ = planted(0.0)
    units = fitted(x, y, task).prior.units
    assert units.basis is not None
    matrix = units.basis[0]
    # standardising mixes the intercept with the rest, and no slope with another
    assert matrix[0, 1] == 0
    assert matrix[1, 0] == 0


def test_few_tasks_can_not_tell() -> None:
    x, y, task, _ = planted(0.9)
    some = task < 20
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(20, (3,)), task_sizes=[ROWS] * 20, sources="own"
    ).double()
    vmtl.fit(model, x[some], y[some], task[some], progress=False)
    assert model.prior.units.basis is not None
    assert model.prior.units.basis[0, 1, 0] == 0


def test_regressions_are_of_standardised_coordinates() -> None:
    log_sd = torch.tensor([[2.0, 0.5]]).log()
    lower = unit_lower(torch.tensor([[0.3]]), log_sd)
    torch.testing.assert_close(lower, torch.tensor([[[1.0, 0.0], [0.3 * 0.25, 1.0]]]))
