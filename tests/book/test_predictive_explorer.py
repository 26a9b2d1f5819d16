"""The Python side of the predictive widget: its arguments, its numbers, its static figure."""

import json
from typing import Any

import pytest
import torch
import traitlets
from ipywidgets.embed import embed_data
from torch.distributions import Normal

from vmtl_core.lab.widgets import PredictiveExplorer

NAN = float("nan")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"points": 1}, r"`points` must be a whole number in 2\.\.\.40; got 1"),
    ({"points": 2.5}, "`points`"),
    ({"width": 0}, r"`width` must be a number in 0\.1\.\.\.4; got 0"),
    ({"width": "narrow"}, "`width` .* got 'narrow'"),
    ({"width": NAN}, "`width`"),
    ({"noise": 0.1}, r"`noise` must be a number in 0\.2\.\.\.1; got 0\.1"),
    ({"noise": -1}, "`noise`"),
    ({"samples": 0}, r"`samples` must be a whole number in 1\.\.\.100; got 0"),
    ({"samples": 101}, "`samples`"),
    ({"x": 3.5}, r"`x` must be a number in -3\.\.\.3; got 3\.5"),
    ({"x": True}, "`x`"),
    ({"new_points": 0}, r"`new_points` must be a whole number in 1\.\.\.100; got 0"),
    ({"seed": -1}, "`seed`"),
    ({"seed": 2**32}, "`seed`"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PredictiveExplorer(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = PredictiveExplorer()
    for name, value in {"width": 9, "noise": 0, "samples": 0, "x": 4, "points": 1}.items():
        before = getattr(widget, name)
        with pytest.raises((ValueError, traitlets.TraitError), match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


@pytest.mark.parametrize("points", [2, 5, 40])
def test_the_posterior_is_the_exact_one(points: int) -> None:
    """Against normalised prior times likelihood on a grid."""
    widget = PredictiveExplorer(points=points)
    axis = torch.linspace(-4, 4, 401, dtype=torch.float64)
    w0, w1 = torch.meshgrid(axis, axis, indexing="ij")
    x, y = widget.data
    log_p = -0.5 * (w0**2 + w1**2) + Normal(w0 + w1 * x[:, None, None], 0.5).log_prob(
        y[:, None, None]
    ).sum(0)
    p = log_p.flatten().softmax(0)
    w = torch.stack([w0.flatten(), w1.flatten()])
    mean = w @ p
    torch.testing.assert_close(mean, widget.posterior.mean, atol=1e-4, rtol=0)
    covariance = (w - mean[:, None]) * p @ (w - mean[:, None]).T
    torch.testing.assert_close(covariance, widget.posterior.covariance_matrix, atol=1e-3, rtol=0)


def test_the_lines_have_the_width_they_should() -> None:
    """Mean and covariance of 100 draws within five standard errors, at every width."""
    for width in (0.1, 1.0, 4.0):
        widget = PredictiveExplorer(width=width, samples=100)
        factor = torch.linalg.cholesky(widget.posterior.covariance_matrix)
        z = torch.linalg.solve_triangular(
            factor, (widget.lines - widget.posterior.mean).T, upper=False
        )
        assert ((z / width).mean(1).abs() < 5 / 100**0.5).all()
        assert (((z / width) @ z.T / width / 100 - torch.eye(2)).abs() < 5 * 2**0.5 / 10).all()


def test_coverage_is_90_percent_where_the_posterior_is_calibrated() -> None:
    """Over 20 seeds: counted within five standard errors of what is expected, and that near 0.9."""
    for width, low, high in ((0.2, 0.6, 0.8), (1.0, 0.88, 0.91), (3.0, 0.95, 1.0)):
        widgets = [
            PredictiveExplorer(width=width, samples=100, new_points=100, seed=seed)
            for seed in range(20)
        ]
        counted = torch.cat([widget.covered.double() for widget in widgets]).mean().item()
        expected = torch.tensor([widget.expected_coverage for widget in widgets]).mean().item()
        assert low < expected < high
        assert abs(counted - expected) < 5 * (0.25 / 2000) ** 0.5


def test_the_width_moves_only_the_epistemic_part() -> None:
    narrow, right = PredictiveExplorer(width=0.5), PredictiveExplorer()
    torch.testing.assert_close(narrow.uncertainty.aleatoric, right.uncertainty.aleatoric)
    torch.testing.assert_close(4 * narrow.uncertainty.epistemic, right.uncertainty.epistemic)
    many = PredictiveExplorer(samples=100)
    limit = many.epistemic_variance(torch.tensor([many.x]))
    torch.testing.assert_close(many.uncertainty.epistemic, limit, rtol=5 * (2 / 100) ** 0.5, atol=0)


def test_more_samples_and_points_keep_the_first_ones() -> None:
    few, many = PredictiveExplorer(samples=3, new_points=4), PredictiveExplorer()
    assert torch.equal(few.lines, many.lines[:3])
    assert torch.equal(few.new[1], many.new[1][:4])
    assert not torch.equal(PredictiveExplorer(seed=1).lines, many.lines)
    assert torch.equal(PredictiveExplorer(seed=1).data[1], many.data[1]), "the data stay"


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = PredictiveExplorer(width=torch.tensor(0.5))
    state = embed_data(views=[widget], drop_defaults=False)["manager_state"]
    json.dumps(state, allow_nan=False)
    wanted = "points=5, width=0.5, noise=0.5, samples=20, x=2, new_points=40, seed=0"
    assert repr(widget) == f"PredictiveExplorer({wanted})"


def test_static_figure_holds_the_three_settings() -> None:
    widget = PredictiveExplorer()
    figure = widget.static_figure()
    assert len(figure.axes) == 6
    inside = int(widget.covered.sum())
    assert figure.axes[1].get_title() == f"width 1: {inside} of 40 inside"
    assert f"{widget.uncertainty.epistemic.item():.2f} epistemic" in figure.axes[4].get_title()
