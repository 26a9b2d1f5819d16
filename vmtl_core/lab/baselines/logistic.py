"""Logistic and Poisson regression by scikit-learn: one model per task, or one for all."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from torch import Tensor
from torch.distributions import Poisson

from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.scores import ClassPrediction, check_pair


def single_task_logistic(
    train: MultiTaskData, test: MultiTaskData, penalty: float = 1.0, intercept: bool = True
) -> ClassPrediction:
    """Penalised logistic (softmax) regression for each task alone.

    Minimises -sum log p(y | x, w_t) + penalty |w_t|^2 / 2, intercept not penalised.  A task that
    has shown only one class predicts (count + 1) / (N_t + C) for every class, whatever x.

    Args:
        train: training set; labels are 0...C-1.
        test: test set with the same tasks.
        penalty: more than 0.
        intercept: add an intercept; without one, swapping the two options of a choice whose
            inputs are differences swaps the probabilities.

    Returns:
        Probabilities ``(N, C)``, with C one more than the largest label in either set.

    Raises:
        ValueError: if a tested task has no training example, or the sets do not fit together.
    """
    classes = _classes(train, test)
    probs = test.x.new_empty(len(test), classes)
    for seen, new in zip(train.task_rows, test.task_rows, strict=True):
        if len(new):
            probs[new] = _logistic(train.rows(seen), test.x[new], penalty, classes, intercept)
    return ClassPrediction(probs)


def pooled_logistic(
    train: MultiTaskData, test: MultiTaskData, penalty: float = 1.0, intercept: bool = True
) -> ClassPrediction:
    """Penalised logistic (softmax) regression on all examples together, blind to the task.

    Args, Returns and Raises as :func:`single_task_logistic`.
    """
    classes = _classes(train, test)
    return ClassPrediction(_logistic(train, test.x, penalty, classes, intercept))


def pooled_poisson(
    train: MultiTaskData, test: MultiTaskData, penalty: float = 1.0, intercept: bool = True
) -> Poisson:
    """Penalised Poisson regression on all examples together, blind to the task.

    Minimises -sum log p(y | x, w) + penalty |w|^2 / 2, intercept not penalised.

    Args:
        train: training set; targets are counts.
        test: test set with the same tasks.
        penalty: more than 0.
        intercept: add an intercept.

    Returns:
        The predictive of every test row.

    Raises:
        ValueError: if the targets are no counts, a tested task has no training example, or the sets
            do not fit together.
    """
    check_pair(train, test)
    if (train.y < 0).any() or (train.y != train.y.round()).any():
        raise ValueError(f"`y` must hold counts 0, 1, ...; got {train.y.unique()[:5].tolist()}")
    model = PoissonRegressor(alpha=penalty / len(train), fit_intercept=intercept, max_iter=2000)
    model.fit(train.x.double().numpy(), train.y.double().numpy())
    return Poisson(torch.as_tensor(model.predict(test.x.double().numpy())).to(test.x))


def _logistic(
    train: MultiTaskData, x: Tensor, penalty: float, classes: int, intercept: bool
) -> Tensor:
    """Class probabilities ``(N, C)``; a class never seen in a fitted ``train`` gets 0."""
    labels = train.y.long()
    seen = labels.unique()
    if len(seen) == 1:
        count = torch.bincount(labels, minlength=classes).to(x)
        return ((count + 1) / (len(labels) + classes)).expand(len(x), -1)
    model = LogisticRegression(C=1 / penalty, fit_intercept=intercept, max_iter=2000, tol=1e-6)
    model.fit(train.x.double().numpy(), labels.numpy())
    probs = np.zeros((len(x), classes))
    probs[:, model.classes_] = model.predict_proba(x.double().numpy())
    return torch.as_tensor(probs).to(x)


def _classes(train: MultiTaskData, test: MultiTaskData) -> int:
    check_pair(train, test)
    labels = torch.cat([train.y, test.y])
    if (labels < 0).any() or (labels != labels.round()).any():
        raise ValueError(
            f"`y` must hold class labels 0, 1, ...; got {labels.unique()[:5].tolist()}"
        )
    return max(2, int(labels.max()) + 1)
