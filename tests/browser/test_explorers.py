"""Every widget without a kernel: its controls, compared with torch, and every kind of reader."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.browser.explorer_echo import ECHO
from tests.browser.explorer_evidence import EVIDENCE
from tests.browser.explorer_groups import GROUPS
from tests.browser.explorer_kl import KL
from tests.browser.explorer_latent import LATENT
from tests.browser.explorer_lines import LINES
from tests.browser.explorer_mixture import MIXTURE
from tests.browser.explorer_predictive import PREDICTIVE
from tests.browser.explorer_replay import REPLAY
from tests.browser.explorer_temperature import TEMPERATURE
from tests.browser.explorers import Explorer, same
from tests.browser.static_page import MOVE, SETTLE, named, read, start, watched

EXPLORERS = (EVIDENCE, MIXTURE, LATENT, TEMPERATURE, KL, PREDICTIVE, ECHO, REPLAY, GROUPS, LINES)
FRAME = 16.0  # milliseconds, on the machine of whose speed WORK takes so many:
USUAL_WORK = 20.0
WORK = """() => Math.min(...Array.from({ length: 5 }, () => {
  const begun = performance.now();
  let sum = 0;
  for (let i = 0; i < 1e6; i++) sum += Math.exp(-i * 1e-6);
  return sum > 0 ? performance.now() - begun : 0; }))"""
UNNAMED = """root => [
  ...[...root.querySelectorAll('input, select')].filter(e => !e.labels.length || !e.labels[0].textContent.trim()),
  ...[...root.querySelectorAll('button')].filter(e => !e.textContent.trim()),
  ...[...root.querySelectorAll('svg[role]')].filter(e => !e.getAttribute('aria-label')),
  ...[...root.querySelectorAll('svg:not([role])')].filter(e => e.getAttribute('aria-hidden') !== 'true'),
].map(e => e.outerHTML.slice(0, 90))"""
FOCUS = """() => { const e = document.activeElement;
  return [e.dataset.name ?? e.getAttribute('aria-label'), getComputedStyle(e).outlineStyle]; }"""
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
# What lies outside its widget, to the left or right; and how many things were looked at.
OUTSIDE = """root => {
  const box = root.getBoundingClientRect();
  const shapes = [...root.querySelectorAll('text, label, button, select, .vmtl-area, path.vmtl-component')]
    .map(e => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width > 0);
  const out = shapes.filter(([, r]) => r.left < box.left - 1 || r.right > box.right + 1);
  return [shapes.length, out.map(([e]) => e.outerHTML.slice(0, 90))];
}"""
MOVING = "root => [...root.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"

every_explorer = pytest.mark.parametrize("explorer", EXPLORERS, ids=str)
every_control = pytest.mark.parametrize(
    ("explorer", "control"),
    [
        pytest.param(explorer, control, id=f"{explorer}: {control}")
        for explorer in EXPLORERS
        for control in explorer.controls
    ],
)


@every_explorer
@pytest.mark.parametrize("way", ["http", "file"])
def test_all_start_as_stored(
    explorer: Explorer,
    widgets: list[Any],
    site: Path,
    browser: Browser,
    serve: Callable[[Path], str],
    way: str,
) -> None:
    base = serve(site) if way == "http" else site.as_uri() + "/"
    with watched(browser, base) as (page, errors):
        views = start(page, base + "page-light.html")
        for view, widget in zip(views, [*widgets, widgets[0]], strict=True):
            values = read(view)
            for name in explorer.kept:
                assert values[name] == as_json(getattr(widget, name)), name
            explorer.compare(values, widget)
        assert not errors


def as_json(value: Any) -> Any:
    return [as_json(v) for v in value] if isinstance(value, list | tuple) else value


@every_control
def test_a_control_changes_what_it_should_and_agrees_with_torch(
    explorer: Explorer, control: str, views: list[Locator], widgets: list[Any]
) -> None:
    act, expect = explorer.controls[control]
    for i in (0, 1):
        before, other = read(views[i]), read(views[1 - i])
        act(views[i])
        after = read(views[i])
        changed = expect(before)
        for name in explorer.kept:
            assert same(after[name], changed.get(name, before[name])), name
        explorer.compare(after, widgets[i])
        assert read(views[1 - i]) == other, "the other widget of the page must not move"
        assert read(views[2]) == read(views[0]), "two views of one widget move together"


@every_explorer
def test_start_again(explorer: Explorer, view: Locator) -> None:
    before = read(view)
    for act, _ in explorer.controls.values():
        act(view)
    after = read(view)
    assert any(after[name] != before[name] for name in explorer.kept)
    named(view, "reset").click()
    assert read(view) == before


@every_explorer
def test_redrawing_fits_in_a_frame(explorer: Explorer, view: Locator) -> None:
    """16 ms where a million exponentials take 20, more on a slower or busier machine."""
    first, name, positions = explorer.sweep
    for act in first:
        act(view)
    times, work = [], view.page.evaluate(WORK)
    for position in positions:
        named(view, name).evaluate(MOVE, position)
        view.page.evaluate(SETTLE)
        times.append(float(view.get_attribute("data-draw-ms") or "inf"))
    slowness = max(1.0, work / USUAL_WORK, view.page.evaluate(WORK) / USUAL_WORK)
    quarter = sorted(times)[len(times) // 4]  # other programs share the machine
    assert quarter < FRAME * slowness, f"milliseconds: {sorted(times)}, slowness {slowness}"


@every_explorer
def test_the_keyboard_reaches_everything_and_all_has_a_name(
    explorer: Explorer, view: Locator
) -> None:
    explorer.before_the_keys(view)
    read(view)
    named(view, explorer.focus[0]).focus()
    seen = []
    for _ in explorer.focus:
        name, outline = view.page.evaluate(FOCUS)
        assert outline == "solid", f"focus on {name} cannot be seen"
        seen.append(name)
        view.page.keyboard.press("Tab")
    assert seen == explorer.focus
    assert view.evaluate(UNNAMED) == []
    assert view.get_attribute("aria-label") == view.locator(".vmtl-question").text_content()


@every_explorer
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_in_both_themes(
    explorer: Explorer, browser: Browser, site: Path, theme: str
) -> None:
    with watched(browser, site.as_uri(), reduced_motion="reduce") as (page, errors):
        view = start(page, f"{site.as_uri()}/page-{theme}.html")[0]
        for look in explorer.looks:
            look(view)
            page.evaluate(SETTLE)
            found = view.evaluate(CONTRAST)
            assert len(found) > 20
            assert found[0][0] >= 4.5, found[:3]
        assert not errors


@every_explorer
@pytest.mark.parametrize("width", [360, 600, 1200])
def test_nothing_sticks_out(explorer: Explorer, browser: Browser, site: Path, width: int) -> None:
    settings = {"viewport": {"width": width, "height": 800}, "reduced_motion": "reduce"}
    with watched(browser, site.as_uri(), **settings) as (page, errors):
        views = start(page, f"{site.as_uri()}/page-light.html")
        for look in explorer.looks:
            look(views[0])
            page.evaluate(SETTLE)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for view in views[:2]:
                looked_at, outside = view.evaluate(OUTSIDE)
                assert looked_at > 10
                assert not outside
        assert not errors


@every_explorer
def test_reduced_motion_and_forced_colours(
    explorer: Explorer, browser: Browser, site: Path
) -> None:
    settings = {"reduced_motion": "reduce", "forced_colors": "active"}
    with watched(browser, site.as_uri(), **settings) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-light.html")[0]
        assert view.evaluate(MOVING) == 0
        assert not errors


@every_explorer
def test_the_chapter_of_the_built_book(explorer: Explorer, page: Page, base_url: str) -> None:
    """Where the comparison needs no more than what is shown; the others have tests of their own."""
    start(page, base_url + explorer.chapter)
    view = page.locator(f"section.vmtl-{explorer.name}").first
    act = next(iter(explorer.controls.values()))[0]
    before = read(view)
    act(view)
    after = read(view)
    assert after != before
    if inspect.signature(explorer.compare).parameters["widget"].default is None:
        explorer.compare(after, None)
