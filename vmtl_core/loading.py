"""Load what `save` wrote."""

from __future__ import annotations

import os
from typing import Any

from vmtl_core._checks import require
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.saving import put_back, read


def load(path: str | os.PathLike[str], model: MultiTaskELBO | None = None) -> Any:
    """Put back what `vmtl_core.save`, or a table's `save`, wrote. No code of the file is run.

    Args:
        path: of the file.
        model: for a file of a `MultiTaskELBO`, one made as the saved one was; its parameters are
            overwritten, wherever they are: the file may come from another device. None for a
            file of a table's model.

    Returns:
        For a `MultiTaskELBO` the `History` that was saved with it, which `fit(resume=)` takes, or
        None; for a table's model the `VMTLRegressor`, `VMTLClassifier` or `VMTLCounter`.

    Raises:
        ValueError: for a file that is truncated, of another program, of a newer version, or of
            another model; `model` is then as it was.
    """
    stored = read(path)
    if stored.kind == "table":
        require(model is None, f"`model` must be None: {str(path)!r} holds a table's model, whole")
        from vmtl_core.table.stored import restore

        return restore(stored)
    require(
        isinstance(model, MultiTaskELBO),
        f"`model` must be a MultiTaskELBO made as that of {str(path)!r} was; got {model!r}",
    )
    assert model is not None
    return put_back(stored, model)
