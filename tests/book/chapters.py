"""The chapters as the tests read them."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from tests.conftest import ROOT

BOOK = ROOT / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
APPENDICES = sorted(BOOK.glob("appendix_*.ipynb"))
PAGES = sorted(BOOK.glob("*.md"))
FENCE = re.compile(r"^(```+|~~~+).*?^\1[ \t]*$", re.M | re.S)
DISPLAY = re.compile(r"\$\$.+?\$\$", re.S)
CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.S)

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
README = ROOT / "README.md"
every_page = pytest.mark.parametrize(
    "page", [*CHAPTERS, *APPENDICES, *PAGES, README], ids=lambda path: path.name
)


@cache
def read(chapter: Path) -> Any:
    """The notebook, as nbformat reads it."""
    return nbformat.read(chapter, as_version=4)


def markdown(page: Path) -> str:
    """All Markdown of a chapter or page."""
    if page.suffix == ".md":
        return page.read_text("utf-8")
    return "\n\n".join(c.source for c in read(page).cells if c.cell_type == "markdown")


def prose(page: Path) -> str:
    """The Markdown without code and without displayed formulas."""
    return CODE_SPAN.sub("", DISPLAY.sub("", FENCE.sub("", markdown(page))))


def table_of_contents() -> list[str]:
    """The files that `_toc.yml` lists, in order, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    return [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]


def repository() -> str:
    """Where the project lives, as `_config.yml` says; empty while that isn't known."""
    return yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]["url"]
