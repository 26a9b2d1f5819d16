"""Pictures of a fitted model. Each draws on the axes that it is given, or on new ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from scipy.cluster.hierarchy import leaves_list, linkage
from sklearn.base import clone
from sklearn.calibration import calibration_curve

from vmtl_core._checks import one_of, require
from vmtl_core.history import IdentificationWarning
from vmtl_core.table.coefficients import POPULATION
from vmtl_core.table.told import UnseenWarning

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#6e7781"
MOST_LABELS = 40
"""More tasks than that are drawn without their names."""
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
INSIDE = 0.25
"""The share of every task's rows that a learning curve is judged by."""


def new_axes(axes: Any, size: tuple[float, float]) -> Any:
    """The axes given, or those of a new figure, which a notebook shows once."""
    if axes is not None:
        return axes
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    plt.close(figure)
    return axes


def task_order(helps: pd.DataFrame) -> np.ndarray:
    """Tasks that explain each other side by side, by average linkage, (T,)."""
    between = helps.iloc[:, :-1].to_numpy()
    if len(between) < 3:
        return np.arange(len(between))
    away = 1 - (between + between.T) / 2
    upper = away[np.triu_indices(len(away), 1)]
    return leaves_list(linkage(upper, "average", optimal_ordering=True))


def tasks(model: Any, kind: str, axes: Any) -> Any:
    """Who helps whom, as a heat map or as a network."""
    one_of("kind", kind, ("heat map", "network"))
    helps = model.helps()
    order = task_order(helps)
    if kind == "network":
        return _network(helps.iloc[order, [*order, -1]], new_axes(axes, (5, 5)))
    axes = new_axes(axes, (6, 5))
    shown = helps.iloc[order, [*order, -1]]
    names = len(shown) <= MOST_LABELS
    sns.heatmap(
        shown.astype(float),
        ax=axes,
        cmap="cividis",
        vmin=0,
        xticklabels=names,
        yticklabels=names,
        cbar_kws={"label": "share of the prior that explains the task"},
    )
    axes.set(xlabel="is explained by", ylabel="task", title="who helps whom")
    return axes


def _network(helps: pd.DataFrame, axes: Any) -> Any:
    """Tasks on a circle; a line is as strong as the two explain each other."""
    between = helps.iloc[:, :-1].to_numpy()
    count = len(between)
    angle = 2 * np.pi * np.arange(count) / count
    x, y = np.cos(angle), np.sin(angle)
    tie = (between + between.T) / 2
    strongest = max(float(tie.max()), 1e-12)
    for i in range(count):
        for j in range(i):
            if tie[i, j] > 0.1 * strongest:
                share = tie[i, j] / strongest
                axes.plot(x[[i, j]], y[[i, j]], color=BLUE, alpha=share, linewidth=4 * share)
    axes.scatter(x, y, s=60, color=VERMILLION, zorder=3)
    for i, name in enumerate(helps.index if count <= MOST_LABELS else []):
        axes.annotate(str(name), (1.12 * x[i], 1.12 * y[i]), ha="center", va="center", fontsize=8)
    axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), title=f"strongest tie {strongest:.2f}")
    axes.set_aspect("equal")
    axes.axis("off")
    return axes


def coefficients(model: Any, name: Any, interval: float, axes: Any) -> Any:
    """A forest: one input's coefficient in every task, and in the population."""
    table = model.coefficients(interval)
    names = model.inputs_.names
    name = names[0] if name is None else name
    require(name in names, f"`input` must be one of {names}; got {name!r}")
    table = table[table["input"] == name]
    if "class" in table:
        last = table["class"].iloc[-1]
        table, name = table[table["class"] == last], f"{name} (class {last})"
    common = table[table["task"] == POPULATION].iloc[0]
    rows = table[table["task"] != POPULATION].sort_values("mean")
    axes = new_axes(axes, (5, 1.2 + 0.22 * min(len(rows), MOST_LABELS)))
    place = np.arange(len(rows))
    axes.hlines(place, rows["lower"], rows["upper"], color=BLUE, linewidth=1.5)
    axes.plot(rows["mean"], place, "o", color=BLUE, markersize=4, label="tasks")
    axes.axvline(common["mean"], color=VERMILLION, label=POPULATION)
    if np.isfinite(common["lower"]):
        axes.axvspan(common["lower"], common["upper"], color=VERMILLION, alpha=0.15)
    if len(rows) <= MOST_LABELS:
        axes.set_yticks(place, [str(one) for one in rows["task"]])
    else:
        axes.set_yticks([])
    axes.set(xlabel=f"coefficient of {name}, {interval:.0%} interval", ylabel="task")
    axes.legend(fontsize=8, loc="lower right")
    return axes


