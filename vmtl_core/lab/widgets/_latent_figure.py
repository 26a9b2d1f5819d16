"""Prior and posterior of a few latents for print and for readers without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, SKY, canvas, use_style
from vmtl_core.lab.widgets._latent_model import Latents

Z = torch.linspace(-3, 3, 301, dtype=torch.float64)
"""Where densities are drawn."""
LIFT = 1.1
"""From one row to the next, in units of density."""


@dataclass(frozen=True)
class Panel:
    """One setting.

    Args:
        tau: temperature.
        latents: rows and encoders.
        log_beta: log mixing weights, (3,).
        other: beta of the other task.
        kl: of every row, (N,).
    """

    tau: float
    latents: Latents
    log_beta: Tensor
    other: float
    kl: Tensor


def draw(panels: Sequence[Panel]) -> Figure:
    """Two rows (densities of every row's z, KL of every row) by one column for each setting."""
    use_style()
    figure, axes = canvas(2, len(panels), (3.2, 2.5), height_ratios=[2, 1], sharey="row")
    for j, panel in enumerate(panels):
        _ridges(axes[0, j], panel)
        _bars(axes[1, j], panel)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    axes[1, 0].set_ylabel("KL, nats")
    return figure


def _ridges(axis: Any, panel: Panel) -> None:
    own, prior = panel.latents.q(), panel.latents.density(Z, panel.log_beta)
    q = own.log_prob(Z[:, None, None]).exp().T
    for n in range(len(q)):
        floor = LIFT * (len(q) - 1 - n)
        named = {"label": "prior of z"} if n == 0 else {}
        axis.fill_between(Z, floor, floor + prior[n], color=SKY, alpha=0.5, **named)
        named = {"label": "q(z | x), the receiver's encoder"} if n == 0 else {}
        axis.plot(Z, floor + q[n], color=BLACK, **named)
    places = [LIFT * (len(q) - 1 - n) for n in range(len(q))]
    axis.set_yticks(places, [f"x = {x:g}" for x in panel.latents.x.tolist()])
    axis.set_title(f"τ = {panel.tau:g}: β = {panel.other:.2f} other, {1 - panel.other:.2f} base", fontsize=10)  # fmt: skip
    axis.set_xlabel("z")


def _bars(axis: Any, panel: Panel) -> None:
    values = panel.kl.tolist()
    axis.bar(range(len(values)), values, 0.55, color=BLUE)
    for n, value in enumerate(values):
        axis.text(n, value, f"{value:.2f}", ha="center", va="bottom", fontsize=8)
    axis.set_xticks(range(len(values)), [f"x = {x:g}" for x in panel.latents.x.tolist()])
    axis.set_title(f"sum {sum(values):.2f}", fontsize=10)
    axis.margins(y=0.2)
