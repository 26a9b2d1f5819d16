"""Form of the chapters: portable Markdown, a full header, stripped outputs, sound numbers and links."""

import ast
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag

import nbformat
import pytest

import vmtl_core
from tests.book.chapters import (
    APPENDICES,
    BOOK,
    CHAPTERS,
    CODE_SPAN,
    FENCE,
    every_chapter,
    every_page,
    markdown,
    prose,
    read,
    table_of_contents,
)
from tests.conftest import ROOT
from tools.address import current as address_of
from tools.address import notebook
from tools.strip_notebooks import is_compared, stripped_text
from vmtl_core.lab.registry import order

LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)[^)]*\)")
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\(")
IMG = re.compile(r"<img\b[^>]*>", re.I)
TAG = re.compile(r"\\tag\{(\d+)\.(\d+[a-z]?)\}")
HEADER = {
    "what the reader needs": r"what you need",
    "what the reader will be able to do": r"you will be able to",
    "how long it takes": r"\bminutes\b",
}
MYST = {
    "a role": r"\{[a-z][a-z0-9:_-]*\}`",
    "a directive": r"^\s*(```+|~~~+|:::+)\s*\{",
    "a label": r"^\([\w:.-]+\)=\s*$",
    "a comment": r"^%\s",
}


def header(chapter: Path) -> str:
    """The Markdown before the first code cell."""
    cells = read(chapter).cells
    first = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    return "\n\n".join(cell.source for cell in cells[:first])


def slug(heading: str) -> str:
    """The anchor that the book and Jupyter give a heading."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return plain.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Anchors a link into this page may name: headings, tagged equations, `id=` attributes."""
    text = markdown(page)
    headings = re.findall(r"^#{1,6}\s+(.+)$", FENCE.sub("", text), re.M)
    equations = {f"eq-{a}-{b}" for a, b in TAG.findall(text)}
    return {slug(h) for h in headings} | equations | set(re.findall(r'id="([^"]+)"', text))


every_notebook = pytest.mark.parametrize(
    "chapter", [*CHAPTERS, *APPENDICES], ids=lambda path: path.stem
)


@every_notebook
def test_is_a_valid_notebook(chapter: Path) -> None:
    nbformat.validate(read(chapter))
    assert read(chapter).nbformat == 4


@every_notebook
def test_is_kept_stripped(chapter: Path) -> None:
    assert chapter.read_text("utf-8") == stripped_text(chapter), "run `make strip`"


@every_notebook
def test_compared_outputs_are_stored(chapter: Path) -> None:
    """A tagged cell with no output or a null execution count would compare nothing."""
    compared = [cell for cell in read(chapter).cells if is_compared(cell)]
    assert compared, "no cell is tagged nbval-check-output: no number of this chapter is checked"
    for cell in compared:
        assert cell.execution_count is not None, cell.source
        assert cell.outputs, cell.source
        assert all(o.output_type != "error" for o in cell.outputs), cell.source
        assert not re.search(r"\b0x[0-9a-f]{6,}\b", str(cell.outputs)), (
            "an address is never twice the same"
        )


@every_notebook
@pytest.mark.parametrize("piece", HEADER)
def test_header_says(chapter: Path, piece: str) -> None:
    assert re.search(HEADER[piece], header(chapter), re.I), f"the header does not say {piece}"


@every_notebook
def test_header_and_first_cell_know_the_address(chapter: Path) -> None:
    """The Colab button, absent while there is no address, and the lines that install what is missing."""
    wanted = notebook(chapter, address_of(ROOT))
    assert chapter.read_text("utf-8") == wanted, "run `python tools/address.py --again`"


@every_chapter
def test_title_carries_the_number(chapter: Path) -> None:
    titles = re.findall(r"^#\s+(.+)$", FENCE.sub("", markdown(chapter)), re.M)
    assert len(titles) == 1, f"one title a chapter, found {titles}"
    assert re.search(rf"\b{int(chapter.name[:2])}\b", titles[0]), (
        "the title names the chapter's number"
    )


@every_notebook
@pytest.mark.parametrize("construct", MYST)
def test_markdown_is_portable(chapter: Path, construct: str) -> None:
    """Colab knows no MyST."""
    text = markdown(chapter) if construct == "a directive" else FENCE.sub("", markdown(chapter))
    found = re.search(MYST[construct], text, re.M)
    assert not found, f"{construct} of MyST: {found[0]!r}"


def checks_alone(statement: ast.stmt) -> bool:
    """An assertion, or a loop of nothing else."""
    if isinstance(statement, ast.For | ast.With | ast.If):
        return all(checks_alone(one) for one in statement.body)
    return isinstance(statement, ast.Assert)


@every_notebook
def test_cells_of_assertions_are_folded(chapter: Path) -> None:
    """A cell of which half or more is assertions is for the one who runs it; the reader opens it."""
    for cell in read(chapter).cells:
        if cell.cell_type != "code":
            continue
        source = re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.M)
        checks = [checks_alone(statement) for statement in ast.parse(source).body]
        if checks and 2 * sum(checks) >= len(checks):
            assert "hide-input" in cell.metadata.get("tags", []), cell.id


