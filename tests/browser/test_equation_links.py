"""The page of equations in the built book: every number and every name leads somewhere."""

import re
from pathlib import Path

from tests.book.chapters import CHAPTERS
from vmtl_core.lab.registry import EQUATIONS

LINK = re.compile(r'class="reference internal" href="([^"#]*)#([^"]+)"[^>]*>(.*?)</a>', re.S)
STEMS = {chapter.stem for chapter in CHAPTERS}


def test_links_of_the_equations(built_book: Path) -> None:
    folder = built_book / "book"
    links = LINK.findall((folder / "equations.html").read_text("utf-8"))
    for page, anchor, _ in links:
        target = (folder / (page or "equations.html")).read_text("utf-8")
        assert f'id="{anchor}"' in target, f"{page or 'the page itself'} has no #{anchor}"
    texts = " ".join(text for _, _, text in links)
    for equation in EQUATIONS:
        assert not (equation.chapter in STEMS and f"({equation.number})" not in texts), equation
        for function in equation.functions:
            assert function.rsplit(".", 1)[-1] in texts, f"{function} is not linked"
