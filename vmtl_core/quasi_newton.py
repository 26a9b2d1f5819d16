"""Deterministic maximisation of a few numbers: torch's L-BFGS behind one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

REFUSED = 1e6
"""How much worse, in nats, a point counts at which the objective can't be computed."""


def maximise(
    objective: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    iterations: int,
    tolerance: float = 1e-9,
) -> tuple[float, bool]:
    """Move `parameters` to where `objective()` is greatest; returns the value found and
    whether the search ended of itself.

    Args:
        objective: a smooth function of the parameters, a scalar.
        parameters: leaf tensors, changed in place.
        iterations: at most so many of L-BFGS, each with a line search.
        tolerance: stop where a step changes the objective by less.
    """
    parameters = [p for p in parameters if p.numel()]
    if not parameters:
        with torch.no_grad():
            return float(objective()), True
    for p in parameters:
        p.requires_grad_(True)
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=iterations,
        tolerance_change=tolerance,
        tolerance_grad=1e-8,
        history_size=20,
        line_search_fn="strong_wolfe",
    )
    lowest, best = torch.inf, [p.detach().clone() for p in parameters]

    def closure() -> float:
        nonlocal lowest, best
        optimiser.zero_grad()
        loss = -objective()
        value = float(loss.detach())
        if value < lowest:
            lowest, best = value, [p.detach().clone() for p in parameters]
        loss.backward(inputs=list(parameters))
        return value

    def guarded() -> float:
        try:
            return closure()
        except torch.linalg.LinAlgError:  # a step so long that a matrix is singular in float64
            if lowest == torch.inf:
                raise
            optimiser.zero_grad()
            for p in parameters:
                p.grad = torch.zeros_like(p)
            return lowest + REFUSED

    optimiser.step(guarded)
    with torch.no_grad():
        for p, found in zip(parameters, best, strict=True):
            p.requires_grad_(False)
            p.copy_(found)
    ended = optimiser.state[parameters[0]]["n_iter"] < iterations
    return -lowest, ended
