"""scikit-learn's own calls and checks."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.table.tables import INPUTS
from vmtl_core.table import UnseenWarning, VMTLClassifier, VMTLCounter, VMTLRegressor

FRACTIONS = "its target has fractions, and a count has none"
COUNTS = dict.fromkeys(
    (
        "check_n_features_in_after_fitting",
        "check_regressors_train",
        "check_regressor_data_not_an_array",
        "check_regressors_no_decision_function",
        "check_fit_idempotent",
        "check_fit_check_is_fitted",
        "check_n_features_in",
    ),
    FRACTIONS,
)
"""The checks that an estimator of counts can't pass, and why. The others pass all."""


def expected_failures(estimator: Any) -> dict[str, str]:
    return COUNTS if isinstance(estimator, VMTLCounter) else {}


@parametrize_with_checks(
    [VMTLRegressor(sources="own"), VMTLClassifier(sources="own"), VMTLCounter(sources="own")],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_checks(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_parameters_and_clones() -> None:
    model = VMTLRegressor(sources="own", task="clinic", seed=3)
    again = clone(model).set_params(missing="raise")
    assert model.get_params()["missing"] == "indicate"
    assert again.get_params() == model.get_params() | {"missing": "raise"}


def test_splits_inside_tasks_and_between_them(table: pd.DataFrame) -> None:
    """Between tasks each fold's tasks are unseen, and told."""
    model, X, y = (
        VMTLRegressor(sources="own", task="clinic"),
        table[["clinic", "age", "stage"]],
        table["score"],
    )
    inside = cross_val_score(model, X, y, cv=KFold(3, shuffle=True, random_state=0))
    with pytest.warns(UnseenWarning, match="tasks that the fit has not seen"):
        between = cross_val_score(
            model, X, y, groups=table["clinic"].map(str), cv=GroupKFold(3), error_score="raise"
        )
    assert inside.mean() > 0.6
    assert inside.mean() > between.mean()


def test_both_styles_agree(table: pd.DataFrame) -> None:
    """`fit(frame, target=)` answers with a frame, `fit(X, y)` with an array; the same numbers."""
    X, y = table[["clinic", *INPUTS]], table["score"]
    named = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    given = VMTLRegressor(sources="own", task="clinic").fit(X, y)
    apart = VMTLRegressor(sources="own").fit(table[INPUTS], y, task=table["clinic"])
    wanted = named.predict(table)
    assert isinstance(given.predict(X), np.ndarray)
    assert np.array_equal(given.predict(X), wanted["mean"].to_numpy())
    pd.testing.assert_frame_equal(given.predict(X, interval=0.9), wanted)
    assert np.array_equal(apart.predict(table[INPUTS], task=table["clinic"]), wanted["mean"])
    assert named.score(table) == given.score(X, y)


def test_array_with_a_task_column() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 3))
    x[:, 0] = np.arange(60) % 4
    y = x[:, 1] + x[:, 0]
    model = VMTLRegressor(sources="own", task=0).fit(x, y)
    assert model.tasks_ == [0.0, 1.0, 2.0, 3.0]
    assert model.score(x, y) > 0.99


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [2, 5], [0.0, 1.0], ["a", 1]])
def test_labels_of_any_type(table: pd.DataFrame, labels: list[Any]) -> None:
    y = table["better"].map(dict(zip(["no", "yes"], labels, strict=True))).astype(object)
    if len({type(one) for one in labels}) == 1:
        y = pd.Series(y.tolist(), index=table.index)
    model = VMTLClassifier(sources="own", task="clinic").fit(
        table.assign(label=y), target="label", inputs=INPUTS
    )
    answer = model.predict(table)
    assert set(answer["label"]) <= set(labels)
    assert model.score(table.assign(label=y)) > 0.6
    chances = model.predict_proba(table)
    assert np.allclose(chances.sum(1), 1)
    assert np.array_equal(answer[f"p_{model._labels[1]}"], chances[:, 1])


@pytest.mark.parametrize("target", ["better", "outcome"])
def test_intervals_of_probabilities(table: pd.DataFrame, target: str) -> None:
    """They are about the probability, narrower for a smaller interval; unseen tasks are wider."""
    model = VMTLClassifier(sources="own", task="clinic").fit(table, target=target, inputs=["age"])
    wide, narrow = model.predict(table), model.predict(table, interval=0.5)
    for name in model.classes_:
        low, p, high = (wide[f"p_{name}{end}"] for end in ("_lower", "", "_upper"))
        likely = p > 0.05  # the mean of a very skewed law can be above its 95 % quantile
        assert ((low <= p) & (p <= high))[likely].all()
        assert (narrow[f"p_{name}_upper"] <= high + 1e-12).all()
    with pytest.warns(UnseenWarning):
        new = model.predict(table.assign(clinic="new"))
    name = model.classes_[0]
    width = {
        key: (a[f"p_{name}_upper"] - a[f"p_{name}_lower"]).mean()
        for key, a in {"old": wide, "new": new}.items()
    }
    assert width["new"] > width["old"]
