"""The objective once more, written naively: Python loops over tasks, pairs of tasks and samples.

What a competent person writes who follows the formulas with torch.distributions one by one, and no
batching across tasks. It shares no code with the core: of the model it reads the parameters and the
settings only. Tests compare the two term by term, `benchmarks/elbo_step.py` compares their speed.

The randomness comes in as `Draws`, so that both can use the same; `sample` makes fresh ones.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Gamma,
    HalfNormal,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)
from torch.nn import functional as F

import vmtl_core.bundle
import vmtl_core.divergences
import vmtl_core.expectations
from vmtl_core import (
    ELBOTerms,
    GaussianEncoder,
    GumbelSoftmaxMixing,
    LinearBernoulli,
    LinearCategorical,
    LinearGaussian,
    LinearPoisson,
    MultiTaskELBO,
)

SMALLEST_SCALE = 1e-5
WITH_EXPECTATION = (LinearGaussian, LinearBernoulli, LinearPoisson, LinearCategorical)
LEGENDRE, REACH = 240, 9.5
"""Nodes of the quadrature over a standard normal, and where it is cut off."""


class Draws(NamedTuple):
    """All that is random in one evaluation. Lists run over tasks; rows of z are a task's rows."""

    w: list[Tensor]
    """(M, *event) for each task; empty where the likelihood's expectation is exact."""
    z: list[Tensor]
    """(L, N_t, D) for each task; empty without latents."""
    own_w: list[Tensor]
    own_z: list[Tensor]
    log_alpha: list[Tensor]
    """(K,) for each task."""
    log_beta: list[Tensor]
    kl_w: list[Tensor]
    """(S, *event) for each task: the draws of a sampled KL; empty for closed forms."""
    kl_z: list[Tensor]
    """(S, N_t, D) for each task."""


class Posteriors(NamedTuple):
    """One set of posteriors, as lists over the tasks."""

    weights: list[Distribution]
    latents: list[list[Distribution]]
    """latents[k][t]: q(z|x, D_k) of the rows of task t; empty without latents."""
    likelihood: list[Callable[[Tensor, Tensor], Distribution]]


class Table(NamedTuple):
    """A batch taken apart by tasks."""

    x: list[Tensor]
    y: list[Tensor]


def by_task(x: Tensor, y: Tensor, task: Tensor, tasks: int) -> Table:
    """The rows of each task."""
    rows = [(task == t).nonzero().flatten() for t in range(tasks)]
    return Table([x[r] for r in rows], [y[r] for r in rows])


def naive_terms(
    model: MultiTaskELBO, table: Table, draws: Draws | None = None, temperature: float = 1.0
) -> ELBOTerms:
    """The terms of the objective by loops; with fresh draws where none are given."""
    current = posteriors(model, model.posteriors, table)
    own = None if model.own is None else posteriors(model, model.own, table)
    if draws is None:
        draws = sample(model, current, own, temperature)
    log_likelihood = [
        scaled(model, t, table, data_term(model, current, table, t, draws.w, draws.z))
        for t in range(model.tasks)
    ]
    others = [widened(model, q) for q in sources_of_weights(model, current, own)]
    kl_w = [kl_weights(model, current, others, t, draws) for t in range(model.tasks)]
    if current.latents:
        kl_z = [
            scaled(model, t, table, kl_latents(model, current, own, t, draws))
            for t in range(model.tasks)
        ]
    else:
        kl_z = [torch.zeros_like(value) for value in kl_w]
    if own is None:
        own_elbo = [torch.zeros_like(value) for value in kl_w]
    else:
        own_elbo = [own_data_elbo(model, own, table, t, draws) for t in range(model.tasks)]
    return ELBOTerms(
        torch.stack(log_likelihood),
        torch.stack(kl_w),
        torch.stack(kl_z),
        log_hyperprior(model, kl_w[0]),
        torch.stack(own_elbo),
    )


def naive_elbo(terms: ELBOTerms) -> Tensor:
    """The mean over tasks, with the gradient but not the value of the own-data ELBOs."""
    total = terms.hyperprior
    tasks = len(terms.kl_weights)
    for t in range(tasks):
        own = terms.own_elbo[t] - terms.own_elbo[t].detach()
        total = (
            total
            + (terms.log_likelihood[t] - terms.kl_weights[t] - terms.kl_latents[t] + own) / tasks
        )
    return total


# The distributions, one by one.


