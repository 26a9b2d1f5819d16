"""Tasks that the fit hasn't seen: predicted with one warning that counts them, or refused."""

import numpy as np
import pandas as pd
import pytest
import torch

import vmtl_core as vmtl
from tests.table.tables import INPUTS
from vmtl_core.table import UnseenWarning, VMTLCounter, VMTLRegressor


def test_predicted_as_the_core_does(table: pd.DataFrame) -> None:
    model = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    new = table.assign(clinic=np.where(np.arange(240) % 2, "new", table["clinic"]))
    new.iloc[0, new.columns.get_loc("clinic")] = "newer"
    message = r"names 2 tasks that the fit has not seen, 'new', 'newer', in 121 rows of 240"
    with pytest.warns(UnseenWarning, match=message) as told:
        answer = model.predict(new)
    assert len(told) == 1
    x = model.inputs_.design(new[INPUTS])
    wanted = vmtl.predictive(model.model_, x[1::2]).mean
    assert np.abs(answer["mean"].to_numpy()[1::2] - wanted.numpy()).max() < 1e-9
    assert answer["sd"].to_numpy()[1::2].mean() > model.predict(table)["sd"].mean()


def test_refused(table: pd.DataFrame) -> None:
    model = VMTLRegressor(sources="own", task="clinic", unseen="raise").fit(
        table, target="score", inputs=INPUTS
    )
    with pytest.raises(ValueError, match=r"'clinic' names 1 task .*'new', in 240 rows"):
        model.predict(table.assign(clinic="new"))


def test_names_are_compared_by_value_and_type(table: pd.DataFrame) -> None:
    """The task 7 is no task '7', and "N/A" is a name like others."""
    model = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    assert "N/A" in model.tasks_
    assert 7 in model.tasks_
    with pytest.warns(UnseenWarning, match="'7'"):
        model.predict(table.assign(clinic="7"))


def test_counts_of_seen_and_unseen_tasks_with_exposure(table: pd.DataFrame) -> None:
    model = VMTLCounter(sources="own", task="clinic").fit(
        table, target="visits", inputs=["age"], exposure="hours"
    )
    new = table.assign(clinic=np.where(np.arange(240) % 2, "new", table["clinic"]))
    with pytest.warns(UnseenWarning):
        once = model.predict(new)
    with pytest.warns(UnseenWarning):
        twice = model.predict(new.assign(hours=2 * new["hours"]))
    assert np.allclose(twice["mean"], 2 * once["mean"])
    assert torch.isfinite(torch.tensor(twice.to_numpy())).all()
