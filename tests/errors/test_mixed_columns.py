"""The mixed model's fixed effects need columns that can be told apart; those that can't are named."""

import pytest
import torch
from torch import Tensor

from vmtl_core.lab import baselines
from vmtl_core.lab.datasets import MultiTaskData

DRAW = torch.Generator().manual_seed(0)
X, NOISE = torch.randn(60, 3, generator=DRAW), torch.randn(60, generator=DRAW)
Y = X.sum(1) + 0.3 * NOISE


def table(column: Tensor) -> MultiTaskData:
    """With this one in the middle."""
    x = torch.stack([X[:, 0], column, X[:, 2]], 1)
    return MultiTaskData(
        x, Y, torch.arange(60) % 4, tuple("abcd"), ("age", "test", "ses"), "score", "made up"
    )


@pytest.mark.parametrize(
    ("column", "intercept", "words"),
    [
        (torch.full((60,), 2.0), True, r"the intercept \(constant.*test \(constant, as another\)"),
        (torch.zeros(60), True, r"got test \(0 in every row\)"),
        (torch.zeros(60), False, r"got test \(0 in every row\)"),
        (X[:, 0], False, r"got test \(a combination of others\)"),
        (1 - 2 * X[:, 0], True, r"got test \(a combination of others\)"),
    ],
)
def test_named(column: Tensor, intercept: bool, words: str) -> None:
    data = table(column)
    with pytest.raises(ValueError, match=words):
        baselines.hierarchical_mixed(data, data, intercept=intercept)


@pytest.mark.parametrize("column", [X[:, 1], torch.full((60,), 2.0), 1 - 2 * X[:, 0]])
def test_columns_that_can_be_told_apart(column: Tensor) -> None:
    data = table(column)
    found = baselines.hierarchical_mixed(data, data, intercept=bool(torch.equal(column, X[:, 1])))
    assert bool(found.mean.isfinite().all())
