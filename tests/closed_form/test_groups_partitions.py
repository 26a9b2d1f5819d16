"""Who sits where: its prior, the bound on the evidence, and the ascent to its top."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.closed_form.groups_by_hand import Rows, hard, hyper, joint, rows
from vmtl_core import groups
from vmtl_core.groups import CONCENTRATION, Hyper
from vmtl_core.sites import Site

TASKS = 4


def dirichlet_multinomial(label: list[int], counts: Tensor) -> float:
    """log p(labels), one task after the other, each by what the others before it leave."""
    total, seen = 0.0, counts.clone()
    for one in label:
        total += float((seen[one] / seen.sum()).log())
        seen[one] += 1
    return total


def restaurant(label: list[int], none: int) -> float:
    """log p(partition) of a Chinese restaurant with a table of concentration a for nobody's."""
    seen: dict[int, int] = {}
    total, alone = 0.0, 0
    for t, one in enumerate(label):
        if one == none:
            share = CONCENTRATION + alone
            alone += 1
        else:
            share = seen.get(one, CONCENTRATION)
            seen[one] = seen.get(one, 0) + 1
        total += math.log(share / (2 * CONCENTRATION + t))
    return total


def partitions(tasks: int, most: int) -> list[list[int]]:
    """All labelings with groups numbered as they come, `most` for none."""
    found = []
    for label in itertools.product(range(most + 1), repeat=tasks):
        inside = [one for one in label if one < most]
        first = list(dict.fromkeys(inside))
        if first == sorted(first) == list(range(len(first))):
            found.append(list(label))
    return found


@pytest.mark.parametrize(
    "label", [[0, 0, 1, 3, 1], [3, 3, 3, 3, 3], [0, 1, 2, 0, 3], [1] * 5], ids=str
)
def test_the_prior_of_a_partition_by_brute_force(label: list[int]) -> None:
    """(14.5): the labels' Dirichlet-multinomial, added up over all ways to name the groups in use."""
    counts = torch.tensor([CONCENTRATION / 3] * 3 + [CONCENTRATION])
    ways = {
        tuple(perm[one] if one < 3 else 3 for one in label)
        for perm in itertools.permutations(range(3))
    }
    wanted = math.log(sum(math.exp(dirichlet_multinomial(list(one), counts)) for one in ways))
    assert float(groups.log_partition(hard(label, 3))) == pytest.approx(wanted, abs=1e-12)


def test_partitions_have_probability_one() -> None:
    """(14.5) over all partitions of four tasks into at most four groups, and none."""
    each = torch.stack([groups.log_partition(hard(label, 4)) for label in partitions(TASKS, 4)])
    assert float(each.logsumexp(0)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("label", [[0, 0, 1, -1, 1], [0] * 5, [0, 1, 2, 3, -1]], ids=str)
def test_many_groups_are_a_chinese_restaurant(label: list[int]) -> None:
    """(14.5) as the groups become many."""
    many = 200_000
    label = [many if one < 0 else one for one in label]
    found = float(groups.log_partition(hard(label, many)))
    assert found == pytest.approx(restaurant(label, many), abs=2e-4)


def evidence(data: Rows, at: Hyper, most: int) -> float:
    """log p(y) over all partitions into at most so many groups, weights integrated out."""
    each = [
        joint(data, at, label, most).log_evidence() + groups.log_partition(hard(label, most))
        for label in partitions(len(data.x), most)
    ]
    return float(torch.stack(each).logsumexp(0))


def bound(site: Site, at: Hyper, member: Tensor) -> float:
    """The bound that names the groups: (14.5) without the ways to name them."""
    size, groups_ = member.sum(0), member.shape[-1] - 1
    used = int((size[:-1] > 0.5).sum())
    names = math.lgamma(groups_ + 1) - math.lgamma(groups_ - used + 1)
    value = groups.gather(site, at, member).value + groups.log_partition(member)
    return float(value) - names


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.floats(0.05, 3.0))
def test_the_bound_is_below_the_evidence(seed: int, width: float) -> None:
    """(14.5) for any memberships, and at the top of the ascent."""
    data, at = rows([2, 3, 1, 2], inputs=1, seed=seed), hyper(1, seed=seed, width=width)
    exact, site = evidence(data, at, 3), data.site()
    start = torch.randn(TASKS, 4, generator=torch.Generator().manual_seed(seed)).softmax(-1)
    assert bound(site, at, start) <= exact
    assert bound(site, at, groups.memberships(site, at, start, 50)) <= exact


