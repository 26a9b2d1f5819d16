"""The KL from a normal to a mixture of three normals, by every method of chapter 4."""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Normal

from vmtl_core import divergences
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
from vmtl_core.lab.widgets._kl_figure import GRID, Panel, draw
from vmtl_core.lab.widgets._noise import normal

QUESTION = (
    "When is a bound close to the exact KL, and when does the weighted sum mislead? "
    "Decide for each of the four settings before you choose it."
)
ESTIMATES = 40
"""How many times the KL is estimated from samples, to show the spread."""
MEANS, SDS = (-5.0, 5.0), (0.4, 2.5)
"""Where means and standard deviations may be dragged."""


def _preset(name: str, mean: float, means: list[float], weights: list[float]) -> dict[str, Any]:
    ones = [1.0, 1.0, 1.0]
    q = {"mean": mean, "sd": 1.0}
    return {"name": name, **q, "means": means, "sds": ones, "weights": weights}


PRESETS = [
    _preset("q between two sources", 0.0, [-2.0, 2.0, 4.0], [0.5, 0.5, 0.0]),
    _preset("q equal to one source", 2.0, [-2.0, 2.0, 4.0], [0.5, 0.5, 0.0]),
    _preset("overlapping sources", 0.0, [-0.3, 0.0, 0.3], [0.3, 0.4, 0.3]),
    _preset("one far source", 0.0, [-0.5, 0.5, 5.0], [0.45, 0.45, 0.1]),
]
"""Settings in which the methods part; the keys besides `name` are arguments of `KLExplorer`."""


