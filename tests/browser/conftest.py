"""The built book in headless Chromium, with the rest of the world unreachable.

`page` is a fresh page. A request that would leave this machine is aborted, and it, an error on the
console or an exception in the page fails the test at its end. `base_url` is the address of the built
book and ends with a slash.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, sync_playwright

from tests.browser.explorers import Explorer
from tests.browser.static_page import serving, start, stored, watched, write_page
from tests.conftest import ROOT, chromium, continuous_integration

Made = tuple[list[Any], Path]
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


@pytest.fixture(scope="session")
def built_book() -> Path:
    """Folder of the built book."""
    if not (BUILT / "index.html").exists():
        unavailable("the book is not built: run `make book`")
    return BUILT


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """A function that serves a folder and gives its address; one server for all tests."""
    with serving() as function:
        yield function


@pytest.fixture(scope="session")
def base_url(built_book: Path, serve: Callable[[Path], str]) -> str:
    """Address of the built book; ends with a slash."""
    return serve(built_book)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for all tests of a process.

    Playwright's event loop runs as long as it does: whatever starts a loop of its own, as nbval
    does to execute a chapter, needs another process.
    """
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


# For a module that has a fixture `explorer` of its own: the kind of widget that it tests.


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Explorer], Made]:
    """Two widgets of a kind, and pages that show both, the first of them twice; made once."""

    @functools.cache
    def make(explorer: Explorer) -> Made:
        widgets = explorer.make()
        folder = tmp_path_factory.mktemp(explorer.name)
        first, second = (widget.model_id for widget in widgets)
        for theme in ("light", "dark"):
            write_page(folder, [first, second, first], stored(widgets), theme)
        return widgets, folder

    return make


@pytest.fixture
def widgets(explorer: Explorer, made: Callable[[Explorer], Made]) -> list[Any]:
    return made(explorer)[0]


@pytest.fixture
def site(explorer: Explorer, made: Callable[[Explorer], Made]) -> Path:
    return made(explorer)[1]


@pytest.fixture
def views(browser: Browser, site: Path) -> Iterator[list[Locator]]:
    with watched(browser, site.as_uri()) as (page, errors):
        yield start(page, site.as_uri() + "/page-light.html")
        assert not errors


@pytest.fixture
def view(views: list[Locator]) -> Locator:
    return views[0]
