"""KL between posteriors, and from one to a mixture of them, by every method of chapter 4."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Size, Tensor
from torch.distributions import Distribution, kl_divergence

from vmtl_core._checks import (
    broadcastable,
    check_log_weights,
    is_distribution,
    one_of,
    positive_int,
    require,
    room,
)
from vmtl_core._precision import HALF, outside_autocast
from vmtl_core._random import seeded
from vmtl_core.distributions import (
    Concatenated,
    can_rebuild,
    detach,
    diagonal_gaussian,
    expanded,
    full_gaussian,
    map_parameters,
)


def pairwise_kl(
    q: Distribution, p: Distribution, samples: int = 100, generator: Generator | None = None
) -> Tensor:
    r"""KL(q_a || p_k) for every pair.

    Equation (4.8), for diagonal Gaussians three matrix products and no A x K x D intermediate:

    $$ \mathrm{KL}_{ak} = \tfrac12 \sum_d \Big[ \frac{\sigma_{ad}^2 + \mu_{ad}^2}{s_{kd}^2}
       - \frac{2 \mu_{ad} m_{kd}}{s_{kd}^2} + \frac{m_{kd}^2}{s_{kd}^2}
       + \log s_{kd}^2 - \log \sigma_{ad}^2 - 1 \Big] $$

    Gaussians with full covariance, `MultivariateNormal` and `GaussianColumns`, take matrix products of
    D^2 columns, equation (9.7); the KLs of a matrix's columns add up. Any other pair of families with a
    registered KL is broadcast; for the rest the KL is estimated from `samples` draws of q.

    Args:
        q: batch shape (A,), or any batch shape.
        p: batch shape (K,): every q against every p. Or `q.batch_shape + (K,)`: each q against
            its own K components.
        samples, generator: used only where the KL has to be estimated.

    Returns:
        Shape (A, K); in general `q.batch_shape + (K,)`. In nats.

    Raises:
        ValueError: if event or batch shapes don't fit.

    Example:
        >>> from torch.distributions import Normal
        >>> q, p = Normal(torch.zeros(2), 1.0), Normal(torch.tensor([0.0, 1.0, 2.0]), 1.0)
        >>> pairwise_kl(q, p).tolist()
        [[0.0, 0.5, 2.0], [0.0, 0.5, 2.0]]
    """
    _check_shapes(q, p, "p")
    return _pairwise_kl(q, p, samples, generator)


@outside_autocast
def kl_monte_carlo(
    q: Distribution,
    p: Distribution,
    samples: int = 100,
    stick_the_landing: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    r"""Unbiased estimate of KL(q || p) for each element of the batch.

    Equation (4.2) with one component: $\frac1S \sum_s \log q(w^{(s)}) - \log p(w^{(s)})$,
    $w^{(s)} \sim q$. The batch is kept, never averaged.

    Args:
        q, p: Distributions whose batch shapes broadcast.
        samples: S.
        stick_the_landing: stop the gradient through q's parameters inside log q. The gradient
            stays unbiased; where q is close to p its variance goes to zero.
        generator: source of the randomness; the global stream if None.

    Returns:
        The broadcast batch shape, in nats.

    Raises:
        ValueError: if q has no reparameterised sampler and its parameters need a gradient.

    References:
        Roeder, Wu, Duvenaud, *Sticking the Landing*, 2017.

    Example:
        >>> from torch.distributions import Normal
        >>> draw = torch.Generator().manual_seed(0)
        >>> q, p = Normal(torch.zeros(2), 1.0), Normal(torch.ones(2), 1.0)
        >>> kl_monte_carlo(q, p, 100_000, generator=draw).round(decimals=1).tolist()
        [0.5, 0.5]
    """
    _check_events(q, p, "p")
    require(
        broadcastable(q.batch_shape, p.batch_shape),
        "`p` must have a batch shape that broadcasts with that of `q`, "
        f"{tuple(q.batch_shape)}; got {tuple(p.batch_shape)}",
    )
    batch = torch.broadcast_shapes(q.batch_shape, p.batch_shape)
    value, log_q = _draw(expanded(q, batch), samples, stick_the_landing, generator)
    return (log_q - log_density(p, value)).mean(0)


def kl_to_mixture(
    q: Distribution,
    components: Distribution,
    log_weights: Tensor,
    method: str = "jensen",
    samples: int = 100,
    stick_the_landing: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """KL(q || sum_k a_k p_k), (4.1), or the bound or stand-in for it that `method` names.

    Always `lower_bound <= exact <= jensen <= convex`; `weighted_sum` is no bound in either
    direction.

    Args:
        q: receivers, batch shape (A,) or any.
        components: p, batch shape (K,) shared by all receivers, or `q.batch_shape + (K,)`.
        log_weights: log a, shape (A, K) or (K,); rows are log probabilities, `-inf` allowed.
        method: "monte_carlo" (4.2), "convex" (4.3), "jensen" (4.4), "lower_bound" (4.6) or
            "weighted_sum" (4.7).
        samples: draws for "monte_carlo", and for families without a registered KL.
        stick_the_landing: lower-variance gradient of "monte_carlo"; see `kl_monte_carlo`.
        generator: source of the randomness; the global stream if None.

    Returns:
        One value per receiver, shape (A,), in nats.

    Raises:
        ValueError: unknown method, shapes that don't fit, weights that don't sum to 1, a
            Gaussian-only method for another family, or no pathwise gradient where one is needed.

    References:
        Hershey and Olsen, *Approximating the Kullback Leibler Divergence Between Gaussian Mixture
        Models*, 2007 (bounds). Shen et al., *Variational Multi-Task Learning with Gumbel-Softmax
        Priors*, 2021.

    Example:
        >>> from torch.distributions import Normal
        >>> q, p = Normal(torch.zeros(1), 1.0), Normal(torch.tensor([-2.0, 2.0]), 1.0)
        >>> half = torch.tensor([0.5, 0.5]).log()
        >>> {m: round(kl_to_mixture(q, p, half, m).item(), 3) for m in CLOSED_FORMS}
        {'convex': 2.0, 'jensen': 2.0, 'weighted_sum': 0.153, 'lower_bound': 0.847}
    """
    one_of("method", method, METHODS)
    _check_shapes(q, components, "components")
    wanted = tuple(q.batch_shape + components.batch_shape[-1:])
    found = tuple(log_weights.shape) if isinstance(log_weights, Tensor) else log_weights
    fits = isinstance(log_weights, Tensor) and found[-1:] == wanted[-1:]
    require(
        fits and len(found) <= len(wanted) and broadcastable(found, wanted),
        f"`log_weights` must have shape {wanted} or {wanted[-1:]}; got {found}",
    )
    check_log_weights(log_weights)
    return mixture_kl(q, components, log_weights, method, samples, stick_the_landing, generator)


@outside_autocast
def mixture_kl(
    q: Distribution,
    components: Distribution,
    log_weights: Tensor,
    method: str,
    samples: int,
    stick_the_landing: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """`kl_to_mixture` without its checks: what the training step calls."""
    if method == "monte_carlo":
        value, log_q = _draw(q, samples, stick_the_landing, generator)
        return (log_q - mixture_log_prob(value, components, log_weights)).mean(0)
    if method in GAUSSIAN_ONLY:
        return GAUSSIAN_ONLY[method](q, components, log_weights)
    return BOUNDS[method](_pairwise_kl(q, components, samples, generator), log_weights)


def log_density(dist: Distribution, value: Tensor) -> Tensor:
    """`dist.log_prob`, with standard deviations whose squares no float holds, and errors by name."""
    parameters = diagonal_gaussian(dist)
    if parameters is not None:
        events = len(dist.event_shape)
        loc, scale = parameters
        flat = value.flatten(value.ndim - events) if events else value.unsqueeze(-1)
        half = 0.5 * ((flat - loc) / scale).square() + scale.log()
        return -half.sum(-1) - 0.5 * math.log(2 * math.pi) * loc.shape[-1]
    try:
        _check_draws(dist, value)
        return dist.log_prob(value)
    except ValueError as error:
        raise ValueError(f"`p` must give a density to every draw of `q`; {error}") from error


def _check_draws(dist: Distribution, value: Tensor) -> None:
    """Raise for draws outside the support where `dist` itself would not: `torch.compile`, once
    called, switches the validation of all later Distributions off.
    """
    if dist._validate_args or torch.compiler.is_compiling():
        return
    try:
        support: Any = dist.support
    except NotImplementedError:  # a Distribution of the user's that doesn't say
        return
    inside = support.check(value)
    require(
        bool(inside.all()) or bool(value.isnan().any()),
        f"a draw is outside its support ({support}), that of a {type(dist).__name__}",
    )


def mixture_log_prob(value: Tensor, components: Distribution, log_weights: Tensor) -> Tensor:
    """log sum_k a_k p_k(value), shape (S, A), for values (S, A, *event). Equation (3.6)."""
    event_dims = len(components.event_shape)
    each = log_density(components, value.unsqueeze(value.ndim - event_dims))
    return (log_weights + each).logsumexp(-1)


def convex_bound(kl: Tensor, log_weights: Tensor) -> Tensor:
    r"""Upper bound on the KL to a mixture from the convexity of KL in its second argument.

    Equation (4.3): $\sum_k a_k \mathrm{KL}(q \| p_k)$, from pairwise KLs and log weights (..., K).
    """
    return (log_weights.exp() * kl).sum(-1)


def jensen_bound(kl: Tensor, log_weights: Tensor) -> Tensor:
    r"""Tighter closed-form upper bound on the KL to a mixture.

    Equation (4.4): $-\log \sum_k a_k \exp(-\mathrm{KL}(q \| p_k))$, from pairwise KLs and log
    weights (..., K).
    """
    return -(log_weights - kl).logsumexp(-1)


def responsibilities(kl: Tensor, log_weights: Tensor) -> Tensor:
    r"""Which source explains which receiver, shape (..., K); rows sum to 1.

    Equation (4.5): $\varphi_k \propto a_k \exp(-\mathrm{KL}(q \| p_k))$. They attain the minimum
    over $\varphi$ of $\sum_k \varphi_k (\mathrm{KL}_k + \log \varphi_k / a_k)$, which is the bound
    of (4.4).
    """
    return torch.softmax(log_weights - kl, -1)


def lower_bound(q: Distribution, components: Distribution, log_weights: Tensor) -> Tensor:
    r"""Lower bound on the KL to a mixture of diagonal Gaussians.

    Equation (4.6): $-H(q) - \log \sum_k a_k \int q\, p_k$.
    """
    (mean, scale), (means, scales) = _gaussians(q, components, "lower_bound")
    spread = torch.hypot(scale.unsqueeze(-2), scales)
    distance = ((mean.unsqueeze(-2) - means) / spread).square()
    overlap = -(0.5 * (distance + math.log(2 * math.pi)) + spread.log()).sum(-1)
    return -q.entropy() - (log_weights + overlap).logsumexp(-1)


def weighted_sum(q: Distribution, components: Distribution, log_weights: Tensor) -> Tensor:
    r"""KL to the law of the weighted sum of independent draws. NOT the mixture, and not a bound.

    Equation (4.7): $\mathrm{KL}\big(q \,\|\, N(\sum_k a_k \mu_k, \sum_k a_k^2 \sigma_k^2)\big)$.
    """
    (mean, scale), (means, scales) = _gaussians(q, components, "weighted_sum")
    weights, unit = log_weights.exp().unsqueeze(-2), scales.amax(-2)
    centre = (weights @ means).squeeze(-2)
    relative = (scales / unit.unsqueeze(-2)).square()
    spread = unit * (weights.square() @ relative).squeeze(-2).sqrt()
    ratio, distance = scale / spread, (mean - centre) / spread
    return (0.5 * (ratio.square() + distance.square() - 1) - ratio.log()).sum(-1)


BOUNDS: dict[str, Callable[..., Tensor]] = {"convex": convex_bound, "jensen": jensen_bound}
GAUSSIAN_ONLY: dict[str, Callable[..., Tensor]] = {
    "weighted_sum": weighted_sum,
    "lower_bound": lower_bound,
}
CLOSED_FORMS = (*BOUNDS, *GAUSSIAN_ONLY)
METHODS = ("monte_carlo", *CLOSED_FORMS)


def _check_events(q: Distribution, p: Distribution, name: str) -> None:
    for label, dist in (("q", q), (name, p)):
        is_distribution(label, dist)
        parameters = diagonal_gaussian(dist) or full_gaussian(dist)
        dtype = None if parameters is None else parameters[0].dtype
        require(dtype not in HALF, f"`{label}` must be in float32 or float64; got {dtype}")
    require(
        q.event_shape == p.event_shape,
        f"`{name}` must have the event shape of `q`, {tuple(q.event_shape)}; "
        f"got {tuple(p.event_shape)}",
    )
    kinds = [_is_discrete(q), _is_discrete(p)]
    require(
        None in kinds or kinds[0] == kinds[1],
        f"`{name}` must be discrete or continuous as `q` is; got {type(p).__name__} for "
        f"{type(q).__name__}",
    )


def _is_discrete(dist: Distribution) -> bool | None:
    """None where the support isn't known."""
    try:
        support: Any = dist.support
    except NotImplementedError:
        return None
    return None if support is None else bool(support.is_discrete)


