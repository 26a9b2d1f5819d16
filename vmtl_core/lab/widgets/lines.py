"""The lines laboratory: a few regressions, fitted together while the reader drags their points."""

import re
from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

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
from vmtl_core.lab.widgets._lines_figure import Panel, draw
from vmtl_core.lab.widgets._lines_groups import GroupLines, groups_fit
from vmtl_core.lab.widgets._lines_model import Lines, lines_fit
from vmtl_core.lab.widgets._lines_presets import PRESETS as WITHOUT_DRAWS

DRAWS = 0
"""Seed of a situation's Gumbel draws: without draws the temperature would move nothing."""
PRESETS: list[dict[str, Any]] = [
    preset | {"setting": preset["setting"] | {"draws": DRAWS}} for preset in WITHOUT_DRAWS
]
"""The situations that a click shows."""
QUESTION = (
    "Drag a point of one task. Which other tasks' lines will move with it, and which will not? "
    "Predict before you drag."
)
REACH = (2.5, 3.0)
"""Of a point's x and y from 0."""
TASKS, MOST_ROWS = (3, 6), 30
RANGES = {"temperature": (0.05, 20.0), "delta": (0.01, 5.0), "sigma": (0.05, 2.0)}
CHOICES = {
    "sources": ("own", "previous", "joint", "groups"),
    "divergence": ("jensen", "convex"),
    "base": ("none", "fixed", "learned"),
}
SETTING = (
    "tasks",
    "temperature",
    "draws",
    "sigma",
    "delta",
    "sources",
    "divergence",
    "base",
)
"""What the fit depends on."""
ANCHOR = r"[a-z][a-z0-9-]*"
SYMBOLS = {"temperature": "τ", "delta": "δ", "sigma": "σ"}
SETTINGS: list[dict[str, Any]] = [{"preset": 0}, {"preset": 0, "delta": 3.0}, {"preset": 1}]
"""What the static figure shows, as changes of the widget's own setting."""


