"""Figures of chapter 4: the KL to a mixture, its bounds and its stand-in."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    use_style,
)
from vmtl_core.lab.scores import mean_and_interval

STYLES: dict[str, tuple[str, Any]] = {
    "exact": (BLACK, "-"),
    "convex": (ORANGE, "--"),
    "jensen": (BLUE, "-."),
    "weighted_sum": (VERMILLION, ":"),
    "lower_bound": (GREEN, (0, (5, 1))),
    "monte_carlo": (PURPLE, "-"),
}


class Sweep(NamedTuple):
    """KLs along one setting that varies."""

    title: str
    label: str
    """What varies, the label of the horizontal axis."""
    x: Tensor
    """Its values, (n,)."""
    kl: Mapping[str, Tensor]
    """Method -> values, (n,)."""
    top: float | None = None
    """Where to cut the vertical axis, if anywhere."""


def sweeps(panels: Sequence[Sweep]) -> Figure:
    """Every method against quadrature, one panel a sweep; Monte Carlo as dots."""
    use_style()
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.9 * len(panels), 3.9), layout="constrained"
    )
    for axis, panel in zip(axes, panels, strict=True):
        for method, values in panel.kl.items():
            colour, dash = STYLES[method]
            width = 3.2 if method == "exact" else 1.8
            if method == "monte_carlo":
                axis.plot(panel.x, values, "o", ms=3.5, color=colour, label=method)
            else:
                axis.plot(panel.x, values, color=colour, ls=dash, lw=width, label=method)
        axis.set_title(panel.title)
        axis.set_xlabel(panel.label)
        axis.set_ylim(top=panel.top)
    axes[0].set_ylabel("nats")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    plt.close(figure)
    return figure


def unnamed(x: Tensor, exact: Tensor, curves: Mapping[str, Tensor]) -> Figure:
    """The exact KL in black, and curves that bear letters only."""
    use_style()
    figure, axis = plt.subplots(figsize=(6.2, 3.6), layout="constrained")
    axis.plot(x, exact, color=BLACK, lw=3.2)
    axis.annotate("exact", (x[-1], exact[-1]), xytext=(4, 0), textcoords="offset points")
    styles = zip((ORANGE, BLUE, VERMILLION, GREEN), ("--", "-.", ":", (0, (5, 1))), strict=True)
    for (letter, values), (colour, dash) in zip(curves.items(), styles, strict=True):
        axis.plot(x, values, color=colour, ls=dash)
        axis.annotate(
            letter, (x[-1], values[-1]), xytext=(4, 0), textcoords="offset points", color=colour
        )
    axis.set_xlabel("distance d of the sources from 0")
    axis.set_ylabel("nats")
    plt.close(figure)
    return figure


class Setting(NamedTuple):
    """Densities on a grid, and the numbers to print below them."""

    title: str
    w: Tensor
    q: Tensor
    mixture: Tensor
    weighted_sum: Tensor
    kl: Mapping[str, float]


def settings(panels: Sequence[Setting]) -> Figure:
    """q, the mixture and the law of the weighted sum, with every KL in numbers."""
    use_style()
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.9 * len(panels), 4.1), sharey=True, layout="constrained"
    )
    for axis, panel in zip(axes, panels, strict=True):
        axis.fill_between(panel.w, panel.mixture, color=SKY, alpha=0.5, label="mixture")
        axis.plot(panel.w, panel.q, color=BLACK, label="q")
        axis.plot(
            panel.w, panel.weighted_sum, color=VERMILLION, ls=":", label="law of the weighted sum"
        )
        axis.set_title(panel.title)
        lines = "\n".join(f"{name} {value:.2f}" for name, value in panel.kl.items())
        axis.set_xlabel(f"w\n\n{lines}")
    axes[0].set_ylabel("density")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    plt.close(figure)
    return figure


def spread(samples: Sequence[int], estimates: Tensor, exact: float) -> Figure:
    """Estimates, shape (R, n), for each number of samples, around the exact value."""
    use_style()
    figure, axis = plt.subplots(figsize=(6.2, 3.2), layout="constrained")
    low, high = (estimates.quantile(level, 0) for level in (0.05, 0.95))
    axis.fill_between(samples, low, high, color=PURPLE, alpha=0.3, label="90 % of the estimates")
    axis.plot(samples, estimates.mean(0), "o", color=PURPLE, label="their mean")
    axis.axhline(exact, color=BLACK, label="quadrature")
    axis.set_xscale("log")
    axis.set_xlabel("samples S")
    axis.set_ylabel("estimate of the KL (nats)")
    axis.legend()
    plt.close(figure)
    return figure


def minimisers(w: Tensor, mixture: Tensor, densities: Mapping[str, Tensor]) -> Figure:
    """The Gaussian that each method takes for the nearest to the mixture."""
    use_style()
    figure, axis = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    axis.fill_between(w, mixture, color=SKY, alpha=0.5, label="mixture")
    for method, density in densities.items():
        colour, dash = STYLES[method]
        axis.plot(w, density, color=colour, ls=dash, label=method)
    axis.set_xlabel("w")
    axis.set_ylabel("density")
    axis.legend()
    plt.close(figure)
    return figure


class Products(NamedTuple):
    """Priors in force and the posteriors they lead to, by method, on a grid."""

    title: str
    w: Tensor
    priors: Mapping[str, Tensor]
    posteriors: Mapping[str, Tensor]


def products(panels: Sequence[Products]) -> Figure:
    """Mixture and products, above, and the posteriors under them, below; one column a receiver."""
    use_style()
    figure, axes = plt.subplots(
        2, len(panels), figsize=(3.9 * len(panels), 4.8), sharex="col", layout="constrained"
    )
    names = {"exact": "mixture", "convex": "product, exponents a", "jensen": "product, exponents φ"}
    for column, panel in zip(axes.T, panels, strict=True):
        for axis, densities in zip(column, (panel.priors, panel.posteriors), strict=True):
            axis.fill_between(panel.w, densities["exact"], color=SKY, alpha=0.5)
            for method, density in densities.items():
                colour, dash = STYLES[method]
                axis.plot(panel.w, density, color=colour, ls=dash, label=names[method])
        column[0].set_title(panel.title)
        column[1].set_xlabel("w")
    axes[0, 0].set_ylabel("prior")
    axes[1, 0].set_ylabel("posterior")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    plt.close(figure)
    return figure


def gains(results: Mapping[str, Tensor], clip: float) -> Figure:
    """Gain over single-task learning for each method, shape (R,), with 95 % intervals."""
    use_style()
    figure, axis = plt.subplots(figsize=(7.6, 3.6), layout="constrained")
    for place, values in enumerate(results.values()):
        mean, _, low, high = mean_and_interval(values)
        if mean < clip:
            axis.annotate(f"◀ {mean:.1f}", (clip, place), va="center")
            continue
        axis.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color=BLUE)
    axis.axvline(0, color=BLACK, lw=0.8, ls=":")
    axis.set_xlim(left=clip)
    axis.set_yticks(range(len(results)), list(results))
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.set_xlabel("gain in held-out log-likelihood over single-task learning (nats an example)")
    plt.close(figure)
    return figure
