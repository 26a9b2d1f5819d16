"""Pictures of chapter 9, the rail choices."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import LogLocator
from scipy.cluster.hierarchy import linkage
from torch import Tensor

from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.plots.style import COLOURS, GREY, INK, LINES, MARKERS, canvas, label_panels
from vmtl_core.lab.scores import mean_and_interval

Limits = tuple[float, float]

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""Ends of the 95% and 80% intervals, and the median."""
NINETY = 2.1460  # of a Gaussian in the plane 90% lie within so many standard deviations
SCORES = {
    "accuracy": "accuracy",
    "log_score": "log probability, nats a choice",
    "calibration": "calibration error",
}


def choices(data: MultiTaskData) -> Figure:
    """Choices a traveller, and what was offered and chosen where only price and time differ.

    Args:
        data: in original units, inputs price (guilders), time (minutes), changes, comfort.
    """
    figure, axes = canvas(1, 2, (3.8, 3.0))
    left, right = axes[0]
    sizes = np.array(data.task_sizes)
    left.hist(sizes, np.arange(0.5, sizes.max() + 1.5), color=COLOURS[0], edgecolor="white")
    left.set(xlabel="choices of a traveller", ylabel="travellers", title="sizes")
    x = data.x
    plain = (x[:, 2] == 0) & (x[:, 3] == 0) & (x[:, 0] * x[:, 1] < 0)
    first_cheaper = x[plain, 0] < 0
    saved, longer = x[plain, 0].abs(), x[plain, 1].abs()
    cheaper = (data.y[plain] == 1) == first_cheaper
    for i, (rows, label) in enumerate(((cheaper, "took the cheaper"), (~cheaper, "the faster"))):
        look = {"color": COLOURS[i], "alpha": 0.4, "ms": 4, "label": label}
        right.plot(longer[rows] + (0.8 * i - 0.4), saved[rows], MARKERS[i], ls="", **look)
    ends = np.array([0.0, 60.0])
    for i, value in enumerate((5, 20, 60)):
        right.plot(
            ends, ends * value / 60, color=INK, lw=1, ls=LINES[i], label=f"{value} guilders/h"
        )
    right.set(xlim=(0, 60), ylim=(0, 30), title="price against time")
    right.set(xlabel="minutes longer", ylabel="guilders cheaper")
    right.legend(fontsize=7, loc="upper left", ncols=2)
    label_panels(axes[0])
    return figure


