"""A table's model from its file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from vmtl_core._checks import require
from vmtl_core.history import History
from vmtl_core.saving import Stored
from vmtl_core.table.classifier import VMTLClassifier
from vmtl_core.table.columns import Column
from vmtl_core.table.counter import VMTLCounter
from vmtl_core.table.inputs import Inputs
from vmtl_core.table.packed import decoded
from vmtl_core.table.regressor import VMTLRegressor

KINDS: dict[str, Any] = {one.__name__: one for one in (VMTLRegressor, VMTLClassifier, VMTLCounter)}


def restore(stored: Stored) -> Any:
    """The estimator that `packed` took apart."""
    header = stored.header
    require(header["class"] in KINDS, f"`path` holds a {header['class']}, which isn't known here")
    estimator = KINDS[header["class"]](**decoded(header["parameters"]))
    for name, value in header["attributes"].items():
        setattr(estimator, name, decoded(value))
    if header["feature_names"] is not None:
        estimator.feature_names_in_ = np.array(decoded(header["feature_names"]), dtype=object)
    if hasattr(estimator, "_labels"):
        estimator._name_classes()
    inputs = decoded(header["inputs"])
    inputs["columns"] = [Column(**one) for one in inputs["columns"]]
    estimator.inputs_ = Inputs(**inputs)
    log_unit = estimator.log_unit_
    nothing = torch.zeros(0)
    estimator.model_ = estimator._build(
        len(estimator.tasks_), len(estimator.inputs_.names), None, nothing
    )
    estimator.log_unit_ = log_unit
    estimator.model_.load_state_dict(stored.state["model"])
    estimator.history_ = History().load_state_dict(stored.state["history"])
    return estimator
