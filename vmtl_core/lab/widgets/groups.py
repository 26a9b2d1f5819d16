"""Tasks as points in the plane of two weights, and the groups that the evidence makes of them."""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure

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
from vmtl_core.lab.widgets._groups_figure import Panel, draw
from vmtl_core.lab.widgets._groups_model import (
    MOST,
    PLACES,
    REACH,
    TASKS,
    Partition,
    arrange,
    partitions,
    summaries,
)

QUESTION = (
    "When do tasks make a group, and how many groups does the evidence want? "
    "Predict before each move: which bar will be the longest?"
)
RANGES = {"width": (0.05, 2.0), "concentration": (0.1, 10.0), "noise": (0.1, 3.0)}
ENDS = {"rows": (1, 100), "place": (0, len(PLACES) - 1), "seed": (0, 2**32 - 1)}
SETTINGS: list[dict[str, Any]] = [{}, {"noise": 1.5}, {"place": 3, "groups": 2}]
"""What the static figure shows, as changes of the widget's own setting."""


class GroupsExplorer(Widget):
    r"""Groups of twelve tasks and the evidence for each number of them, by sliders and dragging.

    A task is what its data say of two weights: an estimate and its uncertainty. At each number of
    groups K the memberships climb the bound (14.5), the population's mean integrated over
    N(0, I/2) and its standard deviation 1; K = 0 is the hierarchical model.

    Args:
        points: estimates of the tasks' weights, 12 pairs in -2.5...2.5; those of `place` and `seed` if None.
        width: transfer width delta, the spread within a group, in 0.05...2.
        concentration: a, of the restaurant, in 0.1...10.
        noise: sigma, in 0.1...3.
        rows: N of each task, 1...100.
        groups: the K that is drawn, 0...6; None for the one of the greatest evidence.
        place: where tasks lie: 0 three groups, 1 opposites, 2 one population, 3 unrelated tasks.
        seed: of their distances from there, 0...2^32 - 1.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = GroupsExplorer()
        >>> widget
        GroupsExplorer(place=0, seed=0, width=0.25, concentration=1, noise=0.5, rows=10, groups=None)
        >>> widget.best, [round(one.bound - widget.partitions[0].bound) for one in widget.partitions]
        (3, [0, -93, 5, 9, 5, 1, -2])
    """

    _esm = bundle("groups")
    _css = stylesheet("base", "groups")

    points = Numbers().tag(sync=True)
    width = traitlets.Any(0.25).tag(sync=True)
    concentration = traitlets.Any(1.0).tag(sync=True)
    noise = traitlets.Any(0.5).tag(sync=True)
    rows = traitlets.Any(10).tag(sync=True)
    groups = traitlets.Any(None).tag(sync=True)
    place = traitlets.Any(0).tag(sync=True)
    seed = traitlets.Any(0).tag(sync=True)
    places = traitlets.List(PLACES, read_only=True).tag(sync=True)

    def __init__(
        self,
        *,
        points: Any = None,
        place: Any = 0,
        seed: Any = 0,
        question: str = QUESTION,
        **traits: Any,
    ) -> None:
        place, seed = whole("place", place, *ENDS["place"]), whole("seed", seed, *ENDS["seed"])
        points = arrange(place, seed) if points is None else points
        super().__init__(points=points, place=place, seed=seed, question=question, **traits)

    @traitlets.validate("points")
    def _check_points(self, proposal: Any) -> tuple[tuple[float, ...], ...]:
        value = proposal["value"]
        fits = isinstance(value, tuple) and len(value) == TASKS
        require(
            fits and all(is_row(one, 2) and max(map(abs, one)) <= REACH for one in value),
            f"`points` must be {TASKS} pairs of numbers in {-REACH:g}...{REACH:g}; "
            f"got {plain(value)!r}",
        )
        return tuple(value)

    @traitlets.validate("width", "concentration", "noise")
    def _check_number(self, proposal: Any) -> float:
        name = proposal["trait"].name
        return between(name, proposal["value"], *RANGES[name])

    @traitlets.validate("rows", "place", "seed")
    def _check_whole(self, proposal: Any) -> int:
        name = proposal["trait"].name
        return whole(name, proposal["value"], *ENDS[name])

    @traitlets.validate("groups")
    def _check_groups(self, proposal: Any) -> int | None:
        value = proposal["value"]
        return None if value is None else whole("groups", value, 0, MOST)

    def _summary(self) -> str:
        return (
            f"place={self.place}, seed={self.seed}, width={self.width:g}, "
            f"concentration={self.concentration:g}, noise={self.noise:g}, rows={self.rows}, "
            f"groups={self.groups}"
        )

    @property
    def partitions(self) -> list[Partition]:
        """The best partition found with K = 0, 1, ... groups; [K].bound is its evidence in nats."""
        site = summaries(self._estimates, self.noise, self.rows)
        return partitions(site, self.width, self.concentration)

    @property
    def best(self) -> int:
        """K of the greatest evidence."""
        bounds = [one.bound for one in self.partitions]
        return bounds.index(max(bounds))

    @property
    def _estimates(self) -> Any:
        return torch.tensor(self.points, dtype=torch.float64)

    def static_figure(self, settings: Sequence[dict[str, Any]] = SETTINGS) -> Figure:
        """Tasks, groups and evidence at several settings, for print and without scripts."""
        own = {name: getattr(self, name) for name in (*RANGES, "rows", "groups", "seed", "place")}
        panels = []
        for changes in settings:
            moved = {"place", "seed"} & changes.keys()
            points = None if moved else self.points
            panels.append(GroupsExplorer(points=points, **(own | changes))._panel())
        return draw(panels)

    def _panel(self) -> Panel:
        found = self.partitions
        shown = self.best if self.groups is None else self.groups
        name = str(PLACES[self.place]["name"])
        site = summaries(self._estimates, self.noise, self.rows)
        covariance = site.precision.squeeze(1).inverse()
        title = f"{name}, σ = {self.noise:g}, δ = {self.width:g}"
        return Panel(title, self._estimates, covariance, self.width, found, shown)
