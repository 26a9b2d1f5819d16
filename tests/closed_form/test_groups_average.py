"""The average over hyperparameters and partitions: its parts, and the exact answer for few tasks."""

import itertools
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from tests.closed_form.groups_by_hand import hard
from tests.closed_form.models import build
from vmtl_core import closed_form, group_points, groups, hyperposterior, importance
from vmtl_core.group_points import GroupAverage, average_groups
from vmtl_core.group_search import Candidate, candidates
from vmtl_core.groups import Hyper
from vmtl_core.likelihoods import LinearGaussian
from vmtl_core.population import Own
from vmtl_core.sites import Table


class Halves(NamedTuple):
    table: Table
    own: Own


def halves(
    tasks: int, inputs: int = 1, each: int = 12, slopes: tuple[float, ...] = (1.0, -1.0)
) -> Halves:
    """A table with known noise, in standard units, and its own-data half."""
    draw = torch.Generator().manual_seed(0)
    task = torch.arange(tasks).repeat_interleave(each)
    slope = torch.tensor([slopes[t % len(slopes)] for t in range(tasks)])
    x = torch.randn(len(task), inputs, generator=draw)
    y = x.sum(-1) * slope[task] + 0.1 * torch.randn(len(task), generator=draw)
    model = build(
        rows=inputs, likelihood=LinearGaussian(0.1), task_sizes=[each] * tasks, sources="groups"
    )
    found = closed_form.setting(model, x, y, task, 1.0, 0)
    return Halves(found.problem.table, closed_form._own(found, 1e-8))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6), st.integers(1, 30))
def test_shares_of_the_points(chances: list[float], total: int) -> None:
    """In proportion, less than one off, none negative, together all."""
    given_chances = torch.tensor(chances) + 1e-9
    wanted = given_chances / given_chances.sum()
    found = importance.in_proportion(wanted, total).tolist()
    assert sum(found) == total
    assert min(found) >= 0
    assert all(abs(count - total * float(one)) < 1 for count, one in zip(found, wanted))


@pytest.mark.parametrize("inputs", [2, 12])
def test_candidates_are_compared_over_the_same_hyperparameters(inputs: int) -> None:
    """A group that nobody is in gains nothing, however many hyperparameters move together."""
    table, own = halves(6, inputs, each=2 * inputs, slopes=(1.0, 0.3, -1.0))
    at = Hyper(own.noise.start(), own.population.log_sd, torch.zeros_like(own.population.log_sd))
    nobody = hard([1] * 6, 1)
    found = [
        Candidate(at, nobody.clamp_min(1e-290), 0.0),
        Candidate(at, nobody, 0.0),
    ]
    assert [one.grouped for one in found] == [True, False]
    one, two = (drawn.log_evidence for drawn in group_points.draw_hyper(table, own, found, 0))
    assert one == pytest.approx(two, abs=1.0)


def test_what_moves_together_is_the_same_in_the_larger_model() -> None:
    noise, sd = torch.zeros(3), torch.zeros(1, 12)
    for tied in (False, True):
        large = hyperposterior.Directions([noise, sd, sd], tied)
        small = hyperposterior.Directions([noise, sd], tied, more=12)
        assert large.each[:2] == small.each
        assert large.together == small.together
        assert small.place(torch.ones(2, small.size))[1].shape == (2, 1, 12)
    assert hyperposterior.Directions([noise, sd]).each == [True, True]


