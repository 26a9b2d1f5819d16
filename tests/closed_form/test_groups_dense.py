"""Messages, groups and cavities equal dense Gaussian algebra over all tasks, centres and m_0."""

import pytest
import torch
from torch import Tensor

from tests.closed_form.groups_by_hand import Rows, hard, hyper, joint, rows
from vmtl_core import groups
from vmtl_core.evidence import update
from vmtl_core.groups import Hyper
from vmtl_core.sites import Site

SIZES = [3, 1, 4, 2, 3]
GROUPS = 3
LABELS = [[0, 1, 0, 1, 3], [3, 3, 3, 3, 3], [0, 0, 0, 0, 0], [2, 0, 1, 0, 2], [0, 3, 1, 3, 2]]
every_label = pytest.mark.parametrize("label", LABELS, ids=str)
every_width = pytest.mark.parametrize("columns", [1, 2])


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@every_width
def test_a_message_is_the_integral_over_the_weights(columns: int) -> None:
    """(14.2): log N(y; X m, X V X' + sigma^2) less the site's constant, at three means m."""
    data, at = rows(SIZES, columns=columns), hyper(columns=columns)
    spread, site = groups.factors(at.log_sd, at.log_width), data.site()
    found = groups.message(site.precision, site.natural, spread.within)
    for m in torch.randn(3, columns, 2):
        each = found.constant - 0.5 * torch.einsum("pd,tpde,pe->t", m, found.precision, m)
        each = each + (found.natural * m).sum((-2, -1)) + site.constant
        variance = spread.within[0].square()
        for t, size in enumerate(SIZES):
            wanted = torch.zeros(())
            for p in range(columns):
                covariance = data.x[t] @ variance[p] @ data.x[t].T + 0.25 * torch.eye(size)
                law = torch.distributions.MultivariateNormal(data.x[t] @ m[p], covariance)
                wanted = wanted + law.log_prob(data.y[t][:, p])
            close(each[t], wanted)


def test_a_task_is_as_spread_as_the_population_in_every_group() -> None:
    """(14.1): V_w + V_b = V_0, and V_0 / V_b = 1 + delta^2."""
    at = hyper(columns=2)
    within, between, whole = (f.square() for f in groups.factors(at.log_sd, at.log_width))
    close(within + between, whole)
    ratio = (whole / between).diagonal(dim1=-2, dim2=-1)[0]
    close(ratio, 1 + (2 * at.log_width).exp())


@every_label
@every_width
def test_the_evidence_of_a_partition(label: list[int], columns: int) -> None:
    """w, centres and m_0 integrated out: log p(y), and the posteriors of centres and m_0."""
    data, at = rows(SIZES, columns=columns), hyper(columns=columns)
    found = groups.gather(data.site(), at, hard(label, GROUPS))
    exact = [joint(data, at, label, GROUPS, p) for p in range(columns)]
    close(found.value, torch.stack([one.log_evidence() for one in exact]).sum())
    for p, one in enumerate(exact):
        for c in range(GROUPS):
            mean, covariance = one.posterior(len(SIZES) + c)
            close(found.loc[c, p], mean)
            close(found.root[c, p] @ found.root[c, p].T, covariance)
        mean, covariance = one.posterior(len(SIZES) + GROUPS)
        close(found.mean[p], mean)
        close(found.mean_root[p] @ found.mean_root[p].T, covariance)


@every_label
@every_width
def test_own_law_and_own_data_give_the_posterior(label: list[int], columns: int) -> None:
    """(14.3) with m_0 integrated: Bayes' rule from it is the posterior of w_t given all data."""
    data, at = rows(SIZES, columns=columns), hyper(columns=columns)
    site, wanted_label = data.site(), torch.tensor(label)
    prior, _ = groups.own_laws(site, at, wanted_label, GROUPS)
    posterior = update(site.precision, site.natural, prior.loc, torch.linalg.cholesky(prior[1]))
    for p in range(columns):
        whole = joint(data, at, label, GROUPS, p)
        for t in range(len(SIZES)):
            mean, covariance = joint(data, at, label, GROUPS, p, without=t).posterior(t)
            close(prior.loc[t, p], mean)
            close(prior.covariance[t, p], covariance)
            mean, covariance = whole.posterior(t)
            close(posterior.loc[t, p], mean)
            close(posterior.root[t, p] @ posterior.root[t, p].T, covariance)


@every_label
@every_width
def test_what_a_group_says_of_a_task_without_it(label: list[int], columns: int) -> None:
    """(14.3) at a known m_0: of every group, whether the task is in it or not."""
    data, at = rows(SIZES, columns=columns), hyper(columns=columns)
    mean = torch.randn(columns, 2)
    member = hard(label, GROUPS)
    laws = groups.cavity_laws(data.site(), mean, at.log_sd, at.log_width, member)
    for t in range(len(SIZES)):
        for c in range(GROUPS):
            moved = [c if k == t else one for k, one in enumerate(label)]
            for p in range(columns):
                one = joint(data, at, moved, GROUPS, p, without=t, mean=mean)
                loc, covariance = one.posterior(t)
                close(laws.loc[t, c, p], mean[p] + loc)
                close(laws.covariance[t, c, p], covariance)


