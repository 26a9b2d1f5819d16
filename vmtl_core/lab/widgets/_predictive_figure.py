"""The figure of the predictive mixture for print and for readers without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, GREEN, SKY, VERMILLION, use_style
from vmtl_core.predictive import Uncertainty

GRID = torch.linspace(-4, 5.5, 301, dtype=torch.float64)
"""Values of y where the densities of a panel are given, shape (n,)."""


@dataclass(frozen=True)
class Panel:
    """One setting.

    Args:
        width: of the posterior, 1 where it is calibrated.
        lines: sampled intercepts and slopes, shape (M, 2).
        data: x and y of the data.
        new: x and y of the new points, each (K,).
        intervals: their central 90 % intervals, shape (K, 2).
        covered: whether each lies inside, shape (K,).
        x: where the mixture is shown.
        densities: of y at x on `GRID`, one for each line, shape (n, M).
        uncertainty: total, aleatoric and epistemic variance at x, each (1,).
    """

    width: float
    lines: Tensor
    data: tuple[Tensor, Tensor]
    new: tuple[Tensor, Tensor]
    intervals: Tensor
    covered: Tensor
    x: float
    densities: Tensor
    uncertainty: Uncertainty


def draw(panels: Sequence[Panel]) -> Figure:
    """Two rows (lines and intervals, predictive at x) by one column for each setting."""
    use_style()
    figure, axes = plt.subplots(
        2,
        len(panels),
        figsize=(3.6 * len(panels), 5.8),
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for j, panel in enumerate(panels):
        _lines(axes[0, j], panel)
        _mixture(axes[1, j], panel)
    axes[0, 0].set_ylabel("y")
    axes[1, 0].set_ylabel("density")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    plt.close(figure)  # the caller shows it once, as the value of the cell
    return figure


def _lines(axis: Any, panel: Panel) -> None:
    ends = torch.tensor([-3.2, 3.2], dtype=torch.float64)
    for i, (w0, w1) in enumerate(panel.lines):
        axis.plot(
            ends, w0 + w1 * ends, color=BLUE, lw=0.7, alpha=0.4, label=None if i else "sampled line"
        )
    (x, y), inside = panel.new, panel.covered
    for hit, colour, style, mark in ((True, GREEN, "-", "o"), (False, VERMILLION, "--", "x")):
        rows = inside == hit
        low, high = panel.intervals[rows].unbind(-1)
        axis.vlines(x[rows], low, high, color=colour, ls=style, lw=1)
        label = "new point, inside its interval" if hit else "outside"
        axis.plot(x[rows], y[rows], mark, ms=4, color=colour, label=label)
    axis.plot(*panel.data, "s", ms=5, color=BLACK, label="data")
    axis.axvline(panel.x, color=BLACK, lw=1)
    axis.set_ylim(-4, 5.5)
    axis.set_xlabel("x")
    share = f"{int(inside.sum())} of {len(inside)} inside"
    axis.set_title(f"width {panel.width:g}: {share}")


def _mixture(axis: Any, panel: Panel) -> None:
    each = panel.densities
    axis.plot(GRID, each / each.shape[1], color=BLUE, lw=0.7, alpha=0.6)
    density = each.mean(1)
    axis.plot(GRID, density, color=BLACK)
    axis.fill_between(GRID, density, color=SKY, alpha=0.4)
    total, aleatoric, epistemic = (part.item() for part in panel.uncertainty)
    axis.set_title(
        f"variance {total:.2f} =\n{aleatoric:.2f} noise + {epistemic:.2f} epistemic", fontsize=10
    )
    axis.set_xlabel(f"y at x = {panel.x:g}")
    axis.set_ylim(0, 0.85)
