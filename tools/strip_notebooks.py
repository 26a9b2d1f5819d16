"""Bring chapters into the form in which they are kept.

    python tools/strip_notebooks.py book/*.ipynb

Outputs go, except those of cells tagged `nbval-check-output`, which nbval compares, a stream's pieces joined. Metadata are
reduced to what every machine has, cell ids are kept or made from the cell's text, and widget state is
dropped. A tagged cell that has not been run is an error: nbval never compares a cell whose
execution count is null.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

import nbformat

TAG = "nbval-check-output"
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT = ("tags", "mystnb", "jupyter", "editable", "deletable", "colab")


def is_compared(cell: Any) -> bool:
    """Whether nbval compares this cell's output."""
    return cell.cell_type == "code" and TAG in cell.metadata.get("tags", [])


def strip_cell(cell: Any, number: int) -> None:
    """Drop a cell's output and passing metadata; `number` is its place among the code cells."""
    cell.metadata = {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
    if cell.cell_type != "code":
        return
    if not is_compared(cell):
        cell.outputs, cell.execution_count = [], None
        return
    if cell.execution_count is None:
        raise ValueError(
            f"code cell {number} is tagged {TAG} but has not been run (execution_count is null): "
            "run the chapter first, `make record CHAPTER=...`"
        )
    cell.execution_count = number
    cell.outputs = joined(cell.outputs)
    for output in cell.outputs:
        if output.output_type == "execute_result":
            output.execution_count = number


def joined(outputs: list[Any]) -> list[Any]:
    """What a cell printed as one output a stream: in how many pieces it came is chance."""
    found: list[Any] = []
    for one in outputs:
        last = found[-1] if found else None
        if last and one.output_type == last.output_type == "stream" and one.name == last.name:
            last.text += one.text
        else:
            found.append(one)
    return found


def name_cells(cells: list[Any]) -> None:
    """Give every cell an id that stays: its own, or one made from its text."""
    seen: set[str] = set()
    for cell in cells:
        wanted = cell.get("id") or hashlib.sha1(cell.source.encode()).hexdigest()[:8]
        unique, copies = wanted, 1
        while unique in seen:
            copies += 1
            unique = f"{wanted}-{copies}"
        seen.add(unique)
        cell["id"] = unique


def strip(notebook: Any) -> Any:
    """The notebook in the form in which it is kept; changes and returns its argument."""
    name_cells(notebook.cells)
    number = 0
    for cell in notebook.cells:
        number += cell.cell_type == "code"
        strip_cell(cell, number)
    notebook.metadata = nbformat.from_dict(KERNEL)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def stripped_text(path: Path) -> str:
    """What the file at `path` should hold."""
    return nbformat.writes(strip(nbformat.read(path, as_version=4))) + "\n"


def main(paths: list[str]) -> int:
    """Rewrite the notebooks that need it; 1 if a compared cell has not been run."""
    failed = 0
    for path in map(Path, paths):
        try:
            wanted = stripped_text(path)
        except ValueError as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed = 1
            continue
        if path.read_text("utf-8") != wanted:
            path.write_text(wanted, "utf-8")
            print(f"stripped {path}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
