"""Pictures of chapter 8, the schools."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Distribution, Normal

from vmtl_core import MultiTaskELBO
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.plots.style import COLOURS, GREY, INK, LINES, MARKERS, canvas, label_panels
from vmtl_core.lab.scores import mean_and_interval

Limits = tuple[float, float]

SCORES = {
    "nmse": "NMSE (lower is better)",
    "log_score": "log density, nats a pupil (higher is better)",
    "coverage": "coverage of 90% intervals",
}


def data(table: pd.DataFrame, x: str, y: str) -> Figure:
    """Pupils a school, and the target against one input, with the least-squares line of all."""
    figure, axes = canvas(1, 2, (3.8, 2.8))
    left, right = axes[0]
    sizes = table.groupby("task", observed=True).size()
    left.hist(sizes, bins=np.arange(0.5, sizes.max() + 1.5), color=COLOURS[0], edgecolor="white")
    left.set(xlabel="pupils in the school", ylabel="schools", title="sizes")
    right.plot(table[x], table[y], ".", color=GREY, alpha=0.3, markersize=3)
    slope, start = np.polyfit(table[x], table[y], 1)
    ends = np.array([table[x].min(), table[x].max()])
    right.plot(ends, start + slope * ends, color=COLOURS[1])
    right.set(xlabel=x, ylabel=y, title="all pupils")
    label_panels(axes[0])
    return figure


def shrinkage(columns: Mapping[str, Tensor], target: str) -> Figure:
    """One line a school, from column to column.

    Args:
        columns: name -> one number a school, (T,), in points of the test.
        target: label of the vertical axis.
    """
    figure, axes = canvas(1, 1, (5.2, 3.6))
    axis = axes[0, 0]
    values = torch.stack(list(columns.values())).numpy()
    places = np.arange(len(values))
    axis.plot(places, values, color=GREY, alpha=0.35, linewidth=0.7)
    for place, (row, colour, marker) in enumerate(zip(values, COLOURS, MARKERS, strict=False)):
        axis.plot(np.full_like(row, place), row, marker, color=colour, alpha=0.5, markersize=3.5)
        axis.annotate(
            f"sd {row.std():.1f}", (place, row.max()), ha="center", va="bottom", fontsize=9
        )
    axis.set_xticks(places, list(columns))
    axis.set(ylabel=target, xlim=(-0.3, len(values) - 0.7))
    axis.margins(y=0.1)
    return figure


def scores(table: pd.DataFrame, methods: Sequence[str], limits: Mapping[str, Limits]) -> Figure:
    """Mean over the splits with 95% intervals: a panel for each score, a row for each method.

    Args:
        table: n, seed, method and the columns of `SCORES`.
        methods: which, from top to bottom.
        limits: score -> range of its axis; an arrow marks a method beyond it.
    """
    figure, axes = canvas(1, 3, (3.7, 4.6), sharey=True)
    sizes = sorted(table["n"].unique())
    for axis, (name, label) in zip(axes[0], SCORES.items(), strict=True):
        for j, n in enumerate(sizes):
            for i, method in enumerate(methods):
                chosen = table[(table["n"] == n) & (table["method"] == method)][name]
                mean, _, low, high = mean_and_interval(torch.tensor(chosen.to_numpy()))
                place = i + 0.22 * (j - 1)
                axis.plot([low, high], [place, place], color=COLOURS[j], linewidth=1.2)
                mark = axis.plot(mean, place, MARKERS[j], color=COLOURS[j], markersize=4.5)
                if not i:
                    mark[0].set_label(f"{n} pupils a school")
                _off_scale(axis, mean, place, limits.get(name), COLOURS[j])
        axis.set_xlim(limits.get(name))
        axis.locator_params(axis="x", nbins=5)
        axis.set_xlabel(label)
    axes[0, 2].axvline(0.9, color=INK, linewidth=0.8, linestyle=LINES[2])
    axes[0, 0].set_yticks(range(len(methods)), methods)
    axes[0, 0].invert_yaxis()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _off_scale(axis: Axes, mean: float, place: float, limit: Limits | None, colour: str) -> None:
    """An arrow and the number, for a mean outside the axis."""
    if limit is None or limit[0] <= mean <= limit[1]:
        return
    right = mean > limit[1]
    axis.annotate(
        f"{mean:.2f}",
        (limit[1] if right else limit[0], place),
        xytext=(-26 if right else 26, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        fontsize=7.5,
        color=colour,
        arrowprops={"arrowstyle": "->", "color": colour},
    )


def training(table: pd.DataFrame) -> Figure:
    """The paper's model during training: scales, fit, and calibration against the step."""
    figure, axes = canvas(1, 3, (3.0, 2.7), sharex=True)
    panels = [
        {"posterior_sd": "posterior sd of a weight", "noise_sd": "noise sd"},
        {"train_nmse": "NMSE, training pupils", "nmse": "NMSE, held-out pupils"},
        {"coverage": "coverage of 90% intervals"},
    ]
    titles = ["scales shrink", "fit", "intervals"]
    for axis, columns, title in zip(axes[0], panels, titles, strict=True):
        for i, (column, label) in enumerate(columns.items()):
            axis.plot(
                table["step"], table[column], MARKERS[i], ls=LINES[i], ms=4, color=COLOURS[i], label=label
            )  # fmt: skip
        axis.set(xscale="log", xlabel="step", title=title)
        axis.legend(fontsize=8)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_yticks([0.03, 0.1, 0.3], ["0.03", "0.1", "0.3"])
    axes[0, 0].tick_params(which="minor", labelleft=False)
    axes[0, 2].axhline(0.9, color=INK, linewidth=0.8, linestyle=LINES[2])
    label_panels(axes[0])
    return figure


