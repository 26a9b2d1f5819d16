"""Slides of a chapter: what a room needs to see; the chapter's text goes into the speaker's notes.

A section makes a slide of its heading, its first paragraph and its numbered equations; the sections of
questions and of take-aways, and every exercise, are shown whole. Each described figure is a slide
below its section's. What a cell tagged `slide` prints is shown with its section, what is tagged
`no-slide` never. reveal.js and MathJax, which show the slides, lie beside them in the folder `reveal`.
"""

import base64
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import SlidesExporter

ROOT = Path(__file__).resolve().parents[1]
REVEAL = ROOT / "tools" / "reveal"
MATHJAX = ROOT / "vendor" / "mathjax" / "tex-svg-full.js"
WIDTH, HEIGHT = 1100, 700
"""Of a slide, in pixels before it is fitted to the screen."""
HEADING = re.compile(r"^(#{1,3}) (.+)$", re.M)
DISPLAY = re.compile(r"\$\$.+?\$\$", re.S)
BADGE = re.compile(r"^\[!\[Open in Colab\].*\n+", re.M)
FOLDED = re.compile(r"<details>.*?</details>", re.S)
CODE = re.compile(r"^```.*?^```$", re.M | re.S)
WHOLE = re.compile(r"A question first|Take-aways|Exercise ", re.I)
LEFT_OUT = ("References",)


def slides(chapter: Any, folder: Path) -> str:
    """One HTML page.

    Args:
        chapter: an executed notebook.
        folder: where the pictures lie that its Markdown names.
    """
    cells: list[Any] = []
    for cell in chapter.cells:
        if "no-slide" in cell.metadata.get("tags", []):
            continue
        cells += of_text(cell.source) if cell.cell_type == "markdown" else of_code(cell)
    known = {key: chapter.metadata[key] for key in ("kernelspec", "language_info")}
    shown = nbformat.v4.new_notebook(cells=embedded(cells, folder), metadata=known)
    exporter = SlidesExporter(exclude_input=True, exclude_output_prompt=True, reveal_theme="book")
    exporter.raw_template = (REVEAL / "slides.html.j2").read_text("utf-8")
    exporter.reveal_url_prefix = "reveal"
    exporter.reveal_width, exporter.reveal_height = str(WIDTH), str(HEIGHT)
    title = HEADING.search(chapter.cells[0].source)
    page, _ = exporter.from_notebook_node(shown, {"metadata": {"name": title[2] if title else ""}})
    return page


def write_scripts(folder: Path) -> None:
    """What the slides in a folder need beside them."""
    shutil.copytree(
        REVEAL,
        folder / "reveal",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("*.j2", "README.md"),
    )
    shutil.copy(MATHJAX, folder / "reveal")
    shutil.copy(MATHJAX.with_name("LICENSE"), folder / "reveal" / "LICENSE-MathJax")


def of_text(text: str) -> list[Any]:
    """The slides of a Markdown cell, one a heading, each with its notes."""
    before, *sections = re.split(r"(?m)^(?=#{1,3} )", CODE.sub("", FOLDED.sub("", text)))
    made = [one for equation in equations(before) for one in slide(equation, "", "subslide")]
    for section in sections:
        heading = HEADING.match(section)
        assert heading is not None
        body = section[heading.end() :].strip()
        if heading[2] in LEFT_OUT:
            continue
        first = DISPLAY.sub("", BADGE.sub("", body).split("\n\n", 1)[0]).strip()
        kept = body if WHOLE.search(heading[2]) else "\n\n".join([first, *equations(body)])
        kind = "subslide" if heading[1] == "###" else "slide"
        made += slide(f"{heading[0]}\n\n{kept}".strip(), "" if kept == body else body, kind)
    return made


def equations(text: str) -> list[str]:
    """The numbered equations in a text."""
    return [display for display in DISPLAY.findall(text) if r"\tag{" in display]


def of_code(cell: Any) -> list[Any]:
    """A figure's slide, or what a cell tagged `slide` printed; no widgets, which need a kernel."""
    tags = cell.metadata.get("tags", [])
    figure = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    if not figure and "slide" not in tags:
        return []
    kept = [one for one in cell.outputs if "widget" not in str(list(one.get("data", {})))]
    made = nbformat.v4.new_code_cell("", outputs=kept, execution_count=1)
    made.metadata["slideshow"] = {"slide_type": "subslide" if figure else "fragment"}
    return [made] if kept else []


def slide(text: str, notes: str, kind: str) -> list[Any]:
    """A slide and, where there are any, its notes."""
    cells = [nbformat.v4.new_markdown_cell(text)]
    cells[0].metadata["slideshow"] = {"slide_type": kind}
    if notes:
        cells.append(nbformat.v4.new_markdown_cell(notes))
        cells[1].metadata["slideshow"] = {"slide_type": "notes"}
    return cells


def embedded(cells: list[Any], folder: Path) -> list[Any]:
    """The cells with the pictures that their Markdown names put into them."""
    for cell in cells:
        for name in re.findall(r"!\[[^\]]*\]\(([^):]+\.png)\)", cell.source):
            if (folder / name).is_file():
                data = base64.b64encode((folder / name).read_bytes()).decode()
                cell.source = cell.source.replace(f"({name})", f"(data:image/png;base64,{data})")
    return cells