def _check_shapes(q: Distribution, p: Distribution, name: str) -> None:
    _check_events(q, p, name)
    shared, rowwise = len(p.batch_shape) == 1, p.batch_shape[:-1] == q.batch_shape
    require(
        p.batch_shape[-1:].numel() > 0 and len(p.batch_shape) > 0 and (shared or rowwise),
        f"`{name}` must have batch shape (K,) or {tuple(q.batch_shape)} + (K,), K >= 1; "
        f"got {tuple(p.batch_shape)}",
    )


@outside_autocast
def _pairwise_kl(
    q: Distribution, p: Distribution, samples: int, generator: Generator | None
) -> Tensor:
    if isinstance(p, Concatenated):
        return torch.cat([_pairwise_kl(q, part, samples, generator) for part in p.parts], -1)
    if isinstance(q, Concatenated) and len(p.batch_shape) == 1:
        return torch.cat([_pairwise_kl(part, p, samples, generator) for part in q.parts], 0)
    left, right = diagonal_gaussian(q), diagonal_gaussian(p)
    if left is not None and right is not None:
        shared = right[0].ndim == 2
        return _gaussian_all_pairs(*left, *right) if shared else _gaussian_rows(*left, *right)
    left, right = full_gaussian(q), full_gaussian(p)
    if left is not None and right is not None and right[0].ndim == 3 == left[0].ndim:
        return _full_all_pairs(*left, *right)
    compiling = torch.compiler.is_compiling()  # torch's own formula can't be compiled
    if compiling and left is not None and right is not None and right[0].ndim == 4:
        return _full_rows(*left, *right)
    if can_rebuild(q) and not isinstance(q, Concatenated):
        lead, every = len(q.batch_shape), q.batch_shape + p.batch_shape[-1:]
        column = map_parameters(q, lambda t: t.unsqueeze(lead))
        try:  # all pairs at their full shape: not every registered KL broadcasts
            return kl_divergence(expanded(column, every), expanded(p, every))
        except NotImplementedError:
            pass
        except RuntimeError as error:
            raise ValueError(f"{q} has no KL to {p}: {error}") from error
    value, log_q = _draw(q, samples, False, generator)
    each = log_density(p, value.unsqueeze(value.ndim - len(p.event_shape)))
    return (log_q.unsqueeze(-1) - each).mean(0)


