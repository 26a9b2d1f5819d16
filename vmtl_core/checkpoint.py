"""The file that a fit keeps while it runs: `fit(checkpoint=path, every=...)`."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from vmtl_core._checks import positive_int, require
from vmtl_core._settings import compare
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.history import History
from vmtl_core.saving import Stored, put_back, read, stored_model, write

STEPS, SWEEPS = 100, 1
"""Between two writings, where `every` is None: steps of Adam, and sweeps of the closed form."""
LIKE = "another fit's: remove it, or name another file, to fit afresh"


class Checkpoint:
    """Where a fit keeps what it has, and which call it belongs to.

    Args:
        model: what is fitted.
        path: of the file.
        every: steps or sweeps between two writings.
        call: name -> number or text: what the numbers of the fit depend on.
    """

    def __init__(self, model: MultiTaskELBO, path: Path, every: int, call: dict[str, Any]):
        self.model, self.path, self.every, self.call = model, path, every, call

    def restore(self) -> tuple[History | None, bool]:
        """The history of the file and whether its fit had ended; None without a file.

        The model is brought to where it was, its parameters before the first fit included.

        Raises:
            ValueError: for a file of another model, table or call, or one that can't be read; the
                model is then as it was.
        """
        for part in self._left_over():
            part.unlink(missing_ok=True)
        if not self.path.exists():
            return None, False
        stored = read(self.path, "checkpoint")
        there = stored.header.get("call", {})
        require(
            bool(there),
            f"`checkpoint` must be a file that `fit` wrote; {str(self.path)!r} is one of `save`",
        )
        compare(there, self.call, f"the fit in {str(self.path)!r}", LIKE)
        history = put_back(stored, self.model)
        self.model.__dict__["_start"] = {
            name: value.to(self.model.get_parameter(name))
            for name, value in stored.state["start"].items()
        }
        return history, stored.header["ended"]

    def _left_over(self) -> list[Path]:
        """What a fit that was killed while it wrote has left aside."""
        aside = re.compile(re.escape(self.path.name) + r"\.\d+\.part")
        return [one for one in self.path.parent.iterdir() if aside.fullmatch(one.name)]

    def keep(self, history: History, state: Callable[[], dict[str, Any]]) -> None:
        """Write the file if it is time.

        Args:
            history: up to the present step.
            state: brings the model to the present step, and gives the optimiser's state.
        """
        if history.step % self.every == 0:
            history.optimizer = state()
            self.write(history)

    def write(self, history: History, ended: bool = False) -> None:
        """Write the file."""
        kept = stored_model(self.model, history)
        start = self.model.__dict__["_start"]
        write(
            self.path,
            Stored(
                kept.kind,
                kept.header | {"call": self.call, "ended": ended},
                kept.state | {"start": start},
            ),
        )


def check_checkpoint(checkpoint: Any, every: Any, resume: Any) -> None:
    """Raise unless the three fit together and the file can be written."""
    if every is not None:
        positive_int("every", every)
    if checkpoint is None:
        require(every is None, f"`every` is of `checkpoint`, which is None; got {every!r}")
        return
    require(
        isinstance(checkpoint, str | os.PathLike),
        f"`checkpoint` must be a path, or None; got {type(checkpoint).__name__}",
    )
    path = Path(checkpoint)
    require(
        path.parent.is_dir() and not path.is_dir(),
        f"`checkpoint` must be a file in a folder that exists; got {str(path)!r}",
    )
    require(
        resume is None,
        "`resume` must be None with a `checkpoint`, whose file a fit goes on from; got both",
    )


def checksum(values: Tensor) -> str:
    """Shape, dtype and a hash of a tensor's bytes, as text."""
    here = values.detach().cpu().contiguous()
    size = here.numel() * here.element_size()
    held = (ctypes.c_char * size).from_address(here.data_ptr()) if size else b""
    kind = str(here.dtype).removeprefix("torch.")
    return f"{kind} {tuple(here.shape)} of SHA-256 {hashlib.sha256(held).hexdigest()[:16]}"
