"""The mixture of regressions against dense Gaussians, its prior, and planted groups."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from tests.stats import assert_frequencies, assert_mean
from vmtl_core.lab import baselines
from vmtl_core.lab.baselines import regression_groups as groups
from vmtl_core.lab.baselines.regression_groups import Array, dirichlet_mixture, fit_groups
from vmtl_core.lab.datasets import MultiTaskData, clusters, linked_tasks
from vmtl_core.lab.scores import log_score

PARTITIONS = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2)]
SIZES = (3, 1, 2)
LOG_SD = np.log([0.6, 0.3, 0.5, 0.9, 0.7])  # s, the roots of v, of v_0
MEAN = np.array([0.4, -0.2])


def three_tasks() -> tuple[Array, Array, np.ndarray]:
    """Inputs (N, 2), targets (N,) and tasks (N,)."""
    rng = np.random.default_rng(3)
    task = np.repeat(np.arange(3), SIZES)
    x = rng.standard_normal((len(task), 2))
    weights = np.array([[1.0, 0.0], [0.6, 0.2], [-0.3, -0.7]])
    return x, (x * weights[task]).sum(1) + 0.5 * rng.standard_normal(len(task)), task


def grams(x: Array, y: Array, task: np.ndarray, tasks: int) -> Array:
    """Z'Z for each task, of targets (K, N), (K, T, D + 1, D + 1)."""
    z = np.concatenate([np.broadcast_to(x, (len(y), *x.shape)), y[..., None]], -1)
    return np.stack([z[:, task == t].mT @ z[:, task == t] for t in range(tasks)], 1)


def state(chains: int, labels: tuple[int, ...], concentration: float = 1.0) -> groups._State:
    return groups._State(
        np.ones(chains),
        np.tile(np.array(labels), (chains, 1)),
        np.tile(LOG_SD, (chains, 1)),
        np.tile(MEAN, (chains, 1)),
        np.full(chains, concentration),
        np.full((chains, len(LOG_SD)), 0.7),
    )


def joint(x: Array, task: np.ndarray, labels: tuple[int, ...]) -> tuple[Array, Array]:
    """Covariance of all targets (N, N), and of all weights with them (3, 2, N)."""
    label = np.array(labels)
    s, v, v_0 = np.exp(2 * LOG_SD[0]), np.exp(2 * LOG_SD[1:3]), np.exp(2 * LOG_SD[3:])
    same = (np.arange(3)[:, None] == task)[..., None] * v
    same = same + (label[:, None] == label[task])[..., None] * v_0
    cross = (same * x).transpose(0, 2, 1)
    return np.einsum("nd,ndm->nm", x, cross[task]) + s * np.eye(len(task)), cross


def test_partitions_have_their_exact_probabilities() -> None:
    """Five partitions of three tasks, enumerated with dense Gaussians; hyperparameters fixed."""
    x, y, task = three_tasks()
    log_p, concentration = [], 0.7
    for labels in PARTITIONS:
        sizes = np.bincount(labels)
        prior = len(sizes) * np.log(concentration) + np.log([1.0, 1.0, 2.0])[sizes - 1].sum()
        covariance = torch.tensor(joint(x, task, labels)[0])
        dense = MultivariateNormal(torch.tensor(x @ MEAN), covariance)
        log_p.append(prior + dense.log_prob(torch.tensor(y)).item())
    exact = torch.tensor(log_p).softmax(0)
    assert exact.min() > 0.02
    chains = state(6000, (0, 0, 0), concentration)
    rng = np.random.default_rng(0)
    tasks, _ = groups._tasks(chains.log_sd, grams(x, y[None], task, 3))
    for _ in range(20):
        groups._draw_groups(chains, groups._centred(tasks, chains.m_0), rng)
    found = [PARTITIONS.index(tuple(row)) for row in chains.groups.tolist()]
    assert_frequencies(torch.tensor(found), exact.double())


def test_weights_given_their_groups_are_the_dense_gaussian_s() -> None:
    x, y, task = three_tasks()
    for labels in PARTITIONS:
        _, mean, covariance, _, _ = groups._conditional(
            state(1, labels), grams(x, y[None], task, 3)
        )
        outer, cross = joint(x, task, labels)
        for t in range(3):
            gain = np.linalg.solve(outer, cross[t].T).T
            np.testing.assert_allclose(mean[0, t], MEAN + gain @ (y - x @ MEAN), rtol=1e-8)
            prior = np.diag(np.exp(2 * LOG_SD[1:3]) + np.exp(2 * LOG_SD[3:]))
            np.testing.assert_allclose(covariance[0, t], prior - gain @ cross[t].T, rtol=1e-8)


def test_the_likelihood_is_the_dense_gaussian_s() -> None:
    """Differences of it, for it leaves a constant out."""
    x, y, task = three_tasks()
    gram, count = grams(x, y[None], task, 3), np.array(SIZES)
    found, wanted = [], []
    for labels in PARTITIONS:
        one = state(1, labels)
        parts = groups._tasks(one.log_sd, gram)
        found.append(groups._log_likelihood(one, one.log_sd, *parts, count)[0])
        dense = MultivariateNormal(torch.tensor(x @ MEAN), torch.tensor(joint(x, task, labels)[0]))
        wanted.append(dense.log_prob(torch.tensor(y)).item())
    constant = -0.5 * len(y) * np.log(2 * np.pi)
    np.testing.assert_allclose(np.array(found) + constant, wanted, rtol=1e-9)