def changed(data: Rows, task: int) -> Rows:
    """Other rows of one task."""
    y = [one + 7.0 if t == task else one for t, one in enumerate(data.y)]
    x = [one * 0.3 if t == task else one for t, one in enumerate(data.x)]
    return data._replace(x=x, y=y)


@every_label
def test_no_datum_comes_back(label: list[int]) -> None:
    """A task's prior stays what it was when the task's own rows change; the others' priors move."""
    data, at, member = rows(SIZES), hyper(), hard(label, GROUPS)
    mean = torch.randn(1, 2)
    for t in range(len(SIZES)):
        pair = [one.site() for one in (data, changed(data, t))]
        own = [groups.own_laws(one, at, torch.tensor(label), GROUPS)[0] for one in pair]
        cavity = [groups.cavity_laws(one, mean, at.log_sd, at.log_width, member) for one in pair]
        for before, after in (own, cavity):
            close(before.loc[t], after.loc[t])
            close(before.covariance[t], after.covariance[t])
        others = [k for k in range(len(SIZES)) if k != t]
        assert (own[0].loc[others] - own[1].loc[others]).abs().min() > 1e-4


def test_soft_memberships_stay_without_the_task_too() -> None:
    """(14.3) holds for shares as for members."""
    data, at = rows(SIZES), hyper()
    member = torch.rand(len(SIZES), GROUPS + 1).softmax(-1)
    mean = torch.randn(1, 2)
    for t in range(len(SIZES)):
        pair = [one.site() for one in (data, changed(data, t))]
        one, two = (groups.cavity_laws(s, mean, at.log_sd, at.log_width, member) for s in pair)
        close(one.loc[t], two.loc[t])
        close(one.covariance[t], two.covariance[t])


def test_expected_log_evidence_is_a_mean() -> None:
    """Against draws of the centres and of m_0: 5 standard errors."""
    data, at, label = rows(SIZES), hyper(), [0, 1, 0, 1, 3]
    found = groups.gather(data.site(), at, hard(label, GROUPS))
    draws = 40_000
    for c, (loc, root) in enumerate(
        [*zip(found.loc[:, 0], found.root[:, 0]), (found.mean[0], found.mean_root[0])]
    ):
        m = loc + torch.randn(draws, root.shape[-1]) @ root.T
        said = found.alone if c == GROUPS else found.inside
        square = torch.einsum("sd,tde,se->st", m, said.precision[:, 0], m)
        each = said.constant - 0.5 * square + m @ said.natural[:, 0].T
        error = (each.mean(0) - found.expected()[:, c]).abs()
        assert (error < 5 * each.std(0) / draws**0.5).all()


def stacked(*parts: Site | Hyper) -> list[Tensor]:
    return [torch.stack(one) for one in zip(*parts)]


def test_leading_dimensions_are_a_loop() -> None:
    """Three points of data, hyperparameters and memberships at once."""
    points = range(3)
    site = [rows(SIZES, columns=2, seed=k).site() for k in points]
    at = [hyper(columns=2, seed=k) for k in points]
    member = [torch.rand(len(SIZES), GROUPS + 1).softmax(-1) for _ in points]
    label = torch.randint(GROUPS + 1, (3, len(SIZES)))
    mean = torch.randn(3, 2, 2)
    many, all_at = Site(*stacked(*site)), Hyper(*stacked(*at))
    gathered = groups.gather(many, all_at, torch.stack(member))
    laws = groups.cavity_laws(many, mean, all_at.log_sd, all_at.log_width, torch.stack(member))
    own, _ = groups.own_laws(many, all_at, label, GROUPS)
    settled = groups.memberships(many, all_at, torch.stack(member), 3)
    heard = groups.cavity_memberships(many, all_at, torch.stack(member), 3)
    weights, prior = (
        groups.log_weights(torch.stack(member)),
        groups.log_partition(torch.stack(member)),
    )
    for k in points:
        one = groups.gather(site[k], at[k], member[k])
        close(gathered.value[k], one.value)
        close(gathered.expected()[k], one.expected())
        close(gathered.loc[k], one.loc)
        alone = groups.cavity_laws(site[k], mean[k], at[k].log_sd, at[k].log_width, member[k])
        close(laws.loc[k], alone.loc)
        close(laws.covariance[k], alone.covariance)
        found, _ = groups.own_laws(site[k], at[k], label[k], GROUPS)
        close(own.loc[k], found.loc)
        close(own.covariance[k], found.covariance)
        close(settled[k], groups.memberships(site[k], at[k], member[k], 3))
        close(heard[k], groups.cavity_memberships(site[k], at[k], member[k], 3))
        close(weights[k], groups.log_weights(member[k]))
        close(prior[k], groups.log_partition(member[k]))
