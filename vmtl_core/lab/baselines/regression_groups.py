"""A Dirichlet-process mixture of linear regressions: groups of tasks, their number unknown.

    y_tn ~ N(w_t . x_tn, s^2),   w_t ~ N(m_c, diag v),   m_c ~ N(m_0, diag v_0),   c = c_t
    c_1, ..., c_T ~ Chinese restaurant of concentration a

Gibbs sampling with all w_t and m_c integrated out, Neal's algorithm 3. One group with a wide v and
several with a narrow one are far apart for it, so each chain is the last of a ladder: the others
draw from the prior times the likelihood to a power, and neighbours swap. Inputs and target are
divided by their root mean squares, so that every prior is relative to the data: s and the roots of
v and v_0 are half-Cauchy of scale 1, m_0 ~ N(0, I), a ~ Gamma(1, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from vmtl_core.lab.baselines.moments import design
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.scores import check_pair

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

FIRST_GROUPS = 100
"""Most groups that a chain starts with: from singletons, where there are as few tasks."""
POWERS = 0.75 ** np.arange(8)
"""Powers of the likelihood on a ladder of chains; the first is the posterior."""
DRAWS = 100
"""Draws that are kept of each ladder, at equal distances."""


@dataclass(frozen=True, eq=False)
class RegressionGroups:
    """Draws from the posterior, ``S`` of all chains together, in the data's units.

    D counts the intercept, which comes first, if there is one. The moments of w_t are those given
    the groups and hyperparameters of a draw (Rao-Blackwell).

    Attributes:
        groups: a group's number for each task, ``(S, T)``.
        task_mean: ``(S, T, D)``.
        task_covariance: ``(S, T, D, D)``.
        noise_variance: s^2, ``(S,)``.
        within_variance: v, ``(S, D)``.
        concentration: a, ``(S,)``.
        intercept: whether the first weight is an intercept.
    """

    groups: Tensor
    task_mean: Tensor
    task_covariance: Tensor
    noise_variance: Tensor
    within_variance: Tensor
    concentration: Tensor
    intercept: bool

    def predictive(self, data: MultiTaskData) -> MixtureSameFamily:
        """Predictive of every row's ``y``, noise included: a mixture of one Gaussian a draw."""
        x, draws = design(data.x, self.intercept), len(self.groups)
        mean, variance = x.new_empty(len(x), draws), x.new_empty(len(x), draws)
        for t, rows in enumerate(data.task_rows):
            mean[rows] = x[rows] @ self.task_mean[:, t].T
            spread = torch.einsum("nd,sde,ne->ns", x[rows], self.task_covariance[:, t], x[rows])
            variance[rows] = spread + self.noise_variance
        parts = Normal(mean.to(data.x), variance.sqrt().to(data.x))
        return MixtureSameFamily(Categorical(logits=torch.zeros_like(parts.loc)), parts)


def dirichlet_mixture(
    train: MultiTaskData, test: MultiTaskData, intercept: bool = True, seed: int = 0
) -> MixtureSameFamily:
    """Predictive of every test row by :func:`fit_groups`.

    Args:
        train: training set, with at least one example of every task that is tested.
        test: test set with the same tasks.
        intercept: add a constant input, with its own m_0, v and v_0.
        seed: of the draws.

    Raises:
        ValueError: if a tested task has no training example, or the sets do not fit together.
    """
    check_pair(train, test)
    return fit_groups(train, intercept, seed).predictive(test)


