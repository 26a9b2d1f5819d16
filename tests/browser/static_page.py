"""Small static pages that hold stored widgets, as the built book does, a watched browser page, and
what the tests of the widgets do on it."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ipywidgets.embed import embed_data
from playwright.sync_api import Browser, Locator, Page

from tests.conftest import ROOT

Values = dict[str, Any]
SETTLE = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
MOVE = """(input, to) => {
  input.value = to;
  input.dispatchEvent(new Event('input', {bubbles: true}));
}"""
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
PAGE = """<!DOCTYPE html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>widgets</title>
<link rel="icon" href="data:,"><script src="_static/static-widgets.js"></script></head>
<body style="margin: 8px">{body}<script type="{kind}">{state}</script></body></html>"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and keeps no log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def stored(widgets: Sequence[Any]) -> dict[str, Any]:
    """State of the widgets, as a notebook keeps it."""
    unique = list({widget.model_id: widget for widget in widgets}.values())
    return embed_data(views=unique, drop_defaults=False)["manager_state"]["state"]


def write_page(
    folder: Path, views: Sequence[str], state: dict[str, Any], theme: str = "light"
) -> Path:
    """A page with one view of each model id in `views`, in the form that myst-nb writes."""

    def script(value: Any) -> str:
        return json.dumps(value).replace("</script>", r"<\/script>")

    body = "".join(
        f'<p>text</p><script type="{VIEW}">{script({"model_id": model_id})}</script>'
        for model_id in views
    )
    (folder / "_static").mkdir(exist_ok=True)
    starter = (ROOT / "_static" / "static-widgets.js").read_text(encoding="utf-8")
    (folder / "_static" / "static-widgets.js").write_text(starter, encoding="utf-8")
    path = folder / f"page-{theme}.html"
    manager = {"version_major": 2, "version_minor": 0, "state": state}
    path.write_text(
        PAGE.format(theme=theme, body=body, kind=STATE, state=script(manager)), encoding="utf-8"
    )
    return path


class Folders(QuietHandler):
    """Serves several folders, each under the name in `folders` that its addresses begin with."""

    folders: dict[str, Path]

    def translate_path(self, path: str) -> str:
        name, _, rest = path.lstrip("/").partition("/")
        self.directory = str(self.folders.get(name, "/nowhere"))
        return super().translate_path("/" + rest)


@contextmanager
def serving() -> Iterator[Callable[[Path], str]]:
    """A function that serves a folder and gives its address, which ends with a slash.

    On a free port of this machine, one for all folders.
    """
    folders: dict[str, Path] = {}
    handler = type("Handler", (Folders,), {"folders": folders})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()

        def serve(folder: Path) -> str:
            names = {path: name for name, path in folders.items()}
            name = names.get(folder, str(len(folders)))
            folders[name] = folder
            return f"http://127.0.0.1:{server.server_port}/{name}/"

        yield serve
        server.shutdown()
        thread.join()


@contextmanager
def watched(browser: Browser, allowed: str, **settings: Any) -> Iterator[tuple[Page, list[str]]]:
    """A fresh page and the list of its console errors; no request may leave `allowed`."""
    outside: list[str] = []
    errors: list[str] = []
    context = browser.new_context(**settings)

    def guard(route: Any) -> None:
        if route.request.url.startswith((allowed, "blob:", "data:", "about:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    page = context.new_page()
    page.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page, errors
    context.close()
    assert not outside, f"the page asked for something outside: {outside}"


def start(page: Page, url: str) -> list[Locator]:
    """Opens the page and brings every view to life; they wait until they come near the screen."""
    page.goto(url)
    for place in page.locator(".static-widget").all():
        place.scroll_into_view_if_needed()
        place.locator(".vmtl, [role='note']").first.wait_for()
    return page.locator(".vmtl").all()


def read(view: Locator) -> Values:
    view.page.evaluate(SETTLE)
    return json.loads(view.get_attribute("data-values") or "{}")


def named(view: Locator, name: str) -> Locator:
    return view.locator(f"[data-name='{name}']")
