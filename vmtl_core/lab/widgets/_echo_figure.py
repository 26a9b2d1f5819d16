"""The echo chamber for print and for readers without JavaScript."""

from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch.distributions import Normal

from vmtl_core.lab.plots.style import BLACK, BLUE, VERMILLION, canvas, use_style

if TYPE_CHECKING:
    from vmtl_core.lab.widgets.echo import EchoChamberExplorer

SPIKE = 0.01


def draw(widgets: "list[EchoChamberExplorer]") -> Figure:
    """One column for each setting: posteriors filled, exact ones dashed, sample means marked."""
    use_style()
    figure, axes = canvas(1, len(widgets), (3.2, 3.0), sharey=True)
    for axis, widget in zip(axes[0], widgets, strict=True):
        _posteriors(axis, widget)
    axes[0, 0].legend(loc="upper left", fontsize=8)
    return figure


def _posteriors(axis: Any, widget: "EchoChamberExplorer") -> None:
    w = torch.linspace(-1.6, 1.6, 401, dtype=torch.float64)
    found, exact = widget.posterior, widget.exact
    top = 1.7 * Normal(0.0, exact.variance.sqrt()).log_prob(torch.tensor(0.0)).exp().item()
    sd = found.variance.sqrt().item()
    for sign, colour, mark in ((1, BLUE, "o"), (-1, VERMILLION, "s")):
        mean = sign * found.gap / 2
        if sd < SPIKE:
            ls = "-" if sign > 0 else (0, (4, 4))
            axis.axvline(
                mean.item(), color=colour, lw=3, ls=ls, label=f"task {1 if sign > 0 else 2}"
            )
        else:
            density = Normal(mean, sd).log_prob(w).exp()
            axis.fill_between(w, density, color=colour, alpha=0.25)
            axis.plot(w, density, color=colour, label=f"task {1 if sign > 0 else 2}")
        right = Normal(sign * exact.gap / 2, exact.variance.sqrt()).log_prob(w).exp()
        axis.plot(w, right, color=BLACK, ls="--", lw=1.2, label="exact" if sign > 0 else None)
        axis.plot([sign * widget.difference / 2], [0], marker=mark, color=colour, clip_on=False)
    name = f"previous, round {widget.rounds}" if widget.sources == "previous" else widget.sources
    axis.set_title(f"{name}, δ = {widget.width:g}\nsd {sd:.2f}, exact {exact.variance.sqrt():.2f}")
    axis.set(xlabel="w", ylim=(0, top))