def fit_groups(
    train: MultiTaskData,
    intercept: bool = True,
    seed: int = 0,
    ladders: int = 3,
    burn_in: int = 250,
    sweeps: int = 250,
) -> RegressionGroups:
    """Draw groups and hyperparameters from their posterior.

    Every other chain starts from one group, the others from singletons. A sweep draws every task's
    group, m_0 and a from their conditionals, s, v and v_0 by random walks whose steps adapt while
    they burn in, and offers a swap to every other pair of neighbours.

    Args:
        train: the training set.
        intercept: add a constant input.
        seed: of the draws: same seed, same numbers.
        ladders: of chains, run side by side, at least 1.
        burn_in: sweeps that are thrown away, at least 0.
        sweeps: sweeps after these, at least 1, of which `DRAWS` are kept.

    Returns:
        The draws, in float64. Predictive log scores of twelve tasks of six examples differ by about
        0.01 nats from seed to seed, those of twice as many sweeps from these by as much.

    Raises:
        ValueError: if ``train`` is empty, is no regression, or its target is 0 everywhere, or if a
            number is too small.

    References:
        M. Escobar and M. West, *Bayesian density estimation and inference using mixtures*, 1995;
        C. Geyer, *Markov chain Monte Carlo maximum likelihood*, 1991;
        R. Neal, *Markov chain sampling methods for Dirichlet process mixture models*, 2000.

    >>> from vmtl_core.lab.datasets import clusters
    >>> train, test = clusters(between_sd=0.05).split()
    >>> fit = fit_groups(train, intercept=False, burn_in=100, sweeps=100)
    >>> fit.groups.mode(dim=0).values
    tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
    """
    for name, value, least in (
        ("ladders", ladders, 1),
        ("burn_in", burn_in, 0),
        ("sweeps", sweeps, 1),
    ):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}; got {value}")
    gram, count, scale = _standard_gram(train, intercept)
    rng = np.random.default_rng(seed)
    state = _start(np.tile(POWERS, ladders), gram, rng)
    keep = set(burn_in + np.linspace(1, sweeps, min(DRAWS, sweeps)).astype(int) - 1)
    kept = []
    for sweep in range(burn_in + sweeps):
        rate = 2 / (sweep + 1) ** 0.6 if sweep < burn_in else 0.0
        _sweep(state, gram, count, rng, rate)
        if sweep in keep:
            kept.append(_conditional(state, gram))
    groups, mean, covariance, log_sd, a = (
        np.concatenate([array[:: len(POWERS)] for array in arrays])
        for arrays in zip(*kept, strict=True)
    )
    unit = scale[-1] / scale[:-1]  # of a weight
    inputs = len(unit)
    return RegressionGroups(
        groups=torch.from_numpy(groups),
        task_mean=torch.from_numpy(mean * unit),
        task_covariance=torch.from_numpy(covariance * unit[:, None] * unit),
        noise_variance=torch.from_numpy((scale[-1] * np.exp(log_sd[:, 0])) ** 2),
        within_variance=torch.from_numpy((unit * np.exp(log_sd[:, 1 : inputs + 1])) ** 2),
        concentration=torch.from_numpy(a),
        intercept=intercept,
    )


@dataclass(eq=False)
class _State:
    """Where ``K`` chains are, in standard units.

    Attributes:
        power: of the likelihood, ``(K,)``.
        groups: ``(K, T)``, numbered from 0 without a gap.
        log_sd: logarithms of s, of the roots of v, of those of v_0, ``(K, 1 + 2 D)``.
        m_0: ``(K, D)``.
        concentration: a, ``(K,)``.
        step: of the random walks, as log_sd.
    """

    power: Array
    groups: Labels
    log_sd: Array
    m_0: Array
    concentration: Array
    step: Array


def _standard_gram(train: MultiTaskData, intercept: bool) -> tuple[Array, Array, Array]:
    """Z'Z of every task, ``(1, T, D + 1, D + 1)``, for Z = [X, y] in standard units.

    Also the number of examples ``(T,)`` and the units, root mean squares of the columns of Z.
    """
    if train.kind != "regression":
        raise ValueError(f"`train` must be a regression; got {train.kind}")
    z = torch.cat([design(train.x, intercept), train.y.double()[:, None]], 1).numpy()
    scale = np.sqrt((z**2).sum(0) / max(len(z), 1))
    if not scale[-1] > 0:
        raise ValueError(f"`train` must hold examples whose target is not all 0; got {len(z)}")
    scale = np.where(scale > 0, scale, 1.0)
    gram = np.zeros((1, train.tasks, len(scale), len(scale)))
    np.add.at(gram[0], train.task.numpy(), (z / scale)[:, :, None] * (z / scale)[:, None])
    return gram, np.bincount(train.task.numpy(), minlength=train.tasks).astype(float), scale


def _start(power: Array, gram: Array, rng: Generator) -> _State:
    """One group in every other chain, many in the others; all scales at a third or so."""
    chains, tasks, inputs = len(power), gram.shape[1], gram.shape[-1] - 1
    groups = np.zeros((chains, tasks), int)
    groups[1::2] = np.arange(tasks) % FIRST_GROUPS
    log_sd = -1 + 0.5 * rng.standard_normal((chains, 1 + 2 * inputs))
    step = np.full_like(log_sd, 0.5)
    return _State(power, groups, log_sd, np.zeros((chains, inputs)), np.ones(chains), step)


