"""The echo chamber widget without a kernel: every control is moved and compared with torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Locator

from tests.browser.static_page import (
    MOVE,
    SETTLE,
    Values,
    named,
    read,
    start,
    watched,
)
from tests.browser.test_widget_access import CONTRAST
from vmtl_core.lab.widgets import EchoChamberExplorer

KEPT = ("difference", "count", "noise", "sources", "rounds", "width")


def close(found: Any, expected: Any, atol: float = 1e-6) -> None:
    found, expected = (torch.as_tensor(v, dtype=torch.float64) for v in (found, expected))
    torch.testing.assert_close(found, expected, atol=atol, rtol=1e-6)


def compare(values: Values) -> EchoChamberExplorer:
    """Everything that the page shows, against torch."""
    python = EchoChamberExplorer(**{name: values[name] for name in KEPT})
    for name, pair in (("found", python.posterior), ("exact", python.exact)):
        close(values[name]["gap"], pair.gap)
        close(values[name]["variance"], pair.variance)
    close(values["threshold"], python.threshold)
    close(values["ratio"], python.posterior.variance / python.exact.variance)
    assert values["collapsed"] == (python.posterior.variance.item() == 0)
    close(values["curve"]["gap"], python.posterior_at(values["curve"]["x"]).gap)
    return python


@pytest.fixture(scope="module")
def widgets() -> list[EchoChamberExplorer]:
    """The setting of the chapter; another one with a width."""
    second = EchoChamberExplorer(
        difference=1.7, count=5, noise=0.7, sources="previous", rounds=7, width=0.4
    )
    return [EchoChamberExplorer(), second]


def test_all_start_as_stored(views: list[Locator], widgets: list[EchoChamberExplorer]) -> None:
    for view, widget in zip(views, [*widgets, widgets[0]], strict=True):
        values = read(view)
        assert {n: values[n] for n in KEPT} == {n: getattr(widget, n) for n in KEPT}
        compare(values)


def slide(name: str, position: int) -> Callable[[Locator], None]:
    return lambda view: named(view, name).evaluate(MOVE, position)


def press(name: str) -> Callable[[Locator], None]:
    return lambda view: named(view, name).click()


CONTROLS: dict[str, tuple[Callable[[Locator], None], dict[str, Any]]] = {
    "difference": (slide("difference", 50), {"difference": 2.5}),
    "count": (slide("count", 40), {"count": 10}),
    "noise": (slide("noise", 19), {"noise": 2.0}),
    "width": (slide("width", 16), {"width": 0.8}),
    "own": (press("sources-own"), {"sources": "own"}),
    "previous": (press("sources-previous"), {"sources": "previous"}),
    "joint": (press("sources-joint"), {"sources": "joint"}),
    "rounds": (slide("rounds", 60),
               {"sources": "previous", "rounds": 50}),
}  # fmt: skip


@pytest.mark.parametrize("views", ["file"], indirect=True)
@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_changes_what_it_should_and_agrees_with_torch(
    views: list[Locator], control: str
) -> None:
    act, changes = CONTROLS[control]
    for i in (0, 1):
        before, other = read(views[i]), read(views[1 - i])
        if control == "rounds":
            press("sources-previous")(views[i])
            read(views[i])  # the slider is enabled when this is drawn
        act(views[i])
        after = read(views[i])
        for name in KEPT:
            assert after[name] == pytest.approx({**before, **changes}[name]), name
        compare(after)
        assert read(views[1 - i]) == other, "the other widget of the page must not move"
        assert read(views[2]) == read(views[0]), "two views of one widget move together"


def test_the_mark_on_the_axis_is_the_threshold(view: Locator) -> None:
    """At the threshold's place on the slider; just above it the collapse ends."""
    mark = view.locator(".vmtl-threshold-mark")
    for position, threshold in ((40, 4 / 10**0.5), (80, 0.4)):
        slide("count", position)(view)
        assert read(view)["threshold"] == pytest.approx(threshold)
        at = float(mark.evaluate("e => e.style.getPropertyValue('--at')"))
        assert at == pytest.approx(threshold / 4)
    assert "Collapsed" not in (view.locator(".vmtl-readout").text_content() or "")
    slide("difference", 7)(view)  # 0.35
    assert read(view)["collapsed"]
    assert "Collapsed" in (view.locator(".vmtl-readout").text_content() or "")
    assert view.locator(".vmtl-spike").count() == 2
    slide("count", 0)(view)
    slide("noise", 29)(view)
    read(view)
    assert mark.is_hidden()


