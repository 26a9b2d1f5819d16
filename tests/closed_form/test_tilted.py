"""The evidence of hyperparameters of labels and counts, by expectation propagation, (5.19)."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, Poisson

from tests.closed_form.models import SIZES, ascent, build, table
from vmtl_core import tilted
from vmtl_core.closed_form import units_of
from vmtl_core.evidence import update
from vmtl_core.likelihoods import LinearBernoulli, LinearPoisson
from vmtl_core.population import Expansion, Own
from vmtl_core.sites import Table

GRID = torch.linspace(-8, 8, 401, dtype=torch.float64)
KINDS = ["labels", "counts"]


def half(kind: str, sizes: list[int], inputs: int = 1) -> tuple[Table, Own]:
    """Table in standard units and own-data half of a fit."""
    x, y, task = table(kind, sizes=sizes, inputs=inputs)
    climb = ascent(build(kind, rows=inputs, task_sizes=sizes, neighbours=0), (x, y, task))
    return climb.problem.table, climb.own


def at(own: Own, loc: float = 0.3, log_sd: float = 0.2) -> tilted.Climbed:
    """A population that is not the fitted one."""
    mean = torch.full_like(own.population.loc, loc)
    none = mean.new_zeros(len(mean), 0)
    return tilted.Climbed(mean, torch.full_like(mean, log_sd), none, own.noise.start())


def log_evidence(data: Table, own: Own, where: tilted.Climbed) -> Tensor:
    """Of every task, (T,), at the fixed point there."""
    other = tilted.Propagation(data, own).renew(where.loc, where.root, tilted.MOST)
    site = data.site(own.noise.tasks(where.noise), other)
    found = update(site.precision, site.natural, where.loc, where.root)
    return site.constant + found.log_evidence.sum(-1)


def integral(data: Table, where: tilted.Climbed) -> tuple[Tensor, Tensor, Tensor]:
    """Log evidence, mean and variance of one weight by the sum over a grid, (T,) each."""
    w = where.loc[0, 0] + where.log_sd[0, 0].exp() * GRID
    joint = Normal(where.loc[0, 0], where.log_sd[0, 0].exp()).log_prob(w).expand(data.tasks, -1)
    for part in data.parts:
        eta = part.rows.x * w + data.shift
        labels = isinstance(part.likelihood, LinearBernoulli)
        each = Bernoulli(logits=eta) if labels else Poisson(eta.exp())
        joint = joint.index_add(0, part.rows.task, each.log_prob(part.y.unsqueeze(-1)))
    total = (joint + (w[1] - w[0]).log()).logsumexp(-1)
    weights = joint.softmax(-1)
    mean = weights @ w
    return total, mean, weights @ w.square() - mean.square()


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_has_its_evidence_and_moments(kind: str) -> None:
    """With one row a task the cavity is the prior, and nothing in (5.19) is approximated."""
    data, own = half(kind, [1] * 12)
    where = at(own)
    expected, mean, variance = integral(data, where)
    torch.testing.assert_close(log_evidence(data, own, where), expected, rtol=0, atol=2e-6)
    other = tilted.Propagation(data, own).renew(where.loc, where.root, tilted.MOST)
    assert other is not None
    found = update(other.precision, other.natural, where.loc, where.root)
    torch.testing.assert_close(found.loc[:, 0, 0], mean, rtol=0, atol=2e-6)
    torch.testing.assert_close(found.root[:, 0, 0, 0] ** 2, variance, rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("log_sd", [-6.0, 0.2, 1.5])
def test_nearer_to_the_evidence_than_the_bound(kind: str, log_sd: float) -> None:
    """Several rows, from a population of one value to a wide one: half the bound's gap, or less."""
    data, own = half(kind, SIZES)
    where = at(own, log_sd=log_sd)
    expected, _, _ = integral(data, where)
    prior = where.loc, where.root
    state = Expansion(data, own.gaussians)
    site, found = state.settle(own.noise.tasks(where.noise), prior, 1e-12, 200)
    bound = site.constant + found.log_evidence.sum(-1)
    error = (log_evidence(data, own, where) - expected).abs()
    gap = expected - bound
    assert bool((error < 0.9 * gap + 1e-6).all())
    assert error.sum() < 0.55 * gap.sum() + 1e-6


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_slopes_at_fixed_sites_are_those_of_the_evidence(kind: str, correlated: bool) -> None:
    """At the fixed point nothing goes through the sites, (5.19)."""
    data, own = half(kind, SIZES, inputs=2)
    where = at(own, 0.2, -0.3)
    if correlated:
        where = where._replace(slopes=torch.full_like(where.loc[:, :1], 0.4))
    sites = tilted.Propagation(data, own)
    other = sites.renew(where.loc, where.root, tilted.MOST)
    names = ("loc", "log_sd", "slopes") if correlated else ("loc", "log_sd")
    free = where._replace(**{n: getattr(where, n).clone().requires_grad_() for n in names})
    slopes = torch.autograd.grad(
        tilted.evidence(data, own, free, other), [getattr(free, n) for n in names]
    )
    for name, slope in zip(names, slopes, strict=True):
        for d in range(slope.shape[-1]):
            ends = []
            for step in (1e-4, -1e-4):
                value = getattr(where, name).clone()
                value[0, d] += step
                moved = where._replace(**{name: value})
                there = sites.renew(moved.loc, moved.root, tilted.MOST)
                ends.append(tilted.evidence(data, own, moved, there))
            wanted = (ends[0] - ends[1]) / 2e-4
            torch.testing.assert_close(slope[0, d], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_to_climb(kind: str) -> None:
    data, own = half(kind, [4] * 40, inputs=2)
    found, other, reached = tilted.climb_evidence(data, own, False, 1e-6)
    free = found._replace(**{n: getattr(found, n).requires_grad_() for n in ("loc", "log_sd")})
    value = tilted.evidence(data, own, free, other)
    assert value.item() == pytest.approx(reached, abs=1e-12)
    assert all(float(g.abs().max()) < 2e-3 for g in torch.autograd.grad(value, free[:2]))
    half_way = tilted.tilted(data, own, 1e-6)
    assert half_way.objective == pytest.approx(reached, abs=1e-12)
    assert half_way is tilted.tilted(data, own, 1e-6)  # asked for again, it is kept
    torch.testing.assert_close(half_way.population.log_sd, found.log_sd.detach())
    given = update(half_way.site.precision, half_way.site.natural, found.loc, found.root)
    torch.testing.assert_close(half_way.posterior.loc, given.loc.detach())


def test_the_population_is_not_learned_too_narrow() -> None:
    """Five labels for each of 300 tasks with three weights of sd 2: the bound finds about 1.6."""
    tasks, rows, inputs, sd = 300, 5, 3, 2.0
    task = torch.arange(tasks).repeat_interleave(rows)
    found = []
    for seed in range(3):
        draw = torch.Generator().manual_seed(seed)
        x = torch.randn(len(task), inputs, generator=draw)
        w = 1 + sd * torch.randn(tasks, inputs, generator=draw)
        eta = (x * w[task]).sum(1)
        y = (torch.rand(len(task), generator=draw) < eta.sigmoid()).to(x)
        model = build("labels", rows=inputs, task_sizes=[rows] * tasks, neighbours=0)
        climb = ascent(model, (x, y, task))
        better = tilted.tilted(climb.problem.table, climb.own, 1e-6)
        unit = units_of(model, x, y).basis[0, 0, 0]
        found.append([unit * o.population.log_sd.exp().mean() for o in (climb.own, better)])
    bound, evidence = torch.tensor(found).mean(0)
    # three means of three sds: a standard error of about .1
    assert abs(evidence - sd) < 0.3 < sd - bound


def test_gaussian_targets_and_classes_keep_what_they_have() -> None:
    x, y, task = table()
    climb = ascent(build(), (x, y, task))
    assert tilted.tilted(climb.problem.table, climb.own, 1e-6) is climb.own
    climb = ascent(build("classes"), table("classes"))
    own = climb.own
    other = tilted.Propagation(climb.problem.table, own).renew(
        own.population.loc, own.population.root(own.population.log_sd), 5
    )
    assert other is own.other
    fixed = replace(own, population=replace(own.population, learned=False))
    assert tilted.tilted(climb.problem.table, fixed, 1e-6) is fixed


def test_rows_of_two_kinds() -> None:
    """Labels in the first task and counts in the second."""
    x, y, task = table("counts", sizes=[5, 5], inputs=1)
    y = torch.where(task == 0, (y > 1).to(y), y)
    kinds = [LinearBernoulli(), LinearPoisson()]
    model = build(rows=1, task_sizes=[5, 5], neighbours=0, likelihood=kinds)
    climb = ascent(model, (x, y, task))
    data, where = climb.problem.table, at(climb.own)
    assert len(data.parts) == 2
    expected, _, _ = integral(data, where)
    torch.testing.assert_close(log_evidence(data, climb.own, where), expected, rtol=0, atol=0.02)
