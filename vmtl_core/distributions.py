"""What the rest of the core needs to know of a torch Distribution: its Gaussian parameters, the
same family with other parameters, and several distributions side by side."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, constraints

from vmtl_core._checks import is_distribution, one_dtype, require
from vmtl_core._precision import outside_autocast
from vmtl_core._random import untouched
from vmtl_core._rebuild import Function, can_rebuild, expanded, map_parameters

__all__ = ["can_rebuild", "expanded", "map_parameters"]  # from here for the rest of the core


def diagonal_gaussian(dist: Distribution) -> tuple[Tensor, Tensor] | None:
    """Means and standard deviations, each (*batch, D), events flattened to D numbers.

    None for any family but Normal, alone or inside Independent.
    """
    base = dist
    while isinstance(base, Independent):
        base = base.base_dist
    if type(base) is not Normal:
        return None
    shape = dist.batch_shape + (dist.event_shape.numel(),)
    return base.loc.reshape(shape), base.scale.reshape(shape)


def full_gaussian(dist: Distribution) -> tuple[Tensor, Tensor] | None:
    """Means (*batch, P, D) and triangular factors (*batch, P, D, D) of the P columns of an event.

    A vector is one column. None for any family but Normal, alone or inside Independent,
    MultivariateNormal and GaussianColumns, and for events of three dimensions or more.
    """
    if type(dist) is MultivariateNormal:
        return dist.loc.unsqueeze(-2), dist.scale_tril.unsqueeze(-3)
    if isinstance(dist, GaussianColumns):
        return dist.loc.mT, dist.scale_tril
    parameters = diagonal_gaussian(dist)
    if parameters is None or len(dist.event_shape) > 2:
        return None
    rows = dist.event_shape[0] if dist.event_shape else 1
    loc, scale = (t.unflatten(-1, (rows, -1)).mT for t in parameters)
    return loc, torch.diag_embed(scale)


def correlated(loc: Tensor, scale_tril: Tensor, event_shape: Sequence[int]) -> Distribution:
    """The Gaussian of a vector, or of a matrix with independent columns, from `full_gaussian`."""
    if len(event_shape) == 1:
        loc, scale_tril = loc.squeeze(-2), scale_tril.squeeze(-3)
        return MultivariateNormal(loc, scale_tril=scale_tril, validate_args=False)
    return GaussianColumns(loc.mT, scale_tril)


class GaussianColumns(Distribution):
    """A random matrix of shape (D, P) whose columns are independent Gaussian vectors.

    Args:
        loc: means, (*batch, D, P).
        scale_tril: lower triangular factors of the columns' covariances, (*batch, P, D, D).

    Raises:
        ValueError: if the shapes don't fit, or the two aren't of one floating-point dtype.
    """

    arg_constraints = {
        "loc": constraints.independent(constraints.real, 2),
        "scale_tril": constraints.independent(constraints.lower_cholesky, 1),
    }
    support = constraints.independent(constraints.real, 2)
    has_rsample = True

    def __init__(self, loc: Tensor, scale_tril: Tensor, validate_args: bool | None = False):
        one_dtype("loc", loc, "scale_tril", scale_tril)
        require(loc.ndim > 1, f"`loc` must have shape (*batch, D, P); got {tuple(loc.shape)}")
        wanted = (*loc.mT.shape, loc.shape[-2])
        require(
            tuple(scale_tril.shape) == wanted,
            f"`scale_tril` must have shape (*batch, P, D, D) = {wanted}; "
            f"got {tuple(scale_tril.shape)}",
        )
        require(loc.numel() > 0, f"`loc` must hold at least one number; got {tuple(loc.shape)}")
        self.loc, self.scale_tril = loc, scale_tril
        super().__init__(loc.shape[:-2], loc.shape[-2:], validate_args=validate_args)

    @property
    def columns(self) -> MultivariateNormal:
        """The columns, batch shape (*batch, P)."""
        return MultivariateNormal(self.loc.mT, scale_tril=self.scale_tril, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.columns.variance.mT

    def expand(self, batch_shape: Any, _instance: Any = None) -> "GaussianColumns":
        wanted = Size(batch_shape)
        loc = self.loc.expand(wanted + self.event_shape)
        return GaussianColumns(loc, self.scale_tril.expand(wanted + self.scale_tril.shape[-3:]))

    def rsample(self, sample_shape: Any = Size()) -> Tensor:
        return self.columns.rsample(Size(sample_shape)).mT

    def log_prob(self, value: Tensor) -> Tensor:
        return self.columns.log_prob(value.mT).sum(-1)

    def entropy(self) -> Tensor:
        return self.columns.entropy().sum(-1)


def gaussian(loc: Tensor, scale: Tensor, event_shape: Sequence[int]) -> Distribution:
    """Diagonal Gaussian of the given event shape from flat parameters (*batch, D)."""
    shape = loc.shape[:-1] + Size(event_shape)
    normal = Normal(loc.reshape(shape), scale.reshape(shape), validate_args=False)
    return Independent(normal, len(event_shape), validate_args=False) if event_shape else normal


def example(dist: Distribution) -> Tensor:
    """A tensor of the device and dtype of draws from `dist`; the random streams stay as they were."""
    parameters = diagonal_gaussian(dist)
    if parameters is not None:
        return parameters[0]
    with torch.no_grad(), untouched():
        return dist.sample()


def detach(dist: Distribution) -> Distribution:
    """The same distribution, with no gradient through its parameters."""
    return map_parameters(dist, Tensor.detach)


@outside_autocast
def widen(dist: Distribution, width: Tensor) -> Distribution:
    r"""The law of w = w' + N(0, width^2), w' drawn from a Gaussian `dist`.

    Equation (2.6): $\int N(w \mid w', \delta^2)\, N(w' \mid \mu, \sigma^2)\, dw'
    = N(w \mid \mu, \sigma^2 + \delta^2)$.

    Args:
        dist: Normal, Independent Normal, MultivariateNormal or GaussianColumns, batch shape (K,).
        width: delta, scalar or of the event shape.

    Raises:
        ValueError: for any other family.
    """
    if isinstance(dist, Concatenated):
        return Concatenated([widen(part, width) for part in dist.parts])
    parameters = diagonal_gaussian(dist)
    if parameters is not None:
        loc, scale = parameters
        flat = width.expand(dist.event_shape).reshape(-1)
        return gaussian(loc, torch.hypot(scale, flat), dist.event_shape)
    full = full_gaussian(dist)
    if full is None:
        raise ValueError(
            f"`transfer` widens Gaussian posteriors only; got {type(dist).__name__}: "
            "set `transfer=None`"
        )
    loc, factor = full
    noise = torch.diag_embed(width.expand(dist.event_shape).reshape(factor.shape[-1], -1).T ** 2)
    wide, failed = torch.linalg.cholesky_ex(factor @ factor.mT + noise)
    wide = wide.masked_fill(failed[..., None, None] > 0, math.nan)  # where `fit` stops and says so
    return correlated(loc, wide, dist.event_shape)


@outside_autocast
def relax(dist: Distribution, base: Distribution, width: Tensor) -> Distribution:
    r"""The law of w = m_0 + rho (w' - m_0) + sqrt(1 - rho^2) s_0 noise, w' from a Gaussian `dist`.

    Equation (12.5), for each coordinate, with $\rho = 1 / \sqrt{1 + \delta^2}$: what a draw from
    the population N(m_0, s_0^2) tells of another whose correlation with it is rho. Whatever delta
    is, w' from the population gives w from the population; `widen` gives a wider one.

    Args:
        dist: Normal, Independent Normal, MultivariateNormal or GaussianColumns, batch shape (K,).
        base: the population: Normal, alone or inside Independent, batch shape (1,).
        width: delta in units of s_0, scalar or of the event shape.

    Raises:
        ValueError: for any other family.
    """
    population = diagonal_gaussian(base)
    if population is None:
        raise ValueError(
            "`transfer='stationary'` needs a Gaussian base prior with independent coordinates; got "
            f"{type(base).__name__}: set `transfer='learned'` or None"
        )
    (centre,), (spread,) = population
    flat = width.expand(dist.event_shape).reshape(-1)
    rho = (1 + flat.square()).rsqrt()
    noise = (flat * rho * spread).view(dist.event_shape)
    return widen(_drawn_towards(dist, centre, rho), noise)


def _drawn_towards(dist: Distribution, centre: Tensor, rho: Tensor) -> Distribution:
    """The law of centre + rho (w' - centre), w' from a Gaussian `dist`; `centre`, `rho` flat.

    Another family comes back as it is: `widen`, which is next, says what it wants.
    """
    if isinstance(dist, Concatenated):
        return Concatenated([_drawn_towards(part, centre, rho) for part in dist.parts])
    parameters = diagonal_gaussian(dist)
    if parameters is not None:
        loc, scale = parameters
        return gaussian(centre + rho * (loc - centre), rho * scale, dist.event_shape)
    full = full_gaussian(dist)
    if full is None:
        return dist
    loc, factor = full
    centre, rho = (t.view(factor.shape[-1], -1).T for t in (centre, rho))
    loc = centre + rho * (loc - centre)
    return correlated(loc, rho.unsqueeze(-1) * factor, dist.event_shape)


def as_batch(dists: Any, tasks: int, name: str) -> Distribution:
    """One Distribution of batch shape (T,) from one, or from a list of T of batch shape ()."""
    if not isinstance(dists, Distribution):
        require(
            isinstance(dists, list | tuple) and len(dists) == tasks,
            f"`{name}` must give a Distribution of batch shape ({tasks},), or a list of {tasks} "
            f"Distributions of batch shape (); got {_describe(dists)}",
        )
        for i, dist in enumerate(dists):
            require(
                isinstance(dist, Distribution) and dist.batch_shape == Size(),
                f"`{name}[{i}]` must be a Distribution of batch shape (); got {dist!r} "
                "(wrap it in Independent where its dimensions are one event)",
            )
        dists = concatenate([expanded(dist, Size((1,))) for dist in dists], f"`{name}`")
    require(
        dists.batch_shape == Size((tasks,)),
        f"`{name}` must give a Distribution of batch shape ({tasks},), one per task; "
        f"got batch shape {tuple(dists.batch_shape)}, event shape {tuple(dists.event_shape)}",
    )
    return dists


def _describe(found: Any) -> str:
    """What came in the place of a Distribution."""
    length = f" of {len(found)}" if isinstance(found, list | tuple) else ""
    return type(found).__name__ + length


def concatenate(parts: Sequence[Distribution], name: str = "posteriors") -> Distribution:
    """Distributions of batch shape (*A, k_i) and equal event shape, side by side in (*A, sum k_i).

    Gaussians stay one Gaussian, so that the fast formulas apply.
    """
    shapes = {tuple(part.event_shape) for part in parts}
    require(len(shapes) == 1, f"{name} must have one event shape; got {sorted(shapes)}")
    parameters = [diagonal_gaussian(part) for part in parts]
    if all(p is not None for p in parameters):
        loc, scale = (torch.cat(tensors, -2) for tensors in zip(*parameters, strict=True))  # type: ignore[arg-type]
        return gaussian(loc, scale, parts[0].event_shape)
    factors = [full_gaussian(part) for part in parts]
    if all(f is not None for f in factors):
        loc = torch.cat([f[0] for f in factors], -3)  # type: ignore[index]
        factor = torch.cat([f[1] for f in factors], -4)  # type: ignore[index]
        return correlated(loc, factor, parts[0].event_shape)
    return Concatenated(parts)


class Concatenated(Distribution):
    """Distributions of any families side by side along the last batch dimension.

    Args:
        parts: Distributions of batch shape (*A, k_i) and one event shape.

    Raises:
        ValueError: for no parts, or parts whose shapes don't fit.
    """

    arg_constraints: dict[str, Any] = {}

    def __init__(self, parts: Sequence[Distribution]):
        is_list = isinstance(parts, Sequence)
        require(is_list, f"`parts` must be a list of Distributions; got {type(parts).__name__}")
        self.parts = list(parts)
        require(bool(self.parts), "`parts` must hold at least one Distribution; got none")
        for i, part in enumerate(self.parts):
            is_distribution(f"parts[{i}]", part)
        found = [(tuple(part.batch_shape), tuple(part.event_shape)) for part in self.parts]
        require(
            all(batch for batch, _ in found) and len({(b[:-1], event) for b, event in found}) == 1,
            f"`parts` must have batch shapes (*A, k) with one A, and one event shape; got {found}",
        )
        require(
            all(Size(batch + event).numel() for batch, event in found),
            f"`parts` must hold at least one number each; got {found}",
        )
        self.sizes = [batch[-1] for batch, _ in found]
        batch = Size((*found[0][0][:-1], sum(self.sizes)))
        super().__init__(batch, Size(found[0][1]), validate_args=False)

    def map_parameters(self, function: Function) -> "Concatenated":
        """`map_parameters` of the parts, for a function that keeps the batch shape."""
        parts = [map_parameters(part, function) for part in self.parts]
        kept = all(a.batch_shape == b.batch_shape for a, b in zip(parts, self.parts, strict=True))
        require(
            kept,
            "a Concatenated of different families can't be indexed or turned round; give "
            "`latents` of one family",
        )
        return Concatenated(parts)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return all(part.has_rsample for part in self.parts)

    @property
    def mean(self) -> Tensor:
        return self._join([part.mean for part in self.parts])

    @property
    def variance(self) -> Tensor:
        return self._join([part.variance for part in self.parts])

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Concatenated":
        lead, last = Size(batch_shape)[:-1], Size(batch_shape)[-1:]
        require(
            last == self.batch_shape[-1:],
            f"`batch_shape` must end in {self.batch_shape[-1]}, the parts side by side; "
            f"got {tuple(batch_shape)}",
        )
        return Concatenated([part.expand(lead + part.batch_shape[-1:]) for part in self.parts])

    def rsample(self, sample_shape: Any = Size()) -> Tensor:
        return self._join([part.rsample(Size(sample_shape)) for part in self.parts])

    def sample(self, sample_shape: Any = Size()) -> Tensor:
        return self._join([part.sample(Size(sample_shape)) for part in self.parts])

    def log_prob(self, value: Tensor) -> Tensor:
        dim = value.ndim - 1 - len(self.event_shape)
        whole = dim >= 0 and value.shape[dim] == 1
        require(
            whole or (dim >= 0 and value.shape[dim] == sum(self.sizes)),
            f"`value` must have shape (..., {sum(self.sizes)}, *event) for these parts; "
            f"got {tuple(value.shape)}",
        )
        values = [value] * len(self.parts) if whole else value.split(self.sizes, dim)
        pairs = zip(self.parts, values, strict=True)
        return torch.cat([part.log_prob(v) for part, v in pairs], -1)

    def entropy(self) -> Tensor:
        return torch.cat([part.entropy() for part in self.parts], -1)

    def _join(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(tensors), -1 - len(self.event_shape))
