"""Slides from the disk, with no network: shown, turned, and their formulas drawn."""

from pathlib import Path

from playwright.sync_api import Browser, Route

from tests.book.test_handouts import executed_chapter
from tools.slides import slides, write_scripts


def test_slides_from_the_disk(browser: Browser, tmp_path: Path) -> None:
    write_scripts(tmp_path)
    (tmp_path / "12.html").write_text(slides(executed_chapter(), tmp_path), "utf-8")
    outside: list[str] = []
    errors: list[str] = []

    def guard(route: Route) -> None:
        if route.request.url.startswith((tmp_path.as_uri(), "data:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.route("**/*", guard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto((tmp_path / "12.html").as_uri())
    page.locator("section.present h1", has_text="12. Title").wait_for()
    assert not page.get_by_text("More.", exact=True).is_visible()  # it is among the notes
    page.keyboard.press("Space")
    page.locator("section.present h2", has_text="Part").wait_for()
    page.locator("section.present mjx-container svg").first.wait_for()
    page.keyboard.press("Space")
    page.locator("section.present img").wait_for()
    page.close()
    assert outside == []
    assert errors == []
