"""How hyperparameters are drawn: directions, proposal, weights and the points chosen."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import f, multivariate_t, norm
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

import vmtl_core as vmtl
from tests.closed_form.models import ascent, build, table
from vmtl_core import hyperposterior, importance
from vmtl_core.coordinate import Ascent
from vmtl_core.hyperposterior import Hyperdraws, ways_of


def climbed(**options: Any) -> Ascent:
    """A small regression, its own-data half at the optimum."""
    return ascent(build(neighbours=0, **options), table())


def test_the_proposal_is_a_student_t() -> None:
    """Its log density, and the law of its radius, |t|^2 / d ~ F(d, 6)."""
    centre = torch.tensor([0.5, -1.0, 2.0])
    root = torch.tensor([[1.0, 0.0, 0.0], [0.4, 0.7, 0.0], [-0.2, 0.1, 2.0]])
    move, log_density = importance.student(centre, root, 2048, 3)
    exact = multivariate_t(centre.numpy(), (root @ root.T).numpy(), df=6).logpdf(move.numpy())
    torch.testing.assert_close(log_density, torch.as_tensor(exact), rtol=0, atol=1e-9)
    torch.testing.assert_close(move.median(0).values, centre, rtol=0, atol=0.02)
    standard = torch.linalg.solve(root, (move - centre).T).T
    level = f(3, 6).cdf(standard.square().sum(1).numpy() / 3)
    assert np.abs(np.sort(level) - (np.arange(2048) + 0.5) / 2048).max() < 0.02


def test_the_sds_of_the_first_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inverse root of the curvature, between 0.02 and 1."""
    bent = torch.tensor([[1e6, 0.0], [0.0, 4.0]])
    monkeypatch.setattr(importance, "curvature", lambda *_: bent)
    root = importance.laplace(lambda move: [move.sum(1)], torch.zeros(2))
    torch.testing.assert_close(root @ root.T, torch.tensor([[1 / 2500, 0.0], [0.0, 0.25]]))
    monkeypatch.setattr(importance, "curvature", lambda *_: torch.tensor([[-3.0]]))
    root = importance.laplace(lambda move: [move.sum(1)], torch.zeros(1))
    torch.testing.assert_close(root @ root.T, torch.ones(1, 1))


def test_the_proposal_is_fitted_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half as many draws about the mode; the weighted ones say where all are made."""
    asked: list[tuple[Tensor, Tensor, int, int]] = []
    made = importance.student

    def noted(*given: Any) -> tuple[Tensor, Tensor]:
        asked.append(given)
        return made(*given)

    monkeypatch.setattr(importance, "student", noted)
    fit = climbed()
    draws = hyperposterior.draw_hyperparameters(fit.problem.table, fit.own, 5)
    assert [one[2] for one in asked] == [512, 1024]
    assert len(draws.log_weights) == 1024
    assert asked[0][3] != asked[1][3]
    assert not asked[0][0].any()
    assert bool(asked[1][0].any())
    torch.testing.assert_close(draws.log_weights.exp().sum(), torch.tensor(1.0))
    expected = 1 / draws.log_weights.exp().square().sum()
    assert draws.effective == pytest.approx(float(expected))


def test_fitted_to_weighted_draws() -> None:
    """Their mean, and their covariance in so far as they are many."""
    draw = torch.Generator().manual_seed(0)
    move = torch.randn(50, 2, generator=draw)
    weights = torch.rand(50, generator=draw).softmax(0)
    root = torch.tensor([[2.0, 0.0], [1.0, 0.5]])
    centre, found = importance.refit(move, weights.unsqueeze(-1), root)
    torch.testing.assert_close(centre, torch.as_tensor(np.average(move, 0, weights)))
    spread = torch.as_tensor(np.cov(move.T.numpy(), aweights=weights.numpy(), ddof=0))
    many = float(1 / weights.square().sum())
    expected = (many * spread + 4 * root @ root.T) / (many + 4)
    torch.testing.assert_close(found @ found.T, expected)


def test_sds_that_keep_their_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too few draws count; one unknown with one hyperprior, the geometric mean of theirs."""
    fit = climbed()
    data, own = fit.problem.table, fit.own
    ways = ways_of(own, together=True)
    assert (ways.size, ways_of(own).size) == (2, 3)
    noise, log_sd = ways.place(torch.tensor([[0.1, 0.2], [-0.1, 0.3]]))
    torch.testing.assert_close(noise, own.noise.start() + torch.tensor([[0.1], [-0.1]]))
    moved = torch.tensor([0.2, 0.3]).view(2, 1, 1)
    torch.testing.assert_close(log_sd, own.population.log_sd + moved)
    each = hyperposterior.collapsed(data, own, noise, log_sd).log_evidence
    one = hyperposterior.collapsed(data, own, noise, log_sd, together=True).log_evidence
    half = own.population.log_marginal_hyperprior(log_sd) / 2
    torch.testing.assert_close(each - one, half)
    free = hyperposterior.draw_hyperparameters(data, own, 0)
    assert float((free.log_sd - own.population.log_sd).diff(dim=-1).abs().max()) > 0.1
    monkeypatch.setattr(hyperposterior, "POOR", free.effective * 1.01)
    draws = hyperposterior.draw_hyperparameters(data, own, 0)
    away = draws.log_sd - own.population.log_sd
    torch.testing.assert_close(away, away[..., :1].expand_as(away))
    assert float(away.std()) > 0.1


