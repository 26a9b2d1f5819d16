"""Predictives in closed form, or by quadrature, where z^T w is Gaussian at each of K points."""

import torch
from torch import Size, Tensor
from torch.distributions import Bernoulli, Independent, Normal, constraints

from vmtl_core._checks import require
from vmtl_core.answers import NUMBERS, Predictive, Sampler, Uncertainty, levels
from vmtl_core.cdf import counted
from vmtl_core.mixtures import PredictiveMixture
from vmtl_core.quadrature import normal_nodes, poisson_below, poisson_log_mass


def predictor(x: Tensor, place: Tensor, loc: Tensor, scale_tril: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of x^T w for every row, each (K, N, P).

    The variance is |L^T x|^2, no difference of larger numbers.

    Args:
        x: inputs, (N, D); D one less than in `loc` leaves the last entry of w as an intercept.
        place: which of the C Gaussians each row has, (N,).
        loc, scale_tril: (K, C, P, D) and (K, C, P, D, D).
    """
    points, _, columns, features = loc.shape
    if x.shape[1] < features:
        x = torch.cat([x, x.new_ones(len(x), 1)], 1)
    batch = max(1, NUMBERS // (4 * points * columns * features**2))
    parts = [
        (
            torch.einsum("nd,knpd->knp", rows, loc[:, at]),
            torch.einsum("nd,knpde->knpe", rows, scale_tril[:, at]).norm(dim=-1),
        )
        for rows, at in zip(x.split(batch), place.split(batch), strict=True)
    ]
    mean, spread = (torch.cat(tensors, 1) for tensors in zip(*parts, strict=True))
    return mean, spread


class GaussianPredictive(PredictiveMixture):
    """Exact predictive of `LinearGaussian`: a mixture of K Gaussians, one for each point.

    Args:
        mean, spread: of z^T w, (K, N), or (K, N, P) for P columns.
        noise: standard deviation of y given z^T w, (K, N), or (K, N, 1) for P columns.
        log_weights: of the points, (K,).
        sampler: joint draws.
    """

    def __init__(
        self,
        mean: Tensor,
        spread: Tensor,
        noise: Tensor,
        log_weights: Tensor,
        sampler: Sampler | None = None,
    ):
        self.spread, self.noise = spread, noise.expand_as(spread)
        normal = Normal(mean[None], torch.hypot(spread, noise)[None], validate_args=False)
        columns = mean.ndim == 3
        super().__init__(
            Independent(normal, 1, validate_args=False) if columns else normal,
            log_weights[None],
            sampler,
        )

    def uncertainty(self) -> Uncertainty:
        """Aleatoric is the averaged noise; what w and the hyperparameters leave open is epistemic."""
        aleatoric = self._average(self.noise.square()[None])
        epistemic = self._average(self.spread.square()[None]) + self._spread_of_means()
        return Uncertainty(aleatoric + epistemic, aleatoric, epistemic)


def bernoulli_predictive(
    mean: Tensor, spread: Tensor, log_weights: Tensor, sampler: Sampler | None = None
) -> PredictiveMixture:
    """Predictive of `LinearBernoulli` by quadrature: a mixture over nodes x K points, all of w.

    Args:
        mean, spread: of z^T w, (K, N).
        log_weights: of the points, (K,).
        sampler: joint draws.
    """
    nodes, log_nodes = normal_nodes(spread)
    logits = (mean + spread * nodes[:, None, None]).flatten(0, 1)[None]
    log_both = (log_nodes[:, None] + log_weights).flatten()[None]
    return PredictiveMixture(Bernoulli(logits=logits, validate_args=False), log_both, sampler)


class PoissonPredictive(Predictive):
    """Predictive of `LinearPoisson`: moments in closed form, masses and cdf by quadrature.

    Args:
        mean, spread: of the log rate, (K, N).
        log_weights: of the points, (K,).
        sampler: joint draws.
    """

    support = constraints.nonnegative_integer

    def __init__(
        self, mean: Tensor, spread: Tensor, log_weights: Tensor, sampler: Sampler | None = None
    ):
        self.loc, self.spread, self.log_weights = mean, spread, log_weights
        super().__init__(mean.shape[1], Size(), sampler)

    @property
    def like(self) -> Tensor:
        return self.loc

    def _average(self, each: Tensor) -> Tensor:
        """Over the K points, (..., K, N) to (..., N)."""
        return (self.log_weights.exp().unsqueeze(-1) * each).sum(-2)

    @property
    def _rate(self) -> Tensor:
        return (self.loc + self.spread.square() / 2).exp()

    @property
    def mean(self) -> Tensor:
        return self._average(self._rate)

    @property
    def variance(self) -> Tensor:
        return self.uncertainty().total

    def log_prob(self, value: Tensor) -> Tensor:
        """log of the averaged mass, for counts (..., N).

        Raises:
            ValueError: for values of another shape, or that aren't counts.
        """
        value = self._values(value)
        inside = self.support.check(value)
        require(
            bool(inside.all()),
            f"`value` must lie in the likelihood's support ({self.support}); "
            f"got {value[~inside].unique().tolist()[:10]}",
        )
        each = poisson_log_mass(value.unsqueeze(-2), self.loc, self.spread)
        return (each + self.log_weights.unsqueeze(-1)).logsumexp(-2)

    def cdf(self, value: Tensor) -> Tensor:
        """P(y <= value), for values (..., N)."""
        value = self._values(value).unsqueeze(-2)
        return self._average(poisson_below(value, self.loc, self.spread))

    def icdf(self, value: Tensor) -> Tensor:
        """The smallest count y with cdf(y) >= level, for levels between 0 and 1."""
        return counted(self.cdf, levels(value, self))

    def _independent(self, shape: Size) -> Tensor:
        size = (shape.numel(), self.batch_shape[0])
        rows = torch.arange(size[1], device=self.loc.device)
        point = self.log_weights.exp().multinomial(size[0] * size[1], True).view(size)
        log_rate = torch.normal(self.loc[point, rows], self.spread[point, rows])
        return torch.poisson(log_rate.exp()).view(shape + self.batch_shape)

    def uncertainty(self) -> Uncertainty:
        """The rate's mean is aleatoric, its variance epistemic."""
        rate = self._rate
        aleatoric = self._average(rate)
        within = self._average(rate.square() * self.spread.square().expm1())
        epistemic = within + self._average((rate - aleatoric).square())
        return Uncertainty(aleatoric + epistemic, aleatoric, epistemic)
