"""Hyperparameters by their evidence, (5.17), and what their uncertainty adds, (5.18)."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import HalfCauchy, HalfNormal, MultivariateNormal, Normal

import vmtl_core as vmtl
from tests.closed_form.models import ascent, build, table
from vmtl_core import averaging, hyperposterior, importance, mixture, sites
from vmtl_core.closed_form import to_data, units_of
from vmtl_core.coordinate import Ascent
from vmtl_core.evidence import update
from vmtl_core.hyperposterior import Hyperdraws
from vmtl_core.lab.baselines.gaussian_hierarchy import condition
from vmtl_core.lab.baselines.moments import task_moments
from vmtl_core.lab.datasets import MultiTaskData

SIZES = [5, 8, 3, 6]


def half(inputs: int, neighbours: int | None = 0) -> tuple[Ascent, Tensor, Tensor, Tensor]:
    """A fit of a small regression without intercept, and its table in standard units."""
    x, y, task = table(sizes=SIZES, inputs=inputs)
    model = build(rows=inputs, task_sizes=SIZES, neighbours=neighbours)
    climb = ascent(model, (x, y, task), sweeps=8)
    return climb, *standard(model, x, y), task


def standard(model: vmtl.MultiTaskELBO, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs and target in standard units."""
    found = units_of(model, x, y)
    return x @ found.basis[0] / found.target_scale, y / found.target_scale


def log_marginal(x: Tensor, y: Tensor, task: Tensor, m: Tensor, sd: Tensor, sigma: float) -> Tensor:
    """log p(y | m_0, s_0, sigma) of all tasks by dense covariances of y, for m_0 (G, D)."""
    total = torch.zeros(len(m))
    for t in range(len(SIZES)):
        rows, target = x[task == t], y[task == t]
        covariance = (rows * sd**2) @ rows.T + sigma**2 * torch.eye(len(rows))
        total = total + MultivariateNormal(m @ rows.T, covariance).log_prob(target)
    return total


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize(("log_sigma", "log_sd"), [(-0.5, -0.7), (0.3, 0.4)])
def test_collapsed_is_an_integral_over_the_population_mean(
    inputs: int, log_sigma: float, log_sd: float
) -> None:
    """(5.17): brute force over m_0 ~ N(0, I / 2), with the hyperpriors of log sigma and log s_0."""
    climb, x, y, task = half(inputs)
    axis = torch.linspace(-4, 4, 161)
    grid = torch.cartesian_prod(*[axis] * inputs).view(-1, inputs)
    sd = torch.full((inputs,), log_sd).exp()
    each = log_marginal(x, y, task, grid, sd, math.exp(log_sigma))
    each = each + Normal(0.0, 0.5**0.5).log_prob(grid).sum(-1)
    expected = each.logsumexp(0) + inputs * math.log(8 / 160)
    expected = expected - len(y) * climb.problem.table.log_unit
    expected = expected + HalfNormal(1.0).log_prob(torch.tensor(log_sigma).exp()) + log_sigma
    expected = expected + (HalfCauchy(1.0).log_prob(sd) + sd.log()).sum()
    found = drawn(climb, log_sigma, torch.full((inputs,), log_sd))
    again = hyperposterior.collapsed(
        climb.problem.table, climb.own, found.noise, found.log_sd
    ).log_evidence
    torch.testing.assert_close(again[0], expected, rtol=0, atol=1e-6)


def drawn(climb: Ascent, log_sigma: float, log_sd: Tensor) -> Hyperdraws:
    """One point of the hyperparameters, with the law of m_0 there."""
    noise, sd = torch.tensor([[log_sigma]]), log_sd.view(1, 1, -1)
    found = hyperposterior.collapsed(climb.problem.table, climb.own, noise, sd)
    return Hyperdraws(torch.zeros(1), noise, sd, found.mean, found.root)


