"""Settings that a state must carry: what its numbers mean depends on them."""

from __future__ import annotations

import json
import zlib
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vmtl_core._checks import require
from vmtl_core._rebuild import can_rebuild, map_parameters

KEY = "_extra_state"
SHOWN = 5


class KeepsSettings(nn.Module):
    """A module whose `state_dict` carries its settings; `load_state_dict` compares them.

    They are kept as JSON in a tensor of bytes, so that whatever copies, moves or saves the tensors
    of a state takes them along, `torch.load(weights_only=True)` too. A state without them, of an
    earlier version or with the key dropped, is loaded with no comparison.
    """

    def settings(self) -> dict[str, Any]:
        """What the parameters' meaning depends on, as numbers, text, lists and None."""
        raise NotImplementedError

    def get_extra_state(self) -> Tensor:
        return torch.tensor(list(json.dumps(self.settings()).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Nothing to set: `_load_from_state_dict` has compared them before it changed anything."""

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, metadata: Any, strict: bool, missing: Any, *args: Any
    ) -> None:
        found = state_dict.get(prefix + KEY)
        if found is not None:
            hint = f"to load it all the same, drop the key {prefix + KEY!r} and those that end so"
            compare(_read(prefix + KEY, found), self.settings(), "the state", hint)
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, *args)
        if prefix + KEY in missing:
            missing.remove(prefix + KEY)


def compare(saved: dict[str, Any], here: dict[str, Any], what: str, hint: str) -> None:
    """Raise `ValueError`, naming setting and both values, where two models' settings differ."""
    for name, value in here.items():
        own = json.loads(json.dumps(value))
        there = saved.get(name, own)
        require(
            there == own,
            f"`{name}` must be that of {what}, {_shown(there, own)}; got {_shown(own, there)} "
            f"({hint})",
        )


def described(given: Any) -> Any:
    """A choice as a setting: text and numbers as they are, a Distribution by what it is made of."""
    if given is None or isinstance(given, str | int | float):
        return given
    if isinstance(given, partial):  # a schedule of ours
        return f"{given.func.__name__.strip('_')}{given.args}"
    if not isinstance(given, Distribution):
        return f"a {type(given).__name__}"
    tensors: list[Tensor] = []
    if can_rebuild(given):
        map_parameters(given, lambda t: tensors.append(t) or t)  # type: ignore[func-returns-value]
    fixed = [t.detach().float().flatten() for t in tensors if not t.requires_grad]
    numbers = torch.cat(fixed) if fixed else torch.zeros(0)
    text = ", ".join(f"{value:.6g}" for value in numbers[:SHOWN].tolist())
    rest = (
        f", ... checksum {zlib.crc32(repr(numbers.tolist()).encode()):08x}"
        if len(numbers) > SHOWN
        else ""
    )
    return f"{type(given).__name__}({text}{rest})"


def _read(key: str, state: Any) -> dict[str, Any]:
    try:
        found = json.loads(bytes(torch.as_tensor(state).long().tolist()))
    except (ValueError, TypeError, RuntimeError):
        found = None
    require(isinstance(found, dict), f"{key!r} of the state must be what `state_dict` gave")
    return found


def _shown(value: Any, other: Any) -> str:
    """A value in a message; of long lists the entries that differ."""
    both = isinstance(value, list) and isinstance(other, list) and len(value) == len(other)
    if both and len(value) > SHOWN:
        places = [i for i, (a, b) in enumerate(zip(value, other, strict=True)) if a != b][:SHOWN]
        return f"{[value[i] for i in places]} at {places}"
    text = repr(value)
    return text if len(text) < 120 else f"{text[:100]}..."