def _gaussian_all_pairs(mean: Tensor, scale: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """(*A, D) against (K, D): (*A, K).

    Means are centred on their median first, against cancellation, and all is in units of the
    typical scale, against squares beyond the floats.
    """
    centre, unit = means.median(0).values.detach(), _unit(scales)
    logs = 2 * scales.log().sum(-1) - (2 * scale.log().sum(-1) + mean.shape[-1]).unsqueeze(-1)
    mean, means = (mean - centre) / unit, (means - centre) / unit
    precision = (unit / scales).square()
    square = (scale / unit).square() + mean.square()
    quadratic = square @ precision.T - 2 * mean @ (means * precision).T
    return 0.5 * (quadratic + (means.square() * precision).sum(-1) + logs)


def _full_all_pairs(mean: Tensor, factor: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """Means (A, P, D) and (K, P, D), triangular factors of the columns' covariances: (A, K).

    Matrix products too, centred and in units as above; the columns of an event add up.
    """
    centre, unit = means.median(0).values.detach(), _unit(factors.diagonal(dim1=-2, dim2=-1))
    logs = 2 * _log_diagonal(factors) - (2 * _log_diagonal(factor) + centre.numel()).unsqueeze(-1)
    mean, means = (mean - centre) / unit, (means - centre) / unit
    factor, factors = factor / unit.unsqueeze(-1), factors / unit.unsqueeze(-1)
    precision = torch.cholesky_inverse(factors)
    moment = factor @ factor.mT + mean.unsqueeze(-1) * mean.unsqueeze(-2)
    pulled = (precision @ means.unsqueeze(-1)).squeeze(-1)
    quadratic = moment.flatten(1) @ precision.flatten(1).T
    quadratic = quadratic - 2 * mean.flatten(1) @ pulled.flatten(1).T
    return 0.5 * (quadratic + (means * pulled).sum((-2, -1)) + logs)


def _full_rows(mean: Tensor, factor: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """(A, P, D) against (A, K, P, D), with their triangular factors: (A, K)."""
    apart = (means - mean.unsqueeze(1)).unsqueeze(-1)
    both = torch.cat([factor.unsqueeze(1).expand_as(factors), apart], -1)
    squares = torch.linalg.solve_triangular(factors, both, upper=False).square().sum((-3, -2, -1))
    logs = _log_diagonal(factors) - _log_diagonal(factor).unsqueeze(-1)
    return 0.5 * (squares - mean.shape[1:].numel()) + logs


def _unit(scales: Tensor) -> Tensor:
    """The geometric mean over the first dimension, to a power of two: dividing by it is exact."""
    above = scales.detach().clamp_min(torch.finfo(scales.dtype).tiny)
    return above.log2().nanmean(0).nan_to_num().round().exp2()  # NaN stays where it is


def _log_diagonal(factor: Tensor) -> Tensor:
    """Sum of the logs of the diagonals: half the log determinant of the covariance."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum((-2, -1))


def _gaussian_rows(mean: Tensor, scale: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """(*A, D) against (*A, K, D): (*A, K)."""
    ratio = scale.unsqueeze(-2) / scales
    distance = (mean.unsqueeze(-2) - means) / scales
    return (0.5 * (ratio.square() + distance.square() - 1) - ratio.log()).sum(-1)


def _gaussians(
    q: Distribution, p: Distribution, method: str
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    left, right = diagonal_gaussian(q), diagonal_gaussian(p)
    if left is None or right is None:
        names = f"{type(q).__name__} and {type(p).__name__}"
        raise ValueError(
            f"`method={method!r}` needs diagonal Gaussians, as "
            f"`GaussianWeights(..., covariance='diagonal')` makes them; got {names}"
        )
    return left, right


def _draw(
    q: Distribution, samples: int, stick_the_landing: bool, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    """Draws of q, (S, *A, *event), and their log density, (S, *A)."""
    require(
        q.batch_shape.numel() > 0,
        f"`q` must hold at least one Distribution; got batch shape {tuple(q.batch_shape)}",
    )
    room("`samples`", positive_int("samples", samples), *q.batch_shape, *q.event_shape)
    with seeded(generator):
        value = (q.rsample if q.has_rsample else q.sample)(Size((samples,)))
    log_q = log_density(detach(q) if stick_the_landing else q, value)
    require(
        q.has_rsample or not log_q.requires_grad,
        f"a sampled KL needs a pathwise gradient, and {type(q).__name__} has no reparameterised "
        "sampler (`has_rsample` is False)",
    )
    return value.to(log_q.dtype), log_q  # labels as numbers, which every family takes
