"""`make address` sets the repository's address in every file that names it, and takes it away again."""

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT
from tools.address import SENTENCES, Address, current, first_lines, notebook, remote, set_address

NAMED = [*SENTENCES, *(f"book/{path.name}" for path in (ROOT / "book").glob("*.ipynb"))]
ADA, BOB = Address("ada/vmtl"), Address("Bob-2/bob-2.github.io")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that name the address, with none set."""
    for name in NAMED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    set_address(tmp_path, None)
    return tmp_path


def texts(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text("utf-8") for name in NAMED}


def addresses(text: str, name: str) -> set[str]:
    """Every owner/name of a GitHub address in the text whose name is that."""
    return set(re.findall(rf"github(?:\.com|usercontent\.com)?/([\w-]+/{re.escape(name)})\b", text))


def test_an_address_follows_everywhere_and_leaves_nothing_behind(copy: Path) -> None:
    shipped = texts(copy)
    assert sorted(set_address(copy, ADA)) == sorted(NAMED)
    at_ada = texts(copy)
    assert [name for name in NAMED if "ada/vmtl" not in at_ada[name]] == ["book/intro.md"]
    assert set_address(copy, ADA) == []
    set_address(copy, BOB)
    assert current(copy) == BOB
    assert all("ada/" not in text for text in texts(copy).values())
    set_address(copy, ADA)
    assert texts(copy) == at_ada
    set_address(copy, None)
    assert texts(copy) == shipped


def test_without_an_address_no_site_is_claimed(copy: Path) -> None:
    for name, text in texts(copy).items():
        assert "github.io" not in text, name
        assert "Open in Colab" not in text, name
        assert "opens in Colab" not in text, name
        assert not re.search(r"github\.com/(?!\s)[\w-]+/vmtl\b", text), name


def test_pages_and_buttons(copy: Path) -> None:
    assert ADA.site == "https://ada.github.io/vmtl/"
    assert BOB.site == "https://bob-2.github.io/"
    set_address(copy, ADA)
    for name, text in texts(copy).items():
        assert addresses(text, "vmtl") <= {"ada/vmtl"}, name
    title = nbformat.read(copy / "book" / "01_one_task.ipynb", as_version=4).cells[0].source
    assert (
        title.count("https://colab.research.google.com/github/ada/vmtl/blob/main/book/01_one") == 1
    )
    assert "(https://raw.githubusercontent.com/ada/vmtl/main/_static/colab-badge.svg)" in title


def test_a_package_index_can_follow_the_readme(copy: Path) -> None:
    set_address(copy, ADA)
    text = (copy / "README.md").read_text("utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert len(targets) > 4
    for target in targets:
        assert target.startswith("https://"), target
    assert f"]({ADA.raw}book/images/readme.png)" in text


@pytest.mark.parametrize("bad", ["", "vmtl", "ada/", "/vmtl", "ada/vmtl/x", "https://x/ada/vmtl"])
def test_what_is_no_address_is_told(bad: str) -> None:
    with pytest.raises(ValueError, match=r"`REPO` must be owner/name.*; got"):
        Address(bad)


def test_a_file_that_someone_changed_is_named_and_nothing_is_written(copy: Path) -> None:
    pyproject = copy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8").replace("[project.urls]", "[urls]"), "utf-8")
    before = texts(copy)
    with pytest.raises(ValueError, match=r"pyproject\.toml must hold this once"):
        set_address(copy, ADA)
    assert texts(copy) == before


@pytest.mark.parametrize(
    "origin",
    [
        "https://github.com/ada/vmtl.git",
        "https://github.com/ada/vmtl",
        "git@github.com:ada/vmtl.git",
        "ssh://git@github.com/ada/vmtl.git",
        "https://somebody@github.com/ada/vmtl.git",
    ],
)
def test_the_clone_knows_its_address(tmp_path: Path, origin: str) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", origin], check=True)
    assert remote(tmp_path) == ADA


@pytest.mark.parametrize("origin", [None, "/srv/git/vmtl.git", "https://example.org/ada/vmtl.git"])
def test_a_clone_from_elsewhere_asks_for_the_address(tmp_path: Path, origin: str | None) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if origin is not None:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", origin], check=True)
    with pytest.raises(ValueError, match="give it as REPO=owner/name"):
        remote(tmp_path)


def test_the_old_first_lines_of_a_chapter_are_replaced(tmp_path: Path) -> None:
    """A chapter that was written before, or for another address, gets the present ones."""
    cells = [
        nbformat.v4.new_markdown_cell("# 12. Title\n\nText."),
        nbformat.v4.new_code_cell(
            "try:\n    import vmtl_core as vmtl\nexcept ImportError:\n    %pip install x\n\nimport math"
        ),
    ]
    path = tmp_path / "12_title.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    path.write_text(notebook(path, ADA), "utf-8")
    found = nbformat.read(path, as_version=4).cells
    assert found[1].source == first_lines(ADA) + "\nimport math"
    assert found[0].source.startswith("# 12. Title\n\n[![Open in Colab](")
    assert found[0].source.endswith("12_title.ipynb)\n\nText.")


# What lies beside the chapter -> what is installed.
SOURCES = {
    "wheel": (["book/vmtl_core-1.0-py3-none-any.whl"], "./vmtl_core-1.0-py3-none-any.whl[lab]"),
    "clone": (["vmtl_core/lab/ready.py"], "..[lab]"),
    "both": (
        ["vmtl_core/lab/ready.py", "book/vmtl_core-1.0-py3-none-any.whl"],
        "./vmtl_core-1.0-py3-none-any.whl[lab]",
    ),
    "neither": ([], "-r https://ada.github.io/vmtl/install.txt"),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("address", [ADA, None], ids=["address", "none"])
def test_where_the_first_cell_installs_from(
    kind: str, address: Address | None, tmp_path: Path
) -> None:
    """And where it can't, one sentence says what to do."""
    lie, wanted = SOURCES[kind]
    for name in ("book/sheet", *lie):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    cell = first_lines(address).replace("vmtl_core.lab.ready", "no_such_module.lab.ready")
    cell = cell.replace("%pip install -q {source}", "installed.append(source)")
    installed: list[str] = []
    advice = "upload the wheel of vmtl_core beside this chapter, then run this cell again"
    with (
        contextlib.chdir(tmp_path / "book"),
        pytest.raises(ImportError, match=f"No module named 'no_such_module': {advice}") as caught,
    ):
        exec(cell, {"installed": installed})
    assert "\n" not in str(caught.value)
    assert installed == ([] if address is None and kind == "neither" else [wanted])
