"""A line's exact posterior and a Gaussian q to drag: evidence, bound and gap."""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch.distributions import MultivariateNormal

from vmtl_core.lab.widgets._base import (
    Numbers,
    Widget,
    between,
    bundle,
    is_row,
    plain,
    require,
    stylesheet,
)
from vmtl_core.lab.widgets._evidence_figure import Panel, draw
from vmtl_core.lab.widgets._evidence_model import NOISE, SCALE, Line, Terms, gaussian

QUESTION = (
    "Drag q. Which of fit, KL and gap change, and what can't change? "
    "Then press E-step and M-step in turn: which of them moves the top?"
)
FAMILIES = ("diagonal", "full")
RANGES = {"slant": (-0.99999, 0.99999), "noise": NOISE, "scale": SCALE, "shift": (-3.0, 3.0)}
FAR, SDS, MOST = 50.0, (1e-3, 50.0), 40
"""How far from 0 data and means may be; standard deviations of q; points, at most."""
POINTS = ((-1.2, -0.5, 0.1, 0.6, 1.1, 1.7), (-0.6, 0.4, -0.1, 1.1, 0.9, 2.1))
"""x and y of the six points that are there by default."""
STARTED = {"mean": (0.0, 0.0), "sds": (0.3, 0.3)}
SETTINGS: list[tuple[str, dict[str, Any], bool]] = [
    ("q as it was found", {}, False),
    ("after an E-step", {}, True),
    ("after an E-step, c = 3", {"shift": 3.0}, True),
]
"""What the static figure shows: a title, changes of the widget's own setting, an E-step or none."""


