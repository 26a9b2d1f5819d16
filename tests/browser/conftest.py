"""The built book in headless Chromium, with the rest of the world unreachable.

`page` is a fresh page. A request that would leave this machine is aborted, and it, an error on the
console or an exception in the page fails the test at its end. `base_url` is the address of the built
book and ends with a slash.
"""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, sync_playwright

from tests.browser.static_page import (
    QuietHandler,
    serve,
    start,
    stored,
    watched,
    write_page,
)
from tests.conftest import ROOT, chromium, continuous_integration
from vmtl_core.lab.widgets._base import Widget

BUILT = ROOT / "_build" / "html"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def unavailable(reason: str) -> None:
    """Fail where the tests must run (CI), skip elsewhere."""
    if continuous_integration():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def built_book() -> Path:
    """Folder of the built book."""
    if not (BUILT / "index.html").exists():
        unavailable("the book is not built: run `make book`")
    return BUILT


@pytest.fixture(scope="module")
def base_url(built_book: Path) -> Iterator[str]:
    """Address of the built book, served on a free port of this machine; ends with a slash."""
    handler = functools.partial(QuietHandler, directory=built_book)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Of module scope: playwright's event loop must end before nbval's begins."""
    executable = chromium()
    if executable is None:
        unavailable("no Chromium on this machine")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, base_url: str, built_book: Path) -> Iterator[Page]:
    """A fresh page; outside requests and console errors fail the test at its end."""
    allowed = (base_url, built_book.as_uri() + "/", "blob:", "data:", "about:")
    outside: list[str] = []
    errors: list[str] = []

    def guard(route: Route) -> None:
        if route.request.url.startswith(allowed):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context = browser.new_context()
    context.route("**/*", guard)
    fresh = context.new_page()
    fresh.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    fresh.on("pageerror", lambda error: errors.append(str(error)))
    yield fresh
    context.close()
    assert not outside, f"the page asked for something outside: {outside}"
    assert not errors, f"errors on the console: {errors}"


# For a module that has a fixture `widgets` of its own: two widgets of the kind it tests.


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, widgets: list[Widget]) -> Path:
    """Pages with two widgets, the first of them viewed twice."""
    folder = tmp_path_factory.mktemp("site")
    first, second = (widget.model_id for widget in widgets)
    for theme in ("light", "dark"):
        write_page(folder, [first, second, first], stored(widgets), theme)
    return folder


@pytest.fixture(params=["http", "file"])
def views(request: pytest.FixtureRequest, browser: Browser, site: Path) -> Iterator[list[Locator]]:
    with serve(site) as address:
        base = address if request.param == "http" else site.as_uri() + "/"
        with watched(browser, base) as (page, errors):
            yield start(page, base + "page-light.html")
            assert not errors


@pytest.fixture
def view(browser: Browser, site: Path) -> Iterator[Locator]:
    with watched(browser, site.as_uri()) as (page, errors):
        yield start(page, site.as_uri() + "/page-light.html")[0]
        assert not errors
