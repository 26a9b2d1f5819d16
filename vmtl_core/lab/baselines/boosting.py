"""Gradient boosting of trees with the task among the inputs, made a predictive distribution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import KFold
from torch.distributions import Categorical, Distribution, Normal, Poisson

from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.scores import check_pair

TREES, FOLDS = 200, 5
"""Most trees, and folds of the cross-validation."""
LEAF = 2
"""Fewest rows of a leaf: scikit-learn's own 20 leave no split within a task of few rows."""

Array = NDArray[np.float64]


def boosted_trees(train: MultiTaskData, test: MultiTaskData, seed: int = 0) -> Distribution:
    """Boosted trees on inputs and task; their number, and the noise, by cross-validation.

    The number of trees is the one with the best log score over five folds of the training rows. A
    regression's predictive is Normal about the trees' mean, its standard deviation the root mean
    square of the residuals of rows that were left out; of labels it is their probabilities; of
    counts it is Poisson. The task enters as one column of zeros and ones for each: scikit-learn's
    own categories are blind to those of fewer than ten rows.

    Args:
        train: training set.
        test: test set with the same tasks.
        seed: of the folds.

    Returns:
        The predictive of every test row.

    Raises:
        ValueError: if a tested task has no training example, or the sets do not fit together.
    """
    check_pair(train, test)
    x, y = _columns(train), train.y.double().numpy()
    scores, squares = np.zeros(TREES), np.zeros(TREES)
    for seen, new in KFold(FOLDS, shuffle=True, random_state=seed).split(x):
        for k, mean in enumerate(_stages(train.kind, x[seen], y[seen], x[new])):
            if train.kind == "regression":
                squares[k] += ((y[new] - mean) ** 2).sum()
            else:
                scores[k] += _log_probability(train.kind, mean, y[new])
    best = int(squares.argmin() if train.kind == "regression" else scores.argmax())
    *_, mean = _stages(train.kind, x, y, _columns(test), best + 1)
    found = torch.as_tensor(mean).to(test.x)
    if train.kind == "classification":
        return Categorical(probs=found)
    if train.kind == "counts":
        return Poisson(found)
    return Normal(found, torch.full_like(found, math.sqrt(squares[best] / len(y))))


def _columns(data: MultiTaskData) -> Array:
    """Inputs, and a column for each task behind them."""
    return np.column_stack([data.x.double().numpy(), np.eye(data.tasks)[data.task.numpy()]])


def _stages(kind: str, x: Array, y: Array, new: Array, trees: int = TREES) -> Iterator[Array]:
    """Predictions of `new` by 1, 2, ... trees: means, or probabilities of the labels (N, 2)."""
    options: dict[str, Any] = {
        "max_iter": trees,
        "min_samples_leaf": LEAF,
        "early_stopping": False,
        "random_state": 0,
    }
    if kind == "classification":
        if len(np.unique(y)) == 1:  # nothing to learn from
            yield from [np.eye(2)[np.full(len(new), int(y[0]))]] * trees
            return
        model = HistGradientBoostingClassifier(**options).fit(x, y)
        yield from model.staged_predict_proba(new)
        return
    loss = "poisson" if kind == "counts" else "squared_error"
    yield from HistGradientBoostingRegressor(loss=loss, **options).fit(x, y).staged_predict(new)


def _log_probability(kind: str, mean: Array, y: Array) -> float:
    """Of labels given their probabilities, or of counts given their rates, summed; 1e-9 at least."""
    if kind == "classification":
        return float(np.log(mean[np.arange(len(y)), y.astype(int)].clip(1e-9)).sum())
    return float((y * np.log(mean.clip(1e-9)) - mean).sum())
