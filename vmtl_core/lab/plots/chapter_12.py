"""Pictures of chapter 12, what a source may say."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Normal

from vmtl_core.lab.plots.chapter_11 import SOURCES
from vmtl_core.lab.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LINES,
    ORANGE,
    VERMILLION,
    canvas,
    label_panels,
)


def transfers(
    w: Tensor, told: Mapping[str, Mapping[float, tuple[float, float]]], source: Normal, base: Normal
) -> Figure:
    """What a source says of the listening task as delta grows: a panel a transfer.

    Args:
        w: where to draw, (G,).
        told: for each transfer, for each delta, mean and standard deviation.
        source, base: the source and the population p_0.
    """
    figure, axes = canvas(1, len(told), (3.9, 3.0), sharey=True)
    for axis, (name, laws) in zip(axes[0], told.items(), strict=True):
        axis.fill_between(w, base.log_prob(w).exp(), color=GREY, alpha=0.25, lw=0)
        axis.plot(w, source.log_prob(w).exp(), color=BLACK, lw=1)
        for (delta, (mean, sd)), colour, dash in zip(
            laws.items(), (BLUE, GREEN, ORANGE, VERMILLION), LINES, strict=False
        ):
            density = Normal(torch.as_tensor(mean), torch.as_tensor(sd)).log_prob(w).exp()
            axis.plot(w, density, color=colour, ls=dash, label=f"δ = {delta:g}")
        axis.set(title=name, xlabel="$w_1$", ylim=(0, None))
    axes[0, 0].set_ylabel("density")
    axes[0, 0].legend(fontsize=8)
    label_panels(axes[0])
    return figure


def widths(width: Tensor, shares: Mapping[str, Tensor], covered: Mapping[str, Tensor]) -> Figure:
    """Variance against the exact one, and coverage, as functions of the transfer width."""
    figure, axes = canvas(1, 2, (3.9, 2.9))
    left, right = axes[0]
    for axis, lines in ((left, shares), (right, covered)):
        for name, values in lines.items():
            colour, _ = SOURCES[name]
            dash = LINES[list(SOURCES).index(name)]
            axis.plot(width, values, color=colour, ls=dash, label=name)
        axis.set(xlabel="transfer width, in s", ylim=(0, None))
    left.set_title("variance, share of the exact one")
    right.set_title("coverage of a 90 % interval")
    right.axhline(0.9, color=BLACK, lw=0.8)
    right.set_ylim(0, 1)
    left.legend(loc="lower right")
    label_panels(axes[0])
    return figure


def three_tasks(
    w: Tensor, densities: Mapping[str, Tensor], neighbours: Sequence[int], sds: Mapping[str, Tensor]
) -> Figure:
    """Posterior of task 1 from two neighbours (left); its sd against their number (right)."""
    figure, axes = canvas(1, 2, (3.9, 2.9))
    left, right = axes[0]
    looks = zip(densities, (BLACK, VERMILLION, BLUE, GREY), LINES, strict=False)
    for name, colour, dash in looks:
        left.plot(w, densities[name], color=colour, ls=dash, label=name)
        if name in sds:
            right.plot(neighbours, sds[name], color=colour, ls=dash, label=name)
    left.set(title="posterior density of $w_1$", xlabel="$w_1$, in s", ylim=(0, None))
    left.legend(fontsize=8)
    right.set(title="mean posterior sd of $w_1$, in s", xlabel="neighbours", ylim=(0, 1.05))
    right.set_xticks(list(neighbours))
    label_panels(axes[0])
    return figure


def wrong_width(true: Tensor, covered: Mapping[str, Tensor]) -> Figure:
    """Coverage of the cured prior against the true width, for several widths assumed."""
    figure, axes = canvas(1, 1, (4.4, 2.9))
    axis = axes[0, 0]
    for (name, share), colour, dash in zip(
        covered.items(), (VERMILLION, ORANGE, BLUE, GREEN), LINES, strict=False
    ):
        axis.plot(true, share, color=colour, ls=dash, label=name)
    axis.axhline(0.9, color=BLACK, lw=0.8)
    axis.set(xlabel="true width, in s", title="coverage of a 90 % interval", ylim=(0, 1))
    axis.legend(title="width assumed")
    return figure
