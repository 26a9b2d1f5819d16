"""Linear mixed models by statsmodels, as a baseline with predictive uncertainty."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from statsmodels.regression.mixed_linear_model import (
    MixedLM,
    MixedLMParams,
    MixedLMResults,
    VCSpec,
)

from vmtl_core.lab.baselines.gaussian_hierarchy import GaussianHierarchy, condition
from vmtl_core.lab.baselines.moments import design, task_moments
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.units import unidentified

SMALL = 1e-4
"""Least variance that the search for a covariance starts from, in units of the noise's."""
Columns = Sequence[Sequence[int]]


def fit_mixed(
    train: MultiTaskData, intercept: bool = True, random_slopes: bool = True
) -> GaussianHierarchy:
    """Variances by restricted maximum likelihood (statsmodels), then the exact posterior.

    Every weight has a fixed effect and a random one; random effects are independent.  If that
    does not converge, or if ``random_slopes`` is false, only the intercept is random (without an
    intercept: all weights are, with one variance).  ``population_variance`` of the result shows
    which it was: it is 0 for a weight that is not random.

    The search is Powell's, which needs no gradient: statsmodels' gradient methods stop early, or
    stop at a singular matrix, when a variance is near 0, which is common with few examples a task.

    Args:
        train: the training set, standardised.
        intercept: add a constant input.
        random_slopes: try weights that all differ between tasks.

    Returns:
        The hierarchy, whose ``predict`` includes the uncertainty of fixed and of random effects.

    Raises:
        ValueError: if a column's fixed effect can't be told from others': the column is named.
        RuntimeError: if not even the simpler model converges.
    """
    _check_identified(train, intercept)
    x = design(train.x, intercept).numpy()
    every = range(x.shape[1])
    simple: Columns = [[0]] if intercept else [list(every)]
    attempts: list[Columns] = [[[d] for d in every], simple] if random_slopes else [simple]
    for columns in attempts:
        result = _fit(x, train, columns)
        if result is not None:
            return _condition(result, columns, train, intercept)
    raise RuntimeError("MixedLM did not converge, even with a single variance for all tasks")


def fit_correlated(train: MultiTaskData, intercept: bool = True) -> GaussianHierarchy:
    """The same with a full covariance of a task's weights, restricted maximum likelihood.

    statsmodels' own searches, one after the other, from where ``fit_mixed`` ends; where none of them
    converges, that is the result.

    Args:
        train: the training set, standardised, with no more weights than a few.
        intercept: add a constant input.

    Returns:
        The hierarchy; its ``population_variance`` is a covariance, ``(D, D)``, unless the search
        failed.

    Raises:
        ValueError: as :func:`fit_mixed`.
    """
    independent = fit_mixed(train, intercept)
    x, task = design(train.x, intercept).numpy(), train.task.numpy()
    ratio = (independent.population_variance / independent.noise_variance).clamp_min(SMALL)
    start = MixedLMParams.from_components(
        fe_params=independent.population_mean.numpy(), cov_re=ratio.diag().numpy()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence is read from the result instead
        try:
            model = MixedLM(train.y.double().numpy(), x, groups=task, exog_re=x)
            result = model.fit(reml=True, start_params=start)
        except (np.linalg.LinAlgError, ValueError):  # a singular matrix on the way
            return independent
    if not (result.converged and np.isfinite(result.llf)):
        return independent
    covariance = torch.tensor(np.asarray(result.cov_re), dtype=torch.float64)
    noise = torch.tensor(float(result.scale), dtype=torch.float64)
    return condition(task_moments(train, intercept), covariance, noise, intercept)


def _check_identified(train: MultiTaskData, intercept: bool) -> None:
    """Raise, by name, where the rows leave fixed effects open: restricted likelihood needs them."""
    found = unidentified(design(train.x, intercept), rounding=1e-6)
    names = ("the intercept",) * intercept + train.input_names
    if found:
        listed = ", ".join(f"{names[d]} ({why})" for d, why in found.items())
        raise ValueError(
            f"`train` must hold columns whose fixed effects can be told apart; got {listed}: leave "
            "such a column out"
        )


def _fit(x: np.ndarray, train: MultiTaskData, columns: Columns) -> MixedLMResults | None:
    """The fitted model, with one variance for each group of columns; None without convergence."""
    y, task = train.y.double().numpy(), train.task.numpy()
    ids = np.unique(task)
    names = [f"w{group[0]}" for group in columns]
    spec = VCSpec(
        names,
        [[[f"w{d}" for d in group] for _ in ids] for group in columns],
        [[x[task == t][:, list(group)] for t in ids] for group in columns],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence is read from the result instead
        try:
            result = MixedLM(y, x, groups=task, exog_vc=spec).fit(method=["powell"], reml=True)
        except np.linalg.LinAlgError:
            return None
    return result if result.converged and np.isfinite(result.llf) else None


def _condition(
    result: MixedLMResults, columns: Columns, train: MultiTaskData, intercept: bool
) -> GaussianHierarchy:
    moments = task_moments(train, intercept)
    variance = torch.zeros(moments.cross.shape[1], dtype=torch.float64)
    for group, value in zip(columns, result.vcomp, strict=True):
        variance[list(group)] = float(value)
    noise = torch.tensor(float(result.scale), dtype=torch.float64)
    return condition(moments, variance, noise, intercept)
