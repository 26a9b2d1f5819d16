"""Methods to compare with: one model per task, one for all, and the Gaussian hierarchy.

All take a training and a test set and return a prediction for every test row.  They expect
standardised data: ``train, test = train.standardise(test)``.  All run on the CPU.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from vmtl_core.lab.baselines.gaussian_hierarchy import fit_hierarchy
from vmtl_core.lab.baselines.logistic import pooled_logistic, pooled_poisson, single_task_logistic
from vmtl_core.lab.baselines.mixed import fit_correlated, fit_mixed
from vmtl_core.lab.baselines.moments import design
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.scores import ClassPrediction, Prediction, check_pair

__all__ = [
    "ClassPrediction",
    "Prediction",
    "correlated_mixed",
    "hierarchical_gaussian",
    "hierarchical_mixed",
    "pooled_bayes",
    "pooled_logistic",
    "pooled_poisson",
    "pooled_ridge",
    "single_task_bayes",
    "single_task_logistic",
    "single_task_ridge",
]


def single_task_ridge(
    train: MultiTaskData, test: MultiTaskData, penalty: float = 5.0, intercept: bool = True
) -> Prediction:
    """Ridge regression for each task alone: minimises sum (y - w_t . x)^2 + penalty |w_t|^2.

    The intercept is penalised too: from five examples a free one is too noisy.  So it is shrunk to
    the mean of the standardised target.

    Args:
        train: training set, with at least one example of every task that is tested.
        test: test set with the same tasks.
        penalty: at least 0, in units of one standardised example.
        intercept: add a constant input.

    Returns:
        The mean, without a standard deviation.

    Raises:
        ValueError: if a tested task has no training example, or the sets do not fit together.
    """
    check_pair(train, test)
    mean = torch.empty_like(test.y)
    for seen, new in zip(train.task_rows, test.task_rows, strict=True):
        if len(new):
            mean[new] = _ridge(train.rows(seen), test.rows(new), penalty, intercept)
    return Prediction(mean)


def pooled_ridge(
    train: MultiTaskData, test: MultiTaskData, penalty: float = 1.0, intercept: bool = True
) -> Prediction:
    """Ridge regression on the examples of all tasks together, blind to the task.

    Args, Returns and Raises as :func:`single_task_ridge`.
    """
    check_pair(train, test)
    return Prediction(_ridge(train, test, penalty, intercept))


def single_task_bayes(
    train: MultiTaskData,
    test: MultiTaskData,
    shared: bool = True,
    intercept: bool = True,
    sd: float | None = None,
) -> Prediction:
    """Bayesian linear regression for each task alone, w_t ~ N(0, v I), noise variance s^2.

    v and s^2 maximise the evidence.  ``shared``: of all tasks together, so that tasks share two
    numbers but no weights.  Otherwise each task has its own, and with few examples per weight that
    can pick s^2 near 0, hence absurdly confident predictions.

    Args:
        train: training set, with at least one example of every task that is tested.
        test: test set with the same tasks.
        shared: one v and s^2 for all tasks.
        intercept: add a constant input, with the same prior as the other weights.
        sd: with ``shared``, fixes the prior: a weight's standard deviation in units of the target's
            root mean square over its input's; None learns v.

    Returns:
        Predictive mean and standard deviation.

    Raises:
        ValueError: if a tested task has no training example, or the sets do not fit together.

    References:
        C. Bishop, *Pattern Recognition and Machine Learning*, 2006, sections 3.3 and 3.5.
    """
    check_pair(train, test)
    if shared:
        fit = fit_hierarchy(train, intercept, learn_mean=False, isotropic=True, sd=sd)
        return fit.predict(test)
    mean, spread = torch.empty_like(test.y), torch.empty_like(test.y)
    for seen, new in zip(train.task_rows, test.task_rows, strict=True):
        if len(new):
            alone = pooled_bayes(train.rows(seen), test.rows(new), intercept).distribution()
            mean[new], spread[new] = alone.mean, alone.stddev
    return Prediction(mean, spread)


def pooled_bayes(train: MultiTaskData, test: MultiTaskData, intercept: bool = True) -> Prediction:
    """Bayesian linear regression on all examples together, blind to the task.

    Args, Returns and Raises as :func:`single_task_bayes`.
    """
    check_pair(train, test)
    fit = fit_hierarchy(_merged(train), intercept, learn_mean=False, isotropic=True)
    return fit.predict(_merged(test))


def hierarchical_gaussian(
    train: MultiTaskData, test: MultiTaskData, intercept: bool = True
) -> Prediction:
    """Exact empirical Bayes: w_t ~ N(m_0, diag v_0), all three fitted by marginal likelihood.

    The predictive variance is that of the noise, of w_t given m_0, and of m_0.  The fitted
    hierarchy itself comes from ``gaussian_hierarchy.fit_hierarchy``.

    Args, Returns and Raises as :func:`single_task_bayes`.
    """
    check_pair(train, test)
    return fit_hierarchy(train, intercept).predict(test)


def hierarchical_mixed(
    train: MultiTaskData,
    test: MultiTaskData,
    intercept: bool = True,
    random_slopes: bool = True,
) -> Prediction:
    """Linear mixed model: the same hierarchy, variances by statsmodels' restricted likelihood.

    Falls back to a random intercept only where random slopes do not converge; see
    ``mixed.fit_mixed``.  Random slopes take seconds for 131 tasks.

    Args, Returns and Raises as :func:`single_task_bayes`; ``random_slopes`` false goes to the
    random intercept at once.
    """
    check_pair(train, test)
    return fit_mixed(train, intercept, random_slopes).predict(test)


def correlated_mixed(
    train: MultiTaskData, test: MultiTaskData, intercept: bool = True
) -> Prediction:
    """Linear mixed model in which a task's weights are correlated: all covariances, by REML.

    Where that search fails, :func:`hierarchical_mixed`; see ``mixed.fit_correlated``.

    Args, Returns and Raises as :func:`single_task_bayes`.
    """
    check_pair(train, test)
    return fit_correlated(train, intercept).predict(test)


def _ridge(train: MultiTaskData, test: MultiTaskData, penalty: float, intercept: bool) -> Tensor:
    model = Ridge(alpha=penalty, fit_intercept=False)
    model.fit(design(train.x, intercept).numpy(), train.y.double().numpy())
    return torch.as_tensor(model.predict(design(test.x, intercept).numpy())).to(test.y)


def _merged(data: MultiTaskData) -> MultiTaskData:
    """All examples as those of one task."""
    return replace(
        data, task=torch.zeros_like(data.task), task_names=("all",), truth=None, groups=None
    )
