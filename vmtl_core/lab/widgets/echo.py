"""Two tasks that are each other's prior, by sliders, against the exact answer."""

from collections.abc import Sequence
from typing import Any

import traitlets
from matplotlib.figure import Figure

from vmtl_core.lab.experiments.echo import (
    Pair,
    exact_posterior,
    joint_posterior,
    own_posterior,
    previous_posterior,
)
from vmtl_core.lab.widgets._base import Widget, between, bundle, require, stylesheet, whole
from vmtl_core.lab.widgets._echo_figure import Panel, draw

QUESTION = (
    "Two tasks are each other's prior. How close must their sample means be for both to claim "
    "certainty? Where does the mark of 4σ/√N go as N grows, and what does a width change?"
)
SOURCES = ("own", "previous", "joint")
RANGES = {"difference": (0.0, 4.0), "noise": (0.1, 3.0), "width": (0.0, 2.0)}
SETTINGS: list[dict[str, Any]] = [
    {"sources": "joint"},
    {"sources": "previous", "rounds": 10},
    {"sources": "own", "width": 0.3},
]
"""What the static figure shows, as changes of the widget's own setting."""


class EchoChamberExplorer(Widget):
    r"""Posteriors of two tasks that share a prior, against the exact posterior of both.

    Shows (11.4) and (12.4) for joint sources, (11.6) for previous, (12.2) for own, and the
    fused-lasso threshold $4 \sigma / \sqrt N$ as a mark on the axis of $\Delta$.

    Args:
        difference: Delta, difference of the sample means, in 0...4.
        count: N, readings of each task, 1...100.
        noise: sigma, in 0.1...3.
        sources: "own", "previous" or "joint".
        rounds: of "previous", 1...50.
        width: transfer width delta, in 0...2.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = EchoChamberExplorer(difference=1.5)
        >>> widget
        EchoChamberExplorer(difference=1.5, count=16, noise=1, sources='joint', rounds=10, width=0)
        >>> widget.threshold, widget.posterior.gap.item()
        (1.0, 0.5)
    """

    _esm = bundle("echo")
    _css = stylesheet("base", "echo")

    difference = traitlets.Any(0.8).tag(sync=True)
    count = traitlets.Any(16).tag(sync=True)
    noise = traitlets.Any(1.0).tag(sync=True)
    sources = traitlets.Any("joint").tag(sync=True)
    rounds = traitlets.Any(10).tag(sync=True)
    width = traitlets.Any(0.0).tag(sync=True)

    def __init__(self, *, question: str = QUESTION, **traits: Any) -> None:
        super().__init__(question=question, **traits)

    @traitlets.validate("difference", "noise", "width")
    def _check_number(self, proposal: Any) -> float:
        name = proposal["trait"].name
        return between(name, proposal["value"], *RANGES[name])

    @traitlets.validate("count", "rounds")
    def _check_whole(self, proposal: Any) -> int:
        name = proposal["trait"].name
        return whole(name, proposal["value"], 1, 100 if name == "count" else 50)

    @traitlets.validate("sources")
    def _check_sources(self, proposal: Any) -> str:
        value = proposal["value"]
        require(
            isinstance(value, str) and value in SOURCES,
            f"`sources` must be one of {', '.join(SOURCES)}; got {value!r}",
        )
        return str(value)

    def _summary(self) -> str:
        return (
            f"difference={self.difference:g}, count={self.count}, noise={self.noise:g}, "
            f"sources={self.sources!r}, rounds={self.rounds}, width={self.width:g}"
        )

    @property
    def threshold(self) -> float:
        """4 sigma / sqrt(N): joint sources without width fuse below it."""
        return float(4 * self.noise / self.count**0.5)

    @property
    def posterior(self) -> Pair:
        """What the chosen sources end with."""
        return self.posterior_at(self.difference)

    def posterior_at(self, difference: Any) -> Pair:
        """The same at another difference of the sample means, or at several."""
        setting = (difference, self.count, self.noise, self.width)
        if self.sources == "previous":
            return previous_posterior(*setting, rounds=self.rounds)
        return (own_posterior if self.sources == "own" else joint_posterior)(*setting)

    @property
    def exact(self) -> Pair:
        """Every reading counted once."""
        return exact_posterior(self.difference, self.count, self.noise, self.width)

    def static_figure(self, settings: Sequence[dict[str, Any]] = SETTINGS) -> Figure:
        """Posteriors at several settings side by side, for print and without scripts."""
        own = {name: getattr(self, name) for name in (*RANGES, "count", "sources", "rounds")}
        return draw([EchoChamberExplorer(**(own | changes))._panel() for changes in settings])

    def _panel(self) -> Panel:
        sources = self.sources
        name = f"previous, round {self.rounds}" if sources == "previous" else sources
        return Panel(name, self.difference, self.width, self.posterior, self.exact)
