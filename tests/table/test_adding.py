"""New rows for a fitted model, against a whole refit with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vmtl_core as vmtl
from tests.table.tables import messy
from vmtl_core.table import UnseenWarning, VMTLClassifier, VMTLCounter, VMTLRegressor

INPUTS = ["age", "stage", "sex"]
FITS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "numbers": (VMTLRegressor, {"target": "score"}, "mean"),
    "two classes": (VMTLClassifier, {"target": "better"}, "p_yes"),
    "three classes": (VMTLClassifier, {"target": "outcome"}, "p_same"),
    "counts": (VMTLCounter, {"target": "visits"}, "mean"),
    "rates": (VMTLCounter, {"target": "visits", "exposure": "hours"}, "mean"),
}


def split(known: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows to start from, with `known` of West; five more of West; the rest of West; of others."""
    table = messy(480, seed=3)
    west = (table["clinic"] == "West").to_numpy()
    place = np.flatnonzero(west)
    start = np.setdiff1d(np.arange(480), place[known:])
    more = place[known : known + 5]
    return table.iloc[start], table.iloc[more], table.iloc[place[10:]], table[~west]


LONG = pytest.mark.nightly
CASES = [
    pytest.param(name, sources, marks=LONG if long else ())
    for name, sources, long in [
        ("numbers", "own", False),
        ("two classes", "own", True),
        ("three classes", "own", True),
        ("counts", "own", True),
        ("rates", "own", False),
        ("numbers", "groups", False),
        ("two classes", "groups", False),
    ]
]


@pytest.mark.parametrize("known", [0, 5], ids=["new task", "old task"])
@pytest.mark.parametrize(("name", "sources"), CASES)
@pytest.mark.filterwarnings("ignore::vmtl_core.table.UnseenWarning")
def test_as_a_whole_refit(name: str, sources: str, known: int) -> None:
    """Much nearer to it than before, the spread alike, and nobody else's answer moves."""
    estimator, arguments, column = FITS[name]
    start, more, test, others = split(known)
    model = estimator(sources=sources, task="clinic").fit(start, inputs=INPUTS, **arguments)
    before, rest = model.predict(test), model.predict(others)
    answer = model.add(more).predict(test)
    whole = estimator(sources=sources, task="clinic").fit(
        pd.concat([start, more]), inputs=INPUTS, **arguments
    )
    wanted = whole.predict(test)
    low, high = (f"{column}{end}" if column[0] == "p" else end[1:] for end in ("_lower", "_upper"))
    width = (wanted[high] - wanted[low]).mean()
    was, now = ((one[column] - wanted[column]).abs().mean() for one in (before, answer))
    assert now < max(0.5 * was, 0.02 * width)
    assert now < (0.2 if name == "three classes" else 0.06) * width
    assert (answer[high] - answer[low]).mean() == pytest.approx(
        width, rel=0.15
    )  # a refit moves population and noise
    if name == "three classes":  # by samples, others where there is a task more
        assert (model.predict(others)[column] - rest[column]).abs().mean() < 0.01
    else:
        assert np.array_equal(model.predict(others), rest) or name == "two classes"
        assert (model.predict(others)[column] - rest[column]).abs().max() == 0


@pytest.mark.parametrize("name", FITS)
def test_own_data_posterior_of_the_same_rows_under_another_name(name: str) -> None:
    """Exactly that of the fitted task: the population, the noise and the rows are the same."""
    estimator, arguments, _ = FITS[name]
    table = messy(240, seed=3)
    model = estimator(sources="own", task="clinic").fit(table, inputs=INPUTS, **arguments)
    rows = table[table["clinic"].map(str) == "West"]
    model.add(rows.assign(clinic="twin"))
    q = model.model_.own.q_weights()
    first, second = model.tasks_.index("West"), model.tasks_.index("twin")
    wide = q.stddev[first]
    assert bool(((q.mean[first] - q.mean[second]).abs() < 0.01 * wide).all())
    assert bool((q.stddev[second] / wide - 1).abs().max() < 0.01)


def test_in_several_steps(tmp_path: Path) -> None:
    """Five rows at once or one after another, and through a file in between, are the same."""
    start, more, test, _ = split(0)
    model = VMTLRegressor(sources="own", task="clinic").fit(start, target="score", inputs=INPUTS)
    model.save(tmp_path / "model")
    at_once = model.add(more)
    step = vmtl.load(tmp_path / "model")
    for i in range(len(more)):
        step.add(more.iloc[[i]]).save(tmp_path / "step")
        step = vmtl.load(tmp_path / "step")
    assert step.rows_ == at_once.rows_
    assert step.tasks_[-1] == "West"
    first, second = at_once.predict(test), step.predict(test)
    assert np.abs(first["mean"] - second["mean"]).max() < 0.05 * first["sd"].mean()
    assert np.isclose(step.helps().sum(axis=1), 1).all()


def test_two_new_tasks_and_an_old_one_at_once() -> None:
    start, more, _, others = split(5)
    more = more.assign(clinic=["West", "new", "new", "newer", "newer"])
    model = VMTLRegressor(sources="own", task="clinic").fit(start, target="score", inputs=INPUTS)
    before = list(model.tasks_)
    model.add(more)
    assert model.tasks_ == [*before, "new", "newer"]
    assert model.rows_[-2:] == [2, 2]
    model.predict(more)
    found = model.helps()
    assert (found.loc[before, ["new", "newer"]] < 1e-10).all(axis=None)
    with pytest.warns(UnseenWarning, match="names 1 task"):
        model.predict(others.assign(clinic="unknown"))


def test_beside_a_lone_task() -> None:
    start, more, test, _ = split(0)
    lone = start.assign(clinic="only")
    model = VMTLRegressor(sources="own", task="clinic").fit(lone, target="score", inputs=INPUTS)
    with pytest.warns(UnseenWarning):
        before = model.predict(test)
    answer = model.add(more).predict(test)
    error = [(one["mean"] - test["score"]).abs().mean() for one in (answer, before)]
    assert error[0] < error[1]


def test_what_is_refused(table: pd.DataFrame) -> None:
    model = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    with pytest.raises(ValueError, match="'score' must have a value"):
        model.add(table.assign(score=np.nan))
    with pytest.raises(ValueError, match=r"must have the columns \['score'\]"):
        model.add(table.drop(columns="score"))
    classes = VMTLClassifier(sources="own", task="clinic").fit(
        table, target="better", inputs=INPUTS
    )
    with pytest.raises(ValueError, match="must hold the fitted classes, 'no', 'yes'; got 'maybe'"):
        classes.add(table.assign(better="maybe"))
    other = VMTLRegressor(task="clinic", sources="previous").fit(
        table, target="score", inputs=INPUTS
    )
    with pytest.raises(ValueError, match="`add` needs sources='groups' or 'own'; got 'previous'"):
        other.add(table)
