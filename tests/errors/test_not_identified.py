"""A weight of which the rows say nothing, or nothing of its own, is named by one warning."""

import re
import warnings

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl

DRAW = torch.Generator().manual_seed(0)
ROWS = 40
A, B, C, NOISE = torch.randn(4, ROWS, generator=DRAW).unbind()
ONE, NIL = torch.ones(ROWS), torch.zeros(ROWS)
TASK = torch.arange(ROWS) % 2
SPLIT = (torch.arange(ROWS) % 5 < 2).float()

Columns = list[Tensor]
NAMED: dict[str, tuple[Columns, int, list[str]]] = {
    "all zero": ([A, NIL, B], 0, [r"column 1 of `x` \(0 in every row\)"]),
    "two constants": ([ONE, A, 3 * ONE], 0, ["column 0 .*constant", "column 2 .*constant"]),
    "a constant and an intercept": ([A, 3 * ONE], 1, ["column 1 .*constant", "the intercept"]),
    "the same twice": ([A, A], 0, [r"column 1 of `x` \(a combination of others\)"]),
    "a sum": ([A, B, ONE, C, 2 * A - B], 0, [r"weight of column 4 of `x` \(a combination"]),
    "dummies beside an intercept": ([A, SPLIT, 1 - SPLIT], 1, ["weight of column 2 "]),
    "far away": ([1000 + A, 2000 + 2 * A], 1, ["weight of column 1 "]),
}
SILENT: dict[str, tuple[Columns, int]] = {
    "one constant": ([A, 3 * ONE], 0),
    "an intercept": ([A, B], 1),
    "dummies alone": ([A, SPLIT, 1 - SPLIT], 0),
    "nearly the same": ([A, A + 1e-4 * B], 0),
    "mean far from 0": ([1000 + A, ONE], 0),
    "fewer rows than columns": ([one[:4] for one in (A, B, C, ONE, SPLIT)], 0),
}


def fit(columns: Columns, intercept: int, method: str) -> vmtl.MultiTaskELBO:
    x = torch.stack(columns, 1)
    y, task = (A + 0.3 * NOISE)[: len(x)], TASK[: len(x)]
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(2, (x.shape[1] + intercept,)),
        task_sizes=torch.bincount(task),
        sources="own",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vmtl.UnitsWarning)
        vmtl.fit(model, x, y, task, steps=2, method=method, tolerance=None, progress=False)
    return model


@pytest.mark.parametrize("method", ["coordinate", "adam"])
@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED.keys())
def test_named(case: tuple[Columns, int, list[str]], method: str) -> None:
    columns, intercept, words = case
    with pytest.warns(vmtl.IdentificationWarning) as found:
        fit(columns, intercept, method)
    assert len(found) == 1
    assert found[0].filename == __file__
    message = str(found[0].message)
    assert all(re.search(word, message) for word in words), message
    assert message.count("(") == len(words), message


@pytest.mark.parametrize("case", SILENT.values(), ids=SILENT.keys())
def test_silent(case: tuple[Columns, int]) -> None:
    fit(*case, "coordinate")


def test_what_has_no_weight_a_column() -> None:
    """Pixels that are always off, and inputs of an encoder."""
    pixels = [NIL, *torch.randn(50, ROWS, generator=DRAW)]
    fit(pixels, 0, "adam")
    x = torch.stack([A, NIL], 1)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(2, (2,)),
        vmtl.GaussianEncoder(2, 2, 2),
        task_sizes=[20, 20],
        sources="own",
    )
    vmtl.fit(model, x, A, TASK, steps=2, tolerance=None, progress=False)
