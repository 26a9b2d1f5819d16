"""A chapter alone, where a class runs it: no checkout, the wheel beside it, ipywidgets as Colab has it.

The environment is new: it sees the libraries of the one that runs the tests, but not `vmtl_core`, and
has an ipywidgets of its own. pip may ask no index: what the first cell installs is the wheel alone.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.book.chapters import CHAPTERS
from tests.conftest import ROOT, continuous_integration
from tools.address import Address, first_lines
from tools.package import build, copy_source

COLAB = (
    "ipywidgets==7.7.1",
    "widgetsnbextension==3.6.10",
    "ipython_genutils==0.2.0",
    "notebook==6.1.6",
)
SMALL = "03_gumbel_softmax"
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""
CELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance(colors="NoColor").run_cell(open(sys.argv[1], encoding="utf-8").read())
"""
chapters = pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(path, marks=() if path.stem == SMALL else pytest.mark.nightly, id=path.stem)
        for path in CHAPTERS
    ],
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's wheel."""
    source = tmp_path_factory.mktemp("source")
    copy_source(ROOT, source)
    return build(source, tmp_path_factory.mktemp("wheel"))


def new_environment(folder: Path) -> Path:
    """An environment that sees this one's libraries but not `vmtl_core`; its Python.

    Python reads no `.pth` file of a folder that a `.pth` file names, so that the repository, which
    such a file adds, stays out of sight.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return folder / "bin" / "python"


def run(python: Path, *arguments: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run Python in an environment, far from the repository; pip asks no index."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "JUPYTER_PATH"}
    plain = {name: value for name, value in os.environ.items() if name not in hidden}
    alone = {"OMP_NUM_THREADS": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    alone |= {
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "MPLBACKEND": "",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    alone |= {"HOME": str(cwd), "MPLCONFIGDIR": str(cwd), "IPYTHONDIR": str(cwd / "ipython")}
    command = [str(python), *arguments]
    everything = {name: value for name, value in (plain | alone | extra).items() if value}
    return subprocess.run(
        command, cwd=cwd, env=everything, capture_output=True, text=True, check=False
    )


def like_colab(folder: Path) -> Path:
    """An environment with Colab's ipywidgets; its Python."""
    python = new_environment(folder)
    command = [str(python), "-m", "pip", "install", "-q", "--no-deps", *COLAB]
    got = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if got.returncode:
        message = f"no package index gives {COLAB}: {got.stderr}"
        pytest.fail(message) if continuous_integration() else pytest.skip(message)
    return python


@pytest.fixture(scope="module")
def colab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of such an environment, in which nothing is installed."""
    return like_colab(tmp_path_factory.mktemp("colab") / "environment")


def test_the_environment_is_like_colabs(colab: Path, tmp_path: Path) -> None:
    program = "import ipywidgets, anywidget, torch; print(ipywidgets.__version__); import vmtl_core"
    said = run(colab, "-c", program, cwd=tmp_path)
    assert said.stdout == "7.7.1\n"
    assert "No module named 'vmtl_core'" in said.stderr


def test_the_install_changes_nothing_that_a_class_has(
    colab: Path, wheel: Path, tmp_path: Path
) -> None:
    """Of torch, numpy, pandas and ipywidgets least of all."""
    wanted = f"{wheel}[lab]"
    arguments = ("-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", wanted)
    said = run(colab, *arguments, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    report = json.loads(said.stdout)
    assert [one["metadata"]["name"] for one in report["install"]] == ["vmtl-core"]


@chapters
def test_a_chapter_runs_alone(chapter: Path, wheel: Path, tmp_path: Path) -> None:
    """From its first cell, which installs the wheel that lies beside it, to the last."""
    python, place = like_colab(tmp_path / "environment"), tmp_path / "content"
    place.mkdir()
    for path in (chapter, wheel):
        shutil.copy(path, place)
    said = run(python, "-c", RUN, chapter.name, cwd=place)
    assert said.returncode == 0, said.stderr[-3000:]
    assert list((tmp_path / "environment" / "lib").glob("python*/site-packages/vmtl_core/lab"))
    cells = nbformat.read(place / chapter.name, as_version=4).cells
    outputs: list[Any] = [one for cell in cells for one in cell.get("outputs", [])]
    shown = {kind for one in outputs for kind in one.get("data", {})}
    assert "image/png" in shown
    if "Explorer(" in chapter.read_text("utf-8") or "Replay(" in chapter.read_text("utf-8"):
        assert "application/vnd.jupyter.widget-view+json" in shown


@pytest.mark.parametrize("address", [Address("ada/no-such-vmtl"), None], ids=["site", "none"])
def test_an_install_that_fails_says_what_to_do(address: Address | None, tmp_path: Path) -> None:
    """In one sentence, the last line that the reader sees."""
    python = new_environment(tmp_path / "environment")
    (tmp_path / "cell.py").write_text(first_lines(address), "utf-8")
    proxy = "http://localhost:9"  # where nobody listens
    said = run(
        python,
        "-c",
        CELL,
        "cell.py",
        cwd=tmp_path,
        PIP_RETRIES="0",
        HTTPS_PROXY=proxy,
        https_proxy=proxy,
    )
    lines = said.stdout.strip().splitlines()
    assert lines[-1] == (
        "ImportError: No module named 'vmtl_core': upload the wheel of vmtl_core beside this chapter, "
        "then run this cell again"
    )


def test_a_library_that_is_missing_is_named() -> None:
    """The core alone is not enough for a chapter."""
    program = "import sys; sys.modules['seaborn'] = None; import vmtl_core.lab.ready"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "the chapters need seaborn, which `vmtl-core[lab]` installs" in ran.stderr
