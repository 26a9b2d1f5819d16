"""The temperature of the mixing weights: heat map, many draws, expected weights and the prior."""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

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
from vmtl_core.lab.widgets._noise import gumbel
from vmtl_core.lab.widgets._temperature_figure import Panel, draw
from vmtl_core.mixing import tempered_log_softmax

QUESTION = "What happens to the mixing weights as τ falls? Decide before you move the slider."
_EXAMPLE = [
    [0.0, 1.0, 0.3, -0.7],
    [1.0, 0.0, 0.3, -0.7],
    [0.2, 0.4, 0.0, 0.2],
    [-0.5, 0.5, 0.0, 0.0],
]


class TemperatureExplorer(Widget):
    r"""Gumbel-softmax mixing weights against their temperature, by moving a slider.

    Shows equation (3.3), $\alpha_{tk} = \mathrm{softmax}_k((\log \pi_{tk} + g_{tk}) / \tau)$: one
    draw as a heat map, `draws` draws of the row of task `task`, their mean against tau, and the
    prior density of one weight that the first draw makes of the sources' normals.

    Args:
        tasks: T or the T names; from `logits` if None, else 4.
        logits: log pi, shape (T, K) with K = T, or T + 1 with `base`. The diagonal is excluded
            whatever it holds. Tensors, arrays and lists are taken. Equal logits if None.
        tau: temperature > 0.
        task: the receiver whose row is drawn, 0...T-1.
        base: whether the last column is the base prior.
        seed: of the Gumbel noise, 0...2^32 - 1; the noise is `gumbel(seed, draws, T, K)`.
        draws: how many draws, 2...1000.
        means: of the K sources' normals for one weight coordinate.
        sds: their standard deviations, > 0.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = TemperatureExplorer(tau=0.5)
        >>> widget
        TemperatureExplorer(tasks=4, tau=0.5, task=0, seed=0)
        >>> widget.weights.diagonal().tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    _esm = bundle("temperature")
    _css = stylesheet("base", "temperature")

    tasks = traitlets.Any().tag(sync=True)
    logits = Numbers().tag(sync=True)
    tau = traitlets.Any(1.0).tag(sync=True)
    task = traitlets.Any(0).tag(sync=True)
    base = traitlets.Bool(False).tag(sync=True)
    seed = traitlets.Any(0).tag(sync=True)
    draws = traitlets.Any(400).tag(sync=True)
    means = Numbers().tag(sync=True)
    sds = Numbers().tag(sync=True)

    def __init__(
        self,
        tasks: int | Sequence[str] | None = None,
        logits: Any = None,
        *,
        base: bool = False,
        means: Any = None,
        sds: Any = None,
        question: str = QUESTION,
        **traits: Any,
    ) -> None:
        if tasks is None:
            tasks = 4 if logits is None else len(logits)
        names = [f"task {t}" for t in range(tasks)] if isinstance(tasks, int) else list(tasks)
        require(len(names) >= 2, f"`tasks` must be at least 2; got {len(names)}")
        sources = len(names) + bool(base)
        if logits is None:
            example = len(names) == 4 and not base
            logits = _EXAMPLE if example else torch.zeros(len(names), sources)
        super().__init__(
            tasks=names,
            logits=logits,
            base=base,
            means=torch.linspace(-2.5, 2.5, sources) if means is None else means,
            sds=[0.5] * sources if sds is None else sds,
            question=question,
            **traits,
        )

    def _require_shape(self, names: Sequence[str], rows: Any) -> None:
        T, K = len(names), len(names) + bool(self.base)
        require(
            isinstance(rows, list | tuple)
            and len(rows) == T
            and all(isinstance(row, list | tuple) and len(row) == K for row in rows),
            f"`logits` must have shape ({T}, {K}), a row for each of the `tasks` and a column for "
            f"each source; got {shape_of(rows)}",
        )

    @traitlets.validate("tasks")
    def _check_tasks(self, proposal: Any) -> tuple[str, ...]:
        names = list(proposal["value"])
        strings = all(isinstance(name, str) for name in names)
        require(strings, f"`tasks` must be names, or how many tasks; got {names!r}")
        self._require_shape(names, self.logits)
        return tuple(names)

    @traitlets.validate("logits")
    def _check_logits(self, proposal: Any) -> tuple[tuple[float | None, ...], ...]:
        self._require_shape(self.tasks, proposal["value"])
        rows, K = [list(row) for row in proposal["value"]], self.sources
        for t, row in enumerate(rows):
            row[t] = 0.0
            require(is_row(row, K), f"`logits` must be finite off the diagonal; row {t} is {row}")
            row[t] = None
        return tuple(tuple(row) for row in rows)

    @traitlets.validate("tau")
    def _check_tau(self, proposal: Any) -> float:
        tau = plain(proposal["value"])
        require(
            isinstance(tau, float) and tau > 0,
            f"`tau` must be a finite number > 0; got {proposal['value']!r}",
        )
        return float(tau)

    @traitlets.validate("task")
    def _check_task(self, proposal: Any) -> int:
        return whole("task", proposal["value"], 0, len(self.tasks) - 1)

    @traitlets.validate("seed")
    def _check_seed(self, proposal: Any) -> int:
        return whole("seed", proposal["value"], 0, 2**32 - 1)

    @traitlets.validate("draws")
    def _check_draws(self, proposal: Any) -> int:
        return whole("draws", proposal["value"], 2, 1000)

    @traitlets.validate("means", "sds")
    def _check_normals(self, proposal: Any) -> tuple[float, ...]:
        name, value = proposal["trait"].name, proposal["value"]
        require(
            is_row(value, self.sources),
            f"`{name}` must be {self.sources} finite numbers, one for each source; got {plain(value)!r}",
        )
        require(name == "means" or min(value) > 0, f"`sds` must be > 0; got {plain(value)!r}")
        return tuple(value)

    def _summary(self) -> str:
        return f"tasks={len(self.tasks)}, tau={self.tau:g}, task={self.task}, seed={self.seed}"

    @property
    def sources(self) -> int:
        """K: the tasks, and the base prior if there is one."""
        return len(self.tasks) + bool(self.base)

    @property
    def log_pi(self) -> Tensor:
        """The logits as a float64 tensor, shape (T, K), with -inf on the diagonal."""
        rows = [[-torch.inf if entry is None else entry for entry in row] for row in self.logits]
        return torch.tensor(rows, dtype=torch.float64)

    def samples(self, tau: float | None = None) -> Tensor:
        """All draws of the weights at `tau` (the widget's own if None), shape (draws, T, K)."""
        noise = gumbel(self.seed, self.draws, *self.log_pi.shape)
        temperature = self.tau if tau is None else tau
        return tempered_log_softmax(self.log_pi + noise, temperature).exp()

    @property
    def weights(self) -> Tensor:
        """The draw that the heat map shows: alpha, shape (T, K), rows sum to 1, diagonal 0."""
        return self.samples()[0]

    @property
    def probabilities(self) -> Tensor:
        """pi = softmax(logits), shape (T, K): the mean weights in the limit tau to 0."""
        return self.log_pi.softmax(-1)

    def expected(self, tau: float | None = None) -> Tensor:
        """Mean of the draws at `tau` (the widget's own if None), shape (T, K)."""
        return self.samples(tau).mean(0)

    def prior_density(self, x: Tensor, tau: float | None = None) -> Tensor:
        """Density at `x` (n,) of the prior that the first draw makes for task `task`, (n,)."""
        normals = torch.distributions.Normal(
            torch.tensor(self.means, dtype=torch.float64),
            torch.tensor(self.sds, dtype=torch.float64),
        )
        density = normals.log_prob(x.double()[:, None]).exp()
        return density @ self.samples(tau)[0, self.task]

    def static_figure(self, taus: Sequence[float] = (0.1, 1.0, 10.0)) -> Figure:
        """The same picture at several temperatures side by side, for print and without scripts."""
        return draw([self._panel(tau) for tau in taus])

    def _panel(self, tau: float) -> Panel:
        means, sds = torch.tensor(self.means), torch.tensor(self.sds)
        x = torch.linspace((means - 3.5 * sds).min().item(), (means + 3.5 * sds).max().item(), 241)
        return Panel(
            tau,
            tasks=self.tasks,
            columns=[*self.tasks, *(["base"] if self.base else [])],
            task=self.task,
            samples=self.samples(tau),
            means=means,
            sds=sds,
            x=x,
            prior=self.prior_density(x, tau),
        )
