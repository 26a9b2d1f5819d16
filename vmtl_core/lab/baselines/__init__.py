"""Methods to compare with: regressions, alone and in groups, hierarchies, mixed models, networks.

The function `mixed_logit` stays in the module of that name, where `fit_mixed_logit` is too.
"""

from vmtl_core.lab.baselines.boosting import boosted_trees
from vmtl_core.lab.baselines.digit_networks import SharedEncoder, Trunk, features, fit_trunk
from vmtl_core.lab.baselines.gaussian_hierarchy import (
    GaussianHierarchy,
    condition,
    fit_hierarchy,
)
from vmtl_core.lab.baselines.logistic import pooled_logistic, pooled_poisson, single_task_logistic
from vmtl_core.lab.baselines.mixed import fit_correlated, fit_mixed
from vmtl_core.lab.baselines.mixed_logit import (
    MixedLogit,
    first_negative,
    fit_mixed_logit,
    normal_draws,
    task_log_likelihood,
)
from vmtl_core.lab.baselines.moments import Moments, design, task_moments
from vmtl_core.lab.baselines.regression_groups import (
    RegressionGroups,
    dirichlet_mixture,
    fit_groups,
)
from vmtl_core.lab.baselines.regressions import (
    correlated_mixed,
    hierarchical_gaussian,
    hierarchical_mixed,
    pooled_bayes,
    pooled_ridge,
    single_task_bayes,
    single_task_ridge,
)

__all__ = [
    "GaussianHierarchy",
    "MixedLogit",
    "Moments",
    "RegressionGroups",
    "SharedEncoder",
    "Trunk",
    "boosted_trees",
    "condition",
    "correlated_mixed",
    "design",
    "dirichlet_mixture",
    "features",
    "first_negative",
    "fit_correlated",
    "fit_groups",
    "fit_hierarchy",
    "fit_mixed",
    "fit_mixed_logit",
    "fit_trunk",
    "hierarchical_gaussian",
    "hierarchical_mixed",
    "normal_draws",
    "pooled_bayes",
    "pooled_logistic",
    "pooled_poisson",
    "pooled_ridge",
    "single_task_bayes",
    "single_task_logistic",
    "single_task_ridge",
    "task_log_likelihood",
    "task_moments",
]
