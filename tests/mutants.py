"""Wrong formulas that a student, or a public implementation, would plausibly write.

Each replaces one formula of the core, and names the tests that must fail under it. A mutant is a
mapping from what is replaced, "module:attribute" or "module:attribute[key]", to its replacement.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace, Normal

from tests.analytic import (
    test_elbo,
    test_evidence,
    test_exact_predictive,
    test_full_covariance,
    test_fused_lasso,
    test_joint_draws,
    test_kl_to_mixture,
    test_latents,
    test_mixing,
    test_pairwise_kl,
    test_posteriors,
    test_predictive,
    test_prior,
    test_sources,
    test_unseen_tasks,
)
from tests.closed_form import (
    test_candidates,
    test_evidence_of_hyperparameters,
    test_expectations,
    test_product,
    test_sites,
    test_units,
)
from tests.gradients import test_divergence_gradients, test_mixing_gradients
from tests.properties import test_divergences, test_relabelling
from tests.training import test_batches
from vmtl_core import (
    averaging,
    candidates,
    distributions,
    divergences,
    evidence,
    expectations,
    likelihoods,
    mixing,
    mixture,
    parts,
    priors,
    units,
    weight_draws,
)
from vmtl_core.answers import Predictive
from vmtl_core.batches import StratifiedBatches
from vmtl_core.distributions import detach, gaussian, map_parameters
from vmtl_core.elbo import ELBOTerms, MultiTaskELBO
from vmtl_core.mixing import GumbelSoftmaxMixing, exponential_decay
from vmtl_core.posteriors import (
    SMALLEST_SCALE,
    AmortizedWeights,
    GaussianEncoder,
    GaussianWeights,
)
from vmtl_core.predictive import PredictiveMixture, PredictiveRows, Uncertainty
from vmtl_core.priors import BasePrior, WeightsPrior

Test = Callable[..., None]


@dataclass(frozen=True)
class Mutant:
    """A wrong formula: what it replaces, and the tests, with arguments, that must reject it."""

    name: str
    patches: dict[str, Any]
    tests: list[tuple[Test, dict[str, Any]]] = field(default_factory=list)


def mutant(
    name: str, patches: dict[str, Any], *tests: Test | tuple[Test, dict[str, Any]]
) -> Mutant:
    return Mutant(name, patches, [t if isinstance(t, tuple) else (t, {}) for t in tests])


TEXTBOOK = {"case": test_kl_to_mixture.CASES["textbook"]}
WIDE = {"case": test_kl_to_mixture.CASES["wide q"]}
SAMPLED, EXACT = {"expectation": "sampled"}, {"expectation": "exact"}
BY_ADAM = {"options": {"method": "adam", "lr": exponential_decay(0.05, 3e-4, 350)}, "atol": 0.02}

# The originals, bound before anything is replaced.
_log_weights = GumbelSoftmaxMixing.log_weights
_log_probabilities = GumbelSoftmaxMixing.log_probabilities
_mixture_kl = divergences.mixture_kl
_kl_monte_carlo = divergences.kl_monte_carlo
_own_elbo = MultiTaskELBO._own_elbo
_log_hyperprior = MultiTaskELBO._log_hyperprior
_prior_hyperprior = WeightsPrior.log_hyperprior
_base_hyperprior = BasePrior.log_hyperprior
_per_task = MultiTaskELBO._per_task
_gaussian_all_pairs = divergences._gaussian_all_pairs
_full_all_pairs = divergences._full_all_pairs
_components = WeightsPrior.components
_rows_join = PredictiveRows._join
_gaussians = weight_draws.gaussians
_init = MultiTaskELBO.__init__
_draw = divergences._draw
_gaussian_rows = divergences._gaussian_rows
_uncertainty = PredictiveMixture.uncertainty
_log_gumbel_softmax = mixing.log_gumbel_softmax
_forward = GaussianEncoder.forward


def correlations_forgotten(mean: Tensor, factor: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    sds = [f.square().sum(-1).sqrt().flatten(1) for f in (factor, factors)]
    return divergences._gaussian_all_pairs(mean.flatten(1), sds[0], means.flatten(1), sds[1])


def columns_exchanged(mean: Tensor, factor: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    return _full_all_pairs(mean, factor, means, factors.flip(1))


def width_of_another_column(dist: Distribution, width: Tensor) -> Distribution:
    return distributions.widen(dist, width.flip(-1) if width.ndim == 2 else width)


def factor_for_covariance(mean: Tensor, factor: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    return _full_all_pairs(mean, factor @ factor.mT, means, factors)


# Mixing weights.
def transposed(log_weights: Tensor) -> Tensor:
    """Sources in the rows: what task t gives, not what it receives; columns to sum to one."""
    tasks = len(log_weights)
    square = log_weights[:, :tasks].T
    return torch.cat([square, log_weights[:, tasks:]], 1).log_softmax(-1)


def noise_after_the_softmax(
    logits: Tensor, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    gumbel = -torch.empty_like(logits).exponential_(generator=generator).log()
    noisy = mixing.tempered_log_softmax(logits, temperature).exp() + gumbel
    return noisy.masked_fill(logits == -math.inf, -math.inf).log_softmax(-1)


def noise_not_divided_by_the_temperature(
    logits: Tensor, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    gumbel = -torch.empty_like(logits).exponential_(generator=generator).log()
    scaled = (logits / temperature).masked_fill(logits == -math.inf, -math.inf)
    return (scaled + gumbel).log_softmax(-1)


def gaussian_noise(
    logits: Tensor, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    noise = torch.empty_like(logits).normal_(generator=generator)
    return mixing.tempered_log_softmax(logits + noise, temperature)


def gumbel_of_the_other_sign(
    logits: Tensor, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    gumbel = torch.empty_like(logits).exponential_(generator=generator).log()
    return mixing.tempered_log_softmax(logits + gumbel, temperature)


def multiplied_by_the_temperature(scores: Tensor, temperature: float) -> Tensor:
    return torch.log_softmax(scores * temperature, -1)


def unsafe_softmax(scores: Tensor, temperature: float) -> Tensor:
    """Divides before the largest score is taken off, and takes -inf / inf as it comes."""
    return torch.log_softmax(scores / temperature, -1)


def diagonal_kept(self: GumbelSoftmaxMixing) -> Tensor:
    return self.logits


def expected_is_pi(self, temperature: float, samples: int = 1000, generator=None) -> Tensor:
    return self.probabilities()


def one_parameter(self, *args: Any, **kwargs: Any) -> None:
    _init(self, *args, **kwargs)
    if self.latent_mixing is not None:
        self.latent_mixing = self.prior.mixing


# Divergences.
def both_signs_forgotten(kl: Tensor, log_weights: Tensor) -> Tensor:
    """log sum a exp(KL): both signs forgotten."""
    return (log_weights + kl).logsumexp(-1)


def unweighted(kl: Tensor, log_weights: Tensor) -> Tensor:
    return torch.where(log_weights > -math.inf, kl, 0.0).mean(-1)


def mixture_by_convex(q, p, log_weights, method, *args, **kwargs) -> Tensor:
    method = "convex" if method in ("monte_carlo", "jensen") else method
    return _mixture_kl(q, p, log_weights, method, *args, **kwargs)


def mixture_by_jensen(q, p, log_weights, method, *args, **kwargs) -> Tensor:
    method = "jensen" if method == "monte_carlo" else method
    return _mixture_kl(q, p, log_weights, method, *args, **kwargs)


def mixture_by_weighted_sum(q, p, log_weights, method, *args, **kwargs) -> Tensor:
    method = "weighted_sum" if method == "monte_carlo" else method
    return _mixture_kl(q, p, log_weights, method, *args, **kwargs)


def averaged_over_the_batch(q, p, log_weights, method, *args, **kwargs) -> Tensor:
    found = _mixture_kl(q, p, log_weights, method, *args, **kwargs)
    return found.mean().expand_as(found)


def plain_kl_averaged_over_the_batch(q, p, *args, **kwargs) -> Tensor:
    found = _kl_monte_carlo(q, p, *args, **kwargs)
    return found.mean().expand_as(found)


def log_densities_averaged(value: Tensor, components, log_weights: Tensor) -> Tensor:
    """sum_k a_k log p_k in the place of log sum_k a_k p_k."""
    each = components.log_prob(value.unsqueeze(value.ndim - len(components.event_shape)))
    weighted = log_weights.exp() * each
    return torch.where(log_weights > -math.inf, weighted, 0.0).sum(-1)


def weights_not_squared(q, components, log_weights: Tensor) -> Tensor:
    """Variance sum a s^2 in the place of sum a^2 s^2."""
    (mean, scale), (means, scales) = divergences._gaussians(q, components, "weighted_sum")
    weights = log_weights.exp().unsqueeze(-2)
    centre = (weights @ means).squeeze(-2)
    spread = (weights @ scales.square()).squeeze(-2)
    ratio = scale.square() / spread
    return 0.5 * (ratio + (mean - centre).square() / spread - 1 - ratio.log()).sum(-1)


def weighted_sum_bypassed(q, components, log_weights: Tensor) -> Tensor:
    """Moments of the mixture in the place of those of the sum."""
    (mean, scale), (means, scales) = divergences._gaussians(q, components, "weighted_sum")
    weights = log_weights.exp().unsqueeze(-2)
    centre = (weights @ means).squeeze(-2)
    second = (weights @ (scales.square() + means.square())).squeeze(-2)
    spread = second - centre.square()
    ratio = scale.square() / spread
    return 0.5 * (ratio + (mean - centre).square() / spread - 1 - ratio.log()).sum(-1)


def overlap_without_q(q, components, log_weights: Tensor) -> Tensor:
    """p_k at the mean of q in the place of the integral of q p_k."""
    (mean, _), (means, scales) = divergences._gaussians(q, components, "lower_bound")
    distance = ((mean.unsqueeze(-2) - means) / scales).square()
    each = -0.5 * (distance + 2 * scales.log() + math.log(2 * math.pi)).sum(-1)
    return -q.entropy() - (log_weights + each).logsumexp(-1)


def entropy_of_the_other_sign(q, components, log_weights: Tensor) -> Tensor:
    return divergences.lower_bound(q, components, log_weights) + 2 * q.entropy()


def weightless_responsibilities(kl: Tensor, log_weights: Tensor) -> Tensor:
    return torch.softmax(torch.where(log_weights > -math.inf, -kl, -math.inf), -1)


def reversed_kl(mean: Tensor, scale: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    if mean.ndim == 2:
        return _gaussian_all_pairs(means, scales, mean, scale).T
    flat = _gaussian_all_pairs(means, scales, mean.flatten(0, -2), scale.flatten(0, -2))
    return flat.T.reshape(*mean.shape[:-1], len(means))


def not_centred(mean: Tensor, scale: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    precision = scales.square().reciprocal()
    quadratic = (scale.square() + mean.square()) @ precision.T - 2 * mean @ (means * precision).T
    constant = (means.square() * precision).sum(-1) + 2 * scales.log().sum(-1)
    return 0.5 * (quadratic + constant - (2 * scale.log().sum(-1) + mean.shape[-1]).unsqueeze(-1))


def no_dimension_term(mean: Tensor, scale: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """Forgets the -1 of every coordinate."""
    return _gaussian_all_pairs(mean, scale, means, scales) + 0.5 * mean.shape[-1]


def sampled_without_path(q, samples, stick, generator):
    """Detaches the sample: no gradient reaches q along the path."""
    value, _ = _draw(q, samples, stick, generator)
    return value.detach(), q.log_prob(value.detach())


def stick_ignored(q, samples, stick, generator):
    return _draw(q, samples, False, generator)


# Priors.
def own_task_included(self: GumbelSoftmaxMixing) -> Tensor:
    return torch.zeros_like(self.logits)


def same_shape(dist, scale: Tensor, loc: Tensor | None = None):
    """A Gaussian of the shapes of `dist`, batch shape (K,): these sds, its means or `loc`."""
    loc = dist.mean if loc is None else loc
    count = len(loc)
    return gaussian(loc.reshape(count, -1), scale.reshape(count, -1), dist.event_shape)


def widened_sd(dist, width: Tensor):
    """Standard deviations added in the place of variances."""
    return same_shape(dist, dist.stddev + width)


def narrowed(dist, width: Tensor):
    """The width replaces the posterior's own spread."""
    return same_shape(dist, width.expand_as(dist.stddev))


