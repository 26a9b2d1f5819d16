"""nbval compares stored outputs with new ones, and this is where it does not."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.strip_notebooks import TAG, strip, stripped_text


def notebook(
    stored: str | None, execution_count: int | None, tags: tuple[str, ...] = (TAG,)
) -> nbformat.NotebookNode:
    """One cell that prints 4, with `stored` as its stored output, if any."""
    outputs = [] if stored is None else [new_output("stream", name="stdout", text=stored)]
    cell = new_code_cell(
        "print(2 + 2)",
        execution_count=execution_count,
        metadata={"tags": list(tags)},
        outputs=outputs,
    )
    return new_notebook(
        cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


# name: (stored output, execution count, what nbval says)
CASES = {
    "right": ("4\n", 1, None),
    "wrong": ("5\n", 1, "Cell outputs differ"),
    "output_stripped_count_kept": (None, 1, "Cell outputs differ"),
    "count_stripped": ("5\n", None, "Unrun reference cell has outputs"),
    # The trap: what a careless stripping leaves. Nothing is compared, nothing is said.
    "both_stripped": (None, None, None),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What nbval, run as the suite runs it, says of every case."""
    folder = tmp_path_factory.mktemp("nbval")
    for name, (stored, execution_count, _) in CASES.items():
        nbformat.write(notebook(stored, execution_count), folder / f"{name}.ipynb")
    options = [
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--nbval-lax",
        "--nbval-current-env",
        "-rA",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", ".", "-c", "/dev/null", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("case", CASES)
def test_comparison(report: str, case: str) -> None:
    complaint = CASES[case][2]
    line = rf"^{'PASSED' if complaint is None else 'FAILED'} {case}\.ipynb::Cell 0"
    assert re.search(line, report, re.M), report
    if complaint is not None:
        said = report.split(f"_ {case}.ipynb::Cell 0 _", 1)[1]
        assert complaint in said.split("\n____", 1)[0], report


def test_stripping_keeps_what_is_compared() -> None:
    kept = strip(notebook("4\n", execution_count=7)).cells[0]
    assert kept.execution_count == 1
    assert kept.outputs[0].text == "4\n"


def test_stripping_drops_the_rest() -> None:
    dropped = strip(notebook("4\n", execution_count=7, tags=())).cells[0]
    assert dropped.execution_count is None
    assert dropped.outputs == []


def test_stripping_refuses_the_trap() -> None:
    with pytest.raises(ValueError, match="has not been run"):
        strip(notebook("5\n", execution_count=None))


def test_stripping_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    nbformat.write(notebook("4\n", 3), path)
    once = stripped_text(path)
    path.write_text(once, "utf-8")
    assert stripped_text(path) == once
