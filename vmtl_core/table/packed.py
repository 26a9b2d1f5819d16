"""A table's model as JSON and tensors."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from typing import Any

import pandas as pd

from vmtl_core.saving import Stored
from vmtl_core.table import told

PLAIN = (
    "frame_style_",
    "target_name_",
    "task_name_",
    "exposure_name_",
    "input_names_",
    "exposed_",
    "log_unit_",
    "tasks_",
    "rows_",
    "task_elbo_",
    "_labels",
    "n_features_in_",
)
"""Attributes that are numbers, names and lists of them."""


def packed(estimator: Any) -> Stored:
    """Everything of a fitted estimator.

    Raises:
        ValueError: for a name that is no text, number, date or tuple of them.
    """
    kept = {name: coded(getattr(estimator, name)) for name in PLAIN if hasattr(estimator, name)}
    names = getattr(estimator, "feature_names_in_", None)
    inputs = asdict(estimator.inputs_)
    header = {
        "class": type(estimator).__name__,
        "parameters": coded(estimator.get_params()),
        "attributes": kept,
        "feature_names": None if names is None else coded(names.tolist()),
        "inputs": coded(inputs),
    }
    state = {
        "model": estimator.model_.state_dict(),
        "history": estimator.history_.state_dict(),
    }
    return Stored("table", header, state)


def coded(value: Any) -> Any:
    """A value as JSON can say it."""
    value = told.plain(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [coded(one) for one in value]
    if isinstance(value, dict):
        return {name: coded(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return {"is": "tuple", "value": [coded(one) for one in value]}
    if isinstance(value, pd.Timestamp):
        return {"is": "Timestamp", "value": value.isoformat()}
    if isinstance(value, datetime.date):
        return {"is": "date", "value": value.isoformat()}
    raise ValueError(
        "names of tasks, columns, levels and classes must be text, numbers, dates or tuples of them "
        f"to be saved; got {value!r}, a {type(value).__name__}"
    )


def decoded(value: Any) -> Any:
    """What `coded` was given."""
    if isinstance(value, list):
        return [decoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {"is", "value"}:
        return {name: decoded(one) for name, one in value.items()}
    if value["is"] == "tuple":
        return tuple(decoded(value["value"]))
    kinds = {"Timestamp": pd.Timestamp, "date": datetime.date.fromisoformat}
    return kinds[value["is"]](value["value"])