def noise_of_the_population(dist, base, width: Tensor):
    """Noise of s_0 in the place of sqrt(1 - rho^2) s_0."""
    (centre,), (spread,) = base.mean, base.stddev
    rho = (1 + width.square()).rsqrt()
    moved = centre + rho * (dist.mean - centre)
    return same_shape(dist, torch.hypot(rho * dist.stddev, spread), moved)


def drawn_to_zero(dist, base, width: Tensor):
    """Drawn back towards 0, and not towards m_0."""
    rho = (1 + width.square()).rsqrt()
    noise = width * rho * base.stddev[0]
    return same_shape(dist, torch.hypot(rho * dist.stddev, noise), rho * dist.mean)


def never_drawn_back(dist, base, width: Tensor):
    """The width of (2.6) in units of s_0, and no step back."""
    return distributions.widen(dist, width * base.stddev[0])


def base_widened_too(self: WeightsPrior, sources):
    plain, width = self.base, self.width()
    whole = sources if plain is None else priors.concatenate([sources, plain()])
    return whole if width is None else priors.widen(whole, width)


def base_first(self: WeightsPrior, sources):
    width = self.width()
    wide = sources if width is None else priors.widen(sources, width)
    return wide if self.base is None else priors.concatenate([self.base(), wide])


def standard_scale_for_log_sd(self: BasePrior, tasks: int) -> Tensor:
    """N(0, 1) on log sd of p_0, as on log delta."""
    if self.given != "learned":
        return torch.zeros(())
    mean = mixing.log_normal_density(self.loc, priors.MEAN_SD)
    return mean + mixing.log_normal_density(self.log_scale)


def half_normal_without_jacobian(self: BasePrior, tasks: int) -> Tensor:
    """Half-normal on s_0 taken for a density of log s_0."""
    if self.given != "learned":
        return torch.zeros(())
    constant = 0.5 * math.log(2 / math.pi) * self.loc.numel()
    spread = constant - (2 * self.log_scale).exp().sum() / 2
    return mixing.log_normal_density(self.loc, priors.MEAN_SD) + spread


def hyperprior_that_stays(self: BasePrior, tasks: int) -> Tensor:
    """The push on log s_0 of few tasks, however many there are."""
    return _base_hyperprior(self, 2)


def mixture_trains_the_base(self: WeightsPrior, sources):
    """p_0 fitted by the mixture too, and not by the own-data ELBO alone."""
    width = self.width()
    wide = sources if width is None else priors.widen(sources, width)
    return wide if self.base is None else priors.concatenate([wide, self.base()])


def hyperprior_of_every_entry(self: GumbelSoftmaxMixing) -> Tensor:
    return mixing.log_normal_density(self.logits - self.start)


def hyperprior_about_zero(self: GumbelSoftmaxMixing) -> Tensor:
    return mixing.log_normal_density(self.logits[~self.excluded])


# ELBO.
def hyperprior_not_divided(self: MultiTaskELBO, like: Tensor) -> Tensor:
    return _log_hyperprior(self, like) * self.tasks


def hyperprior_twice(self: MultiTaskELBO, like: Tensor) -> Tensor:
    return 2 * _log_hyperprior(self, like)


def elbo_summed(self: ELBOTerms) -> Tensor:
    per_task = self.log_likelihood - self.kl_weights - self.kl_latents
    return (per_task + self.own_elbo - self.own_elbo.detach()).sum() + self.hyperprior


def elbo_with_own_value(self: ELBOTerms) -> Tensor:
    per_task = self.log_likelihood - self.kl_weights - self.kl_latents
    return (per_task + self.own_elbo).mean() + self.hyperprior


