"""Hyperpriors of the closed-form fit are the densities that they are said to be, (5.6)."""

import math

import pytest
import torch
from torch.distributions import Gamma, HalfCauchy, HalfNormal, Normal

from vmtl_core.evidence import log_normal
from vmtl_core.likelihoods import TASK_NOISE_SD
from vmtl_core.population import NARROW, WIDE, Noise, Population
from vmtl_core.priors import FEW, MEAN_SD


def population(tasks: int, learned: bool = True, weak: bool = True) -> Population:
    """Of two columns of three weights."""
    factor = 0.3 * torch.eye(3).expand(2, 3, 3)
    return Population(torch.randn(2, 3), torch.randn(2, 3), factor, learned, weak, tasks)


def noise(learned: list[bool], per_task: bool = False) -> Noise:
    count = len(learned)
    scale = torch.tensor([-0.5, 0.3, 1.1])[:count]
    return Noise(scale, torch.tensor([0, count - 1, 0, 1 % count]), torch.tensor(learned), per_task)


def test_log_normal() -> None:
    value = torch.randn(5)
    torch.testing.assert_close(log_normal(value, 0.3), Normal(0.0, 0.3).log_prob(value))


@pytest.mark.parametrize("tasks", [2, 50], ids=["few", "many"])
def test_population(tasks: int) -> None:
    """m_0 is normal; s_0^2 is Gamma(c/2, c/2), as a density of log s_0."""
    one = population(tasks)
    c = min(1.0, FEW / tasks)
    assert one.push == pytest.approx(c)
    variance = (2 * one.log_sd).exp()
    expected = (Gamma(c / 2, c / 2).log_prob(variance) + (2 * variance).log()).sum()
    expected = expected + Normal(0.0, MEAN_SD).log_prob(one.loc).sum()
    torch.testing.assert_close(one.log_hyperprior(one.loc, one.log_sd), expected)


@pytest.mark.parametrize(("learned", "weak"), [(False, True), (True, False)])
def test_population_without(learned: bool, weak: bool) -> None:
    one = population(50, learned, weak)
    assert float(one.log_hyperprior(one.loc, one.log_sd)) == 0.0


def test_population_averaged_over() -> None:
    """Half-Cauchy in s_0, as a density of its logarithm; leading dimensions stay."""
    log_sd = torch.randn(4, 2, 3)
    found = population(3).log_marginal_hyperprior(log_sd)
    expected = (HalfCauchy(1.0).log_prob(log_sd.exp()) + log_sd).sum((1, 2))
    torch.testing.assert_close(found, expected)


def test_root() -> None:
    """Learned: diagonal, within bounds; given: as it is."""
    log_sd = torch.tensor([[0.5, -99.0, 99.0]])
    found = population(3).root(log_sd)
    torch.testing.assert_close(
        found[0], torch.diag(torch.tensor([math.exp(0.5), 1e-3, 1e3])), rtol=1e-12, atol=0
    )
    given = population(3, learned=False)
    assert given.root(log_sd) is given.factor


def test_noise_of_one_likelihood() -> None:
    """Half-normal in sigma, as a density of its logarithm, for every learned one."""
    free = torch.tensor([[-0.5, 0.3], [1.0, -2.0]])
    found = noise([True, True]).log_hyperprior(free)
    torch.testing.assert_close(found, (HalfNormal(1.0).log_prob(free.exp()) + free).sum(-1))
    assert noise([False, False]).log_hyperprior(torch.zeros(4, 0)).tolist() == [0.0] * 4


def test_noise_of_every_task() -> None:
    """Half-normal in the geometric mean, and each normal about that."""
    free = torch.tensor([[-0.5, 0.3, 1.4], [0.0, 0.1, 0.2]])
    found = noise([True] * 3, per_task=True).log_hyperprior(free)
    middle = free.mean(-1)
    expected = HalfNormal(1.0).log_prob(middle.exp()) + middle
    each = Normal(middle.unsqueeze(-1), TASK_NOISE_SD).log_prob(free)
    torch.testing.assert_close(found, expected + each.sum(-1))


def test_noise_partly_learned() -> None:
    """The others keep their value; every task has its likelihood's; bounds hold."""
    one = noise([False, True, True])
    assert one.start().tolist() == one.log_scale[1:].tolist()
    free = torch.tensor([[0.7, -99.0], [0.6, 99.0]])
    expected = torch.tensor([[-0.5, 0.7, NARROW], [-0.5, 0.6, WIDE]])
    torch.testing.assert_close(one.all(free), expected)
    torch.testing.assert_close(one.tasks(free), expected[:, [0, 2, 0, 1]])
    everything = noise([True, True]).all(torch.tensor([-99.0, 99.0]))
    torch.testing.assert_close(everything, torch.tensor([NARROW, WIDE]))
    kept = one.start()
    kept.add_(1)
    assert one.log_scale.tolist() == torch.tensor([-0.5, 0.3, 1.1]).tolist()
