"""No two modules of the package import each other, directly or by way of others."""

import ast
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

from tests.conftest import ROOT


def module_name(path: Path, root: Path) -> str:
    """Dotted name of the module in that file; a package's file is the package."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, root: Path, known: set[str]) -> set[str]:
    """Modules among `known` that a file imports by name, wherever the import stands.

    An import within a function or for the type checker alone counts: it couples two files as much.
    That Python loads a package before its modules does not: nobody wrote it.
    """
    package = module_name(path, root)
    if path.stem != "__init__":
        package = package.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            names = {f"{source}.{alias.name}" for alias in node.names}
            found |= {name if name in known else source for name in names}
    return found & known


def cycle(root: Path, package: str) -> list[str]:
    """The modules of one cycle of imports, the first again at the end; none if there is none."""
    files = {module_name(path, root): path for path in (root / package).rglob("*.py")}
    graph = {name: imported(path, root, set(files)) for name, path in files.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_the_package_has_no_import_cycle() -> None:
    assert cycle(ROOT, "vmtl_core") == []


FINE = {"a": "from p import b\nimport p.c", "b": "from p.c import number", "c": "number = 1"}
ROUND = {
    "two": {"a": "from p import b", "b": "from p import a"},
    "three": {"c": "import p.a"},
    "relative": {"c": "from .a import b"},
    "in a function": {"c": "def f() -> None:\n    from p.a import b"},
    "for the type checker": {
        "c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import b"
    },
    "by the package": {"c": "from p import one", "__init__": "from p.a import one"},
}


def write(root: Path, sources: dict[str, str]) -> None:
    (root / "p").mkdir()
    for name, text in ({"__init__": ""} | FINE | sources).items():
        (root / "p" / f"{name}.py").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("sources", ROUND.values(), ids=ROUND.keys())
def test_a_cycle_is_found(tmp_path: Path, sources: dict[str, str]) -> None:
    write(tmp_path, sources)
    found = cycle(tmp_path, "p")
    assert found[0] == found[-1]
    assert len(set(found)) >= 2


def test_shared_imports_are_no_cycle(tmp_path: Path) -> None:
    write(tmp_path, {})
    assert cycle(tmp_path, "p") == []