def _sweep(state: _State, gram: Array, count: Array, rng: Generator, rate: float = 0.0) -> None:
    """Draw everything once, in place; ``rate``: how fast the steps adapt."""
    inputs = state.m_0.shape[1]
    tasks, log_det = _tasks(state.log_sd, gram)
    _draw_groups(state, _centred(tasks, state.m_0), rng)
    _draw_mean(state, tasks, rng)
    likelihood = _log_likelihood(state, state.log_sd, tasks, log_det, count)
    for p in range(1 + 2 * inputs):
        log_sd = state.log_sd.copy()
        log_sd[:, p] += state.step[:, p] * rng.standard_normal(len(log_sd))
        new = _tasks(log_sd, gram) if p <= inputs else (tasks, log_det)
        proposed = _log_likelihood(state, log_sd, *new, count)
        prior = _log_prior(log_sd) - _log_prior(state.log_sd)
        chance = np.exp(np.minimum(state.power * (proposed - likelihood) + prior, 0))
        taken = rng.random(len(chance)) < chance
        state.log_sd = np.where(taken[:, None], log_sd, state.log_sd)
        tasks = np.where(taken[:, None, None, None], new[0], tasks)
        log_det = np.where(taken[:, None], new[1], log_det)
        likelihood = np.where(taken, proposed, likelihood)
        state.step[:, p] *= np.exp(rate * (chance - 0.44))
    _draw_concentration(state, rng)
    _swap(state, likelihood, rng)


def _swap(state: _State, likelihood: Array, rng: Generator) -> None:
    """Neighbours on a ladder exchange all but their powers and steps, in place."""
    lower = np.arange(rng.integers(2), len(likelihood) - 1, 2)
    lower = lower[state.power[lower] > state.power[lower + 1]]  # of one ladder
    gain = (state.power[lower] - state.power[lower + 1]) * (
        likelihood[lower + 1] - likelihood[lower]
    )
    lower = lower[np.log(rng.random(len(lower))) < gain]
    order = np.arange(len(likelihood))
    order[lower], order[lower + 1] = lower + 1, lower
    state.groups, state.log_sd = state.groups[order], state.log_sd[order]
    state.m_0, state.concentration = state.m_0[order], state.concentration[order]


def _integrate(information: Array, variance: Array) -> tuple[Array, Array]:
    """Z'PZ and log det P/P' after X's coefficients got N(0, diag variance) more; Z = [X, y].

    P is the precision of y before, P' = (P^-1 + X diag(variance) X')^-1 the one after; Sherman and
    Morrison, one input at a time. ``(..., D + 1, D + 1)`` and ``(..., D)`` to ``(..., D + 1,
    D + 1)`` and ``(...)``. The last corner is the quadratic form of the log density.
    """
    log_det = np.zeros(np.broadcast_shapes(information.shape[:-2], variance.shape[:-1]))
    for d in range(variance.shape[-1]):
        row = information[..., d, :]
        ratio = 1 + variance[..., d] * row[..., d]
        log_det = log_det + np.log(ratio)
        row_scaled = row * (variance[..., d] / ratio)[..., None]
        information = information - row_scaled[..., :, None] * row[..., None, :]
    return information, log_det


def _tasks(log_sd: Array, gram: Array) -> tuple[Array, Array]:
    """What each task says of its group's centre: :func:`_integrate` over w_t about m_c."""
    inputs = gram.shape[-1] - 1
    v = np.exp(2 * log_sd[:, None, 1 : inputs + 1])
    return _integrate(gram * np.exp(-2 * log_sd[:, :1, None, None]), v)


def _centred(information: Array, m_0: Array) -> Array:
    """The same for y - X m_0 in the place of y, ``(K, T, D + 1, D + 1)``."""
    move = np.broadcast_to(
        np.eye(information.shape[-1]), (len(m_0), *information.shape[-2:])
    ).copy()
    move[:, :-1, -1] = -m_0
    return move.mT[:, None] @ information @ move[:, None]


def _by_group(groups: Labels, tasks: Array) -> Array:
    """Sums over the members of each group, ``(K, C, D + 1, D + 1)``; an empty one has zeros."""
    member = (groups[:, None] == np.arange(groups.max() + 1)[:, None]).astype(float)
    return (member @ tasks.reshape(*tasks.shape[:2], -1)).reshape(len(groups), -1, *tasks.shape[2:])


