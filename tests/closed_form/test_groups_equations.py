"""Each equation of chapter 14 against densities, enumeration or counting."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal
from torch.nn.functional import one_hot

from tests.closed_form.models import build, table
from vmtl_core import fit, predictive
from vmtl_core.group_mixing import helpers
from vmtl_core.groups import (
    Hyper,
    cavity_laws,
    cavity_memberships,
    factors,
    gather,
    log_partition,
    memberships,
    message,
)
from vmtl_core.sites import Site

SPREAD, DELTA, ERROR = 1.3, 0.4, 0.3
BETWEEN = SPREAD**2 / (1 + DELTA**2)
WITHIN = SPREAD**2 - BETWEEN
MEANS = torch.tensor([-1.2, -0.9, 0.3, 1.1, 1.0], dtype=torch.float64)


def hyper(weights: int = 1) -> Hyper:
    shape = (1, weights)
    return Hyper(
        torch.zeros(0), torch.full(shape, math.log(SPREAD)), torch.full(shape, math.log(DELTA))
    )


def site(means: Tensor = MEANS) -> Site:
    """Tasks with one weight, whose sample means have the standard error ERROR."""
    constant = Normal(0.0, ERROR).log_prob(means)
    precision = torch.full((len(means), 1, 1, 1), 1 / ERROR**2)
    return Site(precision, (means / ERROR**2)[:, None, None], constant)


def sure(label: list[int], groups: int) -> Tensor:
    return one_hot(torch.tensor(label), groups + 1).double()


def unsure(seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(len(MEANS), 4, generator=draw).softmax(-1)


def partitions(tasks: int) -> list[list[int]]:
    """Groups 0, 1, ..., none is -1."""
    found: list[list[int]] = [[]]
    for _ in range(tasks):
        found = [[*one, c] for one in found for c in [-1, *range(max([*one, -1]) + 2)]]
    return found


def covariance(label: list[int]) -> Tensor:
    """Of the sample means given a partition: m_0, centres, weights and errors."""
    group = torch.tensor(label)
    same = (group[:, None] == group) & (group >= 0)
    own = torch.where(group >= 0, WITHIN, SPREAD**2) + ERROR**2
    return 0.5 + BETWEEN * same + torch.diag(own)


def test_a_group_leaves_the_population_as_it_is() -> None:
    """(14.1) the variances within and between sum to V_0; two members are correlated by 1 / (1 + delta^2)."""
    within, between, whole = (root.square().squeeze() for root in factors(*hyper()[1:]))
    torch.testing.assert_close(within + between, whole)
    torch.testing.assert_close(between / whole, torch.tensor(1 / (1 + DELTA**2)))


def test_a_message_is_the_density_of_the_data_given_the_mean() -> None:
    """(14.2) up to a constant, for three weights and rows that don't determine them."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 3, generator=draw), torch.randn(2, generator=draw)
    spread = torch.tensor([0.3, 1.0, 2.0])
    told = message((x.T @ x)[None], (x.T @ y)[None], spread.diag()[None])
    total = torch.eye(2) + x @ spread.square().diag() @ x.T
    gaps = []
    for mean in torch.randn(3, 3, generator=draw):
        found = -0.5 * mean @ told.precision[0] @ mean + told.natural[0] @ mean
        gaps.append(MultivariateNormal(x @ mean, total).log_prob(y) - found)
    torch.testing.assert_close(torch.stack(gaps), gaps[0].expand(3))


def test_a_cavity_is_what_the_others_say() -> None:
    """(14.3) by conditioning the joint Gaussian of w_0 and the other members' sample means on these."""
    label = [0, 0, 1, 0, 1]
    laws = cavity_laws(site(), torch.full((1, 1), 0.2), *hyper()[1:], sure(label, 2))
    others = torch.tensor([1, 3])
    inner = torch.full((2, 2), BETWEEN) + (WITHIN + ERROR**2) * torch.eye(2)
    gain = torch.linalg.solve(inner, torch.full((2,), BETWEEN))
    loc = 0.2 + gain @ (MEANS[others] - 0.2)
    torch.testing.assert_close(laws.loc[0, 0].squeeze(), loc)
    left = SPREAD**2 - gain @ torch.full((2,), BETWEEN)
    torch.testing.assert_close(laws.covariance[0, 0].squeeze(), left)


