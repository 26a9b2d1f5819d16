"""axe-core over every page of the built book, in the light and in the dark theme."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.test_pages import written_pages

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v =>
    ({ rule: v.id, help: v.help, count: v.nodes.length,
       first: v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + (n.any[0]?.message ?? '').slice(0, 120)) }));
}"""


def findings(page: Page) -> list[dict[str, Any]]:
    """What axe-core calls serious or critical on the page as it stands."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    return page.evaluate(RUN)


def settle(page: Page) -> None:
    """Formulas drawn, every figure started, transitions over."""
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
    for place in page.locator(".static-widget").all():
        place.scroll_into_view_if_needed()
        place.locator(".vmtl, [role='note']").first.wait_for()


@written_pages
def test_no_serious_finding(path: str, page: Page, base_url: str) -> None:
    page.goto(base_url + path)
    settle(page)
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        page.wait_for_timeout(300)
        found = findings(page)
        assert not found, f"{theme} theme: {found}"


def test_the_check_sees_what_is_wrong(page: Page) -> None:
    """A picture without alt text, a button without a name, pale grey text on white."""
    page.set_content(
        """<!DOCTYPE html><html lang="en"><title>wrong</title><main><h1>wrong</h1><img src="data:,">
        <button></button><p style="color: #bbb; background: #fff">pale</p></main></html>"""
    )
    rules = {found["rule"] for found in findings(page)}
    assert {"image-alt", "button-name", "color-contrast"} <= rules
