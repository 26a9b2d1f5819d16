"""The closed-form fit at several points of the hyperparameters, which prediction averages over."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from vmtl_core.coordinate import Ascent, Problem, State
from vmtl_core.expectations import NODES
from vmtl_core.hyperposterior import MOST_DIRECTIONS, Hyperdraws, draw_hyperparameters, resample
from vmtl_core.mixture import pooled
from vmtl_core.points import PosteriorPoints
from vmtl_core.population import Expansion, Own
from vmtl_core.quasi_newton import curvature, one_by_one
from vmtl_core.tilted import tilted
from vmtl_core.units import triangular

SWEEPS, RENEWALS = 2, 4
"""Alternations of posteriors and responsibilities at each point, and renewals of the own sites, from
those at the optimum."""
FIELDS = ("loc", "scale_tril", "noise", "base_loc", "base_scale_tril")
POINTS = ((3_000, 24), (100_000, 12), (math.inf, 4))
"""How many points where one has at most so many numbers: with many tasks they tell the hyperparameters
well, or there are too many of those for points to cover."""
NUMBERS = 3_000_000
"""In the largest array of the points that are worked at together."""


TOLERANCE = 1e-5
"""Of the hyperparameters' greatest evidence, in nats a task."""


class Points(NamedTuple):
    """The posteriors at K points of the hyperparameters, in standard units."""

    loc: Tensor
    """(K, T, P, D)."""
    root: Tensor
    """Lower triangular, the uncertainty of m_0 counted in, (K, T, P, D, D)."""
    noise: Tensor
    """log sigma of every task, (K, T)."""
    base_loc: Tensor
    """(K, P, D)."""
    base_root: Tensor
    """(K, P, D, D)."""


class Averaged(NamedTuple):
    """What `average` found."""

    points: Points
    draws: Hyperdraws
    widths: Tensor | None
    """Draws of log delta, (K, P, D)."""

    @property
    def width_weights(self) -> Tensor:
        """Of the draws of log delta, (K,)."""
        return torch.ones_like(self.points.noise[:, 0])


class HyperAverage(nn.Module):
    """Posteriors at K points of the hyperparameters, of equal weight, in units of the data.

    It has buffers only: `fit` fills it, `predictive` averages over it, `state_dict` carries it.
    """

    loc: Tensor
    scale_tril: Tensor
    noise: Tensor
    base_loc: Tensor
    base_scale_tril: Tensor
    labels: Tensor
    """Each task's group at each point, -1 for none, (K, T); empty unless `sources="groups"`."""

    def __init__(self) -> None:
        super().__init__()
        for name in FIELDS:
            self.register_buffer(name, torch.empty(0))
        self.register_buffer("labels", torch.empty(0, dtype=torch.long))

    def __len__(self) -> int:
        return len(self.loc)

    def fill(self, *values: Tensor, labels: Tensor | None = None) -> None:
        """Take the buffers, in the order of `FIELDS`, and the groups."""
        for name, value in zip(FIELDS, values, strict=True):
            setattr(self, name, value)
        self.labels = self.labels.new_empty(0) if labels is None else labels.to(self.labels.device)

    def clear(self) -> None:
        """No points: prediction uses the model's parameters."""
        self.fill(*[self.loc.new_empty(0)] * len(FIELDS))

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, metadata: Any, strict: bool, missing: Any, *args: Any
    ) -> None:
        for name in (*FIELDS, "labels"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, *args)
        if prefix + "labels" in missing and prefix + "loc" in state_dict:  # an earlier version's
            missing.remove(prefix + "labels")
            self.labels = self.labels.new_empty(0)

    def points(self) -> PosteriorPoints:
        """As `posterior_points` gives them."""
        count = len(self.loc)
        noise = self.noise if bool(self.noise.any()) else None
        base = (self.base_loc, self.base_scale_tril) if self.base_loc.numel() else (None, None)
        log_weights = torch.full_like(self.loc[:, 0, 0, 0], -math.log(count))
        return PosteriorPoints(log_weights, self.loc, self.scale_tril, noise, *base)


def average(ascent: Ascent, seed: int) -> Averaged:
    """Fit the posteriors anew at points drawn from the hyperparameters' posterior.

    Args:
        ascent: both halves of the fit at their optimum.
        seed: of the draws.
    """
    problem = ascent.problem
    own = tilted(problem.table, ascent.own, TOLERANCE)
    numbers = own.posterior.root.numel()
    draws = draw_hyperparameters(problem.table, own, seed)
    chosen = resample(draws, next(points for most, points in POINTS if numbers <= most))
    count = len(chosen.log_weights)
    widths = _draw_widths(ascent, count, seed + 2)
    blocks = [
        _points(ascent, own, chosen.take(block), None if widths is None else widths[block])
        for block in torch.arange(count).split(_block(ascent))
    ]
    return Averaged(Points(*map(torch.cat, zip(*blocks, strict=True))), draws, widths)


