"""What a fit tells besides its parameters: intervals of the hyperparameters, warnings of units."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vmtl_core._precision import widest
from vmtl_core.bundle import as_rows
from vmtl_core.expectations import has_expectation
from vmtl_core.history import FACTORS, IdentificationWarning, Interval, UnitsWarning
from vmtl_core.likelihoods import LinearGaussian
from vmtl_core.population import NARROW, WIDE
from vmtl_core.units import MANY_INPUTS, design, unidentified

if TYPE_CHECKING:
    from vmtl_core.averaging import Averaged
    from vmtl_core.coordinate import Ascent
    from vmtl_core.elbo import MultiTaskELBO
    from vmtl_core.group_points import GroupAverage
    from vmtl_core.units import Measured

LEVELS = (0.05, 0.95)
SAME, MOST = 1e-9, 0.9
"""Steps of logs from draw to draw that differ by less are one; so many must be, for kept ratios."""
KEPT = 500
"""Draws of the hyperparameters that a history keeps."""
FAR_MEAN, FAR_SD = 3.0, 5.0
"""A column is far off if its mean is over so many sds from 0, or its sd above so much."""


def intervals(
    draws: dict[str, tuple[Tensor, Tensor]], found: Averaged | GroupAverage
) -> dict[str, Interval]:
    """Posterior means and 90 % intervals of the learned hyperparameters, of what `weighted` gave.

    Where sds or widths kept their ratios, of their common factor too.
    """
    draws = dict(draws)
    for name, logs in (("population_sd", found.draws.log_sd), ("transfer_width", found.widths)):
        factor = None if name not in draws or logs is None else common_factor(logs, draws[name][1])
        if factor is not None:
            weights = draws[name][1]
            draws[FACTORS[name]] = (factor / (weights @ factor)).unsqueeze(1), weights
    return {name: interval(*pair) for name, pair in draws.items()}


def common_factor(logs: Tensor, weights: Tensor) -> Tensor | None:
    """What all of several numbers are multiplied by, (S,), up to a constant.

    None where they don't keep their ratios from draw to draw, or don't move. One that came to the
    end of what is allowed doesn't count; neither do the ratios' jumps between candidates.

    Args:
        logs: draws of their logs, (S, ...), those of a candidate one after the other.
        weights: of the draws, (S,).
    """
    logs = logs.flatten(1)
    logs = logs[:, ((logs > NARROW) & (logs < WIDE)).all(0)]
    steps = logs[weights > 0].diff(dim=0)
    if logs.shape[1] < 2 or not (steps.abs() > SAME).any():
        return None
    alike = ((steps - steps[:, :1]).abs() < SAME).all(1)
    if alike.sum() < MOST * len(alike):
        return None
    return (logs - logs.mean(0)).mean(1).exp()


def weighted(
    model: MultiTaskELBO, found: Averaged | GroupAverage, ascent: Ascent, units: Measured
) -> dict[str, tuple[Tensor, Tensor]]:
    """Draws (S, ...) of the learned hyperparameters with their weights (S,), in units of the data.

    "population_mean" and "population_sd" are of w, shaped as its event; "transfer_width" is delta
    in units of the population's sd (stationary) or of standard weights.
    """
    draws = found.draws
    result: dict[str, tuple[Tensor, Tensor]] = {}
    weights = draws.log_weights.exp()
    if draws.noise.shape[1]:
        noise = ascent.own.noise.all(draws.noise).exp() * units.target_scale
        noise = noise[:, ascent.own.noise.learned]
        result["noise_scale"] = noise, weights
    shape = model.posteriors.weights.event_shape
    if ascent.own.population.learned:
        basis, offset = units.basis, units.offset
        generator = torch.Generator().manual_seed(0)
        z = torch.randn(draws.mean.shape, generator=generator, dtype=torch.float64).to(draws.mean)
        standard = draws.mean + (draws.mean_root @ z.unsqueeze(-1)).squeeze(-1)
        mean = offset + (basis @ standard.unsqueeze(-1)).squeeze(-1)
        spread = (basis * draws.log_sd.exp().unsqueeze(-2)).square().sum(-1).sqrt()
        for name, values in (("population_mean", mean), ("population_sd", spread)):
            values = values.mT.reshape(len(values), *shape)
            result[name] = values, weights
    if found.widths is not None:
        widths = found.widths.exp().mT.reshape(len(found.widths), *shape)
        result["transfer_width"] = widths, found.width_weights
    return result


def interval(values: Tensor, weights: Tensor) -> Interval:
    """Mean and central 90 % of weighted draws, values (S, ...), weights (S,)."""
    weights = weights / weights.sum()
    flat = values.flatten(1)
    order = flat.argsort(0)
    cumulated = weights[order].cumsum(0)
    ends = [
        flat.gather(0, order).gather(
            0, (cumulated < level).sum(0, keepdim=True).clamp_max(len(flat) - 1)
        )
        for level in LEVELS
    ]
    shape = values.shape[1:]
    mean = (weights.unsqueeze(-1) * flat).sum(0)
    return Interval(mean.view(shape), ends[0].view(shape), ends[1].view(shape))


def equally_likely(values: Tensor, weights: Tensor) -> Tensor:
    """`KEPT` of weighted draws (S, ...), each as likely: those of the same weights in step."""
    edges = weights.cumsum(0)
    ticks = (torch.arange(KEPT).to(edges) + 0.5) / KEPT * edges[-1]
    return values[torch.searchsorted(edges, ticks).clamp_max(len(values) - 1)]


def warn_of_units(model: MultiTaskELBO, x: Tensor, y: Tensor, coordinate: bool) -> None:
    """Warn, by name, of columns whose units a fit depends on and that are far from standard."""
    if not model.latents_are_inputs or x.ndim > 2:
        return
    base = model.prior.base
    relative = base is None or base.given == "learned"
    if coordinate and relative:
        return
    rows = widest(x).reshape(len(x), -1)
    wrong = [f"column {i} of `x` ({why})" for i, why in _far(rows)]
    likelihoods: list[Any] = model.posteriors.distinct_likelihoods()
    if all(isinstance(one, LinearGaussian) for one in likelihoods):
        target = widest(y).reshape(len(y), -1)
        wrong += [f"`y` ({why})" for _, why in _far(target)]
    if wrong:
        reason = "a base prior in units of w" if coordinate else "Adam"
        warnings.warn(
            f"{reason} depends on the units of the table, and {', '.join(wrong[:8])} "
            f"{'is' if len(wrong) == 1 else 'are'} far from mean 0 and sd 1: standardise first",
            UnitsWarning,
            stacklevel=3,
        )


def warn_of_unidentified(model: MultiTaskELBO, x: Tensor) -> None:
    """Warn, by name, of columns of which the rows say nothing that others don't say.

    Not beyond 50 inputs, pixels as a rule, of which some are always off.
    """
    likelihood = model.posteriors.likelihood
    if not model.latents_are_inputs or not has_expectation(likelihood):
        return
    x = as_rows(x)
    shape = model.posteriors.q_weights().event_shape
    if x.ndim != 2 or x.shape[1] > MANY_INPUTS:
        return
    rounding = 4 * torch.finfo(x.dtype).eps if x.is_floating_point() else 1e-12
    found = unidentified(design(x, shape[0] if shape else 1), max(rounding, 1e-12))
    if found:
        named = [
            f"{f'column {d} of `x`' if d < x.shape[1] else 'the intercept'} ({why})"
            for d, why in found.items()
        ]
        warnings.warn(
            f"the table doesn't tell the weight of {', '.join(named[:8])} from that of others: it "
            "stays where the prior puts it; leave such a column out",
            IdentificationWarning,
            stacklevel=3,
        )


def _far(columns: Tensor) -> list[tuple[int, str]]:
    """Columns that vary and whose mean or sd is far off, and by how much."""
    mean, sd = columns.mean(0), columns.std(0, correction=0)
    far = (sd > 0) & ((mean.abs() > FAR_MEAN * sd) | (sd > FAR_SD))
    return [(i, f"mean {mean[i]:.3g}, sd {sd[i]:.3g}") for i in far.nonzero().flatten().tolist()]
