"""Write what a class needs: chapters without solutions, chapters with the exercises solved, slides.

    python tools/handouts.py _build/handouts     # `make handouts`

- `student/`: the chapters without the folded solutions, and at the end a cell that keeps the table of
  `progress()` in a file to hand in.
- `solutions/`: the chapters with every stub replaced by its solution.
- `slides/`: one page a chapter, which asks nothing of a network, made by `slides.py` from the chapters as the last build executed them;
  a chapter that was not executed has none.
"""

import ast
import re
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.slides import slides, write_scripts  # noqa: E402
from tools.strip_notebooks import name_cells  # noqa: E402

SOLUTION = re.compile(r"<details><summary>Solution.*?</details>", re.S)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
HAND_IN = """\
## Hand in

The cell below keeps what you solved in a file beside this notebook. Save the notebook, then hand in both."""


def chapters() -> list[Path]:
    """The chapters, in order, and the appendix."""
    return sorted((ROOT / "book").glob("*.ipynb"))


def student(chapter: Any, number: str) -> Any:
    """The chapter without solutions and outputs; where there are exercises, with a cell to hand in."""
    result = deepcopy(chapter)
    for cell in result.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = re.sub(r"\n{3,}", "\n\n", SOLUTION.sub("", cell.source)).strip()
    result.cells = [cell for cell in result.cells if cell.source]
    if not any("check(" in cell.source for cell in result.cells if cell.cell_type == "code"):
        return result
    call = f'from vmtl_core.lab.exercises import progress\n\nprogress("answers_{number}.csv")'
    result.cells += [nbformat.v4.new_markdown_cell(HAND_IN), nbformat.v4.new_code_cell(call)]
    name_cells(result.cells)
    return result


def with_solutions(chapter: Any) -> Any:
    """The chapter with the solutions in the place of the stubs, and unfolded where they stand.

    Raises:
        ValueError: if a solution has no stub.
    """
    result = deepcopy(chapter)
    text = "\n\n".join(cell.source for cell in result.cells if cell.cell_type == "markdown")
    found = "\n".join(code for part in SOLUTION.findall(text) for code in PYTHON.findall(part))
    for name, solution in answers(found):
        places = [cell for cell in result.cells if cell.cell_type == "code" and holds(cell, name)]
        if len(places) != 1:
            raise ValueError(f"`{name}` must be in one code cell; it is in {len(places)}")
        places[0].source = replaced(places[0].source, name, solution)
    for cell in result.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = cell.source.replace("<details><summary>Sol", "<details open><summary>Sol")
    return result


def answers(source: str) -> Iterator[tuple[str, str]]:
    """The names `answer_…` that some code defines or assigns, and the code of each."""
    lines = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source)
    for node in ast.parse(lines).body:
        name = getattr(node, "name", None)
        if isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
        if name is not None and name.startswith("answer_"):
            yield name, "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])


def holds(cell: Any, name: str) -> bool:
    """Whether a code cell defines or assigns `name`."""
    return any(found == name for found, _ in answers(cell.source))


def replaced(source: str, name: str, solution: str) -> str:
    """The code with the definition of `name` replaced."""
    (stub,) = [code for found, code in answers(source) if found == name]
    return source.replace(stub, solution)


def main(out: Path) -> int:
    """Write everything under `out`."""
    for chapter in chapters():
        read = nbformat.read(chapter, as_version=4)
        pages: dict[str, str] = {
            f"student/{chapter.name}": nbformat.writes(student(read, chapter.stem.split("_")[0])),
            f"solutions/{chapter.name}": nbformat.writes(with_solutions(read)),
        }
        executed = ROOT / "_build" / "jupyter_execute" / "book" / chapter.name
        if executed.is_file():
            shown = slides(nbformat.read(executed, as_version=4), executed.parent)
            pages[f"slides/{chapter.stem}.html"] = shown
        else:
            print(f"{chapter.name} has no slides: `make book` executes it", file=sys.stderr)
        for name, text in pages.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(text, "utf-8")
    write_scripts(out / "slides")
    print(f"written: {out}/student, {out}/solutions, {out}/slides")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
