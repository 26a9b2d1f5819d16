"""The figure of the KL to a mixture for print and for readers without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, use_style

COLOURS = {
    "lower_bound": GREEN,
    "exact": BLACK,
    "sampled": PURPLE,
    "jensen": BLUE,
    "convex": ORANGE,
    "weighted_sum": VERMILLION,
}


GRID = torch.linspace(-7, 7, 301, dtype=torch.float64)
"""Where the densities of a panel are given, shape (n,)."""


@dataclass(frozen=True)
class Panel:
    """One setting.

    Args:
        title: its name.
        mixture: density of the mixture on `GRID`, shape (n,).
        q: density of q, likewise.
        law_of_sum: density of the law of the weighted sum, likewise.
        kl: the KL in nats by every method but sampling.
        estimates: the KL from samples, once for each set of samples.
    """

    title: str
    mixture: Tensor
    q: Tensor
    law_of_sum: Tensor
    kl: dict[str, float]
    estimates: Tensor


def draw(panels: Sequence[Panel]) -> Figure:
    """Two rows (densities, bars) by one column for each setting."""
    use_style()
    columns = len(panels)
    figure, axes = plt.subplots(
        2, columns, figsize=(3.6 * columns, 5.6), squeeze=False, layout="constrained"
    )
    for j, panel in enumerate(panels):
        _densities(axes[0, j], panel)
        _bars(axes[1, j], panel, labelled=j == 0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    plt.close(figure)  # the caller shows it once, as the value of the cell
    return figure


def _densities(axis: Any, panel: Panel) -> None:
    axis.fill_between(GRID, panel.mixture, color=SKY, alpha=0.5, label="mixture")
    axis.plot(GRID, panel.q, color=BLACK, label="q")
    axis.plot(GRID, panel.law_of_sum, color=VERMILLION, ls=":", label="law of the weighted sum")
    axis.set_title(panel.title)
    axis.set_xlabel("w")
    axis.set_ylim(0, 0.75)


def _bars(axis: Any, panel: Panel, labelled: bool) -> None:
    values = {**panel.kl, "sampled": panel.estimates.mean().item()}
    edge = 1.1 * max(3.0, values["exact"], values["jensen"])
    for place, (name, colour) in enumerate(COLOURS.items()):
        value = values[name]
        words = f"{value:.3f}" if value <= edge else f"{value:.3f} ▶"
        if name == "sampled":
            heights = torch.linspace(place - 0.3, place + 0.3, len(panel.estimates))
            axis.plot(panel.estimates, heights, "o", ms=2.5, alpha=0.6, color=colour)
            words += f" ± {panel.estimates.std().item():.2f}"
        else:
            hatch = "////" if name == "weighted_sum" else None
            face = "white" if hatch else colour
            axis.barh(
                place, min(value, edge), height=0.6, color=face, edgecolor=colour, hatch=hatch
            )
        beyond = panel.estimates.max().item() if name == "sampled" else min(value, edge)
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
