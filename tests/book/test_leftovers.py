"""Nothing in the repository names an equation, a chapter or a notebook that isn't there."""

import re

from tests.book.chapters import BOOK, CHAPTERS
from tests.conftest import ROOT
from tools.renumber import CHAPTERS as NAMED_CHAPTERS
from tools.renumber import CITED, FOREIGN, MADE_UP, files
from vmtl_core.lab.registry import EQUATIONS

KNOWN = {equation.number for equation in EQUATIONS}
LAST = max(int(path.name[:2]) for path in CHAPTERS)
NOTEBOOK = re.compile(r"(?<![\w-])(?:book/)?(\d\d_\w+)\.(?:ipynb|html)")
LINK = re.compile(r"\[[Cc]hapter (\d+)\]\((?:[\w/]*/)?(\d\d)_")
WORDED = re.compile(r'["#*/].*[a-z]{3}')
OF_TOOLS = (*MADE_UP, "test_address.py", "test_check.py", "test_leftovers.py", "test_site_files.py")
"""Their numbers and names are examples of their own."""
TEXTS = {
    path: (ROOT / path).read_text("utf-8")
    for path in files(ROOT)
    if path.endswith((".py", ".js", ".md", ".ipynb", ".yml")) and not path.endswith(OF_TOOLS)
}


def cited(path: str, text: str) -> set[str]:
    """The equations that a page names, or a docstring, a comment, a message of code."""
    if not path.endswith((".md", ".ipynb")):  # in code alone, a number is a number
        text = "\n".join(line for line in text.splitlines() if WORDED.search(line))
    return set(CITED.findall(text))


def chapters(text: str) -> set[int]:
    """The chapters that a text names, without those of other books."""
    return {
        int(number)
        for found in NAMED_CHAPTERS.finditer(text)
        if not FOREIGN.search(text[max(0, found.start() - 40) : found.start()])
        for number in re.findall(r"\d+", found[0])
    }


def test_every_cited_equation_is_registered() -> None:
    left = {path: found for path, text in TEXTS.items() if (found := cited(path, text) - KNOWN)}
    assert not left


def test_every_named_chapter_exists() -> None:
    assert {LAST, LAST - 1} <= {n for text in TEXTS.values() for n in chapters(text)}
    left = {
        p: found for p, text in TEXTS.items() if (found := chapters(text) - set(range(LAST + 1)))
    }
    assert not left


def test_every_named_notebook_exists() -> None:
    there = {path.stem for path in BOOK.glob("*.ipynb")}
    left = {
        path: found for path, text in TEXTS.items() if (found := {*NOTEBOOK.findall(text)} - there)
    }
    assert not left


def crossed(text: str) -> list[tuple[str, str]]:
    """Links that say one chapter and lead to another."""
    return [(said, to) for said, to in LINK.findall(text) if int(said) != int(to)]


def test_a_link_leads_to_the_chapter_that_it_names() -> None:
    assert sum(len(LINK.findall(text)) for text in TEXTS.values()) > 10
    assert not {path: found for path, text in TEXTS.items() if (found := crossed(text))}


def test_what_is_left_behind_is_found() -> None:
    assert cited("a.md", "by (4.99)") == {"4.99"}
    assert cited("a.py", "# as found by (4.99)\nf = (4.98)\n") == {"4.99"}
    assert chapters("chapters 3, 4 and 17; Bishop, *PRML*, 2006, chapter 23") == {3, 4, 17}
    assert crossed("[chapter 12](14_groups.ipynb), [Chapter 9](book/09_rail.html)") == [
        ("12", "14")
    ]
