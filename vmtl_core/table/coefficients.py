"""Coefficients of tasks and population, tidy and in the table's own units."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vmtl_core.exact import GaussianPredictive
from vmtl_core.points import PosteriorPoints, posterior_points
from vmtl_core.report import LEVELS

NARROWEST = 1e-300
POPULATION = "population"


def law_of_weights(points: PosteriorPoints) -> GaussianPredictive:
    """Every coordinate's own law, a mixture over the points, rows in the order (T, P, D)."""
    loc = points.loc.flatten(1)
    spread = points.scale_tril.norm(dim=-1).flatten(1).clamp_min(NARROWEST)
    return GaussianPredictive(loc, spread, torch.zeros_like(spread), points.log_weights)


@torch.no_grad()
def of_tasks(model: Any, tasks: int, levels: tuple[float, float]) -> dict[str, np.ndarray]:
    """Mean, sd and quantiles of w of the first `tasks` tasks, each (T, P, D)."""
    points = posterior_points(model)
    assert points is not None
    shape = points.loc.shape[1:]
    law = law_of_weights(points)
    found = {"mean": law.mean, "sd": law.variance.sqrt()}
    for name, level in zip(("lower", "upper"), levels, strict=True):
        found[name] = law.icdf(torch.tensor(level, dtype=loc_type(points)))
    return {name: value.view(shape)[:tasks].numpy() for name, value in found.items()}


def loc_type(points: PosteriorPoints) -> torch.dtype:
    return points.loc.dtype


@torch.no_grad()
def of_population(
    model: Any, hyperparameters: dict[str, Any], levels: tuple[float, float]
) -> dict[str, np.ndarray]:
    """The same of the population's mean, (P, D), by a normal law of the interval's width.

    Without averaging nothing is known of its error, NaN.
    """
    found = hyperparameters.get("population_mean")
    if found is None:
        mean = _columns(model.prior.base().mean[0])
        none = np.full_like(mean, np.nan)
        return {"mean": mean, "sd": none, "lower": none, "upper": none}
    mean, low, high = (_columns(one) for one in found)
    normal = NormalDist()
    sd = (high - low) / (normal.inv_cdf(LEVELS[1]) - normal.inv_cdf(LEVELS[0]))
    if np.allclose(levels, LEVELS):
        return {"mean": mean, "sd": sd, "lower": low, "upper": high}
    ends = [mean + normal.inv_cdf(level) * sd for level in levels]
    return {"mean": mean, "sd": sd, "lower": ends[0], "upper": ends[1]}


def _columns(event: Tensor) -> np.ndarray:
    """(D,) or (D, P) as (P, D)."""
    return event.reshape(len(event), -1).mT.double().numpy()


def tidy(
    laws: dict[str, np.ndarray],
    tasks: list[Any],
    classes: list[Any],
    inputs: list[str],
    unit: np.ndarray,
    shift: float,
) -> pd.DataFrame:
    """One row for each task, class and input.

    Args:
        laws: name -> (T, P, D).
        tasks, classes, inputs: names along the three.
        unit: what the coefficients are divided by, (D,).
        shift: what is added to the last one, the intercept.
    """
    index = pd.MultiIndex.from_product([tasks, classes, inputs], names=["task", "class", "input"])
    table = index.to_frame(index=False)
    for name, value in laws.items():
        value = value / unit
        if name != "sd":
            value[..., -1] += shift
        table[name] = value.reshape(-1)
    return table.drop(columns="class") if len(classes) == 1 else table
