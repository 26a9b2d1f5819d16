"""Files of fitted models: tensors and JSON, no code; written aside and renamed."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

from vmtl_core._checks import require
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.history import History

FORMAT, VERSION = "vmtl_core", 1


class Stored(NamedTuple):
    """What a file holds."""

    kind: str
    """"model" or "table"."""
    header: dict[str, Any]
    """What JSON can say."""
    state: dict[str, Any]
    """Tensors, numbers and text."""


def save(
    model: MultiTaskELBO, path: str | os.PathLike[str], history: History | None = None
) -> None:
    """Keep a model's parameters, and the history of its fit with the optimiser's state, in one file.

    The file is written aside and then renamed: whatever interrupts it, `path` is the old file or
    the new one, whole. It holds tensors and text, no code. `load` puts it back; a model fitted by
    `vmtl_core.table` has a method `save` of its own.

    Args:
        model: a `MultiTaskELBO`.
        path: where to.
        history: what `fit` returned, to be resumed from.

    Raises:
        ValueError: for anything but a `MultiTaskELBO` and a `History`.

    Example:
        >>> import tempfile, vmtl_core as vmtl
        >>> def build():
        ...     weights = vmtl.GaussianWeights(2, (1,))
        ...     return vmtl.MultiTaskELBO(vmtl.LinearGaussian(), weights, task_sizes=[3, 3])
        >>> x, task = torch.arange(6.0)[:, None], torch.arange(6) % 2
        >>> model = build()
        >>> history = vmtl.fit(model, x, x[:, 0] + task, task, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     vmtl.save(model, f"{folder}/model.vmtl", history)
        ...     again = build()
        ...     vmtl.load(f"{folder}/model.vmtl", again).step == history.step
        True
        >>> bool((again.q_weights().mean == model.q_weights().mean).all())
        True
    """
    require(
        isinstance(model, MultiTaskELBO),
        f"`model` must be a MultiTaskELBO; got {type(model).__name__}",
    )
    require(
        history is None or isinstance(history, History),
        f"`history` must be what `fit` returned, or None; got {type(history).__name__}",
    )
    write(path, stored_model(model, history))


def stored_model(model: MultiTaskELBO, history: History | None) -> Stored:
    """What a file of a model holds."""
    state = {
        "model": model.state_dict(),
        "history": None if history is None else history.state_dict(),
    }
    return Stored("model", {"settings": model.settings()}, state)


def write(path: str | os.PathLike[str], stored: Stored) -> None:
    """Write a file aside, make sure that it is on the disk, and rename it."""
    target = Path(path)
    aside = target.with_name(f"{target.name}.{os.getpid()}.part")
    whole = {
        "format": FORMAT,
        "version": VERSION,
        "kind": stored.kind,
        "header": json.dumps(stored.header),
        "state": stored.state,
    }
    try:
        with aside.open("wb") as file:
            torch.save(whole, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def read(path: str | os.PathLike[str], name: str = "path") -> Stored:
    """What a file holds, on the CPU; nothing in it is run.

    Args:
        path: of the file.
        name: of the argument, in messages.

    Raises:
        ValueError: for a file that is truncated, of another program, or of a newer version.
    """
    whole = _loaded(Path(path), name)
    found = whole.get("format") if isinstance(whole, dict) else None
    require(
        found == FORMAT, f"`{name}` must be a file that `save` wrote; {str(path)!r} is another's"
    )
    version = whole.get("version")
    require(
        isinstance(version, int) and version <= VERSION,
        f"`{name}` is of format {version!r}, of a newer version of vmtl_core; this one reads up to "
        f"{VERSION}: upgrade it",
    )
    try:
        return Stored(whole["kind"], json.loads(whole["header"]), whole["state"])
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"`{name}` must be a file that `save` wrote; {path!r} lacks {error}"
        ) from None


def _loaded(path: Path, name: str) -> Any:
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    require(zipped, f"`{name}` must be a file that `save` wrote; {str(path)!r} is another's")
    try:
        with zipfile.ZipFile(path) as parts:
            damaged = parts.testzip()
    except zipfile.BadZipFile:
        damaged = "its end"
    require(
        damaged is None,
        f"`{name}` must be a whole file; {str(path)!r} is truncated or damaged ({damaged})",
    )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"`{name}` must be a file that `save` wrote; {str(path)!r} is another's, or damaged "
            f"({str(error).splitlines()[0]})"
        ) from None


def put_back(stored: Stored, model: MultiTaskELBO) -> History | None:
    """Overwrite a model with what a file holds of one; its history, if there is one.

    Raises:
        ValueError: if it is another's; `model` is then as it was.
    """
    history = stored.state["history"]
    history = None if history is None else History().load_state_dict(history)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        model.load_state_dict(stored.state["model"])
    except (RuntimeError, ValueError) as error:
        model.load_state_dict(before)
        raise ValueError(f"`model` must be made as the saved one was: {error}") from None
    return history
