"""Figures of chapter 6: predictive bands, coverage, reliability, and what the variance omits."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, use_style
from vmtl_core.lab.scores import mean_and_interval

METHODS = {
    "single task": (ORANGE, "s", "--"),
    "default": (BLUE, "o", "-"),
    "paper": (VERMILLION, "^", "-."),
    "plug-in": (PURPLE, "v", ":"),
    "averaged": (BLUE, "o", "-"),
}


class Band(NamedTuple):
    """One panel of predictions on a line of inputs; curves of shape (G,)."""

    title: str
    x: Tensor
    y: Tensor
    """The data, (N,) each."""
    mean: Tensor
    total: Tensor
    """Predictive standard deviation."""
    aleatoric: Tensor
    """Its part that is noise, as a standard deviation."""


def bands(grid: Tensor, truth: Tensor, panels: Sequence[Band]) -> Figure:
    """Mean, noise band and 90 % predictive band on a line; one panel a setting.

    Args:
        grid: inputs, (G,).
        truth: the true function on them, (G,).
        panels: what to draw in each.
    """
    use_style()
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.1 * len(panels), 3.1), sharey=True, layout="constrained"
    )
    for axis, panel in zip(axes, panels, strict=True):
        for sd, colour, name in (
            (panel.total, SKY, "90 % interval"),
            (panel.aleatoric, BLUE, "its noise alone"),
        ):
            low, high = panel.mean - 1.645 * sd, panel.mean + 1.645 * sd
            axis.fill_between(grid, low, high, color=colour, alpha=0.35, lw=0, label=name)
        axis.plot(grid, panel.mean, color=BLUE, label="mean")
        axis.plot(grid, truth, color=BLACK, ls="--", lw=1, label="truth")
        axis.plot(panel.x, panel.y, color=VERMILLION, marker=".", ms=4, ls="none", label="data")
        axis.set(title=panel.title, xlabel="x", ylim=(-4, 4))
    axes[0].set_ylabel("y")
    axes[-1].legend(loc="upper left", fontsize=7, ncols=2)
    plt.close(figure)
    return figure


def coverage_curves(levels: Sequence[float], shares: Mapping[str, Tensor]) -> Figure:
    """Share of held-out targets inside the central interval, against its promise.

    Args:
        levels: promised probabilities, K of them.
        shares: for each method (R, K), one row a data set.
    """
    use_style()
    figure, axis = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    axis.plot([0, 1], [0, 1], color=BLACK, ls=":", lw=1, label="honest")
    for name, share in shares.items():
        colour, marker, line = METHODS[name]
        mean = share.mean(0)
        half = [
            mean_and_interval(column).high - mean_and_interval(column).mean for column in share.T
        ]
        axis.errorbar(
            list(levels), mean, yerr=half, color=colour, marker=marker, ls=line, capsize=2,
            label=name, ms=5,
        )  # fmt: skip
    axis.set(xlabel="promised", ylabel="share of held-out targets inside", xlim=(0, 1), ylim=(0, 1))
    axis.legend(loc="upper left")
    plt.close(figure)
    return figure


def reliability(probs: Mapping[str, Tensor], y: Tensor, bins: int = 8) -> Figure:
    """How often class 1 came where it was said to have a given probability.

    Args:
        probs: for each method probabilities of class 1, (N,).
        y: labels 0 and 1, (N,).
        bins: of equal width.
    """
    use_style()
    figure, (axis, counts) = plt.subplots(
        2, 1, figsize=(4.6, 4.8), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    axis.plot([0, 1], [0, 1], color=BLACK, ls=":", lw=1)
    edges = torch.linspace(0, 1, bins + 1)
    for name, p in probs.items():
        colour, marker, line = METHODS[name]
        which = torch.bucketize(p, edges[1:-1].to(p))
        number = torch.bincount(which, minlength=bins)
        said = torch.bincount(which, p.double(), minlength=bins) / number
        came = torch.bincount(which, y.double(), minlength=bins) / number
        axis.plot(said, came, color=colour, marker=marker, ls=line, label=name)
        counts.stairs(number.tolist(), edges.tolist(), color=colour, ls=line)
    axis.set_ylabel("share that were 1")
    axis.legend(loc="upper left")
    counts.set(xlabel="predicted probability of 1", ylabel="rows", yticks=[])
    plt.close(figure)
    return figure


def mean_field(exact: Tensor, factorised: Tensor) -> Figure:
    """Epistemic sd of a prediction over the angle of the input, exact and mean-field.

    Args:
        exact, factorised: (G,), for angles evenly spaced from 0 to 180 degrees.
    """
    use_style()
    figure, axis = plt.subplots(figsize=(5.2, 3.0), layout="constrained")
    angle = torch.linspace(0, 180, len(exact))
    axis.plot(angle, exact, color=BLACK, label="exact posterior")
    axis.plot(angle, factorised, color=VERMILLION, ls="--", label="mean-field posterior")
    axis.set(xlabel="direction of the input (degrees)", ylabel="epistemic sd", ylim=(0, None))
    axis.set_xticks([0, 45, 90, 135, 180])
    axis.legend()
    plt.close(figure)
    return figure


def wrong_model(sizes: Sequence[int], epistemic: Tensor, error: Tensor) -> Figure:
    """Epistemic sd that a wrong model reports, and its actual error, against the rows seen.

    Args:
        sizes: rows, K of them.
        epistemic, error: (R, K), one row a data set.
    """
    use_style()
    figure, axis = plt.subplots(figsize=(4.8, 3.1), layout="constrained")
    for values, colour, marker, name in (
        (error, VERMILLION, "^", "actual error (rms)"),
        (epistemic, GREEN, "o", "epistemic sd"),
    ):
        axis.plot(list(sizes), values.T, color=colour, marker=marker, ms=3, lw=0.5, alpha=0.5)
        axis.plot(list(sizes), values.mean(0), color=colour, marker=marker, label=name)
    axis.set(xscale="log", yscale="log", xlabel="rows seen", ylabel="units of y")
    axis.legend()
    plt.close(figure)
    return figure
