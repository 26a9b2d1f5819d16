"""The same family with other parameters: what indexing, detaching and widening a Distribution need.

The constructor's signature says what a family is made of. A copy of the instance would take along
what was computed from the old parameters (`probs` beside `logits`, a Cholesky factor with fewer
batch dimensions, a proposal's constants), which no shape tells from a parameter.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import (
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
    Transform,
)

from vmtl_core._checks import require

Function = Callable[[Tensor], Tensor]
ELSEWHERE = {"base_distribution": "base_dist"}  # arguments that are kept under another name
KNOWN: dict[type, tuple[str, ...]] = {  # spares the training step and torch.compile the look-up
    Normal: ("loc", "scale", "validate_args"),
    Independent: ("base_distribution", "reinterpreted_batch_ndims", "validate_args"),
    MultivariateNormal: ("loc", "scale_tril", "validate_args"),
}


def map_parameters(dist: Distribution, function: Function) -> Distribution:
    """The same family with `function` applied to every parameter tensor (batch dimensions lead).

    Raises:
        ValueError: if the family can't be rebuilt from its constructor's arguments.
    """
    if hasattr(dist, "map_parameters"):  # a family of ours that knows better
        mapped: Distribution = dist.map_parameters(function)
        return mapped
    names = _argument_names(type(dist))
    values = _arguments(dist, names)
    make = type(dist)
    if make.__module__.partition(".")[0] not in ("torch", "vmtl_core"):
        _check_constructor(dist, make(**_quietly(values, names)), values)
    mapped_values = {name: _mapped(dist, name, one, function) for name, one in values.items()}
    return make(**_quietly(mapped_values, names))


def can_rebuild(dist: Distribution) -> bool:
    """Whether `map_parameters` works for this distribution."""
    try:
        map_parameters(dist, lambda t: t)
    except ValueError:
        return False
    return True


def expanded(dist: Distribution, batch_shape: Size) -> Distribution:
    """`dist.expand`, also for families that have arguments of their own and no `expand`."""
    if dist.batch_shape == batch_shape:
        return dist
    try:
        return dist.expand(batch_shape)
    except NotImplementedError:
        count = len(dist.batch_shape)
        return map_parameters(dist, lambda t: t.expand(batch_shape + t.shape[count:]))


def _quietly(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Keywords of a constructor whose arguments have been validated before."""
    return values | ({"validate_args": False} if "validate_args" in names else {})


def _argument_names(family: type) -> tuple[str, ...]:
    """The constructor's arguments."""
    if family not in KNOWN:
        found = list(inspect.signature(family).parameters.values())
        free = [one.name for one in found if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        _rebuildable(not free, family, f"its constructor takes any {free}")
        KNOWN[family] = tuple(one.name for one in found)
    return KNOWN[family]


# What `torch.compiler.assume_constant_result` sets; that would import the compiler, half of the time
# that `import vmtl_core` takes.
_argument_names._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _arguments(dist: Distribution, names: tuple[str, ...]) -> dict[str, Any]:
    """What the constructor would be called with, one of each set of alternatives."""
    left_out = {"validate_args"}
    if {"probs", "logits"} <= set(names):
        given = getattr(dist, "_param", None) is dist.probs  # type: ignore[attr-defined]
        left_out.add("logits" if given else "probs")
    if {"scale_tril", "covariance_matrix"} <= set(names):
        left_out |= {"covariance_matrix", "precision_matrix"}
    values = {name: _kept(dist, name) for name in names if name not in left_out}
    for name, value in values.items():
        _check_argument(dist, name, value)
    return values


def _kept(dist: Distribution, name: str) -> Any:
    """The value of a constructor's argument."""
    for place in (name, ELSEWHERE.get(name, name), f"_{name}"):
        if hasattr(dist, place):
            return getattr(dist, place)
    _rebuildable(False, type(dist), f"its argument `{name}` is kept under no attribute `{name}`")
    return None


def _check_argument(dist: Distribution, name: str, value: Any) -> None:
    """Raise unless it is known how an argument changes with the batch dimensions."""
    lead = tuple(dist.batch_shape)
    if value is None or isinstance(value, int | float | str):
        return
    if isinstance(value, Distribution):
        found = tuple(value.batch_shape)
        fits = found[: len(lead)] == lead
        _rebuildable(fits, type(dist), f"`{name}` has batch shape {found}, the whole has {lead}")
        return
    if isinstance(value, Tensor):
        declared = name in _declared(dist)
        fits = value.shape[: len(lead)] == lead if declared else value.ndim == 0
        why = (
            f"`{name}` of shape {tuple(value.shape)} doesn't start with the batch shape {lead}"
            if declared
            else f"`{name}` is a tensor that `arg_constraints` doesn't list"
        )
        _rebuildable(fits, type(dist), why)
        return
    plain = isinstance(value, list | tuple) and all(_without_tensors(one) for one in value)
    _rebuildable(plain, type(dist), f"`{name}` is a {type(value).__name__}, which may hold tensors")


def _declared(dist: Distribution) -> Any:
    try:
        return dist.arg_constraints
    except NotImplementedError:
        return {}


def _without_tensors(value: Any) -> bool:
    """Whether a number, or a transform made of numbers and of such transforms."""
    if isinstance(value, list | tuple):
        return all(_without_tensors(one) for one in value)
    if isinstance(value, Transform):
        inner = {k: v for k, v in vars(value).items() if k not in ("_inv", "_cached_x_y")}
        return all(_without_tensors(one) for one in inner.values())
    return value is None or isinstance(value, int | float | str)


def _mapped(dist: Distribution, name: str, value: Any, function: Function) -> Any:
    """`function` of an argument; a number for all of the batch stays one."""
    if isinstance(value, Distribution):
        return map_parameters(value, function)
    if not isinstance(value, Tensor):
        return value
    if name in _declared(dist):
        return function(value)
    return function(value.expand(dist.batch_shape)).reshape(-1)[0]


def _check_constructor(dist: Distribution, again: Distribution, values: dict[str, Any]) -> None:
    """Raise unless a user's family, called with what it keeps, keeps the same."""
    for name, value in values.items():
        other = _kept(again, name)
        if isinstance(value, Tensor):
            same = value.shape == other.shape and bool(
                torch.isclose(value, other, equal_nan=True).all()
            )
        else:
            same = isinstance(value, Distribution | list | tuple) or value == other
        _rebuildable(same, type(dist), f"its constructor changes `{name}` before it keeps it")


def _rebuildable(condition: bool, family: type, why: str) -> None:
    if not condition:
        require(
            False,
            f"a {family.__name__} can't be rebuilt with other parameters: {why}. As `likelihood` "
            "or `latents` use a family whose constructor's arguments are attributes of the same "
            "name, tensors listed in `arg_constraints`; as `weights` that too, or "
            "`sources='joint'` and `transfer=None`",
        )