def test_memberships_climb_the_bound() -> None:
    """(14.4) no sweep lowers (14.5), without the ways to name the groups, which jump."""
    member, values = unsure(), []
    for _ in range(8):
        named = log_names(member)
        values.append(gather(site(), hyper(), member).value + log_partition(member) - named)
        member = memberships(site(), hyper(), member, 1)
    assert bool((torch.stack(values).diff() > -1e-9).all())
    assert float(values[-1] - values[0]) > 0.1


def log_names(member: Tensor) -> float:
    groups = member.shape[-1] - 1
    used = int((member[:, :-1].sum(0) > 0.5).sum())
    return math.lgamma(groups + 1) - math.lgamma(groups - used + 1)


def test_a_sure_partition_has_its_joint_density() -> None:
    """(14.5) is log p(sample means, partition); the prior sums to 1 over the 203 partitions."""
    prior = []
    for label in partitions(5):
        member = sure([c if c >= 0 else 5 for c in label], 5)
        wanted = MultivariateNormal(torch.zeros(5), covariance(label)).log_prob(MEANS)
        torch.testing.assert_close(gather(site(), hyper(), member).value, wanted)
        prior.append(log_partition(member))
    assert len(prior) == 203
    torch.testing.assert_close(torch.stack(prior).exp().sum(), torch.tensor(1.0))


def test_memberships_without_own_voice_are_counts_times_predictions() -> None:
    """(14.6) one round, from the laws of (14.3) at the mean of m_0."""
    member = unsure()
    mean = gather(site(), hyper(), member).mean
    laws = cavity_laws(site(), mean, *hyper()[1:], member)
    sd = (laws.covariance.squeeze(-1).squeeze(-1).squeeze(-1) + ERROR**2).sqrt()
    inside = Normal(laws.loc.squeeze(-1).squeeze(-1), sd).log_prob(MEANS[:, None])
    none = Normal(mean.squeeze(), math.sqrt(SPREAD**2 + ERROR**2)).log_prob(MEANS[:, None])
    others = member.sum(0) - member
    counts = others + torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0])
    wanted = (torch.cat([inside, none], 1) + counts.log()).softmax(1)
    torch.testing.assert_close(cavity_memberships(site(), hyper(), member, 1), wanted)


def test_a_prediction_is_the_average_over_points() -> None:
    """(14.7) posteriors given points of the hyperparameters and partitions, all of one weight."""
    x, y, task = table()
    model = build(sources="groups")
    fit(model, x, y, task, progress=False)
    average: Any = model.average
    assert average.labels.shape == average.loc.shape[:2]
    weights = average.loc.squeeze(2)[:, task]  # (K, N, 2)
    wanted = (weights * x).sum(-1).mean(0)
    torch.testing.assert_close(predictive(model, x, task).mean, wanted)


def test_helpers_are_counted_over_partitions() -> None:
    """(14.8) by hand: two partitions of four tasks."""
    found = helpers(torch.tensor([[0, 0, 0, -1], [0, 1, 0, 1]]))
    wanted = [
        [0, 0.25, 0.75, 0, 0],
        [0.25, 0, 0.25, 0.5, 0],
        [0.75, 0.25, 0, 0, 0],
        [0, 0.5, 0, 0, 0.5],
    ]
    torch.testing.assert_close(found, torch.tensor(wanted))


def test_shares_of_helpers_are_never_negative() -> None:
    """Thirds were rounded to the default dtype, and left the last column a little below 0."""
    torch.set_default_dtype(torch.float32)
    found = helpers(torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]).repeat(8, 1))
    assert found.min() == 0
    assert (found.sum(1) - 1).abs().max() < 1e-14
