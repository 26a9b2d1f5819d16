"""Pictures of chapter 7, the linked tasks."""

from collections.abc import Callable, Mapping, Sequence
from math import atan2, degrees
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vmtl_core import History, PredictiveMixture, decompose_uncertainty
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.plots.style import COLOURS, GREY, INK, LINES, MARKERS, canvas
from vmtl_core.lab.scores import mean_and_interval

Predict = Callable[[Tensor, Tensor], PredictiveMixture]

EDGE = 3.2  # half the side of a picture of the plane
NINETY = 2.146  # radius, in standard deviations, of a disc that holds 90% of a Gaussian in 2-d


def points(data: MultiTaskData) -> Figure:
    """The examples of every task in the plane, with the true boundary."""
    figure, axes = canvas(1, data.tasks, (2.7, 2.7), sharex=True, sharey=True)
    for t, axis in enumerate(axes[0]):
        _scatter(axis, data, t)
        _true_boundary(axis, data, t)
        _plane(axis, data.task_names[t])
    figure.legend(handles=_point_legend(), loc="outside lower center", ncols=3)
    return figure


def boundaries(models: Mapping[str, Predict], data: MultiTaskData, grid: int = 61) -> Figure:
    """Predictive probability over the plane: a row for each model, a column for each task.

    Args:
        models: name -> function (x, task) -> the predictive there.
        data: the training points, drawn on top; its truth gives the dashed true boundary.
        grid: points along one side of the plane.
    """
    figure, axes = canvas(len(models), data.tasks, (2.8, 2.7), sharex=True, sharey=True)
    for row, (name, predict) in zip(axes, models.items(), strict=True):
        for t, axis in enumerate(row):
            image = _probability(axis, predict, data, t, grid)
            _plane(axis, f"{data.task_names[t]}, {name}")
    figure.colorbar(image, ax=axes, label="predictive probability of y = 1", shrink=0.8)
    figure.legend(handles=_point_legend(), loc="outside lower center", ncols=3)
    return figure


def epistemic(models: Mapping[str, Predict], data: MultiTaskData, grid: int = 61) -> Figure:
    """The epistemic part of the uncertainty over the plane, nats; rows and columns as above."""
    figure, axes = canvas(len(models), data.tasks, (2.8, 2.7), sharex=True, sharey=True)
    x1, x2, x = _grid(grid)
    parts = [
        [
            decompose_uncertainty(predict(x, torch.full((len(x),), t))).epistemic
            for t in range(data.tasks)
        ]
        for predict in models.values()
    ]
    top = max(part.max().item() for row in parts for part in row)
    for row, name, maps in zip(axes, models, parts, strict=True):
        for t, axis in enumerate(row):
            levels = np.linspace(0, top, 9)
            image = axis.contourf(x1, x2, maps[t].reshape(grid, grid).numpy(), levels=levels)
            _scatter(axis, data, t, light=True)
            _plane(axis, f"{data.task_names[t]}, {name}")
    figure.colorbar(image, ax=axes, label="epistemic uncertainty, nats", shrink=0.8, format="%.2f")
    return figure


