"""The search for groups: mergers against brute force, and partitions where the truth is known."""

import math
from functools import cache, partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.closed_form.groups_by_hand import Rows, hyper, joint, rows
from tests.closed_form.models import build
from vmtl_core import closed_form, group_search, groups
from vmtl_core.group_search import Candidate, Merging, candidates
from vmtl_core.groups import Hyper
from vmtl_core.population import Own
from vmtl_core.quasi_newton import maximise
from vmtl_core.sites import Table

SIZES = [3, 1, 4, 2, 3, 2]


def merging(data: Rows, at: Hyper) -> Merging:
    """Of tasks about m_0 = 0."""
    spread, site = groups.factors(at.log_sd, at.log_width), data.site()
    inside = groups.message(site.precision, site.natural, spread.within)
    return Merging(inside.precision, inside.natural, spread.between)


def score(data: Rows, at: Hyper, label: list[int]) -> float:
    """log evidence of a partition at m_0 = 0, and log (n - 1)! of every group."""
    count = max(label) + 1
    total = sum(
        float(joint(data, at, label, count, p, mean=torch.zeros_like(at.log_sd)).log_evidence())
        for p in range(len(at.log_sd))
    )
    return total + sum(math.lgamma(label.count(c)) for c in range(count))


def numbered(label: list[int]) -> list[int]:
    first = list(dict.fromkeys(label))
    return [first.index(one) for one in label]


def same(one: Tensor, two: Tensor) -> bool:
    """Whether two labelings are one partition."""
    return numbered(one.tolist()) == numbered(two.tolist())


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_every_merger_is_the_best_by_brute_force(columns: int, seed: int) -> None:
    """All mergers of all pairs tried by dense algebra, from singletons to one group."""
    data, at = rows(SIZES, columns=columns, seed=seed), hyper(columns=columns, seed=seed)
    label = list(range(len(SIZES)))
    wanted = []
    while max(label):
        pairs = [(i, j) for j in range(max(label) + 1) for i in range(j)]
        merged = [numbered([i if one == j else one for one in label]) for i, j in pairs]
        label = max(merged, key=lambda one: score(data, at, one))
        wanted.append(label)
    found = merging(data, at).partitions(len(SIZES))
    assert [numbered(one.tolist()) for one in found] == wanted[::-1]


def test_gains_of_pairs() -> None:
    """What a merger gains is the difference of the partitions' scores."""
    data, at = rows(SIZES), hyper()
    made, apart = merging(data, at), list(range(len(SIZES)))
    i, j = torch.triu_indices(len(SIZES), len(SIZES), 1)
    gain = made._gain(i, j)
    base = score(data, at, apart)
    for a, b, found in zip(i.tolist(), j.tolist(), gain.tolist()):
        label = numbered([a if one == b else one for one in apart])
        assert found == pytest.approx(score(data, at, label) - base, abs=1e-9)


def test_labels_of_mergers() -> None:
    """Of 1, 2, ... groups, numbered from 0, each made of the next; at most so many."""
    found = merging(rows(SIZES), hyper()).partitions(4)
    assert [len(label.unique()) for label in found] == [1, 2, 3, 4]
    for coarse, fine in pairwise(found):
        assert label_range(fine)
        pairs = set(zip(fine.tolist(), coarse.tolist()))
        assert len(pairs) == len(fine.unique())


def label_range(label: Tensor) -> bool:
    return label.unique().tolist() == list(range(int(label.max()) + 1))


def test_a_merger_leaves_what_it_was_given() -> None:
    """The messages are the caller's."""
    data, at = rows(SIZES), hyper()
    site, spread = data.site(), groups.factors(at.log_sd, at.log_width)
    inside = groups.message(site.precision, site.natural, spread.within)
    kept = inside.precision.clone(), inside.natural.clone()
    Merging(inside.precision, inside.natural, spread.between).partitions(3)
    assert torch.equal(inside.precision, kept[0])
    assert torch.equal(inside.natural, kept[1])


Data = tuple[Tensor, Tensor, Tensor]


def clustered(
    centres: int, each: int, rows_each: int = 6, noise: float = 0.3, sd: float = 0.05, seed: int = 0
) -> Data:
    """Tasks t about centre t mod C, weights of two inputs."""
    draw = torch.Generator().manual_seed(seed)
    tasks = centres * each
    centre = torch.randn(centres, 2, generator=draw)
    w = centre[torch.arange(tasks) % centres] + sd * torch.randn(tasks, 2, generator=draw)
    task = torch.arange(tasks).repeat_interleave(rows_each)
    x = torch.randn(len(task), 2, generator=draw)
    return x, (x * w[task]).sum(-1) + noise * torch.randn(len(task), generator=draw), task


def halves(data: Data) -> tuple[Table, Own]:
    """The table in standard units, and its own-data half."""
    model = build(task_sizes=torch.bincount(data[2]).tolist(), sources="groups")
    found = closed_form.setting(model, *data, 1.0, 0)
    return found.problem.table, closed_form._own(found, 1e-6)


@cache
def searched(centres: int, each: int, sd: float = 0.05, noise: float = 0.3) -> list[Candidate]:
    torch.set_default_dtype(torch.float64)
    return candidates(*halves(clustered(centres, each, sd=sd, noise=noise)))


