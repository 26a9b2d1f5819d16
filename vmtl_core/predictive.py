"""Posterior predictive distributions, and what their uncertainty is made of."""

import math
from typing import Any, NamedTuple

import torch
from torch import Generator, Size, Tensor
from torch.distributions import Bernoulli, Categorical, Distribution

from vmtl_core._checks import broadcastable, long_format, positive_int, require
from vmtl_core._random import seeded
from vmtl_core.bundle import as_rows, draw
from vmtl_core.distributions import map_parameters
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.likelihoods import likelihood_grid


class Uncertainty(NamedTuple):
    """Uncertainty of each row, (N, ...): variances of y, or for labels entropies in nats."""

    total: Tensor
    aleatoric: Tensor
    epistemic: Tensor


@torch.no_grad()
def predictive(
    model: MultiTaskELBO,
    x: Tensor,
    task: Tensor,
    weight_samples: int = 100,
    latent_samples: int = 10,
    generator: Generator | None = None,
) -> "PredictiveMixture | PredictiveRows":
    r"""Posterior predictive of every row, an honest mixture over the L x M grid of samples.

    Equation (6.2), the integral (6.1) from samples:

    $$ p(y|x, t) \approx \frac{1}{ML} \sum_{l,m} p(y|z^{(l)}, w_t^{(m)}),
       \qquad z^{(l)} \sim q(z|x, D_t),\ w_t^{(m)} \sim q(w|D_t) $$

    Args:
        model: a fitted `MultiTaskELBO`.
        x: inputs, shape (N, ...).
        task: task ids, shape (N,).
        weight_samples, latent_samples: M and L.
        generator: source of the randomness; the global stream if None.

    Returns:
        Distribution of batch shape (N,) with log_prob, mean, variance, sample, cdf and icdf (the
        last two where the likelihood has a cdf).

    Raises:
        ValueError: if x and task don't fit together or the model.
    """
    positive_int("weight_samples", weight_samples)
    positive_int("latent_samples", latent_samples)
    long_format(model.tasks, x, task)
    x, bundle = as_rows(x), model.posteriors
    with seeded(generator):
        q_w, (q_z, _) = bundle.q_weights(), bundle.encode(x, task)
        z, w = draw(q_w, q_z, x, task, weight_samples, latent_samples)
    grid = likelihood_grid(bundle.likelihood, z, w, task)
    parts = [(rows, PredictiveMixture(dist)) for rows, dist in grid]
    if isinstance(parts[0][0], slice):
        return parts[0][1]
    rows = [rows for rows, _ in parts if isinstance(rows, Tensor)]
    return PredictiveRows(rows, [part for _, part in parts])


def decompose_uncertainty(
    predictive: "PredictiveMixture | PredictiveRows",
) -> Uncertainty:
    r"""Total, aleatoric and epistemic uncertainty of each row; the first is the sum of the others.

    For numbers, by the law of total variance, equation (6.3):
    $\mathrm{Var}[y] = \mathbb{E}[\mathrm{Var}(y|z,w)] + \mathrm{Var}[\mathbb{E}(y|z,w)]$.
    For labels, entropies in nats, equation (6.4):
    $H[\mathbb{E}\,p] = \mathbb{E}\,H[p] + I(y; z, w)$.

    Args:
        predictive: what `predictive` returns.

    Raises:
        ValueError: for any other Distribution, whose parts can't be known.

    References:
        Depeweg et al., *Decomposition of Uncertainty in Bayesian Deep Learning*, 2018.
    """
    require(
        isinstance(predictive, PredictiveMixture | PredictiveRows),
        f"`predictive` must be what `predictive(...)` returns; got {type(predictive).__name__}",
    )
    return predictive.uncertainty()


