"""What is computed in full precision whatever is set around it."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")
AUTOCAST = ("cpu", "cuda", "xpu", "mps")  # where torch may round the factors of matrix products
WITHOUT_DOUBLE = ("mps",)  # devices that have no float64
HALF = (torch.float16, torch.bfloat16)


def outside_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """The function, its matrix products never rounded by a `torch.autocast` of the caller's.

    A KL is a small difference of large terms: rounded to 8 bits they give -0.9 where 0 is right.
    """

    @wraps(function)
    def exact(*args: P.args, **kwargs: P.kwargs) -> R:
        for kind in AUTOCAST:
            if torch.is_autocast_enabled(kind):
                with torch.autocast(kind, enabled=False):
                    return exact(*args, **kwargs)
        return function(*args, **kwargs)

    return exact


def full_precision(name: str, dtype: torch.dtype) -> None:
    """Raise for a dtype of half precision."""
    if dtype in HALF:
        raise ValueError(
            f"`{name}` must be in float32 or float64, which their KLs need; got {dtype}"
        )


def single(value: Tensor) -> Tensor:
    """A tensor of half precision, as autocast makes them, in float32; any other as it is."""
    return value.float() if value.dtype in HALF else value


def has_double(device: torch.device) -> bool:
    """Whether a device has float64."""
    return device.type not in WITHOUT_DOUBLE


def widest(value: Tensor) -> Tensor:
    """A tensor in float64, or in float32 on a device that has none."""
    return value.double() if has_double(value.device) else value.float()
