"""The closed-form fit of a `MultiTaskELBO`: whether it can be had, its parts, and back again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from vmtl_core._checks import require
from vmtl_core._hyperpriors import START_SD, START_WIDTH, STATIONARY_WIDTH
from vmtl_core.averaging import TOLERANCE
from vmtl_core.candidates import nearest
from vmtl_core.coordinate import Ascent, Joint, Mixing, Previous, Problem, State, Transfer
from vmtl_core.distributions import full_gaussian
from vmtl_core.evidence import Updated
from vmtl_core.group_fit import Grouped, begin_groups, pack_groups
from vmtl_core.likelihoods import BOUNDS, LinearGaussian, ours
from vmtl_core.mixture import Weights
from vmtl_core.population import Noise, Own, Population, fit_own
from vmtl_core.posteriors import GaussianWeights
from vmtl_core.shear import shear
from vmtl_core.sites import Site, Table
from vmtl_core.tilted import tilted
from vmtl_core.units import Measured, design, measure, triangular

if TYPE_CHECKING:
    from vmtl_core.elbo import MultiTaskELBO

GUMBEL_DRAWS, MOST_DRAWS, NUMBERS = 8, 128, 300_000
"""Draws of the Gumbel noise that the expected objective is made of, the same at every step: 8, and up
to 128 where that makes no more than so many numbers."""
OWN_STEPS = 300
"""Most quasi-Newton steps of the own-data half."""


def obstacle(model: MultiTaskELBO, x: Tensor) -> str | None:
    """Why the closed form can't be had for this model and table; None where it can."""
    bundles = [one for one in (model.posteriors, model.own) if one is not None]
    likelihoods = [one for bundle in bundles for one in listed(bundle.likelihood, 1)]
    weights = [bundle.weights for bundle in bundles]
    wanted: list[tuple[bool, str]] = [
        (model.latents_are_inputs, "`latents` must be None"),
        (x.ndim <= 2, "`x` must be one vector a row"),
        (model.expectation == "exact", "`expectation` must be 'exact'"),
        (
            all(ours(one) for one in likelihoods),
            "`likelihood` must be LinearGaussian, LinearBernoulli, LinearPoisson or "
            f"LinearCategorical; it is {type(likelihoods[0]).__name__}",
        ),
        (
            all(type(one) is GaussianWeights and one.below is not None for one in weights),
            "`weights` must be GaussianWeights with full covariance",
        ),
        (
            model.divergence in BOUNDS,
            f"`divergence` must be 'jensen' or 'convex'; it is {model.divergence!r}",
        ),
        (_known_base(model), "`base_prior` must be None, 'standard', 'learned' or Gaussian"),
        (_all_free(model), "no parameter may be frozen but the noise scale's"),
    ]
    return next((why for holds, why in wanted if not holds), None)


def _known_base(model: MultiTaskELBO) -> bool:
    base = model.prior.base
    if base is None or isinstance(base.given, str):
        return True
    return _as_gaussian(base.given) is not None


def _as_gaussian(dist: Distribution) -> tuple[Tensor, Tensor] | None:
    kind = dist
    while isinstance(kind, Independent):
        kind = kind.base_dist
    return full_gaussian(dist) if isinstance(kind, Normal | MultivariateNormal) else None


def _all_free(model: MultiTaskELBO) -> bool:
    """Whether everything that the model learns by default may move."""
    given = [p for name, p in model.named_parameters() if "likelihood" not in name]
    fixed = [model.prior.log_width] if model.prior.log_width is not None else []
    if model.sources == "groups":
        fixed.append(model.prior.mixing.logits)
    if model.prior.base is not None and model.prior.base.given == "standard":
        fixed += [model.prior.base.loc, model.prior.base.log_scale]
    return all(p.requires_grad or any(p is f for f in fixed) for p in given)


def check_spread(model: MultiTaskELBO, x: Tensor, y: Tensor, task: Tensor) -> None:
    """Raise where a target that the weights fit exactly would send a learned noise scale to 0."""
    every = listed(model.posteriors.likelihood, model.tasks)
    learned = [isinstance(one, LinearGaussian) and one.log_scale.requires_grad for one in every]
    rows = torch.tensor(learned, device=task.device)[task]
    values = y[rows]
    if not len(values) or bool((values != values[0]).any()):
        return
    wide = design(x, model.posteriors.weights.event_shape[0])
    constant = bool(((wide == wide[0]) & (wide != 0)).all(0).any())
    require(
        not constant and bool((values != 0).any()),
        "`y` must vary for a noise scale to be learned; every row is "
        f"{values[0].tolist()}: give the likelihood's `scale`",
    )