def test_start_again(view: Locator) -> None:
    before = read(view)
    for act, _ in list(CONTROLS.values())[:5]:
        act(view)
    assert read(view) != before
    press("reset")(view)
    assert read(view) == before


def test_the_comparison_sees_known_mistakes(views: list[Locator]) -> None:
    """No root of N, half the threshold, a width not squared, one round off."""
    values = read(views[1])
    compare(values)
    d, n, noise, r, width = (values[k] for k in ("difference", "count", "noise", "rounds", "width"))
    wrong = [
        {"rounds": r - 1},
        {"width": width**0.5},
        {"count": n**2},
        {"noise": noise**0.5},
        {"difference": d / 2},
        {"sources": "own"},
        {"sources": "joint"},
    ]
    setting = {name: values[name] for name in KEPT}
    for change in wrong:
        mistake = EchoChamberExplorer(**{**setting, **change}).posterior
        with pytest.raises(AssertionError):
            close([values["found"]["gap"], values["found"]["variance"]], torch.stack([*mistake]))


def test_redrawing_fits_in_a_frame(view: Locator) -> None:
    slide("width", 4)(view)
    times = []
    for position in range(0, 80, 2):
        slide("difference", position)(view)
        view.page.evaluate(SETTLE)
        times.append(float(view.get_attribute("data-draw-ms") or "inf"))
    quarter = sorted(times)[len(times) // 4]  # other programs share the machine
    assert quarter < 16, f"milliseconds: {sorted(times)}"


def test_the_keyboard_reaches_everything_and_all_has_a_name(view: Locator) -> None:
    named(view, "sources-previous").evaluate("e => e.click()")  # a mouse would hide the focus
    read(view)
    named(view, "sources-own").focus()
    seen = []
    for _ in range(9):
        seen.append(view.page.evaluate("document.activeElement.dataset.name"))
        outline = view.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"focus on {seen[-1]} cannot be seen"
        view.page.keyboard.press("Tab")
    sources = [f"sources-{name}" for name in ("own", "previous", "joint")]
    assert seen == [*sources, "reset", "difference", "count", "noise", "width", "rounds"]
    unnamed = view.evaluate(
        """root => [
        ...[...root.querySelectorAll('input')].filter(e => !e.labels.length || !e.labels[0].textContent.trim()),
        ...[...root.querySelectorAll('svg[role]')].filter(e => !e.getAttribute('aria-label')),
        ].map(e => e.outerHTML.slice(0, 90))"""
    )
    assert unnamed == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_in_both_themes(browser: Browser, site: Path, theme: str) -> None:
    with watched(browser, site.as_uri()) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-{theme}.html")[0]
        found = view.evaluate(CONTRAST)
        assert len(found) > 20
        assert found[0][0] >= 4.5, found[:3]
        assert not errors


@pytest.mark.parametrize("width", [360, 600, 1200])
def test_nothing_sticks_out(browser: Browser, site: Path, width: int) -> None:
    settings = {"viewport": {"width": width, "height": 800}, "reduced_motion": "reduce"}
    with watched(browser, site.as_uri(), **settings) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-light.html")[0]
        for sources in ("own", "previous", "joint"):
            press(f"sources-{sources}")(view)
            read(view)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            box = view.bounding_box()
            assert box
            for label in view.locator("text, label, button").all():
                inner = label.bounding_box()
                if inner:
                    assert inner["x"] >= box["x"] - 1
                    assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
        assert not errors