def hierarchy(
    x: Tensor, y: Tensor, task: Tensor, sd: Tensor, sigma: float
) -> tuple[Tensor, Tensor]:
    """Posterior mean and covariance of (m_0, w_1, ..., w_T) stacked, by one dense inverse."""
    size, eye = len(sd), torch.eye(len(sd))
    parts = len(SIZES) + 1
    precision, natural = torch.zeros(parts, parts, size, size), torch.zeros(parts, size)
    inner = torch.diag(sd**-2)
    precision[0, 0] = 2 * eye + len(SIZES) * inner
    for t in range(len(SIZES)):
        rows = x[task == t]
        precision[t + 1, t + 1] = inner + rows.T @ rows / sigma**2
        precision[0, t + 1] = precision[t + 1, 0] = -inner
        natural[t + 1] = rows.T @ y[task == t] / sigma**2
    whole = precision.transpose(1, 2).reshape(parts * size, parts * size)
    covariance = torch.linalg.inv(whole)
    return covariance @ natural.flatten(), covariance


@pytest.mark.parametrize("inputs", [1, 2])
def test_population_mean_and_tasks_are_those_of_the_exact_hierarchy(inputs: int) -> None:
    """(5.17), (5.18) where p_0 is all of the prior: C_t + K_t cov(m_0) K_t', K_t = C_t V_0^-1."""
    climb, x, y, task = half(inputs)
    log_sd = torch.tensor([-0.6, 0.2])[:inputs]
    sigma = 0.7
    draw = drawn(climb, math.log(sigma), log_sd)
    mean, covariance = hierarchy(x, y, task, log_sd.exp(), sigma)
    torch.testing.assert_close(draw.mean[0, 0], mean[:inputs])
    torch.testing.assert_close(
        draw.mean_root[0, 0] @ draw.mean_root[0, 0].T, covariance[:inputs, :inputs]
    )
    point = averaging.Points(*(t[0] for t in averaging._points(climb, climb.own, draw, None)))
    for t in range(len(SIZES)):
        at = slice((t + 1) * inputs, (t + 2) * inputs)
        torch.testing.assert_close(point.loc[t, 0], mean[at])
        torch.testing.assert_close(point.root[t, 0] @ point.root[t, 0].T, covariance[at, at])
    new = covariance[:inputs, :inputs] + torch.diag((2 * log_sd).exp())
    torch.testing.assert_close(point.base_root[0] @ point.base_root[0].T, new)


def test_the_hierarchy_here_is_that_of_the_baselines() -> None:
    """Where many tasks make the prior of m_0 count little, `condition` says the same."""
    torch.manual_seed(1)
    sizes = torch.full((400,), 4)
    task = torch.arange(400).repeat_interleave(sizes)
    x = torch.randn(1600, 2)
    y = (x * (0.3 + 0.5 * torch.randn(400, 2))[task]).sum(-1) + 0.7 * torch.randn(1600)
    model = build(rows=2, task_sizes=sizes, neighbours=0)
    climb = ascent(model, (x, y, task))
    found, b = units_of(model, x, y), float(climb.problem.table.log_unit)
    log_sd = torch.tensor([-0.6, -0.4])
    draw = drawn(climb, math.log(0.7), log_sd)
    point = averaging.Points(*(t[0] for t in averaging._points(climb, climb.own, draw, None)))
    loc, root = to_data(point.loc, point.root, found)
    scale = found.basis[0].diagonal()
    data = MultiTaskData(x, y, task, tuple(map(str, range(400))), ("a", "b"), "y", "")
    exact = condition(
        task_moments(data, False),
        (log_sd.exp() * scale) ** 2,
        torch.tensor((0.7 * math.exp(b)) ** 2),
        False,
    )
    torch.testing.assert_close(loc[:, 0], exact.task_mean, rtol=0, atol=2e-3)
    covariance = root[:, 0] @ root[:, 0].mT
    torch.testing.assert_close(covariance, exact.task_covariance, rtol=1e-3, atol=1e-5)