def normal(loc: Tensor, scale: Tensor) -> Distribution:
    """N(loc, diag(scale^2)) as one event."""
    base = Normal(loc, scale, validate_args=False)
    return Independent(base, loc.ndim, validate_args=False) if loc.ndim else base


def correlated(loc: Tensor, **spread: Tensor) -> Distribution:
    """N(loc, covariance) of a vector."""
    return MultivariateNormal(loc, **spread, validate_args=False)


def covariance(q: Distribution) -> Tensor:
    """Of the coordinates of a vector."""
    if isinstance(q, MultivariateNormal):
        return q.covariance_matrix
    return q.variance.diag_embed()


def kl(q: Distribution, p: Distribution) -> Tensor:
    """KL(q || p), by torch; both as Gaussians with a covariance matrix if one of them is."""
    if isinstance(q, MultivariateNormal) or isinstance(p, MultivariateNormal):
        q, p = (correlated(d.mean, covariance_matrix=covariance(d)) for d in (q, p))
    return kl_divergence(q, p)


def normal_rows(loc: Tensor, scale: Tensor) -> Distribution:
    """One diagonal Gaussian for each row."""
    return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)


def posteriors(model: MultiTaskELBO, bundle: Any, table: Table) -> Posteriors:
    """Every task's q(w|D_t), and every encoder's q(z|x, D_k) of every task's rows."""
    locs, scales = bundle.weights.loc.unbind(0), bundle.weights.log_scale.unbind(0)
    below = bundle.weights.below
    if below is None:
        weights = [normal(loc, scale.exp()) for loc, scale in zip(locs, scales)]
    else:
        weights = [
            correlated(
                loc, scale_tril=(scale.exp() * (triangle.tril(-1) + torch.eye(len(loc))).T).T
            )
            for loc, scale, (triangle,) in zip(locs, scales, below.unbind(0))
        ]
    one = bundle.likelihood
    likelihood = list(one) if hasattr(one, "__len__") else [one] * model.tasks
    latents = [] if bundle.latents is None else encode(bundle.latents, table)
    return Posteriors(weights, latents, likelihood)


def encode(encoder: GaussianEncoder, table: Table) -> list[list[Distribution]]:
    """q(z|x, D_k) of the rows of task t, for every k and t; each encoder sees all rows once."""
    x, sizes = torch.cat(table.x), [len(rows) for rows in table.x]
    layers = [
        list(zip(matrix.unbind(0), bias.unbind(0)))
        for matrix, bias in zip(encoder.matrices, encoder.biases)
    ]
    result = []
    for k in range(encoder.tasks):
        h = x
        for i, layer in enumerate(layers):
            matrix, bias = layer[k]
            h = torch.addmm(bias, h.relu() if i else h, matrix)
        loc, raw = h.chunk(2, -1)
        pairs = zip(loc.split(sizes), (F.softplus(raw) + SMALLEST_SCALE).split(sizes))
        result.append([normal_rows(mean, scale) for mean, scale in pairs])
    return result


def sources_of_weights(
    model: MultiTaskELBO, current: Posteriors, own: Posteriors | None
) -> list[Distribution]:
    """Whose posteriors of w the prior is made of."""
    if model.sources == "joint":
        return current.weights
    chosen = current if own is None else own
    return [held(q) for q in chosen.weights]


def held(q: Distribution) -> Distribution:
    """The same, with no gradient."""
    if isinstance(q, MultivariateNormal):
        return correlated(q.mean.detach(), scale_tril=q.scale_tril.detach())
    return normal(q.mean.detach(), q.stddev.detach())


def sources_of_latents(
    model: MultiTaskELBO, current: Posteriors, own: Posteriors | None, t: int
) -> list[Distribution]:
    """The same for z, for the rows of task t."""
    if model.sources == "joint":
        return [q[t] for q in current.latents]
    chosen = current if own is None else own
    return [normal_rows(q[t].mean.detach(), q[t].stddev.detach()) for q in chosen.latents]


# The terms.