def prior_in_weight_space(
    components: Distribution,
    alpha: Tensor,
    phi: Tensor,
    posterior: Distribution,
    truth: Tensor,
    receivers: Sequence[int] = (0, 2),
) -> Figure:
    """The prior of some tasks as ellipses in the plane of the weights, one for each component.

    Args:
        components: what each source says of another task, and the base prior last; batch shape (T + 1,).
        alpha, phi: mixing weights and responsibilities, (T, T + 1).
        posterior: q(w_t|D_t), batch shape (T,).
        truth: true weights, (T, 2).
        receivers: the tasks whose priors are drawn.
    """
    means, spreads = _gaussians(components)
    own_means, own_spreads = _gaussians(posterior)
    tasks = len(truth)
    figure, axes = canvas(1, len(receivers), (4.2, 4.2), sharex=True, sharey=True)
    for axis, t in zip(axes[0], receivers, strict=True):
        for k in range(len(means)):
            if k == t:
                continue
            name = "base prior" if k == tasks else f"task {k}"
            colour, style = (GREY, ":") if k == tasks else (COLOURS[k], LINES[k])
            axis.add_patch(_ellipse(means[k], spreads[k], fill=False, ec=colour, ls=style, lw=2))
            label = f"{name}: α = {alpha[t, k]:.2f}, φ = {phi[t, k]:.2f}"
            axis.plot([], [], color=colour, ls=style, lw=2, label=label)
        axis.add_patch(_ellipse(own_means[t], own_spreads[t], fc=COLOURS[t], ec=INK, alpha=0.75))
        axis.plot(*truth[t].tolist(), marker="*", ms=13, color="white", mec=INK, ls="")
        axis.set(title=f"prior and posterior of task {t}", xlabel="weight of $x_1$", aspect="equal")
        axis.set(xlim=(-5.5, 6.5), ylim=(-5, 5.5))
        axis.legend(loc="lower left", title="components of the prior", alignment="left")
    axes[0, 0].set_ylabel("weight of $x_2$")
    handles = [
        Line2D([], [], color=INK, lw=2, label="a component, 90% of it"),
        Line2D([], [], marker="o", color=GREY, mec=INK, ls="", ms=9, label="posterior, 90% of it"),
        Line2D([], [], marker="*", color="white", mec=INK, ls="", ms=12, label="true weights"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def maps(panels: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """Matrices (T, K) of alpha or phi as heat maps with their numbers, rows receive.

    Args:
        panels: title -> matrix; with K = T + 1 the last column is the base prior.
        names: T names of tasks.
    """
    widths = [matrix.shape[1] for matrix in panels.values()]
    figure, axes = canvas(1, len(panels), (2.9, 2.6), width_ratios=widths)
    for axis, (title, matrix) in zip(axes[0], panels.items(), strict=True):
        _heat_map(axis, title, matrix, names)
    axes[0, 0].set_ylabel("receiver")
    return figure


def comparison(
    table: pd.DataFrame, methods: Sequence[str], n: Sequence[int], reach: float = 0.15
) -> Figure:
    """Held-out scores of every method with 95% intervals over the seeds.

    Left the log score, middle the accuracy, right the gain in log score over the first method, seed
    by seed; what lies left of `-reach` is shown as an arrow.

    Args:
        table: rows n, seed, method, task, accuracy, log_score; see `linked.compare`.
        methods: in the order from top to bottom.
        n: numbers of training points, a row of panels for each.
        reach: of the panels on the right, nats.
    """
    figure, axes = canvas(len(n), 3, (3.5, 0.3 * len(methods) + 0.9), sharey=True)
    groups = {"linked tasks": [0, 1], "task alone": [2]}
    for row, count in zip(axes, n, strict=True):
        for place, (group, tasks) in enumerate(groups.items()):
            here = table[(table["n"] == count) & table["task"].isin(tasks)]
            for column, score in enumerate(("log_score", "accuracy", "log_score")):
                means = here.groupby(["method", "seed"])[score].mean()
                for i, method in enumerate(methods):
                    values = torch.tensor(means[method].to_numpy())
                    if column == 2:
                        values = values - torch.tensor(means[methods[0]].to_numpy())
                    _interval(row[column], values, i, place, -reach if column == 2 else None)
            row[0].plot([], [], color=COLOURS[place], marker=MARKERS[place], ls="", label=group)
        row[0].set(title=f"{count} points a task", xlabel="log score, nats")
        row[1].set(title=f"{count} points a task", xlabel="accuracy")
        row[2].set(title=f"gain over {methods[0]}", xlabel="nats", xlim=(-1.1 * reach, reach))
        row[2].axvline(0, color=INK, lw=0.8)
        row[0].set_yticks(range(len(methods)), methods)
        row[0].set_ylim(len(methods) - 0.5, -0.5)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def training(history: History, names: Sequence[str], receivers: Sequence[int] = (0, 2)) -> Figure:
    """How the terms of the objective and some rows of alpha move over the steps of a fit."""
    figure, axes = canvas(1, 1 + len(receivers), (3.2, 2.8))
    axis = axes[0, 0]
    terms = {
        "elbo": "objective",
        "log_likelihood": "expected log likelihood",
        "kl_weights": "KL of the weights",
        "own_elbo": "own-data ELBO",
    }
    for i, (name, label) in enumerate(terms.items()):
        values = history.terms[name]
        axis.plot(values, color=COLOURS[i], ls=LINES[i], lw=1.4, label=label)
    low = np.percentile(history.terms["elbo"], 2)
    axis.set(title="mean over tasks, nats", xlabel="step", ylim=(1.1 * low, 30))
    axis.legend(fontsize=8)
    alpha = torch.stack(history.alpha)
    columns = [*names, "base prior"][: alpha.shape[2]]
    for axis, t in zip(axes[0, 1:], receivers, strict=True):
        for k, name in enumerate(columns):
            if k != t:
                colour, style = (GREY, ":") if k == len(names) else (COLOURS[k], LINES[k])
                axis.plot(
                    history.record_steps, alpha[:, t, k].numpy(), color=colour, ls=style, label=name
                )
        axis.set(title=f"α, row of {names[t]}", xlabel="step", ylim=(0, 1))
        axis.legend(fontsize=8)
    return figure


def schedules(curves: Mapping[str, Callable[[int], float]], steps: int) -> Figure:
    """Temperature against step for several schedules."""
    figure, axes = canvas(1, 1, (5.0, 2.8))
    axis = axes[0, 0]
    for i, (name, schedule) in enumerate(curves.items()):
        axis.plot(
            [schedule(s) for s in range(steps + 1)], color=COLOURS[i], ls=LINES[i], label=name
        )
    axis.set(xlabel="step", ylabel="temperature τ", ylim=(0, 1.05))
    axis.legend()
    return figure


def overview(
    models: Mapping[str, Predict], data: MultiTaskData, panels: Mapping[str, Tensor]
) -> Figure:
    """The chapter in one picture: boundaries of two models, and two maps of who helps whom."""
    figure, axes = canvas(
        len(models), data.tasks + 1, (2.45, 2.75), width_ratios=[*[1] * data.tasks, 1.25]
    )
    for row, (name, predict) in zip(axes, models.items(), strict=True):
        for t in range(data.tasks):
            image = _probability(row[t], predict, data, t, grid=121)
            _plane(row[t], f"{data.task_names[t]}, {name}")
            row[t].set(xticks=[], yticks=[])
    bar = figure.colorbar(
        image, ax=axes[:, :-1], location="bottom", shrink=0.5, aspect=40, ticks=[0, 0.5, 1]
    )
    bar.set_label(f"predictive probability, {min(data.task_sizes)} points a task")
    for axis, (title, matrix) in zip(axes[:, -1], panels.items(), strict=True):
        _heat_map(axis, title, matrix, data.task_names)
    return figure


def _gaussians(dist: Distribution) -> tuple[Tensor, Tensor]:
    """Means (K, D) and covariances (K, D, D)."""
    if isinstance(dist, MultivariateNormal):
        return dist.mean.detach(), dist.covariance_matrix.detach()
    return dist.mean.detach(), torch.diag_embed(dist.variance).detach()


def _ellipse(mean: Tensor, covariance: Tensor, **style: Any) -> Ellipse:
    variances, axes = torch.linalg.eigh(covariance)
    width, height = (2 * NINETY * variances.sqrt()).tolist()
    x, y = axes[:, 0].tolist()  # direction of the first axis, as wide as `width`
    return Ellipse(tuple(mean.tolist()), width, height, angle=degrees(atan2(y, x)), **style)


def _interval(
    axis: Axes, values: Tensor, place: float, group: int, left: float | None = None
) -> None:
    """A mean with its 95% interval at height `place`; an arrow where the mean is below `left`."""
    found, height = mean_and_interval(values), place + 0.16 * (2 * group - 1)
    style: dict[str, Any] = {"color": COLOURS[group], "ms": 5, "ls": ""}
    if left is not None and found.mean < left:
        axis.plot([left], [height], marker="<", **style)
        return
    spread = [[found.mean - found.low], [found.high - found.mean]]
    axis.errorbar(found.mean, height, xerr=spread, marker=MARKERS[group], capsize=2, **style)


def _heat_map(axis: Axes, title: str, matrix: Tensor, names: Sequence[str]) -> None:
    """One matrix (T, K) with its numbers; the diagonal is struck out."""
    columns = [*names, "base"][: matrix.shape[1]]
    axis.imshow(matrix.numpy(), cmap="Blues", vmin=0, vmax=1.15)
    for t, row in enumerate(matrix.tolist()):
        for k, value in enumerate(row):
            ink = "white" if value > 0.65 else INK
            text = "–" if k == t else f"{value:.2f}"
            axis.text(k, t, text, ha="center", va="center", color=ink)
    axis.set_xticks(range(len(columns)), columns, fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set(title=title, xlabel="source")
    axis.grid(False)


def _probability(axis: Axes, predict: Predict, data: MultiTaskData, t: int, grid: int) -> Any:
    """Filled contours of p(y = 1 | x, t), lines at 0.1, 0.5, 0.9, the points and the truth."""
    x1, x2, x = _grid(grid)
    p = predict(x, torch.full((len(x),), t)).mean.reshape(grid, grid).numpy()
    image = axis.contourf(x1, x2, p, levels=np.linspace(0, 1, 11), cmap="PuOr", alpha=0.85)
    lines = axis.contour(x1, x2, p, levels=[0.1, 0.5, 0.9], colors=INK, linewidths=[0.8, 2.2, 0.8])
    axis.clabel(lines, levels=[0.1, 0.9], fontsize=7, fmt="%.1f")
    _scatter(axis, data, t)
    _true_boundary(axis, data, t)
    return image


def _grid(points: int) -> tuple[np.ndarray, np.ndarray, Tensor]:
    side = torch.linspace(-EDGE, EDGE, points)
    x2, x1 = torch.meshgrid(side, side, indexing="ij")
    return x1.numpy(), x2.numpy(), torch.stack([x1.flatten(), x2.flatten()], dim=1)


def _scatter(axis: Axes, data: MultiTaskData, t: int, light: bool = False) -> None:
    own = data.task == t
    small = 14 if int(own.sum()) > 60 else 30
    for label, mark in ((0, "o"), (1, "^")):
        rows = own & (data.y == label)
        face = "white" if label == 0 else INK
        edge = "white" if light and label else INK
        axis.scatter(
            data.x[rows, 0],
            data.x[rows, 1],
            s=small,
            marker=mark,
            c=face,
            ec=edge,
            lw=0.7,
            zorder=4,
        )


def _true_boundary(axis: Axes, data: MultiTaskData, t: int) -> None:
    assert data.truth is not None
    w = data.truth.weights[t]
    end = 10 * torch.stack([-w[1], w[0]]) / w.norm()
    line = torch.stack([-end, end], dim=1).numpy()
    axis.plot(*line, color="white", lw=3.2, zorder=5)
    axis.plot(*line, color=INK, ls="--", lw=1.3, zorder=5)


def _plane(axis: Axes, title: str) -> None:
    axis.set(title=title, xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal")
    axis.grid(False)


def _point_legend() -> list[Line2D]:
    marks: dict[str, Any] = {"ms": 6, "ls": "", "mec": INK}
    return [
        Line2D([], [], marker="o", mfc="white", label="y = 0", **marks),
        Line2D([], [], marker="^", mfc=INK, label="y = 1", **marks),
        Line2D([], [], color=INK, ls="--", lw=1.3, label="true boundary"),
    ]
