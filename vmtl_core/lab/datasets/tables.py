"""Real tables that ship with the package; ``vmtl_core/lab/data/README.md`` gives their origin."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pandas as pd
import torch

from vmtl_core.lab.datasets.multitask import Kind, MultiTaskData

_SCHOOL_INPUTS = {
    "IQ.verb": "verbal IQ",
    "IQ.perf": "performance IQ",
    "ses": "socioeconomic status",
    "sex": "sex",
    "Minority": "minority",
    "repeatgr": "grades repeated",
    "langPRET": "language pretest",
    "aritPRET": "arithmetic pretest",
}


def schools() -> MultiTaskData:
    """Regression: language score of 2,287 pupils (about 11 years old) in 131 Dutch schools.

    Each school is a task; it has 4 to 35 pupils, median 17.  The 8 inputs are what the table knows
    about the pupil before the final test: two IQ scores, socioeconomic status, sex, whether the
    pupil belongs to a minority, the number of grades repeated, and the two pretests.  What it
    knows about the school (its denomination, say) is the same for all its pupils, so within
    one task it says nothing.

    References:
        T. Snijders and R. Bosker, *Multilevel Analysis*, 1999.

    >>> schools().tasks
    131
    """
    table = read_table("schools")
    table["Minority"] = (table["Minority"] == "Y").astype(float)
    inputs = table[list(_SCHOOL_INPUTS)].to_numpy(dtype=np.float64)
    return pack_table(
        inputs,
        table["langPOST"],
        table["schoolNR"],
        "school",
        tuple(_SCHOOL_INPUTS.values()),
        "language score",
        "Language score of Dutch pupils at the end of primary school, one task per school "
        "(R nlme::bdf; Snijders and Bosker, 1999).",
    )


def rail_choices() -> MultiTaskData:
    """Classification: 2,929 choices of 235 travellers between two train journeys, Netherlands 1987.

    Each traveller is a task with 5 to 19 choices, median 13.  The 4 inputs are *first minus
    second* journey: price (guilders), travel time (minutes), changes, and comfort class (0 best to
    2 worst).  ``y`` is 1 if the traveller chose the first journey.  More of any input is worse, so
    that most travellers' weights are negative.

    References:
        M. Ben-Akiva, D. Bolduc and M. Bradley, *Estimation of travel choice models with randomly
        distributed values of time*, 1993.

    >>> rail_choices().tasks
    235
    """
    table = read_table("rail_choices")
    inputs = np.stack(
        [
            (table["price1"] - table["price2"]) / 100.0,
            table["time1"] - table["time2"],
            table["change1"] - table["change2"],
            table["comfort1"] - table["comfort2"],
        ],
        axis=1,
    )
    return pack_table(
        inputs,
        table["choice"] == "choice1",
        table["id"],
        "traveller",
        ("price difference", "time difference", "changes difference", "comfort class difference"),
        "chose the first journey",
        "Stated choices between two train journeys, one task per traveller "
        "(R Ecdat::Train; Ben-Akiva, Bolduc and Bradley, 1993).",
        kind="classification",
    )


def chem97() -> MultiTaskData:
    """Regression at scale: A-level chemistry score of 31,022 students in 2,410 schools, 1997.

    Each school is a task with 1 to 188 students, median 8; 162 schools have a single one.  The 3
    inputs are sex (1 male), age (months from 18.5 years) and the mean GCSE score at 16; the
    target is a point score 0, 2, 4, 6, 8 or 10.

    References:
        A. Fielding, M. Yang and H. Goldstein, *Multilevel ordinal models for examination grades*,
        2003.

    >>> chem97().tasks
    2410
    """
    table = read_table("chem97")
    table["gender"] = (table["gender"] == "M").astype(float)
    inputs = table[["gender", "age", "gcsescore"]].to_numpy(dtype=np.float64)
    return pack_table(
        inputs,
        table["score"],
        table["school"],
        "school",
        ("sex", "age", "GCSE score"),
        "chemistry score",
        "A-level chemistry score, one task per school "
        "(R mlmRev::Chem97; Fielding, Yang and Goldstein, 2003).",
    )


def contraception() -> MultiTaskData:
    """Classification: use of contraception by 1,934 women in 60 districts of Bangladesh, 1989.

    Each district is a task with 2 to 118 women, median 26.  The inputs are the woman's age (years
    from the mean), its square, whether she has living children and whether she lives in a town;
    ``y`` is 1 if she uses contraception.

    References:
        N. Huq and J. Cleland, *Bangladesh Fertility Survey 1989*, 1990.

    >>> contraception().tasks
    60
    """
    table = read_table("contraception")
    age = table["age"]
    inputs = [age, age**2, table["livch"] != "0", table["urban"] == "Y"]
    return pack_table(
        np.stack(inputs, axis=1).astype(np.float64),
        table["use"] == "Y",
        table["district"],
        "district",
        ("age", "age squared", "has children", "lives in a town"),
        "uses contraception",
        "Use of contraception in Bangladesh, one task per district "
        "(R mlmRev::Contraception; Huq and Cleland, 1990).",
        kind="classification",
    )


def read_table(name: str) -> pd.DataFrame:
    """The shipped table ``name`` with R's own column names.

    Raises:
        ValueError: if no such table ships.
    """
    source = files("vmtl_core.lab") / "data" / f"{name}.csv.gz"
    if not source.is_file():
        ending = ".csv.gz"
        found = [file.name for file in (files("vmtl_core.lab") / "data").iterdir()]
        known = sorted(file.removesuffix(ending) for file in found if file.endswith(ending))
        raise ValueError(f"`name` must be one of {', '.join(known)}; got {name!r}")
    with source.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8") as text:
        return pd.read_csv(text)


def pack_table(
    inputs: np.ndarray,
    target: pd.Series,
    group: pd.Series,
    group_name: str,
    input_names: Sequence[str],
    target_name: str,
    description: str,
    kind: Kind = "regression",
) -> MultiTaskData:
    """Tasks are numbered in the order of the groups' ids."""
    codes, ids = pd.factorize(group, sort=True)
    dtype = torch.get_default_dtype()
    return MultiTaskData(
        x=torch.tensor(inputs, dtype=dtype),
        y=torch.tensor(target.to_numpy(dtype=np.float64), dtype=dtype),
        task=torch.as_tensor(codes, dtype=torch.long),
        task_names=tuple(f"{group_name} {i}" for i in ids),
        input_names=tuple(input_names),
        target_name=target_name,
        description=description,
        kind=kind,
    )
