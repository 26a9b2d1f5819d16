"""The widget of the mixture prior against torch."""

from collections.abc import Callable
from typing import Any

import torch
from playwright.sync_api import Locator

from tests.browser.explorers import Act, Check, Explorer, click, drag, slide
from tests.browser.explorers import close as closer
from tests.browser.static_page import Values, read
from vmtl_core.lab.widgets import MixtureExplorer
from vmtl_core.lab.widgets.mixture import PRESETS

KEPT = ("centre", "rows", "width", "base")
SOURCES = ("means", "sds")
HANDLE = "mean of the likelihood"


def close(found: object, expected: object) -> None:
    closer(found, expected, atol=1e-6, rtol=1e-6)


def make() -> list[MixtureExplorer]:
    """The setting of the chapter; another one with other sources."""
    second = MixtureExplorer(
        centre=0.9, rows=3, width=0.55, base=0.36, means=[2.0, -0.5, -1.9], sds=[0.15, 0.7, 0.35]
    )
    return [MixtureExplorer(), second]


def python_of(values: Values, **changes: Any) -> MixtureExplorer:
    return MixtureExplorer(**{name: values[name] for name in (*KEPT, *SOURCES)} | changes)


def compare(values: Values, widget: MixtureExplorer | None = None) -> MixtureExplorer:
    """Everything that the page shows, against torch."""
    python = python_of(values)
    one = python.receiver
    close(values["prior"]["weights"], one.log_weights.exp())
    close(values["prior"]["means"], one.parts.mean)
    close(values["prior"]["sds"], one.parts.stddev)
    close(values["posterior"]["evidence"], one.log_evidence)
    close(values["posterior"]["weights"], one.probabilities)
    close(values["posterior"]["means"], one.posteriors.mean)
    close(values["posterior"]["sds"], one.posteriors.stddev)
    mean = (one.probabilities * one.posteriors.mean).sum()
    second = (one.probabilities * (one.posteriors.variance + one.posteriors.mean**2)).sum()
    close([values["moments"]["mean"], values["moments"]["sd"]], [mean, (second - mean**2).sqrt()])
    for method in ("jensen", "convex"):
        found, shown = python.found(method), values[method]
        close([shown["q"]["mean"], shown["q"]["sd"]], [found.q.mean, found.q.stddev])
        close([shown[k] for k in ("elbo", "slack", "gap")], [found.elbo, found.slack, found.gap])
        close(shown["phi"], found.phi)
    w = torch.tensor(values["density"]["x"], dtype=torch.float64)
    close(values["density"]["prior"], one.prior.log_prob(w).exp())
    close(values["density"]["posterior"], one.log_posterior(w).exp())
    return python


def handle(view: Locator) -> Locator:
    return view.locator(f"[role='slider'][aria-label='{HANDLE}']")


def press(*keys: str) -> Act:
    def act(view: Locator) -> None:
        handle(view).focus()
        for key in keys:
            view.page.keyboard.press(key)

    return act


def drag_likelihood(by: float) -> Act:
    """Takes the likelihood at its mark on the axis and moves it by so many pixels."""

    def act(view: Locator) -> None:
        read(view)  # what is drawn now stays
        mark = handle(view).locator(".vmtl-now-head")
        mark.scroll_into_view_if_needed()
        box = mark.bounding_box()
        assert box
        drag(view, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), (by, 3))

    return act


def further(least: float) -> Callable[[Values], Values]:
    """After a drag to the right: the mean is at least so much larger."""

    def expect(before: Values) -> Values:
        check: Check = lambda new: new > before["centre"] + least  # noqa: E731
        return {"centre": check}

    return expect


def chosen(preset: Values) -> Callable[[Values], Values]:
    return lambda before: {name: preset[name] for name in KEPT}


MIXTURE = Explorer(
    name="receiver",
    make=make,
    kept=KEPT,
    compare=compare,
    controls={
        "mean, pointer": (drag_likelihood(60), further(0.3)),
        "mean, keys": (press("ArrowRight", "ArrowUp", "ArrowRight"), lambda v: {"centre": v["centre"] + 0.15}),
        "mean, page keys": (press("PageDown"), lambda v: {"centre": v["centre"] - 0.5}),
        "rows": (slide("rows", 30), lambda v: {"rows": 7}),
        "width": (slide("width", 16), lambda v: {"width": 0.8}),
        "no width": (slide("width", 0), lambda v: {"width": 0}),
        "base": (slide("base", 30), lambda v: {"base": 0.6}),
        "no base": (slide("base", 0), lambda v: {"base": 0}),
        "base alone": (slide("base", 50), lambda v: {"base": 1}),
        **{f"preset {i}": (click(f"preset-{i}"), chosen(preset)) for i, preset in enumerate(PRESETS)},
    },
    focus=[*(f"preset-{i}" for i in range(len(PRESETS))), "reset", HANDLE, "rows", "width", "base"],
    looks=[*(click(f"preset-{i}") for i in range(len(PRESETS))), slide("base", 50)],
    sweep=([], "base", list(range(0, 50, 2))),
    chapter="book/02_many_tasks.html",
)  # fmt: skip
