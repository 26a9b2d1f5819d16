"""Draws for ArviZ: what they are, and that its plots and PSIS-LOO take them."""

import importlib.util
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.table.tables import INPUTS
from vmtl_core.table import VMTLClassifier, VMTLCounter, VMTLRegressor

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
installed = pytest.mark.skipif(
    importlib.util.find_spec("arviz") is None, reason="ArviZ is not installed"
)


@pytest.fixture(scope="module")
def arviz() -> Any:
    """ArviZ, whose import tells of its next version; figures go nowhere."""
    import matplotlib

    matplotlib.use("agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz
    return arviz


Numbers = np.ndarray


def of(data: Any, group: str, name: str) -> Numbers:
    """A variable's draws, (S, ...), of either kind of tree."""
    found: Numbers = np.asarray(data[group][name])
    return found.reshape(-1, *found.shape[2:])


@installed
def test_densities_are_those_of_the_draws(table: pd.DataFrame, arviz: Any) -> None:
    """Recomputed from coefficients and noise, in the table's units; rows shuffled."""
    inputs = ["age", "hours"]
    table = table.dropna().sample(frac=1, random_state=1)
    model = VMTLRegressor(task="clinic").fit(table, target="score", inputs=inputs)
    data = model.to_arviz(table, draws=50)
    w, noise = (of(data, "posterior", name) for name in ("coefficients", "noise_scale"))
    rows = pd.DataFrame(table[inputs]).assign(one=1.0).to_numpy(float)
    task = [model.tasks_.index(one) for one in table["clinic"]]
    mean = np.einsum("snd,nd->sn", w[:, task], rows)
    expected = stats.norm.logpdf(table["score"].to_numpy(), mean, noise[:, None])
    assert np.abs(of(data, "log_likelihood", "score") - expected).max() < 1e-9
    away = (of(data, "posterior_predictive", "score") - mean) / noise[:, None]
    assert abs(away.mean()) < 6 / np.sqrt(away.size)
    assert abs(away.std() - 1) < 6 / np.sqrt(2 * away.size)
    assert np.array_equal(data["observed_data"]["score"], table["score"])
    assert list(np.asarray(data["constant_data"]["row_task"])) == [*table["clinic"].astype(str)]


@installed
@pytest.mark.parametrize("sources", ["own", "groups"])
def test_draws_have_the_laws_that_are_told(table: pd.DataFrame, arviz: Any, sources: str) -> None:
    """Means of `coefficients()`, and intervals of the history."""
    model = VMTLRegressor(task="clinic", sources=sources).fit(table, target="score", inputs=INPUTS)
    data = model.to_arviz(table, draws=500)
    told = model.coefficients().set_index(["task", "input"])
    w = of(data, "posterior", "coefficients")
    for t, task in enumerate(model.tasks_):
        law = told.loc[[task]]
        assert np.all(np.abs(w[:, t].mean(0) - law["mean"]) < 0.15 * law["sd"])
        assert np.all(np.abs(np.log(w[:, t].std(0) / law["sd"])) < 0.15)
    for name in ("noise_scale", "population_sd", "transfer_width"):
        found = of(data, "posterior", name)
        wanted = model.history_.hyperparameters[name]
        for level, end in ((5, wanted.low), (95, wanted.high)):
            below = (found <= end.numpy() * (1 + 1e-9)).mean(0) - level / 100
            assert np.all(np.abs(below) < 0.06), name


@installed
def test_labels_and_counts(table: pd.DataFrame, arviz: Any) -> None:
    """Averaged over the draws, the likelihood is the predictive."""
    two = VMTLClassifier(task="clinic").fit(table, target="better", inputs=["age"])
    data = two.to_arviz(table)
    p = np.exp(of(data, "log_likelihood", "better")).mean(0)
    assert np.abs(p - np.exp(two.log_score(table))).max() < 0.03
    three = VMTLClassifier(task="clinic").fit(table, target="outcome", inputs=["age"])
    data = three.to_arviz(table)
    assert of(data, "posterior", "coefficients").shape[1:] == (6, 3, 3)
    assert [*np.asarray(data["posterior"]["class"])] == ["better", "same", "worse"]
    p = np.exp(of(data, "log_likelihood", "outcome")).mean(0)
    assert np.abs(p - np.exp(three.log_score(table))).max() < 0.04
    counter = VMTLCounter(task="clinic")
    counter.fit(table, target="visits", inputs=["age"], exposure="hours")
    data = counter.to_arviz(table)
    mean = counter.predict(table)["mean"]
    found = of(data, "posterior_predictive", "visits")
    assert np.abs(found.mean(0) / mean - 1).max() < 0.3
    assert abs(found.mean() / mean.mean() - 1) < 0.03


@installed
def test_its_loo_and_its_plots(table: pd.DataFrame, arviz: Any) -> None:
    """PSIS-LOO is near what rows of the same tasks, held out in folds, score."""
    model = VMTLRegressor(task="clinic", sources="own").fit(table, target="score", inputs=["age"])
    data = model.to_arviz(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = arviz.loo(data)
        summary = arviz.summary(data, var_names=["population_mean"])
        forest = arviz.plot_forest(data, var_names=["coefficients"], coords={"input": ["age"]})
    assert len(summary) == len(model.inputs_.names)
    assert forest is not None
    elpd = found.elpd_loo if hasattr(found, "elpd_loo") else found.elpd
    held_out, place = 0.0, np.arange(len(table)) % 5
    for fold in range(5):
        rest = VMTLRegressor(task="clinic", sources="own")
        rest.fit(table[place != fold], target="score", inputs=["age"])
        held_out += rest.log_score(table[place == fold]).sum()
    in_sample = model.log_score(table).sum()
    assert in_sample - elpd > 8.0
    assert abs(elpd - held_out) < 5.0


@installed
def test_without_an_average(table: pd.DataFrame, arviz: Any) -> None:
    model = VMTLRegressor(task="clinic", average=False)
    model.fit(table.rename(columns={"score": "task"}), target="task", inputs=["age"])
    data = model.to_arviz(table.rename(columns={"score": "task"}), draws=5)
    assert {*data["posterior"].data_vars} == {"coefficients", "noise_scale"}
    assert of(data, "log_likelihood", "task_").shape == (20, len(table))


@installed
def test_by_arrays_and_after_adding(table: pd.DataFrame, arviz: Any) -> None:
    known = table["clinic"] != "N/A"
    model = VMTLRegressor(task="clinic").fit(table[known], target="score", inputs=["hours"])
    with pytest.raises(ValueError, match="not seen"):
        model.to_arviz(table)
    model.add(table[~known])
    assert of(model.to_arviz(table, draws=5), "posterior", "coefficients").shape == (20, 6, 2)
    x, y, task = table[["hours"]].to_numpy(), table["score"].to_numpy(), table["clinic"].astype(str)
    data = VMTLRegressor().fit(x, y, task).to_arviz(x, y, task, draws=5)
    assert of(data, "log_likelihood", "y").shape == (20, len(table))


def test_without_arviz(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    model = VMTLRegressor(task="clinic").fit(table, target="score", inputs=["age"])
    with pytest.raises(ValueError, match="`draws` must be an integer >= 1; got 0"):
        model.to_arviz(table, draws=0)
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ImportError, match=r"`to_arviz` needs ArviZ, pip install .*\[arviz\]"):
        model.to_arviz(table, draws=5)
