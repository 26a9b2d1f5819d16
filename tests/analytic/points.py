"""Posteriors at several points of the hyperparameters, as a closed-form fit leaves them."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.analytic.test_elbo import a_model
from vmtl_core import GaussianWeights
from vmtl_core.points import PosteriorPoints

LOG_WEIGHTS = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()


class Average(nn.Module):
    """Stands for a fit that averaged over hyperparameters, with points of unequal weights."""

    def __init__(self, points: PosteriorPoints):
        super().__init__()
        self.found = points

    def __len__(self) -> int:
        return len(self.found.log_weights)

    def points(self) -> PosteriorPoints:
        return self.found


def some_points(
    tasks: int = 3, rows: int = 2, columns: int = 1, noise: bool = True, base: bool = True
) -> PosteriorPoints:
    """Three points, everything scattered."""
    draw = torch.Generator().manual_seed(tasks + rows + columns)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    def factors(*shape: int) -> Tensor:
        below = normal(*shape, rows, rows)
        return 0.4 * below.tril(-1) + torch.diag_embed(0.3 + 0.3 * below.diagonal(0, -2, -1).abs())

    return PosteriorPoints(
        LOG_WEIGHTS,
        normal(3, tasks, columns, rows),
        factors(3, tasks, columns),
        0.4 + normal(3, tasks).abs() if noise else None,
        normal(3, columns, rows) if base else None,
        factors(3, columns) if base else None,
    )


def averaged(likelihood: Any, event: tuple[int, ...] = (2,), **options: Any) -> Any:
    """A model whose fit averaged over `some_points`, and those."""
    shape = {"rows": event[0], "columns": event[1] if len(event) > 1 else 1}
    kind = {"sources": "own", "base_prior": "learned" if options.get("base", True) else None}
    model = a_model(GaussianWeights(3, event), likelihood, **kind)
    points = some_points(**(shape | options))
    model.average = Average(points)
    return model, points