class LinesLaboratory(Widget):
    r"""Three to six regressions $y = w_0 + w_1 x$, fitted together as their points are moved.

    Shows every task's line with its 90 % band beside learning alone and pooling, the posteriors of
    the weights, the parts of the chosen task's prior (2.4), $\alpha$ and $\varphi$ (4.5), and the
    terms of the objective (5.4). The fit is the coordinate ascent of chapter 5, done in the page.

    Args:
        preset: the situation that it starts from, 0...4; what is given below replaces a part of it.
        tasks: 3...6 lists of 1...30 points [x, y], x in -2.5...2.5 and y in -3...3.
        temperature: tau of the Gumbel-softmax weights, 0.05...20.
        draws: seed of the 16 Gumbel draws, 0...2^32 - 1, or None for none: alpha is pi.
        sigma: noise of an observation, 0.05...2, or None where it is learned.
        delta: transfer width, in units of the weights, 0.01...5.
        sources: "own", "previous", "joint", or "groups": every partition of the tasks into groups, weighed by
            its evidence. delta is then a group's width in proportion to the population's, (14.1), and
            temperature, draws, divergence and base are without effect.
        divergence: "jensen" or "convex".
        base: base prior, "none", "fixed" (N(0, I)) or "learned".
        chosen: the task that is edited and whose prior is shown, 0...T - 1; of a situation the one
            with the fewest points.
        anchor: name of this laboratory in the links that store its state, such as "chapter-2";
            another for each on a page.
        small: whether to show the planes, the situations, tau and delta only.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = LinesLaboratory(sources="joint")
        >>> widget
        LinesLaboratory(preset=0, tasks=3, temperature=1, draws=0, sigma=0.4, delta=0.3, sources='joint', divergence='jensen', base='learned')
        >>> widget.fit.phi.shape
        torch.Size([3, 4])
    """

    _esm = bundle("lines")
    _css = stylesheet("base", "lines")

    tasks = Numbers().tag(sync=True)
    temperature = traitlets.Any(1.0).tag(sync=True)
    draws = traitlets.Any(0).tag(sync=True)
    sigma = traitlets.Any(None).tag(sync=True)
    delta = traitlets.Any(0.3).tag(sync=True)
    sources = traitlets.Any("own").tag(sync=True)
    divergence = traitlets.Any("jensen").tag(sync=True)
    base = traitlets.Any("learned").tag(sync=True)
    chosen = traitlets.Any(0).tag(sync=True)
    preset = traitlets.Any(0).tag(sync=True)
    presets = traitlets.List(PRESETS, read_only=True).tag(sync=True)
    anchor = traitlets.Unicode("lines").tag(sync=True)
    small = traitlets.Bool(False).tag(sync=True)

    def __init__(self, *, preset: Any = 0, question: str = QUESTION, **traits: Any) -> None:
        preset = whole("preset", preset, 0, len(PRESETS) - 1)
        setting = PRESETS[preset]["setting"]
        counts = [len(rows) for rows in setting["tasks"]]
        chosen = 0 if "tasks" in traits else counts.index(min(counts))
        named = {"preset": preset, "chosen": chosen, "question": question}
        super().__init__(**(setting | named | traits))

    @traitlets.validate("tasks")
    def _check_tasks(self, proposal: Any) -> tuple[Any, ...]:
        value = proposal["value"]
        fits = isinstance(value, tuple) and TASKS[0] <= len(value) <= TASKS[1]
        require(
            fits and all(map(_is_task, value)),
            f"`tasks` must be {TASKS[0]}...{TASKS[1]} lists of 1...{MOST_ROWS} points [x, y], "
            f"x in {-REACH[0]:g}...{REACH[0]:g} and y in {-REACH[1]:g}...{REACH[1]:g}; "
            f"got {plain(value)!r}",
        )
        return tuple(value)

    @traitlets.validate("temperature", "delta")
    def _check_number(self, proposal: Any) -> float:
        name = proposal["trait"].name
        return between(name, proposal["value"], *RANGES[name])

    @traitlets.validate("sigma")
    def _check_sigma(self, proposal: Any) -> float | None:
        value = proposal["value"]
        return None if value is None else between("sigma", value, *RANGES["sigma"])

    @traitlets.validate("draws")
    def _check_draws(self, proposal: Any) -> int | None:
        value = proposal["value"]
        return None if value is None else whole("draws", value, 0, 2**32 - 1)

    @traitlets.validate("sources", "divergence", "base")
    def _check_choice(self, proposal: Any) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        wanted = CHOICES[name]
        require(value in wanted, f"`{name}` must be one of {', '.join(wanted)}; got {value!r}")
        return str(value)

    @traitlets.validate("chosen")
    def _check_chosen(self, proposal: Any) -> int:
        return whole("chosen", proposal["value"], 0, TASKS[1] - 1)

    @traitlets.validate("preset")
    def _check_preset(self, proposal: Any) -> int:
        return whole("preset", proposal["value"], 0, len(PRESETS) - 1)

    @traitlets.validate("anchor")
    def _check_anchor(self, proposal: Any) -> str:
        value = str(proposal["value"])
        require(
            re.fullmatch(ANCHOR, value) is not None,
            f"`anchor` must be small letters, digits and hyphens, a letter first; got {value!r}",
        )
        return value

    def _summary(self) -> str:
        numbers = ("temperature", "draws", "sigma", "delta")
        shown = {"preset": self.preset, "tasks": len(self.tasks)}
        shown |= {name: getattr(self, name) for name in numbers}
        words = [f"{name}={value:g}" if value is not None else f"{name}=None" for name, value in shown.items()]  # fmt: skip
        return ", ".join([*words, *(f"{name}={getattr(self, name)!r}" for name in CHOICES)])

    @property
    def setting(self) -> dict[str, Any]:
        """What the fit depends on."""
        return {name: getattr(self, name) for name in SETTING}

    @property
    def fit(self) -> Lines | GroupLines:
        """The fit that the page shows, by torch."""
        if self.sources == "groups":
            return groups_fit(self.tasks, sigma=self.sigma, delta=self.delta)
        return lines_fit(**self.setting)

    def static_figure(self, settings: Sequence[dict[str, Any]] = SETTINGS) -> Figure:
        """Lines, posteriors and responsibilities at several settings, for print and without scripts.

        Args:
            settings: changes of the widget's own setting, one for each column; a `preset` among
                them starts from that situation instead.
        """
        panels = []
        for changes in settings:
            own = (
                {}
                if "preset" in changes
                else self.setting | {"preset": self.preset, "chosen": self.chosen}
            )
            widget = LinesLaboratory(**(own | changes))
            panels.append(widget._panel(changes))
        return draw(panels)

    def _state(self) -> str:
        return f"δ = {self.delta:g}, sources {self.sources}"

    def _panel(self, changes: dict[str, Any]) -> Panel:
        fit, tasks = self.fit, [torch.tensor(rows, dtype=torch.float64) for rows in self.tasks]
        chosen = min(self.chosen, len(tasks) - 1)
        named = {k: v for k, v in changes.items() if k in SETTING and k != "tasks"}
        words = ", ".join(f"{SYMBOLS.get(k, k)} = {v}" for k, v in named.items())
        return Panel(
            title="\n".join([str(PRESETS[self.preset]["name"]), words or self._state()]),
            tasks=tasks,
            chosen=chosen,
            mean=fit.q.mean,
            covariance=fit.q.covariance,
            alone_mean=fit.alone.mean,
            alone_covariance=fit.alone.covariance,
            pooled=fit.pooled.mean,
            components=_components(fit, chosen),
            grouped=isinstance(fit, GroupLines),
            phi=fit.phi,
            elbo=float(fit.elbo),
        )


def _components(fit: Lines | GroupLines, chosen: int) -> list[tuple[int, float, Tensor, Tensor]]:
    """The parts of the chosen task's prior: source, -1 for the base prior; phi, mean, covariance."""
    if isinstance(fit, GroupLines):
        return [
            (min(one.tasks, default=-1), one.phi, one.law.mean, one.law.covariance)
            for one in fit.companies[chosen]
        ]
    tasks, shares, parts = len(fit.phi), fit.phi[chosen].tolist(), fit.components
    return [
        (k if k < tasks else -1, shares[k], parts.mean[k], parts.covariance[k])
        for k in range(len(shares))
        if k != chosen
    ]


def _is_task(rows: Any) -> bool:
    return (
        isinstance(rows, tuple)
        and 1 <= len(rows) <= MOST_ROWS
        and all(
            is_row(point, 2) and abs(point[0]) <= REACH[0] and abs(point[1]) <= REACH[1]
            for point in rows
        )
    )
