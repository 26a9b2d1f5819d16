"""Pictures with panels side by side scroll on a phone: shrunk to its width nobody could read them.

Once the book is built, an `img` whose file is wider than a single panel gets the class "wide", for which
_static/book.css keeps a width.
"""

import re
from pathlib import Path
from typing import Any

from PIL import Image
from sphinx.application import Sphinx

PICTURE = re.compile(r'<img (alt="[^"]*" src="([^"]*_images/[^"/]+\.png)")')
ONE_PANEL = 800
"""Pixels of the widest picture that a phone may shrink."""


def mark(page: Path) -> None:
    """Give the wide pictures of a page their class."""

    def marked(found: re.Match[str]) -> str:
        with Image.open(page.parent / found[2]) as picture:
            return f'<img class="wide" {found[1]}' if picture.width > ONE_PANEL else found[0]

    text = page.read_text(encoding="utf-8")
    if (changed := PICTURE.sub(marked, text)) != text:
        page.write_text(changed, encoding="utf-8")


def mark_all(app: Sphinx, exception: Exception | None) -> None:
    """Mark the pictures of every page of a finished site."""
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            mark(page)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the step."""
    app.connect("build-finished", mark_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