def data_term(
    model: MultiTaskELBO, q: Posteriors, table: Table, t: int, w: list[Tensor], z: list[Tensor]
) -> Tensor:
    """Sum over the rows of task t of log p(y|z, w): its mean over all pairs of samples, or exact."""
    if is_exact(model, q):
        each = [expectation(q, t, x, y) for x, y in zip(table.x[t], table.y[t])]
        return torch.stack(each).sum() if each else q.weights[t].mean.new_zeros(())
    x, y = table.x[t], table.y[t]
    latents = z[t] if z else x.unsqueeze(0)
    total = y.new_zeros(())
    for one_z in latents:
        for one_w in w[t]:
            rows = len(one_z)
            spread = one_w.expand(1, 1, rows, *one_w.shape)
            place = (torch.full((rows,), t),) if noise_of_tasks(q.likelihood[t]) else ()
            p = q.likelihood[t](one_z.unsqueeze(0).unsqueeze(0), spread, *place)
            total = total + p.log_prob(y).sum()
    return total / (len(latents) * len(w[t]))


# The expectation of one row's log likelihood under q(w|D_t), without samples.


def is_exact(model: MultiTaskELBO, q: Posteriors) -> bool:
    """Where the model says so, the data are z, and every likelihood is one of ours."""
    ours = all(isinstance(one, WITH_EXPECTATION) for one in q.likelihood)
    return model.expectation == "exact" and not q.latents and ours


def noise_of_tasks(likelihood: Any) -> bool:
    """Whether it has a noise scale for each task."""
    return isinstance(likelihood, LinearGaussian) and likelihood.log_scale.ndim == 1


def expectation(q: Posteriors, t: int, x: Tensor, y: Tensor) -> Tensor:
    """E log p(y|x'w) of one row; eta = x'w is Gaussian, with independent columns."""
    mean, sd = predictor(q.weights[t], x)
    one = q.likelihood[t]
    if isinstance(one, LinearGaussian):
        log_scale = one.log_scale[t] if noise_of_tasks(one) else one.log_scale
        fit = Normal(mean, log_scale.exp()).log_prob(y)
        return (fit - (sd / log_scale.exp()) ** 2 / 2).sum()
    if isinstance(one, LinearBernoulli):
        nodes, weights = standard_normal_rule()
        eta = mean + sd * nodes
        return (weights * torch.where(y > 0.5, F.logsigmoid(eta), F.logsigmoid(-eta))).sum()
    if isinstance(one, LinearPoisson):
        rate = (mean + sd**2 / 2).exp()
        return y * mean - rate - math.lgamma(float(y) + 1)
    nodes = vmtl_core.expectations.class_nodes(mean)  # part of the definition, like a draw
    values = [(mean + sd * node).log_softmax(0)[int(y)] - (sd * node)[int(y)] for node in nodes]
    return torch.stack(values).mean()  # E (sd node)_y is 0, whatever the nodes say


