"""Classes from a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution

from vmtl_core._checks import require
from vmtl_core.likelihoods import LinearBernoulli, LinearCategorical
from vmtl_core.table import told
from vmtl_core.table.base import VMTLEstimator
from vmtl_core.table.chances import chances, probability_interval
from vmtl_core.table.kinds import in_order


class VMTLClassifier(ClassifierMixin, VMTLEstimator):
    """A class for every row of a table with a task column: logistic regression, (1.1).

    Labels are of any type, two or more of them.

    Args:
        task, sources, neighbours, missing, unseen, steps, average, seed, progress: as in
            `VMTLRegressor`.

    Attributes:
        classes_: the labels, in the order of `predict_proba`'s columns.
    """

    def _coded(self, y: pd.Series) -> Tensor:
        place = {label: i for i, label in enumerate(self._labels)}
        codes, uniques = pd.factorize(y)
        uniques = [told.plain(one) for one in uniques]
        strange = [one for one in uniques if one not in place]
        require(
            not strange,
            f"target {y.name!r} must hold the fitted classes, {told.some(self._labels)}; got "
            f"{told.some(strange)}",
        )
        return torch.from_numpy(np.array([place[one] for one in uniques], dtype=float)[codes])

    def _learn(self, y: pd.Series) -> None:
        """Find the classes."""
        values = y.to_numpy()
        fractions = values.dtype.kind == "f" and bool((values != np.floor(values)).any())
        require(
            not fractions,
            f"target {y.name!r} must hold classes. Unknown label type: numbers with fractions; "
            "VMTLRegressor is for those",
        )
        self._labels = in_order([told.plain(one) for one in pd.unique(y)])
        require(
            len(self._labels) > 1,
            f"target {y.name!r} must hold two classes or more; got one class, {self._labels[0]!r}",
        )
        self._name_classes()

    def _name_classes(self) -> None:
        same = len({type(one) for one in self._labels}) == 1
        self.classes_ = np.array(self._labels, dtype=None if same else object)

    def _class_names(self) -> list[Any]:
        return self._labels if len(self._labels) > 2 else [self._labels[1]]

    def _outputs(self) -> tuple[int, ...]:
        return () if len(self._labels) == 2 else (len(self._labels),)

    def _likelihood(self, exposure: np.ndarray | None, y: Tensor) -> Any:
        return LinearBernoulli() if len(self._labels) == 2 else LinearCategorical()

    def _law_given(
        self, eta: Tensor, noise: Tensor | None, exposure: np.ndarray | None
    ) -> Distribution:
        if eta.shape[-1] == 1:
            return Bernoulli(logits=eta[..., 0])
        return Categorical(logits=eta)

    def predict(self, X: Any, task: Any = None, *, interval: float | None = None) -> Any:
        """Predictions of new rows.

        Args:
            X, task: as in `VMTLRegressor.predict`.
            interval: probability that a class's probability is between its two ends.

        Returns:
            A data frame with the rows' index: `label`, the most probable class, and for each class
            c its probability `p_c` with `p_c_lower` and `p_c_upper`, what the data leave open of
            it. After `fit(X, y)` without `interval` the labels alone, an array (N,).
        """
        asked = self._ask(X, task)
        mean = chances(asked.answer)
        label = self.classes_[mean.argmax(1)]
        if interval is None and not self.frame_style_:
            return label
        low, high = self._level(0.9 if interval is None else interval)
        ends = probability_interval(self.model_, asked.x, asked.ids, asked.answer, (low, high))
        found = {"label": label}
        for i, name in enumerate(self._labels):
            found[f"p_{name}"] = mean[:, i]
            found[f"p_{name}_lower"] = ends[0][:, i]
            found[f"p_{name}_upper"] = ends[1][:, i]
        return pd.DataFrame(found, index=asked.index)

    def predict_proba(self, X: Any, task: Any = None) -> np.ndarray:
        """Probability of every class, (N, C), in the order of `classes_`.

        Args:
            X, task: as in `predict`.
        """
        return chances(self._ask(X, task).answer)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, task: Any = None) -> float:
        """The share of labels that are predicted right.

        Args:
            X, y, sample_weight, task: as in `VMTLRegressor.score`.
        """
        truth = self._coded(self._truth(X, y)).numpy()
        guess = self.predict_proba(X, task).argmax(1)
        return float(accuracy_score(truth, guess, sample_weight=sample_weight))

    def log_score(self, X: Any, y: Any = None, task: Any = None) -> pd.Series:
        """Log probability of every row's label, in nats.

        Args:
            X, y, task: as in `score`.
        """
        truth = self._coded(self._truth(X, y))
        asked = self._ask(X, task)
        return pd.Series(asked.answer.log_prob(truth).numpy(), asked.index, name="log score")
