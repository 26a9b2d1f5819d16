"""The points that prediction averages over: widths, noise, and what becomes of them."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.closed_form.models import ascent, build, table
from vmtl_core import averaging, hyperposterior
from vmtl_core.coordinate import Ascent
from vmtl_core.hyperposterior import Hyperdraws


def climbed(kind: str = "gaussian", **options: Any) -> Ascent:
    return ascent(build(kind, **options), table(kind), sweeps=3)


def drawn(fit: Ascent, points: int) -> Hyperdraws:
    draws = hyperposterior.draw_hyperparameters(fit.problem.table, fit.own, 0)
    return hyperposterior.resample(draws, points)


def test_widths_have_the_law_of_the_curvature() -> None:
    """N(log delta, H^-1) for the Hessian H of T times the objective, no sd above 1."""
    fit = climbed(transfer="learned")
    width = fit.state.log_width
    assert width is not None
    value, tasks, step = fit.collapsed(), fit.problem.table.tasks, 1e-2

    def total(move: Tensor) -> float:
        fit.state.log_width = width + move.view(width.shape)
        return tasks * float(value())

    eye = step * torch.eye(2)
    hessian = torch.tensor(
        [
            [
                (total(-a - b) + total(a + b) - total(a - b) - total(b - a)) / (-4 * step**2)
                for b in eye
            ]
            for a in eye
        ]
    )
    fit.state.log_width = width
    size, vectors = torch.linalg.eigh(hessian)
    expected = vectors @ torch.diag(1 / size.clamp_min(1)) @ vectors.T
    found = averaging._draw_widths(fit, 1024, 0)
    assert found is not None
    assert fit.state.log_width is width
    assert found.shape == (1024, 1, 2)
    torch.testing.assert_close(found.mean(0), width, rtol=0, atol=0.01)
    torch.testing.assert_close(found[:, 0].T.cov(), expected, rtol=0.03, atol=0.01)


def test_widths_that_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one point, of more widths than can be drawn, and where there is none to draw."""
    fit = climbed(transfer="learned")
    width = fit.state.log_width
    assert width is not None
    one = averaging._draw_widths(fit, 1, 0)
    assert one is not None
    assert torch.equal(one, width[None])
    monkeypatch.setattr(averaging, "MOST_DIRECTIONS", 1)
    three = averaging._draw_widths(fit, 3, 0)
    assert three is not None
    assert torch.equal(three, width.expand(3, 1, 2))
    assert averaging._draw_widths(climbed(transfer=None), 3, 0) is None
    fit.problem.transfer.learned = False
    assert averaging._draw_widths(fit, 3, 0) is None


def test_a_point_has_the_width_that_was_drawn() -> None:
    """The same as the fit with that width, and another than with its own."""
    fit = climbed(transfer="learned")
    draws, width = drawn(fit, 1), fit.state.log_width
    assert width is not None
    plain = averaging._points(fit, fit.own, draws, None)
    given = averaging._points(fit, fit.own, draws, width[None] + 1)
    fit.state = replace(fit.state, log_width=width + 1)
    set_before = averaging._points(fit, fit.own, draws, None)
    for one, same in zip(given, set_before, strict=True):
        torch.testing.assert_close(one, same)
    assert float((given.loc - plain.loc).abs().max()) > 1e-3


def test_points_hold_the_noise_of_their_draws() -> None:
    """Where both halves have as many scales; else the mixture's own, the same at every point."""
    fit = climbed()
    draws = drawn(fit, 4)
    points = averaging._points(fit, fit.own, draws, None)
    torch.testing.assert_close(points.noise, draws.noise.expand(4, 4))
    some = replace(fit.own.noise, learned=torch.zeros_like(fit.own.noise.learned))
    own = replace(fit.own, noise=some)
    fewer = averaging._points(fit, own, draws._replace(noise=draws.noise[:, :0]), None)
    torch.testing.assert_close(fewer.noise, fit.state.noise.expand(4, 4))


def test_points_where_there_is_no_noise() -> None:
    """Equal weights, no noise for labels, no base law without a base prior."""
    model = build("labels")
    vmtl.fit(model, *table("labels"), progress=False)
    points = model.average.points()
    assert points.noise is None
    assert points.base_loc is not None
    torch.testing.assert_close(points.log_weights.exp(), points.loc.new_full((24,), 1 / 24))
    model = build(base_prior=None, transfer=None)
    vmtl.fit(model, *table(), progress=False)
    points = model.average.points()
    assert points.noise is not None
    assert points.noise.shape == (24, 4)
    assert bool((points.noise > 0).all())
    assert points.base_loc is None
    assert points.base_scale_tril is None
    model.average.clear()
    assert len(model.average) == 0
    assert all(not buffer.numel() for buffer in model.average.buffers())


@pytest.mark.parametrize(("limits", "count"), [((1, 2), 5), ((1, 10_000), 7), ((10_000, 1), 3)])
def test_fewer_points_for_more_tasks(
    limits: tuple[int, int], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = climbed()
    first, second = limits
    monkeypatch.setattr(averaging, "POINTS", ((first, 3), (second, 7), (float("inf"), 5)))
    found = averaging.average(fit, 0)
    assert len(found.points.loc) == count
    assert len(found.draws.log_weights) == 1024


def test_points_are_made_with_their_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of any size, the draws of the hyperparameters and of the widths side by side."""
    fit = climbed(transfer="learned")
    found = averaging.average(fit, 0)
    chosen = hyperposterior.resample(found.draws, 24)
    torch.testing.assert_close(
        found.points.loc, averaging._points(fit, fit.own, chosen, found.widths).loc
    )
    monkeypatch.setattr(averaging, "_block", lambda _: 7)
    again = averaging.average(fit, 0)
    for one, every in zip(again.points, found.points, strict=True):
        torch.testing.assert_close(one, every)


@pytest.mark.parametrize("kind", ["gaussian", "counts", "classes"])
def test_at_the_mode_the_own_half_is_as_it_was(kind: str) -> None:
    """One point, at the fitted hyperparameters: sites, posteriors and ELBO of every task."""
    fit = ascent(build(kind), table(kind))
    own = fit.own
    population = own.population
    none = population.loc.new_zeros(1)
    mode = Hyperdraws(
        none, own.noise.start()[None], population.log_sd[None], population.loc[None], none
    )
    found = averaging._own_at(fit.problem, own, mode)
    torch.testing.assert_close(found.elbo[0], own.elbo, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.posterior.loc[0], own.posterior.loc, rtol=0, atol=1e-3)
    assert found.elbo.shape == (1, 4)


def test_an_average_takes_all_its_buffers() -> None:
    """Five tensors, no fewer; a state of another number of points is taken up."""
    one, two = averaging.HyperAverage(), averaging.HyperAverage()
    with pytest.raises(ValueError, match="zip"):
        one.fill(torch.zeros(1))
    one.fill(*[torch.full((3, 2), float(i)) for i in range(5)])
    two.load_state_dict(one.state_dict())
    assert len(two) == 3
    assert [float(getattr(two, name)[0, 0]) for name in averaging.FIELDS] == [0, 1, 2, 3, 4]
