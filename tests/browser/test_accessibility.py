"""axe-core over every page of the built book, in the light and in the dark theme."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.test_pages import lively_pages

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
RUN = """async rules => {
  const only = rules.length ? { runOnly: { type: 'rule', values: rules } } : {};
  // Formulas are drawn as shapes: no rule of colours is about them.
  const where = rules.length ? { exclude: ['mjx-container'] } : document;
  const found = await axe.run(where, { resultTypes: ['violations'], ...only });
  return found.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v =>
    ({ rule: v.id, help: v.help, count: v.nodes.length,
       first: v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + (n.any[0]?.message ?? '').slice(0, 120)) }));
}"""


# A theme changes colours and nothing else: for the second one these are enough.
OF_COLOURS = ("color-contrast", "link-in-text-block")
STILL = """() => document.getAnimations().filter(a => a.effect.getComputedTiming().endTime < Infinity)
  .forEach(a => a.finish())"""


def findings(page: Page, rules: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What axe-core calls serious or critical on the page as it stands; by all rules, if none is given."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    return page.evaluate(RUN, list(rules))


def settle(page: Page) -> None:
    """Formulas drawn, every figure started, transitions over."""
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
    for place in page.locator(".static-widget").all():
        place.scroll_into_view_if_needed()
        place.locator(".vmtl, [role='note']").first.wait_for()


@lively_pages
@pytest.mark.parametrize(
    ("theme", "rules"), [("light", ()), pytest.param("dark", OF_COLOURS, marks=pytest.mark.nightly)]
)
def test_no_serious_finding(
    path: str, theme: str, rules: tuple[str, ...], page: Page, base_url: str
) -> None:
    page.goto(base_url + path)
    settle(page)
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    page.evaluate(STILL)
    found = findings(page, rules)
    assert not found, f"{theme} theme: {found}"


def test_the_check_sees_what_is_wrong(page: Page) -> None:
    """A picture without alt text, a button without a name, pale grey text on white, a link in its
    paragraph's colour."""
    page.set_content(
        """<!DOCTYPE html><html lang="en"><title>wrong</title><main><h1>wrong</h1><img src="data:,">
        <button></button><p style="color: #bbb; background: #fff">pale</p>
        <p style="color: #222">see <a href="#" style="color: #333; text-decoration: none">here</a> for
        more</p></main></html>"""
    )
    rules = {found["rule"] for found in findings(page)}
    assert {"image-alt", "button-name", *OF_COLOURS} <= rules
    assert {found["rule"] for found in findings(page, OF_COLOURS)} == set(OF_COLOURS)
