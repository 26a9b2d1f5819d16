"""Each picture is one call, on axes of its own or given ones, and shows the model's numbers."""

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tests.table.tables import INPUTS
from vmtl_core.table import VMTLClassifier, VMTLCounter, VMTLRegressor
from vmtl_core.table.pictures import task_order


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    with mpl.rc_context({"backend": "agg"}):
        yield
    plt.close("all")


@pytest.fixture
def model(table: pd.DataFrame) -> VMTLRegressor:
    return VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)


def test_axes_of_its_own_or_given_ones(model: VMTLRegressor, table: pd.DataFrame) -> None:
    calls: list[Any] = [
        model.plot_tasks,
        lambda axes=None: model.plot_tasks("network", axes=axes),
        model.plot_coefficients,
        lambda axes=None: model.plot_calibration(table, axes=axes),
        lambda axes=None: model.plot_task("N/A", table, axes=axes),
        lambda axes=None: model.plot_learning_curve(table, (2, 4), 1, axes=axes),
    ]
    for call in calls:
        assert call().figure.canvas is not None
        _, axes = plt.subplots()
        assert call(axes=axes) is axes
        assert axes.has_data()


def test_heat_map_shows_the_shares(model: VMTLRegressor) -> None:
    helps = model.helps()
    axes = model.plot_tasks()
    order = task_order(helps)
    assert sorted(order) == list(range(6))
    shown = np.asarray(axes.collections[0].get_array()).reshape(6, 7)
    assert np.allclose(shown, helps.iloc[order, [*order, -1]])
    assert [one.get_text() for one in axes.get_yticklabels()] == [
        str(model.tasks_[i]) for i in order
    ]


def test_like_tasks_stand_side_by_side() -> None:
    share = np.full((6, 7), 0.02)
    for a, b in ((0, 3), (1, 4), (2, 5)):
        share[a, b] = share[b, a] = 0.9
    order = list(task_order(pd.DataFrame(share)))
    for a, b in ((0, 3), (1, 4), (2, 5)):
        assert abs(order.index(a) - order.index(b)) == 1


def test_forest_shows_the_coefficients(model: VMTLRegressor) -> None:
    axes = model.plot_coefficients("stage", interval=0.5)
    table = model.coefficients(0.5).query("input == 'stage' and task != 'population'")
    table = table.sort_values("mean")
    assert np.allclose(axes.lines[0].get_xdata(), table["mean"])
    ends = np.array([one[:, 0] for one in axes.collections[0].get_segments()])
    assert np.allclose(ends, table[["lower", "upper"]])
    with pytest.raises(ValueError, match="`input` must be one of"):
        model.plot_coefficients("nothing")


def test_calibration_of_numbers_and_of_classes(table: pd.DataFrame, model: VMTLRegressor) -> None:
    line = model.plot_calibration(table).lines[1]
    answer = model.predict(table, interval=0.9)
    inside = (table["score"] >= answer["lower"]) & (table["score"] <= answer["upper"])
    assert line.get_ydata()[8] == pytest.approx(inside.mean())
    classes = VMTLClassifier(sources="own", task="clinic").fit(
        table, target="better", inputs=["age"]
    )
    promised, kept = classes.plot_calibration(table).lines[1].get_data()
    assert np.abs(promised - kept).mean() < 0.1


def test_one_task_along_one_input(table: pd.DataFrame, model: VMTLRegressor) -> None:
    axes = model.plot_task("East", table)
    rows = table[table["clinic"] == "East"]
    assert np.array_equal(axes.lines[1].get_ydata(), rows["score"])
    slope = np.diff(axes.lines[0].get_ydata()) / np.diff(axes.lines[0].get_xdata())
    wanted = model.coefficients().query("task == 'East' and input == 'age'")["mean"].item()
    assert np.allclose(slope, wanted)
    with pytest.raises(ValueError, match="`task` must be one of the table's; got 'nowhere'"):
        model.plot_task("nowhere", table)
    with pytest.raises(ValueError, match="`input` must be a column of numbers"):
        model.plot_task("East", table, input="sex")


def test_one_task_of_counts_and_of_classes(table: pd.DataFrame) -> None:
    counts = VMTLCounter(sources="own", task="clinic").fit(
        table, target="visits", inputs=["age"], exposure="hours"
    )
    rows = table[table["clinic"] == "East"]
    shown = counts.plot_task("East", table).lines[1].get_ydata()
    hours = rows["hours"].mean()
    shown, wanted = np.asarray(shown), (rows["visits"] * hours / rows["hours"]).to_numpy()
    assert np.allclose(shown, wanted)
    classes = VMTLClassifier(sources="own", task="clinic").fit(
        table, target="better", inputs=["age"]
    )
    line = classes.plot_task("East", table).lines[0].get_ydata()
    assert (np.asarray(line) > 0).all()
    assert (np.asarray(line) < 1).all()


def test_more_rows_predict_better(table: pd.DataFrame, model: VMTLRegressor) -> None:
    axes = model.plot_learning_curve(table, sizes=(2, 25), repeats=2)
    few, many = axes.lines[0].get_ydata()
    assert many > few
