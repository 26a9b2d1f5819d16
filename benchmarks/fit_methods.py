"""The methods of `benchmarks/fit.py`, and a row of its table for one method on one split."""

import importlib
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.distributions import Bernoulli, Independent, Normal

import vmtl_core as vmtl
from benchmarks import rivals
from benchmarks.fit_sets import ALL_CHEM, ALONE, GENERATED, SCALING, SETS, TABLES, TEXTBOOK
from benchmarks.packages import found, versions
from benchmarks.rivals import Fit
from vmtl_core.lab.baselines import hierarchical_gaussian
from vmtl_core.lab.baselines.mixed_logit import mixed_logit
from vmtl_core.lab.baselines.moments import design, task_moments
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.experiments.accuracy import score

NEIGHBOURS = 20
COLUMNS = ["set", "method", "seed", "tasks", "seconds", "error", "log_score", "calibration"]
COLUMNS += ["memory", "growth", "version", "note"]
"""Of a row; see `run` and the README of the stored results."""


def variational(train: MultiTaskData, test: MultiTaskData, seed: int = 0, **options: Any) -> Fit:
    """`MultiTaskELBO` as the README calls it."""
    x, x_new = (design(d.x, rivals.has_intercept(d)).to(d.x) for d in (train, test))
    likelihood = vmtl.LinearGaussian() if train.kind == "regression" else vmtl.LinearBernoulli()
    weights = vmtl.GaussianWeights(train.tasks, (x.shape[1],))
    model = vmtl.MultiTaskELBO(likelihood, weights, task_sizes=train.task_sizes, **options)
    vmtl.fit(model, x, train.y, train.task, progress=False)
    return Fit(vmtl.predictive(model, x_new, test.task))


def textbook_error(train: MultiTaskData) -> float:
    """Largest deviation of the own-data posteriors from conjugacy, mean or covariance.

    Noise and prior are known: precision X'X / s^2 + 1 / v, mean C (X'y / s^2 + m / v); Bishop 2006,
    (3.50) and (3.51).
    """
    inputs, noise = train.x.shape[1], 0.5
    mean = torch.linspace(-0.5, 0.5, inputs).to(train.x)
    sd = torch.linspace(0.5, 1.5, inputs).to(train.x)
    weights = vmtl.GaussianWeights(train.tasks, (inputs,)).to(train.x)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(scale=noise).to(train.x),
        weights,
        task_sizes=train.task_sizes,
        base_prior=Independent(Normal(mean, sd), 1),
    )
    vmtl.fit(model, train.x, train.y, train.task, progress=False)
    found: Any = model.source_weights()
    moments = task_moments(train, intercept=False)
    covariance = (moments.gram / noise**2 + torch.diag(sd**-2)).inverse()
    natural = moments.cross / noise**2 + mean / sd**2
    wanted = (covariance @ natural.unsqueeze(-1)).squeeze(-1)
    gaps = (found.mean - wanted, found.covariance_matrix - covariance)
    return max(gap.abs().max().item() for gap in gaps)


def neighbours(count: int, train: MultiTaskData, test: MultiTaskData, seed: int = 0) -> Fit:
    """The default with at most `count` candidate sources a task; 0 is the base prior alone."""
    return variational(train, test, seed, neighbours=min(count, train.tasks - 1))


def hierarchy(train: MultiTaskData, test: MultiTaskData, seed: int = 0) -> Fit:
    """The exact Gaussian hierarchy of the book."""
    return Fit(hierarchical_gaussian(train, test, rivals.has_intercept(train)).distribution())


def logit(train: MultiTaskData, test: MultiTaskData, seed: int = 0, **options: bool) -> Fit:
    """The mixed logit of the book, by simulation."""
    return Fit(Bernoulli(probs=mixed_logit(train, test, **options).probs[:, 1].clamp(0, 1)))


class Method(NamedTuple):
    """How a method is called, the packages it needs, and how many splits of each set it gets."""

    call: Callable[..., Fit]
    packages: tuple[str, ...]
    splits: dict[str, int]


TEN = dict.fromkeys(GENERATED, 10)
ONCE = dict.fromkeys(SCALING, 1)
METHODS: dict[str, Method] = {
    "VMTL": Method(
        variational,
        ("vmtl-core",),
        {TEXTBOOK: 1, **dict.fromkeys(TABLES, 10), **TEN, ALL_CHEM: 1},
    ),
    "VMTL, base prior alone": Method(partial(neighbours, 0), ("vmtl-core",), ONCE),
    "VMTL, 20 neighbours": Method(partial(neighbours, NEIGHBOURS), ("vmtl-core",), ONCE),
    "exact hierarchy": Method(hierarchy, ("scipy",), {"schools": 10, **TEN, ALL_CHEM: 1}),
    "mixed logit": Method(logit, ("torch",), {"rail choices": 10, "linked tasks": 10}),
    "mixed logit, correlated": Method(
        partial(logit, correlated=True), ("torch",), {"rail choices": 10}
    ),
    "MixedLM": Method(rivals.mixedlm_slopes, ("statsmodels",), {"schools": 3, **TEN}),
    "gpboost": Method(
        rivals.gpboost_slopes,
        ("gpboost",),
        {**dict.fromkeys(TABLES, 10), **TEN, ALL_CHEM: 1, **ONCE},
    ),
    "NUTS": Method(rivals.nuts_hierarchy, ("numpyro", "jax"), {"schools": 1, "rail choices": 1}),
}
"""Methods by name, in the order of the results."""


def version(method: str) -> str:
    """The packages that a method stands on, with their versions."""
    return versions(METHODS[method].packages)


def installed(method: str) -> bool:
    """Whether all packages that a method needs are there."""
    return found(METHODS[method].packages)


def peak_memory() -> float:
    """The most memory that this process has held so far, MiB.

    Linux hands the parent's peak down in `getrusage`, so its own book-keeping is read first.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2 ** (20 if sys.platform == "darwin" else 10)


def run(name: str, method: str, seed: int) -> dict[str, Any]:
    """Fit and predict one split by one method: a row of the table, without its memory.

    Returns:
        set, method, seed, number of tasks, processor seconds of fit and prediction, the scores of
        `lab.accuracy.score` (none where the rows that are predicted were trained on; for the textbook
        `error` is that of `textbook_error`), versions, and a note.
    """
    for package in METHODS[method].packages:  # importing is not fitting
        importlib.import_module(package.replace("-", "_"))
    train, test = SETS[name](seed)
    row: dict[str, Any] = {"set": name, "method": method, "seed": seed, "tasks": train.tasks}
    row |= {"version": version(method), "note": ""}
    before, began = peak_memory(), time.process_time()
    if name == TEXTBOOK:
        row["error"] = textbook_error(train)
    else:
        fit = METHODS[method].call(train, test, seed)
        row["note"] = fit.note
    row["seconds"] = time.process_time() - began
    if name in ALONE:
        peak = peak_memory()
        row |= {"memory": peak, "growth": peak - before}
    if name not in (TEXTBOOK, ALL_CHEM):
        row |= score(fit.predictive, test)
    return row
