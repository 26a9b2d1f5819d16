"""A forest plot of paired differences: methods against one of them, set by set."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, GREY, VERMILLION, canvas
from vmtl_core.lab.scores import mean_and_interval


def forest(
    table: pd.DataFrame,
    names: Sequence[str],
    methods: Sequence[str],
    reference: str,
    limits: tuple[float, float] = (-0.4, 0.2),
    columns: int = 3,
) -> Figure:
    """How far each method is ahead of `reference`, seed by seed: one panel a set, one row a method.

    Small marks are seeds, a large one with a bar is the mean with its standard error. Diamonds are
    ahead and circles behind beyond the 95 % interval of the paired difference; squares are neither.
    A mean beyond `limits` stands at the edge, as an arrowhead with its number.

    Args:
        table: rows of `accuracy.run`: set, method, seed and log_score.
        names: of the sets.
        methods: in the order of the rows; one that no set has is left out.
        reference: one of them, the vertical line.
        limits: least and greatest difference shown, nats an example.
        columns: of panels.
    """
    parts = {name: _leads(table, name, reference) for name in names}
    shown = [method for method in methods if any(method in part for part in parts.values())]
    rows = -(-len(names) // columns)
    size = (9.2 / columns, 0.6 + 0.17 * len(shown))
    figure, axes = canvas(rows, columns, size, sharex=True, sharey=True)
    for axis, (name, part) in zip(axes.flat, parts.items(), strict=False):
        axis.axvline(0, color=BLACK, lw=0.8)
        for method, values in part.items():
            if method in shown:
                _lead(axis, values, shown.index(method), limits)
        axis.set_title(name, fontsize=9)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis in axes.flat[max(len(names) - columns, 0) :]:
        axis.tick_params(labelbottom=True, labelsize=8)
    for axis in axes[:, 0]:
        axis.set_yticks(range(len(shown)), shown, fontsize=7)
    margin = 0.07 * (limits[1] - limits[0])
    xlim = (limits[0] - margin, limits[1] + margin)
    axes[0, 0].set(xlim=xlim, ylim=(len(shown) - 0.4, -0.6))
    figure.supxlabel(f"log score ahead of {reference}, nats an example", fontsize=9)
    return figure


def _leads(table: pd.DataFrame, name: str, reference: str) -> dict[str, Tensor]:
    """Differences of log scores to the reference over the seeds that both have, by method."""
    rows = table[table["set"] == name]
    scores = rows.pivot(index="seed", columns="method", values="log_score")
    if reference not in scores:
        return {}
    gaps = scores.drop(columns=reference).sub(scores[reference], axis=0)
    found = {str(method): gaps[method].dropna().to_numpy() for method in gaps}
    return {method: torch.tensor(values) for method, values in found.items() if len(values) > 1}


def _lead(axis: Axes, values: Tensor, row: int, limits: tuple[float, float]) -> None:
    """One row of a panel: seeds, mean and standard error, or an arrowhead at the edge."""
    lead = mean_and_interval(values)
    looks: dict[str, Any] = {"color": GREY, "marker": "s", "mfc": "white"}
    if lead.low > 0:
        looks = {"color": VERMILLION, "marker": "D", "mfc": VERMILLION}
    elif lead.high < 0:
        looks = {"color": BLUE, "marker": "o", "mfc": BLUE}
    inside = values[(values >= limits[0]) & (values <= limits[1])]
    axis.plot(inside, [row] * len(inside), color=GREY, marker="|", ls="none", ms=5, alpha=0.4)
    if limits[0] <= lead.mean <= limits[1]:
        ends = [lead.mean - lead.standard_error, lead.mean + lead.standard_error]
        axis.plot(ends, [row, row], color=looks["color"], lw=1.4)
        axis.plot([lead.mean], [row], ms=4, **looks)
        return
    below = lead.mean < limits[0]
    edge, step = (limits[0], 0.03) if below else (limits[1], -0.03)
    step *= limits[1] - limits[0]
    axis.plot([edge - step], [row], ms=4, **looks | {"marker": "<" if below else ">"})
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    text = f"{lead.mean:+.2f}".replace("-", "\N{MINUS SIGN}")
    where = "left" if below else "right"
    axis.text(edge + step, row, text, ha=where, va="center", fontsize=7, bbox=box)
