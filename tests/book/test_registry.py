"""Equation, code, test: an orphan in any direction fails."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.book.chapters import BOOK, CHAPTERS, markdown
from tests.conftest import ROOT
from vmtl_core.lab.registry import EQUATIONS, Equation, order, resolve

TAG = re.compile(r"\\tag\{([^}]*)\}")
NAMED = re.compile(r"\(([1-9]\d?\.[1-9]\d?[a-z]?)\)")
DEFINED = re.compile(r"Equation \(([1-9]\d?\.[1-9]\d?[a-z]?)\)")
ENTRIES = {equation.number: equation for equation in EQUATIONS}
CODED = [equation for equation in EQUATIONS if equation.functions]
CODE = sorted((ROOT / "vmtl_core").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name != "book")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
every_equation = pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: e.number)
every_coded = pytest.mark.parametrize("equation", CODED, ids=lambda e: e.number)


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """The docstrings of a file: dotted path of what they describe, and the text."""
    module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    pending: list[tuple[str, Documented]] = [(module, ast.parse(path.read_text("utf-8")))]
    while pending:
        name, node = pending.pop()
        if text := ast.get_docstring(node):
            yield name, text
        pending += [
            (f"{name}.{child.name}", child)
            for child in node.body
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]


def full_name(path: str) -> str:
    """Where what a dotted path names is defined."""
    found = resolve(path)
    function: Any = found.fget if isinstance(found, property) else found
    return f"{function.__module__}.{function.__qualname__}"


def test_numbers_ascend_each_once() -> None:
    numbers = [equation.number for equation in EQUATIONS]
    assert numbers == sorted(set(numbers), key=order)
    for equation in EQUATIONS:
        assert equation.chapter.startswith(f"{order(equation.number)[0]:02d}_"), equation


@every_chapter
def test_every_number_of_a_chapter_is_registered(chapter: Path) -> None:
    tagged = TAG.findall(markdown(chapter))
    registered = [equation.number for equation in EQUATIONS if equation.chapter == chapter.stem]
    assert tagged == registered, "left: the chapter's tags; right: vmtl_core's data/equations.toml"


@every_equation
def test_the_chapter_exists_under_its_name(equation: Equation) -> None:
    """While no notebook has the chapter's number, there is nothing to compare with."""
    same_number = [path for path in CHAPTERS if path.name[:3] == equation.chapter[:3]]
    if same_number:
        assert same_number == [BOOK / f"{equation.chapter}.ipynb"]


@every_coded
def test_functions_exist_and_name_the_equation(equation: Equation) -> None:
    for path in equation.functions:
        found = resolve(path)
        text = inspect.getdoc(found) or ""
        assert equation.number in NAMED.findall(text), f"{path}: no ({equation.number}) in {text!r}"


@pytest.mark.parametrize("path", CODE, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_number_in_the_code_is_registered(path: Path) -> None:
    """And what says "Equation (4.4)" is listed as its implementation, unless it is private."""
    for name, text in docstrings(path):
        assert set(NAMED.findall(text)) <= ENTRIES.keys(), f"{name} names an unknown equation"
        if any(part.startswith("_") for part in name.split(".")[1:]):
            continue
        for number in DEFINED.findall(text):
            listed = [full_name(function) for function in ENTRIES[number].functions]
            assert name in listed, f"{name} is not listed under {number}"


@every_equation
def test_code_has_tests_that_name_the_equation(equation: Equation) -> None:
    assert bool(equation.tests) == bool(equation.functions), "code needs a test, a step has none"
    for test in equation.tests:
        file, name = test.split("::")
        path = ROOT / file
        assert path.is_file(), f"{file} does not exist"
        found = {key.rsplit(".", 1)[-1]: text for key, text in docstrings(path)}
        assert name in found, f"{file} has no test {name} with a docstring"
        assert equation.number in NAMED.findall(found[name]), f"{test} is not about it"


@pytest.mark.parametrize("path", TESTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_number_in_a_test_is_registered(path: Path) -> None:
    for name, text in docstrings(path):
        assert set(NAMED.findall(text)) <= ENTRIES.keys(), f"{name} names an unknown equation"


def test_order_of_numbers() -> None:
    assert sorted(["4.10", "4.4a", "4.4", "10.1", "4.5"], key=order) == [
        "4.4",
        "4.4a",
        "4.5",
        "4.10",
        "10.1",
    ]
    for bad in ("4", "4.0", "4.4A", "0.1", "4.4.1", ""):
        with pytest.raises(ValueError, match="`number` must look like"):
            order(bad)


def test_resolve_prefers_what_the_package_exports() -> None:
    """`vmtl_core.predictive` is a function and a module."""
    assert inspect.isfunction(resolve("vmtl_core.predictive"))
    assert inspect.ismodule(resolve("vmtl_core.lab.registry"))
    with pytest.raises(ImportError):
        resolve("vmtl_core.no_such_name")
