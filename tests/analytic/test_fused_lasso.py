r"""The echo chamber, exactly: two tasks that are each other's prior.

N observations y ~ N(w_t, sigma^2) of each task, sources = "joint", delta = 0, no base prior. With
means m_t, variances v_t and sample means ybar_t the objective is, up to a constant, minus

    N / (2 sigma^2) sum_t [(ybar_t - m_t)^2 + v_t]
    + 1/2 [v_1 / v_2 + v_2 / v_1 - 2 + d^2 (1 / v_1 + 1 / v_2)],       d = m_1 - m_2.

It is symmetric, so v_1 = v_2 = v: the terms with v are N v / sigma^2 + d^2 / v, least at
v = |d| sigma / sqrt(N), where they are 2 |d| sqrt(N) / sigma. What is left is a fused lasso,
N / (2 sigma^2) sum_t (ybar_t - m_t)^2 + (2 sqrt(N) / sigma) |m_1 - m_2|. Each mean gives way by
2 sigma / sqrt(N), no further than until they meet:

    |m_1 - m_2| = max(|ybar_1 - ybar_2| - 4 sigma / sqrt(N), 0),   v_1 = v_2 = |m_1 - m_2| sigma / sqrt(N).
"""

import math

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

import vmtl_core as vmtl
from tests.stats import assert_mean

N, SIGMA = 16, 0.5  # the threshold 4 sigma / sqrt(N) is 0.5
THRESHOLD = 4 * SIGMA / N**0.5


def table(difference: float) -> tuple[Tensor, Tensor, Tensor]:
    """Observations whose sample means differ by exactly `difference`, about 0.3."""
    noise = torch.randn(2, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = SIGMA * (noise - noise.mean(1, keepdim=True))
    y = noise + 0.3 + difference * torch.tensor([[0.5], [-0.5]])
    return torch.ones(2 * N, 1), y.flatten(), torch.arange(2).repeat_interleave(N)


def joint_model(**options) -> vmtl.MultiTaskELBO:
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(scale=SIGMA), vmtl.GaussianWeights(2, (1,)), task_sizes=[N, N],
        sources="joint", base_prior=None, transfer=None, hyperprior=None, **options,
    )  # fmt: skip


def closed_form(parameters, y: Tensor) -> float:
    """Minus the sum of both tasks' ELBO, expectation taken exactly."""
    m1, m2, log_v1, log_v2 = parameters
    v1, v2 = math.exp(log_v1), math.exp(log_v2)
    y1, y2 = y[:N].numpy(), y[N:].numpy()
    squares = ((y1 - m1) ** 2).sum() + ((y2 - m2) ** 2).sum() + N * (v1 + v2)
    constant = N * math.log(2 * math.pi * SIGMA**2)
    d2 = (m1 - m2) ** 2
    return squares / (2 * SIGMA**2) + constant + 0.5 * (v1 / v2 + v2 / v1 - 2 + d2 / v1 + d2 / v2)


@pytest.mark.parametrize("expectation", ["exact", "sampled"])
def test_objective_is_the_closed_form(expectation: str) -> None:
    """(5.1) what the model computes is the objective that the law is derived from."""
    x, y, task = table(1.0)
    model = joint_model(weight_samples=400, expectation=expectation)
    with torch.no_grad():
        model.posteriors.weights.loc.copy_(torch.tensor([[0.5], [0.1]]))
        model.posteriors.weights.log_scale.copy_(torch.tensor([[0.3], [0.2]]).log())
        found = torch.stack([model(x, y, task).loss for _ in range(100)])
    wanted = closed_form((0.5, 0.1, 2 * math.log(0.3), 2 * math.log(0.2)), y) / 2
    assert_mean(found, wanted)


