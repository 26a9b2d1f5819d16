"""The predictive widget against torch."""

from typing import Any

import torch
from playwright.sync_api import Locator

from tests.browser.explorers import Explorer, click, close, drag, slide
from tests.browser.static_page import Values, read
from vmtl_core.lab.widgets import PredictiveExplorer

KEPT = ("points", "width", "noise", "samples", "x", "new_points", "seed")
LEVELS = torch.tensor([0.05, 0.95], dtype=torch.float64)


def make() -> list[PredictiveExplorer]:
    return [
        PredictiveExplorer(),
        PredictiveExplorer(
            points=12, width=0.4, noise=0.8, samples=7, x=-1.5, new_points=61, seed=11
        ),
    ]


def compare(values: Values, widget: PredictiveExplorer | None = None) -> PredictiveExplorer:
    """Everything that the page shows, against torch."""
    python = PredictiveExplorer(**{name: values[name] for name in KEPT})
    here = torch.tensor([python.x])
    mixture = python.predictive(here)
    close(values["data"]["x"], python.data[0])
    close(values["data"]["y"], python.data[1])
    close(values["lines"], python.lines)
    close(values["mean"], mixture.mean.squeeze())
    parts = [values[name] for name in ("total", "aleatoric", "epistemic")]
    close(parts, torch.cat(list(python.uncertainty)))
    close(values["limit"], python.epistemic_variance(here).squeeze())
    close(mixture.cdf(torch.tensor(values["interval"]).double()[:, None]).squeeze(-1), LEVELS, 1e-6)
    y = torch.tensor(values["density"]["y"], dtype=torch.float64)
    close(values["density"]["mixture"], mixture.log_prob(y[:, None]).exp().squeeze(-1))

    checked = torch.tensor(values["checked"], dtype=torch.float64)  # x, y, low, high
    x, target = python.new
    close(checked[:, 0], x)
    close(checked[:, 1], target)
    fresh = python.predictive(x)
    for end, level in zip(checked[:, 2:].T, LEVELS, strict=True):
        close(fresh.cdf(end), level.expand_as(end), 1e-6)
    covered = python.covered.double()
    assert values["inside"] == int(covered.sum())
    close(values["running"], covered.cumsum(0) / torch.arange(1, len(covered) + 1))
    close(values["expected"], python.expected_coverage)
    return python


def press_handle(view: Locator) -> None:
    view.locator("g[role='slider']").focus()
    for key in ("ArrowLeft", "ArrowDown", "PageDown"):
        view.page.keyboard.press(key)


def drag_handle(view: Locator) -> None:
    """Takes the bar and moves it left."""
    read(view)
    bar = view.locator("g[role='slider']")
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    assert box
    drag(view, (box["x"] + box["width"] / 2, box["y"] + 40), (-40, 0))


def left_of(old: float) -> Any:
    return lambda x: -3 <= x < old - 0.2


PREDICTIVE = Explorer(
    name="predictive",
    make=make,
    kept=KEPT,
    compare=compare,
    controls={
        "width": (slide("width", 20), lambda v: {"width": 0.1 * 40 ** (20 / 160)}),
        "noise": (slide("noise", 1), lambda v: {"noise": 0.25}),
        "points": (slide("points", 30), lambda v: {"points": 32}),
        "x": (slide("x", 3), lambda v: {"x": -2.7}),
        "samples": (slide("samples", 0), lambda v: {"samples": 1}),
        "new points": (slide("new_points", 99), lambda v: {"new_points": 100}),
        "one more sample": (click("more-samples"), lambda v: {"samples": v["samples"] + 1}),
        "one more point": (click("more-new_points"), lambda v: {"new_points": v["new_points"] + 1}),
        "draw all again": (click("again"), lambda v: {"seed": v["seed"] + 1}),
        "handle, keys": (press_handle, lambda v: {"x": max(-3, v["x"] - 1.2)}),
        "handle, pointer": (drag_handle, lambda v: {"x": left_of(v["x"])}),
    },
    focus=[
        *("width", "noise", "points", "x", "samples", "new_points"),
        *("more-samples", "more-new_points", "again", "reset", "position x"),
    ],
    looks=[slide("width", position) for position in (0, 80, 160)],
    # At the largest sizes, and with every interval computed anew.
    sweep=([slide("samples", 99), slide("new_points", 99)], "width", list(range(40, 120, 2))),
    chapter="book/06_prediction.html",
)
