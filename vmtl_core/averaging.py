"""The closed-form fit at several points of the hyperparameters, which prediction averages over."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from vmtl_core.coordinate import Ascent, Problem, State
from vmtl_core.hyperposterior import MOST_DIRECTIONS, Hyperdraws, draw_hyperparameters, resample
from vmtl_core.mixture import pooled
from vmtl_core.points import PosteriorPoints
from vmtl_core.population import Expansion, Own
from vmtl_core.units import triangular

SWEEPS = 2
"""Alternations of posteriors and responsibilities at each point, from those at the optimum."""
FIELDS = ("loc", "scale_tril", "noise", "base_loc", "base_scale_tril")
POINTS, FEW_POINTS, MANY_NUMBERS = 12, 4, 100_000
"""Points, and how many where one has more numbers than that: tasks then tell the hyperparameters well,
or there are too many for points to cover."""


class Point(NamedTuple):
    """The posteriors at one point of the hyperparameters, in standard units."""

    loc: Tensor
    """(T, P, D)."""
    root: Tensor
    """Lower triangular, the uncertainty of m_0 counted in, (T, P, D, D)."""
    noise: Tensor
    """log sigma of every task, (T,)."""
    base_loc: Tensor
    """(P, D)."""
    base_root: Tensor
    """(P, D, D)."""


class Averaged(NamedTuple):
    """What `average` found."""

    points: list[Point]
    draws: Hyperdraws
    widths: Tensor | None
    """Draws of log delta, (K, P, D)."""


class HyperAverage(nn.Module):
    """Posteriors at K points of the hyperparameters, of equal weight, in units of the data.

    It has buffers only: `fit` fills it, `predictive` averages over it, `state_dict` carries it.
    """

    loc: Tensor
    scale_tril: Tensor
    noise: Tensor
    base_loc: Tensor
    base_scale_tril: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in FIELDS:
            self.register_buffer(name, torch.empty(0))

    def __len__(self) -> int:
        return len(self.loc)

    def fill(self, *values: Tensor) -> None:
        """Take the buffers, in the order of `FIELDS`."""
        for name, value in zip(FIELDS, values, strict=True):
            setattr(self, name, value)

    def clear(self) -> None:
        """No points: prediction uses the model's parameters."""
        self.fill(*[self.loc.new_empty(0)] * len(FIELDS))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        for name in FIELDS:
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)

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
    problem, own = ascent.problem, ascent.own
    many = own.site.precision.numel() > MANY_NUMBERS
    draws = draw_hyperparameters(problem.table, own, seed)
    chosen = resample(draws, FEW_POINTS if many else POINTS)
    count = len(chosen.log_weights)
    widths = _draw_widths(ascent, count, seed + 2)
    points = []
    for k in range(count):
        here = chosen.take(torch.tensor([k]))
        there = _own_at(problem, own, here)
        width = None if widths is None else widths[k]
        points.append(_point(there, ascent, here, width))
    return Averaged(points, draws, widths)


def _own_at(problem: Problem, own: Own, draw: Hyperdraws) -> Own:
    """The own-data half at one draw, m_0 at its mean there."""
    population = replace(own.population, loc=draw.mean[0], log_sd=draw.log_sd[0])
    noise = replace(own.noise, log_scale=own.noise.all(draw.noise[0]))
    root = population.root(population.log_sd)
    expansion = Expansion.about(problem.table, own.other)
    site, posterior = expansion.settle(noise.tasks(draw.noise[0]), (population.loc, root), 1e-3, 4)
    elbo = site.constant + posterior.log_evidence.sum(-1)
    return replace(
        own,
        population=population,
        noise=noise,
        site=site,
        other=expansion.other,
        posterior=posterior,
        elbo=elbo,
    )


def _point(own: Own, ascent: Ascent, draw: Hyperdraws, width: Tensor | None) -> Point:
    """Both halves at one draw; the mixing weights stay as they are."""
    problem, root = ascent.problem, own.population.root(own.population.log_sd)
    shared = draw.noise.shape[1] == len(problem.noise.start())
    state = replace(ascent.state, noise=draw.noise[0] if shared else ascent.state.noise)
    state.log_width = state.log_width if width is None else width
    again = Ascent(problem, own, state)
    again.expansion.share = ascent.expansion.share
    again._logits, again._log_alpha = ascent._logits, ascent.log_alpha()
    again.sweep(SWEEPS, hyperparameters=False)
    found = again.state.posterior
    base_loc, base_root = own.population.loc, root
    if own.population.learned:
        shaken = draw.mean_root[0]
        gain = _gain(problem, own, again.state, torch.cholesky_inverse(root))
        found = found._replace(root=triangular(torch.cat([found.root, gain @ shaken], -1)))
        base_root = triangular(torch.cat([root, shaken], -1))
    log_scale = problem.noise.tasks(state.noise)
    return Point(found.loc, triangular(found.root), log_scale, base_loc, base_root)


def _gain(problem: Problem, own: Own, state: State, inverse: Tensor) -> Tensor:
    """d w_t / d m_0 at fixed responsibilities, (T, P, D, D). Equation (5.18).

    p_0 moves with m_0; a source's report does for it is drawn towards m_0, and for its own
    posterior was under p_0.
    """
    parts = problem.parts(own.gaussians, state.log_width, own.population)
    moved = own.gaussians.covariance @ inverse
    if state.log_width is not None and problem.transfer.stationary:
        rho = (1 + (2 * state.log_width).exp()).rsqrt()
        moved = torch.diag_embed(1 - rho) + rho.unsqueeze(-1) * moved
    if problem.base:
        eye = torch.eye(moved.shape[-1], dtype=moved.dtype, device=moved.device)
        moved = torch.cat([moved, eye.expand(1, *moved.shape[1:])])
    pull = pooled(state.phi.mean(0), parts.precision @ moved, problem.mixing.columns)
    return state.posterior.gaussians().covariance @ pull


def _draw_widths(ascent: Ascent, count: int, seed: int) -> Tensor | None:
    """Draws of log delta from the Gaussian of the objective's curvature, (K, P, D)."""
    width = ascent.state.log_width
    if width is None or not ascent.problem.transfer.learned:
        return None
    if count == 1 or width.numel() > MOST_DIRECTIONS:
        return width.expand(count, *width.shape)
    kept = ascent.state.log_width
    precision = _curvature(ascent, width)
    ascent.state.log_width = kept
    size, vectors = torch.linalg.eigh(0.5 * (precision + precision.mT))
    uniform = SobolEngine(width.numel(), scramble=True, seed=seed).draw(count, dtype=torch.float64)
    normal = 2**0.5 * torch.erfinv(2 * uniform.clamp(1e-6, 1 - 1e-6).to(width) - 1)
    move = (normal * size.clamp_min(1.0).rsqrt()) @ vectors.mT
    return width + move.view(count, *width.shape)


def _curvature(ascent: Ascent, width: Tensor, step: float = 1e-3) -> Tensor:
    """Minus the second derivative of T times the collapsed objective in log delta."""
    value = ascent.collapsed()
    slopes = []
    for sign in (1.0, -1.0):
        rows = []
        for i in range(width.numel()):
            moved = width.flatten().clone()
            moved[i] += sign * step
            ascent.state.log_width = moved.view(width.shape).requires_grad_(True)
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(value(), ascent.state.log_width)
            rows.append(slope.flatten())
        slopes.append(torch.stack(rows))
    return -ascent.problem.table.tasks * (slopes[0] - slopes[1]) / (2 * step)
