"""The widgets for every reader: keyboard, screen reader, contrast, small screens, less motion."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator

from tests.browser.static_page import (
    MOVE,
    SETTLE,
    make_pair,
    named,
    read,
    start,
    stored,
    watched,
    write_page,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light and a dark page with two widgets."""
    folder = tmp_path_factory.mktemp("site")
    widgets = make_pair()
    for theme in ("light", "dark"):
        write_page(folder, [widget.model_id for widget in widgets], stored(widgets), theme)
    return folder


@pytest.fixture
def view(browser: Browser, site: Path) -> Iterator[Locator]:
    with watched(browser, site.as_uri()) as (page, errors):
        yield start(page, site.as_uri() + "/page-light.html")[0]
        assert not errors


def test_the_keyboard_reaches_and_moves_everything(view: Locator) -> None:
    page = view.page
    named(view, "tau").focus()
    seen = []
    for _ in range(9):
        seen.append(page.evaluate("document.activeElement.dataset.name ?? 'handle'"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"focus on {seen[-1]} cannot be seen"
        page.keyboard.press("Tab")
    assert seen[:8] == [
        "tau", "task", "draws", "noise", "reset", "logit-1", "logit-2", "logit-3",
    ]  # fmt: skip
    assert seen[8] == "handle"
    before = read(view)
    named(view, "tau").focus()
    page.keyboard.press("ArrowRight")
    assert before["tau"] < read(view)["tau"] < 1.05 * before["tau"]
    named(view, "noise").focus()
    page.keyboard.press("Enter")
    assert read(view)["seed"] == before["seed"] + 1


def test_everything_has_a_name_for_a_screen_reader(view: Locator) -> None:
    unnamed = view.evaluate(
        """root => [
        ...[...root.querySelectorAll('input, select')].filter(e => !e.labels.length || !e.labels[0].textContent.trim()),
        ...[...root.querySelectorAll('button')].filter(e => !e.textContent.trim()),
        ...[...root.querySelectorAll('svg[role]')].filter(e => !e.getAttribute('aria-label')),
        ...[...root.querySelectorAll('svg:not([role])')].filter(e => e.getAttribute('aria-hidden') !== 'true'),
        ].map(e => e.outerHTML.slice(0, 90))"""
    )
    assert unnamed == []
    assert view.get_attribute("aria-label") == view.locator(".vmtl-question").text_content()
    heat = view.locator(".vmtl-panel-heat svg").get_attribute("aria-label") or ""
    assert "task 0 excluded" in heat
    handle = view.locator("g[role='slider']")
    assert float(handle.get_attribute("aria-valuenow") or 0) == read(view)["tau"]
    assert named(view, "tau").get_attribute("aria-valuetext") == "0.70"


CONTRAST = """root => {
  const rgb = c => { const v = c.match(/[\\d.]+/g).map(Number); return [v[0], v[1], v[2], v[3] ?? 1]; };
  const over = (top, below, a) => top.slice(0, 3).map((v, i) => v * a + below[i] * (1 - a));
  const light = c => { const f = c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const ground = e => { for (let at = e; at; at = at.parentElement) {
    const c = rgb(getComputedStyle(at).backgroundColor); if (c[3] > 0.99) return c; } return [255, 255, 255]; };
  const surface = ground(root), found = [];
  for (const e of root.querySelectorAll('p, label, legend, output, button, select, .vmtl-caption, span, text')) {
    if (!e.textContent.trim() || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), svg = e.localName === 'text';
    let behind = svg ? surface : ground(e);
    if (e.classList.contains('vmtl-cell-number')) { const r = getComputedStyle(e.previousElementSibling);
      behind = over(rgb(r.fill), surface, Number(r.fillOpacity)); }
    found.push([ratio(rgb(svg ? style.fill : style.color), behind), e.textContent.trim().slice(0, 30)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_in_both_themes(browser: Browser, site: Path, theme: str) -> None:
    with watched(browser, site.as_uri()) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-{theme}.html")[0]
        for position in (0, 60, 110, 130, 150, 170, 260):
            named(view, "tau").evaluate(MOVE, position)
            page.evaluate(SETTLE)
            found = view.evaluate(CONTRAST)
            assert len(found) > 40
            assert found[0][0] >= 4.5, found[:3]
        assert not errors


@pytest.mark.parametrize("width", [360, 600, 1200])
def test_nothing_sticks_out(browser: Browser, site: Path, width: int) -> None:
    settings = {"viewport": {"width": width, "height": 800}}
    with watched(browser, site.as_uri(), **settings) as (page, errors):
        views = start(page, f"{site.as_uri()}/page-light.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for view in views[:2]:
            box = view.bounding_box()
            assert box
            for label in view.locator("text, label, button").all():
                inner = label.bounding_box()
                if inner:
                    assert inner["x"] >= box["x"] - 1
                    assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
        assert not errors


def test_reduced_motion_and_forced_colours(browser: Browser, site: Path) -> None:
    settings = {"reduced_motion": "reduce", "forced_colors": "active"}
    with watched(browser, site.as_uri(), **settings) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-light.html")[0]
        moving = view.evaluate(
            "root => [...root.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
        )
        assert moving == 0
        assert not errors