def listed(likelihood: Any, tasks: int) -> list[Any]:
    """One likelihood for each task."""
    return likelihood if isinstance(likelihood, list) else [likelihood] * tasks


class Setting(NamedTuple):
    """A model and a table in standard units."""

    problem: Problem
    own_noise: Noise
    own_population: Population
    units: Measured


def columns_of(values: Tensor, leading: int) -> Tensor:
    """A tensor of event shape (D,) or (D, P) behind `leading` dimensions as (..., P, D), float64."""
    values = values.detach().double()
    return values.unsqueeze(-2) if values.ndim == leading + 1 else values.mT


def setting(
    model: MultiTaskELBO,
    x: Tensor,
    y: Tensor,
    task: Tensor,
    tau: float,
    seed: int,
    lower: Tensor | None = None,
) -> Setting:
    """Everything that the closed form needs, in standard units and float64.

    `lower`, U of `vmtl_core.shear`, makes correlated coordinates of the units' independent.
    """
    weights = model.posteriors.weights
    rows, columns = weights.event_shape[0], math.prod(weights.event_shape[1:])
    every = listed(model.posteriors.likelihood, model.tasks)
    wide = design(x, rows)
    units = units_of(model, x, y)
    if lower is not None:
        units = units._replace(basis=units.basis @ lower)
    standard = wide @ (units.basis[0] / units.target_scale)
    shift = (wide[:1] @ units.offset.mT)[0]
    gaussian = all(isinstance(one, LinearGaussian) for one in every)
    if gaussian:
        offset = wide @ units.offset.mT
        y = (y.double() - (offset if y.ndim == 2 else offset[:, 0])) / units.target_scale
        shift = torch.zeros_like(shift)
    log_unit = math.log(units.target_scale)
    table = Table(standard, y, task, every, columns, shift, log_unit)
    population = _population(model, table)
    problem = Problem(
        table,
        population,
        _noise(every, log_unit),
        _transfer(model, units),
        _mixing(model, tau, seed, x.device),
        model.prior.base is not None,
        model.hyperprior is not None,
    )
    own = model.own if model.own is not None else model.posteriors
    own_noise = _noise(listed(own.likelihood, model.tasks), log_unit)
    return Setting(problem, own_noise, population, units)


def units_of(model: MultiTaskELBO, x: Tensor, y: Tensor) -> Measured:
    """The table's units where the model's prior is relative to the data, else the identity."""
    weights = model.posteriors.weights
    rows, columns = weights.event_shape[0], math.prod(weights.event_shape[1:])
    base = model.prior.base
    relative = base.given == "learned" if base is not None else model.prior.log_width is not None
    if relative:
        every = listed(model.posteriors.likelihood, 1)
        full = weights.below is not None
        return measure(design(x, rows), y, every, columns, centre=full)
    eye = torch.eye(rows, dtype=torch.float64, device=x.device).expand(columns, -1, -1)
    return Measured(eye, eye.new_zeros(columns, rows), 1.0)


def _population(model: MultiTaskELBO, table: Table) -> Population:
    shape = (table.columns, table.size)
    zeros = torch.zeros(shape, dtype=torch.float64, device=table.gram.device)
    factor = torch.eye(table.size).to(zeros).expand(table.columns, -1, -1)
    base, weak = model.prior.base, model.hyperprior is not None
    loc, log_sd, learned = zeros, zeros.clone(), False
    if base is not None and base.given == "learned":
        log_sd, learned = zeros + math.log(START_SD), True
    elif base is not None and not isinstance(base.given, str):
        found = _as_gaussian(base.given)
        assert found is not None
        loc, factor = (t.to(zeros) for t in found)
    return Population(loc, log_sd, factor, learned, weak, table.tasks)


def _noise(every: list[Any], log_unit: float) -> Noise:
    """The noise scales of a list of likelihoods, one for each task, in standard units."""
    scales = {id(one): one for one in every if isinstance(one, LinearGaussian)}
    modules = list(scales.values())
    per_task = any(one.per_task for one in modules)
    if not modules:
        return Noise(
            torch.zeros(1, dtype=torch.float64),
            torch.zeros(len(every), dtype=torch.long),
            torch.zeros(1, dtype=torch.bool),
            False,
        )
    device = modules[0].log_scale.device
    log_scale = torch.cat([one.log_scale.detach().double().reshape(-1) for one in modules])
    learned = torch.cat(
        [torch.full((one.log_scale.numel(),), one.log_scale.requires_grad) for one in modules]
    )
    place = {key: i for i, key in enumerate(scales)}
    index = torch.tensor([place.get(id(one), 0) for one in every])
    if per_task:
        index = torch.arange(len(every))
    log_scale = torch.where(learned.to(device), 0.0, log_scale - log_unit)
    return Noise(log_scale, index.to(device), learned.to(device), per_task)


