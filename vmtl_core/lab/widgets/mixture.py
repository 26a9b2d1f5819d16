"""A receiver under the mixture prior: exact posterior, the single Gaussian q, and what is lost."""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch.distributions import Normal

from vmtl_core.lab.widgets._base import (
    Numbers,
    Widget,
    between,
    bundle,
    is_row,
    plain,
    require,
    stylesheet,
    whole,
)
from vmtl_core.lab.widgets._mixture_figure import Panel, draw
from vmtl_core.lab.widgets._mixture_model import Found, Receiver, receiver

QUESTION = (
    "Two sources disagree, and the receiver's few rows lie between them. How many humps has the exact "
    "posterior, and where will a single Gaussian stand: in a hump, or between them?"
)
RANGES = {"centre": (-3.0, 3.0), "width": (0.0, 1.5), "base": (0.0, 1.0)}
MOST_ROWS = 50
MEANS, SDS = (-3.0, 3.0), (0.05, 2.0)
"""Of the sources."""
SOURCES = ((-1.3, 0.6, 1.5), (0.3, 0.2, 0.4))
"""Means and standard deviations of the three sources' posteriors by default."""


def _preset(name: str, centre: float, rows: int, width: float, base: float) -> dict[str, Any]:
    return {"name": name, "centre": centre, "rows": rows, "width": width, "base": base}


PRESETS = [
    _preset("between two sources", -0.3, 1, 0.2, 0.2),
    _preset("one source fits", 0.7, 4, 0.2, 0.2),
    _preset("no source fits", -2.5, 4, 0.2, 0.0),
    _preset("many rows", -0.3, 50, 0.2, 0.2),
]
"""Settings that tell a story; the keys besides `name` are arguments of `MixtureExplorer`."""


class MixtureExplorer(Widget):
    r"""One weight of one receiver under the prior (2.4), by dragging its sample mean.

    Shows prior, likelihood, the exact posterior with its probabilities (2.8), and the single Gaussian
    q of the greatest ELBO when the KL to the mixture is bounded by jensen (4.4), the library's
    default, or by convex (4.3). Each ELBO plus the slack of its bound plus the gap of its q is
    $\log \sum_k \alpha_k Z_k$.

    Args:
        centre: the receiver's sample mean, in -3...3; a row has noise 1.
        rows: N, 1...50.
        width: transfer width delta, in 0...1.5.
        base: alpha_0 of the base prior N(0, 1), in 0...1; the sources share the rest evenly.
        means, sds: of the three sources' posteriors, in -3...3 and 0.05...2.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = MixtureExplorer(centre=0.7, rows=4)
        >>> widget
        MixtureExplorer(centre=0.7, rows=4, width=0.2, base=0.2)
        >>> widget.receiver.probabilities.argmax().item()
        1
        >>> found = widget.found("jensen")
        >>> total = found.elbo + found.slack + found.gap
        >>> bool((total - widget.receiver.log_evidence).abs() < 1e-9)
        True
    """

    _esm = bundle("mixture")
    _css = stylesheet("base", "mixture")

    centre = traitlets.Any(PRESETS[0]["centre"]).tag(sync=True)
    rows = traitlets.Any(PRESETS[0]["rows"]).tag(sync=True)
    width = traitlets.Any(PRESETS[0]["width"]).tag(sync=True)
    base = traitlets.Any(PRESETS[0]["base"]).tag(sync=True)
    means = Numbers().tag(sync=True)
    sds = Numbers().tag(sync=True)
    presets = traitlets.List(PRESETS, read_only=True).tag(sync=True)

    def __init__(
        self,
        *,
        means: Any = SOURCES[0],
        sds: Any = SOURCES[1],
        question: str = QUESTION,
        **traits: Any,
    ) -> None:
        super().__init__(means=means, sds=sds, question=question, **traits)

    @traitlets.validate("centre", "width", "base")
    def _check_number(self, proposal: Any) -> float:
        name = proposal["trait"].name
        return between(name, proposal["value"], *RANGES[name])

    @traitlets.validate("rows")
    def _check_rows(self, proposal: Any) -> int:
        return whole("rows", proposal["value"], 1, MOST_ROWS)

    @traitlets.validate("means", "sds")
    def _check_sources(self, proposal: Any) -> tuple[float, ...]:
        name, value = proposal["trait"].name, proposal["value"]
        low, high = MEANS if name == "means" else SDS
        require(
            is_row(value, 3) and low <= min(value) and max(value) <= high,
            f"`{name}` must be three numbers in {low:g}...{high:g}; got {plain(value)!r}",
        )
        return tuple(value)

    def _summary(self) -> str:
        return f"centre={self.centre:g}, rows={self.rows}, width={self.width:g}, base={self.base:g}"

    @property
    def receiver(self) -> Receiver:
        """Sample mean, prior, evidence and exact posterior."""
        sources = Normal(*torch.tensor([self.means, self.sds], dtype=torch.float64))
        return receiver(self.centre, self.rows, self.width, self.base, sources)

    def found(self, method: str = "jensen") -> Found:
        """The best Gaussian under a bound on the KL, its ELBO and what is lost.

        Args:
            method: "jensen" or "convex".
        """
        require(
            method in ("jensen", "convex"),
            f"`method` must be one of jensen, convex; got {method!r}",
        )
        return self.receiver.best(method)

    def static_figure(self, presets: Sequence[int] = (0, 1, 2)) -> Figure:
        """Densities and bars at several of the `PRESETS`, for print and without scripts."""
        panels = []
        for i in presets:
            setting = {k: v for k, v in PRESETS[i].items() if k != "name"}
            other = MixtureExplorer(means=self.means, sds=self.sds, **setting)
            found = {method: other.found(method) for method in ("jensen", "convex")}
            panels.append(Panel(PRESETS[i]["name"], other.receiver, found))
        return draw(panels)