def elbo_without_latents(self: ELBOTerms) -> Tensor:
    own = self.own_elbo - self.own_elbo.detach()
    return (self.log_likelihood - self.kl_weights + own).mean() + self.hyperprior


def elbo_adds_the_kl(self: ELBOTerms) -> Tensor:
    own = self.own_elbo - self.own_elbo.detach()
    return (self.log_likelihood + self.kl_weights + self.kl_latents + own).mean() + self.hyperprior


def scale_forgotten(self: MultiTaskELBO, rows: Tensor, task: Tensor, scale: Tensor) -> Tensor:
    return rows.new_zeros(self.tasks).index_add(0, task, rows)


def scale_of_the_whole_table(
    self: MultiTaskELBO, rows: Tensor, task: Tensor, scale: Tensor
) -> Tensor:
    """N / B for all tasks in the place of N_t / B_t."""
    sums = rows.new_zeros(self.tasks).index_add(0, task, rows)
    return sums * (self.task_sizes.sum() / len(task)).to(rows.dtype)


def mean_over_rows(self: MultiTaskELBO, rows: Tensor, task: Tensor, scale: Tensor) -> Tensor:
    return _per_task(self, rows, task, scale) / self.task_sizes


def scale_squared(self: MultiTaskELBO, rows: Tensor, task: Tensor, scale: Tensor) -> Tensor:
    return _per_task(self, rows, task, scale) * scale


def rows_in_task_order(self: MultiTaskELBO, rows: Tensor, task: Tensor, scale: Tensor) -> Tensor:
    """Takes the table to be sorted by task."""
    return _per_task(self, rows, task.sort().values, scale)


def pairs_of_samples(likelihood, z, w, y, task, validate=True) -> Tensor:
    """L pairs (z_l, w_l) in the place of the L x M grid."""
    result = w.new_zeros(len(y))
    for rows, dist in likelihoods.likelihood_grid(likelihood, z, w, task):
        each = dist.log_prob(y[rows].to(w.dtype)).diagonal(dim1=0, dim2=1).mean(-1)
        result = each if isinstance(rows, slice) else result.index_copy(0, rows, each)
    return result


def log_of_the_mean_likelihood(likelihood, z, w, y, task, validate=True) -> Tensor:
    """log mean p in the place of mean log p."""
    result = w.new_zeros(len(y))
    for rows, dist in likelihoods.likelihood_grid(likelihood, z, w, task):
        logs = dist.log_prob(y[rows].to(w.dtype)).flatten(0, 1)
        each = logs.logsumexp(0) - math.log(len(logs))
        result = each if isinstance(rows, slice) else result.index_copy(0, rows, each)
    return result


def first_likelihood_for_all(likelihood, z, w, task):
    one = (
        likelihood if callable(likelihood) and not hasattr(likelihood, "__len__") else likelihood[0]
    )
    return [(slice(None), one(z, w))]


def everything_detached(self: WeightsPrior, sources):
    return _components(self, detach(sources))


def own_elbo_in_reverse(self: MultiTaskELBO, own, task, scale, like) -> Tensor:
    if own is None:
        return like.new_zeros(self.tasks)
    anchor = self.prior.anchor(own.q_weights.event_shape)
    kl = divergences.pairwise_kl(anchor, own.q_weights).squeeze(0)
    return self._per_task(own.log_likelihood, task, scale) - kl


def own_elbo_without_kl(self: MultiTaskELBO, own, task, scale, like) -> Tensor:
    return (
        like.new_zeros(self.tasks)
        if own is None
        else self._per_task(own.log_likelihood, task, scale)
    )


def same_row_of_another_task(self: GaussianEncoder, x: Tensor):
    """Encoders shifted by one task."""
    found = _forward(self, x)
    return gaussian(found.mean.roll(1, 0), found.stddev.roll(1, 0), (self.latent_features,))


def variance_for_scale(self: GaussianWeights):
    tasks = len(self.loc)
    scale = (2 * self.log_scale).exp()
    return gaussian(self.loc.reshape(tasks, -1), scale.reshape(tasks, -1), self.event_shape)


def class_means_of_all_tasks(x, y, task, tasks, classes) -> Tensor:
    return torch.stack([x[y == c].mean(0) for c in range(classes)]).expand(tasks, -1, -1)


# Prediction.
def mean_of_logs(self: PredictiveMixture, value: Tensor) -> Tensor:
    return self.components.log_prob(self._spread(value)).flatten(-3, -2).mean(-2)


def aleatoric_alone(self: PredictiveMixture) -> Tensor:
    return self.components.variance.mean((0, 1))


def sampled_spread(self: PredictiveMixture) -> Tensor:
    """Variance of the means with L M - 1 below."""
    if self.is_discrete:
        return self.probs * (1 - self.probs)
    return self.components.variance.mean((0, 1)) + self.components.mean.flatten(0, 1).var(0)


def entropy_of_the_mean_twice(self: PredictiveMixture) -> Uncertainty:
    if not self.is_discrete:
        return _uncertainty(self)
    pooled: Any = type(self.components)
    total = pooled(probs=self.probs).entropy()
    return Uncertainty(total, total, torch.zeros_like(total))


def z_with_w(self: PredictiveMixture) -> Uncertainty:
    """Latents in theta: their spread called epistemic."""
    if self.is_discrete:
        pooled: Any = type(self.components)
        total = pooled(probs=self.probs).entropy()
        aleatoric = self._average(self.components.entropy())
    else:
        total, aleatoric = self.variance, self._average(self.components.variance)
    return Uncertainty(total, aleatoric, (total - aleatoric).clamp_min(0))


def sample_of_one_component(self: PredictiveMixture, sample_shape=torch.Size()) -> Tensor:
    """One pair (l, m) for all draws and rows."""
    first = map_parameters(self.components, lambda t: t[0, 0])
    return first.sample(torch.Size(sample_shape))


