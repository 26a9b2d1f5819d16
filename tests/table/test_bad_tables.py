"""What can't be fitted is refused by a ValueError with the column's name and the first row."""

import re
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import vmtl_core as vmtl
from tests.table.tables import INPUTS
from vmtl_core.table import UnseenWarning, VMTLClassifier, VMTLCounter, VMTLRegressor

Change = Callable[[pd.DataFrame], pd.DataFrame]


def put(column: str, value: object) -> Change:
    """A value at position 3, whose index label is "r3"."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = table[column].astype(object).copy()
        values.iloc[3] = value
        return table.assign(**{column: values})

    return change


PLACE = r"position 3 \(index label 'r3'\)"
BAD: dict[str, tuple[Change, str]] = {
    "no task": (put("clinic", None), rf"'clinic' must name a task.*{PLACE}.*read_csv"),
    "NaN task": (put("clinic", np.nan), rf"'clinic' must name a task.*{PLACE}"),
    "infinite input": (put("age", np.inf), rf"'age' must be finite.*{PLACE}"),
    "text among numbers": (put("age", "fifty"), rf"'age' must hold numbers; 'fifty'.*{PLACE}"),
    "list": (put("sex", [1]), rf"'sex' must hold numbers.*{PLACE}"),
    "missing target": (put("score", np.nan), rf"'score' must have a value.*{PLACE}"),
    "infinite target": (put("score", -np.inf), rf"'score' must be finite.*{PLACE}"),
    "text target": (put("score", "high"), rf"'score' must hold numbers; 'high'.*{PLACE}"),
    "constant target": (lambda t: t.assign(score=3.0), r"'score' must vary.*all rows hold 3"),
    "dates": (lambda t: t.assign(age=pd.Timestamp("2026-01-01")), r"'age' holds datetime64"),
    "names": (
        lambda t: t.assign(sex=[f"person {i}" for i in range(len(t))]),
        r"'sex' holds 240 different values, too many for levels",
    ),
    "decimal commas": (
        lambda t: t.assign(age=[f"{i % 7},5" for i in range(len(t))]),
        r"'age' must hold numbers; '0,5' has a comma.*decimal=','",
    ),
    "no such column": (lambda t: t.drop(columns="age"), r"must have the columns \['age'\]"),
    "a column twice": (
        lambda t: pd.concat([t, t[["age"]]], axis=1),
        r"\['age'\] come twice",
    ),
    "no rows": (lambda t: t.head(0), r"at least one row"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(table: pd.DataFrame, name: str) -> None:
    change, message = BAD[name]
    table.index = pd.Index([f"r{i}" for i in range(len(table))])
    with pytest.raises(ValueError, match=message):
        VMTLRegressor(sources="own", task="clinic").fit(
            change(table), target="score", inputs=INPUTS
        )


@pytest.mark.parametrize(
    ("task", "target", "inputs", "near"),
    [("Clinic", "score", ["age"], "clinic"), ("clinic", "Scores", ["age"], "score")]
    + [("clinic", "score", ["AGE"], "age"), ("clinic", "score", ["zzzz"], None)],
)
def test_misspelt_columns_are_named(
    table: pd.DataFrame, task: str, target: str, inputs: list[str], near: str | None
) -> None:
    with pytest.raises(ValueError, match="must have the columns") as found:
        VMTLRegressor(task=task).fit(table, target=target, inputs=inputs)
    assert str(found.value).endswith(f"did you mean {near!r}?") == (near is not None)


def test_a_row_is_no_table(table: pd.DataFrame) -> None:
    model = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=["age"])
    for row in (table.iloc[0], {"clinic": ["East"], "age": [50.0]}):
        with pytest.raises(ValueError, match=r"data frame; got (Series|dict).*iloc\[\[0\]\]"):
            model.predict(row)


def test_gaps_are_refused_where_asked(table: pd.DataFrame) -> None:
    first = int(np.flatnonzero(table["age"].isna())[0])
    label = table.index[first]
    message = rf"'age' must have a value.*position {first} \(index label {label}\).*indicate"
    with pytest.raises(ValueError, match=message):
        VMTLRegressor(sources="own", task="clinic", missing="raise").fit(
            table, target="score", inputs=INPUTS
        )


def test_counts_and_classes_that_are_none(table: pd.DataFrame) -> None:
    table["visits"] = table["visits"].astype(float)
    table.iloc[3, table.columns.get_loc("visits")] = -1.0
    with pytest.raises(ValueError, match=r"'visits' must hold counts.*position 3.*-1"):
        VMTLCounter(sources="own", task="clinic").fit(table, target="visits", inputs=INPUTS)
    with pytest.raises(ValueError, match="'score' must hold classes"):
        VMTLClassifier(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    with pytest.raises(ValueError, match="one class, 1"):
        VMTLClassifier(sources="own", task="clinic").fit(
            table.assign(one=1), target="one", inputs=INPUTS
        )


def test_arguments(table: pd.DataFrame) -> None:
    model = VMTLRegressor(sources="own", task="clinic")
    with pytest.raises(ValueError, match=r"`inputs` must be a list.*'age'"):
        model.fit(table, target="score", inputs="age")
    with pytest.raises(ValueError, match=r"`inputs` must not name.*\['clinic'\]"):
        model.fit(table, target="score", inputs=["age", "clinic"])
    with pytest.raises(ValueError, match="`X` must be a data frame"):
        model.fit(np.ones((3, 2)), target="score")
    with pytest.raises(ValueError, match="`missing` must be one of"):
        VMTLRegressor(sources="own", task="clinic", missing="drop").fit(
            table, target="score", inputs=INPUTS
        )
    model.fit(table, target="score", inputs=["age"])
    for wrong in (0, 1, "wide"):
        with pytest.raises(ValueError, match="`interval` must be"):
            model.predict(table, interval=wrong)  # type: ignore[arg-type]


def test_columns_that_say_nothing_are_left_out_by_name(table: pd.DataFrame) -> None:
    """A constant, a copy and a combination; the answers are those without them."""
    more = table.assign(
        country="NL", years=table["age"], months=12 * table["age"] + 1, both=table["smoker"] * 1.0
    )
    more["sum"] = more["both"] + (more["sex"] == "male")
    inputs = [*INPUTS, "country", "years", "months", "sum"]
    message = r"'years' \(.*'age'\).*'sum' \(a combination of others\)"
    model = VMTLRegressor(sources="own", task="clinic", missing="indicate")
    with pytest.warns(vmtl.IdentificationWarning, match=message):
        model.fit(more, target="score", inputs=inputs)
    plain = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    assert np.abs(model.predict(more)["mean"] - plain.predict(table)["mean"]).max() < 1e-9


def test_new_gaps_and_levels_are_told(table: pd.DataFrame) -> None:
    """Both are taken as the mean of the fitted rows."""
    model = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    with pytest.warns(UnseenWarning, match=r"'sex' holds levels.*'other', in 1 row of 3, .*first"):
        model.predict(put("sex", "other")(table.head(9)).iloc[2:5])
    with pytest.warns(UnseenWarning, match=r"'stage' has no value.*1 row of 9"):
        answer = model.predict(put("stage", None)(table.head(9)))
    assert np.isfinite(answer.to_numpy()).all()


def test_text_of_numbers_is_numbers(table: pd.DataFrame) -> None:
    words = table.assign(age=table["age"].map(lambda a: None if pd.isna(a) else repr(float(a))))
    first, second = (
        VMTLRegressor(sources="own", task="clinic")
        .fit(t, target="score", inputs=INPUTS)
        .predict(t)["mean"]
        for t in (table, words)
    )
    assert np.abs(first - second).max() < 1e-9


def test_no_warning_for_a_good_table(table: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VMTLRegressor(sources="own", task="clinic").fit(
            table, target="score", inputs=INPUTS
        ).predict(table)


def test_a_table_of_one_task_and_of_tasks_of_one_row(table: pd.DataFrame) -> None:
    alone = table.assign(clinic="only")
    model = VMTLRegressor(sources="own", task="clinic").fit(alone, target="score", inputs=["age"])
    answer = model.predict(alone)
    held = ((alone["score"] > answer["lower"]) & (alone["score"] < answer["upper"])).mean()
    assert 0.8 < held < 1
    single = table.assign(
        clinic=np.where(np.arange(240) < 3, [f"new {i}" for i in range(240)], "rest")
    )
    answer = (
        VMTLRegressor(sources="own", task="clinic")
        .fit(single, target="score", inputs=["age"])
        .predict(single)
    )
    assert np.isfinite(answer.to_numpy()).all()


def test_too_many_columns() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 300))
    with pytest.raises(ValueError, match=re.escape("at most 256 coded columns")):
        VMTLRegressor(sources="own").fit(x, x[:, 0], task=np.arange(600) % 2)
