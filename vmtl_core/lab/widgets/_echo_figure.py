"""The echo chamber for print and for readers without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch.distributions import Normal

from vmtl_core.lab.experiments.echo import Pair
from vmtl_core.lab.plots.style import BLACK, BLUE, VERMILLION, canvas, use_style

SPIKE = 0.01


@dataclass(frozen=True)
class Panel:
    """One setting.

    Args:
        name: of the sources, with the round if there are rounds.
        difference: Delta, of the sample means.
        width: transfer width delta.
        found: what the sources end with.
        exact: every reading counted once.
    """

    name: str
    difference: float
    width: float
    found: Pair
    exact: Pair


def draw(panels: Sequence[Panel]) -> Figure:
    """One column for each setting: posteriors filled, exact ones dashed, sample means marked."""
    use_style()
    figure, axes = canvas(1, len(panels), (3.2, 3.0), sharey=True)
    for axis, panel in zip(axes[0], panels, strict=True):
        _posteriors(axis, panel)
    axes[0, 0].legend(loc="upper left", fontsize=8)
    return figure


def _posteriors(axis: Any, panel: Panel) -> None:
    w = torch.linspace(-1.6, 1.6, 401, dtype=torch.float64)
    found, exact = panel.found, panel.exact
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
        axis.plot([sign * panel.difference / 2], [0], marker=mark, color=colour, clip_on=False)
    numbers = f"sd {sd:.2f}, exact {exact.variance.sqrt():.2f}"
    axis.set_title(f"{panel.name}, δ = {panel.width:g}\n{numbers}")
    axis.set(xlabel="w", ylim=(0, top))
