"""Every method on every data set, scored on held-out examples: what `benchmarks/accuracy.py` runs.

The sets are those of `accuracy_sets`, the methods those of `accuracy_methods`; what is made of the rows
is in `accuracy_tables`.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.distributions import Distribution

from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.experiments.accuracy_fits import FEWER, STEPS
from vmtl_core.lab.experiments.accuracy_methods import METHODS, Method, methods, seeds
from vmtl_core.lab.experiments.accuracy_sets import FIRST, IMAGES, SETS
from vmtl_core.lab.experiments.accuracy_tables import (
    RESULTS,
    VERSIONS,
    against,
    against_best,
    best_rivals,
    difference,
    paired,
    results,
    versions,
)
from vmtl_core.lab.scores import (
    count_coverage,
    count_error,
    coverage,
    expected_calibration_error,
    log_score,
    nmse,
)

__all__ = [
    "FIRST",
    "METHODS",
    "RESULTS",
    "SETS",
    "VERSIONS",
    "against",
    "against_best",
    "best_rivals",
    "difference",
    "methods",
    "paired",
    "results",
    "run",
    "score",
    "seeds",
    "versions",
]

LARGE = ("chem97", *IMAGES)
"""Sets on which Adam takes fewer steps."""


def score(predictive: Distribution, data: MultiTaskData) -> dict[str, float]:
    """How good a predictive of the targets is.

    Returns:
        error: NMSE of a regression, relative absolute error of counts, share of wrong labels of a
        classification; log_score: mean log density or probability, nats an example; calibration:
        coverage of 90 % intervals, or expected calibration error.
    """
    score = log_score(predictive, data.y).item()
    if data.kind == "classification":
        probs = _class_probs(predictive)
        error = (probs.argmax(1) != data.y).double().mean()
        calibration = expected_calibration_error(probs, data.y)
    elif data.kind == "counts":
        error, calibration = count_error(predictive, data.y), count_coverage(predictive, data.y)
    else:
        error, calibration = nmse(predictive.mean, data.y), coverage(predictive, data.y)
    return {"error": error.item(), "log_score": score, "calibration": calibration.item()}


def run(name: str, method: str, seed: int, call: Method | None = None) -> dict[str, Any]:
    """Train and score one method on one split: a row of the table of results.

    Args:
        name: of `SETS`.
        method: of `methods(name)`, or a name for `call`.
        seed: of the split, of generated data and of the fit.
        call: the function behind the name, None if it is in `METHODS`.

    Returns:
        set, method, seed, the scores of `score`, and processor seconds of
        training and predicting.
    """
    train, test = SETS[name](seed)
    call = call or METHODS[method]
    began = time.process_time()
    predictive = call(train, test, seed, FEWER if name in LARGE else STEPS)
    seconds = time.process_time() - began
    head = {"set": name, "method": method, "seed": seed}
    return head | score(predictive, test) | {"seconds": seconds}


def _class_probs(predictive: Distribution) -> torch.Tensor:
    """Probability of every label, (N, C)."""
    probs = predictive.probs if hasattr(predictive, "probs") else predictive.mean
    return probs if probs.ndim == 2 else torch.stack([1 - probs, probs], 1)
