"""Probabilities of classes, and what the data leave open of them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vmtl_core.answers import Predictive
from vmtl_core.exact import GaussianPredictive, predictor
from vmtl_core.predictive_rows import PredictiveRows
from vmtl_core.questions import Questions

NARROWEST = 1e-12


def chances(answer: Predictive) -> np.ndarray:
    """Averaged probability of every class, (N, C)."""
    found = answer.probs
    if found.ndim == 1:
        found = torch.stack([1 - found, found], 1)
    return found.numpy()


@torch.no_grad()
def probability_interval(
    model: Any, x: Tensor, ids: Tensor, answer: Predictive, levels: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of the probability of every class, each (N, C).

    Of two classes exact: the log odds are a mixture of Gaussians. Of more by the answer's samples.

    Args:
        model, x, ids: what was asked.
        answer: what was answered.
        levels: of the quantiles.
    """
    if len(model.q_weights().event_shape) == 1:
        low, high = (_log_odds(model, x, ids, level).sigmoid() for level in levels)
        pair = torch.stack([1 - high, low], 1), torch.stack([1 - low, high], 1)
        return pair[0].numpy(), pair[1].numpy()
    rows, parts = [torch.arange(len(x))], [answer]
    if isinstance(answer, PredictiveRows):
        rows, parts = answer.rows, answer.parts  # type: ignore[assignment]
    shape = tuple(answer.probs.shape)
    ends = np.empty((2, *shape))
    for at, part in zip(rows, parts, strict=True):
        probs = part.components.probs.flatten(0, 1)  # type: ignore[attr-defined]
        level = torch.tensor(levels, dtype=probs.dtype)
        ends[:, at.numpy()] = torch.quantile(probs, level, dim=0).numpy()
    return ends[0], ends[1]


def _log_odds(model: Any, x: Tensor, ids: Tensor, level: float) -> Tensor:
    """A quantile of every row's log odds, (N,)."""
    asked = Questions(model, x, ids, 1, 1)
    found = x.new_empty(len(x))
    for part in asked.parts:
        law = asked.gaussians
        assert law is not None
        law = law.unseen() if part.unseen else law
        place = asked.task[part.rows]
        place = torch.zeros_like(place) if part.unseen else place
        mean, spread = predictor(x[part.rows], place, law.loc, law.scale_tril)
        mean, spread = mean.squeeze(-1), spread.squeeze(-1).clamp_min(NARROWEST)
        exact = GaussianPredictive(mean, spread, torch.zeros_like(spread), law.log_weights)
        found[part.rows] = exact.icdf(torch.tensor(level, dtype=x.dtype))
    return found