def rows_in_order_of_tasks(self: PredictiveRows, tensors: list[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(tensors, dim)


def first_likelihood_for_all_parts(bundle, task, exact, exact_unseen):
    one = bundle.likelihood[0]
    rows = torch.arange(len(task))
    return [parts.Part(rows, one, "likelihood", False, exact and type(one) in parts.EXACT)]


def every_row_alone(self: Predictive, sample_shape=torch.Size()) -> Tensor:
    return self._independent(torch.Size(sample_shape))


def first_point(self, count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.long)


def equally_likely(model, points, unseen):
    flat = torch.zeros_like(points.log_weights)
    return _gaussians(model, points._replace(log_weights=flat), unseen)


def noise_of_the_first(model, points, unseen):
    noise = points.noise[:, :1].expand_as(points.noise)
    return _gaussians(model, points._replace(noise=noise), unseen)


def posterior_of_the_first(model, points):
    return points.loc[:, :1], points.scale_tril[:, :1]


def twenty_hermite_nodes(spread: Tensor) -> tuple[Tensor, Tensor]:
    nodes, weights = map(torch.as_tensor, np.polynomial.hermite_e.hermegauss(20))
    return nodes, weights.log().log_softmax(0)


# Added where a test had no wrong formula to reject.
def weighted_sum_as_prior(components, log_weights: Tensor):
    """The law of sum_k a_k w_k in the place of the mixture."""
    a = log_weights.exp()
    dims = len(components.event_shape)
    spread = lambda t: t.reshape(t.shape[0], -1)  # noqa: E731
    loc, variance = a @ spread(components.mean), a.square() @ spread(components.variance)
    shape = (len(a),) + components.event_shape
    normal = Normal(loc.reshape(shape), variance.sqrt().reshape(shape))
    return Independent(normal, dims) if dims else normal


def reversed_rows(mean: Tensor, scale: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    mean, scale = mean.unsqueeze(-2).expand_as(means), scale.unsqueeze(-2).expand_as(scales)
    return _gaussian_rows(means, scales, mean.unsqueeze(-2), scale.unsqueeze(-2)).squeeze(-1)


def entropy_forgotten(q, samples, stick, generator):
    value, log_q = _draw(q, samples, stick, generator)
    return value, torch.zeros_like(log_q)


def rows_for_columns(self: AmortizedWeights):
    """Column c laid out as if it were a row."""
    loc, raw = self.network(self.class_means).split(self.latent_features, -1)
    scale = torch.nn.functional.softplus(raw) + SMALLEST_SCALE
    shape = (self.latent_features, self.class_means.shape[1])
    return gaussian(loc.flatten(1), scale.flatten(1), shape)


def averaged_quantiles(self: PredictiveMixture, value: Tensor) -> Tensor:
    return self.components.icdf(self._spread(value.expand(value.shape or (1,)))).mean((-3, -2))


def log_of_the_mean_density(self: PredictiveMixture, value: Tensor) -> Tensor:
    """No logsumexp: densities underflow."""
    return self.components.log_prob(self._spread(value)).exp().mean((-3, -2)).log()


def not_stratified(self: StratifiedBatches) -> Tensor:
    return torch.randperm(len(self.task))[: int(self.counts.sum())]


def with_replacement(self: StratifiedBatches) -> Tensor:
    first = self.sizes.cumsum(0) - self.sizes
    task = torch.arange(len(self.sizes)).repeat_interleave(self.counts)
    return first[task] + self._below(self.sizes[task])


def generator_ignored(logits: Tensor, temperature: float, generator=None) -> Tensor:
    return _log_gumbel_softmax(logits, temperature)


MIXING = "vmtl_core.mixing:GumbelSoftmaxMixing."
ELBO = "vmtl_core.elbo:MultiTaskELBO."

MUTANTS = [
    # The eight of the house style.
    mutant(
        "alpha transposed",
        {
            MIXING + "log_weights": lambda self, *a, **k: transposed(_log_weights(self, *a, **k)),
            MIXING + "log_probabilities": lambda self: transposed(_log_probabilities(self)),
        },
        test_elbo.test_alpha_of_the_row_belongs_to_the_receiver,
        test_prior.test_prior_of_the_model_is_the_formula,
        test_latents.test_beta_for_the_latents_and_alpha_for_the_weights,
    ),
    mutant(
        "alpha and beta one parameter",
        {ELBO + "__init__": one_parameter},
        test_latents.test_beta_for_the_latents_and_alpha_for_the_weights,
        test_latents.test_alpha_and_beta_are_learned_apart,
    ),
    mutant(
        "convex bound called the mixture KL",
        {
            "vmtl_core.divergences:mixture_kl": mixture_by_convex,
            "vmtl_core.elbo:mixture_kl": mixture_by_convex,
        },
        (test_kl_to_mixture.test_monte_carlo_is_unbiased, TEXTBOOK),
        (test_kl_to_mixture.test_jensen_bound, WIDE),
        test_kl_to_mixture.test_two_dimensions,
        test_kl_to_mixture.test_full_covariance_gaussians,
        test_kl_to_mixture.test_gamma_against_quadrature,
        test_kl_to_mixture.test_mixed_families_side_by_side,
        test_elbo.test_kl_of_the_weights,
        test_sources.test_given_own_weights,
        test_elbo.test_divergence_samples_are_those_asked_for,
        (test_latents.test_kl_of_the_latents, {"sources": "own", "base": True}),
        (test_evidence.test_gap_is_the_kl_to_the_posterior, {"q": test_evidence.QS[0]} | EXACT),
        test_divergence_gradients.test_jensen_gradient_is_alpha_minus_phi,
    ),
    mutant(
        "a KL estimate averaged over the batch",
        {
            "vmtl_core.divergences:mixture_kl": averaged_over_the_batch,
            "vmtl_core.elbo:mixture_kl": averaged_over_the_batch,
            "vmtl_core:kl_monte_carlo": plain_kl_averaged_over_the_batch,
        },
        test_kl_to_mixture.test_batch_is_not_averaged,
        (
            test_kl_to_mixture.test_batch_dimensions_are_kept,
            {"method": "jensen", "rowwise": True, "batch": (3,)},
        ),
        (
            test_kl_to_mixture.test_batch_dimensions_are_kept,
            {"method": "monte_carlo", "rowwise": False, "batch": (2, 3)},
        ),
        test_elbo.test_kl_of_the_weights,
        (test_latents.test_kl_of_the_latents, {"sources": "previous", "base": False}),
    ),
    mutant(
        "mini-batch scale forgotten",
        {ELBO + "_per_task": scale_forgotten},
        (test_elbo.test_mini_batches_are_unbiased, {"counts": [2, 2, 1]}),
        (test_elbo.test_mini_batches_are_unbiased_in_the_latents, {"counts": [2, 2, 1]}),
        test_elbo.test_scale_of_a_batch,
        test_relabelling.test_mini_batches_are_unbiased,
    ),
    mutant(
        "tasks summed instead of averaged",
        {"vmtl_core.elbo:ELBOTerms.elbo": property(elbo_summed)},
        test_elbo.test_objective_is_the_mean_over_tasks,
        test_elbo.test_hyperprior_is_counted_once_and_divided_by_the_tasks,
        (test_fused_lasso.test_objective_is_the_closed_form, EXACT),
        test_sources.test_objective_carries_the_gradient_of_own_elbo_and_not_its_value,
    ),
    mutant(
        "noise added after the softmax",
        {"vmtl_core.mixing:log_gumbel_softmax": noise_after_the_softmax},
        test_mixing.test_draw_is_the_formula,
        test_mixing.test_two_sources_have_a_logistic_law,
        (test_mixing.test_cold_limit_is_a_one_hot_draw, {"temperature": 1e-10}),
        (test_mixing.test_expected_weights_of_three_tasks, {"temperature": 0.5}),
        test_mixing.test_hot_limit_is_uniform_over_the_admitted,
        test_mixing_gradients.test_gradient_by_hand,
        test_mixing_gradients.test_gradient_of_the_expected_weights,
    ),
    mutant(
        "L pairs instead of the L x M grid",
        {
            "vmtl_core.elbo:expected_log_likelihood": pairs_of_samples,
            "vmtl_core.likelihoods:expected_log_likelihood": pairs_of_samples,
        },
        test_elbo.test_the_grid_of_samples,
        test_elbo.test_the_grid_in_the_model,
    ),
    # More of the same kind: mixing weights.
    mutant(
        "noise not divided by the temperature",
        {"vmtl_core.mixing:log_gumbel_softmax": noise_not_divided_by_the_temperature},
        test_mixing.test_draw_is_the_formula,
        test_mixing.test_argmax_is_categorical_at_every_temperature,
        (test_mixing.test_cold_limit_is_a_one_hot_draw, {"temperature": 1e-2}),
    ),
    mutant(
        "Gaussian noise for Gumbel noise",
        {"vmtl_core.mixing:log_gumbel_softmax": gaussian_noise},
        test_mixing.test_draw_is_the_formula,
        test_mixing.test_argmax_is_categorical_at_every_temperature,
        test_mixing.test_expected_weights_meet_pi_only_in_the_cold,
        (test_mixing.test_expected_weights_of_three_tasks, {"temperature": 0.1}),
    ),
    mutant(
        "Gumbel noise of the other sign",
        {"vmtl_core.mixing:log_gumbel_softmax": gumbel_of_the_other_sign},
        test_mixing.test_argmax_is_categorical_at_every_temperature,
        (test_mixing.test_cold_limit_is_a_one_hot_draw, {"temperature": 1e-308}),
    ),
    mutant(
        "multiplied by the temperature",
        {"vmtl_core.mixing:tempered_log_softmax": multiplied_by_the_temperature},
        test_mixing.test_draw_is_the_formula,
        test_mixing.test_hot_limit_is_uniform_over_the_admitted,
        (test_mixing.test_cold_limit_is_a_one_hot_draw, {"temperature": 1e-10}),
        test_mixing.test_log_weights_do_not_underflow,
        test_mixing.test_rows_sum_to_one_and_have_no_diagonal,
        test_mixing_gradients.test_gradient_by_hand,
    ),
    mutant(
        "scores divided by the temperature before the largest is taken off",
        {"vmtl_core.mixing:tempered_log_softmax": unsafe_softmax},
        (test_mixing.test_cold_limit_is_a_one_hot_draw, {"temperature": 1e-308}),
        test_mixing.test_hot_limit_is_uniform_over_the_admitted,
    ),
    mutant(
        "the task in its own prior",
        {MIXING + "masked_logits": diagonal_kept},
        test_mixing.test_rows_sum_to_one_and_have_no_diagonal,
        test_prior.test_no_task_is_in_its_own_prior,
        test_prior.test_prior_of_the_model_is_the_formula,
        test_elbo.test_kl_of_the_weights,
        test_mixing.test_start_gives_half_the_weight_to_the_base,
    ),
    mutant(
        "E[alpha] taken to be pi",
        {MIXING + "expected": expected_is_pi},
        (test_mixing.test_expected_weights_of_three_tasks, {"temperature": 1.0}),
    ),
    mutant(
        "linear called exponential decay",
        {"vmtl_core.mixing:_exponential": mixing._linear},
        test_mixing.test_schedules,
    ),
    # Divergences.
    mutant(
        "jensen bound called the mixture KL",
        {"vmtl_core.divergences:mixture_kl": mixture_by_jensen},
        (test_kl_to_mixture.test_monte_carlo_is_unbiased, TEXTBOOK),
        (test_kl_to_mixture.test_sticking_the_landing_has_the_same_mean, WIDE),
        (
            test_divergence_gradients.test_sampled_gradient_is_unbiased,
            {"at": (0.0, 0.0), "stick": False},
        ),
    ),
    mutant(
        "weighted sum called the mixture KL",
        {
            "vmtl_core.divergences:mixture_kl": mixture_by_weighted_sum,
            "vmtl_core.elbo:mixture_kl": mixture_by_weighted_sum,
        },
        (test_kl_to_mixture.test_monte_carlo_is_unbiased, TEXTBOOK),
        (test_evidence.test_gap_is_the_kl_to_the_posterior, {"q": test_evidence.QS[1]} | EXACT),
    ),
    mutant(
        "log densities averaged instead of densities",
        {"vmtl_core.divergences:mixture_log_prob": log_densities_averaged},
        (test_kl_to_mixture.test_monte_carlo_is_unbiased, TEXTBOOK),
        test_kl_to_mixture.test_mixed_families_row_by_row,
        (test_evidence.test_gap_is_the_kl_to_the_posterior, {"q": test_evidence.QS[2]} | EXACT),
    ),
    mutant(
        "sum of a exp(KL) in the jensen bound",
        {"vmtl_core.divergences:BOUNDS[jensen]": both_signs_forgotten},
        (test_kl_to_mixture.test_jensen_bound, WIDE),
        (test_kl_to_mixture.test_responsibilities_attain_the_jensen_bound, WIDE),
        test_divergences.test_order_of_the_bounds,
        test_divergences.test_responsibilities_attain_the_bound,
        test_divergences.test_order_of_the_bounds_in_two_dimensions,
    ),
    mutant(
        "convex bound without the weights",
        {"vmtl_core.divergences:BOUNDS[convex]": unweighted},
        (test_kl_to_mixture.test_convex_bound, WIDE),
        test_kl_to_mixture.test_excluded_components_do_not_matter,
    ),
    mutant(
        "weighted sum with weights not squared",
        {"vmtl_core.divergences:GAUSSIAN_ONLY[weighted_sum]": weights_not_squared},
        test_kl_to_mixture.test_the_values_of_the_textbook_case,
        (test_kl_to_mixture.test_weighted_sum, WIDE),
        test_kl_to_mixture.test_weighted_sum_is_the_law_of_a_sum,
    ),
    mutant(
        "moments of the mixture for the weighted sum",
        {"vmtl_core.divergences:GAUSSIAN_ONLY[weighted_sum]": weighted_sum_bypassed},
        test_kl_to_mixture.test_the_values_of_the_textbook_case,
        (test_kl_to_mixture.test_weighted_sum, TEXTBOOK),
        test_divergences.test_splitting_a_component_does_not_matter,
    ),
    mutant(
        "lower bound with p at the mean of q",
        {"vmtl_core.divergences:GAUSSIAN_ONLY[lower_bound]": overlap_without_q},
        test_kl_to_mixture.test_the_values_of_the_textbook_case,
        (test_kl_to_mixture.test_lower_bound, WIDE),
    ),
    mutant(
        "lower bound with the entropy of the other sign",
        {"vmtl_core.divergences:GAUSSIAN_ONLY[lower_bound]": entropy_of_the_other_sign},
        test_kl_to_mixture.test_the_values_of_the_textbook_case,
        test_divergences.test_order_of_the_bounds,
    ),
    mutant(
        "responsibilities without the weights",
        {
            "vmtl_core.divergences:responsibilities": weightless_responsibilities,
            "tests.properties.test_divergences:responsibilities": weightless_responsibilities,
            "tests.gradients.test_divergence_gradients:responsibilities": weightless_responsibilities,
        },
        (test_kl_to_mixture.test_responsibilities_attain_the_jensen_bound, WIDE),
        test_divergences.test_responsibilities_attain_the_bound,
        test_divergence_gradients.test_jensen_gradient_is_alpha_minus_phi,
    ),
    mutant(
        "KL of the components to the receiver",
        {"vmtl_core.divergences:_gaussian_all_pairs": reversed_kl},
        test_pairwise_kl.test_asymmetry,
        test_pairwise_kl.test_against_torch_pair_by_pair,
        test_pairwise_kl.test_scalar_events,
        test_pairwise_kl.test_further_batch_dimensions_of_the_receivers,
        (test_kl_to_mixture.test_jensen_bound, WIDE),
        test_sources.test_own_elbo_by_hand,
        test_sources.test_joint_gradient_by_hand,
    ),
    mutant(
        "means not centred",
        {"vmtl_core.divergences:_gaussian_all_pairs": not_centred},
        test_pairwise_kl.test_no_cancellation_far_from_zero,
    ),
    mutant(
        "KL without its -1",
        {"vmtl_core.divergences:_gaussian_all_pairs": no_dimension_term},
        test_pairwise_kl.test_zero_between_equals,
        test_divergences.test_one_component_is_a_plain_kl,
        test_kl_to_mixture.test_the_values_of_the_textbook_case,
    ),
    mutant(
        "pairwise KL of full covariances from their diagonals",
        {"vmtl_core.divergences:_full_all_pairs": correlations_forgotten},
        test_full_covariance.test_all_pairs_against_torch,
        test_full_covariance.test_all_pairs_of_matrices,
        (
            test_full_covariance.test_every_divergence_of_a_model_by_hand,
            {"divergence": "jensen"},
        ),
    ),
    mutant(
        "the transfer width of another column",
        {
            "vmtl_core.priors:widen": width_of_another_column,
            "tests.analytic.test_full_covariance:widen": width_of_another_column,
        },
        test_full_covariance.test_matrices_widened_and_side_by_side,
    ),
    mutant(
        "the covariance of another column",
        {"vmtl_core.divergences:_full_all_pairs": columns_exchanged},
        test_full_covariance.test_all_pairs_of_matrices,
    ),
    mutant(
        "covariance for its factor",
        {"vmtl_core.divergences:_full_all_pairs": factor_for_covariance},
        test_full_covariance.test_all_pairs_against_torch,
        test_full_covariance.test_all_pairs_of_matrices,
    ),
    mutant(
        "no pathwise gradient",
        {"vmtl_core.divergences:_draw": sampled_without_path},
        (
            test_divergence_gradients.test_sampled_gradient_is_unbiased,
            {"at": (1.8, -0.5), "stick": False},
        ),
    ),
    mutant(
        "the landing not stuck",
        {"vmtl_core.divergences:_draw": stick_ignored},
        test_divergence_gradients.test_sticking_the_landing_has_no_variance_where_q_is_p,
        test_divergence_gradients.test_sticking_the_landing_has_less_variance_near_the_mixture,
    ),
    # Priors.
    mutant(
        "standard deviations added",
        {"vmtl_core.priors:widen": widened_sd, "tests.analytic.test_prior:widen": widened_sd},
        test_prior.test_widen_is_a_convolution,
        test_prior.test_widened_draws,
        test_prior.test_widen_adds_the_variance_coordinate_by_coordinate,
        test_prior.test_prior_of_the_model_is_the_formula,
    ),
    mutant(
        "the width replaces the spread",
        {"vmtl_core.priors:widen": narrowed, "tests.analytic.test_prior:widen": narrowed},
        test_prior.test_widen_is_a_convolution,
        test_prior.test_widened_draws,
        test_prior.test_widen_adds_the_variance_coordinate_by_coordinate,
        test_prior.test_prior_of_the_model_is_the_formula,
    ),
    *(
        mutant(
            name,
            {"vmtl_core.priors:relax": wrong, "tests.analytic.test_prior:relax": wrong},
            test_prior.test_relaxed_density,
            test_prior.test_relaxed_draws,
            test_prior.test_the_population_stays_as_it_is,
            (
                test_prior.test_stationary_prior_of_the_model_is_the_formula,
                {"sources": "own"},
            ),
        )
        for name, wrong in (
            ("noise of the whole population", noise_of_the_population),
            ("drawn towards zero", drawn_to_zero),
            ("never drawn back", never_drawn_back),
        )
    ),
    mutant(
        "the base prior widened too",
        {"vmtl_core.priors:WeightsPrior.components": base_widened_too},
        test_prior.test_prior_of_the_model_is_the_formula,
    ),
    mutant(
        "the base prior in the first column",
        {"vmtl_core.priors:WeightsPrior.components": base_first},
        test_prior.test_prior_of_the_model_is_the_formula,
        test_prior.test_no_task_is_in_its_own_prior,
    ),
    mutant(
        "hyperprior counted twice",
        {ELBO + "_log_hyperprior": hyperprior_twice},
        test_elbo.test_hyperprior_is_counted_once_and_divided_by_the_tasks,
        test_elbo.test_hyperprior_of_beta_is_there_too,
    ),
    mutant(
        "hyperprior not divided by T",
        {ELBO + "_log_hyperprior": hyperprior_not_divided},
        test_elbo.test_hyperprior_is_counted_once_and_divided_by_the_tasks,
    ),
    mutant(
        "hyperprior of the excluded entries",
        {MIXING + "log_hyperprior": hyperprior_of_every_entry},
        test_elbo.test_hyperprior_is_counted_once_and_divided_by_the_tasks,
    ),
    mutant(
        "hyperprior of the logits about zero",
        {MIXING + "log_hyperprior": hyperprior_about_zero},
        test_elbo.test_hyperprior_is_counted_once_and_divided_by_the_tasks,
    ),
    mutant(
        "N(0, 1) on the base prior's log sd",
        {"vmtl_core.priors:BasePrior.log_hyperprior": standard_scale_for_log_sd},
        test_elbo.test_hyperprior_is_counted_once_and_divided_by_the_tasks,
    ),
    mutant(
        "half-normal on s_0 without the Jacobian of log s_0",
        {"vmtl_core.priors:BasePrior.log_hyperprior": half_normal_without_jacobian},
        test_elbo.test_hyperprior_is_counted_once_and_divided_by_the_tasks,
    ),
    mutant(
        "v_0 pushed away from 0 as hard with many tasks",
        {"vmtl_core.priors:BasePrior.log_hyperprior": hyperprior_that_stays},
        (test_elbo.test_push_on_tasks_that_do_not_vary, {"tasks": 131}),
    ),
    mutant(
        "the mixture trains p_0 too",
        {"vmtl_core.priors:WeightsPrior.components": mixture_trains_the_base},
        test_sources.test_own_sources_get_no_gradient_from_the_prior,
    ),
    # ELBO.
    mutant(
        "own_elbo counted in the value",
        {"vmtl_core.elbo:ELBOTerms.elbo": property(elbo_with_own_value)},
        test_elbo.test_objective_is_the_mean_over_tasks,
        test_sources.test_objective_carries_the_gradient_of_own_elbo_and_not_its_value,
    ),
    mutant(
        "KL of the latents forgotten",
        {"vmtl_core.elbo:ELBOTerms.elbo": property(elbo_without_latents)},
        test_elbo.test_objective_is_the_mean_over_tasks,
        test_elbo.test_absent_task_has_its_kl_of_the_weights_only,
    ),
    mutant(
        "KL added",
        {"vmtl_core.elbo:ELBOTerms.elbo": property(elbo_adds_the_kl)},
        test_elbo.test_objective_is_the_mean_over_tasks,
        (test_fused_lasso.test_objective_is_the_closed_form, EXACT),
    ),
    mutant(
        "one scale N / B for all tasks",
        {ELBO + "_per_task": scale_of_the_whole_table},
        (test_elbo.test_mini_batches_are_unbiased, {"counts": [1, 3, 2]}),
        test_elbo.test_scale_of_a_batch,
        test_relabelling.test_mini_batches_are_unbiased,
    ),
    mutant(
        "mean over the rows of a task",
        {ELBO + "_per_task": mean_over_rows},
        (test_elbo.test_expected_log_likelihood_of_a_task, EXACT),
        test_elbo.test_scale_of_a_batch,
        (test_latents.test_kl_of_the_latents, {"sources": "joint", "base": False}),
        test_elbo.test_heterogeneous_tasks_equal_separate_computations,
        (test_evidence.test_gap_is_the_kl_to_the_posterior, {"q": test_evidence.QS[0]} | EXACT),
    ),
    mutant(
        "mini-batch scale twice",
        {ELBO + "_per_task": scale_squared},
        (test_elbo.test_mini_batches_are_unbiased, {"counts": [3, 1, 1]}),
        test_elbo.test_scale_of_a_batch,
    ),
    mutant(
        "the table taken to be sorted by task",
        {ELBO + "_per_task": rows_in_task_order},
        (test_elbo.test_expected_log_likelihood_of_a_task, EXACT),
        (test_elbo.test_relabelling_the_tasks_permutes_everything, {"sources": "previous"}),
        test_relabelling.test_order_of_the_rows_does_not_matter,
        test_relabelling.test_relabelling_permutes_alpha_and_every_term,
        test_sources.test_own_elbo_without_a_base_prior,
    ),
    mutant(
        "log of the mean likelihood",
        {
            "vmtl_core.elbo:expected_log_likelihood": log_of_the_mean_likelihood,
            "vmtl_core.likelihoods:expected_log_likelihood": log_of_the_mean_likelihood,
        },
        test_elbo.test_the_grid_of_samples,
        (test_elbo.test_expected_log_likelihood_of_a_task, SAMPLED),
        (test_evidence.test_gap_is_the_kl_to_the_posterior, {"q": test_evidence.QS[0]} | SAMPLED),
        (test_fused_lasso.test_objective_is_the_closed_form, SAMPLED),
    ),
    mutant(
        "the first likelihood for all tasks",
        {
            "vmtl_core.likelihoods:likelihood_grid": first_likelihood_for_all,
            "vmtl_core.questions:parts": first_likelihood_for_all_parts,
        },
        test_elbo.test_heterogeneous_tasks_equal_separate_computations,
        (test_predictive.test_heterogeneous_rows_keep_their_order, {"sources": "own"}),
        test_joint_draws.test_kinds_of_likelihood_share_the_draw,
    ),
    mutant(
        "joint sources detached",
        {"vmtl_core.priors:WeightsPrior.components": everything_detached},
        (test_sources.test_gradient_of_the_kl_in_the_sources, {"sources": "joint"}),
        test_sources.test_joint_gradient_by_hand,
    ),
    mutant(
        "own, previous and joint all joint",
        {"vmtl_core.elbo:detach": lambda dist: dist},
        (test_sources.test_gradient_of_the_kl_in_the_sources, {"sources": "previous"}),
        test_sources.test_own_sources_get_no_gradient_from_the_prior,
        test_sources.test_joint_gradient_by_hand,
    ),
    mutant(
        "own ELBO with the KL reversed",
        {ELBO + "_own_elbo": own_elbo_in_reverse},
        test_sources.test_own_elbo_by_hand,
        test_sources.test_own_elbo_without_a_base_prior,
    ),
    mutant(
        "own ELBO without its KL",
        {ELBO + "_own_elbo": own_elbo_without_kl},
        test_sources.test_own_elbo_by_hand,
        test_sources.test_own_elbo_with_latents,
    ),
    # Posteriors.
    mutant(
        "encoders of the wrong task",
        {"vmtl_core.posteriors:GaussianEncoder.forward": same_row_of_another_task},
        (test_posteriors.test_encoder_is_a_network_for_each_task, {"hidden": (5,)}),
    ),
    mutant(
        "variance for standard deviation",
        {"vmtl_core.posteriors:GaussianWeights.forward": variance_for_scale},
        (test_posteriors.test_gaussian_weights, {"event_shape": (2, 3)}),
        test_prior.test_prior_of_the_model_is_the_formula,
        (test_fused_lasso.test_objective_is_the_closed_form, EXACT),
    ),
    mutant(
        "class means over all tasks",
        {"vmtl_core.posteriors:class_means": class_means_of_all_tasks},
        test_posteriors.test_amortized_class_means,
    ),
    # Prediction.
    mutant(
        "mean of the log densities",
        {"vmtl_core.predictive:PredictiveMixture.log_prob": mean_of_logs},
        (test_predictive.test_log_prob_is_the_log_of_the_mean, {"name": "Normal"}),
        (test_predictive.test_log_prob_is_the_log_of_the_mean, {"name": "Categorical"}),
        test_predictive.test_density_integrates_to_one,
        (test_predictive.test_frequencies_of_labels, {"name": "Bernoulli"}),
        (test_exact_predictive.test_gaussian_over_points, {"columns": 0}),
    ),
    mutant(
        "variance without the spread of the means",
        {"vmtl_core.predictive:PredictiveMixture.variance": property(aleatoric_alone)},
        (test_predictive.test_mean_and_variance_of_samples, {"name": "Normal"}),
        (test_predictive.test_mean_and_variance_of_samples, {"name": "Bernoulli"}),
        (test_predictive.test_variance_is_decomposed, {"name": "Normal"}),
        test_predictive.test_density_integrates_to_one,
    ),
    mutant(
        "spread of the means with one below",
        {"vmtl_core.predictive:PredictiveMixture.variance": property(sampled_spread)},
        (test_predictive.test_variance_is_decomposed, {"name": "Independent"}),
        test_predictive.test_density_integrates_to_one,
    ),
    mutant(
        "entropy of the averaged probabilities called aleatoric",
        {"vmtl_core.predictive:PredictiveMixture.uncertainty": entropy_of_the_mean_twice},
        (test_predictive.test_entropy_is_decomposed, {"name": "Bernoulli"}),
        (test_predictive.test_entropy_is_decomposed, {"name": "Categorical"}),
        test_predictive.test_no_disagreement_no_epistemic_uncertainty,
    ),
    mutant(
        "what z leaves open called epistemic",
        {"vmtl_core.predictive:PredictiveMixture.uncertainty": z_with_w},
        (test_predictive.test_variance_is_decomposed, {"name": "Normal"}),
        (test_predictive.test_entropy_is_decomposed, {"name": "Categorical"}),
        (test_predictive.test_what_latents_leave_open_is_aleatoric, {"weighted": False}),
        test_predictive.test_rows_take_the_epistemic_part_to_zero,
    ),
    mutant(
        "one pair of samples for all draws",
        {"vmtl_core.predictive:PredictiveMixture.sample": sample_of_one_component},
        (test_predictive.test_mean_and_variance_of_samples, {"name": "Independent"}),
        (test_predictive.test_frequencies_of_labels, {"name": "Categorical"}),
    ),
    mutant(
        "rows of heterogeneous tasks in the order of the tasks",
        {"vmtl_core.predictive:PredictiveRows._join": rows_in_order_of_tasks},
        (test_predictive.test_heterogeneous_rows_keep_their_order, {"sources": "own"}),
        test_joint_draws.test_kinds_of_likelihood_share_the_draw,
    ),
    mutant(
        "w drawn anew for every row",
        {"vmtl_core.answers:Predictive.sample": every_row_alone},
        (test_joint_draws.test_totals_of_a_task, {"sources": "own"}),
        test_joint_draws.test_totals_of_a_task_from_samples,
        test_joint_draws.test_latents_are_drawn_for_each_row,
        (test_unseen_tasks.test_rows_of_one_unseen_task_share_their_weights, {"ids": [3, 3]}),
    ),
    mutant(
        "draws from one point of the hyperparameters",
        {"vmtl_core.joint_draws:JointDraws._point": first_point},
        test_joint_draws.test_all_tasks_share_the_point,
        (test_joint_draws.test_columns_of_numbers, {"columns": 2}),
    ),
    mutant(
        "what w leaves open called aleatoric",
        {"vmtl_core.exact:GaussianPredictive.uncertainty": PredictiveMixture.uncertainty},
        (test_exact_predictive.test_gaussian_over_points, {"columns": 0}),
        (test_exact_predictive.test_gaussian_over_points, {"columns": 2}),
    ),
    mutant(
        "points equally likely",
        {"vmtl_core.questions:gaussians": equally_likely},
        (test_exact_predictive.test_gaussian_over_points, {"columns": 0}),
        test_exact_predictive.test_poisson_over_points,
        test_unseen_tasks.test_over_points,
    ),
    mutant(
        "one noise scale for all tasks",
        {"vmtl_core.questions:gaussians": noise_of_the_first},
        (test_exact_predictive.test_gaussian_over_points, {"columns": 2}),
        test_predictive.test_heterogeneous_distribution_function,
        test_unseen_tasks.test_mean_noise_of_a_list,
    ),
    mutant(
        "an unseen task taken for the first",
        {"vmtl_core.weight_draws:_unseen_gaussians": posterior_of_the_first},
        (test_unseen_tasks.test_closed_form, {"task": None}),
        test_unseen_tasks.test_over_points,
        (test_unseen_tasks.test_without_a_base_prior, {"transfer": 0.7}),
    ),
    mutant(
        "Gauss-Hermite with 20 nodes",
        {"vmtl_core.exact:normal_nodes": twenty_hermite_nodes},
        (test_exact_predictive.test_bernoulli_by_quadrature, {"sd": 10.0}),
        (test_exact_predictive.test_bernoulli_by_quadrature, {"sd": 3.0}),
    ),
    # Added where a test had no wrong formula to reject.
    mutant(
        "the law of the weighted sum as the prior",
        {"vmtl_core:mixture_prior": weighted_sum_as_prior},
        test_prior.test_density,
        test_prior.test_moments_and_samples,
        test_prior.test_mixed_families,
    ),
    mutant(
        "KL of each receiver's components to the receiver",
        {"vmtl_core.divergences:_gaussian_rows": reversed_rows},
        test_pairwise_kl.test_components_of_each_receiver,
        (test_latents.test_kl_of_the_latents, {"sources": "own", "base": True}),
    ),
    mutant(
        "the entropy of q forgotten",
        {"vmtl_core.divergences:_draw": entropy_forgotten},
        (
            test_kl_to_mixture.test_families_with_and_without_a_registered_kl,
            {"q_family": Laplace, "components": "StudentT"},
        ),
        test_kl_to_mixture.test_batch_is_not_averaged,
        test_kl_to_mixture.test_mixed_families_row_by_row,
    ),
    mutant(
        "rows for columns of generated weights",
        {"vmtl_core.posteriors:AmortizedWeights.forward": rows_for_columns},
        test_posteriors.test_amortized_columns,
    ),
    mutant(
        "own-data posteriors and noise scale not copied",
        {
            "vmtl_core.bundle:deepcopy": lambda module, memo: module,
            "vmtl_core.bundle:_check_nothing_shared": lambda first, own: None,
        },
        test_sources.test_own_likelihood_is_a_copy,
        test_sources.test_own_sources_get_no_gradient_from_the_prior,
    ),
    mutant(
        "own sources ignored",
        {ELBO + "source_weights": MultiTaskELBO.q_weights},
        test_sources.test_prior_of_own_sources_uses_them,
    ),
    mutant(
        "quantiles averaged",
        {"vmtl_core.predictive:PredictiveMixture.icdf": averaged_quantiles},
        test_predictive.test_quantiles_invert_the_distribution_function,
    ),
    mutant(
        "log of averaged densities without logsumexp",
        {"vmtl_core.predictive:PredictiveMixture.log_prob": log_of_the_mean_density},
        test_predictive.test_log_prob_does_not_underflow,
    ),
    mutant(
        "batches drawn from the whole table",
        {"vmtl_core.batches:StratifiedBatches.draw": not_stratified},
        test_elbo.test_batches_of_fit_are_stratified,
        test_relabelling.test_batches_hold_every_task,
    ),
    mutant(
        "rows of a large table drawn with replacement",
        {"vmtl_core.batches:StratifiedBatches._places": with_replacement},
        test_batches.test_many_rows,
    ),
    mutant(
        "the generator ignored",
        {"vmtl_core.mixing:log_gumbel_softmax": generator_ignored},
        test_mixing.test_generator_makes_it_repeatable,
    ),
    mutant(
        "joint sources detached, fitted",
        {"vmtl_core.priors:WeightsPrior.components": everything_detached},
        (
            test_fused_lasso.test_fit_reaches_the_law_above_the_threshold,
            {"difference": 1.5, "method": "adam"},
        ),
    ),
    mutant(
        "mean over the rows of a task, fitted",
        {ELBO + "_per_task": mean_over_rows},
        (test_evidence.test_conjugate_case_is_exact, BY_ADAM),
        (
            test_fused_lasso.test_fit_reaches_the_law_above_the_threshold,
            {"difference": 0.9, "method": "adam"},
        ),
    ),
]


# The closed-form fit, chapter 5.
_update = evidence.update
_linear_moments = expectations.linear_moments
_product = mixture.product
_gain = averaging._gain
_measure = units.measure
_closest = candidates._closest


def likelihood_at_the_mean(self: Any, mean: Tensor, variance: Tensor, y: Tensor) -> Tensor:
    return y * mean - torch.nn.functional.softplus(mean)


def rate_without_half_the_variance(self: Any, mean: Tensor, variance: Tensor, y: Tensor) -> Tensor:
    return y * mean - mean.exp() - torch.lgamma(y + 1)


def squares_without_the_variance(
    self: Any, mean: Tensor, variance: Tensor, y: Tensor, task: Tensor | None = None
) -> Tensor:
    scale = self.row_log_scale(task).exp()
    each = Normal(mean, scale.unsqueeze(-1) if y.ndim == 2 else scale).log_prob(y)
    return each.sum(-1) if y.ndim == 2 else each


def variance_of_one_weight(q: Distribution, x: Tensor, task: Tensor) -> Any:
    found = _linear_moments(q, x, task)
    return None if found is None else (found[0], found[1].sqrt())


def prior_mean_forgotten(precision: Tensor, natural: Tensor, mean: Tensor, factor: Tensor) -> Any:
    found = _update(precision, natural, torch.zeros_like(mean), factor)
    return found._replace(loc=mean + found.loc)


def evidence_without_the_determinant(
    precision: Tensor, natural: Tensor, mean: Tensor, factor: Tensor
) -> Any:
    found = _update(precision, natural, mean, factor)
    inner = torch.eye(factor.shape[-1]) + factor.mT @ precision @ factor
    return found._replace(log_evidence=found.log_evidence + inner.logdet() / 2)


def products_not_raised(phi: Tensor, made: Any, columns: Tensor | None) -> Any:
    return _product((phi > 0).to(phi), made, columns)


def mass_of_a_normal(phi: Tensor, made: Any, columns: Tensor | None) -> Any:
    found = _product(phi, made, columns)
    return found._replace(log_mass=torch.zeros_like(found.log_mass))


def only_the_base_moves(problem: Any, own: Any, state: Any, inverse: Tensor) -> Tensor:
    return state.posterior.gaussians().covariance @ inverse


def inputs_not_centred(
    x: Tensor, y: Tensor, likelihoods: list[Any], columns: int, centre: bool
) -> Any:
    return _measure(x, y, likelihoods, columns, False)


def not_in_units_of_the_spread(
    rows: Tensor, loc: Tensor, variance: Tensor, pool: Tensor, neighbours: int
) -> Tensor:
    return _closest(rows, loc, torch.ones_like(variance), pool, neighbours)


def alpha_for_phi(self: Any, log_alpha: Tensor, kl: Tensor) -> Tensor:
    return log_alpha.exp()


LIKELIHOOD = "vmtl_core.likelihoods:Linear"
MUTANTS += [
    mutant(
        "log likelihood of labels at the mean predictor",
        {LIKELIHOOD + "Bernoulli.expected_log_prob": likelihood_at_the_mean},
        (test_expectations.test_equals_quadrature, {"case": "bernoulli 1"}),
        test_expectations.test_wide_predictors_of_labels,
    ),
    mutant(
        "log likelihood of counts at the mean predictor",
        {LIKELIHOOD + "Poisson.expected_log_prob": rate_without_half_the_variance},
        (test_expectations.test_equals_quadrature, {"case": "poisson 4"}),
    ),
    mutant(
        "residuals squared without the predictor's variance",
        {LIKELIHOOD + "Gaussian.expected_log_prob": squares_without_the_variance},
        (test_expectations.test_equals_quadrature, {"case": "gaussian"}),
        (test_expectations.test_objective_uses_them, {"columns": 2}),
    ),
    mutant(
        "sd of the predictor as its variance",
        {"vmtl_core.expectations:linear_moments": variance_of_one_weight},
        (test_expectations.test_moments_equal_loops, {"family": "columns"}),
        test_expectations.test_moments_of_correlated_columns,
    ),
    mutant(
        "b - A m without A m",
        {"vmtl_core.evidence:update": prior_mean_forgotten},
        test_sites.test_update_is_dense_algebra,
        test_sites.test_update_of_one_weight_is_quadrature,
    ),
    mutant(
        "evidence without the determinant",
        {"vmtl_core.evidence:update": evidence_without_the_determinant},
        test_sites.test_update_of_one_weight_is_quadrature,
    ),
    mutant(
        "a product without its exponents",
        {"vmtl_core.mixture:product": products_not_raised},
        test_product.test_product_of_one_weight_is_quadrature,
        (test_product.test_fixed_point_maximises_the_bound, {"divergence": "jensen"}),
    ),
    mutant(
        "the product of densities taken to be normalised",
        {"vmtl_core.mixture:product": mass_of_a_normal},
        test_product.test_product_of_one_weight_is_quadrature,
    ),
    mutant(
        "only p_0 moves with m_0",
        {"vmtl_core.averaging:_gain": only_the_base_moves},
        (
            test_evidence_of_hyperparameters.test_posteriors_move_with_the_population_mean,
            {"name": "stationary"},
        ),
    ),
    mutant(
        "the uncertainty of m_0 forgotten",
        {"vmtl_core.averaging:_gain": lambda *args: torch.zeros_like(_gain(*args))},
        (
            test_evidence_of_hyperparameters.test_population_mean_and_tasks_are_those_of_the_exact_hierarchy,
            {"inputs": 2},
        ),
    ),
    mutant(
        "inputs and target scaled and not centred",
        {"vmtl_core.closed_form:measure": inputs_not_centred},
        (
            test_units.test_units_of_inputs_and_target_do_not_matter,
            {"kind": "gaussian", "intercept": "implicit", "average": False},
        ),
    ),
    mutant(
        "neighbours by plain distance",
        {"vmtl_core.candidates:_closest": not_in_units_of_the_spread},
        test_candidates.test_nearest_in_units_of_the_spread,
    ),
    mutant(
        "alpha for phi in the Jensen bound's product",
        {"vmtl_core.mixture:Weights.responsibilities": alpha_for_phi},
        (test_product.test_fixed_point_maximises_the_bound, {"divergence": "jensen"}),
        (
            test_product.test_every_sweep_raises_the_objective,
            {"divergence": "jensen", "name": "default"},
        ),
    ),
]
