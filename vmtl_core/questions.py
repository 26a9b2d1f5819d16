"""The rows that `predictive` is asked about: their parts, and joint draws of their answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Size, Tensor

from vmtl_core._modes import evaluating
from vmtl_core._random import forked
from vmtl_core.answers import NUMBERS, Predictive, Sampler
from vmtl_core.bundle import rsample
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.exact import (
    GaussianPredictive,
    PoissonPredictive,
    bernoulli_predictive,
    predictor,
)
from vmtl_core.joint_draws import JointDraws
from vmtl_core.likelihoods import LinearBernoulli, LinearGaussian, _evaluate
from vmtl_core.mixtures import PredictiveMixture
from vmtl_core.parts import EXACT, LINEAR, Part, parts, with_points
from vmtl_core.predictive_rows import PredictiveRows, Rebuilt
from vmtl_core.weight_draws import (
    Gaussians,
    WeightSamples,
    gaussians,
    weight_samples,
)


@dataclass(eq=False)
class Questions:
    """N rows and their tasks, with what their answers share.

    Args:
        model: the fitted model.
        x: (N, ...).
        ids: task ids, (N,), T or more for unseen tasks.
        weight_samples, latent_samples: M and L.
    """

    model: MultiTaskELBO
    x: Tensor
    ids: Tensor
    weight_samples: int
    latent_samples: int
    gaussians: Gaussians | None = field(init=False, default=None)
    """w as Gaussians, for exact answers."""
    samples: WeightSamples | None = field(init=False, default=None)
    """w as samples, for the others."""
    z: Tensor | None = field(init=False, default=None)
    """All rows' latents, (L, 1, N, ...), if they fit into memory; else drawn from a part's seed."""

    def __post_init__(self) -> None:
        tasks, bundle = self.model.tasks, self.model.posteriors
        self.task = self.ids.clamp_max(tasks)
        present, self.group = self.ids.unique(return_inverse=True)
        self.group_task = present.clamp_max(tasks)
        unseen = bool((self.task == tasks).any())
        self.event_shape = self.model.q_weights().event_shape
        points = with_points(self.model)
        exact_unseen = unseen
        if points is not None:
            self.gaussians = gaussians(self.model, points, unseen)
            if self.gaussians is None:  # the law of an unseen task's w isn't Gaussian
                self.gaussians, exact_unseen = gaussians(self.model, points, False), False
        whole = parts(bundle, self.task, self.gaussians is not None, exact_unseen)
        if not all(part.exact for part in whole):
            self.samples = weight_samples(self.model, points, self.weight_samples, unseen)
        self._check(whole)
        self._divide(whole)

    def _divide(self, whole: list[Part]) -> None:
        """Split parts that are too large to hold, and draw the latents, or seeds for them."""
        numbers = [self._numbers(part) for part in whole]
        total = sum(n * len(part.rows) for n, part in zip(numbers, whole, strict=True))
        self.lazy = total > NUMBERS
        self.parts = whole
        if self.lazy:
            pairs = zip(numbers, whole, strict=True)
            self.parts = [one for n, part in pairs for one in part.split(max(1, NUMBERS // n))]
        if self.model.posteriors.latents is None:
            return
        if self.lazy:
            seed = int(torch.randint(2**62, ()).item())
            self.parts = [replace(part, seed=seed + i) for i, part in enumerate(self.parts)]
        else:
            self.z = self._encoded(torch.arange(len(self.ids), device=self.ids.device))

    def _numbers(self, part: Part) -> int:
        """About how many numbers a row of this part takes."""
        columns, entries = Size(self.event_shape[1:]).numel(), self.event_shape.numel()
        if part.exact and self.gaussians is not None:
            found = self.gaussians.unseen() if part.unseen else self.gaussians
            return EXACT[type(part.likelihood)] * columns * len(found.log_weights)
        latents = self.model.posteriors.latents is not None
        each = columns if type(part.likelihood) in LINEAR else entries
        pairs = self.weight_samples * (self.latent_samples if latents else 1)
        encodings = self.model.tasks * self.x[0].numel() if latents else 0
        return self.weight_samples * entries + pairs * each + encodings

    def _check(self, whole: list[Part]) -> None:
        """Have exact parts' likelihoods say what is wrong with the shapes, on one row."""
        for part in whole:
            if part.exact and self.gaussians is not None:
                w = self.gaussians.loc.new_zeros((1, 1, 1) + self.event_shape)
                _evaluate(
                    part.likelihood,
                    self.inputs(part.rows[:1]),
                    w,
                    part.name,
                    torch.zeros_like(part.rows[:1]),
                )

    def answer(self) -> Predictive:
        """The predictive of all rows."""
        if len(self.parts) == 1:
            return self._marginal(self.parts[0])
        make = [partial(self._marginal, part) for part in self.parts]
        found = Rebuilt(make) if self.lazy else [one() for one in make]
        return PredictiveRows(
            [part.rows for part in self.parts], found, JointDraws(self, self.parts)
        )

    @torch.no_grad()
    def _marginal(self, part: Part) -> Predictive:
        """Every row's own predictive."""
        sampler = JointDraws(self, [part])
        if part.exact:
            return self._exact(part, sampler)
        assert self.samples is not None
        with evaluating(self.model.posteriors):
            w = self.samples.w[:, self.task[part.rows]].unsqueeze(0)
            dist = _evaluate(
                part.likelihood, self.latents(part), w, part.name, self.task[part.rows]
            )
        return PredictiveMixture(dist, sampler=sampler)

    def _exact(self, part: Part, sampler: Sampler) -> Predictive:
        assert self.gaussians is not None
        found = self.gaussians.unseen() if part.unseen else self.gaussians
        place = self.task[part.rows]
        place = torch.zeros_like(place) if part.unseen else place
        x = self.inputs(part.rows)[0, 0]
        mean, spread = predictor(x, place, found.loc, found.scale_tril)
        vector = len(self.event_shape) == 1
        if vector:
            mean, spread = mean.squeeze(-1), spread.squeeze(-1)
        if isinstance(part.likelihood, LinearGaussian):
            assert found.noise is not None
            noise = found.noise[:, place] if vector else found.noise[:, place, None]
            return GaussianPredictive(mean, spread, noise, found.log_weights, sampler)
        if isinstance(part.likelihood, LinearBernoulli):
            return bernoulli_predictive(mean, spread, found.log_weights, sampler)
        return PoissonPredictive(mean, spread, found.log_weights, sampler)

    def inputs(self, rows: Tensor) -> Tensor:
        """z = x, (1, 1, n, ...), of the weights' dtype."""
        like = self.gaussians.loc if self.samples is None else self.samples.w  # type: ignore[union-attr]
        return self.x[rows].to(like.dtype)[None, None]

    def latents(self, part: Part) -> Tensor:
        """Draws of the latents of a part's rows, (L, 1, n, ...), the same at every call."""
        if self.model.posteriors.latents is None:
            return self.inputs(part.rows)
        if self.z is not None:
            return self.z[:, :, part.rows]
        with forked(part.seed, self.x.device):
            return self._encoded(part.rows)

    def _encoded(self, rows: Tensor) -> Tensor:
        q, _ = self.model.posteriors.encode(self.x[rows], self.task[rows])
        assert q is not None
        return rsample(q, self.latent_samples, "latents").unsqueeze(1)
