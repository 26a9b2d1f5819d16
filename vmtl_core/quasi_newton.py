"""Deterministic maximisation of a few numbers by torch's L-BFGS, and the curvature at a maximum."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

REFUSED = 1e6
"""How much worse, in nats, a point counts at which the objective can't be computed."""
LINE = 25
"""Evaluations of a line search: one that gains nothing in so many has ended."""


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
        iterations: at most so many of L-BFGS, each with a line search; of evaluations, at most a
            quarter more.
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
    lowest, best, idle = torch.inf, [p.detach().clone() for p in parameters], 0

    def closure() -> float:
        nonlocal lowest, best, idle
        optimiser.zero_grad()
        loss = -objective()
        value = float(loss.detach())
        idle = 0 if value < lowest - tolerance else idle + 1
        if value < lowest:
            lowest, best = value, [p.detach().clone() for p in parameters]
        loss.backward(inputs=list(parameters))
        return value

    def guarded() -> float:
        nonlocal idle
        try:
            return closure()
        except torch.linalg.LinAlgError:  # a step so long that a matrix is singular in float64
            if lowest == torch.inf:
                raise
            idle += 1
            optimiser.zero_grad()
            for p in parameters:
                p.grad = torch.zeros_like(p)
            return lowest + REFUSED

    optimiser.step(guarded)
    with torch.no_grad():
        for p, found in zip(parameters, best, strict=True):
            p.requires_grad_(False)
            p.copy_(found)
    done = optimiser.state[parameters[0]]
    cut_off = done["func_evals"] >= optimiser.param_groups[0]["max_eval"]
    return -lowest, done["n_iter"] < iterations and (not cut_off or idle >= LINE)


def curvature(gradients: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-3) -> Tensor:
    """Minus the second derivative of a function, symmetric, by central differences of gradients, (n, n).

    Args:
        gradients: at S points (S, n), as (S, n).
        at: where, (n,).
        step: of the differences.
    """
    shifts = step * torch.eye(len(at), dtype=at.dtype, device=at.device)
    with torch.enable_grad():
        above, below = gradients(torch.cat([at + shifts, at - shifts])).chunk(2)
    found = -(above - below) / (2 * step)
    return 0.5 * (found + found.mT)


def one_by_one(
    objective: Callable[[Tensor], Tensor], shape: torch.Size
) -> Callable[[Tensor], Tensor]:
    """Gradients of a scalar function of a tensor of that shape, for `curvature`."""

    def gradients(points: Tensor) -> Tensor:
        found = []
        for point in points:
            here = point.detach().view(shape).requires_grad_(True)
            found.append(torch.autograd.grad(objective(here), here)[0].flatten())
        return torch.stack(found)

    return gradients
