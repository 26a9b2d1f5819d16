"""A recorded fit to scrub: mixing weights, posteriors, the prior of a task, terms of the ELBO."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily

from vmtl_core.distributions import concatenate, gaussian, widen
from vmtl_core.divergences import jensen_bound, pairwise_kl, responsibilities
from vmtl_core.lab.widgets._base import (
    Numbers,
    Widget,
    bundle,
    is_row,
    plain,
    require,
    shape_of,
    stylesheet,
    whole,
)
from vmtl_core.lab.widgets._replay_figure import Panel, draw
from vmtl_core.priors import mixture_prior

QUESTION = (
    "From which step on does a task believe its own echo, and which choice of sources and of "
    "temperature prevents it?"
)
NUMBERS = ("alpha", "mean", "sd")
OPTIONAL = ("source_mean", "source_sd", "base_mean", "base_sd", "width", "rest")
RADIUS = (-2 * torch.tensor(0.1, dtype=torch.float64).log()).sqrt().item()
"""Of the ellipse that holds 90% of a Gaussian in the plane, in standard deviations."""


def _plain_run(run: Any) -> Any:
    """Tensors and arrays in a run as lists; what is infinite or NaN as None."""
    if not isinstance(run, dict):
        return run
    inner = {name: _plain_run(value) for name, value in run.items() if isinstance(value, dict)}
    return {name: plain(value) for name, value in run.items()} | inner


class TrainingReplay(Widget):
    r"""A recorded fit for every temperature schedule and every choice of `sources`.

    Shows, before the update of the chosen step: alpha, the responsibilities (4.5), every task's
    posterior as the ellipse that holds 90% of it, the components of the chosen task's prior (2.4),
    and the terms of the objective (5.4). The responsibilities and the KL bound (4.4) are computed
    from the recorded parameters, here with torch and on the page with JavaScript.

    Args:
        tasks: T names.
        inputs: D names, at least two.
        steps: the recorded steps, increasing.
        runs: what `record_run` gave, one or more, no two of the same schedule and sources.
        truth: true weights, shape (T, D), or None.
        others: how many further tasks are sources too. They share one column, the last but the base
            prior; in the plane they are drawn as one normal with the mean and the sd of their equal
            mixture. What they explain is exact, from numbers that are recorded with the runs.
        run: which of the runs is shown.
        position: which of the recorded steps is shown; the last if None.
        task: whose prior is shown.
        axes: which two coordinates of the weights are drawn.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> from vmtl_core.lab.datasets import linked_tasks
        >>> from vmtl_core.lab.widgets import record_replay
        >>> train, _ = linked_tasks().split(10)
        >>> recording = record_replay(train, ["cosine"], ["own", "joint"], last=4, count=3)
        >>> TrainingReplay(**recording)
        TrainingReplay(tasks=3, runs=2, run='cosine, own', step=4)
    """

    _esm = bundle("replay")
    _css = stylesheet("base", "temperature", "replay")

    tasks = traitlets.Any().tag(sync=True)
    inputs = traitlets.Any().tag(sync=True)
    steps = traitlets.Any().tag(sync=True)
    runs = traitlets.Any().tag(sync=True)
    truth = Numbers(None, allow_none=True).tag(sync=True)
    others = traitlets.Any(0).tag(sync=True)
    run = traitlets.Any(0).tag(sync=True)
    position = traitlets.Any(0).tag(sync=True)
    task = traitlets.Any(0).tag(sync=True)
    axes = traitlets.Any((0, 1)).tag(sync=True)

    def __init__(
        self,
        tasks: Sequence[str],
        inputs: Sequence[str],
        steps: Sequence[int],
        runs: Sequence[dict[str, Any]],
        truth: Any = None,
        *,
        others: int = 0,
        position: int | None = None,
        question: str = QUESTION,
        **traits: Any,
    ) -> None:
        names = {"tasks": list(tasks), "inputs": list(inputs)}
        for name, value in names.items():
            strings = all(isinstance(entry, str) for entry in value)
            require(
                strings and len(value) >= 2, f"`{name}` must be at least two names; got {value!r}"
            )
        numbers = [whole("steps", step, 0, 10**9) for step in steps]
        require(
            len(numbers) >= 2 and numbers == sorted(set(numbers)),
            f"`steps` must be at least two whole numbers, increasing; got {numbers}",
        )
        others = whole("others", others, 0, 10**6)
        self._fixed: dict[str, Any] = {**names, "steps": numbers, "others": others}
        super().__init__(
            **self._fixed,
            runs=list(runs),
            truth=truth,
            position=len(numbers) - 1 if position is None else position,
            question=question,
            **traits,
        )

    @traitlets.validate("tasks", "inputs", "steps", "others")
    def _check_fixed(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        value = value if name == "others" else list(value)
        require(
            value == self._fixed[name],
            f"`{name}` belongs to the recording and can't change; make another TrainingReplay",
        )
        return value

    @traitlets.validate("runs")
    def _check_runs(self, proposal: Any) -> list[dict[str, Any]]:
        runs = [_plain_run(run) for run in proposal["value"]]
        require(len(runs) > 0, "`runs` must hold at least one run; got none")
        for i, run in enumerate(runs):
            self._check_run(i, run)
        names = [(run["schedule"], run["sources"]) for run in runs]
        twice = sorted({name for name in names if names.count(name) > 1})
        require(
            not twice, f"`runs` must differ in schedule or sources; {twice} come more than once"
        )
        return runs

    def _check_run(self, i: int, run: Any) -> None:
        wanted = {"schedule", "sources", "terms", *NUMBERS, *OPTIONAL}
        keys = set(run) if isinstance(run, dict) else {type(run).__name__}
        require(
            keys == wanted,
            f"`runs` must be what `record_run` gives; run {i} differs in {sorted(keys ^ wanted)}",
        )
        S, T, D = len(self._fixed["steps"]), len(self._fixed["tasks"]), len(self._fixed["inputs"])
        K = len(self._column_names(run))
        widths = {"alpha": T * K, "base_mean": D, "base_sd": D, "width": D, "rest": 2 * T + 2 * D}
        for name in (*NUMBERS, *OPTIONAL):
            value, width = run[name], widths.get(name, T * D)
            fits = isinstance(value, list) and len(value) == S
            require(
                (value is None and name in OPTIONAL)
                or (fits and all(is_row(row, width) for row in value)),
                f"`runs` must hold finite numbers of shape ({S}, {width}) as `{name}`; run {i} has "
                f"{shape_of(value) if isinstance(value, list) else value!r}",
            )
            positive = "sd" not in name or value is None or min(map(min, value)) > 0
            require(positive, f"`runs` must hold standard deviations > 0; run {i} has in `{name}`")
        for one, other in (("source_mean", "source_sd"), ("base_mean", "base_sd")):
            both = (run[one] is None) == (run[other] is None)
            require(both, f"`runs` must hold `{one}` and `{other}` or neither; run {i} has one")
        others = self._fixed["others"]
        require(
            (run["rest"] is None) == (others == 0),
            f"`runs` must hold `rest` exactly where there are `others`, {others} here; run {i} differs",
        )
        bad = [name for name, row in run["terms"].items() if not is_row(row, S)]
        require(not bad, f"`runs` must hold {S} finite numbers for every term; run {i}: {bad}")

    @traitlets.validate("truth")
    def _check_truth(self, proposal: Any) -> Any:
        value = proposal["value"]
        T, D = len(self._fixed["tasks"]), len(self._fixed["inputs"])
        fits = isinstance(value, tuple) and len(value) == T and all(is_row(r, D) for r in value)
        require(
            value is None or fits,
            f"`truth` must be finite numbers of shape ({T}, {D}); got shape {shape_of(value)}",
        )
        return value

    @traitlets.validate("run")
    def _check_which(self, proposal: Any) -> int:
        return whole("run", proposal["value"], 0, len(self.runs) - 1)

    @traitlets.validate("position")
    def _check_position(self, proposal: Any) -> int:
        return whole("position", proposal["value"], 0, len(self._fixed["steps"]) - 1)

    @traitlets.validate("task")
    def _check_task(self, proposal: Any) -> int:
        return whole("task", proposal["value"], 0, len(self._fixed["tasks"]) - 1)

    @traitlets.validate("axes")
    def _check_axes(self, proposal: Any) -> tuple[int, ...]:
        D = len(self._fixed["inputs"])
        pair = [whole("axes", entry, 0, D - 1) for entry in proposal["value"]]
        require(len(set(pair)) == 2 == len(pair), f"`axes` must be two of 0...{D - 1}; got {pair}")
        return tuple(pair)

    def _summary(self) -> str:
        return (
            f"tasks={len(self.tasks)}, runs={len(self.runs)}, run={self.name!r}, step={self.step}"
        )

    def _column_names(self, run: Any) -> list[str]:
        others, base = self._fixed["others"], run["base_mean"] is not None
        return [
            *self._fixed["tasks"],
            *([f"{others} others"] if others else []),
            *(["base"] if base else []),
        ]

    @property
    def columns(self) -> list[str]:
        """Names of the K columns of alpha: tasks, the others together, base prior."""
        return self._column_names(self.runs[self.run])

    @property
    def name(self) -> str:
        """Schedule and sources of the run shown."""
        shown = self.runs[self.run]
        return f"{shown['schedule']}, {shown['sources']}"

    @property
    def step(self) -> int:
        """The step shown; its update has not been made yet."""
        return int(self.steps[self.position])

    @property
    def terms(self) -> dict[str, float]:
        """Terms of the objective at that step, means over tasks in nats, and the temperature."""
        return {name: row[self.position] for name, row in self.runs[self.run]["terms"].items()}

    def choose(self, schedule: str, sources: str) -> None:
        """Show the run of this schedule and these sources."""
        names = [(run["schedule"], run["sources"]) for run in self.runs]
        require(
            (schedule, sources) in names,
            f"`schedule` and `sources` must be those of a recorded run, one of {names}; got "
            f"{(schedule, sources)}",
        )
        self.run = names.index((schedule, sources))

    def _recorded(self, name: str, *shape: int) -> Tensor | None:
        rows = self.runs[self.run][name]
        if rows is None:
            return None
        return torch.tensor(rows[self.position], dtype=torch.float64).reshape(shape)

    def _gaussian(self, prefix: str, count: int) -> Distribution | None:
        D = len(self.inputs)
        mean = self._recorded(f"{prefix}mean", count, D)
        sd = self._recorded(f"{prefix}sd", count, D)
        return None if mean is None or sd is None else gaussian(mean, sd, (D,))

    @property
    def alpha(self) -> Tensor:
        """Mixing weights softmax(log pi), shape (T, K), others and base prior last."""
        recorded = self._recorded("alpha", len(self.tasks), -1)
        assert recorded is not None
        return recorded

    @property
    def posterior(self) -> Distribution:
        """q(w|D_t) of all tasks, batch shape (T,)."""
        found = self._gaussian("", len(self.tasks))
        assert found is not None
        return found

    @property
    def components(self) -> Distribution:
        """What the priors are mixed of, batch shape (K,): widened sources, others, base prior."""
        sources = self._gaussian("source_", len(self.tasks)) or self.posterior
        width, base = self._recorded("width", len(self.inputs)), self._gaussian("base_", 1)
        wide = sources if width is None else widen(sources, width)
        rest = self._rest()
        parts = [wide, None if rest is None else rest[2], base]
        return concatenate([part for part in parts if part is not None])

    def _rest(self) -> tuple[Tensor, Tensor, Distribution] | None:
        """Log of what the others explain of each task, of their prior density there; their normal."""
        T, D = len(self.tasks), len(self.inputs)
        row = self._recorded("rest", 2 * T + 2 * D)
        if row is None:
            return None
        scores, log_prior, mean, sd = row.split([T, T, D, D])
        return scores, log_prior, gaussian(mean[None], sd[None], (D,))

    def _pairs(self) -> tuple[Tensor, Tensor]:
        """KL_tk and log alpha_tk, (T, K) each; for the others their sum, as one term."""
        kl, log_alpha, rest = (
            pairwise_kl(self.posterior, self.components),
            self.alpha.log(),
            self._rest(),
        )
        if rest is not None:
            kl[:, len(self.tasks)], log_alpha[:, len(self.tasks)] = -rest[0], 0.0
        return kl, log_alpha

    @property
    def priors(self) -> MixtureSameFamily:
        """The prior of every task, with weights alpha, batch shape (T,), as in (2.4).

        The others are one component, their normal.
        """
        return mixture_prior(self.components, self.alpha.log())

    @property
    def kl(self) -> Tensor:
        """The bound (4.4) on KL(q(w_t|D_t) || prior of t), with weights alpha, shape (T,)."""
        return jensen_bound(*self._pairs())

    @property
    def phi(self) -> Tensor:
        """Responsibilities (4.5), shape (T, K)."""
        return responsibilities(*self._pairs())

    @property
    def log_prior(self) -> Tensor:
        """Log density of every task's prior at its own posterior mean, shape (T,)."""
        each = self.alpha.log() + self.components.log_prob(self.posterior.mean[:, None])
        if (rest := self._rest()) is not None:
            each[:, len(self.tasks)] = rest[1]
        return each.logsumexp(1)

    @property
    def ellipses(self) -> Tensor:
        """Centre and half axes of the ellipses that hold 90%, in `axes`, shape (T, 4)."""
        q, pair = self.posterior, list(self.axes)
        return torch.cat([q.mean[:, pair], RADIUS * q.stddev[:, pair]], 1)

    def static_figure(self, settings: Sequence[tuple[int, int]] | None = None) -> Figure:
        """The same picture at several (run, position) side by side, for print.

        By default the last recorded step of the first three runs.
        """
        last = len(self.steps) - 1
        panels = []
        for run, position in settings or [(i, last) for i in range(min(3, len(self.runs)))]:
            with self._at(run, position):
                panels.append(self._panel())
        return draw(panels)

    @contextmanager
    def _at(self, run: int, position: int) -> Iterator[None]:
        """The widget at another setting, for a while, without telling a page of it."""
        before = (self.run, self.position)
        with self.hold_sync():
            self.run, self.position = run, position
            try:
                yield
            finally:
                self.run, self.position = before

    def _panel(self) -> Panel:
        shown, truth = self.runs[self.run], self.truth
        return Panel(
            schedule=shown["schedule"],
            sources=shown["sources"],
            step=self.step,
            tasks=self.tasks,
            columns=self.columns,
            phi=self.phi,
            ellipses=self.ellipses,
            truth=None if truth is None else [[row[d] for d in self.axes] for row in truth],
            plane=[self.inputs[d] for d in self.axes],
            steps=self.steps,
            terms=shown["terms"],
        )
