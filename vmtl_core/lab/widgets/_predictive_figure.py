"""The figure of the predictive mixture for print and for readers without JavaScript."""

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from vmtl_core.lab.plots.style import BLACK, BLUE, GREEN, SKY, VERMILLION, use_style

if TYPE_CHECKING:
    from vmtl_core.lab.widgets.predictive import PredictiveExplorer


def draw(widgets: "list[PredictiveExplorer]") -> Figure:
    """Two rows (lines and intervals, predictive at x) by one column for each setting."""
    use_style()
    figure, axes = plt.subplots(
        2,
        len(widgets),
        figsize=(3.6 * len(widgets), 5.8),
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for j, widget in enumerate(widgets):
        _lines(axes[0, j], widget)
        _mixture(axes[1, j], widget)
    axes[0, 0].set_ylabel("y")
    axes[1, 0].set_ylabel("density")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    plt.close(figure)  # the caller shows it once, as the value of the cell
    return figure


def _lines(axis: Any, widget: "PredictiveExplorer") -> None:
    ends = torch.tensor([-3.2, 3.2], dtype=torch.float64)
    for i, (w0, w1) in enumerate(widget.lines):
        axis.plot(
            ends, w0 + w1 * ends, color=BLUE, lw=0.7, alpha=0.4, label=None if i else "sampled line"
        )
    x, y = widget.new
    inside, intervals = widget.covered, widget.intervals(x)
    for hit, colour, style, mark in ((True, GREEN, "-", "o"), (False, VERMILLION, "--", "x")):
        rows = inside == hit
        low, high = intervals[rows].unbind(-1)
        axis.vlines(x[rows], low, high, color=colour, ls=style, lw=1)
        label = "new point, inside its interval" if hit else "outside"
        axis.plot(x[rows], y[rows], mark, ms=4, color=colour, label=label)
    axis.plot(*widget.data, "s", ms=5, color=BLACK, label="data")
    axis.axvline(widget.x, color=BLACK, lw=1)
    axis.set_ylim(-4, 5.5)
    axis.set_xlabel("x")
    share = f"{int(inside.sum())} of {widget.new_points} inside"
    axis.set_title(f"width {widget.width:g}: {share}")


def _mixture(axis: Any, widget: "PredictiveExplorer") -> None:
    y = torch.linspace(-4, 5.5, 301, dtype=torch.float64)
    mixture = widget.predictive(torch.tensor([widget.x]))
    each = mixture.components.log_prob(y.view(-1, 1, 1, 1)).exp().squeeze(-1).squeeze(1)
    axis.plot(y, each / widget.samples, color=BLUE, lw=0.7, alpha=0.6)
    density = each.mean(1)
    axis.plot(y, density, color=BLACK)
    axis.fill_between(y, density, color=SKY, alpha=0.4)
    total, aleatoric, epistemic = (part.item() for part in widget.uncertainty)
    axis.set_title(
        f"variance {total:.2f} =\n{aleatoric:.2f} noise + {epistemic:.2f} epistemic", fontsize=10
    )
    axis.set_xlabel(f"y at x = {widget.x:g}")
    axis.set_ylim(0, 0.85)