class EvidenceExplorer(Widget):
    r"""The identity log p(y) = fit - KL + gap of a line, by dragging a Gaussian q over its weights.

    Shows (1.4): the fit $\mathbb{E}_q \log p(y|w)$, the KL from q to the prior $N(0, \tau^2 I)$ and the
    gap, the KL from q to the exact posterior (1.5). E-step: the q of the smallest gap in its family.
    M-step: the noise (1.6), or the prior's scale, of the greatest bound for the q that stands. The
    inputs can be counted from another place, x + c, with the same prior on the new weights or with the
    same prior over lines.

    Args:
        x, y: data, 2...40 numbers each, in -50...50.
        mean: of q, two numbers in -50...50: intercept and slope.
        sds: of q, two numbers in 0.001...50.
        slant: correlation of the two weights under q, -0.99999...0.99999; 0 if diagonal.
        family: "diagonal" or "full".
        noise: sigma, in 0.1...5.
        scale: tau, in 0.1...5.
        shift: c, in -3...3.
        same_lines: whether the prior is carried along with the shift.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = EvidenceExplorer(family="full", noise=0.5)
        >>> widget
        EvidenceExplorer(points=6, family='full', noise=0.5, scale=1, shift=0, same_lines=False)
        >>> fit, kl, gap, evidence = widget.terms
        >>> bool((fit - kl + gap - evidence).abs() < 1e-9), bool(gap > 1)
        (True, True)
        >>> widget.e_step()
        >>> round(widget.terms.gap.item(), 9)
        0.0
    """

    _esm = bundle("evidence")
    _css = stylesheet("base", "evidence")

    x = Numbers().tag(sync=True)
    y = Numbers().tag(sync=True)
    mean = Numbers().tag(sync=True)
    sds = Numbers().tag(sync=True)
    slant = traitlets.Any(0.0).tag(sync=True)
    family = traitlets.Any("diagonal").tag(sync=True)
    noise = traitlets.Any(1.0).tag(sync=True)
    scale = traitlets.Any(1.0).tag(sync=True)
    shift = traitlets.Any(0.0).tag(sync=True)
    same_lines = traitlets.Any(False).tag(sync=True)

    def __init__(
        self,
        *,
        x: Any = POINTS[0],
        y: Any = POINTS[1],
        mean: Any = STARTED["mean"],
        sds: Any = STARTED["sds"],
        question: str = QUESTION,
        **traits: Any,
    ) -> None:
        super().__init__(x=x, y=y, mean=mean, sds=sds, question=question, **traits)
        require(
            len(self.x) == len(self.y),
            f"`y` must have a number for each of the {len(self.x)} of `x`; got {len(self.y)}",
        )
        require(
            self.slant == 0 or self.family == "full",
            f"`slant` must be 0 if `family` is 'diagonal'; got {self.slant!r}",
        )

    @traitlets.validate("x", "y")
    def _check_data(self, proposal: Any) -> tuple[float, ...]:
        name, value = proposal["trait"].name, proposal["value"]
        fits = isinstance(value, tuple) and 2 <= len(value) <= MOST and is_row(value, len(value))
        require(
            fits and max(map(abs, value)) <= FAR,
            f"`{name}` must be 2...{MOST} numbers in {-FAR:g}...{FAR:g}; got {plain(value)!r}",
        )
        return tuple(value)

    @traitlets.validate("mean", "sds")
    def _check_pair(self, proposal: Any) -> tuple[float, ...]:
        name, value = proposal["trait"].name, proposal["value"]
        low, high = SDS if name == "sds" else (-FAR, FAR)
        require(
            is_row(value, 2) and low <= min(value) and max(value) <= high,
            f"`{name}` must be two numbers in {low:g}...{high:g}; got {plain(value)!r}",
        )
        return tuple(value)

    @traitlets.validate("slant", "noise", "scale", "shift")
    def _check_number(self, proposal: Any) -> float:
        name = proposal["trait"].name
        return between(name, proposal["value"], *RANGES[name])

    @traitlets.validate("family")
    def _check_family(self, proposal: Any) -> str:
        value = proposal["value"]
        require(
            isinstance(value, str) and value in FAMILIES,
            f"`family` must be one of {', '.join(FAMILIES)}; got {value!r}",
        )
        return str(value)

    @traitlets.validate("same_lines")
    def _check_same_lines(self, proposal: Any) -> bool:
        value = proposal["value"]
        require(isinstance(value, bool), f"`same_lines` must be True or False; got {value!r}")
        return bool(value)

    def _summary(self) -> str:
        return (
            f"points={len(self.x)}, family={self.family!r}, noise={self.noise:g}, "
            f"scale={self.scale:g}, shift={self.shift:g}, same_lines={self.same_lines}"
        )

    @property
    def line(self) -> Line:
        """The regression, its prior and its exact posterior."""
        x, y = (torch.tensor(v, dtype=torch.float64) for v in (self.x, self.y))
        return Line(x, y, self.noise, self.scale, self.shift, self.same_lines)

    @property
    def q(self) -> MultivariateNormal:
        """The law of intercept and slope that is dragged."""
        return gaussian(self.mean, self.sds, self.slant)

    @property
    def terms(self) -> Terms:
        """fit, KL, gap and log evidence, in nats."""
        return self.line.terms(self.q)

    def e_step(self) -> None:
        """Make q the one of the smallest gap in its family."""
        best = self.line.e_step(self.family == "diagonal")
        sds = best.covariance_matrix.diagonal().sqrt()
        slant = (best.covariance_matrix[0, 1] / sds.prod()).item()
        low, high = RANGES["slant"]
        self.set_trait("mean", best.mean)
        self.set_trait("sds", sds)
        self.set_trait("slant", min(max(slant, low), high) if self.family == "full" else 0.0)

    def m_step(self, what: str = "noise") -> None:
        """Make the noise, or the prior's scale, that of the greatest bound for this q.

        Args:
            what: "noise" or "scale".
        """
        require(what in ("noise", "scale"), f"`what` must be one of noise, scale; got {what!r}")
        step = self.line.m_step_noise if what == "noise" else self.line.m_step_scale
        self.set_trait(what, step(self.q))

    def static_figure(
        self, settings: Sequence[tuple[str, dict[str, Any], bool]] = SETTINGS
    ) -> Figure:
        """Weights and the two stacks at several settings, for print and without scripts."""
        names = ("x", "y", "mean", "sds", "slant", "family", "noise", "scale", "shift")
        own = {name: getattr(self, name) for name in (*names, "same_lines")}
        panels = []
        for title, changes, stepped in settings:
            other = EvidenceExplorer(**(own | changes))
            if stepped:
                other.e_step()
            panels.append(Panel(title, other.line, other.q, other.terms))
        return draw(panels)
