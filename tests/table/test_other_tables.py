"""Tables that no chapter is about, made messy: the front door's lines run, and answer as the core does."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

import vmtl_core as vmtl
from vmtl_core.lab.datasets import table_file
from vmtl_core.table import UnseenWarning, VMTLClassifier, VMTLCounter, VMTLRegressor, read_csv
from vmtl_core.table.base import DRAWS


class Case(NamedTuple):
    """A table's columns, how many of its tasks are taken, and what they are fitted by."""

    task: str
    target: str
    inputs: list[str]
    tasks: int
    estimator: Any
    likelihood: Any
    prefix: str = ""


CASES = {
    "gasoline": Case(
        "country", "lgaspcar", ["lincomep", "lrpmg"], 7, VMTLRegressor, vmtl.LinearGaussian
    ),
    "contraception": Case(
        "district", "use", ["livch", "age", "urban"], 6, VMTLClassifier, vmtl.LinearBernoulli, "d"
    ),
    "seizures": Case("subject", "y", ["trt", "base"], 10, VMTLCounter, vmtl.LinearPoisson),
}


def messy(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to fit and rows to predict; gaps in every input, shuffled, a task that was never seen."""
    case, draw = CASES[name], np.random.default_rng(0)
    table = read_csv(table_file(name), task=case.task)
    some = pd.unique(table[case.task])[: case.tasks + 1]
    table = table[table[case.task].isin(some)].sample(frac=1, random_state=0)
    if name == "contraception":  # "3+" among numbers, as text, would be refused
        table["livch"] = table["livch"].astype("category")
    table[case.task] = case.prefix + table[case.task].astype(str)
    for one in case.inputs:
        table[one] = table[one].mask(draw.random(len(table)) < 0.06)
    new = table[case.task] == case.prefix + str(some[-1])
    return table[~new], pd.concat([table[new], table[~new].head(30)])


def coded(train: pd.DataFrame, rows: pd.DataFrame, inputs: list[str]) -> torch.Tensor:
    """By hand: text as 0 and 1 against the commonest level, a gap as the mean with a column."""
    columns: list[pd.Series] = []
    for name in inputs:
        known, here = train[name].dropna(), rows[name]
        if pd.api.types.is_numeric_dtype(known):
            columns.append(here.fillna(known.mean()))
        else:
            for level in sorted(set(known) - {known.mode()[0]}):
                share = (known == level).mean()
                columns.append((here == level).astype(float).where(here.notna(), share))
        columns.append(here.isna())
    columns.append(pd.Series(1.0, rows.index))
    return torch.tensor(np.stack([one.to_numpy(dtype=float) for one in columns], 1))


def fitted(name: str, train: pd.DataFrame) -> Any:
    case = CASES[name]
    return case.estimator(task=case.task).fit(train, target=case.target, inputs=case.inputs)


def answers(model: Any, new: pd.DataFrame) -> np.ndarray:
    """What is predicted, (N, ...)."""
    with pytest.warns(UnseenWarning, match=r"names 1 task that the fit has not seen"):
        found = model.predict(new)
    assert (found.index == new.index).all()
    return found[[c for c in found if c != "label"]].to_numpy()


def by_hand(name: str, tasks: list[Any], train: pd.DataFrame, new: pd.DataFrame) -> np.ndarray:
    """The core's answers to the same rows."""
    case = CASES[name]
    known, asked = (
        torch.tensor([tasks.index(one) if one in tasks else len(tasks) for one in rows[case.task]])
        for rows in (train, new)
    )
    y = train[case.target]
    y = (y == sorted(set(y))[1]) if case.estimator is VMTLClassifier else y
    x = coded(train, train, case.inputs)
    model = vmtl.MultiTaskELBO(
        case.likelihood(),
        vmtl.GaussianWeights(len(tasks), (x.shape[1],)),
        task_sizes=torch.bincount(known).tolist(),
    ).double()
    vmtl.fit(model, x, torch.tensor(y.to_numpy(dtype=float)), known, progress=False)
    generator = torch.Generator().manual_seed(0)
    p = vmtl.predictive(model, coded(train, new, case.inputs), asked, DRAWS, 10, generator)
    if case.estimator is VMTLClassifier:
        return p.probs.numpy()[:, None]
    ends = [p.icdf(torch.tensor(level).double()) for level in (0.05, 0.95)]
    return torch.stack([p.mean, p.variance.sqrt(), *ends], 1).numpy()


@pytest.mark.parametrize("name", CASES)
def test_as_the_core_by_hand_and_in_any_units(name: str) -> None:
    case, (train, new) = CASES[name], messy(name)
    model = fitted(name, train)
    found = answers(model, new)
    assert np.isfinite(found).all()
    wanted = by_hand(name, model.tasks_, train, new)
    columns = [3] if case.estimator is VMTLClassifier else [0, 1, 2, 3]
    assert np.abs(found[:, columns] - wanted).max() < 1e-6
    other = [train.copy(), new.copy()]
    for one in other:
        for i, column in enumerate(case.inputs):
            if pd.api.types.is_numeric_dtype(one[column]):
                one[column] = 10.0 ** (3 - 5 * i) * one[column] - 40
    numbers = case.estimator is VMTLRegressor
    if numbers:
        other[0][case.target] = 1e4 * other[0][case.target] - 3e5
    again = answers(fitted(name, other[0]), other[1])
    if numbers:
        again = again / 1e4 + np.array([30.0, 0.0, 30.0, 30.0])
    np.testing.assert_allclose(again, found, rtol=1e-5, atol=1e-6)
