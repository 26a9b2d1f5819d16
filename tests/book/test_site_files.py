"""What a published site needs beside its pages: a page for lost readers, a list of pages, previews."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from PIL import Image

from _ext.site_files import (
    MOVED,
    PICTURE,
    SIZE,
    absolute,
    describe,
    describe_page,
    moved,
    preview,
    redirect,
    sitemap,
)
from tests.book.chapters import table_of_contents

LONG = "A sentence that goes on for longer than sixty characters, so that it describes a page."


def document(text: str) -> nodes.document:
    return publish_doctree(f"Title\n=====\n\nFirst\n-----\n\n{text}\n\nSecond\n------\n\nEnd.")


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("", LONG),
        ("Too short.\n\n", LONG),
        ("**What you need:** " + LONG + "\n\n", LONG),
        (f"The mean of :math:`x` is below the one of {LONG}\n\n", LONG),
        (f"- {LONG.upper()}\n\n", LONG),
    ],
)
def test_a_page_is_described_by_its_first_plain_paragraph(before: str, wanted: str) -> None:
    assert describe(document(before + LONG)) == wanted


def test_descriptions_are_short_and_may_be_missing() -> None:
    found = describe(document(" ".join([LONG] * 5)))
    assert len(found) <= 202
    assert found.endswith(" …")
    assert LONG in found
    assert describe(document("Short.")) == ""
    assert describe(None) == ""


def described(site: str, title: str = "<em>3.</em> Title") -> str:
    """The tags of a page's head, on a site with this address."""
    app: Any = SimpleNamespace(config=SimpleNamespace(html_baseurl=site, html_title="The book"))
    context: dict[str, Any] = {"title": title, "metatags": "<meta>\n"}
    describe_page(app, "book/x", "page.html", context, document(LONG.replace("page", '"page"')))
    return context["metatags"]


def test_previews_name_addresses_on_a_site_that_has_one() -> None:
    tags = described("https://ada.github.io/vmtl/")
    assert tags.startswith("<meta>\n")
    assert 'property="og:url" content="https://ada.github.io/vmtl/book/x.html"' in tags
    assert 'property="og:image" content="https://ada.github.io/vmtl/_static/preview.png"' in tags
    tags = described("")
    assert "https:" not in tags
    assert "og:image" not in tags
    assert '"og:title" content="3. Title"' in tags
    assert 'name="description"' in tags
    assert "&quot;page&quot;" in tags
    assert '"og:title" content="The book"' in described("", "")


def test_a_lost_reader_s_links_name_the_path_of_the_site() -> None:
    page = '<html data-content_root="./"><a href="book/x.html#y"><img src="_static/a.png">'
    assert absolute(page, "/vmtl/") == (
        '<html data-content_root="/vmtl/"><a href="/vmtl/book/x.html#y"><img src="/vmtl/_static/a.png">'
    )
    for kept in ('href="#main"', 'href="https://x.org/"', 'src="data:image/png"', 'href="/x"'):
        assert absolute(kept, "/vmtl/") == kept
    assert absolute('href="a.html"', "/") == 'href="/a.html"'


def test_the_list_of_pages() -> None:
    root = ElementTree.fromstring(
        sitemap("https://ada.github.io/", ["b&c.html", "a.html"]).encode()
    )
    addresses = [
        entry.text for entry in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")
    ]
    assert addresses == ["https://ada.github.io/a.html", "https://ada.github.io/b&c.html"]


def test_the_preview_has_the_shape_that_is_asked_for(tmp_path: Path) -> None:
    picture = preview(PICTURE)
    assert picture.size == SIZE
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    picture.save(tmp_path / "preview.png")
    with Image.open(tmp_path / "preview.png") as kept:
        assert len(kept.convert("L").getcolors() or range(99)) > 20, "a picture, not a blank"


def test_an_old_address_leads_to_the_new_one() -> None:
    page = redirect("book/old", "book/new")
    assert page.count('"../book/new.html"') == 2
    assert "url=../book/new.html" in page
    assert "location.hash" in page


def test_moved_pages_lead_to_pages_and_are_none() -> None:
    for old, new in moved(MOVED.read_text("utf-8")).items():
        assert new in table_of_contents()
        assert old not in table_of_contents()