def _block(ascent: Ascent) -> int:
    """How many points are worked at together, so that memory stays bounded."""
    table, state = ascent.problem.table, ascent.state
    rows = sum(part.y.numel() for part in table.parts) * NODES
    return max(1, NUMBERS // max(state.phi.numel(), state.posterior.root.numel(), rows))


def _points(ascent: Ascent, own: Own, draws: Hyperdraws, widths: Tensor | None) -> Points:
    """Both halves at some draws; the mixing weights stay as they are."""
    problem = ascent.problem
    own = _own_at(problem, own, draws)
    shared = draws.noise.shape[1] == len(problem.noise.start())
    noise = draws.noise if shared else ascent.state.noise.expand(len(draws.noise), -1)
    state = replace(ascent.state, noise=noise)
    state.log_width = state.log_width if widths is None else widths
    again = Ascent(problem, own, state)
    again.expansion.share = ascent.expansion.share
    again._logits, again._log_alpha = ascent._logits, ascent.log_alpha()
    again.sweep(SWEEPS, hyperparameters=False)
    found = again.state.posterior
    base_loc, base_root = own.population.loc, own.population.root(own.population.log_sd)
    base_root = base_root.expand(len(base_loc), *base_root.shape[-3:])
    if own.population.learned:
        gain = _gain(problem, own, again.state, torch.cholesky_inverse(base_root))
        shaken = gain @ draws.mean_root.unsqueeze(1)
        found = found._replace(root=torch.cat([found.root, shaken], -1))
        base_root = triangular(torch.cat([base_root, draws.mean_root], -1))
    log_scale = problem.noise.tasks(noise)
    return Points(found.loc, triangular(found.root), log_scale, base_loc, base_root)


def _own_at(problem: Problem, own: Own, draws: Hyperdraws) -> Own:
    """The own-data half at some draws, m_0 at its mean there."""
    population = replace(own.population, loc=draws.mean, log_sd=draws.log_sd)
    expansion = Expansion.about(problem.table, own.other)
    prior = population.loc.unsqueeze(1), population.root(population.log_sd).unsqueeze(-4)
    site, posterior = expansion.settle(own.noise.tasks(draws.noise), prior, 0.0, RENEWALS)
    return replace(
        own,
        population=population,
        site=site,
        other=expansion.other,
        posterior=posterior,
        elbo=site.constant + posterior.log_evidence.sum(-1),
    )


def _gain(problem: Problem, own: Own, state: State, inverse: Tensor) -> Tensor:
    """d w_t / d m_0 at fixed responsibilities, (..., T, P, D, D). Equation (5.18).

    p_0 moves with m_0; a source's report does for it is drawn towards m_0, and for its own
    posterior was under p_0.
    """
    parts = problem.parts(own.gaussians, state.log_width, own.population)
    moved = own.gaussians.covariance @ inverse.unsqueeze(-4)
    if state.log_width is not None and problem.transfer.stationary:
        rho = (1 + (2 * state.log_width).exp()).rsqrt().unsqueeze(-3)
        moved = torch.diag_embed(1 - rho) + rho.unsqueeze(-1) * moved
    if problem.base:
        eye = torch.eye(moved.shape[-1], dtype=moved.dtype, device=moved.device)
        moved = torch.cat([moved, eye.expand_as(moved[..., :1, :, :, :])], -4)
    pull = pooled(state.phi.mean(0), parts.precision @ moved, problem.mixing.columns)
    return state.posterior.gaussians().covariance @ pull


def _draw_widths(ascent: Ascent, count: int, seed: int) -> Tensor | None:
    """Draws of log delta from the Gaussian of the objective's curvature, (K, P, D)."""
    width = ascent.state.log_width
    if width is None or not ascent.problem.transfer.learned:
        return None
    if count == 1 or width.numel() > MOST_DIRECTIONS:
        return width.expand(count, *width.shape)
    value = ascent.collapsed()

    def total(log_width: Tensor) -> Tensor:
        ascent.state.log_width = log_width
        return ascent.problem.table.tasks * value()

    precision = curvature(one_by_one(total, width.shape), width.flatten())
    ascent.state.log_width = width
    size, vectors = torch.linalg.eigh(precision)
    uniform = SobolEngine(width.numel(), scramble=True, seed=seed).draw(count, dtype=torch.float64)
    normal = 2**0.5 * torch.erfinv(2 * uniform.clamp(1e-6, 1 - 1e-6).to(width) - 1)
    move = (normal * size.clamp_min(1.0).rsqrt()) @ vectors.mT
    return width + move.view(count, *width.shape)
