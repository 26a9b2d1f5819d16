"""Pictures of chapter 11, the echo."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LINES,
    ORANGE,
    PURPLE,
    VERMILLION,
    canvas,
    label_panels,
)
from vmtl_core.lab.scores import mean_and_interval

SOURCES = {"own": (BLUE, "o"), "previous": (ORANGE, "s"), "joint": (VERMILLION, "^")}


def law(
    difference: Tensor, gap: Tensor, variance: Tensor, fitted: Tensor, spread: Tensor
) -> Figure:
    """The fused-lasso law (lines) and what `fit` found (marks): distance of the means, variance.

    Args:
        difference: distances of the sample means, (P,).
        gap, variance: what the law says, (P,).
        fitted, spread: what `fit` found, (P,).
    """
    figure, axes = canvas(1, 2, (3.9, 2.9))
    for axis, wanted, found in zip(axes[0], (gap, variance), (fitted, spread), strict=True):
        axis.plot(difference, wanted, color=BLACK, lw=1.2, label="law (11.4)")
        axis.plot(difference, found, color=VERMILLION, marker="^", ms=5, ls="none", label="fit")
        axis.set_xlabel("distance of the sample means, in standard errors s")
    axes[0, 0].plot(difference, difference, color=GREY, ls=":", lw=1, label="no sharing")
    axes[0, 0].set(title="distance of the posterior means")
    axes[0, 1].set(title="posterior variance")
    axes[0, 1].axhline(1, color=GREY, ls=":", lw=1)
    axes[0, 1].axhline(0.5, color=GREY, ls="--", lw=1)
    axes[0, 1].text(0.05, 1.04, "own data alone", color=GREY, fontsize=8)
    axes[0, 1].text(0.05, 0.54, "both data sets, counted once", color=GREY, fontsize=8)
    axes[0, 0].legend()
    label_panels(axes[0])
    return figure


def messages(counts: Tensor) -> Figure:
    """Who heard whom: reports round by round, and how often each holds the two data sets.

    Args:
        counts: of data set k in lab t's report after each round, (R, 2, 2).
    """
    figure, axes = canvas(1, 1, (7.8, 2.7))
    axis = axes[0, 0]
    last = len(counts)
    labs = ((1.0, BLUE, "lab 1"), (0.0, VERMILLION, "lab 2"))
    for t, (height, colour, name) in enumerate(labs):
        outside = height + (0.75 if t == 0 else -0.75)
        axis.text(0.35, height, name, ha="right", va="center", color=colour)
        axis.text(0.35, outside, f"data {t + 1}", ha="right", va="center", color=colour)
        for r in range(1, last + 1):
            _arrow(axis, (r, outside), (r, height), colour)
            if r < last:
                _arrow(axis, (r, height), (r + 1, 1 - height), GREY)
            held = counts[r - 1, t]
            face = ORANGE if held.max() > 1 else "white"
            axis.plot(r, height, "o", ms=30, mfc=face, mec=colour, mew=1.6, zorder=3)
            label = f"{held[0]:.0f}, {held[1]:.0f}"
            axis.text(r, height, label, ha="center", va="center", color=BLACK, zorder=4)
    axis.set(xlim=(-0.1, last + 0.4), ylim=(-0.85, 1.85), xticks=range(1, last + 1))
    axis.set(xlabel="round", yticks=[], title="how often a report holds data 1, data 2")
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.grid(False)
    axis.tick_params(length=0)
    return figure


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    """From the middle of one circle to the rim of another."""
    look = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 16, "lw": 1.1}
    axis.annotate("", xy=end, xytext=start, arrowprops=look, zorder=2)


def rounds(numbers: Sequence[int], sds: Sequence[float], covered: Mapping[str, Tensor]) -> Figure:
    """Rounds of echo: claimed sd, and coverage of a 90 % interval for several true widths."""
    figure, axes = canvas(1, 2, (3.9, 2.9))
    left, right = axes[0]
    left.plot(numbers, sds, color=ORANGE, marker="s", ms=4)
    left.axhline(0.5**0.5, color=BLACK, ls="--", lw=1)
    left.text(numbers[-1], 0.73, "both data sets once", ha="right", fontsize=8)
    left.set(title="claimed sd, in s", xlabel="round", ylim=(0, 1.05))
    for (name, share), colour, dash in zip(
        covered.items(), (ORANGE, PURPLE, GREEN), LINES, strict=False
    ):
        right.plot(numbers, share, color=colour, ls=dash, label=name)
    right.axhline(0.9, color=BLACK, ls="--", lw=1)
    right.set(title="coverage of a 90 % interval", xlabel="round", ylim=(0, 1))
    right.legend(loc="lower left")
    for axis in (left, right):
        axis.set_xticks([1, *range(5, numbers[-1] + 1, 5)])
    label_panels(axes[0])
    return figure


def sources(table: pd.DataFrame, columns: Mapping[str, str], ideal: float = 0.9) -> Figure:
    """Means over the seeds with 95 % intervals, one row a variant, one panel a column of `table`."""
    names = list(dict.fromkeys(table["variant"]))
    figure, axes = canvas(1, len(columns), (3.1, 3.9), sharey=True)
    for axis, (column, title) in zip(axes[0], columns.items(), strict=True):
        for row, name in enumerate(names):
            values = torch.tensor(table.loc[table["variant"] == name, column].to_numpy())
            _interval(axis, values, row, name.split(",")[0])
        if column.startswith("coverage"):
            axis.axvline(ideal, color=BLACK, ls="--", lw=1)
            axis.set_xlim(0, 1)
        axis.set_title(title)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    label_panels(axes[0])
    return figure


def _interval(axis: Axes, values: Tensor, row: int, source: str) -> None:
    """Small marks for the seeds, a large one with a 95 % interval for their mean."""
    colour, marker = SOURCES[source]
    mean = mean_and_interval(values)
    axis.plot(values, [row] * len(values), color=BLACK, marker="|", ls="none", ms=7, alpha=0.5)
    axis.plot([mean.low, mean.high], [row, row], color=colour)
    axis.plot([mean.mean], [row], color=colour, marker=marker)
