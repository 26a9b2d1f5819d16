"""Pictures of chapter 10, the digits."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Normal

from vmtl_core import History
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.plots.style import (
    COLOURS,
    GREY,
    INK,
    LINES,
    MARKERS,
    canvas,
    label_panels,
)
from vmtl_core.lab.scores import mean_and_interval


def images(data: MultiTaskData, columns: int = 12) -> Figure:
    """Images of every task, a row a task, with the target above each; darker is more ink."""
    side = round(data.x.shape[1] ** 0.5)
    figure, axes = canvas(data.tasks, columns, (0.62, 0.78))
    for t, rows in enumerate(data.task_rows):
        chosen = rows[torch.linspace(0, len(rows) - 1, columns).long()]
        for axis, row in zip(axes[t], chosen, strict=True):
            axis.imshow(data.x[row].view(side, side).numpy(), cmap="gray_r")
            value = data.y[row]
            title = f"{value:.0f}" if data.kind == "classification" else f"{90 * value:.0f}°"
            axis.set_title(title, fontsize=7, pad=2)
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
        axes[t, 0].set_ylabel(
            data.task_names[t].replace(" ", "\n"), rotation=0, ha="right", va="center", fontsize=8
        )
    return figure


def scores(table: pd.DataFrame, methods: Sequence[str], columns: Mapping[str, str]) -> Figure:
    """Mean over the splits with a 95 % interval: a panel for each score, a row for each method.

    Args:
        table: n, seed, method and the scores; a marker for each n.
        methods: which, from top to bottom.
        columns: score -> label of its axis.
    """
    height = 0.55 + 0.3 * len(methods)
    figure, axes = canvas(1, len(columns), (8.6 / len(columns), height), sharey=True)
    sizes = sorted(table["n"].unique())
    for axis, (column, label) in zip(axes[0], columns.items(), strict=True):
        for j, n in enumerate(sizes):
            for i, method in enumerate(methods):
                chosen = table[(table["n"] == n) & (table["method"] == method)][column]
                mean, _, low, high = mean_and_interval(torch.tensor(chosen.to_numpy()))
                place = i + 0.22 * (j - 0.5 * (len(sizes) - 1))
                axis.plot([low, high], [place, place], color=COLOURS[j], linewidth=1.2)
                name = f"{n} images a task" if not i else None
                axis.plot(mean, place, MARKERS[j], color=COLOURS[j], ms=4.5, label=name)
        axis.set_xlabel(label)
    axes[0, 0].set_yticks(range(len(methods)), methods)
    axes[0, 0].invert_yaxis()
    if len(sizes) > 1:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(sizes))
    return figure


def weight_maps(maps: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """One table of weights for each title: receivers in rows, sources and the base prior across.

    Args:
        maps: title -> (T, T + 1), the base prior last.
        names: of the T tasks.
    """
    figure, axes = canvas(1, len(maps), (4.4, 3.3), sharey=True)
    for axis, (title, weights) in zip(axes[0], maps.items(), strict=True):
        axis.imshow(weights.numpy(), vmin=0, vmax=1)
        for (t, k), value in np.ndenumerate(weights.numpy()):
            if value >= 0.005:
                colour = "white" if value < 0.55 else "black"
                axis.text(k, t, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
        axis.set_xticks(range(len(names) + 1), [*names, "base prior"], rotation=40, ha="right")
        axis.set_yticks(range(len(names)), names)
        axis.set(title=title, xlabel="source")
        axis.grid(False)
    axes[0, 0].set_ylabel("receiver")
    label_panels(axes[0])
    return figure


def confusions(tables: Mapping[str, Tensor]) -> Figure:
    """Confusion tables (C, C), true digits in rows; each row sums to 1."""
    figure, axes = canvas(1, len(tables), (3.7, 3.3), sharey=True)
    for axis, (title, table) in zip(axes[0], tables.items(), strict=True):
        image = axis.imshow(table.numpy(), vmin=0, vmax=1)
        for (true, said), value in np.ndenumerate(table.numpy()):
            if value >= 0.095:
                colour = "white" if value < 0.55 else "black"
                text = f"{100 * value:.0f}"
                axis.text(said, true, text, ha="center", va="center", fontsize=6.5, color=colour)
        ticks = range(len(table))
        axis.set(title=title, xlabel="predicted digit", xticks=ticks, yticks=ticks)
        axis.grid(False)
    axes[0, 0].set_ylabel("true digit")
    figure.colorbar(image, ax=axes[0], label="share of the row", shrink=0.8)
    label_panels(axes[0])
    return figure


def learning(history: History, receiver: int, names: Sequence[str]) -> Figure:
    """One receiver's mixing weights during training: alpha left, beta right.

    Args:
        history: of a fit with latents and a base prior.
        receiver: whose row of alpha and beta.
        names: of the tasks.
    """
    figure, axes = canvas(1, 2, (4.0, 2.9), sharey=True)
    for axis, recorded, title in zip(
        axes[0], (history.alpha, history.beta), ("α", "β"), strict=True
    ):
        rows = torch.stack(recorded)[:, receiver]
        sources = [k for k in range(rows.shape[1]) if k != receiver]
        for i, k in enumerate(sources):
            label = [*names, "base prior"][k]
            axis.plot(history.record_steps, rows[:, k], color=COLOURS[i], ls=LINES[i], label=label)
        axis.set(xlabel="step", title=f"{title} of {names[receiver]}", ylim=(0, 1))
    axes[0, 0].set_ylabel("weight")
    label_panels(axes[0])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    return figure


def latent_space(
    spaces: Mapping[str, Tensor], task: Tensor, labels: Tensor, names: Sequence[str]
) -> Figure:
    """The first two principal directions of z, by domain and by digit: a row for each space.

    Args:
        spaces: title -> means of z, (N, D).
        task: (N,).
        labels: (N,).
        names: of the tasks.
    """
    figure, axes = canvas(len(spaces), 2, (4.2, 3.1))
    for (left, right), (title, means) in zip(axes, spaces.items(), strict=True):
        centred = means - means.mean(0)
        plane = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T
        for t, name in enumerate(names):
            here = plane[task == t]
            if not len(here):
                continue
            style = {"color": COLOURS[t], "marker": MARKERS[t], "ms": 4, "ls": "", "alpha": 0.75}
            left.plot(*here.T, label=name, **style)
        colours = (*COLOURS, INK, GREY, "#7a5195", "#8c564b")
        for digit in range(10):
            for point in plane[labels == digit]:
                right.text(
                    *point.tolist(), str(digit), fontsize=7, color=colours[digit], clip_on=True
                )
        limits = {"xlim": left.get_xlim(), "ylim": left.get_ylim(), "xlabel": "first direction"}
        left.set(title=f"{title}: by domain", ylabel="second direction", **limits)
        right.set(title=f"{title}: by digit", **limits)
    label_panels(axes.flat)
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def scales(table: pd.DataFrame) -> Figure:
    """Spread of the latents' means and their standard deviation against the step.

    Args:
        table: model, step, spread and sd, the last two in units of z.
    """
    figure, axes = canvas(1, 2, (4.0, 2.8))
    columns = {"spread": "root mean square of the means", "sd": "standard deviation of q(z|x)"}
    for axis, (column, label) in zip(axes[0], columns.items(), strict=True):
        for i, (name, rows) in enumerate(table.groupby("model", sort=False)):
            axis.plot(
                rows["step"], rows[column], MARKERS[i], ls=LINES[i], ms=4, color=COLOURS[i], label=name
            )  # fmt: skip
        axis.axhline(1, color=GREY, linewidth=0.8)
        axis.set(xscale="log", yscale="log", xlabel="step", title=label)
        low, high = table[column].min() / 1.5, table[column].max() * 1.5
        ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0) if low <= tick <= high]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.tick_params(which="minor", labelleft=False)
    label_panels(axes[0])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def angles(
    means: Mapping[str, Tensor], sds: Mapping[str, Tensor], truth: Tensor, every: int = 25
) -> Figure:
    """Predicted against true angle with 90 % intervals, for every `every`-th image.

    Args:
        means, sds: method -> of the predictive, (N,), in degrees.
        truth: (N,), degrees.
    """
    figure, axes = canvas(1, len(means), (4.0, 3.4), sharey=True)
    reach = Normal(0.0, 1.0).icdf(torch.tensor(0.95))
    for axis, (method, mean) in zip(axes[0], means.items(), strict=True):
        _angle_panel(axis, truth[::every], mean[::every], reach * sds[method][::every])
        axis.set(title=method, xlabel="true angle, degrees")
    axes[0, 0].set_ylabel("predicted angle, degrees")
    label_panels(axes[0])
    return figure


def _angle_panel(axis: Axes, truth: Tensor, mean: Tensor, reach: Tensor) -> None:
    inside = (truth - mean).abs() <= reach
    for chosen, colour, label in (
        (inside, COLOURS[0], "interval holds the truth"),
        (~inside, COLOURS[1], "it does not"),
    ):
        axis.errorbar(
            truth[chosen],
            mean[chosen],
            reach[chosen],
            fmt=MARKERS[0] if colour == COLOURS[0] else MARKERS[1],
            ms=2.5,
            lw=0.6,
            color=colour,
            label=label,
        )
    axis.plot([-90, 90], [-90, 90], color=INK, lw=0.9, ls=LINES[2])
    axis.set(xticks=[-90, -45, 0, 45, 90], yticks=[-90, -45, 0, 45, 90])
    axis.legend(fontsize=7, loc="upper left")
