"""Random calls of every public function: an error of ours, or finite numbers. `make drill` has more."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

import vmtl_core as vmtl
from tools import fuzz

SLOW = ("fit", "predictive", "MultiTaskELBO")


@pytest.fixture(autouse=True)
def _as_users_have_it() -> None:
    torch.set_default_dtype(torch.float32)  # tests/conftest.py puts it back


@pytest.mark.parametrize("name", [name for name in fuzz.TARGETS if name not in SLOW])
def test_random_calls(name: str) -> None:
    """The same on every machine."""
    counts, found = fuzz.fuzz(600, 7, [name], rounds=1)
    assert not found
    assert sum(counts.values()) == fuzz.EACH
    assert counts["refused"] > 9
    assert counts["finite"] > 0 or name in ("decompose_uncertainty", "History")


def raw() -> None:
    torch.zeros(2) + torch.zeros(3)


def theirs() -> None:
    int("x")  # a ValueError, and not ours


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: torch.tensor([1.0, torch.nan]), "not finite"),
        (lambda: [(torch.tensor(1.0), torch.inf)], "not finite"),
        (raw, "RuntimeError"),
        (theirs, "ValueError"),
        (lambda: vmtl.GaussianWeights("x", (2,)), ""),  # type: ignore[arg-type]
        (lambda: torch.zeros(3), ""),
    ],
)
def test_what_counts_as_wrong(
    call: Callable[[], Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fuzz.TARGETS, "new", (call, {}))
    with warnings.catch_warnings():
        how, what = fuzz.outcome("new", {})
    assert (how == "wrong") == bool(words)
    assert words in what


def test_a_finding_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each kind, with a call that makes it."""
    target = (lambda n: [torch.tensor(1.0 / n)] if n else raw(), {"n": st.integers(0, 3)})
    monkeypatch.setitem(fuzz.TARGETS, "new", target)
    counts, found = fuzz.fuzz(600, 0, ["new"], rounds=1)
    assert counts == {"finite": 3, "refused": 0, "wrong": 1}  # hypothesis knows that there are four
    assert list(found.values()) == ["{'n': 0}"]
    assert "RuntimeError" in next(iter(found))


def test_every_public_name_is_called() -> None:
    """Classes that only carry results and warnings aside."""
    with_their_own = {"LinearBernoulli", "LinearCategorical", "LinearGaussian", "LinearPoisson"}
    decays = {"constant", "linear_decay", "exponential_decay", "cosine_decay"}
    results = {"ELBOTerms", "Interval", "NonFiniteError", "Uncertainty"}
    results |= {"Predictive", "PredictiveMixture", "PredictiveRows"}
    results |= {"save", "load"}  # of files, which tests/table damages
    told = {name for name in vmtl.__all__ if name.endswith("Warning")}
    assert set(vmtl.__all__) - with_their_own - decays - results - told <= set(fuzz.TARGETS)
