"""The replay for print and for readers without JavaScript."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle
from torch import Tensor

from vmtl_core.lab.plots.style import canvas
from vmtl_core.lab.widgets._temperature_figure import COLOURS, DASHES, INK

TERM_STYLES: dict[str, tuple[str, Any, str]] = {
    "elbo": (INK, "-", "objective"),
    "log_likelihood": (COLOURS[0], (0, (7, 3)), "expected log likelihood"),
    "kl_weights": (COLOURS[1], (0, (2, 2)), "KL of the weights"),
    "hyperprior": (COLOURS[2], (0, (9, 3, 2, 3)), "hyperprior"),
}


@dataclass(frozen=True)
class Panel:
    """One run at one step.

    Args:
        schedule: name of the run's temperature schedule.
        sources: what the run's priors are made of.
        step: the step shown.
        tasks: T names.
        columns: K names of the components.
        phi: responsibilities, shape (T, K).
        ellipses: centre and half axes of every posterior's ellipse in the plane, shape (T, 4).
        truth: true weights in the plane, T pairs, or None.
        plane: names of the two inputs whose weights are drawn.
        steps: the recorded steps.
        terms: of the objective at those steps, by name.
    """

    schedule: str
    sources: str
    step: int
    tasks: Sequence[str]
    columns: Sequence[str]
    phi: Tensor
    ellipses: Tensor
    truth: Sequence[Sequence[float]] | None
    plane: Sequence[str]
    steps: Sequence[int]
    terms: Mapping[str, Sequence[float]]


def draw(panels: Sequence[Panel]) -> Figure:
    """Three rows (responsibilities, posteriors, terms) by one column for each setting."""
    figure, axes = canvas(3, len(panels), (3.4, 3.1))
    engine: Any = figure.get_layout_engine()
    engine.set(h_pad=0.12)  # a row's title clear of the labels above it
    for column, panel in zip(axes.T, panels, strict=True):
        _heat_map(column[0], panel)
        _ellipses(column[1], panel)
        _terms(column[2], panel)
    limits = torch.tensor([[*a.get_xlim(), *a.get_ylim()] for a in axes[1]])
    low, high = limits[:, [0, 2]].amin(0), limits[:, [1, 3]].amax(0)
    for axis in axes[1]:
        axis.set(xlim=(float(low[0]), float(high[0])), ylim=(float(low[1]), float(high[1])))
        axis.set_aspect("equal")
    bottom = [axis.get_ylim() for axis in axes[2]]
    for axis in axes[2]:
        axis.set_ylim(min(b for b, _ in bottom), max(t for _, t in bottom))
    for axis, place in ((axes[1, 0], "upper"), (axes[2, 0], "lower")):
        handles, labels = axis.get_legend_handles_labels()
        where: Any = f"outside {place} center"
        figure.legend(handles, labels, loc=where, ncols=len(labels))
    return figure


def _heat_map(axis: Any, panel: Panel) -> None:
    phi = panel.phi
    many = len(panel.columns) > 5
    names = _without_shared_word(panel.columns, panel.tasks) if many else panel.columns
    columns = [name.replace(" ", "\n", 1) if len(name) > 7 else name for name in names]
    axis.imshow(phi.numpy(), cmap="Blues", vmin=0, vmax=1.15)
    for t, row in enumerate(phi.tolist()):
        for k, value in enumerate(row):
            if k == t:
                corner = (k - 0.5, t - 0.5)
                box = Rectangle(corner, 1, 1, hatch="////", fill=False, ec="#8a9099", lw=0)
                axis.add_patch(box)
                continue
            ink = "white" if value > 0.65 else INK
            words = f"{value:.2f}".removeprefix("0" if many else "")
            axis.text(k, t, words, ha="center", va="center", color=ink, fontsize=9)
    axis.set_xticks(range(len(columns)), columns, fontsize=6.5 if many else 8)
    axis.set_yticks(range(len(phi)), panel.tasks, fontsize=8)
    axis.grid(False)
    title = f"τ {panel.schedule}, sources {panel.sources}\nstep {panel.step}: φ"
    axis.set_title(title, fontsize=10)


def _without_shared_word(columns: Sequence[str], tasks: Sequence[str]) -> list[str]:
    """The names without their first word (traveller 7: 7), if all tasks begin with the same."""
    first = tasks[0].partition(" ")[0] + " "
    shared = all(name.startswith(first) for name in tasks)
    return [name.removeprefix(first) if shared else name for name in columns]


def _ellipses(axis: Any, panel: Panel) -> None:
    for t, (x, y, a, b) in enumerate(panel.ellipses.tolist()):
        style = {"ec": COLOURS[t % 8], "ls": DASHES[t % 8], "lw": 2}
        axis.add_patch(Ellipse((x, y), 2 * a, 2 * b, fill=False, **style))
        mark = {"ls": "", "marker": "os^Dv"[t % 5], "color": COLOURS[t % 8]}
        axis.plot([x], [y], label=panel.tasks[t], **mark)
        if panel.truth is not None:
            axis.plot(*panel.truth[t], ms=8, mew=2, mfc="white", **mark)
    axis.autoscale_view()
    first, second = panel.plane
    axis.set(xlabel=f"weight of {first}", ylabel=f"weight of {second}")
    title = "posteriors, 90%" if panel.truth is None else "posteriors, 90% (hollow: truth)"
    axis.set_title(title, fontsize=10)


def _terms(axis: Any, panel: Panel) -> None:
    for name, (colour, dash, label) in TERM_STYLES.items():
        axis.plot(panel.steps, panel.terms[name], color=colour, ls=dash, lw=1.5, label=label)
    axis.axvline(panel.step, color=INK, lw=0.8)
    axis.set(xlabel="step")
    axis.set_title("nats, mean over tasks", fontsize=10)
