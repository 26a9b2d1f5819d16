"""The lines laboratory for print and for readers without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, COLOURS, GREY, LINES, MARKERS, canvas, use_style
from vmtl_core.lab.widgets._groups_figure import ellipse_of

NINETY = 1.6448536269514722
"""Of a normal distribution, 90 % lie within so many standard deviations."""
GRID = torch.linspace(-2.7, 2.7, 55, dtype=torch.float64)
FEATURES = torch.stack([torch.ones_like(GRID), GRID], -1)


@dataclass(frozen=True)
class Panel:
    """One setting; weights are intercept and slope.

    Args:
        title: its name.
        tasks: the points of every task, (N_t, 2) each.
        chosen: the task whose prior is shown.
        mean, covariance: of the posteriors, (T, 2) and (T, 2, 2).
        alone_mean, alone_covariance: of every task by itself, likewise.
        pooled: mean where all rows are one task, (2,).
        components: of the chosen task's prior: source (-1 for the base prior), phi, mean (2,),
            covariance (2, 2).
        phi: responsibilities, (T, T) or (T, T + 1); chances to share a group, and to be alone, of groups.
        elbo: in nats a task.
        grouped: whether tasks are in groups.
    """

    title: str
    tasks: list[Tensor]
    chosen: int
    mean: Tensor
    covariance: Tensor
    alone_mean: Tensor
    alone_covariance: Tensor
    pooled: Tensor
    components: list[tuple[int, float, Tensor, Tensor]]
    phi: Tensor
    elbo: float
    grouped: bool = False


def draw(panels: Sequence[Panel]) -> Figure:
    """Two rows (lines, posteriors of the weights) by one column for each setting."""
    use_style()
    figure, axes = canvas(2, len(panels), (3.1, 2.7))
    for j, panel in enumerate(panels):
        _lines(axes[0, j], panel)
        _weights(axes[1, j], panel)
    axes[0, 0].set_ylabel("output y")
    axes[1, 0].set_ylabel("slope")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _lines(axis: Any, panel: Panel) -> None:
    axis.plot(GRID, FEATURES @ panel.pooled, ":", color=BLACK, lw=2, label="pooled")
    for t, rows in enumerate(panel.tasks):
        colour, first = COLOURS[t], t == 0
        middle = FEATURES @ panel.mean[t]
        reach = NINETY * (FEATURES @ panel.covariance[t] * FEATURES).sum(-1).sqrt()
        label = "together, 90 %" if first else None
        axis.fill_between(GRID, middle - reach, middle + reach, color=colour, alpha=0.18, lw=0)
        axis.plot(GRID, middle, color=colour, lw=1.8, label=label)
        alone = FEATURES @ panel.alone_mean[t]
        axis.plot(GRID, alone, "--", color=colour, lw=1, label="alone" if first else None)
        axis.plot(*rows.T, MARKERS[t], color=colour, ms=4, ls="none")
    axis.set(xlim=(-2.7, 2.7), ylim=(-3.2, 3.2), xlabel="input x", title=panel.title)


def _weights(axis: Any, panel: Panel) -> None:
    for source, phi, mean, covariance in panel.components:
        colour = GREY if source < 0 else COLOURS[source]
        style = {"color": colour, "ls": ":" if source < 0 else LINES[(source + 1) % len(LINES)]}
        axis.add_patch(ellipse_of(mean, covariance, fill=False, lw=0.8, **style))
        axis.add_patch(ellipse_of(mean, covariance, fc=colour, ec="none", alpha=0.45 * phi))
    for t, (mean, covariance) in enumerate(zip(panel.mean, panel.covariance, strict=True)):
        chief = t == panel.chosen
        wide = {"fill": False, "color": COLOURS[t], "lw": 2.2 if chief else 1.2}
        axis.add_patch(ellipse_of(mean, covariance, **wide))
        axis.plot(*mean.tolist(), MARKERS[t], color=COLOURS[t], ms=5)
        hollow = {"mfc": "white", "mec": COLOURS[t], "ms": 6, "ls": "none"}
        axis.plot(*panel.alone_mean[t].tolist(), MARKERS[t], **hollow)
    axis.set(xlim=(-2.6, 2.6), ylim=(-2.4, 2.4), aspect="equal", xlabel="intercept")
    axis.set_title(f"{who(panel)}\nELBO {panel.elbo:.1f} nats a task", fontsize=9)


def who(panel: Panel) -> str:
    """Who explains the chosen task: the two largest of its responsibilities."""
    row = panel.phi[panel.chosen]
    best = row.topk(2).indices.tolist()
    last = "alone" if panel.grouped else "base prior"
    names = [f"task {k + 1}" if k < len(panel.tasks) else last for k in best]
    said = ", ".join(f"{name} {row[k]:.2f}" for name, k in zip(names, best, strict=True))
    what = f"Group of task {panel.chosen + 1}" if panel.grouped else f"φ of task {panel.chosen + 1}"
    return f"{what}: {said}"
