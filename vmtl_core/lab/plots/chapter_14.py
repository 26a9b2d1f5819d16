"""Pictures of chapter 14, groups of tasks."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.plots.style import (
    BLACK,
    COLOURS,
    GREY,
    LINES,
    MARKERS,
    VERMILLION,
    canvas,
    label_panels,
)
from vmtl_core.lab.scores import mean_and_interval


def law(difference: Tensor, gaps: Mapping[str, Tensor], variances: Mapping[str, Tensor]) -> Figure:
    """Two tasks: distance of the posterior means, and posterior variance, against that of the data.

    Args:
        difference: of the sample means, in standard errors, (P,).
        gaps: name -> distance of the posterior means, (P,).
        variances: name -> posterior variance in squared standard errors, (P,).
    """
    figure, axes = canvas(1, 2, (3.9, 2.9))
    for axis, lines in zip(axes[0], (gaps, variances), strict=True):
        for (name, values), colour, dash in zip(lines.items(), COLOURS, LINES, strict=False):
            axis.plot(difference, values, color=colour, ls=dash, label=name)
        axis.set_xlabel("distance of the sample means, in s")
    axes[0, 0].plot(difference, difference, color=GREY, ls=":", lw=1)
    axes[0, 0].set(title="distance of the posterior means, in s")
    axes[0, 0].legend()
    axes[0, 1].set(title="posterior variance, in s²", ylim=(0, 2.5))
    for level, text in ((1, "own data alone"), (0.5, "both data sets, counted once")):
        axes[0, 1].axhline(level, color=GREY, ls=":", lw=1)
        right = {"color": GREY, "fontsize": 8, "ha": "right", "va": "top"}
        axes[0, 1].text(float(difference[-1]), level - 0.02, text, **right)
    label_panels(axes[0])
    return figure


def evidence(bounds: Mapping[str, Tensor], truth: int) -> Figure:
    """The bound (14.5) against the number of groups, 0 for none, a line for each width."""
    figure, axes = canvas(1, 1, (5.6, 3.1))
    axis = axes[0, 0]
    looks = zip(bounds.items(), COLOURS, LINES, MARKERS, strict=False)
    for (name, values), colour, dash, mark in looks:
        axis.plot(range(len(values)), values, color=colour, ls=dash, marker=mark, ms=5, label=name)
    axis.axvline(truth, color=GREY, lw=1, ls=":")
    best = max(float(values.max()) for values in bounds.values())
    axis.set(
        xlabel="number of groups", ylabel="bound on the log evidence", ylim=(best - 70, best + 5)
    )
    axis.set_xticks(range(len(next(iter(bounds.values())))))
    axis.legend(title="delta", loc="lower left", bbox_to_anchor=(1, 0))
    return figure


def helpers(maps: Mapping[str, Tensor]) -> Figure:
    """Who helps whom, (14.8): a square for each pair of tasks, darker for more; nobody is last.

    Args:
        maps: name -> responsibilities, (T, T + 1).
    """
    figure, axes = canvas(1, len(maps), (3.6, 3.3))
    for axis, (name, values) in zip(axes[0], maps.items(), strict=True):
        _squares(axis, values)
        axis.set_title(name)
    label_panels(axes[0])
    return figure


def _squares(axis: Axes, values: Tensor) -> None:
    axis.imshow(values.sqrt().numpy(), cmap="Blues", vmin=0, vmax=1)
    tasks = len(values)
    ticks = list(range(0, tasks, 2))
    axis.set_xticks([*ticks, tasks], [*map(str, ticks), "nobody"])
    axis.set_yticks(ticks)
    axis.get_xticklabels()[-1].set(rotation=90)
    axis.set(xlabel="helper", ylabel="task")
    axis.grid(False)
    axis.axvline(tasks - 0.5, color=BLACK, lw=0.8)


def leads(found: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """How far groups are ahead: a panel for each set, a row for each rival, a mark for each seed.

    Args:
        found: set -> rival -> paired differences in nats an example, (R,).
    """
    rivals = list(dict.fromkeys(name for rows in found.values() for name in rows))
    figure, axes = canvas(1, len(found), (2.5, 2.7), sharey=True)
    for axis, (name, rows) in zip(axes[0], found.items(), strict=True):
        for rival, values in rows.items():
            _lead(axis, values, rivals.index(rival))
        axis.axvline(0, color=BLACK, lw=0.8)
        axis.set(title=name, xlabel="nats ahead")
    axes[0, 0].set_yticks(range(len(rivals)), rivals)
    axes[0, 0].invert_yaxis()
    return figure


def _lead(axis: Axes, values: Tensor, row: int) -> None:
    """The seeds, and their mean with a 95 % interval."""
    interval = mean_and_interval(values)
    axis.plot(values, torch.full_like(values, row - 0.2), color=GREY, marker="|", ms=7, ls="none")
    axis.plot([interval.low, interval.high], [row, row], color=COLOURS[row], lw=1.5)
    axis.plot([interval.mean], [row], color=COLOURS[row], marker=MARKERS[row], ms=6)


def growth(data: MultiTaskData, shares: Sequence[float], values: Tensor) -> Figure:
    """Curves of animals, drawn by their true group, and who helps whom among them.

    Args:
        data: with the first input on the horizontal axis and known groups.
        shares: how surely each task is in a group, T numbers; thick lines are sure.
        values: responsibilities, (T, T + 1).
    """
    figure, axes = canvas(1, 2, (4.1, 3.3))
    left, right = axes[0]
    assert data.groups is not None
    names = sorted(set(data.groups))
    for task, rows in enumerate(data.task_rows):
        group = names.index(data.groups[task])
        order = rows[data.x[rows, 0].argsort()]
        look = {"color": COLOURS[group], "ls": LINES[group], "lw": 0.8 + 1.6 * shares[task]}
        first = data.groups.index(data.groups[task]) == task
        label = data.groups[task] if first else None
        left.plot(data.x[order, 0], data.y[order], label=label, **look)
    left.set(xlabel=data.input_names[0], ylabel=data.target_name, title="data")
    left.legend(ncols=3, loc="center", bbox_to_anchor=(0.5, 0.3), fontsize=8)
    _squares(right, values)
    right.set_title("who helps whom")
    label_panels(axes[0])
    return figure


def newcomer(
    grid: Tensor, densities: Mapping[str, Tensor], centres: Tensor, names: Sequence[str]
) -> Figure:
    """What a task without data would answer: predictive densities on a grid, a panel a coordinate.

    Args:
        grid: of answers, (G,).
        densities: name -> (panels, G).
        centres: true centres of the groups, (panels, C), drawn below.
        names: of the panels.
    """
    figure, axes = canvas(1, len(names), (3.9, 2.8))
    for panel, axis in enumerate(axes[0]):
        for (name, values), colour, dash in zip(densities.items(), COLOURS, LINES, strict=False):
            axis.plot(grid, values[panel], color=colour, ls=dash, label=name)
        zeros = torch.zeros_like(centres[panel])
        axis.plot(
            centres[panel], zeros, color=VERMILLION, marker="^", ms=7, ls="none", clip_on=False
        )
        axis.set(title=names[panel], xlabel="answer", ylim=(0, None))
    axes[0, 0].legend()
    label_panels(axes[0])
    return figure
