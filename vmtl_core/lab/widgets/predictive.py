"""The predictive mixture of a line, its two uncertainties, and the coverage of its intervals."""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from vmtl_core.lab.widgets._base import Widget, between, bundle, stylesheet, whole
from vmtl_core.lab.widgets._noise import normal
from vmtl_core.lab.widgets._predictive_figure import GRID, Panel, draw
from vmtl_core.predictive import PredictiveMixture, Uncertainty, decompose_uncertainty

QUESTION = (
    "Make the posterior narrower than it should be. Which changes, the noise or the ignorance? "
    "And how many of the 90 % intervals then miss?"
)
LINE = (0.5, 0.7)
"""Intercept and slope that made the data."""
DATA_SEED, MOST_POINTS, MOST_SAMPLES = 3, 40, 100
GOLDEN, PLASTIC = 0.6180339887498949, 0.7548776662466927  # multiples that fill (0, 1) evenly
LIMITS = {"width": (0.1, 4.0), "noise": (0.2, 1.0), "x": (-3.0, 3.0)}
"""Where the numbers may be moved."""


def _evenly(count: int, ratio: float) -> Tensor:
    return (torch.arange(1, count + 1, dtype=torch.float64) * ratio) % 1


def _features(x: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(x), x], -1)


class PredictiveExplorer(Widget):
    r"""Lines drawn from a posterior build the predictive mixture at a chosen x.

    Shows (6.2), the mixture of $N(w_0^{(m)} + w_1^{(m)} x, \sigma^2)$ over `samples` draws of the
    posterior, its two parts of variance (6.3), and how many of `new_points` new points fall into
    its 90 % intervals (6.5). The posterior under N(0, I) is exact; `width` multiplies its standard
    deviations. Each new point comes from a line of its own that the data leave possible, a draw of
    the exact posterior, so that at width 1 and many samples 90 % is what coverage should be.

    Args:
        points: N of the data, 2...40.
        width: 1 is calibrated, less overconfident, more too wide; 0.1...4.
        noise: sigma of data, model and new points, 0.2...1.
        samples: M, 1...100.
        x: where the mixture is shown, -3...3.
        new_points: how many, 1...100.
        seed: of the samples and the new points, 0...2^32 - 1.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = PredictiveExplorer(width=0.2)
        >>> widget
        PredictiveExplorer(points=5, width=0.2, noise=0.5, samples=20, x=2, new_points=40, seed=0)
        >>> total, aleatoric, epistemic = widget.uncertainty
        >>> round(aleatoric.item(), 2), bool(epistemic < 0.2 * total)
        (0.25, True)
    """

    _esm = bundle("predictive")
    _css = stylesheet("base", "predictive")

    points = traitlets.Any(5).tag(sync=True)
    width = traitlets.Any(1.0).tag(sync=True)
    noise = traitlets.Any(0.5).tag(sync=True)
    samples = traitlets.Any(20).tag(sync=True)
    x = traitlets.Any(2.0).tag(sync=True)
    new_points = traitlets.Any(40).tag(sync=True)
    seed = traitlets.Any(0).tag(sync=True)

    def __init__(self, *, question: str = QUESTION, **traits: Any) -> None:
        super().__init__(question=question, **traits)

    @traitlets.validate("width", "noise", "x")
    def _check_number(self, proposal: Any) -> float:
        name = proposal["trait"].name
        return between(name, proposal["value"], *LIMITS[name])

    @traitlets.validate("points")
    def _check_points(self, proposal: Any) -> int:
        return whole("points", proposal["value"], 2, MOST_POINTS)

    @traitlets.validate("samples", "new_points")
    def _check_counts(self, proposal: Any) -> int:
        return whole(proposal["trait"].name, proposal["value"], 1, MOST_SAMPLES)

    @traitlets.validate("seed")
    def _check_seed(self, proposal: Any) -> int:
        return whole("seed", proposal["value"], 0, 2**32 - 1)

    def _summary(self) -> str:
        names = ("points", "width", "noise", "samples", "x", "new_points", "seed")
        return ", ".join(f"{name}={getattr(self, name):g}" for name in names)

    @property
    def data(self) -> tuple[Tensor, Tensor]:
        """x and y of the data, each (points,), float64."""
        x = -1.5 + 2 * _evenly(self.points, GOLDEN)
        return x, LINE[0] + LINE[1] * x + self.noise * normal(DATA_SEED, self.points)

    @property
    def posterior(self) -> MultivariateNormal:
        """Exact posterior of (w_0, w_1), calibrated whatever `width` is."""
        x, y = self.data
        features = _features(x)
        precision = torch.eye(2, dtype=torch.float64) + features.T @ features / self.noise**2
        mean = torch.linalg.solve(precision, features.T @ y / self.noise**2)
        return MultivariateNormal(mean, covariance_matrix=precision.inverse())

    def _shifts(self, z: Tensor) -> Tensor:
        return z @ torch.linalg.cholesky(self.posterior.covariance_matrix).T

    @property
    def lines(self) -> Tensor:
        """Draws (w_0, w_1) of the posterior `width` times as wide, shape (samples, 2)."""
        return self.posterior.mean + self.width * self._shifts(normal(self.seed, self.samples, 2))

    def predictive(self, x: Tensor) -> PredictiveMixture:
        """The predictive mixture at `x` (n,), batch shape (n,)."""
        means = self.lines @ _features(x.double()).T  # (M, n)
        return PredictiveMixture(Normal(means[None], torch.tensor(self.noise).double()))

    @property
    def uncertainty(self) -> Uncertainty:
        """Total, aleatoric and epistemic variance at the chosen x, each (1,)."""
        return decompose_uncertainty(self.predictive(torch.tensor([self.x])))

    def epistemic_variance(self, x: Tensor) -> Tensor:
        """The epistemic part at `x` (n,) that infinitely many samples would give, (n,)."""
        covariance = self.posterior.covariance_matrix
        features = _features(x.double())
        return self.width**2 * (features @ covariance * features).sum(-1)

    @property
    def new(self) -> tuple[Tensor, Tensor]:
        """x and y of the new points, each (new_points,)."""
        count = self.new_points
        x = -3 + 6 * _evenly(count, PLASTIC)
        z = normal(self.seed, 2 * MOST_SAMPLES + 3 * count)[2 * MOST_SAMPLES :].reshape(count, 3)
        lines = self.posterior.mean + self._shifts(z[:, :2])
        return x, (lines * _features(x)).sum(-1) + self.noise * z[:, 2]

    def intervals(self, x: Tensor) -> Tensor:
        """Central 90 % intervals of the predictive at `x` (n,), shape (n, 2)."""
        mixture = self.predictive(x)
        return torch.stack([mixture.icdf(torch.tensor(p)) for p in (0.05, 0.95)], -1)

    @property
    def covered(self) -> Tensor:
        """Whether each new point lies inside its interval, shape (new_points,)."""
        x, y = self.new
        low, high = self.intervals(x).unbind(-1)
        return (low <= y) & (y <= high)

    @property
    def expected_coverage(self) -> float:
        """Chance that a point at one of these x falls into its interval."""
        x, _ = self.new
        variance = self.epistemic_variance(x) / self.width**2 + self.noise**2
        truth = Normal(_features(x) @ self.posterior.mean, variance.sqrt())
        low, high = self.intervals(x).unbind(-1)
        return (truth.cdf(high) - truth.cdf(low)).mean().item()

    def static_figure(self, widths: Sequence[float] = (0.2, 1.0, 3.0)) -> Figure:
        """The same picture at several posterior widths, for print and without scripts."""
        names = ("points", "noise", "samples", "x", "new_points", "seed")
        kept = {name: getattr(self, name) for name in names}
        return draw([PredictiveExplorer(width=width, **kept)._panel() for width in widths])

    def _panel(self) -> Panel:
        each = self.predictive(torch.tensor([self.x])).components
        return Panel(
            self.width,
            self.lines,
            self.data,
            self.new,
            intervals=self.intervals(self.new[0]),
            covered=self.covered,
            x=self.x,
            densities=each.log_prob(GRID.view(-1, 1, 1, 1)).exp().squeeze(-1).squeeze(1),
            uncertainty=self.uncertainty,
        )
