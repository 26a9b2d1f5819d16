"""Pages are light, and what widgets keep in them holds nothing up: the first paint comes before it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.static_page import STATE, QuietHandler, watched
from tests.browser.test_pages import written_pages

LIMIT = 1.5e6
MATHEMATICS = "mathjax/"
STATE_TAG = f'<script type="{STATE}"'
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length > 0"
HERE = '<meta name="here">'  # so far has the page been read
PAINT_TIME = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def without_mathematics(page: Page) -> None:
    """Formulas stay TeX: they are not weighed, and drawing them takes most of the time."""
    page.route(f"**/{MATHEMATICS}**", lambda route: route.fulfill(content_type="text/javascript"))


def weigh(page: Page, url: str, base_url: str, folder: Path) -> dict[str, int]:
    """Bytes of the page and of everything that it loads, but for what draws mathematics."""
    loaded: set[str] = set()
    page.on("response", lambda response: loaded.add(urlsplit(response.url)._replace(query="", fragment="").geturl()))  # fmt: skip
    without_mathematics(page)
    page.goto(url, wait_until="networkidle")
    for picture in page.locator("img[loading='lazy']").all():
        loaded.add(str(picture.evaluate("image => image.src")))
    inside = [unquote(address.removeprefix(base_url)) for address in loaded if address.startswith(base_url)]  # fmt: skip
    return {name: (folder / name).stat().st_size for name in inside if not name.startswith(MATHEMATICS)}  # fmt: skip


@written_pages
def test_page_is_light(path: str, page: Page, base_url: str, built_book: Path) -> None:
    weights = weigh(page, base_url + path, base_url, built_book)
    assert path in weights
    assert any(name.endswith(".css") for name in weights), "style sheets are counted"
    total = sum(weights.values())
    heaviest = sorted(weights.items(), key=lambda item: -item[1])[:5]
    assert total < LIMIT, f"{path} takes {total / 1e6:.2f} MB of {LIMIT / 1e6} MB; {heaviest}"


class HoldingHandler(QuietHandler):
    """Serves a folder, and one page of it up to its stored widgets; the rest comes when allowed."""

    held: tuple[str, str]
    allowed: threading.Event

    def do_GET(self) -> None:
        path, text = self.held
        if self.path != f"/{path}":
            super().do_GET()
            return
        first, mark, rest = text.partition(STATE_TAG)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(first.encode())
        self.wfile.flush()
        self.allowed.wait(30)
        self.wfile.write((mark + rest).encode())


@contextmanager
def holding(folder: Path, path: str, text: str) -> Iterator[tuple[str, threading.Event]]:
    """Address of a server that holds the page back at its stored widgets, and what lets it go on."""
    allowed = threading.Event()
    handler = type("Handler", (HoldingHandler,), {"held": (path, text), "allowed": allowed})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", allowed
        allowed.set()
        server.shutdown()
        thread.join()


def with_widgets(built_book: Path) -> list[str]:
    pages = [str(found.relative_to(built_book)) for found in (built_book / "book").glob("*.html")]
    return [path for path in sorted(pages) if STATE_TAG in (built_book / path).read_text("utf-8")]


@pytest.mark.nightly
def test_the_first_paint_needs_nothing_of_the_widgets(browser: Browser, built_book: Path) -> None:
    """The page is painted while everything from the widgets' state on has not even been sent."""
    paths = with_widgets(built_book)
    assert len(paths) >= 5
    for path in paths:
        text = (built_book / path).read_text("utf-8")
        with holding(built_book, path, text) as (address, allowed), watched(browser, address) as (page, errors):  # fmt: skip
            without_mathematics(page)
            page.goto(address + path, wait_until="commit")
            page.wait_for_function(PAINTED)
            assert page.locator("article h1").is_visible()
            assert page.locator(".vmtl").count() == 0
            allowed.set()
            place = page.locator(".static-widget").first
            place.scroll_into_view_if_needed()
            place.locator(".vmtl").wait_for()
            assert not errors


def test_a_state_before_the_content_would_be_seen(browser: Browser, built_book: Path) -> None:
    """The known mistake: widget data at the top of the page."""
    path = with_widgets(built_book)[0]
    text = (built_book / path).read_text("utf-8")
    start = text.index(STATE_TAG)
    end = text.index("</script>", start) + len("</script>")
    state, rest = text[start:end], text[:start] + text[end:]
    wrong = rest.replace("</head>", HERE + state + "</head>", 1)
    with (
        holding(built_book, path, wrong) as (address, allowed),
        watched(browser, address) as (page, _),
    ):
        page.goto(address + path, wait_until="commit")
        page.locator("meta[name=here]").wait_for(state="attached")
        assert page.locator("article h1").count() == 0
        before = page.evaluate("performance.now()")
        allowed.set()
        page.wait_for_function(PAINTED)
        assert page.evaluate(PAINT_TIME) > before
