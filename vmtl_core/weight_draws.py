"""w of every task, and of tasks of which nothing is known: as Gaussians, and as samples."""

import math
from typing import NamedTuple

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vmtl_core.bundle import rsample
from vmtl_core.distributions import correlated, full_gaussian
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.importance import in_proportion
from vmtl_core.points import PosteriorPoints

GOLDEN = (math.sqrt(5) - 1) / 2


class Gaussians(NamedTuple):
    """w at K points of the hyperparameters, as C Gaussians: T of the tasks, then of an unseen one.

    An unseen task's w comes from any of the latter with equal probability.
    """

    log_weights: Tensor
    """Of the points, (K,)."""
    loc: Tensor
    """(K, C, P, D)."""
    scale_tril: Tensor
    """(K, C, P, D, D)."""
    noise: Tensor | None
    """Noise sd, (K, T + 1), that of an unseen task last; None without noise."""
    tasks: int

    def unseen(self) -> "Gaussians":
        """The unseen task's mixture over (K, C - T), as one task at so many points."""
        count = self.loc.shape[1] - self.tasks
        log_weights = (self.log_weights[:, None] - math.log(count)).expand(-1, count)
        loc, factor = (t[:, self.tasks :].flatten(0, 1)[:, None] for t in self[1:3])
        noise = None if self.noise is None else self.noise[:, -1:].repeat_interleave(count, 0)
        return Gaussians(log_weights.flatten(), loc, factor, noise, 1)

    def draw(self, point: Tensor, task: Tensor) -> Tensor:
        """w of every draw and task, (S, G, P, D), for points (S,) and tasks (G,), T if unseen."""
        count = self.loc.shape[1] - self.tasks
        place = task.expand(len(point), -1)
        if count > 1:
            place = place + (place == self.tasks) * torch.randint_like(place, count)
        elif count == 0:  # an unseen task's w isn't Gaussian, and not taken from here
            place = place.clamp_max(self.tasks - 1)
        loc, factor = (t[point[:, None], place] for t in self[1:3])
        noise = torch.randn_like(loc).unsqueeze(-1)
        return loc + (factor @ noise).squeeze(-1)


def gaussians(model: MultiTaskELBO, points: PosteriorPoints, unseen: bool) -> Gaussians | None:
    """The model's Gaussians; None if unseen tasks are asked for and their law isn't Gaussian."""
    loc, factor, noise = points.loc.clone(), points.scale_tril.clone(), points.noise
    tasks = loc.shape[1]
    if unseen:
        new = _unseen_gaussians(model, points)
        if new is None:
            return None
        loc, factor = torch.cat([loc, new[0]], 1), torch.cat([factor, new[1]], 1)
    if noise is not None:
        has = (noise > 0).sum(1, keepdim=True)
        mean = (noise.square().sum(1, keepdim=True) / has.clamp_min(1)).sqrt()
        noise = torch.cat([noise, mean], 1)
    return Gaussians(points.log_weights.log_softmax(0), loc, factor, noise, tasks)


def _unseen_gaussians(
    model: MultiTaskELBO, points: PosteriorPoints
) -> tuple[Tensor, Tensor] | None:
    """Means and factors of an unseen task's w, (K, C, ...): p_0, else all tasks', widened."""
    if points.base_loc is not None and points.base_scale_tril is not None:
        return points.base_loc[:, None], points.base_scale_tril[:, None]
    if model.prior.base is not None:
        return None
    event = model.q_weights().event_shape
    said = [
        full_gaussian(model.prior.components(correlated(loc, factor, event)))
        for loc, factor in zip(points.loc, points.scale_tril, strict=True)
    ]
    loc, factor = zip(*(one for one in said if one is not None), strict=True)
    return torch.stack(loc), torch.stack(factor)


class WeightSamples(NamedTuple):
    """M samples of every task's w, those of each point side by side."""

    w: Tensor
    """(M, T, ...), or (M, T + 1, ...) with an unseen task's last."""
    counts: Tensor
    """How many samples each of the K points has, (K,)."""

    def draw(self, point: Tensor, task: Tensor) -> Tensor:
        """w of every draw and task, (S, G, ...): of the samples of the draw's point, any."""
        counts = self.counts[point]
        first = (self.counts.cumsum(0) - self.counts)[point]
        none = counts == 0  # a point of too little weight: any sample
        counts, first = counts.masked_fill(none, len(self.w)), first.masked_fill(none, 0)
        share = torch.rand(len(point), len(task), device=self.w.device)
        pick = first[:, None] + (share * counts[:, None]).long()
        return self.w[pick.clamp_max(len(self.w) - 1), task]


def weight_samples(
    model: MultiTaskELBO, points: PosteriorPoints | None, samples: int, unseen: bool
) -> WeightSamples:
    """M samples of w, over the K points in proportion to their weights."""
    q = model.q_weights()
    if points is None or not len(model.average):
        laws, counts = [q], torch.tensor([samples])
    else:
        pairs = zip(points.loc, points.scale_tril, strict=True)
        laws = [correlated(loc, factor, q.event_shape) for loc, factor in pairs]
        counts = in_proportion(points.log_weights.softmax(0), samples)
    w = _side_by_side(laws, counts, "weights")
    if unseen:
        found = None if laws == [q] or points is None else _unseen_gaussians(model, points)
        new = (
            _unseen_laws(model)
            if found is None
            else [
                correlated(loc, factor, q.event_shape) for loc, factor in zip(*found, strict=True)
            ]
        )
        new = new * len(laws) if len(new) < len(laws) else new
        draws = _side_by_side(new, counts, "base_prior")
        row = torch.arange(samples, device=w.device)
        place = (row * GOLDEN % 1 * draws.shape[1]).long()  # every task as often, at every point
        w = torch.cat([w, draws[row, place][:, None].to(w)], 1)
    return WeightSamples(w, counts.to(w.device))


def _unseen_laws(model: MultiTaskELBO) -> list[Distribution]:
    """What the prior says of an unseen task's w, batch shape (1,), or (T,) to be mixed equally."""
    base = model.prior.base
    return [model.prior.components(model.q_weights()) if base is None else base()]


def _side_by_side(laws: list[Distribution], counts: Tensor, name: str) -> Tensor:
    pairs = zip(laws, counts.tolist(), strict=True)
    return torch.cat([rsample(law, count, name) for law, count in pairs if count])


def event_of(w: Tensor, event_shape: Size) -> Tensor:
    """Columns (..., P, D) as an event (..., D) or (..., D, P)."""
    return w.squeeze(-2) if len(event_shape) == 1 else w.mT
