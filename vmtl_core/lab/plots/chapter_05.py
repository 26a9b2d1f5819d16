"""Figures of chapter 5: what a task carries, the base prior's width, the echo chamber, the three sources compared."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, COLOURS, LINES, ORANGE, VERMILLION, use_style
from vmtl_core.lab.scores import mean_and_interval

SOURCES = {
    "own": (BLUE, "o"),
    "previous": (ORANGE, "s"),
    "joint": (VERMILLION, "^"),
}
GREY = "0.6"


class Block(NamedTuple):
    """The shape of one family's parameters: a table for each task, one behind the other."""

    title: str
    tasks: int
    rows: tuple[int, str]
    """How many, and what they are."""
    columns: tuple[int, str]


def shapes(blocks: Sequence[Block]) -> Figure:
    """Tables stacked in depth: one sheet a task."""
    use_style()
    figure, axes = plt.subplots(
        1, len(blocks), figsize=(3.1 * len(blocks), 3.0), layout="constrained"
    )
    for axis, block in zip(axes, blocks, strict=True):
        _sheets(axis, block)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=len(handles))
    plt.close(figure)
    return figure


def _sheets(axis: Axes, block: Block) -> None:
    (rows, row_name), (columns, column_name) = block.rows, block.columns
    shift = 0.45
    for task in reversed(range(block.tasks)):
        colour = COLOURS[task % len(COLOURS)]
        for row in range(rows):
            for column in range(columns):
                corner = (column + shift * task, rows - 1 - row + shift * task)
                sheet = Rectangle(corner, 1, 1, facecolor="white", edgecolor=colour, lw=1.6)
                axis.add_patch(sheet)
        sheet.set_label(f"task {task}")
    axis.text(columns / 2, -0.2, f"{columns} {column_name}", ha="center", va="top")
    axis.text(-0.2, rows / 2, f"{rows} {row_name}", ha="right", va="center", rotation=90)
    deep = shift * (block.tasks - 1)
    axis.set_xlim(-1.0, columns + deep + 0.2)
    axis.set_ylim(-1.0, rows + deep + 0.2)
    axis.set_aspect("equal")
    axis.axis("off")
    axis.set_title(block.title)


def learned_base(
    s0: Tensor,
    densities: Mapping[str, Tensor],
    on_log: Tensor,
    on_sd: Tensor,
    truth: float = 1.0,
) -> Figure:
    """The sd of the base prior under one law, as a density of s_0 and as one of log s_0.

    Args:
        s0: grid of the left panel, (G,).
        densities: log densities there up to a constant, (G,); of s_0 first, of log s_0 second.
        on_log: learned sd with the density of log s_0, one a data set, (R,).
        on_sd: with that of s_0.
        truth: the population's sd.
    """
    use_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.0), layout="constrained")
    for (name, values), colour, line in zip(
        densities.items(), (VERMILLION, BLUE), LINES, strict=False
    ):
        left.plot(s0, values - values.max(), color=colour, ls=line, label=f"density {name}")
        best = values.argmax()
        left.plot(s0[best], 0, color=colour, marker="o", clip_on=False, zorder=3)
    left.set(xlim=(0, 0.6), ylim=(-6, 0.3), xlabel="$s_0$", ylabel="log density")
    left.legend(loc="lower center")
    for pair in zip(on_sd.tolist(), on_log.tolist(), strict=True):
        right.plot([0, 1], pair, color=BLUE, marker="o", lw=1)
    right.axhline(truth, color=BLACK, ls="--", lw=1)
    right.set_xticks([0, 1], [f"density {name}" for name in densities])
    right.set(xlim=(-0.4, 1.4), ylim=(0, 1.1 * truth), ylabel="learned $s_0$")
    plt.close(figure)
    return figure


def echo_chamber(
    delta: Tensor,
    gaps: Mapping[str, Tensor],
    law: Tensor,
    steps: Tensor,
    sds: Mapping[str, Sequence[float]],
    pooled_sd: float,
) -> Figure:
    """Two tasks, three sources: distance of the means (top), sd during the fit (bottom).

    Args:
        delta: distances of the sample means, (P,).
        gaps: distances of the posterior means for each of the sources, (P,).
        law: what (5.10) says for "joint", (P,).
        steps: when the sd was looked at, (R,).
        sds: posterior sd at these steps for each of the sources.
        pooled_sd: that of all data counted once.
    """
    use_style()
    figure, axes = plt.subplots(
        2, len(gaps), figsize=(8.4, 4.8), sharey="row", sharex="row", layout="constrained"
    )
    for (top, bottom), (name, gap) in zip(axes.T, gaps.items(), strict=True):
        colour, marker = SOURCES[name]
        top.plot(delta, delta, color=GREY, ls=":")
        if name == "joint":
            top.plot(delta, law, color=BLACK, lw=1)
        top.plot(delta, gap, color=colour, marker=marker, ls="none", ms=4)
        top.set(title=f'sources="{name}"', xlabel="distance of sample means")
        bottom.plot(steps, sds[name], color=colour, marker=marker, ms=4)
        bottom.axhline(pooled_sd, color=BLACK, ls="--", lw=1)
        bottom.set(xlabel="step", ylim=(0, None))
    axes[0, 0].text(1.05, 1.25, "no shrinkage", color="0.4", rotation=38, ha="center", fontsize=8)
    axes[0, 0].set_ylabel("distance of posterior means")
    axes[1, 0].set_ylabel("posterior sd at 0.8")
    plt.close(figure)
    return figure


def sources_compared(loss: Mapping[str, Tensor], surprise: Mapping[str, Tensor]) -> Figure:
    """Score and honesty of every variant, means over data sets with intervals; (R,) each.

    The names of the variants begin with that of their sources and a comma.
    """
    use_style()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.4, 3.2), sharey=True, layout="constrained"
    )
    for row, name in enumerate(loss):
        _interval(left, loss[name], row, name.split(",")[0])
        _interval(right, surprise[name], row, name.split(",")[0])
    left.set_yticks(range(len(loss)), list(loss))
    left.invert_yaxis()
    left.set_xlabel("held-out negative log score (nats)")
    right.axvline(1, color=BLACK, ls="--", lw=1)
    right.set_xscale("log")
    right.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    right.minorticks_off()
    right.set_xlabel("surprise")
    plt.close(figure)
    return figure


def _interval(axis: Axes, values: Tensor, row: int, source: str) -> None:
    """Small marks for the data sets, a large one with a 95 % interval for their mean."""
    colour, marker = SOURCES[source]
    mean = mean_and_interval(values)
    axis.plot(values, [row] * len(values), color=BLACK, marker="|", ls="none", ms=7, alpha=0.6)
    axis.plot([max(mean.low, 0.5), mean.high], [row, row], color=colour)
    axis.plot([mean.mean], [row], color=colour, marker=marker)
