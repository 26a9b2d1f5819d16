"""Two encoders, the prior that they make of a row's latent, and the temperature of beta."""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from vmtl_core.divergences import responsibilities
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
from vmtl_core.lab.widgets._latent_figure import Panel, draw
from vmtl_core.lab.widgets._latent_model import TASKS, TAUS, Latents

QUESTION = (
    "Whose opinion of a row's z counts: the other task's encoder, or nobody's, the base prior? "
    "Turn τ down: which row becomes dear, and why can't β help it alone?"
)
ROWS = 3
RANGES = {"tau": (float(TAUS[0]), float(TAUS[-1])), "preference": (-3.0, 3.0)}
REACH = {"rows": (-2.0, 2.0), "slopes": (-2.0, 2.0), "intercepts": (-2.0, 2.0), "sds": (0.1, 2.0)}
DEFAULTS = {
    "rows": ((-1.2, 0.1, 1.4), (-0.8, 0.4, 1.0)),
    "slopes": (1.0, 0.5),
    "intercepts": (0.0, 0.6),
    "sds": (0.4, 0.3),
}
SETTINGS: list[dict[str, Any]] = [{"tau": 0.1}, {"tau": 1.0}, {"tau": 10.0}]
"""What the static figure shows, as changes of the widget's own setting."""


