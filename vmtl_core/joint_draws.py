"""Joint draws of the rows that `predictive` is asked about."""

from __future__ import annotations

from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, Normal

from vmtl_core._modes import evaluating
from vmtl_core.answers import NUMBERS
from vmtl_core.likelihoods import LinearGaussian, _evaluate, linear
from vmtl_core.parts import Part
from vmtl_core.weight_draws import event_of


class JointDraws:
    """Draws y of some rows: the hyperparameters once a draw, w once a task and draw, z once a row.

    Args:
        asked: the rows, their tasks and w.
        parts: which of them; draws have their rows in order.
    """

    def __init__(self, asked: Any, parts: list[Part]):
        self.asked, self.parts = asked, parts

    @torch.no_grad()
    def __call__(self, shape: Size) -> Tensor:
        """(*shape, N, *event)."""
        asked = self.asked
        size = len(asked.group_task) * asked.event_shape.numel()
        size *= asked.event_shape[0] if asked.gaussians is not None else 1
        draws = torch.arange(shape.numel()).split(max(1, NUMBERS // size))
        with evaluating(asked.model.posteriors):
            y = torch.cat([self._draws(len(some)) for some in draws])
        return y.reshape(shape + y.shape[1:])

    def _draws(self, count: int) -> Tensor:
        """`count` draws, (S, N, *event)."""
        asked, point = self.asked, self._point(count)
        w: dict[bool, Tensor] = {}
        if asked.gaussians is not None:
            w[True] = event_of(asked.gaussians.draw(point, asked.group_task), asked.event_shape)
        if asked.samples is not None:
            w[False] = asked.samples.draw(point, asked.group_task)
        y = [self._given(part, point, w[part.exact]) for part in self.parts]
        if len({one.dtype for one in y}) > 1:  # numbers beside labels
            y = [one.to(next(iter(w.values()))) for one in y]
        order = torch.cat([part.rows for part in self.parts]).argsort()
        return torch.cat(y, 1).index_select(1, order)

    def _point(self, count: int) -> Tensor:
        """Which point of the hyperparameters each draw has, (S,)."""
        asked = self.asked
        if asked.gaussians is not None:
            return asked.gaussians.log_weights.exp().multinomial(count, True)
        assert asked.samples is not None
        return asked.samples.counts.float().multinomial(count, True)

    def _given(self, part: Part, point: Tensor, w: Tensor) -> Tensor:
        """y of a part's rows given w of every draw and task present: (S, n, *event)."""
        z, group = self.asked.latents(part), self.asked.group[part.rows]
        numbers = len(w) * (w[0, 0].numel() + z[0, 0, 0].numel())
        y = []
        for at in torch.arange(len(group), device=group.device).split(max(1, NUMBERS // numbers)):
            task = self.asked.group_task[group[at]]
            dist = self._law(part, *_pairs(z[:, :, at], w[:, group[at]], task), point)
            y.append(dist.sample().reshape((len(w), len(at)) + dist.event_shape))
        return torch.cat(y, 1)

    def _law(self, part: Part, z: Tensor, w: Tensor, task: Tensor, point: Tensor) -> Distribution:
        """p(y|z, w), the noise of exact parts that of the draw's point."""
        if not part.exact or not isinstance(part.likelihood, LinearGaussian):
            return _evaluate(part.likelihood, z, w, part.name, task)
        found = self.asked.gaussians
        assert found is not None
        assert found.noise is not None
        mean = linear(z, w)
        noise = found.noise[point[:, None], task]
        noise = noise.view((1,) + noise.shape + (1,) * (mean.ndim - 3)).expand_as(mean)
        normal = Normal(mean, noise, validate_args=False)
        return Independent(normal, 1, validate_args=False) if mean.ndim > 3 else normal


def _pairs(z: Tensor, w: Tensor, task: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """z, w and the rows' tasks as a likelihood takes them, for S draws of n rows.

    One z a row: (1, 1, n, ...) and (1, S, n, ...). Of L, one is picked for each row and draw, and
    the S n pairs stand as rows, (1, 1, S n, ...): pairs, not a grid.
    """
    if len(z) == 1:
        return z, w.unsqueeze(0), task
    rows = torch.arange(z.shape[2], device=z.device)
    pick = torch.randint(len(z), w.shape[:2], device=z.device)
    z, w = z[pick, 0, rows].flatten(0, 1)[None, None], w.flatten(0, 1)[None, None]
    return z, w, task.repeat(len(pick))