def calibration(model: Any, X: Any, y: Any, task: Any, axes: Any) -> Any:
    """Promised against kept: intervals of numbers and counts, probabilities of classes."""
    axes = new_axes(axes, (4, 4))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="as promised")
    truth = model._truth(X, y)
    if hasattr(model, "predict_proba"):
        label = model._labels[-1]
        chance = model.predict_proba(X, task)[:, -1]
        bins = max(2, min(10, len(truth) // 20))
        kept, promised = calibration_curve(
            (truth == label).to_numpy(), chance, n_bins=bins, strategy="quantile"
        )
        axes.plot(promised, kept, "o-", color=BLUE, label=f"class {label}")
        axes.set(xlabel="predicted probability", ylabel="share of rows", title="calibration")
    else:
        values = truth.to_numpy(dtype=float)
        kept = [float(one.mean()) for one in model._inside(X, values, task, LEVELS)]
        axes.plot(LEVELS, kept, "o-", color=BLUE, label="intervals")
        axes.set(xlabel="probability of the interval", ylabel="share of rows inside")
        axes.set_title("calibration (counts: at least)" if model.counts else "calibration")
    axes.legend(fontsize=8)
    axes.set_aspect("equal")
    return axes


def one_task(
    model: Any, name: Any, X: pd.DataFrame, column: Any, interval: float, axes: Any
) -> Any:
    """Predictions of one task along one input with a band, over its rows."""
    numeric = [one.name for one in model.inputs_.columns if one.kind == "number"]
    column = numeric[0] if column is None and numeric else column
    require(column in numeric, f"`input` must be a column of numbers, {numeric}; got {column!r}")
    require(model.task_name_ in X.columns, "`X` must have the task column")
    mine = X[[one == name for one in X[model.task_name_]]]
    require(len(mine) > 0, f"`task` must be one of the table's; got {name!r}")
    ends = mine[column].min(), mine[column].max()
    grid = pd.concat([_typical(model, mine)] * 60, ignore_index=True)
    grid[column] = np.linspace(*ends, 60)
    answer = model.predict(grid, interval=interval)
    axes = new_axes(axes, (5, 3.6))
    truth = mine.get(model.target_name_)
    centre = "mean"
    low, high = "lower", "upper"
    if hasattr(model, "predict_proba"):
        label = model._labels[-1]
        centre, low, high = f"p_{label}", f"p_{label}_lower", f"p_{label}_upper"
        truth = None if truth is None else (truth == label).astype(float)
    axes.fill_between(
        grid[column], answer[low], answer[high], color=BLUE, alpha=0.2, label=f"{interval:.0%}"
    )
    axes.plot(grid[column], answer[centre], color=BLUE, label="prediction")
    if truth is not None:
        if model.exposure_name_ is not None:
            truth = truth * grid[model.exposure_name_].iloc[0] / mine[model.exposure_name_]
        axes.plot(mine[column], truth, "o", color=VERMILLION, markersize=4, label="rows")
    what = f"probability of {label}" if centre != "mean" else str(model.target_name_)
    if model.exposure_name_ is not None:
        exposure = float(grid[model.exposure_name_].iloc[0])
        what = f"{what} for {model.exposure_name_} = {exposure:.3g}"
    axes.set(xlabel=str(column), ylabel=what, title=f"{model.task_name_} {name}")
    axes.legend(fontsize=8)
    return axes


def _typical(model: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """One row: means of numbers, the commonest of all else."""
    one = rows.iloc[[0]].copy()
    for column in model.inputs_.columns:
        values = rows[column.name].dropna()
        if column.kind == "number" and len(values):
            one[column.name] = float(values.astype(float).mean())
        elif len(values):
            one[column.name] = pd.Series([values.mode().iloc[0]], one.index, dtype=values.dtype)
    if model.exposure_name_ is not None:
        one[model.exposure_name_] = float(rows[model.exposure_name_].mean())
    return one


def learning_curve(
    model: Any, X: pd.DataFrame, sizes: Sequence[int], repeats: int, seed: int, axes: Any
) -> Any:
    """Held-out score of refits on the first n rows of every task, n = `sizes`."""
    require(model.frame_style_, "`plot_learning_curve` needs a fit with `target=`")
    draw = np.random.default_rng(seed)
    scores = np.empty((repeats, len(sizes)))
    for i in range(repeats):
        mixed = X.iloc[draw.permutation(len(X))]
        names = mixed[model.task_name_].map(lambda one: (type(one).__name__, one))
        place = mixed.groupby(names.to_numpy(), sort=False).cumcount().to_numpy()
        count = names.map(names.value_counts()).to_numpy()
        test = place >= np.ceil((1 - INSIDE) * count)
        for j, size in enumerate(sizes):
            scores[i, j] = _refit(model, mixed[~test & (place < size)], mixed[test])
    axes = new_axes(axes, (4.6, 3.4))
    mean = scores.mean(0)
    axes.plot(sizes, mean, "o-", color=BLUE)
    if repeats > 1:
        error = scores.std(0, ddof=1) / np.sqrt(repeats)
        axes.fill_between(sizes, mean - error, mean + error, color=BLUE, alpha=0.2)
    axes.set(
        xlabel="rows of each task, at most",
        ylabel="held-out log score, nats a row",
        title="learning curve",
    )
    return axes


def _refit(model: Any, rows: pd.DataFrame, held_out: pd.DataFrame) -> float:
    """Mean held-out log score of the same model of other rows, in which levels may be missing."""
    exposure = {} if model.exposure_name_ is None else {"exposure": model.exposure_name_}
    with warnings.catch_warnings():
        for expected in (UnseenWarning, IdentificationWarning):
            warnings.simplefilter("ignore", expected)
        again = clone(model).fit(
            rows, target=model.target_name_, inputs=model.input_names_, **exposure
        )
        return float(again.log_score(held_out).mean())
