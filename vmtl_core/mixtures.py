"""Predictives that are mixtures over a grid of samples or nodes."""

import math
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Poisson

from vmtl_core._checks import require
from vmtl_core.answers import NUMBERS, Predictive, Sampler, Uncertainty, levels
from vmtl_core.cdf import (
    by_bisection,
    circular,
    counted,
    distribution_function,
    known,
    refuse_classes,
)
from vmtl_core.distributions import example


class PredictiveMixture(Predictive):
    """Mixture over the first two batch dimensions, (L, M), of a likelihood's Distribution.

    Equation (6.2), with log_prob by logsumexp. The first dimension is of a row's latents z, the second
    of what all rows of a task share, its w (and the hyperparameters): (6.3) and (6.4) tell them apart.

    Args:
        components: batch shape (L, M, N).
        log_weights: log weights of the components, (L, M); equal ones if None.
        sampler: sample shape -> joint draws of all rows; None draws a component for each row.

    For labels of `Categorical`, mean and variance are those of the one-hot coded label, shape
    (N, C); `probs` are the averaged class probabilities.

    Raises:
        ValueError: `mean`, `variance`, `cdf`, `icdf`: where the likelihood's Distribution doesn't
            know them.
    """

    def __init__(
        self,
        components: Distribution,
        log_weights: Tensor | None = None,
        sampler: Sampler | None = None,
    ):
        shape = tuple(components.batch_shape)
        require(
            len(shape) == 3,
            f"`components` must have batch shape (L, M, N); got batch shape {shape}",
        )
        require(
            log_weights is None or tuple(log_weights.shape) == shape[:2],
            f"`log_weights` must have shape (L, M) = {shape[:2]}; "
            f"got {None if log_weights is None else tuple(log_weights.shape)}",
        )
        self.components, self.log_weights = components, log_weights
        super().__init__(shape[2], components.event_shape, sampler)

    @property
    def support(self) -> Any:
        return self.components.support

    @property
    def like(self) -> Tensor:
        try:
            return self.components.mean
        except NotImplementedError:
            return example(self.components)

    @property
    def is_discrete(self) -> bool:
        """Whether y is a label of Bernoulli or Categorical."""
        return isinstance(self.components, Bernoulli | Categorical)

    @property
    def probs(self) -> Tensor:
        """Averaged probability of 1 for Bernoulli, (N,), or of every class, (N, C).

        Raises:
            AttributeError: for any other likelihood.
        """
        if not self.is_discrete:
            name = type(self.components).__name__
            raise AttributeError(f"a mixture of {name} has no `probs`")
        probs: Tensor = self.components.probs  # type: ignore[attr-defined]
        return self._average(probs)

    @property
    def mean(self) -> Tensor:
        return self.probs if self.is_discrete else self._average(self._moment("mean"))

    @property
    def variance(self) -> Tensor:
        if self.is_discrete:
            return self.probs * (1 - self.probs)
        return self._average(self._moment("variance")) + self._spread_of_means()

    def _moment(self, name: str) -> Tensor:
        """`mean` or `variance` of every component, (L, M, N, *event)."""
        require(
            not circular(self.components),
            f"`likelihood` is of angles, whose {name} on a line isn't defined: use `sample`",
        )
        return known(self.components, lambda: getattr(self.components, name), name)

    def _spread_of_means(self) -> Tensor:
        means = self._moment("mean")
        return self._average((means - self._average(means)).square())

    def _given_w(self, each: Tensor) -> Tensor:
        """Averaged over z alone: (L, M, ...) to (M, ...)."""
        if self.log_weights is None:
            return each.mean(0)
        share = self.log_weights.softmax(0).nan_to_num().to(each.dtype)  # no weight at all: 0
        return (share.view(share.shape + (1,) * (each.ndim - 2)) * each).sum(0)

    def _over_w(self, each: Tensor) -> Tensor:
        """Averaged over w: (M, ...) to (...)."""
        if self.log_weights is None:
            return each.mean(0)
        return torch.tensordot(self.log_weights.logsumexp(0).exp().to(each.dtype), each, 1)

    def _average(self, each: Tensor) -> Tensor:
        """Over the components: (L, M, ...) to (...)."""
        if self.log_weights is None:
            return each.mean((0, 1))
        weights = self.log_weights.exp().to(each.dtype).flatten()
        return torch.tensordot(weights, each.flatten(0, 1), 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log of the averaged density or mass, for values (..., N, *event).

        Raises:
            ValueError: for values of another shape, or outside the likelihood's support.
        """
        value = self._values(value)
        self._check_support(value)
        each = self.components.log_prob(self._spread(value))
        if self.log_weights is not None:
            return (each + self.log_weights.unsqueeze(-1)).flatten(-3, -2).logsumexp(-2)
        each = each.flatten(-3, -2)
        return each.logsumexp(-2) - math.log(each.shape[-2])

    def _spread(self, value: Tensor) -> Tensor:
        """Values (..., N, *event) with two dimensions for L and M, (..., 1, 1, N, *event)."""
        lead = value.ndim - 1 - len(self.event_shape)
        return value[(slice(None),) * lead + (None, None)]

    def _check_support(self, value: Tensor) -> None:
        try:
            support: Any = self.components.support
        except NotImplementedError:  # a Distribution of the user's that doesn't say
            return
        inside = support.check(self._spread(value)).flatten(-3, -2).any(-2)
        require(
            bool(inside.all()),
            f"`value` must lie in the likelihood's support ({support}); "
            f"got {value[~inside].unique().tolist()[:10]}",
        )

    def _independent(self, shape: Size) -> Tensor:
        """A component for each row and draw; of all components' draws, as many as fit at once."""
        grid = self.components.batch_shape[:2].numel()
        numbers = grid * self.batch_shape[0] * self.event_shape.numel()
        parts = torch.arange(shape.numel()).split(max(1, NUMBERS // max(1, numbers)))
        with torch.no_grad():
            draws = [self._some(Size((len(part),))) for part in parts]
        return torch.cat(draws).reshape(shape + self.batch_shape + self.event_shape)

    def _some(self, shape: Size) -> Tensor:
        each = self.components.sample(shape).flatten(1, 2)  # (S, L M, N, *event)
        size = shape + self.batch_shape
        if self.log_weights is None:
            pick = torch.randint(each.shape[1], size, device=each.device)
        else:
            flat = self.log_weights.exp().flatten()
            pick = flat.multinomial(size.numel(), True).view(size).to(each.device)
        pick = pick.view(shape + (1,) + self.batch_shape + (1,) * len(self.event_shape))
        return each.take_along_dim(pick, 1).squeeze(1)

    def cdf(self, value: Tensor) -> Tensor:
        """Averaged distribution function, for values (..., N)."""
        each = distribution_function(self.components, self._spread(self._values(value)))
        return self._average(each.movedim((-3, -2), (0, 1)))

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles by bisection, for levels strictly between 0 and 1, scalar or (..., N).

        Of counts and of labels 0 and 1, the smallest y with cdf(y) >= level.
        """
        refuse_classes(self.components)
        level = levels(value, self)
        if isinstance(self.components, Bernoulli):
            return (1 - self.probs < level).to(level)
        if isinstance(self.components, Poisson):
            return counted(self.cdf, level)
        try:
            each = self.components.icdf(self._spread(level))
            bracket = each.amin((-3, -2)), each.amax((-3, -2))
        except NotImplementedError:
            bracket = None
        return by_bisection(self.cdf, level, bracket, self.components)

    def uncertainty(self) -> Uncertainty:
        """See `decompose_uncertainty`; what z leaves open at a given w is aleatoric."""
        if self.is_discrete:
            total = self._entropy(self.probs)
            aleatoric = self._over_w(self._entropy_given_w())
            return Uncertainty(total, aleatoric, (total - aleatoric).clamp_min(0))
        means = self._moment("mean")
        given_w = self._given_w(means)
        within = self._moment("variance") + (means - given_w).square()
        aleatoric = self._average(within)
        epistemic = self._over_w((given_w - self._over_w(given_w)).square())
        return Uncertainty(aleatoric + epistemic, aleatoric, epistemic)

    def _entropy_given_w(self) -> Tensor:
        """Of the label, averaged over z, (M, N); of the logits themselves where there is one z."""
        if self.components.batch_shape[0] == 1:
            return self.components.entropy()[0]
        return self._entropy(self._given_w(self.components.probs))  # type: ignore[attr-defined]

    def _entropy(self, probs: Tensor) -> Tensor:
        family: Any = type(self.components)
        entropy: Tensor = family(probs=probs.clamp(0, 1), validate_args=False).entropy()
        return entropy