def test_partitions_are_stratified() -> None:
    """At a point each group has its share of a task's copies, rounded up or down; so have the unseen."""
    table, own = halves(5)
    one = next(c for c in candidates(table, own) if c.grouped)
    at = Hyper(*(t.expand(3, *t.shape) for t in one.hyper))
    copies, most = 8, one.member.shape[1] - 1
    label = group_points._partitions(table, own, one, at, copies, Generator().manual_seed(0))
    assert label.shape == (3 * copies, 6)
    assert label.min() >= 0
    assert label.max() <= most
    site = table.site(own.noise.tasks(at.noise), own.other)
    member = one.member.expand(3, *one.member.shape)
    member = groups.cavity_memberships(site, at, member, group_points.SWEEPS)
    size = member.sum(-2) + groups.pseudo_counts(member)
    share = torch.cat([member, (size / size.sum(-1, keepdim=True)).unsqueeze(-2)], -2)
    counts = torch.nn.functional.one_hot(label.view(3, copies, 6), most + 1).sum(1)
    # An interval of the memberships' mass meets the copies' parts in at most one more, at each end.
    assert ((counts - copies * share).abs() < 2).all()
    again = group_points._partitions(table, own, one, at, copies, Generator().manual_seed(0))
    assert torch.equal(label, again)


def test_partitions_have_their_probabilities() -> None:
    """Over many copies the frequencies are the memberships, to 5 standard errors of independent ones."""
    table, own = halves(4, slopes=CLEAR)
    one = next(c for c in candidates(table, own) if c.grouped)
    at = Hyper(*(t[None] for t in one.hyper))
    label = group_points._partitions(table, own, one, at, 2000, Generator().manual_seed(1))
    site = table.site(own.noise.tasks(at.noise), own.other)
    member = groups.cavity_memberships(site, at, one.member[None], group_points.SWEEPS)[0]
    found = torch.nn.functional.one_hot(label[:, :-1], member.shape[1]).double().mean(0)
    error = 5 * (member * (1 - member) / 2000).sqrt() + 1e-3
    assert ((found - member).abs() < error).all()


class Exact(NamedTuple):
    """Every task's law given a partition, at S points of the hyperparameters."""

    log_evidence: Tensor
    """(S,)."""
    loc: Tensor
    """(S, T, D)."""
    covariance: Tensor
    """(S, T, D, D)."""


def exact(table: Table, noise: float, sd: Tensor, width: Tensor, label: tuple[int, ...]) -> Exact:
    """One column by dense algebra in w, for sd and delta (S, D); -1 is the label of none."""
    tasks, size = table.tasks, table.size
    whole, between = (torch.diag_embed(v) for v in (sd**2, sd**2 / (1 + width**2)))
    blocks = 0.5 * torch.eye(size).repeat(len(sd), tasks, tasks)
    for s, t in itertools.product(range(tasks), repeat=2):
        block = blocks[:, s * size : (s + 1) * size, t * size : (t + 1) * size]
        if s == t:
            block += whole
        elif label[s] == label[t] >= 0:
            block += between
    weight = torch.block_diag(*table.gram[:, 0]) / noise**2
    natural = table.cross[:, 0].flatten() / noise**2
    inner = torch.eye(tasks * size) + blocks @ weight
    covariance = torch.linalg.solve(inner, blocks)
    loc = covariance @ natural
    evidence = 0.5 * loc @ natural - 0.5 * torch.linalg.slogdet(inner)[1]
    parts = [covariance[:, i : i + size, i : i + size] for i in range(0, tasks * size, size)]
    return Exact(evidence, loc.view(-1, tasks, size), torch.stack(parts, 1))


@pytest.mark.parametrize("label", [(0, 0, -1, 1), (-1, -1, -1, -1), (1, 0, 1, 1)])
def test_posteriors_at_a_point_are_exact(label: tuple[int, ...]) -> None:
    """Given partition and hyperparameters: every task's posterior by dense algebra over all data."""
    table, own = halves(4, inputs=2)
    draw = torch.Generator().manual_seed(0)
    at = Hyper(own.noise.start()[None], *(0.3 * torch.randn(2, 1, 1, 2, generator=draw)))
    coded = torch.tensor([[2 if one < 0 else one for one in (*label, 0)]])
    points = group_points._posteriors(table, own, at, coded, 2)
    noise = float(own.noise.log_scale.exp())
    wanted = exact(table, noise, at.log_sd[0].exp(), at.log_width[0].exp(), label)
    torch.testing.assert_close(points.loc[:, :, 0], wanted.loc)
    found = points.root[:, :, 0]
    torch.testing.assert_close(found @ found.mT, wanted.covariance)
    torch.testing.assert_close(points.noise[0].exp(), torch.full((4,), noise))


