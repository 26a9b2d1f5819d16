"""Panels and repeated counts: countries, states, patients and mares over time."""

from __future__ import annotations

import numpy as np

from vmtl_core.lab.datasets.multitask import MultiTaskData
from vmtl_core.lab.datasets.tables import pack_table, read_table


def gasoline() -> MultiTaskData:
    """Regression: log gasoline consumption a car of 18 OECD countries, 1960 to 1978.

    Each country is a task with 19 years.  The inputs are logarithms: real income a head, real price
    of gasoline, cars a head.

    References:
        B. Baltagi and J. Griffin, *Gasoline demand in the OECD: an application of pooling and
        testing procedures*, 1983.

    >>> gasoline().task_names[:2]
    ('country AUSTRIA', 'country BELGIUM')
    """
    table = read_table("gasoline")
    return pack_table(
        table[["lincomep", "lrpmg", "lcarpcap"]].to_numpy(dtype=np.float64),
        table["lgaspcar"],
        table["country"],
        "country",
        ("log income", "log price", "log cars"),
        "log gasoline a car",
        "Gasoline demand of OECD countries, one task per country "
        "(R plm::Gasoline; Baltagi and Griffin, 1983).",
    )


def cigarettes() -> MultiTaskData:
    """Regression: log cigarette sales (packs a head) of 46 states of the USA, 1963 to 1992.

    Each state is a task with 30 years.  The inputs are logarithms in prices of one year: price of a
    pack, lowest price in a neighbouring state, disposable income a head.

    References:
        B. Baltagi and D. Levin, *Cigarette taxation: raising revenues and reducing consumption*,
        1992.

    >>> cigarettes().x.shape
    torch.Size([1380, 3])
    """
    table = read_table("cigarettes")
    real = table[["price", "pimin", "ndi"]].div(table["cpi"], axis=0)
    return pack_table(
        np.log(real.to_numpy(dtype=np.float64)),
        np.log(table["sales"]),
        table["state"],
        "state",
        ("log price", "log price nearby", "log income"),
        "log packs a head",
        "Cigarette demand of states of the USA, one task per state "
        "(R plm::Cigar; Baltagi and Levin, 1992).",
    )


def seizures() -> MultiTaskData:
    """Counts: epileptic seizures of 59 patients in each of four periods of two weeks.

    Each patient is a task of four counts; the input is the number of the period.  Drug, age and the
    count before the trial are the same in all rows of a patient, so within one task they say
    nothing.

    References:
        P. Thall and S. Vail, *Some covariance models for longitudinal count data with
        overdispersion*, 1990.

    >>> seizures().kind, int(seizures().y.max())
    ('counts', 102)
    """
    table = read_table("seizures")
    return pack_table(
        table[["period"]].to_numpy(dtype=np.float64),
        table["y"],
        table["subject"],
        "patient",
        ("period",),
        "seizures",
        "Epileptic seizures in two weeks, one task per patient (R MASS::epil; Thall and Vail, 1990).",
        kind="counts",
    )


def follicles() -> MultiTaskData:
    """Counts: ovarian follicles larger than 10 mm of 11 mares, day by day through a cycle.

    Each mare is a task of 25 to 31 counts.  Time is in cycles, 0 at one ovulation and 1 at the
    next; the inputs are sine and cosine of 2 pi times it.

    References:
        R. Pierson and O. Ginther, *Follicular population dynamics during the estrous cycle of the
        mare*, 1987.

    >>> follicles().tasks
    11
    """
    table = read_table("follicles")
    angle = 2 * np.pi * table["Time"].to_numpy(dtype=np.float64)
    return pack_table(
        np.stack([np.sin(angle), np.cos(angle)], 1),
        table["follicles"],
        table["Mare"],
        "mare",
        ("sine of time", "cosine of time"),
        "follicles",
        "Large ovarian follicles of mares, one task per mare "
        "(R nlme::Ovary; Pierson and Ginther, 1987).",
        kind="counts",
    )