OPTIONS: dict[str, dict[str, Any]] = {
    "stationary": {},
    "learned": {"transfer": "learned"},
    "neighbours": {"neighbours": 2},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_posteriors_move_with_the_population_mean(name: str) -> None:
    """(5.18) is the derivative of every posterior mean in m_0 at fixed responsibilities."""
    x, y, task = table(sizes=SIZES)
    climb = ascent(build(task_sizes=SIZES, **OPTIONS[name]), (x, y, task), sweeps=5)
    problem, own, state = climb.problem, climb.own, climb.state
    root = own.population.root(own.population.log_sd)

    def means(loc: Tensor) -> Tensor:
        moved = replace(own, population=replace(own.population, loc=loc))
        site = problem.table.site(own.noise.tasks(own.noise.start()), None)
        moved.posterior = update(site.precision, site.natural, loc, root)
        parts = problem.parts(moved.gaussians, state.log_width, moved.population)
        prior = mixture.product(state.phi.mean(0), parts, problem.mixing.columns)
        site = problem.table.site(problem.noise.tasks(state.noise), None)
        return update(site.precision, site.natural, prior.loc, prior.factor).loc

    state.posterior = state.posterior._replace(loc=means(own.population.loc))
    prior = product_at(climb)
    site = problem.table.site(problem.noise.tasks(state.noise), None)
    state.posterior = update(site.precision, site.natural, prior.loc, prior.factor)
    gain = averaging._gain(problem, own, state, torch.cholesky_inverse(root))
    for d in range(2):
        step = torch.zeros_like(own.population.loc)
        step[..., d] = 1e-4
        slope = (means(own.population.loc + step) - means(own.population.loc - step)) / 2e-4
        torch.testing.assert_close(gain[..., d], slope, rtol=1e-6, atol=1e-8)


KINDS = [("gaussian", {}), ("labels", {}), ("classes", {}), ("gaussian", {"neighbours": 2})]


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("padded", [True, False])
def test_points_together_are_points_alone(
    kind: str, options: dict[str, Any], padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of points worked at together, and rows in one block or in many: the same."""
    if not padded:
        monkeypatch.setattr(sites, "WASTE", 0)
        monkeypatch.setattr(sites, "CHUNK", 40)
    climb = ascent(build(kind, **options), table(kind), sweeps=3)
    assert all((part.rows.padded is None) != padded for part in climb.problem.table.parts)
    draws = hyperposterior.draw_hyperparameters(climb.problem.table, climb.own, 0)
    draws = hyperposterior.resample(draws, 4)
    width = climb.state.log_width
    assert width is not None
    widths = width + torch.linspace(-1, 1, 4).view(4, 1, 1)
    whole = averaging._points(climb, climb.own, draws, widths)
    for k in range(4):
        at = torch.tensor([k])
        alone = averaging._points(climb, climb.own, draws.take(at), widths[at])
        for every, one in zip(whole, alone, strict=True):
            torch.testing.assert_close(every[at], one, rtol=1e-7, atol=1e-7)
    monkeypatch.setattr(averaging, "NUMBERS", 1)
    assert averaging._block(climb) == 1


def product_at(climb: Ascent) -> mixture.Product:
    """The product prior of every task at the present state."""
    parts = climb.problem.parts(climb.own.gaussians, climb.state.log_width, climb.population)
    return mixture.product(climb.state.phi.mean(0), parts, climb.problem.mixing.columns)


def spread_out() -> tuple[Ascent, Tensor]:
    """Ten tasks of one weight each, whose sd the data tell; and log p on a grid of both."""
    draw = torch.Generator().manual_seed(3)
    task = torch.arange(10).repeat_interleave(3)
    x = torch.randn(30, 1, generator=draw)
    y = x[:, 0] * torch.randn(10, generator=draw)[task] + 0.5 * torch.randn(30, generator=draw)
    model = build(rows=1, task_sizes=[3] * 10, neighbours=0)
    return ascent(model, (x, y, task)), torch.stack([x[:, 0], y])


def test_importance_sampling_finds_the_posterior() -> None:
    """Means, sds and tails of (log sigma, log s_0) against a grid of (5.17)."""
    climb, _ = spread_out()
    noise, sd = torch.linspace(-2.5, 1.0, 141), torch.linspace(-5.0, 2.0, 141)
    pairs = torch.cartesian_prod(noise, sd)
    grid = hyperposterior.collapsed(
        climb.problem.table, climb.own, pairs[:, :1], pairs[:, 1].view(-1, 1, 1)
    )
    mass = grid.log_evidence.softmax(0)
    draws = hyperposterior.draw_hyperparameters(climb.problem.table, climb.own, 0)
    weights = draws.log_weights.exp()
    assert draws.effective > 64
    found = torch.stack([draws.noise[:, 0], draws.log_sd[:, 0, 0]], 1)
    for d in range(2):
        exact, values = pairs[:, d], found[:, d]
        mean = (mass * exact).sum()
        spread = (mass * (exact - mean) ** 2).sum().sqrt()
        assert abs(float((weights * values).sum() - mean)) < 0.1 * float(spread)
        drawn_spread = (weights * (values - mean) ** 2).sum().sqrt()
        assert float(drawn_spread / spread) == pytest.approx(1.0, abs=0.1)
        for cut in (mean - spread, mean, mean + spread):
            below = float(weights[values < cut].sum())
            assert below == pytest.approx(float(mass[exact < cut].sum()), abs=0.05)


def test_resampled_points_keep_the_law() -> None:
    """Sixteen points of equal weight: the mean of log sigma to a tenth of its sd."""
    climb, _ = spread_out()
    draws = hyperposterior.draw_hyperparameters(climb.problem.table, climb.own, 0)
    chosen = hyperposterior.resample(draws, 16)
    weights, values = draws.log_weights.exp(), draws.noise[:, 0]
    mean = (weights * values).sum()
    spread = (weights * (values - mean) ** 2).sum().sqrt()
    assert len(chosen.log_weights) == 16
    assert float(chosen.log_weights.exp().sum()) == pytest.approx(1.0)
    assert abs(float(chosen.noise.mean() - mean)) < 0.1 * float(spread)


def test_intervals_of_the_history() -> None:
    """The noise scale's mean and 90 % interval, in units of y, are those of the grid."""
    climb, columns = spread_out()
    noise, sd = torch.linspace(-2.5, 1.0, 281), torch.linspace(-5.0, 2.0, 71)
    pairs = torch.cartesian_prod(noise, sd)
    grid = hyperposterior.collapsed(
        climb.problem.table, climb.own, pairs[:, :1], pairs[:, 1].view(-1, 1, 1)
    )
    marginal = grid.log_evidence.softmax(0).view(281, 71).sum(1)
    x, y = columns[0][:, None], 100 * columns[1]
    model = build(rows=1, task_sizes=[3] * 10, neighbours=0)
    history = vmtl.fit(model, x, y, torch.arange(10).repeat_interleave(3), progress=False)
    found = history.hyperparameters["noise_scale"]
    unit = 100 * math.exp(climb.problem.table.log_unit)
    assert float(found.mean) == pytest.approx(
        float((marginal * noise.exp()).sum()) * unit, rel=0.03
    )
    for end, level in ((found.low, 0.05), (found.high, 0.95)):
        below = float(marginal[noise.exp() * unit < float(end)].sum())
        assert below == pytest.approx(level, abs=0.03)


def test_no_draw_counts_for_more_than_its_share() -> None:
    """Ionides' rule: no weight above sqrt(S) times the mean of all."""
    raw = torch.zeros(64)
    raw[5] = 5.0
    weights = importance.truncated(raw)[0].exp()
    mean = (63 + math.exp(5)) / 64
    total = 63 + 8 * mean
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    torch.testing.assert_close(weights[5], torch.tensor(8 * mean / total))
    torch.testing.assert_close(weights[0], torch.tensor(1 / total))
    even, mean_of_all = importance.truncated(torch.full((64,), -700.0))
    torch.testing.assert_close(even.exp(), torch.full((64,), 1 / 64))
    assert mean_of_all == pytest.approx(-700)


def test_other_seeds_give_nearly_the_same_predictions() -> None:
    """The average is over enough points: two seeds differ by a small part of a prediction's sd."""
    x, y, task = table(sizes=[6] * 8)
    found = []
    for seed in (0, 1):
        model = build(task_sizes=[6] * 8)
        vmtl.fit(model, x, y, task, seed=seed, progress=False)
        found.append(vmtl.predictive(model, x, task))
    gap = (found[0].mean - found[1].mean) / found[0].stddev
    assert gap.abs().max() < 0.15
    assert (found[0].stddev / found[1].stddev).log().abs().max() < 0.15
