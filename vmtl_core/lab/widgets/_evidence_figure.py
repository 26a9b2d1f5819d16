"""Evidence, bound and gap of a line for print and for readers without JavaScript."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import MultivariateNormal

from vmtl_core.lab.plots.style import BLACK, BLUE, GREY, ORANGE, SKY, VERMILLION, canvas, use_style
from vmtl_core.lab.widgets._evidence_model import Line, Terms

RADIUS = math.sqrt(-2 * math.log(0.1))
"""Of an ellipse that holds 90 %, in standard deviations."""
HALO = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9}


@dataclass(frozen=True)
class Panel:
    """One setting.

    Args:
        title: its name.
        line: the regression with its prior and posterior.
        q: the Gaussian that stands for the posterior.
        terms: fit, KL, gap and log evidence, in nats.
    """

    title: str
    line: Line
    q: MultivariateNormal
    terms: Terms


def draw(panels: Sequence[Panel]) -> Figure:
    """Two rows (weights, stacks) by one column for each setting; the stacks share their axis."""
    use_style()
    figure, axes = canvas(2, len(panels), (3.3, 2.9))
    top = max(max(p.terms.fit.item(), p.terms.evidence.item()) for p in panels)
    low = min((p.terms.fit - p.terms.kl).item() for p in panels)
    for j, panel in enumerate(panels):
        _plane(axes[0, j], panel)
        _stacks(axes[1, j], panel, (low - 0.15 * (top - low), top + 0.15 * (top - low)))
    axes[0, 0].set_ylabel("slope")
    axes[1, 0].set_ylabel("nats")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def outline(law: MultivariateNormal) -> Tensor:
    """The curve with 90 % of a two-dimensional Gaussian inside, (2, n)."""
    angle = torch.linspace(0, 2 * torch.pi, 121, dtype=law.mean.dtype)
    circle = RADIUS * torch.stack([angle.cos(), angle.sin()])
    return law.mean[:, None] + torch.linalg.cholesky(law.covariance_matrix) @ circle


def _plane(axis: Any, panel: Panel) -> None:
    exact, q = outline(panel.line.posterior), outline(panel.q)
    axis.fill(*exact, color=SKY, alpha=0.45, label="exact posterior")
    axis.plot(*q, color=BLACK, lw=2, label="q")
    axis.plot(*panel.q.mean[:, None], "o", color=BLACK, ms=5)
    axis.plot(*outline(panel.line.prior), color=GREY, ls=":", label="prior", scalex=False, scaley=False)  # fmt: skip
    axis.set(title=panel.title, xlabel="intercept")


def _stacks(axis: Any, panel: Panel, limits: tuple[float, float]) -> None:
    fit, kl, gap, evidence = (term.item() for term in panel.terms)
    bound, floor = fit - kl, limits[0]
    for place, (size, colour, hatch) in enumerate(((kl, ORANGE, None), (gap, VERMILLION, "////"))):
        axis.bar(place, bound - floor, 0.5, floor, color=BLUE, alpha=0.35)
        face = "white" if hatch else colour
        axis.bar(place, size, 0.5, bound, color=face, edgecolor=colour, hatch=hatch)
    axis.axhline(evidence, color=BLACK, lw=1.6)
    axis.axhline(bound, color=BLUE, lw=1, ls="--")
    for place, words in enumerate((f"fit {fit:.2f}\nKL {kl:.2f}", f"gap {gap:.2f}")):
        middle = bound + (kl, gap)[place] / 2
        axis.text(place + 0.3, middle, words, va="center", fontsize=8, bbox=HALO)
    axis.set_xticks([0, 1], ["fit =\nELBO + KL", "log p(y) =\nELBO + gap"])
    axis.set_title(f"log p(y) = {evidence:.2f}", fontsize=10)
    axis.set(ylim=limits, xlim=(-0.4, 1.75))
