"""Reading a table whose task is called "N/A"."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest

from vmtl_core.table import VMTLRegressor, read_csv

TEXT = "clinic,age,sex,zip,ok,score\nN/A,31,f,012,True,1.5\nNone,NA,m,345,False,2\nEast,40,,678,True,3\n"


def test_types_and_names() -> None:
    table = read_csv(StringIO(TEXT), task="clinic")
    assert table["clinic"].tolist() == ["N/A", "None", "East"]
    assert table["age"].isna().tolist() == [False, True, False]
    assert table["age"].dtype == np.float64
    assert table["ok"].tolist() == [True, False, True]
    assert table["zip"].tolist() == ["012", "345", "678"]
    assert table["sex"].isna().tolist() == [False, False, True]


def test_numbers_with_a_comma_for_the_point() -> None:
    """All is read as text first, and pandas' own options for numbers would be without effect."""
    text = "clinic;age;pay;note;time\nN/A;0,13;1.234,5;a,b;1.5\nEast;1,5;;c;2,5\n"
    table = read_csv(StringIO(text), task="clinic", sep=";", decimal=",", thousands=".")
    assert table["clinic"].tolist() == ["N/A", "East"]
    assert table["age"].tolist() == [0.13, 1.5]
    assert table["pay"].iloc[0] == 1234.5
    assert table["pay"].isna().tolist() == [False, True]
    assert table["note"].tolist() == ["a,b", "c"]
    mixed = read_csv(StringIO(text), task="clinic", sep=";", decimal=",")
    assert mixed["time"].tolist() == ["1.5", "2,5"]  # with a point it is no number of this file


def test_without_it_the_reason_is_told() -> None:
    table = pd.read_csv(StringIO(TEXT))
    with pytest.raises(ValueError, match=r"missing \(NaN\) in 2 rows of 3.*read_csv"):
        VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=["age"])
    with pytest.raises(ValueError, match=r"`task` must be a column.*'shop'"):
        read_csv(StringIO(TEXT), task="shop")
