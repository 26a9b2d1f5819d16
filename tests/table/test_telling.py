"""What a fitted model tells of itself."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.table.tables import INPUTS
from vmtl_core.lab.datasets import clinics
from vmtl_core.table import VMTLClassifier, VMTLCounter, VMTLRegressor


@pytest.fixture
def model(table: pd.DataFrame) -> VMTLRegressor:
    return VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)


def wide(model: Any, task: Any, column: str = "mean") -> np.ndarray:
    found = model.coefficients()
    return found.loc[found["task"] == task, column].to_numpy()


def test_coefficients_make_the_predictions(model: VMTLRegressor, table: pd.DataFrame) -> None:
    rows = table[table["clinic"] == "N/A"]
    x = model.inputs_.design(rows[INPUTS]).numpy()
    assert np.allclose(x @ wide(model, "N/A"), model.predict(rows)["mean"])


def test_intervals_are_quantiles_of_the_average(model: VMTLRegressor) -> None:
    points = model.model_.average
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(4000, *points.loc.shape, generator=draw).double()
    w = (points.loc + (points.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)).flatten(0, 1)
    place = model.tasks_.index("East")
    low, high = np.quantile(w[:, place, 0].numpy(), [0.05, 0.95], axis=0)
    width = high - low
    assert np.abs(wide(model, "East", "lower") - low).max() < (0.03 * width).max()
    assert (np.abs(wide(model, "East", "upper") - high) < 0.05 * width).all()
    assert (np.abs(wide(model, "East", "sd") / w[:, place, 0].std(0).numpy() - 1) < 0.03).all()


def test_coefficients_are_in_the_units_of_the_table(table: pd.DataFrame) -> None:
    """Days instead of years: the coefficient is 365 times smaller, all others stay."""
    other = table.assign(age=365 * table["age"])
    first, second = (
        VMTLRegressor(sources="own", task="clinic")
        .fit(t, target="score", inputs=INPUTS)
        .coefficients()
        for t in (table, other)
    )
    ratio = (first["mean"] / second["mean"]).to_numpy()
    wanted = np.where(first["input"] == "age", 365, 1)
    assert np.allclose(ratio, wanted, rtol=1e-4)


def test_population(model: VMTLRegressor) -> None:
    found = model.history_.hyperparameters["population_mean"]
    assert np.allclose(wide(model, "population"), found.mean)
    assert np.allclose(wide(model, "population", "lower"), found.low)
    narrow = model.coefficients(interval=0.5)
    narrow = narrow[narrow["task"] == "population"]
    ratio = (narrow["upper"] - narrow["lower"]) / (found.high - found.low).numpy()
    assert np.allclose(ratio, 0.6745 / 1.6449, atol=1e-3)


def test_coefficients_of_classes_and_of_rates(table: pd.DataFrame) -> None:
    three = VMTLClassifier(sources="own", task="clinic").fit(
        table, target="outcome", inputs=["age"]
    )
    found = three.coefficients()
    assert found["class"].unique().tolist() == ["better", "same", "worse"]
    assert len(found) == 7 * 3 * 3
    loc = three.model_.average.loc.mean(0)[three.tasks_.index("East")].numpy()
    assert np.allclose(found.loc[found["task"] == "East", "mean"], loc.reshape(-1))
    counter = VMTLCounter(sources="own", task="clinic").fit(
        table, target="visits", inputs=["age"], exposure="hours"
    )
    level = counter.coefficients().query("task == 'East' and input == 'intercept'")["mean"]
    w = counter.model_.average.loc.mean(0)[counter.tasks_.index("East"), 0, -1]
    assert level.item() == pytest.approx(float(w) + counter.log_unit_)


def test_who_helps_whom(model: VMTLRegressor) -> None:
    found = model.helps()
    assert found.index.tolist() == model.tasks_
    assert found.columns.tolist() == [*model.tasks_, "population"]
    assert np.allclose(found.sum(axis=1), 1)
    assert (np.diag(found) == 0).all()
    assert np.allclose(found, model.model_.responsibilities())


def test_summary(model: VMTLRegressor) -> None:
    text = model.summary()
    noise = float(model.history_.hyperparameters["noise_scale"].mean)
    for part in (
        "score ~ age + age is missing + sex[",
        "240 rows, 6 tasks",
        f"noise sd {noise:.4g}",
        "settled",
        "gaps marked by an input of their own: age, ward",
        "stage in steps: 0 early, 1 middle, 2 late",
    ):
        assert part in text


def test_sds_that_kept_their_ratios_have_no_interval_each() -> None:
    """A column that doesn't vary between tasks must not get an interval that excludes 0."""
    rng = np.random.default_rng(0)
    for inputs, together in ((2, False), (30, True)):
        x = rng.normal(size=(400, inputs))
        frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(inputs)])
        frame["clinic"] = np.arange(400) % 20
        slope = 1 + 0.5 * rng.normal(size=20)
        frame["y"] = slope[frame["clinic"]] * x[:, 0] + rng.normal(size=400)
        model = VMTLRegressor(sources="own", task="clinic").fit(frame, target="y")
        assert ("population_factor" in model.history_.hyperparameters) == together
        text = model.summary()
        assert ("kept their ratios" in " ".join(text.split())) == together
        line = next(line for line in text.splitlines() if line.startswith("x1 "))
        assert line.count("[") == (1 if together else 2)


