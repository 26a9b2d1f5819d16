"""Figures of chapter 1: the bound, its gap, and the gradients that climb it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, use_style
from vmtl_core.lab.scores import mean_and_interval

ESTIMATORS = {
    "score function": (VERMILLION, "s", "-"),
    "score function, mean subtracted": (ORANGE, "D", "--"),
    "reparameterised": (BLUE, "o", "-"),
    "reparameterised, path only": (GREEN, "^", "--"),
}


def bound_touches(
    noise: Tensor,
    evidence: Tensor,
    bounds: Sequence[Tensor],
    touching: Sequence[float],
    steps: Sequence[tuple[float, float]],
) -> Figure:
    """Left: log evidence and bounds against the noise. Right: both after every half step of EM.

    Args:
        noise: values of sigma, (G,).
        evidence: log evidence at each, (G,).
        bounds: ELBO of each q along `noise`, each (G,).
        touching: the sigma at which each bound touches.
        steps: (ELBO, log evidence) after every half step.
    """
    use_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    left.plot(noise, evidence, color=BLACK, lw=2.5, label="log evidence")
    for number, (bound, sigma) in enumerate(zip(bounds, touching, strict=True)):
        colour, dash = ((VERMILLION, "--"), (ORANGE, "-."), (BLUE, ":"))[number % 3]
        left.plot(noise, bound, color=colour, ls=dash, label=f"ELBO after E-step {number + 1}")
        height = evidence[(noise - sigma).abs().argmin()]
        left.plot([sigma], [height], "o", color=colour, ms=7)
    left.set_xscale("log")
    ticks = [0.5, 1.0, 2.0, 3.0]
    left.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    left.minorticks_off()
    left.set_ylim(float(evidence.max()) - 15, float(evidence.max()) + 2)
    left.set_xlabel("noise scale σ")
    left.set_ylabel("nats")
    left.legend(fontsize=8)
    places = range(len(steps))
    right.plot(places, [e for _, e in steps], color=BLACK, lw=2.5, label="log evidence")
    right.plot(places, [b for b, _ in steps], "o--", color=BLUE, ms=5, label="ELBO")
    right.set_xticks(places, ["EM"[place % 2] for place in places])
    right.set_xlabel("after each half step")
    right.legend(fontsize=8)
    plt.close(figure)
    return figure


def gradient_variances(
    sizes: Sequence[int], places: Mapping[str, Mapping[str, Sequence[Tensor]]]
) -> Figure:
    """Variance of one draw's gradient against the number of examples, one panel a place.

    Args:
        sizes: numbers of examples.
        places: title -> estimator -> for each size the variances of the seeds, (R,).
    """
    use_style()
    figure, axes = plt.subplots(
        1, len(places), figsize=(4.5 * len(places), 3.6), sharey=True, layout="constrained"
    )
    for axis, (title, estimators) in zip(axes, places.items(), strict=True):
        for name, variances in estimators.items():
            colour, marker, dash = ESTIMATORS[name]
            found = [mean_and_interval(values) for values in variances]
            bars = [[f.mean - f.low for f in found], [f.high - f.mean for f in found]]
            axis.errorbar(
                sizes,
                [f.mean for f in found],
                bars,
                color=colour,
                marker=marker,
                ls=dash,
                ms=5,
                capsize=3,
                label=name,
            )
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.set_xlabel("pupils N")
        axis.set_title(title)
    axes[0].set_ylabel("variance of one draw")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    plt.close(figure)
    return figure


class Pair(NamedTuple):
    """A Gaussian posterior and the diagonal Gaussian that comes closest."""

    title: str
    mean: Tensor
    covariance: Tensor
    scale: Tensor
    """Standard deviations of the diagonal one, (2,)."""


def narrow_posteriors(pairs: Sequence[Pair]) -> Figure:
    """Ellipses that hold 90 % of the posterior and of the diagonal q, one panel each."""
    use_style()
    figure, axes = plt.subplots(
        1, len(pairs), figsize=(3.2 * len(pairs), 3.2), layout="constrained"
    )
    for axis, pair in zip(axes, pairs, strict=True):
        _ellipse(axis, pair.mean, torch.linalg.cholesky(pair.covariance), BLACK, "-", "posterior")
        _ellipse(axis, pair.mean, pair.scale.diag(), VERMILLION, "--", "diagonal q")
        axis.set_title(pair.title)
        axis.set_xlabel("intercept")
    axes[0].set_ylabel("slope")
    axes[0].legend(fontsize=8)
    plt.close(figure)
    return figure


def _ellipse(axis: Axes, mean: Tensor, factor: Tensor, colour: str, dash: str, label: str) -> None:
    """The curve with 90 % of a two-dimensional Gaussian inside: squared radius 4.605."""
    angle = torch.linspace(0, 2 * torch.pi, 200, dtype=mean.dtype)
    circle = 4.605**0.5 * torch.stack([angle.cos(), angle.sin()])
    curve = mean[:, None] + factor @ circle
    axis.plot(*curve, color=colour, ls=dash, label=label)


def two_modes(w: Tensor, posterior: Tensor, fits: Sequence[Tensor]) -> Figure:
    """A posterior density with two modes and the Gaussians fitted from two starting points."""
    use_style()
    figure, axis = plt.subplots(figsize=(6.2, 3.0), layout="constrained")
    axis.fill_between(w, posterior, color=BLACK, alpha=0.2, label="posterior")
    styles = ((BLUE, "-", "left"), (VERMILLION, "--", "right"))
    for density, (colour, dash, side) in zip(fits, styles, strict=True):
        axis.plot(w, density, color=colour, ls=dash, label=f"q, started on the {side}")
    axis.set_xlabel("w")
    axis.set_ylabel("density")
    figure.legend(fontsize=8, loc="outside upper center", ncols=3)
    plt.close(figure)
    return figure
