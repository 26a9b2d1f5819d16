"""Every wrong formula of tests/mutants.py is rejected by every test that it names."""

import importlib
import re
from typing import Any

import pytest
import torch
from hypothesis import Phase, settings

from tests.mutants import MUTANTS, Mutant

PLACE = re.compile(r"(?P<module>[\w.]+):(?P<path>[\w.]+)(\[(?P<key>\w+)\])?")


def put_in(monkeypatch: pytest.MonkeyPatch, place: str, replacement: object) -> None:
    """Replace a module's attribute, a class's attribute, or an entry of a table of functions."""
    found = PLACE.fullmatch(place)
    assert found, place
    target: object = importlib.import_module(found["module"])
    *owners, name = found["path"].split(".")
    for owner in owners:
        target = getattr(target, owner)
    if found["key"]:
        table = getattr(target, name)
        assert found["key"] in table, place
        monkeypatch.setitem(table, found["key"], replacement)
    else:
        monkeypatch.setattr(target, name, replacement)


def stop_at_the_first(monkeypatch: pytest.MonkeyPatch, test: Any) -> None:
    """Let hypothesis, where the test is one of its own, look for no simpler example."""
    name = "_hypothesis_internal_use_settings"
    if kept := getattr(test, name, None):
        found = settings(kept, phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False)
        monkeypatch.setattr(test, name, found)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_wrong_formula_is_rejected(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, replacement in mutant.patches.items():
        put_in(monkeypatch, place, replacement)
    accepted = []
    for test, arguments in mutant.tests:
        stop_at_the_first(monkeypatch, test)
        torch.manual_seed(0)
        try:
            test(**arguments)
            accepted.append(test.__name__)
        except AssertionError:
            continue
        except ExceptionGroup as several:  # hypothesis found more than one
            if several.split(AssertionError)[1] is not None:
                raise
    assert not accepted, f"{accepted} accept the wrong formula “{mutant.name}”"


def test_every_mutant_has_a_name_and_a_test() -> None:
    """And no two have the same name, under which they are reported."""
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert all(mutant.tests and mutant.patches for mutant in MUTANTS)