def responsibilities(phi: Tensor, order: Tensor) -> Figure:
    """Share of the base prior in every school's prior, and the map of the rest.

    Args:
        phi: (T, T + 1), the base prior last.
        order: how to arrange the schools, (T,).
    """
    figure, axes = canvas(1, 2, (3.9, 3.4), width_ratios=[1, 1.15])
    left, right = axes[0]
    left.hist(phi[:, -1].numpy(), bins=np.linspace(0, 1, 21), color=COLOURS[0], edgecolor="white")
    left.set(xlabel="responsibility of the base prior", ylabel="schools", title="the anchor")
    others = phi[:, :-1][order][:, order].clamp_min(1e-4).numpy()
    image = right.imshow(others, norm=LogNorm(1e-4, 1.0), interpolation="nearest")
    right.set(xlabel="source school", ylabel="receiving school", title="the other schools")
    right.grid(False)
    figure.colorbar(image, ax=right, label="responsibility", shrink=0.85)
    label_panels(axes[0])
    return figure


def prior_of(
    model: MultiTaskELBO, task: int, coordinates: Mapping[str, int], unit: float
) -> Figure:
    """One school's prior for single weights: its parts, the whole, and the posterior.

    Args:
        model: a fitted model with a base prior.
        task: the school.
        coordinates: title -> which weight.
        unit: points of the test for a weight of 1.
    """
    figure, axes = canvas(1, len(coordinates), (3.9, 3.0))
    q, components = model.q_weights(), model.prior.components(model.source_weights())
    alpha = model.alpha()[task]
    for axis, (title, d) in zip(axes[0], coordinates.items(), strict=True):
        with torch.no_grad():
            means, sds = components.mean[:, d] * unit, components.stddev[:, d] * unit
            centre, spread = means[-1], 4 * sds[-1]
            grid = torch.linspace(float(centre - spread), float(centre + spread), 300)
            each = Normal(means, sds).log_prob(grid[:, None]).exp() * alpha
            mine = Normal(q.mean[task, d] * unit, q.stddev[task, d] * unit).log_prob(grid).exp()
        neighbours = each[:, :-1].sum(1)
        axis.fill_between(grid, neighbours, color=COLOURS[5], alpha=0.5, label="other schools")
        axis.plot(grid, each[:, -1], color=COLOURS[4], ls=LINES[1], label="base prior")
        axis.plot(grid, each.sum(1), color=INK, label="prior, the sum")
        axis.plot(grid, mine, color=COLOURS[1], ls=LINES[3], label="posterior")
        axis.set(title=title, xlabel="weight, points of the test", yticks=[])
        axis.set_ylim(0, 1.1 * float(torch.maximum(each.sum(1), mine).max()))
    axes[0, 0].set_ylabel("density")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def school_predictions(
    predictives: Mapping[str, Distribution],
    sets: Sequence[MultiTaskData],
    titles: Sequence[str],
) -> Figure:
    """90% predictive intervals of held-out pupils, sorted by prediction, and their true scores.

    Args:
        predictives: method -> its predictive of the rows of all `sets`, one after the other.
        sets: held-out pupils of one school each, standardised.
        titles: of the panels.
    """
    lengths = [len(one) for one in sets]
    widths = [max(length, 8) for length in lengths]
    order_of: dict[int, Tensor] = {}
    figure, axes = canvas(1, len(sets), (4.0, 3.0), sharey=True, width_ratios=widths)
    for i, (method, predictive) in enumerate(predictives.items()):
        low, high = (predictive.icdf(torch.tensor(level)) for level in (0.05, 0.95))
        parts = zip(*(t.split(lengths) for t in (predictive.mean, low, high)), strict=True)
        for axis, one, title, (mean, below, above) in zip(
            axes[0], sets, titles, parts, strict=True
        ):
            scaling = one.scaling
            assert scaling is not None
            order = order_of[id(one)] = order_of.get(id(one), mean.argsort())
            place = np.arange(len(one)) + 0.3 * (i - 0.5)
            ends = [scaling.unscale_y(t[order])[0] for t in (below, above)]
            axis.vlines(place, *ends, color=COLOURS[i], linewidth=2.6 - 1.4 * i, label=method)
            if not i:
                truth = scaling.unscale_y(one.y[order])[0]
                axis.plot(np.arange(len(one)), truth, "D", ms=4, color=INK, label="true score")
            axis.set(title=title, xlabel="held-out pupil", xticks=[])
    axes[0, 0].set_ylabel("language score")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def temperature(table: pd.DataFrame) -> Figure:
    """Scores of the default under schedules of the temperature, a row for each schedule.

    Args:
        table: seed, schedule, nmse, log_score, base_share (mean responsibility of the base prior).
    """
    figure, axes = canvas(1, 3, (3.1, 2.9), sharey=True)
    columns = {
        "nmse": "NMSE",
        "log_score": "held-out log density",
        "base_share": "responsibility of the base prior",
    }
    names = list(dict.fromkeys(table["schedule"]))
    for axis, (column, label) in zip(axes[0], columns.items(), strict=True):
        for i, name in enumerate(names):
            values = torch.tensor(table[table["schedule"] == name][column].to_numpy())
            mean, _, low, high = mean_and_interval(values)
            axis.plot([low, high], [i, i], color=COLOURS[0], linewidth=1.2)
            axis.plot(mean, i, MARKERS[0], color=COLOURS[0], markersize=5)
        axis.set_xlabel(label)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    return figure