class LatentExplorer(Widget):
    r"""Prior of the latents of a few rows, and what the temperature makes of beta.

    Two tasks have a linear encoder each, $q(z|x, D_t) = N(a_t x + b_t, s_t^2)$, (5.1d). The prior of a
    receiver's row is (5.1e): the other task's encoder on *this* row, and the base prior N(0, 1), with
    weights $\beta = \mathrm{softmax}((\log \pi + g)/\tau)$, (3.3). Shows the jensen bound (4.4) on the KL
    of every row, their sum $\mathrm{KL}_z$ in (5.1), and the sum against tau.

    Args:
        rows: three inputs for each of the two tasks, in -2...2.
        slopes, intercepts, sds: of both encoders: two numbers in -2...2, -2...2, 0.1...2.
        preference: log pi of the other task minus that of the base prior, in -3...3.
        tau: temperature, 0.0316...31.6.
        receiver: whose rows are shown, 0 or 1.
        noise: whether there is Gumbel noise in beta.
        seed: of the noise, 0...2^32 - 1; it is `gumbel(seed, 200, 3)`, the first draw is shown.
        question: printed above the figure.

    Raises:
        WidgetValueError: (a ValueError) if an argument does not fit; it names the argument.

    Example:
        >>> widget = LatentExplorer(noise=False)
        >>> widget
        LatentExplorer(tau=1, preference=0, receiver=0, noise=False, seed=3)
        >>> widget.beta.tolist()
        [0.0, 0.5, 0.5]
        >>> [round(kl, 2) for kl in widget.kl.tolist()]
        [1.91, 0.95, 0.61]
    """

    _esm = bundle("latent")
    _css = stylesheet("base", "latent")

    rows = Numbers().tag(sync=True)
    slopes = Numbers().tag(sync=True)
    intercepts = Numbers().tag(sync=True)
    sds = Numbers().tag(sync=True)
    preference = traitlets.Any(0.0).tag(sync=True)
    tau = traitlets.Any(1.0).tag(sync=True)
    receiver = traitlets.Any(0).tag(sync=True)
    noise = traitlets.Any(True).tag(sync=True)
    seed = traitlets.Any(3).tag(sync=True)

    def __init__(
        self,
        *,
        rows: Any = DEFAULTS["rows"],
        slopes: Any = DEFAULTS["slopes"],
        intercepts: Any = DEFAULTS["intercepts"],
        sds: Any = DEFAULTS["sds"],
        question: str = QUESTION,
        **traits: Any,
    ) -> None:
        numbers = {"rows": rows, "slopes": slopes, "intercepts": intercepts, "sds": sds}
        super().__init__(**numbers, question=question, **traits)

    @traitlets.validate("rows")
    def _check_rows(self, proposal: Any) -> tuple[tuple[float, ...], ...]:
        value, (low, high) = proposal["value"], REACH["rows"]
        fits = isinstance(value, tuple) and len(value) == TASKS
        require(
            fits and all(is_row(v, ROWS) and low <= min(v) and max(v) <= high for v in value),
            f"`rows` must be {ROWS} numbers in {low:g}...{high:g} for each of {TASKS} tasks; "
            f"got {plain(value)!r}",
        )
        return tuple(value)

    @traitlets.validate("slopes", "intercepts", "sds")
    def _check_encoders(self, proposal: Any) -> tuple[float, ...]:
        name, value = proposal["trait"].name, proposal["value"]
        low, high = REACH[name]
        require(
            is_row(value, TASKS) and low <= min(value) and max(value) <= high,
            f"`{name}` must be two numbers in {low:g}...{high:g}; got {plain(value)!r}",
        )
        return tuple(value)

    @traitlets.validate("tau", "preference")
    def _check_number(self, proposal: Any) -> float:
        name = proposal["trait"].name
        return between(name, proposal["value"], *RANGES[name])

    @traitlets.validate("receiver", "seed")
    def _check_whole(self, proposal: Any) -> int:
        name = proposal["trait"].name
        return whole(name, proposal["value"], 0, TASKS - 1 if name == "receiver" else 2**32 - 1)

    @traitlets.validate("noise")
    def _check_noise(self, proposal: Any) -> bool:
        value = proposal["value"]
        require(isinstance(value, bool), f"`noise` must be True or False; got {value!r}")
        return bool(value)

    def _summary(self) -> str:
        return (
            f"tau={self.tau:g}, preference={self.preference:g}, receiver={self.receiver}, "
            f"noise={self.noise}, seed={self.seed}"
        )

    @property
    def latents(self) -> Latents:
        """Rows, encoders and preferences."""
        rows = (self.rows[self.receiver], self.slopes, self.intercepts, self.sds)
        x, slopes, intercepts, sds = (torch.tensor(v, dtype=torch.float64) for v in rows)
        seed = self.seed if self.noise else None
        return Latents(x, slopes, intercepts, sds, self.preference, self.receiver, seed)

    @property
    def beta(self) -> Tensor:
        """Mixing weights of the receiver, both tasks and the base, (3,); its own is 0."""
        return self.latents.log_beta(self.tau).exp().squeeze(0)

    @property
    def kl(self) -> Tensor:
        """KL of every row to its prior, jensen's bound, (3,); KL_z is its sum."""
        return self.latents.kl(self.latents.log_beta(self.tau)).squeeze(0)

    @property
    def responsibilities(self) -> Tensor:
        """Which component explains which row, (3, 3)."""
        return responsibilities(self.latents.pairs(), self.latents.log_beta(self.tau))

    def total(self, draws: int = 1) -> Tensor:
        """KL_z at every one of `TAUS`, mean over so many draws of the noise, (41,)."""
        one = self.latents
        return torch.stack([one.kl(one.log_beta(tau, draws)).sum(-1).mean() for tau in TAUS.tolist()])  # fmt: skip

    def static_figure(self, settings: Sequence[dict[str, Any]] = SETTINGS) -> Figure:
        """Prior and posterior of every row at several temperatures, for print and without scripts."""
        names = ("rows", "slopes", "intercepts", "sds", "preference", "tau", "receiver", "noise")
        own = {name: getattr(self, name) for name in (*names, "seed")}
        return draw([LatentExplorer(**(own | changes))._panel() for changes in settings])

    def _panel(self) -> Panel:
        other = self.beta[1 - self.receiver].item()
        return Panel(self.tau, self.latents, self.latents.log_beta(self.tau)[0], other, self.kl)
