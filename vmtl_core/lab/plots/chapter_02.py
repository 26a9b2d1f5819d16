"""Figures of chapter 2: what a task's prior can be made of."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    LINES,
    MARKERS,
    ORANGE,
    VERMILLION,
    use_style,
)
from vmtl_core.lab.scores import mean_and_interval


class Belief(NamedTuple):
    """Prior and posterior of one task under one way of sharing, densities on a grid."""

    title: str
    prior: Tensor
    posterior: Tensor


def four_priors(w: Tensor, likelihood: Tensor, beliefs: Sequence[Belief], truth: float) -> Figure:
    """The same data under several priors, one panel each; the true weight as a vertical line."""
    use_style()
    figure, axes = plt.subplots(
        1, len(beliefs), figsize=(2.6 * len(beliefs), 2.8), sharey=True, layout="constrained"
    )
    for axis, belief in zip(axes, beliefs, strict=True):
        axis.fill_between(w, belief.prior, color=BLACK, alpha=0.2, label="prior")
        axis.plot(w, likelihood, color=ORANGE, ls="--", label="likelihood, scaled")
        axis.plot(w, belief.posterior, color=BLUE, label="posterior")
        axis.axvline(truth, color=VERMILLION, ls=":", label="truth")
        axis.set_title(belief.title)
        axis.set_xlabel("w")
    axes[0].set_ylabel("density")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    plt.close(figure)
    return figure


class WidthSweep(NamedTuple):
    """Held-out scores against the transfer width, on data with one between-task sd."""

    between_sd: float
    with_base: Tensor
    """(widths, seeds)."""
    without_base: Tensor
    alone: Tensor
    """No sharing, (seeds,)."""


def transfer_widths(widths: Sequence[float], sweeps: Sequence[WidthSweep]) -> Figure:
    """Held-out negative log-likelihood against delta, one panel for each between-task sd."""
    use_style()
    figure, axes = plt.subplots(
        1, len(sweeps), figsize=(3.3 * len(sweeps), 3.4), sharey=True, layout="constrained"
    )
    for axis, sweep in zip(axes, sweeps, strict=True):
        places = range(len(widths))
        axis.axhline(sweep.alone.mean(), color=BLACK, lw=1.2, label="no sharing")
        for values, colour, dash, name in (
            (sweep.with_base, BLUE, "o-", "mixture with base prior"),
            (sweep.without_base, VERMILLION, "s--", "mixture without"),
        ):
            found = [mean_and_interval(row) for row in values]
            means = [f.mean for f in found]
            axis.plot(places, means, dash, color=colour, ms=4, label=name)
            axis.fill_between(
                places,
                [f.low for f in found],
                [f.high for f in found],
                color=colour,
                alpha=0.15,
                lw=0,
            )
        axis.set_xticks(places, [f"{width:g}" for width in widths], fontsize=8)
        axis.set_xlabel("transfer width δ")
        axis.set_title(f"between-task sd {sweep.between_sd:g}")
        axis.set_ylim(0.8, 3.4)
    axes[0].set_ylabel("held-out negative log-likelihood")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    plt.close(figure)
    return figure


def counted(times: Sequence[int], coverage: Sequence[float], wanted: float) -> Figure:
    """Coverage of a nominal interval against how often the same data are counted."""
    use_style()
    figure, axis = plt.subplots(figsize=(4.6, 2.9), layout="constrained")
    axis.plot(times, coverage, "o-", color=BLUE, label="share of truths inside")
    axis.axhline(wanted, color=BLACK, ls="--", lw=1.2, label="what the interval claims")
    axis.set_xticks(times)
    axis.set_ylim(0, 1)
    axis.set_xlabel("times the same data are counted")
    axis.legend()
    plt.close(figure)
    return figure


def gains(groups: Mapping[str, Mapping[str, Tensor]], reference: str) -> Figure:
    """Paired gains over a reference method with 95 % intervals over seeds, one panel a setting.

    Args:
        groups: title -> method -> held-out negative log-likelihoods, (seeds,).
        reference: the method that the others are compared with; the zero line.
    """
    use_style()
    figure, axes = plt.subplots(
        1, len(groups), figsize=(4.3 * len(groups), 2.4), sharex=True, layout="constrained"
    )
    for axis, (title, methods) in zip(axes, groups.items(), strict=True):
        others = {name: methods[reference] - v for name, v in methods.items() if name != reference}
        for place, gain in enumerate(others.values()):
            found = mean_and_interval(gain)
            bars = [[found.mean - found.low], [found.high - found.mean]]
            axis.errorbar(
                [found.mean],
                [place],
                xerr=bars,
                fmt=MARKERS[place],
                color=COLOURS[place],
                capsize=3,
            )
            axis.plot(gain, [place + 0.25] * len(gain), "|", color=COLOURS[place], ms=7)
        axis.axvline(0, color=BLACK, lw=1.2)
        axis.set_yticks(range(len(others)), list(others))
        axis.set_ylim(len(others) - 0.4, -0.5)
        axis.set_title(title)
        axis.set_xlabel(f"gain over {reference}, nats per example")
    plt.close(figure)
    return figure


def collapse(steps: Sequence[int], scales: Mapping[str, Sequence[float]], floor: float) -> Figure:
    """Posterior standard deviation over the steps of a fit: name -> values."""
    use_style()
    figure, axis = plt.subplots(figsize=(5.4, 3.0), layout="constrained")
    for place, (name, values) in enumerate(scales.items()):
        colour = (VERMILLION, BLUE, GREEN)[place]
        axis.plot(steps, values, color=colour, ls=LINES[place], marker=MARKERS[place], label=name)
    axis.axhline(floor, color=BLACK, ls="--", lw=1.2, label="if both tasks were one")
    axis.set_yscale("log")
    ticks = [0.03, 0.1, 0.3]
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("step")
    axis.set_ylabel("sd of q(w)")
    axis.legend(loc="center right")
    plt.close(figure)
    return figure