@pytest.mark.parametrize("centres", [3, 5])
def test_clear_groups_are_found(centres: int) -> None:
    """The best candidate is the truth; of five groups one, two and three are worse than none."""
    found = searched(centres, 3)
    best = found[0].member.argmax(-1)
    assert same(best, torch.arange(3 * centres) % centres)
    assert found[0].member.max(-1)[0].min() > 0.95
    assert found[0].bound > found[-1].bound + 4


@pytest.mark.parametrize(("centres", "each", "sd"), [(1, 12, 0.5), (12, 1, 0.05)])
def test_where_there_are_no_groups_none_are_chosen(centres: int, each: int, sd: float) -> None:
    """One population with its spread, and unrelated tasks."""
    assert not searched(centres, each, sd)[0].grouped


@pytest.mark.parametrize(("centres", "each"), [(3, 3), (5, 3), (12, 1)])
def test_candidates_are_in_the_order_of_their_bounds(centres: int, each: int) -> None:
    """Best first, whether hierarchy or groups; the hierarchy once; no partition twice."""
    found = searched(centres, each)
    bounds = [one.bound for one in found]
    assert bounds == sorted(bounds, reverse=True)
    assert [one.grouped for one in found].count(False) == 1
    grouped = [one for one in found if one.grouped]
    assert len(grouped) <= group_search.FEW
    assert all(one.bound > bounds[0] - group_search.BEHIND for one in grouped)
    assert not any(a.same(b) for i, a in enumerate(found) for b in found[:i])
    for one in found:
        torch.testing.assert_close(one.member.sum(-1), torch.ones(len(one.member)))


def test_the_bound_of_a_candidate_is_what_it_says() -> None:
    """(14.5) with the hyperpriors, from public parts; more steps would not raise it by much."""
    table, own = halves(clustered(3, 3))
    for one in searched(3, 3):
        at = one.hyper
        site = table.site(own.noise.tasks(at.noise), own.other)
        total = groups.gather(site, at, one.member).value + groups.log_partition(one.member)
        total = total + own.noise.log_hyperprior(at.noise)
        total = total + own.population.log_sd_hyperprior(at.log_sd)
        if one.grouped:
            total = total + groups.log_width_hyperprior(at.log_width)
        assert float(total) == pytest.approx(one.bound, abs=1e-9)
        free = [t.clone() for t, moves in zip(one.hyper, (True, True, one.grouped)) if moves]
        moved = Hyper(*free, *one.hyper[len(free) :])
        value = partial(group_search._value, table, own, moved, one.member)
        assert maximise(value, free, 50)[0] < one.bound + 5 * group_search.RISE


def test_the_search_is_deterministic() -> None:
    one, two = searched(3, 3), candidates(*halves(clustered(3, 3)))
    assert [a.bound for a in one] == [b.bound for b in two]
    assert all(torch.equal(a.member, b.member) for a, b in zip(one, two))


def test_new_labels_permute_the_candidates() -> None:
    """The partition moves with the tasks' names, the bound doesn't."""
    x, y, task = clustered(3, 3)
    new = torch.tensor([4, 7, 0, 2, 8, 1, 3, 6, 5])
    one, two = searched(3, 3)[0], candidates(*halves((x, y, new[task])))[0]
    assert two.bound == pytest.approx(one.bound, abs=0.02)
    assert same(two.member.argmax(-1)[new], one.member.argmax(-1))


@pytest.mark.parametrize("merged", [7, 9])
def test_tasks_beyond_the_pairs_join(monkeypatch: pytest.MonkeyPatch, merged: int) -> None:
    """With more than MERGED tasks, those that weren't merged join the group that expects them."""
    monkeypatch.setattr(group_search, "MERGED", merged)
    table, own = halves(clustered(3, 5))
    assert table.tasks > merged
    start = Hyper(
        own.noise.start(),
        own.population.log_sd,
        torch.full_like(own.population.log_sd, math.log(0.3)),
    )
    found = group_search.partitions(table, own, start)
    assert all(len(label) == 15 for label in found)
    assert [len(label.unique()) for label in found] == list(range(1, merged))
    assert same(found[2], torch.arange(15) % 3)


def test_a_task_joins_the_group_that_makes_its_data_likeliest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By brute force: log evidence of the merged ones' partition with the task in every group."""
    data, at = rows(SIZES, seed=1), hyper(seed=1)
    site, spread = data.site(), groups.factors(at.log_sd, at.log_width)
    inside = groups.message(site.precision, site.natural, spread.within)
    chosen, label = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1, 0, 1])
    found = group_search._joined(
        label, chosen, inside.precision, inside.natural, spread.between
    ).tolist()
    assert found[:4] == label.tolist()
    mean = torch.zeros(1, 2)
    for t in (4, 5):
        kept = [0, 1, 2, 3, t]
        some = data._replace(x=[data.x[k] for k in kept], y=[data.y[k] for k in kept])
        each = [
            float(joint(some, at, [*label.tolist(), c], 2, mean=mean).log_evidence())
            for c in (0, 1)
        ]
        assert found[t] == max((0, 1), key=lambda c: each[c])


@pytest.mark.parametrize("tasks", [2, 3])
def test_few_tasks(tasks: int) -> None:
    """Two tasks have one group or none, three at most two."""
    found = candidates(*halves(clustered(1, tasks)))
    assert all(one.member.shape[1] - 1 <= tasks for one in found)
    assert vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(tasks, (2,)), task_sizes=[6] * tasks
    ).prior.mixing.logits.shape == (tasks, tasks + 1)
