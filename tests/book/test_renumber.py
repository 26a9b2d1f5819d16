"""Chapters, equations and exercises get other numbers everywhere, and what looks like them doesn't."""

import subprocess
from pathlib import Path

import pytest

from tools.renumber import plan, renumber

TABLE = """# Every equation.

[11_echo]
"11.1" = "First"
"11.2".title = "Second"
"11.2".functions = ["f"]
"11.2".tests = ["tests/test_f.py::test_f"]

[12_groups]
"12.5".title = "Bound"
"12.5".functions = [
    "g",
]
"12.5".tests = []
"12.5a" = "Merger"
"""
BEFORE = {
    "vmtl_core/lab/data/equations.toml": TABLE,
    "book/11_echo.ipynb": '"# 11. Echo\\n", "\\\\tag{11.1} \\\\tag{11.2} (chapter 12), (11.2)"',
    "book/12_groups.ipynb": '"# 12. Groups\\n", "\\\\tag{12.5}", "check(\\"12.1\\", answer_12_1)",'
    ' "### Exercise 12.1 ★", "Solution of 12.1", "chapter_12", "chapters 11 and 12"',
    "book/teaching.md": "| [12. Groups](12_groups.ipynb) | 12.1, 12.5 | 12.1 |",
    "book/intro.md": "| 12 | Groups | 30 |\n{cite}`bishop`, chapter 12\nBishop, *PRML*, 2006, chapter 12.",
    "book/notes.md": "[that](12_groups.ipynb#eq-12-5a) and [this](11_echo.ipynb#eq-11-2) {equation}`12.5`"
    " chapters 10 to\n12, version 12.5, 0.12, (12.5), (12.50), (12.9), f(12.5), `a`, chapter 12",
    "_toc.yml": "  - file: book/11_echo\n  - file: book/12_groups\n",
    "vmtl_core/lab/exercises/chapter_12.py": 'number="12.1", stub_12_1, "(12.5) asks"',
    "tests/book/answers_06_12.py": '("12.1", 12.5), torch.tensor(12.5)',
    "tests/test_a.py": "from tests.book.answers_06_12 import x  # (12.5)",
    "vmtl_core/lab/data/some.csv": "12.5,(12.5)\n",
    "CHANGELOG.md": "chapter 12, (12.5)",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, text in BEFORE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def text(tree: Path, path: str) -> str:
    return (tree / path).read_text("utf-8")


def test_a_chapter_moves_with_all_that_names_it(tree: Path) -> None:
    renumber(tree, plan(tree, ["12=14"], [], []))
    assert not (tree / "book/12_groups.ipynb").exists()
    assert text(tree, "book/14_groups.ipynb") == (
        '"# 14. Groups\\n", "\\\\tag{14.5}", "check(\\"14.1\\", answer_14_1)",'
        ' "### Exercise 14.1 ★", "Solution of 14.1", "chapter_14", "chapters 11 and 14"'
    )
    assert "(chapter 14), (11.2)" in text(tree, "book/11_echo.ipynb")
    assert text(tree, "book/teaching.md") == "| [14. Groups](14_groups.ipynb) | 14.1, 12.5 | 14.1 |"
    assert text(tree, "book/intro.md") == BEFORE["book/intro.md"].replace("| 12 |", "| 14 |")
    assert text(tree, "book/notes.md") == (
        "[that](14_groups.ipynb#eq-14-5a) and [this](11_echo.ipynb#eq-11-2) {equation}`14.5`"
        " chapters 10 to\n14, version 12.5, 0.12, (14.5), (12.50), (12.9), f(12.5), `a`, chapter 14"
    )
    assert text(tree, "_toc.yml").endswith("book/14_groups\n")
    assert '[14_groups]\n"14.5".title = "Bound"' in text(tree, "vmtl_core/lab/data/equations.toml")
    moved = text(tree, "vmtl_core/lab/exercises/chapter_14.py")
    assert moved == 'number="14.1", stub_14_1, "(14.5) asks"'
    assert text(tree, "tests/book/answers_06_14.py") == '("14.1", 12.5), torch.tensor(12.5)'
    assert text(tree, "tests/test_a.py") == "from tests.book.answers_06_14 import x  # (14.5)"
    for kept in ("vmtl_core/lab/data/some.csv", "CHANGELOG.md"):
        assert text(tree, kept) == BEFORE[kept]
    assert text(tree, "_ext/moved.txt") == "book/12_groups book/14_groups\n"


def test_moves_are_made_together_and_there_is_a_way_back(tree: Path) -> None:
    renumber(tree, plan(tree, ["11=12", "12=11"], [], []))
    assert (tree / "book/11_groups.ipynb").is_file()
    assert "\\tag{12.1} \\\\tag{12.2} (chapter 11), (12.2)" in text(tree, "book/12_echo.ipynb")
    assert text(tree, "_toc.yml") == "  - file: book/11_groups\n  - file: book/12_echo\n"
    renumber(tree, plan(tree, ["11=12", "12=11"], [], []))
    for path, before in BEFORE.items():
        assert text(tree, path) == before
    assert text(tree, "_ext/moved.txt") == (
        "book/11_groups book/12_groups\nbook/12_echo book/11_echo\n"
    )


def test_an_equation_moves_to_another_chapter(tree: Path) -> None:
    renumber(tree, plan(tree, [], ["11.2=12.1"], ["12.1=12.2"]))
    assert "[this](12_groups.ipynb#eq-12-1)" in text(tree, "book/notes.md")
    assert "\\tag{11.1} \\\\tag{12.1}" in text(tree, "book/11_echo.ipynb")
    table = text(tree, "vmtl_core/lab/data/equations.toml")
    assert '[12_groups]\n"12.1".title = "Second"\n"12.1".functions' in table
    assert "answer_12_2" in text(tree, "book/12_groups.ipynb")


def test_a_chapter_gets_another_name(tree: Path) -> None:
    renumber(tree, plan(tree, ["11_echo=11_the_echo"], [], []))
    assert "[this](11_the_echo.ipynb#eq-11-2)" in text(tree, "book/notes.md")
    assert "[11_the_echo]" in text(tree, "vmtl_core/lab/data/equations.toml")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((["11=12"], [], []), "equation 12.5 exists|chapter .* exists|chapter 12 exists"),
        ((["9=13"], [], []), "there is no chapter '9'"),
        (([], ["11.1=12.5"], []), "equation 12.5 exists and doesn't move"),
        (([], ["11.7=11.8"], []), "there is no equation 11.7"),
        (([], ["11.1=13.1"], []), "no chapter for equation 13.1"),
        (([], [], ["12.9=12.1"]), "there is no exercise 12.9"),
        ((["11"], [], []), "must look like old=new; got '11'"),
        ((["11=13", "12=13"], [], []), "a place of its own"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_changes(
    tree: Path, asked: tuple[list[str], list[str], list[str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plan(tree, *asked)
    for path, before in BEFORE.items():
        assert text(tree, path) == before
