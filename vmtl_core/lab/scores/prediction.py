"""What every baseline takes and returns, and predictions from own-data posteriors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical, Normal

from vmtl_core import MultiTaskELBO, PredictiveMixture
from vmtl_core._random import forked
from vmtl_core.lab.datasets import MultiTaskData


@dataclass(frozen=True, eq=False)
class Prediction:
    """Prediction of a regression, one per test row, in the units of the target given.

    Attributes:
        mean: ``(N,)``.
        sd: predictive standard deviation, noise and uncertainty of the weights together, ``(N,)``;
            None from a method that gives a point only (ridge).
    """

    mean: Tensor
    sd: Tensor | None = None

    def distribution(self) -> Normal:
        """The Gaussian predictive distribution, batch shape ``(N,)``.

        Raises:
            ValueError: if the method gave no ``sd``.
        """
        if self.sd is None:
            raise ValueError(
                "`sd` must be known for a predictive distribution; got None, because ridge gives "
                "a point only (use its Bayesian version)"
            )
        return Normal(self.mean, self.sd)


@dataclass(frozen=True, eq=False)
class ClassPrediction:
    """Prediction of a classification.

    Attributes:
        probs: probability of each class for each test row, ``(N, C)``; rows sum to 1.
    """

    probs: Tensor

    def distribution(self) -> Categorical:
        """The predictive distribution over class labels, batch shape ``(N,)``."""
        return Categorical(probs=self.probs)


def own_predictive(model: MultiTaskELBO, data: MultiTaskData, samples: int) -> PredictiveMixture:
    """Predictive (6.2) of every row from the own-data posteriors: every task under the base prior.

    Args:
        model: without latents, made with ``sources="own"``.
        data: rows to predict, with inputs as the model was fitted to.
        samples: M; the draws are the same at every call.
    """
    assert model.own is not None, "only sources='own' has a second set of posteriors"
    with torch.no_grad(), forked(0, data.x.device):
        w = model.source_weights().rsample(torch.Size((samples,)))
        likelihood = model.own.likelihood(data.x[None, None], w[None, :, data.task])
    return PredictiveMixture(likelihood)


def check_pair(train: MultiTaskData, test: MultiTaskData) -> None:
    """Check that the two sets have the same tasks and inputs, and that all tested tasks trained.

    Raises:
        ValueError: if they do not.
    """
    if train.x.shape[1] != test.x.shape[1] or train.task_names != test.task_names:
        raise ValueError(
            f"`test` must have the tasks and inputs of `train` ({train.tasks} tasks, "
            f"{train.x.shape[1]} inputs); got {test.tasks} tasks, {test.x.shape[1]} inputs"
        )
    missing = sorted(set(test.task.tolist()) - set(train.task.tolist()))
    if missing:
        raise ValueError(
            f"`train` must hold every task that is tested; ids {missing} have no example"
        )
