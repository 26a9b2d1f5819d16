"""The Python side of the widget of chapter 1: its arguments, its numbers, its static figure."""

import json
import math
from typing import Any

import pytest
import torch
from ipywidgets.embed import embed_data

from vmtl_core.lab.widgets import EvidenceExplorer

NAN = float("nan")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"x": [1.0]}, r"`x` must be 2\.\.\.40 numbers in -50\.\.\.50; got \[1\.0\]"),
    ({"x": [1.0, NAN]}, "`x` must be"),
    ({"y": [1.0, 99.0]}, "`y` must be"),
    ({"y": 3}, "`y` must be"),
    ({"y": [0.0, 1.0]}, "`y` must have a number for each of the 6 of `x`; got 2"),
    ({"mean": [0.0]}, r"`mean` must be two numbers in -50\.\.\.50; got \[0\.0\]"),
    ({"mean": [0.0, 51.0]}, "`mean`"),
    ({"sds": [0.0, 1.0]}, r"`sds` must be two numbers in 0\.001\.\.\.50"),
    ({"sds": [NAN, 1.0]}, "`sds`"),
    ({"slant": 1.0, "family": "full"}, r"`slant` must be a number in -0\.99999\.\.\.0\.99999"),
    ({"slant": 0.5}, "`slant` must be 0 if `family` is 'diagonal'; got 0.5"),
    ({"family": "round"}, "`family` must be one of diagonal, full; got 'round'"),
    ({"family": 1}, "`family`"),
    ({"noise": 0}, r"`noise` must be a number in 0\.1\.\.\.5; got 0"),
    ({"noise": True}, "`noise`"),
    ({"scale": 6}, "`scale` .* got 6"),
    ({"shift": "far"}, "`shift` .* got 'far'"),
    ({"same_lines": 1}, "`same_lines` must be True or False; got 1"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvidenceExplorer(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = EvidenceExplorer()
    wrong = {"mean": [9], "sds": [-1, 1], "family": "x", "noise": 9, "same_lines": "no"}
    for name, value in wrong.items():
        before = getattr(widget, name)
        with pytest.raises(ValueError, match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before
    with pytest.raises(ValueError, match="`what` must be one of noise, scale; got 'both'"):
        widget.m_step("both")


def settings() -> list[EvidenceExplorer]:
    """Twelve random ones of both families."""
    u = torch.rand(12, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [
        EvidenceExplorer(
            mean=4 * row[:2] - 2, sds=0.1 + row[2:4], slant=1.8 * row[4] - 0.9 if full else 0.0,
            family="full" if full else "diagonal", noise=0.2 + 2 * row[5], scale=0.2 + 2 * row[6],
            shift=6 * row[7] - 3, same_lines=bool(row[8] > 0.5),
        )
        for i, row in enumerate(u)
        for full in (i % 2 == 0,)
    ]  # fmt: skip


def test_the_identity() -> None:
    """(1.4), with an evidence that knows nothing of q or of the posterior."""
    for widget in settings():
        fit, kl, gap, evidence = widget.terms
        torch.testing.assert_close(fit - kl + gap, evidence)
        assert kl >= 0
        assert gap >= 0


def test_the_fit_is_an_expectation() -> None:
    widget = settings()[0]
    w = widget.q.sample(torch.Size([200_000]))
    each = torch.distributions.Normal(w @ widget.line.design.T, widget.noise)
    found = each.log_prob(widget.line.y).sum(-1)
    assert (found.mean() - widget.terms.fit).abs() < 5.5 * found.std() / len(w) ** 0.5


def test_no_step_away_from_an_e_step_is_better() -> None:
    for widget in settings():
        widget.e_step()
        best = widget.terms.gap
        exact = widget.line.posterior.covariance_matrix
        rho = exact[0, 1] / exact.diagonal().prod().sqrt()
        left = 0.0 if widget.family == "full" else -0.5 * math.log(1 - rho**2)
        assert best.item() == pytest.approx(left, abs=1e-9)
        mean, sds = widget.mean, widget.sds
        for change in ({"mean": (mean[0] + 0.01, mean[1])}, {"sds": (sds[0], 1.02 * sds[1])}):
            (name, value) = next(iter(change.items()))
            old = getattr(widget, name)
            setattr(widget, name, value)
            assert widget.terms.gap > best
            setattr(widget, name, old)


def test_no_step_away_from_an_m_step_is_better() -> None:
    for widget in settings():
        for what in ("noise", "scale"):
            widget.m_step(what)
            terms, found = widget.terms, getattr(widget, what)
            for factor in (0.98, 1.02):
                if 0.1 < factor * found < 5:
                    setattr(widget, what, factor * found)
                    other = widget.terms
                    assert other.fit - other.kl < terms.fit - terms.kl
            setattr(widget, what, found)


def test_a_prior_carried_along_says_the_same_of_every_line() -> None:
    grid = torch.linspace(-3, 3, 7, dtype=torch.float64)
    still = EvidenceExplorer(noise=0.4)
    moved = EvidenceExplorer(noise=0.4, shift=2.0, same_lines=True)
    for law in ("prior", "posterior"):
        old, new = (widget.line.sd_of_lines(getattr(widget.line, law), grid) for widget in (still, moved))  # fmt: skip
        torch.testing.assert_close(old, new)
    torch.testing.assert_close(still.terms.evidence, moved.terms.evidence)
    other = EvidenceExplorer(noise=0.4, shift=2.0).line
    assert other.sd_of_lines(other.prior, grid)[5] > 1.5 * still.line.sd_of_lines(still.line.prior, grid)[5]  # fmt: skip


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = EvidenceExplorer(x=torch.linspace(-1, 1, 3), y=torch.zeros(3))
    json.dumps(embed_data(views=[widget], drop_defaults=False), allow_nan=False)
    wanted = "points=3, family='diagonal', noise=1, scale=1, shift=0, same_lines=False"
    assert repr(widget) == f"EvidenceExplorer({wanted})"


def test_static_figure_holds_the_three_settings() -> None:
    widget = EvidenceExplorer()
    figure = widget.static_figure()
    assert len(figure.axes) == 6
    assert figure.axes[2].get_title() == "after an E-step, c = 3"
    evidence = widget.terms.evidence.item()
    assert [axis.get_title() for axis in figure.axes[3:5]] == [f"log p(y) = {evidence:.2f}"] * 2
    assert any(f"gap {widget.terms.gap:.2f}" in text.get_text() for text in figure.axes[3].texts)
    assert widget.mean == (0.0, 0.0)