@pytest.mark.parametrize("difference", [1.5, 0.9, 0.6])
def test_law_by_numerical_minimisation(difference: float) -> None:
    """(5.1) above the threshold: gap and variances of the closed-form objective's minimum."""
    _, y, _ = table(difference)
    best = minimize(
        closed_form, [0.3 + difference / 4, 0.3 - difference / 4, -2.0, -2.5], (y,), tol=1e-12
    )
    m1, m2, log_v1, log_v2 = best.x
    gap = difference - THRESHOLD
    assert m1 - m2 == pytest.approx(gap, abs=1e-4)
    assert math.exp(log_v1) == pytest.approx(gap * SIGMA / N**0.5, rel=1e-3)
    assert math.exp(log_v2) == pytest.approx(gap * SIGMA / N**0.5, rel=1e-3)
    assert (m1 + m2) / 2 == pytest.approx(0.3, abs=1e-4)


def test_collapse_by_numerical_minimisation() -> None:
    """(5.1) below the threshold the objective falls without end: both variances go to zero."""
    _, y, _ = table(0.4)
    values = [closed_form((0.3, 0.3, log_v, log_v), y) for log_v in (-2.0, -6.0, -12.0, -24.0)]
    assert values == sorted(values, reverse=True)
    apart = minimize(
        lambda p: closed_form((0.3 + p[0], 0.3 - p[0], p[1], p[1]), y), [0.05, -4.0]
    ).fun
    assert values[-1] <= apart + 1e-6


def fitted(
    difference: float, stops: tuple[int, ...], lr: tuple[float, float], method: str = "adam"
) -> list[tuple[Tensor, Tensor]]:
    """Means and variances after so many steps of Adam each: the collapse has no optimum."""
    x, y, task = table(difference)
    expectation = "sampled" if method == "adam" else "exact"
    model = joint_model(weight_samples=20, expectation=expectation)
    with torch.no_grad():  # the sample means, where single-task learning would end
        model.posteriors.weights.loc.copy_(torch.stack([y[:N].mean(), y[N:].mean()])[:, None])
    schedule = vmtl.exponential_decay(*lr, stops[-1])
    history, found = None, []
    for steps in stops:
        history = vmtl.fit(
            model, x, y, task, steps=steps, lr=schedule, progress=False, resume=history,
            method=method, tolerance=None,
        )  # fmt: skip
        q = model.q_weights()
        found.append((q.mean[:, 0].detach().clone(), q.variance[:, 0].detach().clone()))
    return found


@pytest.mark.parametrize("method", ["adam", "coordinate"])
@pytest.mark.parametrize("difference", [1.5, 0.9])
def test_fit_reaches_the_law_above_the_threshold(difference: float, method: str) -> None:
    """(5.1) |m_1 - m_2| = |Delta| - 4 sigma / sqrt(N), variances |m_1 - m_2| sigma / sqrt(N)."""
    ((mean, variance),) = fitted(difference, (500,), (0.05, 3e-4), method)
    gap = difference - THRESHOLD
    assert (mean[0] - mean[1]).item() == pytest.approx(gap, abs=0.015)
    assert variance.tolist() == pytest.approx([gap * SIGMA / N**0.5] * 2, rel=0.05)


def test_fit_collapses_below_the_threshold() -> None:
    """(5.1) one mean for both, variances far below sigma^2 / N and falling with Adam's steps."""
    (_, early), (mean, late) = fitted(0.35, (100, 400), (0.1, 0.01))
    assert (mean[0] - mean[1]).abs() < 0.02
    assert mean.mean().item() == pytest.approx(0.3, abs=0.02)
    assert (late < 0.1 * SIGMA**2 / N).all()
    assert (late < 0.5 * early).all()


def test_closed_form_collapses_below_the_threshold() -> None:
    """(5.1) the same by coordinate ascent, which is there at once."""
    ((mean, variance),) = fitted(0.35, (50,), (0.1, 0.01), "coordinate")
    assert (mean[0] - mean[1]).abs() < 0.02
    assert mean.mean().item() == pytest.approx(0.3, abs=0.02)
    assert (variance < 0.1 * SIGMA**2 / N).all()
