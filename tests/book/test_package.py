"""What is shipped: a source distribution that builds, a wheel that imports alone, and what they say."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import vmtl_core
from tests.conftest import ROOT
from tools.address import Address
from tools.package import build, copy_source, install_line
from vmtl_core.lab import ready

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
USE = """
import json, sys, time
import torch
began = time.process_time()
import vmtl_core
took = time.process_time() - began
heavy = [name for name in ("matplotlib", "pandas", "sklearn", "anywidget") if name in sys.modules]
import vmtl_core.lab.ready
from vmtl_core.lab.datasets import schools
from vmtl_core.lab.widgets import TemperatureExplorer
print(json.dumps({"file": vmtl_core.__file__, "version": vmtl_core.__version__, "took": took,
    "heavy": heavy, "schools": schools().tasks, "script": len(TemperatureExplorer()._esm)}))
"""


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    source, folder = (tmp_path_factory.mktemp(name) for name in ("source", "sdist"))
    copy_source(ROOT, source)
    with tarfile.open(build(source, folder, "sdist")) as archive:
        archive.extractall(folder, filter="data")
    (found,) = (path for path in folder.iterdir() if path.is_dir())
    return found


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the source distribution builds."""
    return build(sdist, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content, as an installation would."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def metadata(installed: Path) -> Message:
    (found,) = installed.glob("*.dist-info/METADATA")
    return message_from_string(found.read_text("utf-8"))


def test_the_wheel_imports_alone(installed: Path, tmp_path: Path) -> None:
    """With its tables and scripts; the core in less than a tenth of a second over torch."""
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    times: list[float] = []
    for _ in range(3):
        ran = subprocess.run(
            [sys.executable, "-c", USE],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        said: dict[str, Any] = json.loads(ran.stdout)
        assert Path(said["file"]) == installed / "vmtl_core" / "__init__.py"
        assert said["version"] == vmtl_core.__version__
        assert said["heavy"] == []
        assert said["schools"] == 131
        assert said["script"] > 1000
        times.append(said["took"])
        if min(times) < 0.1:
            break
    assert min(times) < 0.1, f"seconds that `import vmtl_core` takes beside torch: {times}"


def test_the_wheel_has_every_file_of_the_package(installed: Path) -> None:
    def files(root: Path) -> set[str]:
        found = (p for p in (root / "vmtl_core").rglob("*") if p.is_file() and p.suffix != ".pyc")
        return {path.relative_to(root).as_posix() for path in found}

    assert files(installed) == files(ROOT)
    assert "vmtl_core/py.typed" in files(installed)


def test_the_licence_is_of_what_is_shipped(installed: Path) -> None:
    """The tables are under the GPL, and its text lies beside them."""
    said = metadata(installed)
    assert said["License-Expression"] == PROJECT["license"] == "MIT AND GPL-2.0-or-later"
    assert said.get_all("License-File") == PROJECT["license-files"]
    for name in PROJECT["license-files"]:
        assert (ROOT / name).is_file()
    text = (installed / "vmtl_core" / "lab" / "data" / "COPYING").read_text("utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 2, June 1991" in text
    assert "COPYING" in (ROOT / "vmtl_core" / "lab" / "data" / "README.md").read_text("utf-8")


def test_the_version_stands_in_one_place(installed: Path) -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert metadata(installed)["Version"] == vmtl_core.__version__
    for name in ("pyproject.toml", "CITATION.cff", "README.md"):
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(rf"(?m)^version\W.*{re.escape(vmtl_core.__version__)}", text), name


def test_the_changelog_knows_the_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] == "Unreleased" or headings[0] == vmtl_core.__version__
    assert vmtl_core.__version__ in headings


def test_the_citation_can_be_read() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= said.keys()
    assert said["title"] in (ROOT / "README.md").read_text("utf-8")
    assert "version" not in said


def test_the_first_cell_asks_for_the_libraries_of_the_lab() -> None:
    names = {"scikit-learn": "sklearn"}
    lab = [Requirement(line).name for line in PROJECT["optional-dependencies"]["lab"]]
    assert {names.get(name, name) for name in lab} == set(ready.LIBRARIES)
    assert ready.missing() == []


def test_contributing_covers_what_can_be_added() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for what in ("A chapter", "An equation", "An exercise", "A widget"):
        assert f"\n## {what}\n" in text
    for name in re.findall(r"`((?:book|tests|tools|vmtl_core)/[\w/.]+)`", text):
        known = re.sub(r"NN|NAME", "*", name)
        assert list(ROOT.glob(known)) or "*" in known, f"{name} does not exist"


def test_the_site_says_where_its_wheel_is(wheel: Path) -> None:
    """`pip install -r SITE/install.txt` reads a requirement with an address."""
    line = Requirement(install_line(Address("ada/vmtl"), wheel.name).strip())
    assert line.name == "vmtl-core"
    assert line.extras == {"lab"}
    assert line.url == f"https://ada.github.io/vmtl/{wheel.name}"
