"""The Python side of the echo chamber widget: its arguments, its numbers, its static figure."""

import json
from typing import Any

import pytest
import torch
from ipywidgets.embed import embed_data

from vmtl_core.lab.widgets import EchoChamberExplorer

NAN = float("nan")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"difference": 5}, r"`difference` must be a number in 0\.\.\.4; got 5"),
    ({"difference": NAN}, "`difference` .* got nan"),
    ({"difference": "far"}, "`difference` .* got 'far'"),
    ({"noise": 0}, r"`noise` must be a number in 0\.1\.\.\.3; got 0"),
    ({"noise": True}, "`noise`"),
    ({"width": -0.1}, r"`width` must be a number in 0\.\.\.2; got -0\.1"),
    ({"count": 0}, r"`count` must be a whole number in 1\.\.\.100; got 0"),
    ({"count": 2.5}, "`count`"),
    ({"rounds": 51}, r"`rounds` must be a whole number in 1\.\.\.50; got 51"),
    ({"sources": "mine"}, "`sources` must be one of own, previous, joint; got 'mine'"),
    ({"sources": 1}, "`sources`"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EchoChamberExplorer(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = EchoChamberExplorer()
    for name, value in {"difference": 9, "count": 0, "sources": "x", "width": 3}.items():
        before = getattr(widget, name)
        with pytest.raises(ValueError, match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


def test_the_law() -> None:
    """Below the threshold nothing is left of the variance; own sources are exact at every width."""
    widget = EchoChamberExplorer(difference=0.9)
    assert widget.threshold == 1.0
    assert widget.posterior == (0.0, 0.0)
    widget.difference = 1.5
    assert [round(v.item(), 12) for v in widget.posterior] == [0.5, 0.125]
    widget.sources = "previous"
    assert round(widget.posterior.variance.item(), 12) == 1 / 160
    widget.sources = "own"
    for width in (0.0, 0.3, 2.0):
        widget.width = width
        torch.testing.assert_close(widget.posterior, widget.exact)


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = EchoChamberExplorer(count=4.0)
    json.dumps(embed_data(views=[widget], drop_defaults=False), allow_nan=False)
    wanted = "difference=0.8, count=4, noise=1, sources='joint', rounds=10, width=0"
    assert repr(widget) == f"EchoChamberExplorer({wanted})"


def test_static_figure_holds_the_three_settings() -> None:
    figure = EchoChamberExplorer().static_figure()
    titles = [axis.get_title().splitlines()[0] for axis in figure.axes]
    assert titles == ["joint, δ = 0", "previous, round 10, δ = 0", "own, δ = 0.3"]
    assert "sd 0.00" in figure.axes[0].get_title()