@every_chapter
def test_no_interact(chapter: Path) -> None:
    """In a static page the output of `interact` moves the slider and not the answer."""
    code = "\n".join(c.source for c in read(chapter).cells if c.cell_type == "code")
    assert not re.search(r"@?\binteract(ive|_manual|ive_output)?\s*\(", code)
    assert not re.search(r"@interact\b", code)


@every_chapter
def test_equations_are_numbered_in_order(chapter: Path) -> None:
    numbers = [order(f"{a}.{b}") for a, b in TAG.findall(markdown(chapter))]
    own = int(chapter.name[:2])
    assert {number[0] for number in numbers} <= {own}, f"a number of another chapter: {numbers}"
    assert numbers == sorted(set(numbers)), f"numbers must ascend, each once: {numbers}"
    for display in re.findall(r"\$\$.+?\$\$", markdown(chapter), re.S):
        assert len(TAG.findall(display)) <= 1, f"two tags in one formula: {display}"


def test_references_to_equations_exist() -> None:
    written = {number for chapter in CHAPTERS for number in TAG.findall(markdown(chapter))}
    chapters = {str(int(chapter.name[:2])) for chapter in CHAPTERS}
    for chapter in CHAPTERS:
        named = re.findall(r"\((\d{1,2})\.(\d{1,2}[a-z]?)\)", prose(chapter))
        missing = {pair for pair in named if pair[0] in chapters} - written
        assert not missing, (
            f"{chapter.name} names equations that are not written: {sorted(missing)}"
        )


@every_page
def test_pictures_are_described(page: Path) -> None:
    text = markdown(page)
    assert all(found["alt"].strip() for found in IMAGE.finditer(text)), "an image without alt text"
    for img in IMG.findall(text):
        assert re.search(r'\balt="[^"]+"', img), img
    if page.suffix == ".ipynb":
        for cell in read(page).cells:
            for output in cell.get("outputs", []):
                pictures = [m for m in output.get("data", {}) if m.startswith("image/")]
                alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
                assert not pictures or alt, f"a stored picture without alt text: {cell.source}"


@every_page
def test_links_resolve(page: Path) -> None:
    text = CODE_SPAN.sub("", FENCE.sub("", markdown(page)))
    for found in LINK.finditer(text):
        target = found["target"]
        if re.match(r"[a-z]+:", target):
            continue
        path, anchor = urldefrag(unquote(target))
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), f"{target} leads nowhere"
        if anchor and linked.suffix in (".md", ".ipynb"):
            assert anchor in anchors(linked), f"{target}: no such heading"


@every_notebook
def test_chapter_is_listed(chapter: Path) -> None:
    assert f"book/{chapter.stem}" in table_of_contents(), "add a line to _toc.yml"


def test_every_listed_page_exists() -> None:
    for entry in table_of_contents():
        assert any((ROOT / f"{entry}{suffix}").is_file() for suffix in (".md", ".ipynb")), entry


def test_chapters_are_in_order() -> None:
    listed = [e for e in table_of_contents() if re.match(r"book/\d\d_", e)]
    assert listed == sorted(listed)


def test_only_chapters_in_the_book_folder() -> None:
    assert sorted(BOOK.glob("*.ipynb")) == [*CHAPTERS, *APPENDICES]


def test_api_page_lists_every_public_name() -> None:
    """book/api.md and `vmtl_core.__all__` name the same things."""
    listed = re.findall(
        r"^\.\. auto(?:class|function|data|exception):: vmtl_core\.(\w+)$",
        (BOOK / "api.md").read_text("utf-8"),
        re.M,
    )
    assert len(listed) == len(set(listed)), "a name is listed twice"
    assert set(listed) == set(vmtl_core.__all__) - {"__version__"}
