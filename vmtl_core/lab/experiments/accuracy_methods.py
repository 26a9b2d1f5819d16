"""The methods of the comparison, by name, and which sets each is scored on.

What each is fitted by:

- VMTL's default, its pairs, their base prior alone and transfer width, single-task and hierarchical
  of labels and counts: on tables `vmtl.fit` as it comes, in closed form; on images by Adam, a few hundred
  steps, with sampled expectations (see `accuracy_fits.images`);
- single-task, pooled and hierarchical of regressions: exact Bayesian regression, without `fit`;
- mixed models: statsmodels, restricted likelihood; mixed logits: simulated likelihood;
- the Dirichlet-process mixture of regressions: Gibbs sampling, as many sweeps on each of its sets;
- VMTL with diagonal posteriors: Adam, for mean field has no closed form;
- the paper, the weighted sum, the weighted mean of the KLs ("convex"): Adam with sampled expectations,
  as in their sources;
- the trunk and the networks: Adam.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch.distributions import Categorical, Distribution, Normal

from vmtl_core.lab import baselines
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.experiments import accuracy_fits as fits
from vmtl_core.lab.experiments import accuracy_rivals as rivals
from vmtl_core.lab.experiments import accuracy_sets as sets
from vmtl_core.lab.experiments import digit_models

KL_FACTOR = 6e-3
"""The largest factor before the KL of w in the authors' code; with 1 its posteriors collapse."""

Method = Callable[[MultiTaskData, MultiTaskData, int, int], Distribution]


def default(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """`MultiTaskELBO` and, on tables, `fit` as they come."""
    return fits.as_it_comes(train, test, seed, steps)


def pairs(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """The mixture over single tasks, (2.4), in closed form; on images it is the default."""
    return fits.as_it_comes(train, test, seed, steps, sources="own")


def base_alone(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """The same without sources: every task under the learned base prior."""
    return fits.as_it_comes(train, test, seed, steps, sources="own", neighbours=0)


def diagonal(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """Pairs with mean-field posteriors, by Adam."""
    return fits.variational(train, test, seed, steps, sources="own", covariance="diagonal")


def width(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """Pairs with a transfer width in units of the weights, (2.6) in the place of (12.5)."""
    return fits.as_it_comes(train, test, seed, steps, sources="own", transfer="learned")


def paper(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """`MultiTaskELBO.paper`: previous posteriors, sampled KL."""
    return fits.variational(train, test, seed, steps, paper=True, divergence_samples=2)


def weighted_sum(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """As the authors' code: previous posteriors, the law of the weighted sum, a small KL factor."""
    return fits.variational(
        train, test, seed, steps, kl_factor=KL_FACTOR, paper=True, divergence="weighted_sum"
    )


def convex(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """As the other public implementation: joint posteriors, weighted mean of the KLs."""
    return fits.variational(
        train, test, seed, steps, paper=True, sources="joint", divergence="convex"
    )


def trunk(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """A hidden layer for all tasks and a linear head for each, without a posterior.

    The noise of a regression is that of a trunk fitted to three images in five, on the others.
    """
    scale = train.x.square().mean().sqrt()
    train, test = (replace(data, x=data.x / scale) for data in (train, test))
    network = baselines.fit_trunk(train, steps, seed)
    with torch.no_grad():
        found = network(test.x, test.task)
    if train.kind == "classification":
        return Categorical(logits=found)
    return Normal(found[:, 0], torch.tensor(digit_models.noise_of_unseen(train, seed)[1]))


def amortised(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """VMTL-AC: a network makes the classifiers from the class means."""
    return fits.network("amortised", train, test, seed, steps)


def encoders(train: MultiTaskData, test: MultiTaskData, seed: int, steps: int) -> Distribution:
    """An encoder for each domain, latents with beta, joint sources."""
    return fits.network("separate encoders", train, test, seed, steps)


METHODS: dict[str, Method] = {
    "single-task": rivals.single,
    "single-task, wide prior": rivals.wide,
    "pooled": rivals.pooled,
    "hierarchical": rivals.hierarchical,
    "random intercept": rivals.random_intercept,
    "mixed model": rivals.mixed_model,
    "mixed model, correlated": rivals.correlated_model,
    "mixed logit": rivals.mixed_logit,
    "mixed logit, correlated": partial(rivals.mixed_logit, correlated=True),
    "mixed logit, log-normal price": partial(rivals.mixed_logit, negative_first=True),
    "boosted trees": rivals.boosting,
    "Dirichlet-process mixture": rivals.mixture,
    "VMTL, paper": paper,
    "VMTL, weighted sum": weighted_sum,
    "VMTL, convex": convex,
    "VMTL, base prior alone": base_alone,
    "VMTL, pairs": pairs,
    "VMTL, default": default,
    "VMTL, diagonal": diagonal,
    "VMTL, transfer width": width,
    "shared trunk": trunk,
    "VMTL-AC": amortised,
    "VMTL, encoders": encoders,
}
"""Methods by name, in the order of the results."""

NETWORKS = ("shared trunk", "VMTL-AC", "VMTL, encoders")
"""Methods for images alone."""
LADDER = ("VMTL, paper", "VMTL, weighted sum", "VMTL, convex")
"""Bare mixtures, fitted by Adam; on the first eleven sets alone, with ten seeds."""
ABLATIONS = ("VMTL, diagonal", "VMTL, transfer width")
"""Pairs with a part taken back, on the first eleven sets, with ten seeds."""
OURS = ("VMTL, base prior alone", "VMTL, pairs", *ABLATIONS)
"""Parts of the default, which are no rivals of it."""
LINEAR = (
    "random intercept",
    "mixed model",
    "mixed model, correlated",
    "Dirichlet-process mixture",
)
"""Methods for regressions of few weights."""
LOGIT = ("mixed logit", "mixed logit, correlated", "mixed logit, log-normal price")
"""Methods for labels of two kinds and few weights."""
SLOW = {
    "Dirichlet-process mixture": ("schools", "chem97"),
    "mixed model, correlated": ("chem97",),
    "boosted trees": ("chem97",),
}
"""Sets that a method is left out of, for a fit takes a minute or more."""
TEN_SEEDS = (*LADDER, *ABLATIONS, "boosted trees")
"""Methods that generated sets have ten seeds of: they are far behind or slow."""


def methods(name: str) -> list[str]:
    """The methods that set `name` is scored with."""
    return [method for method in METHODS if _takes(method, name)]


def _takes(method: str, name: str) -> bool:
    if name in sets.IMAGES:
        tabular = (*LINEAR, *LOGIT, "boosted trees", "single-task, wide prior")
        labels = name != "rotated digits"
        return method not in tabular and (labels or method not in NETWORKS[1:])
    if method in (*LADDER, *ABLATIONS) and name not in sets.FIRST:
        return False
    if name in SLOW.get(method, ()) or method in NETWORKS:
        return False
    kind = sets.KINDS.get(name, "regression")
    if method in LINEAR:
        shifted = name in sets.TABLES or name in sets.NEW_TABLES  # these have an intercept
        return kind == "regression" and (shifted or method != "random intercept")
    if method in LOGIT:
        return kind == "classification" and (name == "rail choices" or method != LOGIT[-1])
    return True


def seeds(name: str, method: str) -> int:
    """How many seeds a method is scored with on a set."""
    slow = (method, name) == ("Dirichlet-process mixture", "clusters, 100 tasks")
    return sets.SPLITS if slow or method in TEN_SEEDS else sets.seeds(name)