class KLExplorer(Widget):
    r"""KL from q to a mixture of three normals, by dragging means and widths.

    Shows (4.1), $\mathrm{KL}(q \,\|\, \sum_k a_k p_k)$, by quadrature and from samples (4.2), next
    to the bounds convex (4.3), jensen (4.4) and lower bound (4.6), and the weighted sum (4.7), which
    is none.

    Args:
        mean, sd: of q; a mean in -5...5, a standard deviation in 0.4...2.5.
        means, sds: of the three sources, likewise.
        weights: a, three numbers >= 0 that sum to 1.
        samples: S of one estimate, 1...300. The KL is estimated 40 times.
        seed: of the samples, 0...2^32 - 1; their noise is `normal(seed, samples, 40)`.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = KLExplorer()
        >>> widget
        KLExplorer(q=N(0, 1^2), weights=[0.5, 0.5, 0], samples=30, seed=0)
        >>> {name: round(value, 3) for name, value in widget.kl.items()}
        {'lower_bound': 0.847, 'exact': 0.943, 'jensen': 2.0, 'convex': 2.0, 'weighted_sum': 0.153}
    """

    _esm = bundle("kl")
    _css = stylesheet("base", "kl")

    mean = traitlets.Any(PRESETS[0]["mean"]).tag(sync=True)
    sd = traitlets.Any(PRESETS[0]["sd"]).tag(sync=True)
    means = Numbers().tag(sync=True)
    sds = Numbers().tag(sync=True)
    weights = Numbers().tag(sync=True)
    samples = traitlets.Any(30).tag(sync=True)
    seed = traitlets.Any(0).tag(sync=True)
    presets = traitlets.List(PRESETS, read_only=True).tag(sync=True)

    def __init__(
        self,
        *,
        means: Any = PRESETS[0]["means"],
        sds: Any = PRESETS[0]["sds"],
        weights: Any = PRESETS[0]["weights"],
        question: str = QUESTION,
        **traits: Any,
    ) -> None:
        super().__init__(means=means, sds=sds, weights=weights, question=question, **traits)

    @traitlets.validate("mean", "sd")
    def _check_q(self, proposal: Any) -> float:
        name = proposal["trait"].name
        return between(name, proposal["value"], *(MEANS if name == "mean" else SDS))

    @traitlets.validate("means", "sds")
    def _check_sources(self, proposal: Any) -> tuple[float, ...]:
        name, value = proposal["trait"].name, proposal["value"]
        low, high = MEANS if name == "means" else SDS
        require(
            is_row(value, 3) and low <= min(value) and max(value) <= high,
            f"`{name}` must be three numbers in {low:g}...{high:g}; got {plain(value)!r}",
        )
        return tuple(value)

    @traitlets.validate("weights")
    def _check_weights(self, proposal: Any) -> tuple[float, ...]:
        value = proposal["value"]
        require(
            is_row(value, 3) and min(value) >= 0 and abs(sum(value) - 1) < 1e-6,
            f"`weights` must be three numbers >= 0 that sum to 1; got {plain(value)!r}",
        )
        return tuple(value)

    @traitlets.validate("samples")
    def _check_samples(self, proposal: Any) -> int:
        return whole("samples", proposal["value"], 1, 300)

    @traitlets.validate("seed")
    def _check_seed(self, proposal: Any) -> int:
        return whole("seed", proposal["value"], 0, 2**32 - 1)

    def _summary(self) -> str:
        weights = ", ".join(f"{weight:g}" for weight in self.weights)
        q = f"q=N({self.mean:g}, {self.sd:g}^2)"
        return f"{q}, weights=[{weights}], samples={self.samples}, seed={self.seed}"

    @property
    def q(self) -> Normal:
        """The receiver, batch shape (1,), float64."""
        pair = torch.tensor([[self.mean], [self.sd]], dtype=torch.float64)
        return Normal(*pair)

    @property
    def components(self) -> Normal:
        """The three sources, batch shape (3,), float64."""
        return Normal(*torch.tensor([self.means, self.sds], dtype=torch.float64))

    @property
    def log_weights(self) -> Tensor:
        """log a, shape (3,); -inf where a source has no weight."""
        return torch.tensor(self.weights, dtype=torch.float64).log()

    @property
    def law_of_sum(self) -> Normal:
        """N(sum_k a_k mu_k, sum_k a_k^2 sigma_k^2) of (4.7), batch shape ()."""
        weights = self.log_weights.exp()
        spread = (weights * self.components.stddev).norm()
        return Normal(weights @ self.components.mean, spread)

    def mixture_density(self, w: Tensor) -> Tensor:
        """Density of the mixture at `w` (n,), shape (n,)."""
        each = self.components.log_prob(w.double()[:, None])
        return (self.log_weights + each).logsumexp(-1).exp()

    @property
    def kl(self) -> dict[str, float]:
        """The KL in nats by every method but sampling; "exact" is quadrature on 20,001 points."""

        def by(method: str) -> float:
            value = divergences.kl_to_mixture(self.q, self.components, self.log_weights, method)
            return value.item()

        w = self.mean + self.sd * torch.linspace(-12, 12, 20_001, dtype=torch.float64)
        log_q = self.q.log_prob(w)
        log_p = (self.log_weights + self.components.log_prob(w[:, None])).logsumexp(-1)
        exact = torch.trapezoid(log_q.exp() * (log_q - log_p), w).item()
        names = ("lower_bound", "exact", "jensen", "convex", "weighted_sum")
        return {name: exact if name == "exact" else by(name) for name in names}

    @property
    def estimates(self) -> Tensor:
        """The KL from `samples` draws (4.2), 40 times, shape (40,)."""
        w = self.mean + self.sd * normal(self.seed, self.samples, ESTIMATES)
        log_p = divergences.mixture_log_prob(w, self.components, self.log_weights)
        return (self.q.log_prob(w) - log_p).mean(0)

    @property
    def responsibilities(self) -> Tensor:
        """phi of (4.5), shape (3,)."""
        kl = divergences.pairwise_kl(self.q, self.components)
        return divergences.responsibilities(kl, self.log_weights).squeeze(0)

    def static_figure(self, presets: Sequence[int] = (0, 1, 3)) -> Figure:
        """Densities and KLs at several of the `PRESETS`, for print and without scripts."""
        panels = []
        for i in presets:
            setting = {k: v for k, v in PRESETS[i].items() if k != "name"}
            other = KLExplorer(samples=self.samples, seed=self.seed, **setting)
            panels.append(other._panel(PRESETS[i]["name"]))
        return draw(panels)

    def _panel(self, title: str) -> Panel:
        return Panel(
            title,
            mixture=self.mixture_density(GRID),
            q=self.q.log_prob(GRID).exp(),
            law_of_sum=self.law_of_sum.log_prob(GRID).exp(),
            kl=self.kl,
            estimates=self.estimates,
        )
