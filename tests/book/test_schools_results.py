"""The stored comparison of chapter 8: complete, repeatable, and the default reaches its bar."""

import pandas as pd
import pytest
import torch
from torch import Tensor

from vmtl_core.lab import schools_comparison as comparison
from vmtl_core.lab.metrics import mean_and_interval

SIZES, SPLITS = (3, 5, 10), 10
BETTER = {"nmse": -1, "log_score": 1}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return comparison.results()


def column(table: pd.DataFrame, method: str, n: int, score: str) -> Tensor:
    chosen = table[(table["method"] == method) & (table["n"] == n)].sort_values("seed")
    return torch.tensor(chosen[score].to_numpy())


def test_every_split_is_there_once(table: pd.DataFrame) -> None:
    found = set(table[["n", "seed", "method"]].itertuples(index=False, name=None))
    wanted = {(n, s, m) for n in SIZES for s in range(SPLITS) for m in comparison.METHODS}
    assert found == wanted
    assert len(table) == len(wanted)
    assert table.notna().all(axis=None)


@pytest.mark.parametrize("score", BETTER)
@pytest.mark.parametrize("n", SIZES)
def test_default_reaches_the_hierarchical_model(table: pd.DataFrame, n: int, score: str) -> None:
    """Within one standard error of it, or better."""
    bar = mean_and_interval(column(table, "hierarchical", n, score))
    ahead = BETTER[score] * (column(table, "default", n, score).mean().item() - bar.mean)
    assert ahead > -bar.standard_error


@pytest.mark.parametrize("score", BETTER)
@pytest.mark.parametrize("rival", ["pooled", "single", "paper", "paper, stopped early"])
@pytest.mark.parametrize("n", SIZES)
def test_default_is_never_worse(table: pd.DataFrame, n: int, rival: str, score: str) -> None:
    gain = column(table, "default", n, score) - column(table, rival, n, score)
    assert BETTER[score] * gain.mean() > 0


@pytest.mark.parametrize("n", SIZES)
def test_intervals_of_the_default_are_honest(table: pd.DataFrame, n: int) -> None:
    assert column(table, "default", n, "coverage").mean().item() == pytest.approx(0.9, abs=0.02)


def test_a_stored_row_can_be_repeated(table: pd.DataFrame) -> None:
    """The default, the base prior alone and two baselines, on one split."""
    methods = ["pooled", "hierarchical", "base prior alone", "default"]
    again = comparison.compare(3, 0, methods).set_index("method")
    stored = table[(table["n"] == 3) & (table["seed"] == 0)].set_index("method").loc[methods]
    tolerance = {"nmse": 0.005, "log_score": 0.01, "coverage": 0.01}
    for score, most in tolerance.items():
        assert (again[score] - stored[score]).abs().max() < most, score


def test_the_papers_model_gets_worse_with_training() -> None:
    training = comparison.results(comparison.TRAINING).set_index("step")
    assert training["posterior_sd"].is_monotonic_decreasing
    assert training["nmse"].iloc[-1] > 1.3 * training["nmse"].min()
    assert training["coverage"].iloc[-1] < 0.75
