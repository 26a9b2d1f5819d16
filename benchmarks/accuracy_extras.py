"""Rivals of the accuracy table whose packages are extras, `pip install "vmtl-core[bench]"`."""

from collections.abc import Callable
from typing import NamedTuple

from torch.distributions import Distribution

from benchmarks import rivals
from benchmarks.packages import found, versions
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.experiments import accuracy
from vmtl_core.lab.experiments import accuracy_sets as sets
from vmtl_core.lab.experiments.accuracy_methods import Method

NUTS_SEEDS = 10
"""Of a generated set: a fit takes ten seconds and more."""


class Extra(NamedTuple):
    """How a rival is called, its packages, and the sets that it is left out of."""

    fit: Callable[[MultiTaskData, MultiTaskData, int], rivals.Fit]
    packages: tuple[str, ...]
    without: tuple[str, ...] = ()


EXTRAS: dict[str, Extra] = {
    "mixed model, gpboost": Extra(rivals.gpboost_slopes, ("gpboost",)),
    "full Bayes, NUTS": Extra(rivals.nuts_hierarchy, ("numpyro", "jax"), ("chem97",)),
}
"""By name, behind those of `accuracy.METHODS`. On chem97 NUTS takes many minutes a fit."""

PACKAGES = {
    "mixed model": ("statsmodels",),
    "mixed model, correlated": ("statsmodels",),
    "random intercept": ("statsmodels",),
    "boosted trees": ("scikit-learn",),
}
"""Besides torch, numpy and scipy."""


def call(method: str) -> Method | None:
    """The function behind an extra, None for a method of the laboratory."""
    if method not in EXTRAS:
        return None

    def predictive(
        train: MultiTaskData, test: MultiTaskData, seed: int, steps: int
    ) -> Distribution:
        return EXTRAS[method].fit(train, test, seed).predictive

    return predictive


def seeds(name: str, method: str) -> int:
    """How many seeds an extra is scored with on a set; none on images and where it is left out."""
    if name in sets.IMAGES or name in EXTRAS[method].without:
        return 0
    most = NUTS_SEEDS if method == "full Bayes, NUTS" else sets.SEEDS
    return min(most, accuracy.seeds(name, method))


def version(method: str) -> str:
    """The packages that a method stands on, with their versions."""
    return versions(_packages(method))


def installed(method: str) -> bool:
    """Whether all packages that a method needs are there."""
    return found(_packages(method))


def _packages(method: str) -> tuple[str, ...]:
    known = EXTRAS[method].packages if method in EXTRAS else PACKAGES.get(method, ())
    return ("vmtl-core", "torch", *known)