def test_many_noise_scales_move_together() -> None:
    """With more than 24 unknowns, and each within the widest and the narrowest that there is."""
    sizes = [3] * 30
    likelihood = vmtl.LinearGaussian(tasks=30)
    model = build(likelihood=likelihood, task_sizes=sizes, neighbours=0)
    own = ascent(model, table(sizes=sizes)).own
    ways = ways_of(own)
    assert ways.size == 3
    noise, log_sd = ways.place(torch.tensor([[0.1, 0.2, 0.3], [99.0, -99.0, 99.0]]))
    torch.testing.assert_close(noise[0], own.noise.start() + 0.1)
    torch.testing.assert_close(log_sd[0], own.population.log_sd + torch.tensor([[0.2, 0.3]]))
    assert (noise[1] == hyperposterior.WIDE).all()
    assert log_sd[1].flatten().tolist() == [hyperposterior.NARROW, hyperposterior.WIDE]


def test_a_given_prior_is_not_integrated() -> None:
    """(5.17) without m_0: the evidence of the noise scale by dense covariances of y."""
    base = Independent(Normal(torch.tensor([0.5, -0.3]), torch.tensor([0.7, 0.4])), 1)
    x, y, task = table()
    fit = ascent(build(base_prior=base, neighbours=0, hyperprior=None), (x, y, task))
    assert ways_of(fit.own).size == 1
    (noise,) = ways_of(fit.own).place(torch.tensor([[0.2], [-0.3], [0.0]]))
    log_sd = fit.own.population.log_sd.expand(3, -1, -1)
    found = hyperposterior.collapsed(fit.problem.table, fit.own, noise, log_sd)
    for k in range(3):
        expected = fit.own.noise.log_hyperprior(noise[k])
        for t in range(4):
            rows = x[task == t]
            covariance = (rows * base.variance) @ rows.T
            covariance = covariance + (2 * noise[k]).exp() * torch.eye(len(rows))
            law = MultivariateNormal(rows @ base.mean, covariance)
            expected = expected + law.log_prob(y[task == t])
        torch.testing.assert_close(found.log_evidence[k], expected)
    torch.testing.assert_close(found.mean, base.mean.expand(3, 1, 2))
    assert found.root.shape == (3, 1, 2, 2)
    assert not found.root.any()


def test_nothing_to_draw() -> None:
    """Labels under a given prior: one point, of weight 1."""
    fit = ascent(build("labels", base_prior="standard", neighbours=0), table("labels"))
    draws = hyperposterior.draw_hyperparameters(fit.problem.table, fit.own, 0)
    assert draws.log_weights.tolist() == [0.0]
    assert draws.mean.shape == (1, 1, 2)
    assert hyperposterior.resample(draws, 4) is draws


def test_draws_in_blocks() -> None:
    """The same numbers, however many at a time; what else the target gives comes with its draw."""

    def target(move: Tensor) -> list[Tensor]:
        return [-move.square().sum(1), 3 * move]

    whole = importance.sample(target, torch.zeros(2), 64, 64, 1)
    parts = importance.sample(target, torch.zeros(2), 64, 7, 1)
    torch.testing.assert_close(parts.log_weights, whole.log_weights)
    torch.testing.assert_close(parts.rest[0], 3 * whole.moves)
    assert whole.log_evidence == pytest.approx(math.log(math.pi), abs=0.02)


@pytest.mark.parametrize("noise", [True, False])
def test_systematic_points(noise: bool) -> None:
    """In the order of the noise, or of the sds; those in which 1/6, 1/2 and 5/6 of the mass fall."""
    key = torch.tensor([3.0, 1.0, 4.0, 2.0])
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4])  # in order of the key: .2, .4, .1, .3
    draws = Hyperdraws(
        weights.log(),
        key[:, None] if noise else key.new_zeros(4, 0),
        torch.zeros(4, 1, 2)
        if noise
        else torch.stack([key - 9, torch.full((4,), 2.0)], 1)[:, None],
        key.view(4, 1, 1),
        key.view(4, 1, 1, 1),
    )
    chosen = hyperposterior.resample(draws, 3)
    assert chosen.mean.flatten().tolist() == [1.0, 2.0, 4.0]
    torch.testing.assert_close(chosen.log_weights.exp(), torch.full((3,), 1 / 3))
    assert hyperposterior.resample(draws, 4) is draws


@pytest.mark.parametrize(("end", "level"), [(0.0, 1e-9), (1.0, 1 - 1e-9)])
def test_the_farthest_draw_is_finite(
    end: float, level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quasi-random 0 or 1 counts as 1e-9 from there; no spread above 0.2^-3/2."""

    class Ends:
        def __init__(self, size: int, **_: Any):
            self.size = size

        def draw(self, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.full((count, self.size), end, dtype=dtype)

    monkeypatch.setattr(importance, "SobolEngine", Ends)
    move, _ = importance.student(torch.zeros(1), torch.eye(1), 1, 0)
    quantile = float(norm.ppf(level))
    cube = max(0.2, 1 - 2 / 54 + (2 / 54) ** 0.5 * quantile)
    assert float(move) == pytest.approx(quantile * cube**-1.5, rel=1e-6)
