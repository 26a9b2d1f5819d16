"""The prior of every task, built from the other tasks' posteriors."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    Normal,
)

from vmtl_core._checks import (
    check_log_weights,
    is_distribution,
    one_of,
    positive_scale,
    require,
    room,
    sizes,
)
from vmtl_core._hyperpriors import FEW, MEAN_SD, START_SD, START_WIDTH, STATIONARY_WIDTH
from vmtl_core._precision import outside_autocast
from vmtl_core._settings import KeepsSettings, described
from vmtl_core.distributions import (
    Concatenated,
    can_rebuild,
    concatenate,
    correlated,
    detach,
    example,
    expanded,
    full_gaussian,
    gaussian,
    map_parameters,
    relax,
    widen,
)
from vmtl_core.evidence import times
from vmtl_core.group_mixing import GroupMixing
from vmtl_core.groups import cavity_laws
from vmtl_core.mixing import GumbelSoftmaxMixing, log_normal_density
from vmtl_core.sites import Site
from vmtl_core.units import Units

BASE_PRIORS = ("standard", "learned")


def mixture_prior(components: Distribution, log_weights: Tensor) -> MixtureSameFamily:
    r"""The prior of every receiver as one Distribution: sample it, evaluate it, plot it.

    Equation (2.4): $p(w_t) = \sum_k \alpha_{tk}\, p_k(w_t)$.

    Args:
        components: p_k, batch shape (K,); or (A, K), those of each receiver.
        log_weights: log alpha, shape (A, K); `-inf` leaves a component out exactly.

    Returns:
        Distribution of batch shape (A,) and the components' event shape.

    Raises:
        ValueError: if the shapes don't fit, or a row of weights doesn't sum to 1.

    Example:
        >>> parts = Normal(torch.tensor([-1.0, 1.0]), 0.5)
        >>> mixture_prior(parts, torch.tensor([[0.25, 0.75]]).log()).mean
        tensor([0.5000])
    """
    is_distribution("components", components)
    check_log_weights(log_weights)
    count = components.batch_shape
    shared = len(count) == 1 and log_weights.ndim >= 1 and log_weights.shape[-1] == count[0]
    require(
        shared or (len(count) > 1 and log_weights.shape == count),
        f"`log_weights` must have one column for each component, (A, K); got "
        f"{tuple(log_weights.shape)} for components of batch shape {tuple(count)}",
    )
    mixing = Categorical(logits=log_weights, validate_args=False)
    return MixtureSameFamily(mixing, components.expand(log_weights.shape), validate_args=False)


class BasePrior(KeepsSettings):
    """p_0(w), an anchor that belongs to no task.

    Args:
        kind: "standard" for N(0, I); "learned" for a population prior N(m_0, diag(v_0)) fitted
            with everything else (empirical Bayes); or a Distribution of batch shape ().
        event_shape: shape of one task's w.

    Raises:
        ValueError: for another `kind` or a Distribution of the wrong shape.
    """

    like: Tensor

    def __init__(self, kind: str | Distribution, event_shape: Sequence[int]):
        super().__init__()
        self.given, self.event_shape = kind, sizes("event_shape", event_shape)
        self.units = Units()
        self.register_buffer("like", torch.zeros(()), persistent=False)
        if isinstance(kind, Distribution):
            require(
                kind.batch_shape == () and tuple(kind.event_shape) == self.event_shape,
                f"`base_prior` must have batch shape () and event shape {self.event_shape}; got "
                f"batch shape {tuple(kind.batch_shape)}, event shape {tuple(kind.event_shape)}",
            )
            return
        one_of("base_prior", kind, BASE_PRIORS)
        room("`event_shape`", *self.event_shape)
        flat, learned = torch.zeros(torch.Size(event_shape).numel()), kind == "learned"
        log_scale = torch.full_like(flat, math.log(START_SD)) if learned else flat.clone()
        self.loc = nn.Parameter(flat, requires_grad=learned)
        self.log_scale = nn.Parameter(log_scale, requires_grad=learned)

    def settings(self) -> dict[str, Any]:
        """What `state_dict` carries beside the parameters."""
        return {"base_prior": described(self.given)}

    def forward(self) -> Distribution:
        """Batch shape (1,)."""
        if isinstance(self.given, Distribution):
            given = self.given
            if can_rebuild(given):
                given = map_parameters(given, lambda t: t.to(self.like))
            return given.expand(torch.Size((1,)))
        return self.units.to_data(self.standard())

    def standard(self) -> Distribution:
        """The same in standard units, in which its coordinates are independent, (5.13)."""
        return gaussian(self.loc[None], self.log_scale.exp()[None], self.event_shape)

    def log_hyperprior(self, tasks: int) -> Tensor:
        """Sum over coordinates of log N(m_0; 0, 1/2) + log Gamma(v_0; c/2, c/2), a scalar.

        Both are in standard units, (5.13): relative to the spread of the data that were fitted.

        The latter as a density of log s_0, the parameter that is fitted; c = min(1, FEW / T).
        A push c on log s_0 holds weights that don't vary at s_0 about (c / T)^(1/4) of what one
        task leaves open. With c = 12 / T that is 1.9 standard errors of m_0, which p_0 has to
        cover anyway; a constant c would leave it too wide.

        Args:
            tasks: T.
        """
        if self.given != "learned":
            return torch.zeros(())
        c = min(1.0, FEW / tasks)
        constant = math.log(2) + c / 2 * math.log(c / 2) - math.lgamma(c / 2)
        log_sd = c * (self.log_scale - (2 * self.log_scale).exp() / 2) + constant
        return log_normal_density(self.loc, MEAN_SD) + log_sd.sum()


class WeightsPrior(KeepsSettings):
    r"""p(w_t|D_{-t}) for all tasks: mixing weights, base prior and transfer width.

    Equation (2.4):

    $$ p(w_t) = \alpha_{t0}\, p_0(w_t)
       + \sum_{k \ne t} \alpha_{tk} \int N(w_t \mid w', \delta^2)\, q(w'|D_k)\, dw' $$

    Args:
        tasks: T.
        event_shape: shape of one task's w.
        base_prior: None, "standard", "learned" or a Distribution of batch shape ().
        transfer: what a source says of another task. "stationary": one delta per coordinate of w
            is learned, in units of p_0's standard deviation, and w' is drawn towards p_0's mean,
            so that tasks stay as spread as p_0, (12.5); needs a Gaussian base prior. "learned":
            delta in units of w, as above; a number above 0 fixes it; None is 0.
        own_sources: whether the sources are own-data posteriors, which fit a learned base prior;
            the mixture then gives it no gradient.
        neighbours: how many sources a task's prior is made of; None for all others.
        groups: whether the components are groups of tasks, (14.3), in the place of single ones.
    """

    def __init__(
        self,
        tasks: int,
        event_shape: Sequence[int],
        base_prior: str | Distribution | None = "learned",
        transfer: str | float | None = "stationary",
        own_sources: bool = False,
        neighbours: int | None = None,
        groups: bool = False,
    ):
        super().__init__()
        self.event_shape = sizes("event_shape", event_shape)
        self.own_sources, self.transfer = own_sources, transfer
        self.base = None if base_prior is None else BasePrior(base_prior, event_shape)
        self.own_units = Units()
        with_base = self.base is not None
        self.mixing = (
            GroupMixing(tasks)
            if groups
            else GumbelSoftmaxMixing(tasks, base=with_base, neighbours=neighbours)
        )
        self.log_width: nn.Parameter | None = None
        self.stationary = transfer == "stationary"
        self.given_width = not (transfer is None or isinstance(transfer, str))
        if isinstance(transfer, str):
            one_of("transfer", transfer, ("learned", "stationary"))
            require(
                self.base is not None or not self.stationary,
                "`transfer='stationary'` needs a `base_prior`; got base_prior=None: "
                "set `transfer='learned'` or None",
            )
            room("`event_shape`", *self.event_shape)
            start = STATIONARY_WIDTH if self.stationary else START_WIDTH
            width = torch.full(tuple(event_shape), math.log(start))
            self.log_width = nn.Parameter(width, requires_grad=not groups)
        elif transfer is not None:
            width = torch.tensor(math.log(positive_scale("transfer", transfer)))
            self.log_width = nn.Parameter(width, requires_grad=False)

    def settings(self) -> dict[str, Any]:
        """What `state_dict` carries beside the parameters."""
        mixing, base = self.mixing, None if self.base is None else self.base.given
        return {
            "base_prior": described(base),
            "transfer": self.transfer
            if isinstance(self.transfer, str | None)
            else float(self.transfer),
            "neighbours": None if mixing.index is None else mixing.index.shape[1],
        }

    @property
    def units(self) -> Units:
        """Standard units of w, (5.13), of a learned base prior and of a learned width."""
        return self.own_units if self.base is None else self.base.units

    def width(self) -> Tensor | None:
        """delta, shape of w or (), in units of w (stationary: of p_0's sd); None without one."""
        return None if self.log_width is None else self.log_width.exp()

    @outside_autocast
    def components(self, sources: Distribution) -> Distribution:
        """What sources (T,) say of another task, then the base prior if there is one: (K,)."""
        found, wanted = tuple(sources.batch_shape), (self.mixing.tasks,)
        require(
            found == wanted, f"`sources` must have batch shape {wanted}, one a task; got {found}"
        )
        event = tuple(sources.event_shape)
        require(
            event == self.event_shape,
            f"`sources` must have event shape {self.event_shape}; got {event}",
        )
        if isinstance(self.mixing, GroupMixing):
            return self._groups(sources, self.mixing.member)
        units, width, base = self.units, self.width(), None
        if self.base is not None:
            fixed = self.own_sources and self.base.given == "learned"
            base = self.base.standard() if self.base.given == "learned" else self.base()
            base = detach(base) if fixed else base
        if self.log_width is not None and self.given_width:  # a number, in units of w
            sources = units.to_standard(widen(sources, self.log_width.exp()))
        else:
            sources = units.to_standard(sources)
            if width is not None:
                stationary = self.stationary and base is not None
                sources = relax(sources, base, width) if stationary else widen(sources, width)  # type: ignore[arg-type]
        every = units.to_data(sources if base is None else concatenate([sources, base]))
        rows = self.mixing.columns()
        if rows is None:
            return every
        if isinstance(every, Concatenated):  # two families: each by itself
            anchor = expanded(every.parts[1], torch.Size((self.mixing.tasks, 1)))
            if rows.shape[1] == 1:
                return anchor
            return concatenate([map_parameters(every.parts[0], lambda t: t[rows[:, :-1]]), anchor])
        return map_parameters(every, lambda t: t[rows])

    @torch.no_grad()
    def _groups(self, sources: Distribution, member: Tensor) -> Distribution:
        """What every task's groups say of it without it, and p_0, (T, C + 1). Equation (14.3).

        A source's site is its posterior without p_0; where it knows less than p_0, as before a fit,
        or by rounding, it says nothing.
        """
        base, width = self.base, self.log_width
        own = full_gaussian(self.units.to_standard(sources))
        assert base is not None
        assert width is not None
        require(own is not None, f"`sources` must be Gaussian; got {type(sources).__name__}")
        loc, factor = (t.double() for t in own)  # type: ignore[union-attr]
        columns = [
            t.double().view(len(loc[0, 0]), -1).mT for t in (base.loc, base.log_scale, width)
        ]
        mean, log_sd, log_width = columns
        posterior = torch.cholesky_inverse(factor)
        prior = (-2 * log_sd).exp()
        size, vectors = torch.linalg.eigh(posterior - torch.diag_embed(prior))
        site = Site(
            (vectors * size.clamp_min(0.0).unsqueeze(-2)) @ vectors.mT,
            times(posterior, loc) - prior * mean,
            torch.zeros_like(loc[:, 0, 0]),
        )
        laws = cavity_laws(site, mean, log_sd, log_width, member.double())
        none = mean, torch.diag_embed((2 * log_sd).exp())
        pairs = zip(laws, none, strict=True)
        every = [torch.cat([a, b.expand_as(a[:, :1])], 1) for a, b in pairs]
        lower = torch.linalg.cholesky(every[1])
        found = correlated(every[0].to(own[0]), lower.to(own[0]), self.event_shape)  # type: ignore[index]
        return self.units.to_data(found)

    @outside_autocast
    def anchor(self, event_shape: Sequence[int]) -> Distribution:
        """What own-data posteriors are fitted under: p_0, or N(0, I) in standard units; (1,)."""
        if self.base is not None:
            return self.base()
        zeros = self.mixing.logits.new_zeros(1, torch.Size(event_shape).numel())
        return self.units.to_data(gaussian(zeros, torch.ones_like(zeros), event_shape))

    def forward(
        self, sources: Distribution, temperature: float, generator: Generator | None = None
    ) -> MixtureSameFamily:
        """One draw of the prior of every task, batch shape (T,)."""
        log_weights = self.mixing.log_weights(temperature, generator)
        return mixture_prior(self.components(sources), log_weights)

    def log_hyperprior(self) -> Tensor:
        r"""Log density of the weak hyperpriors on whatever is learned here, a scalar.

        Equation (5.6): N(0, 1) on log delta and on the logits log pi about their start; N(0, 1/2)
        on m_0 and Gamma(c/2, c/2) on v_0, c = min(1, 12 / T). Those of delta and v_0 are densities
        of a logarithm, the parameter that is fitted: as a density of the sd itself the latter lets
        v_0 fall to zero, where every task is its own prior's mean.
        """
        total = self.mixing.log_hyperprior()
        if self.base is not None:
            total = total + self.base.log_hyperprior(self.mixing.tasks).to(total)
        if self.log_width is not None and self.log_width.requires_grad:
            total = total + log_normal_density(self.log_width)
        return total


def latent_components(sources: Distribution, base: bool) -> Distribution:
    """q(z|x_n, D_k) of every source for every row, batch shape (B, T), or (B, T + 1) with N(0, I).

    Equation (5.1e): the components of $p(z|x, D_{-t}) = \\sum_k \\beta_{tk}\\, q(z|x, D_k)$.
    `sources` has batch shape (B, T).
    """
    if not base:
        return sources
    return concatenate([sources, standard_normal_like(sources)])


def standard_normal_like(dist: Distribution) -> Distribution:
    """N(0, I) with batch shape (*A, 1) for `dist` of batch shape (*A, K)."""
    zeros = example(dist).new_zeros(dist.batch_shape[:-1] + (1,) + dist.event_shape)
    normal = Normal(zeros, torch.ones_like(zeros), validate_args=False)
    dims = len(dist.event_shape)
    return Independent(normal, dims, validate_args=False) if dims else normal
