"""A receiver under the mixture prior for print and for readers without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch.distributions import Normal

from vmtl_core.lab.plots.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    YELLOW,
    canvas,
    use_style,
)
from vmtl_core.lab.widgets._mixture_model import Found, Receiver

W = torch.linspace(-3.5, 3.5, 351, dtype=torch.float64)
"""Where densities are drawn."""
REACH = (-8.0, 1.0)
"""Of the bars, in nats; what is further left leaves them."""


@dataclass(frozen=True)
class Panel:
    """One setting.

    Args:
        title: its name.
        receiver: sample mean, prior and exact posterior.
        found: the best Gaussian by each bound, "jensen" and "convex".
    """

    title: str
    receiver: Receiver
    found: dict[str, Found]


def draw(panels: Sequence[Panel]) -> Figure:
    """Two rows (densities, bars) by one column for each setting."""
    use_style()
    figure, axes = canvas(2, len(panels), (3.5, 2.6), height_ratios=[1.5, 1])
    for j, panel in enumerate(panels):
        _densities(axes[0, j], panel)
        _bars(axes[1, j], panel, labelled=j == 0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _densities(axis: Any, panel: Panel) -> None:
    one = panel.receiver
    prior = one.prior.log_prob(W).exp()
    likelihood = Normal(one.centre, one.variance**0.5).log_prob(W).exp()
    axis.fill_between(W, prior, color=SKY, alpha=0.35, label="prior")
    axis.plot(W, likelihood, color=GREY, ls=":", label="likelihood")
    axis.fill_between(
        W, one.log_posterior(W).exp(), color=ORANGE, alpha=0.45, label="exact posterior"
    )
    for name, colour, dash in (("jensen", BLACK, "-"), ("convex", VERMILLION, "--")):
        density = panel.found[name].q.log_prob(W).exp()
        axis.plot(W, density, color=colour, ls=dash, label=f"q, {name}")
    axis.set(title=panel.title, xlabel="w", yticks=[])


def _bars(axis: Any, panel: Panel, labelled: bool) -> None:
    exact = panel.receiver.log_evidence.item()
    axis.barh(0, exact - REACH[0], 0.55, REACH[0], color=GREY)
    axis.text(exact + 0.15, 0, f"{exact:.2f}", va="center", fontsize=8)
    for place, found in enumerate(panel.found.values(), 1):
        elbo = max(found.elbo.item(), REACH[0])
        whole = max(found.elbo.item() + found.slack.item(), REACH[0])
        axis.barh(place, elbo - REACH[0], 0.55, REACH[0], color=BLUE, alpha=0.5)
        axis.barh(place, whole - elbo, 0.55, elbo, color=YELLOW, edgecolor=GREY)
        axis.barh(
            place, exact - whole, 0.55, whole, color="white", edgecolor=VERMILLION, hatch="////"
        )
        axis.text(exact + 0.15, place, f"{found.elbo:.2f}", va="center", fontsize=8)
    axis.axvline(exact, color=BLACK, lw=1.2)
    names = ["log Σ αₖZₖ", "ELBO, jensen", "ELBO, convex"]
    axis.set_yticks(range(3), names if labelled else [""] * 3)
    axis.set(xlim=(REACH[0], REACH[1] + 1.5), ylim=(2.5, -0.5))
    axis.set_xlabel("nats (yellow: the bound's slack; hatched: q's gap)", fontsize=8)
