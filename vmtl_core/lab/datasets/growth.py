"""Growth curves of animals and plants whose experiments put them into known groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from vmtl_core.lab.datasets.multitask import MultiTaskData
from vmtl_core.lab.datasets.tables import pack_table, read_table


def chicks() -> MultiTaskData:
    """Regression: log weight of 50 chicks on one of four diets, from birth to day 21.

    Each chick is a task with 2 to 12 weighings, most of them 12.  The inputs are its age (days) and
    the square of it; the target is the natural logarithm of its weight (grams).  ``groups`` names
    the diet: 20 chicks on the first, ten on each of the others.

    References:
        M. Crowder and D. Hand, *Analysis of Repeated Measures*, 1990, example 5.3.

    >>> chicks().tasks, len(set(chicks().groups))
    (50, 4)
    """
    table = read_table("chicks")
    return _grown(
        _curve(table["Time"]),
        np.log(table["weight"]),
        table["Chick"],
        "diet " + table["Diet"].astype(str),
        ("chick", "log weight"),
        "Log weight of chicks on four diets, one task per chick "
        "(R datasets::ChickWeight; Crowder and Hand, 1990).",
    )


def rats() -> MultiTaskData:
    """Regression: weight (grams) of 16 rats on one of three diets, over 64 days.

    Each rat is a task with 11 weighings.  The input is the time (days).  ``groups`` names the diet:
    eight rats on the first, which are half as heavy as the others, and four on each of these.

    References:
        D. Hand and M. Crowder, *Practical Longitudinal Data Analysis*, 1996.

    >>> rats().task_sizes[0], rats().groups[8]
    (11, 'diet 2')
    """
    table = read_table("rats")
    return _grown(
        table[["Time"]].to_numpy(dtype=np.float64),
        table["weight"],
        table["Rat"],
        "diet " + table["Diet"].astype(str),
        ("rat", "weight"),
        "Weight of rats on three diets, one task per rat "
        "(R nlme::BodyWeight; Hand and Crowder, 1996).",
    )


def soybeans() -> MultiTaskData:
    """Regression: log leaf weight of soybeans on 48 plots, of two varieties in three years.

    Each plot is a task with 8 to 10 samples.  The inputs are the days since planting and their
    square; the target is the natural logarithm of the mean leaf weight of a plant (grams).
    ``groups`` names year and variety: eight plots each.

    References:
        M. Davidian and D. Giltinan, *Nonlinear Models for Repeated Measurement Data*, 1995.

    >>> soybeans().tasks, sorted(set(soybeans().groups))[:2]
    (48, ['1988 F', '1988 P'])
    """
    table = read_table("soybeans")
    return _grown(
        _curve(table["Time"]),
        np.log(table["weight"]),
        table["Plot"],
        table["Year"].astype(str) + " " + table["Variety"],
        ("plot", "log leaf weight"),
        "Log leaf weight of soybeans, two varieties in three years, one task per plot "
        "(R nlme::Soybean; Davidian and Giltinan, 1995).",
    )


def _curve(days: pd.Series) -> np.ndarray:
    """Days and their squares."""
    return np.stack([days, days**2], 1).astype(np.float64)


def _grown(
    inputs: np.ndarray,
    target: pd.Series,
    who: pd.Series,
    group: pd.Series,
    names: tuple[str, str],
    description: str,
) -> MultiTaskData:
    """One task for each of ``who``, with the name of its group."""
    inputs_named = ("days", "days squared")[: inputs.shape[1]]
    data = pack_table(inputs, target, who, names[0], inputs_named, names[1], description)
    return replace(data, groups=tuple(group.groupby(who).first()))