class PredictiveMixture(Distribution):
    """Equal mixture over the first two batch dimensions, (L, M), of a likelihood's Distribution.

    Equation (6.2), with log_prob by logsumexp.

    Args:
        components: batch shape (L, M, N).

    For labels of `Categorical`, mean and variance are those of the one-hot coded label, shape
    (N, C); `probs` are the averaged class probabilities.
    """

    arg_constraints: dict[str, Any] = {}

    def __init__(self, components: Distribution):
        self.components = components
        super().__init__(components.batch_shape[2:], components.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return False

    @property
    def support(self) -> Any:
        return self.components.support

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
        return probs.mean((0, 1))

    @property
    def mean(self) -> Tensor:
        return self.probs if self.is_discrete else self.components.mean.mean((0, 1))

    @property
    def variance(self) -> Tensor:
        if self.is_discrete:
            return self.probs * (1 - self.probs)
        means = self.components.mean
        return self.components.variance.mean((0, 1)) + means.var((0, 1), correction=0)

    def log_prob(self, value: Tensor) -> Tensor:
        """log of the averaged density or mass, for values (..., N, *event).

        Raises:
            ValueError: for values of another shape, or outside the likelihood's support.
        """
        value = as_values(value, self)
        self._check_support(value)
        each = self.components.log_prob(self._spread(value)).flatten(-3, -2)
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

    def sample(self, sample_shape: Any = Size()) -> Tensor:
        shape, (grid_l, grid_m) = Size(sample_shape), self.components.batch_shape[:2]
        rows = torch.arange(self.batch_shape[0], device=self._device())
        pick = [
            torch.randint(size, shape + self.batch_shape, device=rows.device)
            for size in (grid_l, grid_m)
        ]
        with torch.no_grad():
            return map_parameters(self.components, lambda t: t[pick[0], pick[1], rows]).sample()

    def cdf(self, value: Tensor) -> Tensor:
        """Averaged distribution function, for values (..., N)."""
        value = as_values(value, self)
        return self.components.cdf(self._spread(value)).mean((-3, -2))

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles by bisection, for levels strictly between 0 and 1, scalar or (..., N)."""
        level = torch.as_tensor(value, dtype=self.mean.dtype, device=self._device())
        outside = level[~((level > 0) & (level < 1))].tolist()
        require(not outside, f"`value` must lie strictly between 0 and 1; got {outside[:5]}")
        level = as_values(level, self)
        each = self.components.icdf(self._spread(level))
        low, high = each.amin((-3, -2)), each.amax((-3, -2))
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < level
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)

    def uncertainty(self) -> Uncertainty:
        """See `decompose_uncertainty`."""
        if self.is_discrete:
            family: Any = type(self.components)
            pooled = family(probs=self.probs.clamp(0, 1), validate_args=False)
            total, aleatoric = pooled.entropy(), self.components.entropy().mean((0, 1))
        else:
            total, aleatoric = self.variance, self.components.variance.mean((0, 1))
        return Uncertainty(total, aleatoric, (total - aleatoric).clamp_min(0))

    def _device(self) -> torch.device:
        return self.components.mean.device


def as_values(value: Tensor, predictive: Distribution) -> Tensor:
    """`value` spread over the rows, shape (..., N, *event).

    Raises:
        ValueError: if its shape doesn't broadcast with (N, *event).
    """
    wanted = tuple(predictive.batch_shape + predictive.event_shape)
    found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    require(
        isinstance(value, Tensor) and broadcastable(value.shape, wanted),
        f"`value` must be a tensor of shape (..., N, *event) = (..., {str(wanted)[1:]}; got {found}",
    )
    return value.expand(torch.broadcast_shapes(value.shape, wanted))


class PredictiveRows(Distribution):
    """Predictives of different likelihoods for different rows, in the order of the rows.

    Args:
        rows: for every part the positions of its rows; together 0...N-1, each once.
        parts: a `PredictiveMixture` for each.
    """

    arg_constraints: dict[str, Any] = {}

    def __init__(self, rows: list[Tensor], parts: list[PredictiveMixture]):
        self.rows, self.parts = rows, parts
        shapes = {tuple(part.event_shape) for part in parts}
        require(len(shapes) == 1, f"all tasks must predict one shape of y; got {sorted(shapes)}")
        count = sum(len(r) for r in rows)
        super().__init__(Size((count,)), parts[0].event_shape, validate_args=False)

    def _join(self, tensors: list[Tensor], dim: int = 0) -> Tensor:
        shapes = {t.shape[:dim] + t.shape[dim + 1 :] for t in tensors}
        require(
            len(shapes) == 1,
            "tasks with different numbers of classes have no common shape; ask the `parts`",
        )
        order = torch.cat(self.rows).argsort()
        return torch.cat(tensors, dim).index_select(dim, order)

    @property
    def mean(self) -> Tensor:
        return self._join([part.mean for part in self.parts])

    @property
    def variance(self) -> Tensor:
        return self._join([part.variance for part in self.parts])

    def log_prob(self, value: Tensor) -> Tensor:
        """log of the averaged density or mass, for values (..., N, *event)."""
        value = as_values(value, self)
        dim = value.ndim - 1 - len(self.event_shape)
        pairs = zip(self.rows, self.parts, strict=True)
        return self._join(
            [part.log_prob(value.index_select(dim, rows)) for rows, part in pairs], dim
        )

    def sample(self, sample_shape: Any = Size()) -> Tensor:
        shape = Size(sample_shape)
        draws = [part.sample(shape) for part in self.parts]
        dtype = self.parts[0].components.mean.dtype
        return self._join([draw.to(dtype) for draw in draws], len(shape))

    def cdf(self, value: Tensor) -> Tensor:
        """Averaged distribution function, for values (..., N)."""
        value = as_values(value, self)
        pairs = zip(self.rows, self.parts, strict=True)
        return self._join([part.cdf(value[..., rows]) for rows, part in pairs], value.ndim - 1)

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles, for levels strictly between 0 and 1, scalar or (..., N)."""
        level = as_values(torch.as_tensor(value, device=self.rows[0].device), self)
        pairs = zip(self.rows, self.parts, strict=True)
        return self._join([part.icdf(level[..., rows]) for rows, part in pairs], level.ndim - 1)

    def uncertainty(self) -> Uncertainty:
        """See `decompose_uncertainty`; variances for numbers and entropies for labels."""
        parts = [part.uncertainty() for part in self.parts]
        return Uncertainty(*(self._join(list(one)) for one in zip(*parts, strict=True)))