def test_the_bound_is_close_where_groups_are_clear() -> None:
    """Two far groups of two: with the ways to name them the bound is within .2 nats."""
    x = [torch.eye(2).repeat(5, 1) for _ in range(TASKS)]
    w = torch.tensor([[2.0, -2.0], [-2.0, 2.0], [2.0, -2.0], [-2.0, 2.0]])
    y = [(one @ w[t] + 0.1 * torch.randn(10))[:, None] for t, one in enumerate(x)]
    data = Rows(x, y, 0.5)
    at = Hyper(torch.zeros(0), torch.full((1, 2), 0.7), torch.full((1, 2), math.log(0.05)))
    member = groups.memberships(data.site(), at, 0.9 * hard([0, 1, 0, 1], 3) + 0.025, 50)
    found = groups.gather(data.site(), at, member).value + groups.log_partition(member)
    assert member.argmax(-1).tolist() == [0, 1, 0, 1]
    assert evidence(data, at, 3) - 0.2 < float(found) <= evidence(data, at, 3)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(2, 6), st.integers(1, 4), st.floats(0.02, 10.0))
def test_coordinate_ascent_never_lowers_the_bound(
    seed: int, tasks: int, count: int, width: float
) -> None:
    """(14.4): sweep by sweep from anywhere."""
    data = rows([1 + t % 3 for t in range(tasks)], seed=seed)
    at, site = hyper(seed=seed, width=width), data.site()
    draw = torch.Generator().manual_seed(seed)
    member = (3 * torch.randn(tasks, count + 1, generator=draw)).softmax(-1)
    last = bound(site, at, member)
    for _ in range(8):
        member = groups.memberships(site, at, member, 1)
        assert bound(site, at, member) >= last - 1e-9 * max(1.0, abs(last))
        last = bound(site, at, member)


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_memberships_are_where_their_gradient_vanishes(seed: int) -> None:
    """(14.4): at rest, no small change of a row that keeps its sum raises the bound."""
    data, at = rows([2, 1, 3, 2], seed=seed), hyper(seed=seed)
    site = data.site()
    draw = torch.Generator().manual_seed(seed)
    start = torch.randn(TASKS, 4, generator=draw).softmax(-1)
    member = groups.memberships(site, at, start, 2000).requires_grad_(True)
    value = groups.gather(site, at, member).value + groups.log_partition(member)
    (slope,) = torch.autograd.grad(value, member)
    away = slope - (member * slope).sum(-1, keepdim=True)
    assert (member * away).detach().abs().max() < 2e-3


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.permutations(range(5)))
def test_new_labels_of_tasks_and_groups_change_nothing_else(seed: int, order: list[int]) -> None:
    """(14.2) to (14.5) know neither tasks nor groups by name."""
    data, at = rows([2, 1, 3, 2, 1], seed=seed), hyper(seed=seed)
    site, draw = data.site(), torch.Generator().manual_seed(seed)
    member = torch.randn(5, 4, generator=draw).softmax(-1)
    again = Site(*(t[order] for t in site))
    columns = torch.tensor([2, 0, 1, 3])
    twin = member[order][:, columns]
    one, two = groups.gather(site, at, member), groups.gather(again, at, twin)
    torch.testing.assert_close(two.value, one.value)
    torch.testing.assert_close(two.expected(), one.expected()[order][:, columns])
    torch.testing.assert_close(groups.log_partition(twin), groups.log_partition(member))
    found = groups.cavity_memberships(again, at, twin, 2)
    wanted = groups.cavity_memberships(site, at, member, 2)
    torch.testing.assert_close(found, wanted[order][:, columns])


def test_memberships_of_the_cavity_do_not_hear_the_task() -> None:
    """(14.6): a row's odds are the others' predictive densities times the others' counts."""
    data, at, label = rows([2, 3, 2, 1]), hyper(), [0, 1, 0, 2]
    site, member = data.site(), hard(label, 2)
    mean = groups.gather(site, at, member).mean
    found = groups.cavity_memberships(site, at, member, 1)
    for t in range(TASKS):
        odds = []
        for c in range(3):
            moved = [c if k == t else one for k, one in enumerate(label)]
            whole = joint(data, at, moved, 2, mean=mean).log_evidence()
            rest = joint(data, at, moved, 2, without=t, mean=mean).log_evidence()
            others = sum(one == c for k, one in enumerate(label) if k != t)
            prior = others + (CONCENTRATION / 2 if c < 2 else CONCENTRATION)
            odds.append(whole - rest + math.log(prior))
        torch.testing.assert_close(found[t], torch.stack(odds).softmax(0), rtol=1e-9, atol=1e-9)
