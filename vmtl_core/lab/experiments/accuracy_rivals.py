"""The rivals of the default in the comparison of all methods: what a statistician would choose.

Each takes training and test set, a seed and steps of Adam, which most have no use for; each returns
the predictive of the test set's targets.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.distributions import Categorical, Distribution, Independent, Normal

from vmtl_core.lab import baselines
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.experiments import accuracy_fits as fits
from vmtl_core.lab.experiments.accuracy_fits import has_intercept

WIDE = 3.0
"""Standard deviation of a wide prior: log odds or log rates, or sds of the target over those of inputs."""
DRAWS = 4096
"""Of a mixed logit's population: twice as many move its score on tables by less than 0.0005 nats."""


def single(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """Every task alone under N(0, I) or, for regressions, N(0, v I): exact, or by `fit`."""
    if train.kind == "regression":
        return baselines.single_task_bayes(
            train, test, intercept=has_intercept(train)
        ).distribution()
    return fits.own_data(train, test, seed, steps, base_prior="standard")


def pooled(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """All examples as those of one task: Bayesian regression, penalised logistic or Poisson one."""
    intercept = has_intercept(train)
    if train.kind == "regression":
        return baselines.pooled_bayes(train, test, intercept).distribution()
    if train.kind == "counts":
        return baselines.pooled_poisson(train, test, intercept=intercept)
    probs = baselines.pooled_logistic(train, test, intercept=intercept).probs
    return Categorical(probs=probs.clamp_min(1e-9))  # a label that was never seen has none


def hierarchical(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """Empirical Bayes, w_t ~ N(m_0, diag v_0): exact for regressions, by `fit` otherwise.

    Also where all tasks together have fewer examples than weights: m_0 needs its prior there.
    """
    if train.kind == "regression" and len(train) > train.x.shape[1]:
        intercept = has_intercept(train)
        return baselines.hierarchical_gaussian(train, test, intercept).distribution()
    return fits.own_data(train, test, seed, steps)


def mixture(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """A Dirichlet-process mixture of regressions: groups of tasks, by Gibbs sampling."""
    return baselines.dirichlet_mixture(train, test, has_intercept(train), seed)


def wide(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """Every task alone under a wide prior: three units a weight."""
    if train.kind == "regression":
        found = baselines.single_task_bayes(train, test, intercept=has_intercept(train), sd=WIDE)
        return found.distribution()
    size = train.x.shape[1] + has_intercept(train)
    prior = Independent(Normal(torch.zeros(size), torch.full((size,), WIDE)), 1)
    return fits.own_data(train, test, seed, steps, base_prior=prior)


def random_intercept(
    train: MultiTaskData, test: MultiTaskData, seed: int, steps: int
) -> Distribution:
    """A linear mixed model in which tasks differ by a constant, restricted likelihood."""
    found = baselines.hierarchical_mixed(train, test, has_intercept(train), random_slopes=False)
    return found.distribution()


def mixed_model(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """A linear mixed model in which all weights differ, independently; restricted likelihood."""
    return baselines.hierarchical_mixed(train, test, has_intercept(train)).distribution()


def correlated_model(
    train: MultiTaskData, test: MultiTaskData, seed: int, steps: int
) -> Distribution:
    """The same with all covariances of the weights."""
    return baselines.correlated_mixed(train, test, has_intercept(train)).distribution()


def boosting(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """Gradient boosting of trees with the task as one more input."""
    return baselines.boosted_trees(train, test, seed)


def mixed_logit(
    train: MultiTaskData, test: MultiTaskData, seed: int, steps: int, **options: bool
) -> Distribution:
    """Logistic regressions of one population, by simulated maximum likelihood."""
    train, test = (with_intercept(data) for data in (train, test))
    found = baselines.fit_mixed_logit(train, draws=DRAWS, **options).predict(test).probs
    return Categorical(probs=found.clamp_min(0))


def with_intercept(data: MultiTaskData) -> MultiTaskData:
    """A column of ones behind the inputs, where there is an intercept."""
    if not has_intercept(data):
        return data
    x = torch.cat([data.x, data.x.new_ones(len(data), 1)], 1)
    return replace(data, x=x, input_names=(*data.input_names, "one"))