def test_sweeps_leave_the_joint_distribution_as_it_is() -> None:
    """Hyperparameters and groups from the prior, data from these: sweeps must keep the prior."""
    chains, tasks, each, rng = 4000, 4, 3, np.random.default_rng(1)
    log_sd = np.log(np.abs(np.tan(np.pi * (rng.random((chains, 3)) - 0.5))))
    concentration, m_0 = rng.gamma(1.0, size=chains), rng.standard_normal((chains, 1))
    labels = np.zeros((chains, tasks), int)
    for t in range(1, tasks):
        earlier = labels[np.arange(chains), rng.integers(t, size=chains)]
        new = rng.random(chains) < concentration / (concentration + t)
        labels[:, t] = np.where(new, labels[:, :t].max(1) + 1, earlier)
    s, v, v_0 = np.exp(log_sd).T[:, :, None]
    centres = m_0 + v_0 * rng.standard_normal((chains, tasks))
    weights = np.take_along_axis(centres, labels, 1) + v * rng.standard_normal((chains, tasks))
    task = np.repeat(np.arange(tasks), each)
    x = rng.standard_normal((len(task), 1))
    y = weights[:, task] * x[:, 0] + s * rng.standard_normal((chains, len(task)))
    number = labels.max(1)
    begun = (log_sd, concentration, number)
    walk = groups._State(
        np.ones(chains), labels, log_sd, m_0, concentration, np.full((chains, 3), 1.0)
    )
    gram = grams(x, y, task, tasks)
    for _ in range(15):
        groups._sweep(walk, gram, np.full(tasks, float(each)), rng)
    ended = (walk.log_sd, walk.concentration, walk.groups.max(1))
    assert all((a != b).mean() > 0.2 for a, b in zip(begun, ended, strict=True))
    tails = torch.from_numpy(walk.log_sd)
    assert_mean(tails, 0.0)  # a half-Cauchy's logarithm has mean 0, variance (pi / 2)^2
    assert_mean(tails.square(), (torch.pi / 2) ** 2)
    assert_mean(torch.from_numpy(walk.concentration), 1.0)
    assert_mean(torch.from_numpy(walk.m_0), 0.0)
    assert_mean(torch.from_numpy(walk.m_0**2), 1.0)
    moved = ended[2] - number  # paired with where it began
    assert_mean(torch.from_numpy(moved).double(), 0.0)


def test_neighbours_swap_by_their_likelihoods() -> None:
    """A swap is certain where the chain with the smaller power has the larger likelihood."""
    chains = state(4, (0, 0, 0))
    chains.power = np.array([1.0, 0.5, 1.0, 0.5])  # two ladders
    chains.concentration = np.arange(4.0)
    rng = np.random.default_rng(0)
    while chains.concentration[0] == 0:
        groups._swap(chains, np.array([-99.0, 0.0, 99.0, -9999.0]), rng)
    assert chains.concentration.tolist() == [1.0, 0.0, 2.0, 3.0]


def test_planted_groups_far_apart_are_found() -> None:
    train, test = clusters(tasks=9, per_task=8, inputs=3, between_sd=0.05, seed=4).split()
    fit = fit_groups(train, intercept=False, burn_in=60, sweeps=60)
    assert train.truth is not None
    share = (fit.groups == train.truth.cluster).all(1).double().mean()
    assert share > 0.5  # the rest open a fourth group for somebody
    score = log_score(fit.predictive(test), test.y)
    rival = baselines.hierarchical_gaussian(train, test, intercept=False).distribution()
    assert score > log_score(rival, test.y) + 0.05


def test_one_planted_group_is_the_hierarchy() -> None:
    train, test = clusters(tasks=25, clusters=1, per_task=8, inputs=2, between_sd=0.3).split()
    predicted = fit_groups(train, intercept=False, burn_in=60, sweeps=60).predictive(test)
    rival = baselines.hierarchical_gaussian(train, test, intercept=False).distribution()
    assert (predicted.mean - rival.mean).abs().mean() < 0.05
    ahead = log_score(predicted, test.y) - log_score(rival, test.y)
    assert -0.01 < ahead < 0.05  # whose point estimate puts one of the two variances at 0


def small(seed: int = 0) -> tuple[MultiTaskData, MultiTaskData]:
    train, test = clusters(tasks=4, clusters=2, inputs=2, seed=seed).split()
    return train, test


def test_same_seed_same_numbers_in_any_units() -> None:
    train, _ = small()
    train = replace(train, x=train.x.double(), y=train.y.double())
    one, same, other = (fit_groups(train, False, s, 1, 5, 5) for s in (0, 0, 1))
    assert torch.equal(one.task_mean, same.task_mean)
    assert not torch.equal(one.task_mean, other.task_mean)
    scaled = replace(train, x=train.x * 1000, y=train.y / 50)
    again = fit_groups(scaled, False, 0, 1, 5, 5)
    assert torch.equal(one.groups, again.groups)
    torch.testing.assert_close(again.task_mean * 50_000, one.task_mean)
    torch.testing.assert_close(again.noise_variance * 2500, one.noise_variance)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "ladders": (lambda: fit_groups(small()[0], ladders=0), r"`ladders` .* at least 1; got 0"),
    "burn_in": (lambda: fit_groups(small()[0], burn_in=-1), r"`burn_in` .* at least 0; got -1"),
    "sweeps": (lambda: fit_groups(small()[0], sweeps=0), r"`sweeps` .* at least 1; got 0"),
    "labels": (lambda: fit_groups(linked_tasks()), r"`train` .* a regression; got classification"),
    "flat": (
        lambda: fit_groups(replace(small()[0], y=torch.zeros(24))),
        r"`train` .* not all 0; got 24",
    ),
    "untrained task": (
        lambda: dirichlet_mixture(small()[0].rows(small()[0].task > 0), small()[1]),
        r"`train` .* ids \[0\] have no example",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