def _transfer(model: MultiTaskELBO, units: Measured) -> Transfer:
    width = model.prior.log_width
    if width is None:
        return Transfer(None, False, False)
    if not width.ndim:
        inverse = torch.linalg.inv(units.basis)
        noise = (2 * width.detach().double()).exp()
        return Transfer(None, False, False, noise * inverse @ inverse.mT)
    start = STATIONARY_WIDTH if model.prior.stationary else START_WIDTH
    shape = units.offset.shape
    log_width = torch.full(shape, math.log(start), dtype=torch.float64, device=width.device)
    return Transfer(log_width, model.prior.stationary, True)


def _mixing(model: MultiTaskELBO, tau: float, seed: int, device: torch.device) -> Mixing:
    mixing = model.prior.mixing
    start = mixing.start.double()
    generator = torch.Generator().manual_seed(seed)
    draws = max(GUMBEL_DRAWS, min(MOST_DRAWS, NUMBERS // start.numel()))
    noise = torch.empty(draws, *start.shape, dtype=torch.float64)
    gumbel = -noise.exponential_(generator=generator).clamp_min(1e-300).log()
    convex = model.divergence == "convex"
    weights = Weights(gumbel.to(device), mixing.excluded, tau, convex)
    return Mixing(weights, mixing.logits.detach().double(), start, mixing.columns())


def correlated(
    model: MultiTaskELBO, found: Setting, tolerance: float, again: Callable[[Tensor], Setting]
) -> tuple[Setting, Own, Tensor | None]:
    """The own-data half, in units that make the population's coordinates independent.

    Args:
        model, found: the model and its setting.
        tolerance: in nats a task.
        again: the setting in units that have taken U in.

    Returns:
        The setting, its own-data half, and U if the evidence wants correlations.
    """
    own = _own(found, tolerance)
    lower = None
    if model.sources in ("own", "groups") and found.problem.table.columns == 1:
        lower = shear(found.problem.table, own, tolerance)
    if lower is None:
        return found, own, None
    found = again(lower)
    return found, _own(found, tolerance), lower


def begin(
    model: MultiTaskELBO, found: Setting, tolerance: float, seed: int, own: Own | None = None
) -> Ascent:
    """Fit the own-data half, unless it is given, choose candidates, set up the mixture half."""
    own = own or _own(found, tolerance)
    if model.sources == "groups":
        return begin_groups(model, found.problem, tilted(found.problem.table, own, TOLERANCE))
    problem, mixing = found.problem, model.prior.mixing
    if mixing.index is not None and mixing.index.shape[1]:
        mixing.index.copy_(nearest(own.gaussians, mixing.index.shape[1], seed))
        problem = problem._replace(mixing=_with_columns(problem.mixing, mixing.columns()))
    return ascent_class(model)(problem, own)


def _own(found: Setting, tolerance: float) -> Own:
    table = found.problem.table
    return fit_own(table, found.own_population, found.own_noise, OWN_STEPS, tolerance)


def ascent_class(model: MultiTaskELBO) -> type[Ascent]:
    """How the sources are taken."""
    classes = {"groups": Grouped, "own": Ascent, "previous": Previous, "joint": Joint}
    return classes[model.sources]


def _with_columns(mixing: Mixing, columns: Tensor | None) -> Mixing:
    return replace(mixing, columns=columns)


@torch.no_grad()
def write(model: MultiTaskELBO, ascent: Ascent, units: Measured) -> None:
    """Put what was found into the model's parameters, in units of the data."""
    state, own, prior = ascent.state, ascent.own, model.prior
    _write_weights(model.posteriors.weights, state.posterior.loc, state.posterior.root, units)
    log_unit = math.log(units.target_scale)
    _write_noise(model.posteriors.likelihood, ascent.problem.noise, state.noise, log_unit)
    if model.own is not None:
        _write_weights(model.own.weights, own.posterior.loc, own.posterior.root, units)
        _write_noise(model.own.likelihood, own.noise, own.noise.start(), log_unit)
    prior.mixing.logits.copy_(state.logits)
    if prior.log_width is not None and state.log_width is not None:
        prior.log_width.copy_(_events(state.log_width, prior.log_width))
    if prior.base is not None and prior.base.given == "learned":
        prior.base.loc.copy_(ascent.population.loc.mT.flatten())
        prior.base.log_scale.copy_(ascent.population.log_sd.mT.flatten())


def _events(values: Tensor, like: Tensor) -> Tensor:
    """(..., P, D) as events (..., D) or (..., D, P)."""
    return values.mT.reshape(like.shape)


def to_data(loc: Tensor, root: Tensor, units: Measured) -> tuple[Tensor, Tensor]:
    """Means and triangular roots (..., P, D, D) of w, from those of the standard weights."""
    basis, offset = units.basis.to(loc), units.offset.to(loc)
    return offset + (basis @ loc.unsqueeze(-1)).squeeze(-1), triangular(basis @ root)


def _write_weights(weights: GaussianWeights, loc: Tensor, root: Tensor, units: Measured) -> None:
    loc, lower = to_data(loc, root, units)
    scale = lower.diagonal(dim1=-2, dim2=-1)
    assert weights.below is not None
    weights.loc.copy_(_events(loc, weights.loc))
    weights.log_scale.copy_(_events(scale.log(), weights.log_scale))
    weights.below.copy_((lower / scale.unsqueeze(-1)).tril(-1))


def _write_noise(likelihood: Any, noise: Noise, free: Tensor, log_unit: float) -> None:
    values, at = noise.all(free), 0
    each = likelihood if isinstance(likelihood, list) else [likelihood]
    for one in {id(one): one for one in each if isinstance(one, LinearGaussian)}.values():
        size = one.log_scale.numel()
        if one.log_scale.requires_grad:
            one.log_scale.copy_((values[at : at + size] + log_unit).view(one.log_scale.shape))
        at += size


def pack(ascent: Ascent, lower: Tensor | None) -> dict[str, Any]:
    """The state of a fit as tensors, for `History.optimizer`; copies of what moves in place."""
    own, state = ascent.own, ascent.state
    population, width = ascent.population, state.log_width
    groups = {"groups": pack_groups(ascent)} if isinstance(ascent, Grouped) else {}
    return groups | {
        "lower": lower,
        "own": [own.population.loc, own.population.log_sd, own.noise.log_scale, own.elbo],
        "own_site": list(own.site),
        "own_other": None if own.other is None else list(own.other),
        "own_posterior": list(own.posterior),
        "objective": own.objective,
        "settled": own.settled,
        "population": [population.loc.clone(), population.log_sd.clone()],
        "state": [
            state.logits.clone(),
            None if width is None else width.clone(),
            state.noise.clone(),
            *state.posterior,
        ],
        "other": None if ascent.expansion.other is None else list(ascent.expansion.other),
        "share": ascent.expansion.share,
        "columns": ascent.mixing.columns,
    }


def moved(packed: Any, device: torch.device) -> Any:
    """What `pack` gave, on a device: a file is read on the CPU."""
    if isinstance(packed, Tensor):
        return packed.to(device)
    if isinstance(packed, dict):
        return {name: moved(one, device) for name, one in packed.items()}
    return [moved(one, device) for one in packed] if isinstance(packed, list) else packed


def unpack(model: MultiTaskELBO, found: Setting, packed: dict[str, Any]) -> Ascent:
    """Go on where `pack` was."""
    loc, log_sd, log_scale, elbo = packed["own"]
    other = packed["own_other"]
    own = Own(
        replace(found.own_population, loc=loc, log_sd=log_sd),
        replace(found.own_noise, log_scale=log_scale),
        Site(*packed["own_site"]),
        None if other is None else Site(*other),
        Updated(*packed["own_posterior"]),
        elbo,
        packed["objective"],
        packed["settled"],
    )
    problem = found.problem._replace(mixing=_with_columns(found.problem.mixing, packed["columns"]))
    logits, log_width, noise, *posterior = packed["state"]
    none = torch.zeros_like(logits)
    state = State(logits, log_width, noise, Updated(*posterior), none, none[None])
    if model.sources == "groups":
        ascent: Ascent = Grouped.unpacked(problem, own, state, packed["groups"])
    else:
        ascent = ascent_class(model)(problem, own, state)
    loc, log_sd = packed["population"]
    ascent.population = replace(ascent.population, loc=loc, log_sd=log_sd)
    ascent.expansion.other = None if packed["other"] is None else Site(*packed["other"])
    ascent.expansion.share = packed["share"]
    return ascent