def posterior_shapes(
    draws: Mapping[str, Tensor],
    gaussians: Mapping[str, tuple[Tensor, Tensor]],
    labels: tuple[str, str],
) -> Figure:
    """Draws from one task's exact posterior of two weights, and ellipses that hold 90%.

    Args:
        draws: panel title -> exact draws (S, 2); one panel each.
        gaussians: panel title + ": " + name -> mean (2,) and covariance (2, 2).
        labels: of the two axes.
    """
    figure, axes = canvas(1, len(draws), (3.4, 3.2), sharex=True, sharey=True)
    for axis, (title, points) in zip(axes[0], draws.items(), strict=True):
        axis.plot(points[:, 0], points[:, 1], ".", color=GREY, ms=3, alpha=0.3, label="exact draws")
        mine = [name for name in gaussians if name.startswith(f"{title}: ")]
        for i, name in enumerate(mine):
            (across, up), covariance = (t.detach().double().numpy() for t in gaussians[name])
            values, vectors = np.linalg.eigh(covariance)
            width, height = 2 * NINETY * np.sqrt(values)
            angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
            look = {"fill": False, "color": COLOURS[i], "ls": LINES[i], "lw": 2}
            label = name.removeprefix(f"{title}: ")
            axis.add_patch(
                Ellipse((float(across), float(up)), width, height, angle=angle, label=label, **look)
            )
        axis.set(title=title, xlabel=labels[0])
    axes[0, 0].set_ylabel(labels[1])
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def value_of_time(
    quantiles: Tensor, population: Tensor, alone: Tensor, limits: Limits, unit: str
) -> Figure:
    """Each traveller's value with intervals, sorted; the population's density; single-task points.

    Args:
        quantiles: of `LEVELS`, (5, T).
        population: draws from the population, (S,).
        alone: the single-task estimates, (T,).
        limits: of the vertical axis.
        unit: label of the vertical axis.
    """
    figure, axes = canvas(1, 3, (3.3, 3.9), sharey=True, width_ratios=[2.2, 0.6, 1.3])
    main, side, wild = axes[0]
    order = quantiles[2].argsort()
    _intervals(main, quantiles[:, order], unit)
    main.set_title("multi-task")
    inside = population[(population > limits[0]) & (population < limits[1])]
    sns.kdeplot(
        y=inside.numpy(), ax=side, fill=True, color=COLOURS[2], cut=0, bw_adjust=0.7, linewidth=1
    )
    side.axhline(float(population.median()), color=INK, lw=1, ls=LINES[1])
    side.set(title="population", xlabel="density", xticks=[])
    place = np.arange(len(alone))
    wild.plot(place, alone[order].clamp(*limits), "o", color=COLOURS[1], ms=3, alpha=0.6)
    low, high = int((alone < limits[0]).sum()), int((alone > limits[1]).sum())
    wild.set(title="single-task", xlabel="traveller, same order")
    for count, height, side_of in ((high, 0.985, "above"), (low, 0.015, "below")):
        wild.text(
            0.5,
            height,
            f"{count} {side_of} the axis",
            transform=wild.transAxes,
            fontsize=8,
            ha="center",
            va="top" if height > 0.5 else "bottom",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
    main.set_ylim(*limits)
    label_panels(axes[0])
    return figure


def values(quantiles: Mapping[str, Tensor], limits: Mapping[str, Limits]) -> Figure:
    """Travellers' values of several attributes with 80% and 95% intervals, each panel sorted.

    Args:
        quantiles: label of the vertical axis -> of `LEVELS`, (5, T).
        limits: label -> range of that axis.
    """
    figure, axes = canvas(1, len(quantiles), (4.0, 3.4))
    for axis, (label, each) in zip(axes[0], quantiles.items(), strict=True):
        _intervals(axis, each[:, each[2].argsort()], label)
        axis.set_ylim(limits[label])
    label_panels(axes[0])
    return figure


def _intervals(axis: Axes, quantiles: Tensor, unit: str) -> None:
    """95% (thin) and 80% (thick) intervals and medians, one column a traveller."""
    place = np.arange(quantiles.shape[1])
    low95, low80, middle, high80, high95 = quantiles.numpy()
    axis.vlines(place, low95, high95, color=COLOURS[5], lw=0.8, label="95%")
    axis.vlines(place, low80, high80, color=COLOURS[0], lw=1.2, label="80%")
    axis.plot(place, middle, ".", color=INK, ms=2.5, label="median")
    axis.axhline(0, color=INK, lw=0.8, ls=LINES[2])
    axis.set(xlabel="traveller, sorted by median", ylabel=unit)
    axis.legend(loc="upper left", fontsize=8)


def heavy_tails(runs: Mapping[str, Tensor], unit: str) -> Figure:
    """Running means of a ratio, its tail, and its density, for one traveller.

    Args:
        runs: model -> draws of the ratio, (runs, S).
        unit: of the ratio.
    """
    figure, axes = canvas(1, 1 + len(runs), (3.5, 3.0))
    for i, (axis, (name, draws)) in enumerate(zip(axes[0], runs.items(), strict=False)):
        count = torch.arange(1, draws.shape[1] + 1)
        keep = torch.logspace(1, np.log10(draws.shape[1]), 300).long().unique() - 1
        means = (draws.double().cumsum(1) / count)[:, keep]
        axis.plot(count[keep], means.T, color=COLOURS[i], lw=1.2, alpha=0.8)
        scale = "symlog" if means.min() < 0 < means.max() else "linear"
        axis.set(xscale="log", xlabel="draws", title=f"mean, {name} price")
        axis.set_yscale(scale, **({"linthresh": 10} if scale == "symlog" else {}))
        axis.set_ylabel(unit)
    last = axes[0, -1]
    for i, (name, draws) in enumerate(runs.items()):
        size = draws.abs().flatten().sort().values
        above = 1 - (torch.arange(len(size)) + 0.5) / len(size)
        keep = (len(size) * (1 - torch.logspace(0, -4.3, 80))).long().clamp(0, len(size) - 1)
        last.plot(size[keep], above[keep], color=COLOURS[i], ls=LINES[i], label=f"{name} price")
    start = runs[next(iter(runs))].abs().flatten().quantile(0.9).item()
    far = np.array([start, 1e3 * start])
    last.plot(far, 0.1 * start / far, color=INK, lw=1, ls=LINES[2], label="slope -1")
    last.set(xscale="log", yscale="log", xlim=(1, None), title="tail")
    last.set(xlabel=f"v, {unit}", ylabel="P(|V| > v)")
    last.legend(fontsize=8)
    label_panels(axes[0])
    return figure


def scores(table: pd.DataFrame, methods: Sequence[str], limits: Mapping[str, Limits]) -> Figure:
    """Mean over the splits with 95% intervals: a panel for each score, a row for each method.

    Args:
        table: n, seed, method and the columns of `SCORES`.
        methods: which, from top to bottom.
        limits: score -> range of its axis.
    """
    figure, axes = canvas(1, 3, (3.7, 4.4), sharey=True)
    sizes = sorted(table["n"].unique())
    for axis, (name, label) in zip(axes[0], SCORES.items(), strict=True):
        for j, n in enumerate(sizes):
            for i, method in enumerate(methods):
                chosen = table[(table["n"] == n) & (table["method"] == method)][name]
                mean, _, low, high = mean_and_interval(torch.tensor(chosen.to_numpy()))
                place = i + 0.24 * (j - 0.5)
                axis.plot([low, high], [place, place], color=COLOURS[j], linewidth=1.2)
                mark = axis.plot(mean, place, MARKERS[j], color=COLOURS[j], markersize=4.5)
                if not i:
                    mark[0].set_label(f"{n} choices a traveller")
        axis.set_xlim(limits.get(name))
        axis.set_xlabel(label)
    axes[0, 0].set_yticks(range(len(methods)), methods)
    axes[0, 0].invert_yaxis()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def who_is_like_whom(phi: Tensor, means: Tensor, value: Tensor, limits: Limits) -> Figure:
    """Responsibilities among travellers, clustered by their posterior means.

    Args:
        phi: (T, T), base prior left out; the diagonal is 0.
        means: posterior means of the weights, (T, D), by which travellers are clustered.
        value: one number a traveller, for the strip of colours beside the map.
        limits: of the colours, which are logarithmic.
    """
    tree = linkage(means.numpy(), "ward")
    rank = value.argsort().argsort().double() / (len(value) - 1)
    strip = [plt.get_cmap("cividis")(float(r)) for r in rank]
    grid = sns.clustermap(
        phi.clamp_min(limits[0]).numpy(),
        row_linkage=tree,
        col_linkage=tree,
        row_colors=strip,
        norm=LogNorm(*limits),
        cmap="cividis",
        cbar_kws={"ticks": LogLocator(subs=(1, 2, 5)), "format": "%g"},
        figsize=(6.0, 6.0),
        xticklabels=False,
        yticklabels=False,
        dendrogram_ratio=0.12,
        cbar_pos=(0.02, 0.83, 0.03, 0.14),
    )
    grid.ax_heatmap.set(xlabel="source traveller", ylabel="receiving traveller")
    grid.ax_heatmap.grid(False)
    grid.ax_cbar.set_title("responsibility", fontsize=8, loc="left")
    grid.ax_cbar.minorticks_off()
    grid.ax_cbar.tick_params(labelsize=7)
    figure: Figure = grid.figure
    plt.close(figure)
    return figure


def predictive_check(observed: int, replicated: Mapping[str, Tensor], bids: pd.DataFrame) -> Figure:
    """Travellers who never pay for time, replicated; and how many pay, by what is asked.

    Args:
        observed: number of such travellers in the data.
        replicated: model -> the same number in replicated data, (S,).
        bids: price (guilders an hour, mean of its group), paid, low, high, and a column a model.
    """
    figure, axes = canvas(1, 2, (3.9, 3.1))
    left, right = axes[0]
    ends = torch.cat([*replicated.values(), torch.tensor([observed])])
    bins = np.arange(int(ends.min()) - 1.5, int(ends.max()) + 2.5, 2)
    for i, (name, counts) in enumerate(replicated.items()):
        look = {"histtype": "step", "lw": 1.8, "ls": LINES[i], "color": COLOURS[i]}
        left.hist(counts, bins, density=True, label=name, **look)
    left.axvline(observed, color=INK, lw=1.5, label="observed")
    left.set(xlabel="travellers who always took the cheaper", yticks=[], title="training choices")
    right.errorbar(
        bids["price"],
        bids["paid"],
        [bids["paid"] - bids["low"], bids["high"] - bids["paid"]],
        fmt="o",
        color=INK,
        ms=5,
        label="observed",
    )
    for i, name in enumerate(replicated):
        right.plot(bids["price"], bids[name], MARKERS[i], color=COLOURS[i], ls=LINES[i], label=name)
    right.set(xscale="log", ylim=(0, 1), title="held-out choices")
    right.set(xlabel="asked, guilders for an hour less", ylabel="share that paid")
    right.set_xticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    right.tick_params(which="minor", labelbottom=False)
    right.legend(fontsize=8)
    label_panels(axes[0])
    return figure