def _between(log_sd: Array) -> Array:
    """v_0, ``(K, 1, D)``."""
    return np.exp(2 * log_sd[:, None, (log_sd.shape[1] + 1) // 2 :])


def _log_likelihood(
    state: _State, log_sd: Array, tasks: Array, log_det: Array, count: Array
) -> Array:
    """log p(y | groups, m_0, log_sd) ``(K,)``, but for a constant; w_t and m_c integrated out."""
    centred = _centred(tasks, state.m_0)
    groups, log_det_groups = _integrate(_by_group(state.groups, centred), _between(log_sd))
    quadratic = (groups[..., -1, -1] + log_det_groups).sum(1)
    return -0.5 * (quadratic + log_det.sum(1)) - count.sum() * log_sd[:, 0]


def _log_prior(log_sd: Array) -> Array:
    """Half-Cauchy densities of the standard deviations, as those of their logarithms, ``(K,)``."""
    return -np.logaddexp(log_sd, -log_sd).sum(1)


def _draw_groups(state: _State, tasks: Array, rng: Generator) -> None:
    """Each task's group given all the others', in place: Neal's algorithm 3."""
    groups, chain = state.groups, np.arange(len(state.groups))
    sums, v_0 = _by_group(groups, tasks), _between(state.log_sd)
    size = (groups[:, :, None] == np.arange(sums.shape[1])).sum(1)
    with np.errstate(divide="ignore"):  # the logarithm of an empty group's size
        for t in range(groups.shape[1]):
            own = tasks[:, t]
            size[chain, groups[:, t]] -= 1
            sums[chain, groups[:, t]] -= own
            if not (size == 0).any(1).all():
                size = np.pad(size, ((0, 0), (0, 1)))
                sums = np.pad(sums, ((0, 0), (0, 1), (0, 0), (0, 0)))
            sums[size == 0] = 0
            found, log_det = _integrate(np.stack([sums + own[:, None], sums]), v_0)
            score = -0.5 * state.power[:, None] * (found[..., -1, -1] + log_det)
            chance = np.log(size) + score[0] - score[1]
            new = (size == 0).argmax(1)
            chance[chain, new] = (score[0] - score[1])[chain, new] + np.log(state.concentration)
            choice = (chance + rng.gumbel(size=chance.shape)).argmax(1)
            groups[:, t] = choice
            size[chain, choice] += 1
            sums[chain, choice] += own
    for k in chain:  # numbers in the order of the tasks
        _, first, inverse = np.unique(groups[k], return_index=True, return_inverse=True)
        groups[k] = first.argsort().argsort()[inverse]


def _draw_mean(state: _State, tasks: Array, rng: Generator) -> None:
    """m_0 given groups and variances, the centres integrated out, in place."""
    found, _ = _integrate(_by_group(state.groups, tasks), _between(state.log_sd))
    total = state.power[:, None, None] * found.sum(1)
    covariance = np.linalg.inv(total[:, :-1, :-1] + np.eye(total.shape[-1] - 1))
    mean = (covariance @ total[:, :-1, -1:])[..., 0]
    noise = rng.standard_normal((*mean.shape, 1))
    state.m_0 = mean + (np.linalg.cholesky(covariance) @ noise)[..., 0]


def _draw_concentration(state: _State, rng: Generator) -> None:
    """a ~ Gamma(1, 1) given the number of groups, by Escobar and West's extra variable."""
    tasks, number = state.groups.shape[1], state.groups.max(1) + 1
    rate = 1 - np.log(rng.beta(state.concentration + 1, tasks))
    more = rng.random(len(number)) * (number + tasks * rate) < number
    state.concentration = rng.gamma(number + more) / rate


def _conditional(state: _State, gram: Array) -> tuple[Labels, Array, Array, Array, Array]:
    """Groups, mean and covariance of every w_t given them and the hyperparameters, log_sd, a.

    With m_c ~ N(mu, S) given all the data, w_t has mean K_t mu + C_t X'y / s^2 and covariance
    C_t + K_t S K_t', where C_t = (diag(1/v) + X'X / s^2)^-1 and K_t = I - C_t X'X / s^2.
    """
    tasks, _ = _tasks(state.log_sd, gram)
    inputs = gram.shape[-1] - 1
    groups = _by_group(state.groups, _centred(tasks, state.m_0))
    spread = _covariance(groups, _between(state.log_sd))
    centre = state.m_0[:, None] + (spread @ groups[..., :-1, -1:])[..., 0]
    chain = np.arange(len(spread))[:, None]
    spread, centre = spread[chain, state.groups], centre[chain, state.groups]
    data = gram * np.exp(-2 * state.log_sd[:, :1, None, None])
    own = _covariance(data, np.exp(2 * state.log_sd[:, None, 1 : inputs + 1]))
    keep = np.eye(inputs) - own @ data[..., :-1, :-1]
    mean = keep @ centre[..., None] + own @ data[..., :-1, -1:]
    covariance = own + keep @ spread @ keep.mT
    return state.groups.copy(), mean[..., 0], covariance, state.log_sd, state.concentration


def _covariance(information: Array, variance: Array) -> Array:
    """(diag(1 / variance) + X'PX)^-1; well behaved where a variance is tiny."""
    root = np.sqrt(variance)[..., None]
    scaled = root * information[..., :-1, :-1] * root.mT
    return root * np.linalg.inv(np.eye(scaled.shape[-1]) + scaled) * root.mT
