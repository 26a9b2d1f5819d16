"""Every page of the built book: loads, asks for nothing outside, formulas drawn, pictures described."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from playwright.sync_api import Page

from _ext.site_files import MOVED, moved
from tests.book.chapters import every_chapter, read
from tests.browser.conftest import BUILT
from tests.browser.static_page import STATE, VIEW

PAGES = sorted(
    str(found.relative_to(BUILT))
    for found in BUILT.rglob("*.html")
    if not {"_static", "_sources", "_images"} & set(found.relative_to(BUILT).parts)
    and found != BUILT / "index.html"  # sends the reader on to the introduction
    and str(found.relative_to(BUILT).with_suffix("")) not in moved(MOVED.read_text("utf-8"))
)
every_page = pytest.mark.parametrize("path", PAGES or ["no page is built"])
written_pages = pytest.mark.parametrize(
    "path", [path for path in PAGES if not path.startswith("_modules")] or ["no page is built"]
)


def rarely(path: str) -> bool:
    """A page without a widget: template and styles are those of the pages that have one."""
    return "static-widget" not in (BUILT / path).read_text("utf-8")


lively_pages = pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.nightly if rarely(path) else ())
        for path in PAGES
        if not path.startswith("_modules")
    ]
    or ["no page is built"],
)
"""Those with a widget; the others in the nightly run."""

MATHEMATICS = """async () => {
  await window.MathJax?.startup?.promise;
  return {
    written: [...document.querySelectorAll('.math')].filter(e => !e.parentElement.closest('.math')).length,
    drawn: [...document.querySelectorAll('.math')].filter(e => e.querySelector('mjx-container svg path, mjx-container svg use')).length,
    raw: [...document.querySelectorAll('.math')].map(e => e.innerText).filter(t => /\\\\[(\\[]/.test(t)),
    // What sticks out to the left can't be scrolled to.
    cut: [...document.querySelectorAll('div.math')].filter(e => {
      const drawn = e.querySelector('svg');
      return drawn && drawn.getBoundingClientRect().left < e.getBoundingClientRect().left - 1;
    }).map(e => e.id),
    errors: [...document.querySelectorAll('mjx-merror, [data-mjx-error], [data-mml-node="merror"]')]
      .map(e => e.getAttribute('data-mjx-error') ?? e.closest('.math')?.textContent ?? e.textContent),
  };
}"""
PICTURES = """() => [...document.querySelectorAll('img')].map(e => ({
  source: e.getAttribute('src').slice(0, 80), alt: e.getAttribute('alt'),
  drawn: e.complete && e.naturalWidth > 0 || getComputedStyle(e).display === 'none' || e.loading === 'lazy' }))"""
FILE_NAME = re.compile(r"(^|/)[\w.-]+\.(png|svg|jpe?g|gif)$")


def check_mathematics(page: Page) -> None:
    found = page.evaluate(MATHEMATICS)
    assert not found["errors"], f"formulas that MathJax rejects: {found['errors']}"
    assert not found["raw"], f"formulas left as TeX: {found['raw']}"
    assert found["drawn"] == found["written"], "some formulas are not drawn"
    assert not found["cut"], f"formulas whose beginning is out of reach: {found['cut']}"


def check_pictures(page: Page) -> None:
    found = page.evaluate(PICTURES)
    bare = [p["source"] for p in found if not p["alt"] or FILE_NAME.search(p["alt"])]
    assert not bare, f"pictures without a description of their own: {bare}"
    blank = [p["source"] for p in found if not p["drawn"]]
    assert not blank, f"pictures that did not load: {blank}"


def check_links(page: Page, base_url: str, built_book: Path) -> None:
    hrefs = page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
    inside = {href.removeprefix(base_url) for href in hrefs if href.startswith(base_url)}
    broken = sorted(link for link in inside if not leads_somewhere(link, built_book))
    assert not broken, f"links that lead nowhere: {broken}"


def leads_somewhere(link: str, built_book: Path) -> bool:
    path, anchor = urldefrag(link)
    target = built_book / unquote(path.split("?")[0])
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return False
    anchor = unquote(anchor)
    return not anchor or target.suffix != ".html" or f'id="{anchor}"' in target.read_text("utf-8")


@every_page
def test_page_works_alone(path: str, page: Page, base_url: str, built_book: Path) -> None:
    response = page.goto(base_url + path)
    assert response is not None
    assert response.ok
    check_mathematics(page)
    check_pictures(page)
    check_links(page, base_url, built_book)


@lively_pages
def test_page_works_from_a_file(path: str, page: Page, built_book: Path) -> None:
    page.goto((built_book / path).as_uri())
    check_mathematics(page)
    check_pictures(page)


class Pictures(HTMLParser):
    """The descriptions of a page's pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.alts: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))


@every_chapter
def test_every_described_figure_is_there(chapter: Path, built_book: Path) -> None:
    """A cell that describes its figure shows one: a wrong matplotlib backend would show none."""
    shown = Pictures((built_book / "book" / f"{chapter.stem}.html").read_text("utf-8")).alts
    cells = [cell.metadata.get("mystnb", {}).get("image", {}) for cell in read(chapter).cells]
    missing = [image["alt"] for image in cells if "alt" in image and image["alt"] not in shown]
    assert not missing, f"figures that are described but not shown: {missing}"


def test_no_box_needs_python(built_book: Path) -> None:
    """Every widget that a page shows carries the JavaScript that runs it."""
    views = 0
    for path in built_book.rglob("*.html"):
        text = path.read_text("utf-8")
        shown = [json.loads(found)["model_id"] for found in scripts(text, VIEW)]
        states = [json.loads(found)["state"] for found in scripts(text, STATE)]
        models = {name: model for state in states for name, model in state.items()}
        for name in shown:
            assert models[name]["state"].get("_esm"), f"{path.name}: {models[name]['model_name']}"
        views += len(shown)
    assert views > 8


def scripts(text: str, kind: str) -> list[str]:
    """The contents of the page's script elements of a kind."""
    return re.findall(rf'<script type="{re.escape(kind)}">(.*?)</script>', text, re.S)


def test_the_address_of_the_site_opens_the_book(page: Page, base_url: str) -> None:
    page.goto(base_url)
    page.wait_for_url("**/book/intro.html")
    page.wait_for_load_state()


def test_mathematics_is_checked(page: Page, base_url: str) -> None:
    """The checks above see a broken formula."""
    page.goto(base_url + "book/notation.html")
    page.evaluate(
        r"""async () => {
          const bad = document.createElement('div');
          bad.className = 'math';
          bad.textContent = '\\(\\undefinedcommand{x}\\)';
          document.querySelector('article').append(bad);
          await MathJax.typesetPromise([bad]);
        }"""
    )
    with pytest.raises(AssertionError, match="rejects"):
        check_mathematics(page)


def test_site_is_small(built_book: Path) -> None:
    size = sum(found.stat().st_size for found in built_book.rglob("*") if found.is_file())
    assert size < 15e6, f"the site takes {size / 1e6:.1f} MB; the limit is 15 MB"
