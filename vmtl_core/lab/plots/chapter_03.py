"""Figures of chapter 3: Gumbel-softmax."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, use_style
from vmtl_core.lab.scores import mean_and_interval


def gumbel_density(draws: Tensor) -> Figure:
    """Histogram of draws, shape (S,), with the density and distribution function of (3.1)."""
    use_style()
    figure, axis = plt.subplots(figsize=(6.2, 3.2), layout="constrained")
    g = torch.linspace(-3, 7, 400, dtype=torch.float64)
    axis.hist(
        draws.numpy(), bins=80, range=(-3, 7), density=True, color=BLUE, alpha=0.35, label="draws"
    )
    axis.plot(g, (-g - (-g).exp()).exp(), color=BLUE, label="density exp(-g - exp(-g))")
    axis.plot(g, (-(-g).exp()).exp(), color=ORANGE, ls="--", label="F(g) = exp(-exp(-g))")
    axis.set_xlabel("g")
    axis.legend()
    plt.close(figure)
    return figure


def weight_laws(weights: Mapping[float, Tensor], name: str) -> Figure:
    """Histograms of one weight, (S,) for each temperature, side by side."""
    use_style()
    figure, axes = plt.subplots(
        1, len(weights), figsize=(2.6 * len(weights), 2.5), sharey=True, layout="constrained"
    )
    for axis, (tau, draws) in zip(axes, weights.items(), strict=True):
        heights = torch.histc(draws, 25, 0, 1) / len(draws)
        axis.bar(torch.arange(25) / 25 + 0.02, heights, width=0.036, color=BLUE)
        mean = draws.mean().item()
        axis.axvline(mean, color=VERMILLION, ls="--")
        axis.set_title(f"τ = {tau:g}, mean {mean:.2f}")
        axis.set_xlabel(name)
    axes[0].set_ylabel("share of draws")
    plt.close(figure)
    return figure


def expected_weight(
    taus: Tensor, curves: Mapping[float, Tensor], dots: Mapping[float, Any]
) -> Figure:
    """E[alpha_1] against tau, one curve for each pi_1; dots (taus, means) are sampled."""
    use_style()
    figure, axis = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
    styles = zip((BLUE, ORANGE, GREEN), ("-", "--", "-."), strict=True)
    for (pi, curve), (colour, dash) in zip(curves.items(), styles, strict=False):
        axis.plot(taus, curve, color=colour, ls=dash, label=f"π₁ = {pi:g}")
        axis.plot(*dots[pi], "o", color=colour, ms=5)
        axis.plot(taus[0], pi, ">", color=colour, ms=8, clip_on=False)
    axis.axhline(0.5, color=BLACK, lw=0.8, ls=":")
    axis.set_xscale("log")
    axis.set_xlabel("temperature τ")
    axis.set_ylabel("E[α₁]")
    axis.legend()
    plt.close(figure)
    return figure


def gradient_quality(
    taus: Sequence[float],
    bias: Tensor,
    sd: Tensor,
    score_sd: float,
    errors: Mapping[int, Tensor],
) -> Figure:
    """Bias, sd and error of the relaxed gradient, all in units of the exact gradient's length.

    Args:
        taus: temperatures, n of them.
        bias: length of (mean gradient - exact gradient) for each seed, shape (n, R).
        sd: square root of the summed variances of one draw, shape (n, R).
        score_sd: sd of the score-function gradient.
        errors: number of draws averaged -> root mean squared error, shape (n,).
    """
    use_style()
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained")
    for axis, values, title in ((axes[0], bias, "bias"), (axes[1], sd, "sd of one draw")):
        intervals = [mean_and_interval(row) for row in values]
        mean = torch.tensor([i.mean for i in intervals])
        low, high = (torch.tensor([getattr(i, n) for i in intervals]) for n in ("low", "high"))
        around = torch.stack([mean - low, high - mean]).numpy()
        axis.errorbar(taus, mean, yerr=around, color=BLUE, marker="o", ms=4, capsize=2)
        axis.set_title(title)
    axes[0].set_ylabel("in lengths of the exact gradient")
    axes[1].axhline(score_sd, color=VERMILLION, ls="--")
    axes[1].annotate("score function", (taus[-1], score_sd), ha="right", va="bottom")
    styles = zip((ORANGE, GREEN, BLACK), ("-", "--", "-."), strict=True)
    for (n, error), (colour, dash) in zip(errors.items(), styles, strict=False):
        label = f"mean of {n:,} draws" if n > 1 else "one draw"
        axes[2].plot(taus, error, color=colour, ls=dash, label=label)
        best = int(error.argmin())
        axes[2].plot(taus[best], error[best], "o", color=colour)
    axes[2].set_title("root mean squared error")
    axes[2].legend()
    for axis in axes:
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("temperature τ")
    plt.close(figure)
    return figure


def schedules(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Temperature against the step for each schedule."""
    use_style()
    figure, axis = plt.subplots(figsize=(6.2, 2.9), layout="constrained")
    styles = zip((BLUE, ORANGE, GREEN, BLACK), ("-", "--", "-.", ":"), strict=True)
    for (name, curve), (colour, dash) in zip(curves.items(), styles, strict=False):
        axis.plot(curve, color=colour, ls=dash, label=name)
    axis.set_xlabel("step")
    axis.set_ylabel("temperature τ")
    axis.legend()
    plt.close(figure)
    return figure


def regrets(results: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """What is left to gain after the fit, for each learning rate and each schedule, shape (R,)."""
    use_style()
    figure, axis = plt.subplots(figsize=(8.2, 3.6), layout="constrained")
    shown = zip(results.items(), (ORANGE, BLUE), ("s", "o"), (0.12, -0.12), strict=False)
    names: list[str] = []
    for (rate, by_schedule), colour, marker, shift in shown:
        names = list(by_schedule)
        for place, values in enumerate(by_schedule.values()):
            mean, _, low, high = mean_and_interval(values)
            label = rate if place == 0 else None
            axis.errorbar(
                mean,
                place + shift,
                xerr=[[mean - low], [high - mean]],
                fmt=marker,
                color=colour,
                label=label,
            )
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel(
        "best attainable objective minus the one reached (nats; further left is better)"
    )
    axis.legend()
    plt.close(figure)
    return figure