@pytest.mark.parametrize("group", [0, 1, 2, 3])
def test_a_task_to_come(group: int) -> None:
    """Its law in a group, in an empty one, and in none, as if it were there without rows."""
    table, own = halves(4, inputs=2)
    label, draw = [0, 0, 3, 1], torch.Generator().manual_seed(1)
    at = Hyper(own.noise.start()[None], *(0.3 * torch.randn(2, 1, 1, 2, generator=draw)))
    site = table.site(own.noise.tasks(at.noise), own.other)
    _, found = groups.own_laws(site, at, torch.tensor([label]), 3)
    law = group_points.unseen_laws(found, at, torch.tensor([group]), 3)
    more = type(site)(
        *(torch.cat([t, torch.zeros_like(t[:, :1])], 1) for t in (site.precision, *site[1:]))
    )
    prior, _ = groups.own_laws(more, at, torch.tensor([[*label, group]]), 3)
    torch.testing.assert_close(law.loc, prior.loc[:, 4])
    torch.testing.assert_close(law.covariance, prior.covariance[:, 4])


GRID = torch.linspace(-7.0, 5.0, 97, dtype=torch.float64)


def by_grid(table: Table, own: Own) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and sd of every w, and chance of every pair to share a group: all partitions, one input."""
    tasks, noise = table.tasks, float(own.noise.log_scale.exp())
    at = torch.cartesian_prod(GRID, GRID).view(-1, 2, 1, 1)
    hyperprior = own.population.log_marginal_hyperprior(at[:, 0])
    hyperprior = hyperprior + groups.log_width_hyperprior(at[:, 1])
    log_mass, loc, square, pairs = [], [], [], []
    for label in itertools.product(range(-1, tasks), repeat=tasks):
        inside = list(dict.fromkeys(one for one in label if one >= 0))
        if inside != list(range(len(inside))):
            continue  # the same partition under other names
        coded = [tasks if one < 0 else one for one in label]
        one = exact(table, noise, at[:, 0, 0].exp(), at[:, 1, 0].exp(), label)
        mass = one.log_evidence + hyperprior + groups.log_partition(hard(coded, tasks))
        log_mass.append(mass.logsumexp(0))
        mass = mass.softmax(0)
        loc.append(mass @ one.loc[..., 0])
        square.append(mass @ (one.covariance[..., 0, 0] + one.loc[..., 0] ** 2))
        pairs.append(torch.tensor([[float(a == b >= 0) for b in label] for a in label]))
    chance = torch.stack(log_mass).softmax(0)
    mean = chance @ torch.stack(loc)
    sd = (chance @ torch.stack(square) - mean**2).sqrt()
    return mean, sd, torch.einsum("s,sab->ab", chance, torch.stack(pairs))


def averaged(*weights: float) -> tuple[Halves, GroupAverage]:
    """Of tasks with these slopes."""
    found = halves(len(weights), slopes=weights)
    return found, average_groups(*found, candidates(*found), 0)


def pairs_of(labels: Tensor) -> Tensor:
    """How often two tasks share a group, (T, T)."""
    same = labels[:, :, None] == labels[:, None, :]
    return (same & (labels[:, :, None] >= 0)).double().mean(0)


@pytest.mark.parametrize("weights", [(1.0, -1.0), (1.0, 1.05), (1.0, -0.5, 0.2)])
def test_few_tasks_have_the_exact_answer(weights: tuple[float, ...]) -> None:
    """(14.7) against all partitions and a grid of both hyperparameters, one input.

    Means within a tenth of a posterior sd, and sds within a tenth.
    """
    (table, own), result = averaged(*weights)
    mean, sd, _ = by_grid(table, own)
    loc, root = result.points.loc[..., 0, 0], result.points.root[..., 0, 0, 0]
    found = loc.mean(0)
    spread = ((root**2 + loc**2).mean(0) - found**2).sqrt()
    assert ((found - mean).abs() < 0.1 * sd).all()
    assert ((spread / sd - 1).abs() < 0.1).all()


CLEAR = (1.0, 1.003, -0.5, -0.503)


def test_clear_groups_have_the_exact_answer() -> None:
    """Two pairs: means within a fifth of a sd, sds as above, chances of pairs within .15.

    Each candidate's memberships are a mean field, and it counts one of the empty groups.
    """
    (table, own), result = averaged(*CLEAR)
    mean, sd, pairs = by_grid(table, own)
    loc, root = result.points.loc[..., 0, 0], result.points.root[..., 0, 0, 0]
    found = loc.mean(0)
    spread = ((root**2 + loc**2).mean(0) - found**2).sqrt()
    assert ((found - mean).abs() < 0.2 * sd).all()
    assert ((spread / sd - 1).abs() < 0.1).all()
    off = ~torch.eye(4, dtype=torch.bool)
    assert (pairs_of(result.labels) - pairs)[off].abs().max() < 0.15


def test_the_evidence_of_a_candidate_is_an_integral() -> None:
    """(14.7): its bound with the hyperpriors of an average, over a grid of sd and width."""
    table, own = halves(4, slopes=CLEAR)
    found = candidates(table, own)
    step = float(GRID[1] - GRID[0])
    for one, drawn in zip(found, group_points.draw_hyper(table, own, found, 0)):
        pairs = torch.cartesian_prod(GRID, GRID if one.grouped else torch.zeros(1)).view(
            -1, 2, 1, 1
        )
        at = Hyper(torch.zeros(len(pairs), 0), pairs[:, 0], pairs[:, 1])
        site = table.site(own.noise.tasks(at.noise), own.other)
        each = groups.gather(site, at, one.member).value + groups.log_partition(one.member)
        each = each + own.population.log_marginal_hyperprior(at.log_sd)
        if one.grouped:
            each = each + groups.log_width_hyperprior(at.log_width) + torch.tensor(step).log()
        wanted = float(each.logsumexp(0) + torch.tensor(step).log())
        assert drawn.log_evidence == pytest.approx(wanted, abs=0.15)


def test_points_and_draws_fit_together() -> None:
    """Shapes, ranges, weights that sum to 1; widths count where there are groups."""
    (table, own), result = averaged(*CLEAR)
    count = len(result.points.loc)
    assert count == 24 * group_points.PARTITIONS
    assert result.labels.shape == (count, 4)
    assert result.labels.min() >= -1
    assert result.labels.max() < 4
    assert float(result.chances.sum()) == pytest.approx(1.0)
    weights = result.draws.log_weights.exp()
    assert float(weights.sum()) == pytest.approx(1.0)
    assert result.widths is not None
    assert len(result.widths) == len(weights) == len(result.width_weights)
    found = candidates(table, own)
    grouped = [float(c) for c, one in zip(result.chances, found) if one.grouped]
    assert float(result.width_weights.sum()) == pytest.approx(sum(grouped))


def test_same_seed_same_numbers() -> None:
    found = halves(4, slopes=CLEAR)
    listed = candidates(*found)
    one, two, other = (average_groups(*found, listed, seed) for seed in (0, 0, 1))
    assert torch.equal(one.points.loc, two.points.loc)
    assert torch.equal(one.labels, two.labels)
    assert not torch.equal(one.points.loc, other.points.loc)


@pytest.mark.parametrize("numbers", [1, 40])
def test_points_in_blocks_are_points_at_once(numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are worked at together: laws given the labels don't depend on the others."""
    (table, own), whole = averaged(*CLEAR)
    monkeypatch.setattr(group_points, "NUMBERS", numbers)
    parts = average_groups(table, own, candidates(table, own), 0)
    assert parts.points.loc.shape == whole.points.loc.shape
    torch.testing.assert_close(parts.chances, whole.chances)
    torch.testing.assert_close(parts.points.noise, whole.points.noise)
