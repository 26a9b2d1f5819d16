"""Ways to learn the digits, scored on held-out images: the experiments of chapter 10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Normal

from vmtl_core.lab import baselines
from vmtl_core.lab.baselines import features, fit_trunk
from vmtl_core.lab.datasets import (
    MultiTaskData,
    digit_domains,
    inverted_digits,
    rotated_digits,
    scale_images,
)
from vmtl_core.lab.experiments.digit_models import (
    angle_model,
    classify,
    fit,
    make_classifier,
    noise_of_unseen,
    predict_angles,
)
from vmtl_core.lab.scores import (
    accuracy,
    coverage,
    expected_calibration_error,
    log_score,
    nmse,
)

RESULTS = "digits.csv"
DOMAIN_METHODS = (
    "single",
    "pooled",
    "trunk with heads",
    "default",
    "fixed base prior",
    "amortised",
    "separate encoders",
    "separate encoders, own sources",
    "shared encoder",
    "paper",
)
OUTLIER_METHODS = ("single", "default", "fixed base prior")
ANGLE_METHODS = (
    "single",
    "pooled",
    "trunk with heads",
    "default on pixels",
    "default on features",
    "default on features, noise from unseen images",
)

PIXEL_METHODS = ("single", "pooled", "default on pixels")


def domains(n: int, seed: int) -> tuple[MultiTaskData, MultiTaskData]:
    """`n` images of each of the six domains to train on, and the rest; scaled by the former."""
    train, test = digit_domains().split(n, seed)
    train, test = scale_images(train, test)
    return train, test


def with_outlier(n: int, seed: int) -> tuple[MultiTaskData, MultiTaskData]:
    """Four domains as they are, and as a fifth optdigits with digit d labelled d + 5 modulo 10.

    No image is in two domains.
    """
    four, odd = digit_domains().subset([0, 1, 3, 4]), inverted_digits().subset([2])
    together = replace(
        four,
        x=torch.cat([four.x, odd.x]),
        y=torch.cat([four.y, odd.y]),
        task=torch.cat([four.task, odd.task + 4]),
        task_names=(*four.task_names, "optdigits relabelled"),
    )
    train, test = together.split(n, seed)
    train, test = scale_images(train, test)
    return train, test


def angles(n: int, seed: int) -> tuple[MultiTaskData, MultiTaskData]:
    """`n` images of each rotated digit to train on, and the rest; scaled by the former."""
    train, test = rotated_digits().split(n, seed)
    train, test = scale_images(train, test)
    return train, test


SETS = {"domains": domains, "outlier": with_outlier, "angles": angles}
METHODS = {"domains": DOMAIN_METHODS, "outlier": OUTLIER_METHODS, "angles": ANGLE_METHODS}


def classes_of(method: str, train: MultiTaskData, test: MultiTaskData, seed: int) -> Tensor:
    """Fit any of `DOMAIN_METHODS` and give the probabilities of the test images, (N, C)."""
    if method == "pooled":
        return baselines.pooled_logistic(train, test).probs
    if method == "trunk with heads":
        trunk = fit_trunk(train, seed=seed)
        with torch.no_grad():
            return trunk(test.x, test.task).softmax(-1)
    model = make_classifier(train, method, seed=seed)
    fit(model, train, seed=seed)
    return classify(model, test)


def score_classes(probs: Tensor, y: Tensor) -> dict[str, float]:
    """Accuracy, mean log probability of the label (nats), calibration error."""
    certain = Categorical(probs=probs.clamp_min(1e-9))
    return {
        "accuracy": accuracy(probs, y).item(),
        "log_score": log_score(certain, y).item(),
        "calibration": expected_calibration_error(probs, y).item(),
    }


def angle_predictive(
    method: str, train: MultiTaskData, test: MultiTaskData, seed: int
) -> Distribution:
    """Fit any of `ANGLE_METHODS` and give the predictive of the test images' angles, (N,)."""
    if method in PIXEL_METHODS:
        length = train.x.shape[1] ** 0.5  # now a row has length 1 on average, as `features` has
        train, test = (replace(d, x=d.x / length) for d in (train, test))
    if method in ("single", "pooled"):
        bayes = baselines.single_task_bayes if method == "single" else baselines.pooled_bayes
        return bayes(train, test).distribution()
    noise = None
    if method == "trunk with heads":
        trunk = fit_trunk(train, seed=seed)
        with torch.no_grad():
            mean = trunk(test.x, test.task)[:, 0]
        return Normal(mean, torch.tensor(noise_of_unseen(train, seed)[1]))
    if method not in PIXEL_METHODS:
        if method == ANGLE_METHODS[-1]:
            noise = noise_of_unseen(train, seed)[0]
        train, test = features(fit_trunk(train, seed=seed), train, test)
    model = angle_model(train, noise)
    fit(model, train, seed=seed)
    return predict_angles(model, test)


def score_angles(predictive: Distribution, y: Tensor) -> dict[str, float]:
    """NMSE, mean log density (nats) and coverage of 90 % intervals."""
    return {
        "nmse": nmse(predictive.mean, y).item(),
        "log_score": log_score(predictive, y).item(),
        "coverage": coverage(predictive, y).item(),
    }


def compare(task: str, n: int, seed: int, methods: Sequence[str] | None = None) -> pd.DataFrame:
    """Train on `n` images a domain or digit and score on the rest.

    Args:
        task: "domains" (labels of six domains), "outlier" (of `with_outlier`) or "angles" (of ten
            rotated digits).
        n: training images of each.
        seed: of the split and of the fits.
        methods: which of `METHODS[task]`; all of them if None.

    Returns:
        One row a method: task, n, seed, method, accuracy, log_score, calibration, nmse, coverage,
        odd_one (accuracy on the outlier alone); empty where a score has no meaning.
    """
    rows = []
    train, test = SETS[task](n, seed)
    for method in METHODS[task] if methods is None else methods:
        if task == "angles":
            scores = score_angles(angle_predictive(method, train, test, seed), test.y)
        else:
            probs = classes_of(method, train, test, seed)
            scores = score_classes(probs, test.y)
            odd = test.task_rows[-1]
            if task == "outlier":
                scores["odd_one"] = accuracy(probs[odd], test.y[odd]).item()
        rows.append({"task": task, "n": n, "seed": seed, "method": method} | scores)
    columns = ["task", "n", "seed", "method", "accuracy", "log_score", "calibration"]
    return pd.DataFrame(rows).reindex(columns=[*columns, "nmse", "coverage", "odd_one"])


def results() -> pd.DataFrame:
    """The table that `benchmarks/digits.py` stored."""
    return pd.read_csv(str(files("vmtl_core.lab") / "data" / "results" / RESULTS))
