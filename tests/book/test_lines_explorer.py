"""The Python side of the lines laboratory: its arguments, its situations, its static figure."""

import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from ipywidgets.embed import embed_data

from vmtl_core.lab.widgets import LinesLaboratory
from vmtl_core.lab.widgets._base import _source
from vmtl_core.lab.widgets.lines import CHOICES, MOST_ROWS, PRESETS, RANGES, REACH, SETTING, TASKS

NAN = float("nan")
POINTS = r"`tasks` must be 3\.\.\.6 lists of 1\.\.\.30 points \[x, y\], x in -2\.5\.\.\.2\.5 and y in -3\.\.\.3; got "
ROW = [[0.0, 0.0]]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"tasks": [ROW] * 2}, POINTS + r"\[\[\[0\.0, 0\.0\]\]"),
    ({"tasks": [ROW] * 7}, POINTS),
    ({"tasks": [ROW, ROW, []]}, POINTS),
    ({"tasks": [ROW, ROW, ROW * 31]}, POINTS),
    ({"tasks": [ROW, ROW, [[3.1, 0]]]}, POINTS),
    ({"tasks": [ROW, ROW, [[0, -3.1]]]}, POINTS),
    ({"tasks": [ROW, ROW, [[0, NAN]]]}, POINTS),
    ({"tasks": [ROW, ROW, [[0, 0, 0]]]}, POINTS),
    ({"tasks": 1}, POINTS + r"1\.0"),
    ({"temperature": 0}, r"`temperature` must be a number in 0\.05\.\.\.20; got 0"),
    ({"temperature": NAN}, "`temperature` .* got nan"),
    ({"delta": 0}, r"`delta` must be a number in 0\.01\.\.\.5; got 0"),
    ({"sigma": 0}, r"`sigma` must be a number in 0\.05\.\.\.2; got 0"),
    ({"sigma": "learned"}, "`sigma` .* got 'learned'"),
    ({"draws": -1}, r"`draws` must be a whole number in 0\.\.\.4294967295; got -1"),
    ({"draws": 0.5}, "`draws`"),
    ({"sources": "group"}, "`sources` must be one of own, previous, joint, groups; got 'group'"),
    ({"sources": ["own"]}, "`sources` must be one of"),
    ({"divergence": "exact"}, "`divergence` must be one of jensen, convex; got 'exact'"),
    ({"base": None}, "`base` must be one of none, fixed, learned; got None"),
    ({"chosen": 6}, r"`chosen` must be a whole number in 0\.\.\.5; got 6"),
    ({"preset": 9}, r"`preset` must be a whole number in 0\.\.\.4; got 9"),
    ({"preset": "echo"}, "`preset`"),
    ({"anchor": "two words"}, r"`anchor` must be small letters, digits and hyphens"),
    ({"anchor": ""}, "`anchor`"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LinesLaboratory(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = LinesLaboratory()
    bad = {"tasks": [], "delta": 9, "draws": -1, "sources": "x", "chosen": 7, "anchor": "A b"}
    for name, value in bad.items():
        before = getattr(widget, name)
        with pytest.raises(ValueError, match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


def test_every_situation_is_one_that_the_page_can_hold() -> None:
    """A reader may move whatever it holds, and its points have two decimals, as a link keeps them."""
    assert len(PRESETS) == 5
    for i, preset in enumerate(PRESETS):
        assert set(preset["setting"]) == set(SETTING)
        widget = LinesLaboratory(preset=i)
        for rows in widget.tasks:
            for point in rows:
                assert point == tuple(round(v, 2) for v in point)


def test_limits_are_those_of_the_page() -> None:
    """js/linesstate.js says the same."""
    text = _source("linesstate.js")

    def const(name: str) -> Any:
        found = re.search(rf"^export const {name} = (.*?);$", text, re.M | re.S)
        assert found
        return json.loads(re.sub(r",\s*}", "}", re.sub(r"(\w+):", r'"\1":', found[1])))

    assert (const("X"), const("Y")) == REACH
    assert const("MOST_ROWS") == MOST_ROWS
    assert tuple(const("TASKS")) == TASKS
    assert {k: tuple(v) for k, v in const("LIMITS").items()} == RANGES
    assert {k: tuple(v) for k, v in const("CHOICES").items()} == CHOICES
    assert tuple(const("SETTING")) == SETTING


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = LinesLaboratory(draws=4.0, sigma=0.5, delta=0.2, temperature=2, sources="previous")
    json.dumps(embed_data(views=[widget], drop_defaults=False), allow_nan=False)
    assert "temperature=2, draws=4, sigma=0.5, delta=0.2, sources='previous'" in repr(widget)
    assert "sigma=None" in repr(LinesLaboratory(sigma=None))


def test_what_was_checked_can_not_be_changed_in_place() -> None:
    with pytest.raises(TypeError, match="item assignment"):
        LinesLaboratory().tasks[0] = ROW


def test_more_tasks_than_the_chosen_one_says() -> None:
    """The last task is shown where the chosen one is gone."""
    figure = LinesLaboratory(tasks=[ROW] * 3, chosen=5).static_figure([{}])
    assert "φ of task 3" in figure.axes[1].get_title()


def test_static_figure_of_groups() -> None:
    """Who shares a group with the chosen task, and a part of its prior for each group it may be in."""
    widget = LinesLaboratory(sources="groups")
    figure = widget.static_figure([{}])
    title = figure.axes[1].get_title()
    assert f"Group of task 1: task 2 {widget.fit.phi[0, 1]:.2f}, alone " in title
    assert f"ELBO {widget.fit.elbo:.1f}" in title
    shapes = len(figure.axes[1].patches)
    assert shapes == 2 * 4 + 3, "four companies of two others, three posteriors"


def test_static_figure_holds_the_three_settings() -> None:
    widget = LinesLaboratory()
    figure = widget.static_figure()
    assert len(figure.axes) == 6
    assert figure.axes[0].get_title().startswith(str(PRESETS[0]["name"]))
    wide = LinesLaboratory(delta=3.0)
    for axis, one in ((figure.axes[3], widget), (figure.axes[4], wide)):
        fit = one.fit
        assert f"ELBO {fit.elbo:.1f}" in axis.get_title()
        best = fit.phi[0].max().item()
        assert f"{best:.2f}" in axis.get_title()
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    ends = torch.tensor(np.asarray(lines[0].get_ydata())[[0, -1]])
    x = torch.tensor([-2.7, 2.7], dtype=torch.float64)
    mean = widget.fit.q.mean[0]
    torch.testing.assert_close(ends.double(), mean[0] + mean[1] * x)