def test_summary_says_that_no_task_was_named(table: pd.DataFrame) -> None:
    """A task column that is forgotten makes one regression, with the tasks among its inputs."""
    forgotten = VMTLRegressor(sources="own").fit(table, target="score", inputs=["age", "clinic"])
    assert "240 rows, one task: `task` names no column" in forgotten.summary()


def test_summary_without_an_average(table: pd.DataFrame) -> None:
    model = VMTLRegressor(sources="own", task="clinic", average=False).fit(
        table, target="score", inputs=["age"]
    )
    assert "population" in model.summary()
    assert model.coefficients().query("task == 'population'")["sd"].isna().all()


def test_summary_gives_no_interval_to_a_single_one_of_sds_that_move_together(
    model: VMTLRegressor,
) -> None:
    """All intervals had one relative width, and read as if each sd were known so well."""
    assert model.summary().splitlines()[4].endswith("90 %")
    inputs = ["age", "diagnosis", "aid", "smoker", "walk_before"]
    model = VMTLRegressor(task="clinic").fit(clinics()[0], target="walk_after", inputs=inputs)
    found = model.history_.hyperparameters["population_sd"]
    ratio = (found.high / found.low).flatten()
    assert ratio.max() / ratio.min() < 1.1  # many sds: those of a candidate keep their ratios
    text = model.summary()
    assert "they kept their ratios" in text
    assert text.splitlines()[5].endswith("sd of tasks")


def test_comparison_with_held_out_rows(table: pd.DataFrame) -> None:
    """A mean over rows, its error over tasks; the other way round it changes its sign."""
    train, test = table.iloc[:160], table.iloc[160:]
    full = VMTLRegressor(sources="own", task="clinic").fit(
        train, target="score", inputs=["age", "stage"]
    )
    bare = VMTLRegressor(sources="own", task="clinic").fit(train, target="score", inputs=["sex"])
    found, back = full.compare(bare, test), bare.compare(full, test)
    assert found["difference"] > 3 * found["error"] > 0
    assert back["difference"] == -found["difference"]
    gap = (full.log_score(test) - bare.log_score(test)).to_numpy()
    assert found["difference"] == pytest.approx(gap.mean())
    sums = pd.Series(gap - gap.mean()).groupby(test["clinic"].map(str).to_numpy()).sum()
    assert found["error"] == pytest.approx(np.sqrt(6 / 5 * (sums**2).sum()) / len(test))


def test_comparison_by_evidence(table: pd.DataFrame) -> None:
    full = VMTLRegressor(sources="own", task="clinic").fit(
        table, target="score", inputs=["age", "stage"]
    )
    bare = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=["sex"])
    found = full.compare(bare)
    assert found["tasks"] == 6
    assert found["difference"] > 2 * found["error"] > 0
    terms = full.history_.terms
    wanted = terms["log_likelihood"][-1] - terms["kl_weights"][-1]
    assert np.mean(full.task_elbo_) == pytest.approx(wanted, abs=0.5)
    other = VMTLRegressor(sources="own", task="clinic").fit(
        table.iloc[:100], target="score", inputs=["sex"]
    )
    with pytest.raises(ValueError, match="`other` must have been fitted to the same"):
        full.compare(other)


def test_groups(model: VMTLRegressor, table: pd.DataFrame) -> None:
    """By default the prior is made of groups; their memberships, with task names."""
    with pytest.raises(ValueError, match="needs a fit with sources='groups'; got sources='own'"):
        model.groups()
    grouped = VMTLRegressor(task="clinic").fit(table, target="score", inputs=["age", "stage"])
    found = grouped.groups()
    assert found.index.tolist() == grouped.tasks_
    assert np.allclose(found, grouped.model_.groups())
    assert (found.sum(axis=1) <= 1 + 1e-9).all()
    helps = grouped.helps()
    assert np.allclose(helps.sum(axis=1), 1)
    assert "groups of half a task or more" in grouped.summary()
