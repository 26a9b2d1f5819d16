"""Stored outputs are compared with new ones, whether nbval executes the chapters or the build did."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.strip_notebooks import TAG, strip, stripped_text

CODE = "print(2 + 2)"
# name: (stored output, execution count, what nbval says)
CASES: dict[str, tuple[str | None, int | None, str | None]] = {
    "right": ("4\n", 1, None),
    "wrong": ("5\n", 1, "Cell outputs differ"),
    "output_stripped_count_kept": (None, 1, "Cell outputs differ"),
    "count_stripped": ("5\n", None, "Unrun reference cell has outputs"),
    # The trap: what a careless stripping leaves. Nothing is compared, nothing is said.
    "both_stripped": (None, None, None),
}
NOT_EXECUTED = "has not been executed: run `make book`"


def code_cell(
    stored: str | None,
    execution_count: int | None,
    tags: tuple[str, ...] = (TAG,),
    source: str = CODE,
) -> nbformat.NotebookNode:
    """A cell with `stored` as its stored output, if any."""
    outputs = [] if stored is None else [new_output("stream", name="stdout", text=stored)]
    metadata = {"tags": list(tags)}
    return new_code_cell(
        source, execution_count=execution_count, metadata=metadata, outputs=outputs
    )


def notebook(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3"}
    return new_notebook(cells=list(cells), metadata={"kernelspec": kernel})


def build(folder: Path, result: str = "4\n") -> None:
    """What `make book` leaves: the cells of the cases, executed."""
    cells = [code_cell(result, count) for count in range(1, len(CASES) + 1)]
    cache = get_cache(folder / "_build" / ".jupyter_cache")
    cache.cache_notebook_bundle(CacheBundleIn(notebook(*cells), "chapter.ipynb"))
    cache.db.dispose()


def complaints(report: str) -> None:
    """Assert that the report says of every case what it should."""
    for number, (case, (_, _, complaint)) in enumerate(CASES.items()):
        cell = f"chapter.ipynb::Cell {number}"
        line = rf"^{'PASSED' if complaint is None else 'FAILED'} {re.escape(cell)}\b"
        assert re.search(line, report, re.M), f"{case}: {report}"
        if complaint is not None:
            said = report.split(f"_ {cell} _", 1)[1]
            assert complaint in said.split("\n____", 1)[0], f"{case}: {report}"


def chapter() -> nbformat.NotebookNode:
    """A cell for every case."""
    return notebook(*(code_cell(stored, count) for stored, count, _ in CASES.values()))


def as_built(pytester: pytest.Pytester) -> str:
    """What the comparison with the build says of the folder, in which something is wrong."""
    options = ("-p", "tests.as_built", "-p", "no:cacheprovider", "-p", "no:xdist", "-rA")
    ran = pytester.runpytest_inprocess(*options, "-c", os.devnull, "--rootdir=.", ".")
    said = "\n".join(ran.outlines)
    assert ran.ret == pytest.ExitCode.TESTS_FAILED, said
    return said


def test_comparison_with_what_nbval_executes(tmp_path: Path) -> None:
    nbformat.write(chapter(), tmp_path / "chapter.ipynb")
    options = ("--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-p", "no:xdist")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-rA", "-c", os.devnull, "--rootdir=.", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    complaints(ran.stdout)


def test_comparison_with_what_the_build_executed(pytester: pytest.Pytester) -> None:
    nbformat.write(chapter(), pytester.path / "chapter.ipynb")
    build(pytester.path)
    complaints(as_built(pytester))


def test_the_build_executed_another_number(pytester: pytest.Pytester) -> None:
    """The stored outputs are those of the chapter; the build's differ."""
    cells = [code_cell("4\n", count) for count in range(1, len(CASES) + 1)]
    nbformat.write(notebook(*cells), pytester.path / "chapter.ipynb")
    build(pytester.path, result="4.0\n")
    assert as_built(pytester).count("FAILED chapter.ipynb::Cell") == len(CASES)


CHANGED = {
    "another_number": [code_cell("5\n", 1, source="print(2 + 3)")],
    "a_cell_less": [code_cell("4\n", count) for count in range(1, len(CASES))],
    "a_tag_less": [code_cell("4\n", 1, tags=()), *(code_cell("4\n", n) for n in range(2, 6))],
}


def test_chapters_that_the_build_did_not_execute_fail(pytester: pytest.Pytester) -> None:
    for name, cells in CHANGED.items():
        nbformat.write(notebook(*cells), pytester.path / f"{name}.ipynb")
    build(pytester.path)
    said = as_built(pytester)
    for name, cells in CHANGED.items():
        assert said.count(f"ERROR {name}.ipynb::Cell") == len(cells), said
        assert f"{name}.ipynb as it stands {NOT_EXECUTED}" in said
    assert "PASSED" not in said


def test_a_chapter_without_any_build_fails(pytester: pytest.Pytester) -> None:
    nbformat.write(chapter(), pytester.path / "chapter.ipynb")
    assert NOT_EXECUTED in as_built(pytester)


@pytest.mark.parametrize("changed", ["vmtl_core/lab/elbo.py", "requirements.txt"])
def test_a_build_older_than_the_code_fails(pytester: pytest.Pytester, changed: str) -> None:
    nbformat.write(chapter(), pytester.path / "chapter.ipynb")
    build(pytester.path)
    file = pytester.path / changed
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    now = file.stat().st_mtime
    os.utime(file, (now + 1, now + 1))
    said = as_built(pytester)
    assert f"{changed} changed after chapter.ipynb was executed: run `make book`" in said
    assert "PASSED" not in said
    os.utime(file, (now - 60, now - 60))
    complaints(as_built(pytester))


def test_stripping_keeps_what_is_compared() -> None:
    kept = strip(notebook(code_cell("4\n", 7))).cells[0]
    assert kept.execution_count == 1
    assert kept.outputs[0].text == "4\n"


def test_stripping_joins_the_pieces_of_a_stream() -> None:
    cell = code_cell("4\n", 7)
    for name, text in (("stdout", "5\n"), ("stderr", "6\n"), ("stdout", "7\n")):
        cell.outputs.append(new_output("stream", name=name, text=text))
    kept = strip(notebook(cell)).cells[0]
    assert [(one.name, one.text) for one in kept.outputs] == [
        ("stdout", "4\n5\n"),
        ("stderr", "6\n"),
        ("stdout", "7\n"),
    ]


def test_stripping_drops_the_rest() -> None:
    dropped = strip(notebook(code_cell("4\n", 7, tags=()))).cells[0]
    assert dropped.execution_count is None
    assert dropped.outputs == []


def test_stripping_refuses_the_trap() -> None:
    with pytest.raises(ValueError, match="has not been run"):
        strip(notebook(code_cell("5\n", None)))


def test_stripping_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    nbformat.write(notebook(code_cell("4\n", 3)), path)
    once = stripped_text(path)
    path.write_text(once, "utf-8")
    assert stripped_text(path) == once
