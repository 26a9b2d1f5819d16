"""Tables that ship, as they lie on the disk: the front door needs no more than names."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import ROOT
from vmtl_core.lab.datasets import clinics, table_file
from vmtl_core.lab.datasets.clinics import INPUTS
from vmtl_core.table import UnseenWarning, VMTLClassifier, VMTLRegressor, read_csv

LIGHT = """
import sys, vmtl_core
heavy = {'pandas', 'sklearn', 'matplotlib', 'seaborn', 'scipy', 'vmtl_core.table'}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
assert vmtl_core.load and vmtl_core.save
sys.modules['pandas'] = None
try:
    import vmtl_core.table
except ImportError as error:
    assert 'vmtl-core[table]' in str(error), error
else:
    raise AssertionError('imported without pandas')
"""


def test_clinics_are_what_the_script_makes() -> None:
    ran = subprocess.run(
        [sys.executable, "tools/make_clinics.py", "--check"], cwd=ROOT, check=False
    )
    assert ran.returncode == 0
    with pytest.raises(ValueError, match="`name` must be that of a table"):
        table_file("hospitals")


def test_a_messy_table_with_a_new_task() -> None:
    """Fitted as it lies there; a slope of every clinic near that of the script."""
    table, new = clinics()
    model = VMTLRegressor(sources="own", task="clinic").fit(
        table, target="walk_after", inputs=list(INPUTS)
    )
    with pytest.warns(UnseenWarning, match=r"names 1 task .*'Yew', in 4 rows of 40"):
        answer = model.predict(new)
    assert np.isfinite(answer.to_numpy()).all()
    assert (
        (answer["lower"] <= new["walk_after"]) & (new["walk_after"] <= answer["upper"])
    ).mean() > 0.75
    slope = model.coefficients().query("task == 'population' and input == 'walk_before'").iloc[0]
    assert slope["lower"] < 0.72 < slope["upper"]
    yew = answer[(new["clinic"] == "Yew").to_numpy()]
    assert yew["sd"].min() > answer["sd"].median()


def test_schools_intervals_hold() -> None:
    """Eight pupils of each school, the rest held out; strings and numbers as R wrote them."""
    table = read_csv(table_file("schools"), task="schoolNR")
    mixed = table.sample(frac=1, random_state=0)
    train = mixed.groupby("schoolNR").head(8)
    test = mixed.drop(train.index)
    names = ["IQ.verb", "ses", "Minority", "langPRET", "aritPRET"]
    model = VMTLRegressor(sources="own", task="schoolNR").fit(
        train, target="langPOST", inputs=names
    )
    answer = model.predict(test)
    inside = (answer["lower"] <= test["langPOST"]) & (test["langPOST"] <= answer["upper"])
    assert 0.86 < inside.mean() < 0.93
    assert model.score(test) > 0.58


def test_rail_choices_are_calibrated() -> None:
    """Their probabilities; and 90 % intervals of how often each traveller takes the second."""
    table = read_csv(table_file("rail_choices"), task="id")
    for name in ("price", "time", "change", "comfort"):
        table[name] = table[f"{name}1"] - table[f"{name}2"]
    mixed = table.sample(frac=1, random_state=0)
    train = mixed.groupby("id").head(8)
    test = mixed.drop(train.index)
    model = VMTLClassifier(sources="own", task="id").fit(
        train, target="choice", inputs=["price", "time", "change", "comfort"]
    )
    chance = model.predict_proba(test)[:, 1]
    kept = (test["choice"] == "choice2").to_numpy()
    high, low = chance > 0.8, chance < 0.2
    assert abs(kept[high].mean() - chance[high].mean()) < 0.05
    assert abs(kept[low].mean() - chance[low].mean()) < 0.05
    assert model.score(test) > 0.7
    draws = model._ask(test).answer.sample(torch.Size((2000,))).numpy()
    inside = [
        held(draws[:, rows].sum(1), kept[rows].sum(), chance=share)
        for rows, share in zip(
            [(test["id"] == one).to_numpy() for one in pd.unique(test["id"])],
            np.random.default_rng(0).random(test["id"].nunique()),
            strict=True,
        )
    ]
    assert 0.86 < np.mean(inside) < 0.93


def held(draws: np.ndarray, count: int, chance: float) -> bool:
    """Whether a 90 % interval of a count holds it, an end of it as often as makes it 90 %."""
    level = (draws < count).mean() + chance * (draws == count).mean()
    return bool(0.05 <= level <= 0.95)


def test_the_core_stays_light() -> None:
    """`import vmtl_core` draws in none of what the front door needs; `load` is there all the same."""
    ran = subprocess.run(
        [sys.executable, "-c", LIGHT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
