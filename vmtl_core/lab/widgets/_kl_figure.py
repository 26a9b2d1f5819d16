"""The figure of the KL to a mixture for print and for readers without JavaScript."""

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from vmtl_core.lab.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, use_style

if TYPE_CHECKING:
    from vmtl_core.lab.widgets.kl import KLExplorer

COLOURS = {
    "lower_bound": GREEN,
    "exact": BLACK,
    "sampled": PURPLE,
    "jensen": BLUE,
    "convex": ORANGE,
    "weighted_sum": VERMILLION,
}


def draw(widgets: "list[KLExplorer]", titles: list[str]) -> Figure:
    """Two rows (densities, bars) by one column for each setting."""
    use_style()
    columns = len(widgets)
    figure, axes = plt.subplots(
        2, columns, figsize=(3.6 * columns, 5.6), squeeze=False, layout="constrained"
    )
    for j, (widget, title) in enumerate(zip(widgets, titles, strict=True)):
        _densities(axes[0, j], widget, title)
        _bars(axes[1, j], widget, labelled=j == 0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    plt.close(figure)  # the caller shows it once, as the value of the cell
    return figure


def _densities(axis: Any, widget: "KLExplorer", title: str) -> None:
    w = torch.linspace(-7, 7, 301, dtype=torch.float64)
    axis.fill_between(w, widget.mixture_density(w), color=SKY, alpha=0.5, label="mixture")
    axis.plot(w, widget.q.log_prob(w).exp(), color=BLACK, label="q")
    total = widget.law_of_sum.log_prob(w).exp()
    axis.plot(w, total, color=VERMILLION, ls=":", label="law of the weighted sum")
    axis.set_title(title)
    axis.set_xlabel("w")
    axis.set_ylim(0, 0.75)


def _bars(axis: Any, widget: "KLExplorer", labelled: bool) -> None:
    values = {**widget.kl, "sampled": widget.estimates.mean().item()}
    edge = 1.1 * max(3.0, values["exact"], values["jensen"])
    for place, (name, colour) in enumerate(COLOURS.items()):
        value = values[name]
        words = f"{value:.3f}" if value <= edge else f"{value:.3f} ▶"
        if name == "sampled":
            heights = torch.linspace(place - 0.3, place + 0.3, len(widget.estimates))
            axis.plot(widget.estimates, heights, "o", ms=2.5, alpha=0.6, color=colour)
            words += f" ± {widget.estimates.std().item():.2f}"
        else:
            hatch = "////" if name == "weighted_sum" else None
            face = "white" if hatch else colour
            axis.barh(
                place, min(value, edge), height=0.6, color=face, edgecolor=colour, hatch=hatch
            )
        beyond = widget.estimates.max().item() if name == "sampled" else min(value, edge)
        inside = beyond < 0.55 * edge
        axis.text(
            max(beyond, values["exact"], 0) + 0.03 * edge if inside else 0.97 * edge,
            place,
            words,
            va="center",
            ha="left" if inside else "right",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9},
        )
    axis.axvline(values["exact"], color=BLACK, lw=1)
    names = [name.replace("_", " ") for name in COLOURS]
    axis.set_yticks(range(len(COLOURS)), names if labelled else [""] * len(COLOURS))
    axis.set_ylim(len(COLOURS) - 0.5, -0.5)
    axis.set_xlim(right=edge)
    axis.set_xlabel("nats (line: exact)")
