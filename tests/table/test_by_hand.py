"""The front door answers as the core does, called by hand; the table's units don't matter."""

import numpy as np
import pandas as pd
import pytest
import torch

import vmtl_core as vmtl
from tests.table.tables import INPUTS
from vmtl_core.table import VMTLClassifier, VMTLCounter, VMTLRegressor
from vmtl_core.table.base import DRAWS


def design(table: pd.DataFrame) -> torch.Tensor:
    """Coded by hand."""
    age = table["age"].fillna(table["age"].mean())
    commonest = table["sex"].mode()[0]
    ward = table["ward"].dropna().mode()[0]
    stage = table["stage"].cat.codes
    columns = [age, table["age"].isna(), table["sex"] != commonest, table["smoker"], stage]
    for level in sorted(set(table["ward"].dropna()) - {ward}):
        coded = (table["ward"] == level).astype(float)
        share = coded[table["ward"].notna()].mean()
        columns.append(coded.where(table["ward"].notna(), share))
    columns += [table["ward"].isna(), pd.Series(1.0, table.index)]
    return torch.tensor(np.stack([one.to_numpy(dtype=float) for one in columns], 1))


def by_hand(
    table: pd.DataFrame,
    likelihood: torch.nn.Module,
    y: torch.Tensor,
    classes: tuple[int, ...] = (),
    sources: str = "own",
) -> vmtl.Predictive:
    codes = [sorted(map(str, pd.unique(table["clinic"]))).index(str(c)) for c in table["clinic"]]
    # The estimator sorts by type and text: the integer 7 comes before the names.
    assert min(map(str, pd.unique(table["clinic"]))) == "7"
    x, task = design(table), torch.tensor(codes)
    model = vmtl.MultiTaskELBO(
        likelihood,
        vmtl.GaussianWeights(6, (x.shape[1], *classes)),
        task_sizes=torch.bincount(task).tolist(),
        sources=sources,
    ).double()
    vmtl.fit(model, x, y, task, progress=False)
    generator = torch.Generator().manual_seed(0)
    return vmtl.predictive(model, x, task, weight_samples=DRAWS, generator=generator)


@pytest.mark.parametrize("sources", ["own", "auto"])
def test_numbers(table: pd.DataFrame, sources: str) -> None:
    """ "auto", the core's default and the front door's: groups."""
    model = VMTLRegressor(sources=sources, task="clinic")
    answer = model.fit(table, target="score", inputs=INPUTS).predict(table)
    y = torch.tensor(table["score"].to_numpy())
    p = by_hand(table, vmtl.LinearGaussian(), y, sources=sources)
    assert (answer.index == table.index).all()
    for name, wanted in {
        "mean": p.mean,
        "sd": p.variance.sqrt(),
        "lower": p.icdf(torch.tensor(0.05).double()),
        "upper": p.icdf(torch.tensor(0.95).double()),
    }.items():
        assert np.abs(answer[name].to_numpy() - wanted.numpy()).max() < 1e-6, name


def test_two_labels(table: pd.DataFrame) -> None:
    model = VMTLClassifier(sources="own", task="clinic").fit(table, target="better", inputs=INPUTS)
    y = torch.tensor((table["better"] == "yes").to_numpy(dtype=float))
    p = by_hand(table, vmtl.LinearBernoulli(), y)
    assert np.abs(model.predict(table)["p_yes"].to_numpy() - p.probs.numpy()).max() < 1e-6


def test_three_labels(table: pd.DataFrame) -> None:
    model = VMTLClassifier(sources="own", task="clinic").fit(table, target="outcome", inputs=INPUTS)
    y = torch.tensor([["better", "same", "worse"].index(one) for one in table["outcome"]])
    p = by_hand(table, vmtl.LinearCategorical(), y, (3,))
    assert np.abs(model.predict_proba(table) - p.probs.numpy()).max() < 1e-6


def test_counts(table: pd.DataFrame) -> None:
    model = VMTLCounter(sources="own", task="clinic").fit(table, target="visits", inputs=INPUTS)
    p = by_hand(table, vmtl.LinearPoisson(), torch.tensor(table["visits"].to_numpy(dtype=float)))
    answer = model.predict(table)
    assert np.abs(answer["mean"].to_numpy() - p.mean.numpy()).max() < 1e-6
    assert (answer["upper"].to_numpy() == p.icdf(torch.tensor(0.95)).numpy()).all()


@pytest.mark.parametrize("estimator", [VMTLRegressor, VMTLCounter, VMTLClassifier])
def test_units_change_nothing(table: pd.DataFrame, estimator: type) -> None:
    """Years or days, kilometres or millimetres, and a target in thousands from another zero."""
    target = {"VMTLRegressor": "score", "VMTLCounter": "visits", "VMTLClassifier": "better"}[
        estimator.__name__
    ]
    other = table.assign(age=365.25 * table["age"] + 7e5)
    if target == "score":
        other["score"] = 1e4 * table["score"] - 3e5
    column = "p_yes" if target == "better" else "mean"
    first, second = (
        estimator(sources="own", task="clinic")
        .fit(one, target=target, inputs=INPUTS)
        .predict(one)[column]
        for one in (table, other)
    )
    if target == "score":
        second = (second + 3e5) / 1e4
    assert np.abs(first.to_numpy() - second.to_numpy()).max() < 1e-5


def test_the_order_of_the_rows_changes_nothing(table: pd.DataFrame) -> None:
    model = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    other = VMTLRegressor(sources="own", task="clinic").fit(
        table.sample(frac=1, random_state=1), target="score", inputs=INPUTS
    )
    assert np.abs(model.predict(table)["mean"] - other.predict(table)["mean"]).max() < 1e-6


def test_the_order_of_the_columns_changes_nothing_at_the_optimum(table: pd.DataFrame) -> None:
    """Averaging draws points of the hyperparameters, others for another order."""
    first, second = (
        VMTLRegressor(sources="own", task="clinic", average=False).fit(
            table, target="score", inputs=inputs
        )
        for inputs in (INPUTS, INPUTS[::-1])
    )
    assert np.abs(first.predict(table)["mean"] - second.predict(table)["mean"]).max() < 1e-6


def test_more_than_fifty_inputs_in_any_units() -> None:
    """The core would give them one unit; the front door gives each its own."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(150, 55))
    y = x[:, 0] - x[:, 1] + draw.normal(0, 0.3, 150)
    task = np.arange(150) % 3
    first = VMTLRegressor(sources="own").fit(x, y, task=task).predict(x, task)
    other = x * np.geomspace(1e-3, 1e3, 55) + 5
    second = VMTLRegressor(sources="own").fit(other, y, task=task).predict(other, task)
    assert np.abs(first - second).max() < 1e-5