def predictor(q: Distribution, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sd of x'w: of a number, or of each column."""
    rows = q.event_shape[0]
    x = torch.cat([x, x.new_ones(rows - len(x))])
    if len(q.event_shape) == 2:
        return x @ q.mean, (x**2 @ q.variance).sqrt()
    return x @ q.mean, (x @ covariance(q) @ x).sqrt()


def standard_normal_rule() -> tuple[Tensor, Tensor]:
    """Gauss-Legendre nodes and weights of an integral against N(0, 1)."""
    pair = np.polynomial.legendre.leggauss(LEGENDRE)
    nodes, weights = (REACH * torch.as_tensor(values) for values in pair)
    return nodes, weights * Normal(0.0, 1.0).log_prob(nodes).exp()


def scaled(model: MultiTaskELBO, t: int, table: Table, value: Tensor) -> Tensor:
    """The sum over the batch's rows of task t as an estimate of that over all N_t."""
    present = len(table.y[t])
    return value * (int(model.task_sizes[t]) / present) if present else torch.zeros_like(value)


def basis(model: MultiTaskELBO) -> tuple[Tensor, Tensor] | None:
    """B and o of the standard units w = o + B u, of one column; None where they are those of w."""
    units = model.prior.units
    if units.basis is None or units.offset is None:
        return None
    return units.basis[0], units.offset[0]


def widened(model: MultiTaskELBO, q: Distribution) -> Distribution:
    """What q says of another task: the law of w' + N(0, delta^2), or the stationary transfer's."""
    if model.prior.log_width is None:
        return q
    width = model.prior.log_width.exp()
    if basis(model) is not None:
        return widened_in_units(model, q, width)
    if model.prior.stationary:
        base, rho = base_in_the_mixture(model), (1 + width**2) ** -0.5
        mean, noise = base.mean + rho * (q.mean - base.mean), (1 - rho**2) * base.variance
    else:
        mean, rho, noise = q.mean, torch.ones_like(width), width.square().expand_as(q.mean)
    if isinstance(q, MultivariateNormal):
        both = rho.unsqueeze(-1) * rho * covariance(q) + noise.diag_embed()
        return correlated(mean, covariance_matrix=both)
    return normal(mean, (rho**2 * q.variance + noise).sqrt())


def widened_in_units(model: MultiTaskELBO, q: Distribution, width: Tensor) -> Distribution:
    """The same where a learned width is in standard units; a given one is in units of w."""
    b, _ = basis(model)  # type: ignore[misc]
    if not width.ndim:
        return correlated(
            q.mean, covariance_matrix=covariance(q) + width**2 * torch.eye(len(q.mean)).to(q.mean)
        )
    if not model.prior.stationary:
        return correlated(
            q.mean, covariance_matrix=covariance(q) + b @ (width**2).diag_embed() @ b.T
        )
    base, rho = base_in_the_mixture(model), (1 + width**2) ** -0.5
    shrink = b @ rho.diag_embed() @ torch.linalg.inv(b)
    scale = base_scale(model)
    noise = b @ ((1 - rho**2) * scale**2).diag_embed() @ b.T
    return correlated(
        base.mean + shrink @ (q.mean - base.mean),
        covariance_matrix=shrink @ covariance(q) @ shrink.T + noise,
    )


def base_scale(model: MultiTaskELBO) -> Tensor:
    """Standard deviations of the base prior in standard units, held where own data train it."""
    assert model.prior.base is not None
    scale = model.prior.base.log_scale.exp()
    return scale.detach() if model.sources == "own" else scale


def base_prior(model: MultiTaskELBO) -> Distribution | None:
    """p_0(w), in units of w."""
    base = model.prior.base
    if base is None:
        return None
    if isinstance(base.given, Distribution):
        return base.given
    scale, units = base.log_scale.exp(), basis(model)
    if units is not None:
        b, o = units
        return correlated(o + b @ base.loc, covariance_matrix=b @ (scale**2).diag_embed() @ b.T)
    return normal(base.loc.view(base.event_shape), scale.view(base.event_shape))


def base_in_the_mixture(model: MultiTaskELBO) -> Any:
    """p_0(w), held fixed where own-data posteriors train it."""
    base = base_prior(model)
    if base is None or model.prior.base is None:
        return None
    by_own_data = model.sources == "own" and model.prior.base.given == "learned"
    return held(base) if by_own_data else base


def kl_weights(
    model: MultiTaskELBO, current: Posteriors, others: list[Distribution], t: int, draws: Draws
) -> Tensor:
    """KL(q(w_t|D_t) || prior of task t)."""
    components = [others[k] for k in range(model.tasks) if k != t]
    log_weights = [draws.log_alpha[t][k] for k in range(model.tasks) if k != t]
    base = base_in_the_mixture(model)
    if base is not None:
        components.append(base)
        log_weights.append(draws.log_alpha[t][-1])
    values = draws.kl_w[t] if draws.kl_w else None
    return kl_mixture(model.divergence, current.weights[t], components, log_weights, values)


def kl_latents(
    model: MultiTaskELBO, current: Posteriors, own: Posteriors | None, t: int, draws: Draws
) -> Tensor:
    """Sum over the rows of task t of KL(q(z|x, D_t) || mixture of the others' q(z|x, D_k))."""
    if not len(current.latents[t][t].mean):  # torch's KL of Independents fails on no rows
        return torch.zeros_like(draws.log_beta[t][0])
    sources = sources_of_latents(model, current, own, t)
    q = current.latents[t][t]
    components = [sources[k] for k in range(model.tasks) if k != t]
    log_weights = [draws.log_beta[t][k] for k in range(model.tasks) if k != t]
    if model.prior.base is not None:
        components.append(standard_rows(q))
        log_weights.append(draws.log_beta[t][-1])
    values = draws.kl_z[t] if draws.kl_z else None
    return kl_mixture(model.divergence, q, components, log_weights, values).sum()


def standard_rows(q: Distribution) -> Distribution:
    """N(0, I) for each row of q."""
    zeros = torch.zeros_like(q.mean)
    return normal_rows(zeros, torch.ones_like(zeros))


def own_data_elbo(
    model: MultiTaskELBO, own: Posteriors, table: Table, t: int, draws: Draws
) -> Tensor:
    """The ELBO of task t alone, under the base prior or N(0, I)."""
    rows = data_term(model, own, table, t, draws.own_w, draws.own_z)
    if own.latents and len(own.latents[t][t].mean):
        q = own.latents[t][t]
        rows = rows - kl_divergence(q, standard_rows(q)).sum()
    q_w, anchor = own.weights[t], base_prior(model)
    if anchor is None:
        anchor, units = normal(torch.zeros_like(q_w.mean), torch.ones_like(q_w.mean)), basis(model)
        if units is not None:
            b, o = units
            anchor = correlated(o, covariance_matrix=b @ b.T)
    return scaled(model, t, table, rows) - kl(q_w, anchor)


def log_hyperprior(model: MultiTaskELBO, like: Tensor) -> Tensor:
    """Log densities of all that is learned above the tasks, divided by their number."""
    total = like.new_zeros(())
    if model.hyperprior is None:
        return total
    for mixing in (model.prior.mixing, model.latent_mixing):
        if mixing is not None:
            start = Normal(mixing.start, torch.ones_like(mixing.start))
            each = start.log_prob(mixing.logits)
            total = (
                total
                + torch.stack(
                    [each[t, k] for t in range(len(each)) for k in range(each.shape[1]) if k != t]
                ).sum()
            )
    for bundle in (model.posteriors, model.own):
        total = total + sum(log_noise_prior(one) for one in noises(bundle))
    base = model.prior.base
    if base is not None and base.given == "learned":
        variance, half = base.log_scale.exp() ** 2, min(1.0, 12 / model.tasks) / 2
        total = total + log_density(base.loc, 0.5**0.5)
        gamma = Gamma(torch.full_like(variance, half), torch.full_like(variance, half))
        total = total + (gamma.log_prob(variance) + (2 * variance).log()).sum()
    width = model.prior.log_width
    if width is not None and width.requires_grad:
        total = total + log_density(width, 1.0)
    return total / model.tasks


def noises(bundle: Any) -> list[LinearGaussian]:
    """The regressions of one set that learn their noise, each once."""
    if bundle is None:
        return []
    each = bundle.likelihood if hasattr(bundle.likelihood, "__len__") else [bundle.likelihood]
    found = {id(one): one for one in each if isinstance(one, LinearGaussian)}
    return [one for one in found.values() if one.log_scale.requires_grad]


def log_noise_prior(one: LinearGaussian) -> Tensor:
    """log of sigma's half-normal density, scale exp(unit), as one of log sigma.

    With a sigma for each task it is that of their geometric mean, and each log sigma_t is
    N(its logarithm, 1/4).
    """
    geometric_mean = one.log_scale.mean().exp()
    half = HalfNormal(one.unit.exp()).log_prob(geometric_mean)
    total = half + geometric_mean.log()
    if one.log_scale.ndim:
        total = total + Normal(geometric_mean.log(), 0.5).log_prob(one.log_scale).sum()
    return total


def log_density(value: Tensor, scale: float) -> Tensor:
    """Sum of log N(value; 0, scale^2)."""
    return Normal(torch.zeros_like(value), torch.full_like(value, scale)).log_prob(value).sum()


# KL to a mixture, one component at a time.


def kl_mixture(
    method: str,
    q: Distribution,
    components: list[Distribution],
    log_weights: list[Tensor],
    values: Tensor | None,
) -> Tensor:
    """KL(q || sum_k a_k p_k) by the named method; one value, or one for each row."""
    if method == "monte_carlo":
        assert values is not None
        each = []
        for value in values:
            parts = [a + p.log_prob(value) for a, p in zip(log_weights, components)]
            each.append(q.log_prob(value) - torch.stack(parts).logsumexp(0))
        return torch.stack(each).mean(0)
    if method == "weighted_sum":
        pairs = [(a.exp(), p) for a, p in zip(log_weights, components)]
        loc = torch.stack([a * p.mean for a, p in pairs]).sum(0)
        variance = torch.stack([a**2 * p.variance for a, p in pairs]).sum(0)
        return kl_divergence(q, like_rows(q, loc, variance.sqrt()))
    if method == "lower_bound":
        parts = [
            a + like_rows(q, p.mean, (p.variance + q.variance).sqrt()).log_prob(q.mean)
            for a, p in zip(log_weights, components)
        ]
        return -q.entropy() - torch.stack(parts).logsumexp(0)
    each_kl = torch.stack([kl(q, p) for p in components])
    weights = torch.stack(log_weights).view(-1, *[1] * (each_kl.ndim - 1))
    if method == "convex":
        return (weights.exp() * each_kl).sum(0)
    return -(weights - each_kl).logsumexp(0)


def like_rows(q: Distribution, loc: Tensor, scale: Tensor) -> Distribution:
    """A diagonal Gaussian with the batch and event shape of q."""
    dims = len(q.event_shape)
    base = Normal(loc, scale, validate_args=False)
    return Independent(base, dims, validate_args=False) if dims else base


# The randomness.


def sample(
    model: MultiTaskELBO, current: Posteriors, own: Posteriors | None, temperature: float
) -> Draws:
    """Fresh draws of everything, task by task."""
    m, n = torch.Size((model.weight_samples,)), torch.Size((model.latent_samples,))
    s, tasks = torch.Size((model.divergence_samples,)), range(model.tasks)
    sampled, latents = model.divergence == "monte_carlo", bool(current.latents)
    mixing, exact = model.latent_mixing, is_exact(model, current)
    return Draws(
        w=[] if exact else [q.rsample(m) for q in current.weights],
        z=[current.latents[t][t].rsample(n) for t in tasks] if latents else [],
        own_w=[] if own is None or exact else [q.rsample(m) for q in own.weights],
        own_z=[own.latents[t][t].rsample(n) for t in tasks] if own is not None and latents else [],
        log_alpha=[log_mixing(model.prior.mixing, t, temperature) for t in tasks],
        log_beta=[] if mixing is None else [log_mixing(mixing, t, temperature) for t in tasks],
        kl_w=[q.rsample(s) for q in current.weights] if sampled else [],
        kl_z=[current.latents[t][t].rsample(s) for t in tasks] if sampled and latents else [],
    )


def log_mixing(mixing: GumbelSoftmaxMixing, t: int, temperature: float) -> Tensor:
    """log alpha of receiver t by Gumbel-softmax, its own column -inf."""
    logits = mixing.logits[t]
    noise = -torch.empty_like(logits).exponential_().log()
    own_column = torch.arange(len(logits)) == t
    return ((logits + noise) / temperature).masked_fill(own_column, -math.inf).log_softmax(0)


@contextmanager
def recording(model: MultiTaskELBO) -> Iterator[Callable[[Tensor], Draws]]:
    """Keep what the core draws inside; the yielded function gives it as `Draws`, after the call.

    Only the core's three samplers are watched: of posteriors, of mixing weights, of sampled KLs.
    """
    posterior: list[Tensor] = []
    mixing: list[Tensor] = []
    sampled: list[Tensor] = []
    rsample = vmtl_core.bundle.rsample
    log_weights = GumbelSoftmaxMixing.log_weights
    draw = vmtl_core.divergences._draw

    def keep_rsample(*args: Any) -> Tensor:
        posterior.append(rsample(*args))
        return posterior[-1]

    def keep_log_weights(self: GumbelSoftmaxMixing, *args: Any) -> Tensor:
        mixing.append(log_weights(self, *args))
        return mixing[-1]

    def keep_draw(*args: Any) -> tuple[Tensor, Tensor]:
        value, log_q = draw(*args)
        sampled.append(value)
        return value, log_q

    def draws(task: Tensor) -> Draws:
        return as_draws(model, task, posterior, mixing, sampled)

    with (
        patch.object(vmtl_core.bundle, "rsample", keep_rsample),
        patch.object(GumbelSoftmaxMixing, "log_weights", keep_log_weights),
        patch.object(vmtl_core.divergences, "_draw", keep_draw),
    ):
        yield draws


def as_draws(
    model: MultiTaskELBO,
    task: Tensor,
    posterior: list[Tensor],
    mixing: list[Tensor],
    sampled: list[Tensor],
) -> Draws:
    """What `recording` kept, in the order of the core's calls, taken apart by tasks."""
    rows = [(task == t).nonzero().flatten() for t in range(model.tasks)]

    def split(values: list[Tensor], kind: str) -> list[Tensor]:
        if not values:
            return []
        tensor = values.pop(0)
        return [tensor[:, t if kind == "w" else rows[t]] for t in range(model.tasks)]

    posterior, sampled, latents = list(posterior), list(sampled), model.latent_mixing is not None
    w = split(posterior, "w")
    z = split(posterior, "z") if latents else []
    own_w = split(posterior, "w") if model.own is not None else []
    own_z = split(posterior, "z") if model.own is not None and latents else []
    return Draws(
        w,
        z,
        own_w,
        own_z,
        list(mixing[0]),
        list(mixing[1]) if latents else [],
        split(sampled, "w"),
        split(sampled, "z"),
    )
