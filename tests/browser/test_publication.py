"""The built book as a publication: its search, its page for lost readers, its form on paper, its wheel."""

import re
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

import vmtl_core
from tests.book.chapters import CHAPTERS, every_chapter, read, repository

PAPER = """() => {
  const shown = e => e.checkVisibility() && e.getBoundingClientRect().height > 0;
  const all = selector => [...document.querySelectorAll(selector)];
  return {
    cut: all('article pre').filter(e => shown(e) && e.scrollWidth > e.clientWidth + 1).map(e => e.innerText),
    folded: all('article details:not(.hide) pre').filter(e => !shown(e)).map(e => e.innerText),
    controls: all('.static-widget, .copybtn, #jb-print-toc, .prev-next-footer, .bd-sidebar-primary').filter(shown).length,
    figures: all('article .cell_output img').filter(shown).length,
    wide: all('article .cell_output img').filter(e => e.getBoundingClientRect().right > innerWidth).length,
    unseen: all('article .math mjx-container').filter(e => !shown(e)).map(e => e.closest('.math').textContent),
  };
}"""


def test_the_search_finds_gumbel(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}search.html?q=Gumbel")
    results = page.locator("#search-results ul.search li a")
    expect(results.first).to_have_text("3. Gumbel-softmax")
    chapter = re.compile(r"^4\. KL to a mixture$")  # they come one by one
    expect(results.filter(has_text=chapter)).to_be_visible()
    titles = results.all_inner_texts()
    assert any(title.endswith("gumbel_softmax") for title in titles), "the library's function"


def test_a_lost_reader_finds_the_way(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}404.html")
    expect(page.get_by_role("heading", level=1)).to_have_text("This page is not here")
    page.get_by_role("link", name="The introduction", exact=True).click()
    page.wait_for_url("**/book/intro.html")


@every_chapter
def test_a_chapter_on_paper(chapter: Path, page: Page, base_url: str) -> None:
    """Lines of code are whole, solutions unfolded, figures and formulas there, controls gone."""
    page.goto(f"{base_url}book/{chapter.stem}.html")
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.set_viewport_size({"width": 680, "height": 960})  # what an A4 page leaves between margins
    page.emulate_media(media="print")
    found = page.evaluate(PAPER)
    assert found["cut"] == []
    assert found["folded"] == []
    assert found["controls"] == 0
    assert found["wide"] == 0
    assert found["unseen"] == []
    described = [
        c for c in read(chapter).cells if "alt" in c.metadata.get("mystnb", {}).get("image", {})
    ]
    assert found["figures"] >= len(described)


def test_a_chapter_becomes_a_pdf(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}book/{CHAPTERS[0].stem}.html")
    made = page.pdf(format="A4", prefer_css_page_size=True)
    assert made.startswith(b"%PDF-")
    assert 5 <= made.count(b"/Type /Page\n") + made.count(b"/Type /Page ") <= 60


@every_chapter
def test_a_page_begins_without_the_installation(chapter: Path, built_book: Path) -> None:
    """It is for a notebook, which the page offers."""
    text = (built_book / "book" / f"{chapter.stem}.html").read_text("utf-8")
    assert "pip install" not in text.split("</pre>")[0]
    assert "vmtl_core.lab.ready" not in re.sub(r"<[^>]*>", "", text)
    notebook = built_book / "_sources" / "book" / chapter.name
    assert "vmtl_core.lab.ready" in notebook.read_text("utf-8")


def test_the_site_carries_the_wheel(built_book: Path) -> None:
    (wheel,) = built_book.glob("vmtl_core-*.whl")
    assert f"-{vmtl_core.__version__}-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        assert "vmtl_core/lab/ready.py" in archive.namelist()
    install = built_book / "install.txt"
    assert install.exists() == bool(repository())
    assert not install.exists() or wheel.name in install.read_text("utf-8")
