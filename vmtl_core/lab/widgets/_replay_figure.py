"""The replay for print and for readers without JavaScript."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

from vmtl_core.lab.plots.style import canvas
from vmtl_core.lab.widgets._temperature_figure import COLOURS, DASHES, INK

if TYPE_CHECKING:
    from vmtl_core.lab.widgets.replay import TrainingReplay

TERM_STYLES: dict[str, tuple[str, Any, str]] = {
    "elbo": (INK, "-", "objective"),
    "log_likelihood": (COLOURS[0], (0, (7, 3)), "expected log likelihood"),
    "kl_weights": (COLOURS[1], (0, (2, 2)), "KL of the weights"),
    "hyperprior": (COLOURS[2], (0, (9, 3, 2, 3)), "hyperprior"),
}


@contextmanager
def _at(widget: "TrainingReplay", run: int, position: int) -> Iterator[None]:
    """The widget at another setting, for a while, without telling a page of it."""
    before = (widget.run, widget.position)
    with widget.hold_sync():
        widget.run, widget.position = run, position
        try:
            yield
        finally:
            widget.run, widget.position = before


def draw(widget: "TrainingReplay", settings: Sequence[tuple[int, int]]) -> Figure:
    """Three rows (responsibilities, posteriors, terms) by one column for each setting."""
    figure, axes = canvas(3, len(settings), (3.4, 2.9))
    for column, (run, position) in zip(axes.T, settings, strict=True):
        with _at(widget, run, position):
            _heat_map(column[0], widget)
            _ellipses(column[1], widget)
            _terms(column[2], widget)
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


def _heat_map(axis: Any, widget: "TrainingReplay") -> None:
    phi = widget.phi
    many = len(widget.columns) > 5
    names = _without_shared_word(widget.columns, widget.tasks) if many else widget.columns
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
    axis.set_yticks(range(len(phi)), widget.tasks, fontsize=8)
    axis.grid(False)
    shown = widget.runs[widget.run]
    title = f"τ {shown['schedule']}, sources {shown['sources']}\nstep {widget.step}: φ"
    axis.set_title(title, fontsize=10)


def _without_shared_word(columns: Sequence[str], tasks: Sequence[str]) -> list[str]:
    """The names without their first word (traveller 7: 7), if all tasks begin with the same."""
    first = tasks[0].partition(" ")[0] + " "
    shared = all(name.startswith(first) for name in tasks)
    return [name.removeprefix(first) if shared else name for name in columns]


def _ellipses(axis: Any, widget: "TrainingReplay") -> None:
    for t, (x, y, a, b) in enumerate(widget.ellipses.tolist()):
        style = {"ec": COLOURS[t % 8], "ls": DASHES[t % 8], "lw": 2}
        axis.add_patch(Ellipse((x, y), 2 * a, 2 * b, fill=False, **style))
        mark = {"ls": "", "marker": "os^Dv"[t % 5], "color": COLOURS[t % 8]}
        axis.plot([x], [y], label=widget.tasks[t], **mark)
        if widget.truth is not None:
            point = [widget.truth[t][d] for d in widget.axes]
            axis.plot(*point, ms=8, mew=2, mfc="white", **mark)
    axis.autoscale_view()
    first, second = (widget.inputs[d] for d in widget.axes)
    axis.set(xlabel=f"weight of {first}", ylabel=f"weight of {second}")
    title = "posteriors, 90%" if widget.truth is None else "posteriors, 90% (hollow: truth)"
    axis.set_title(title, fontsize=10)


def _terms(axis: Any, widget: "TrainingReplay") -> None:
    terms = widget.runs[widget.run]["terms"]
    for name, (colour, dash, label) in TERM_STYLES.items():
        axis.plot(widget.steps, terms[name], color=colour, ls=dash, lw=1.5, label=label)
    axis.axvline(widget.step, color=INK, lw=0.8)
    axis.set(xlabel="step")
    axis.set_title("nats, mean over tasks", fontsize=10)
