"""Lines in groups, in Python: every partition's evidence, and what the situations tell with groups."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from tests.double import _double_precision
from vmtl_core.groups import Hyper, log_partition
from vmtl_core.lab.widgets._lines_groups import (
    GroupLines,
    Weighed,
    all_labels,
    began,
    greatest,
    groups_fit,
    hard,
    log_joint,
    objective,
    weigh,
)
from vmtl_core.lab.widgets._lines_presets import PRESETS
from vmtl_core.sites import Table

__all__ = ["_double_precision"]

SETTINGS: dict[str, dict[str, Any]] = {one["name"]: one["setting"] for one in PRESETS}
FRIENDS, ECHO, FEW, OPPOSITES, SAME = SETTINGS
BELL = {3: (15, 5), 4: (52, 15), 5: (203, 52), 6: (877, 203)}
"""Labels with none, and partitions, of so many tasks."""


def story(name: str, delta: float = 0.3) -> GroupLines:
    return groups_fit(SETTINGS[name]["tasks"], sigma=SETTINGS[name]["sigma"], delta=delta)


def chance(found: GroupLines, *label: int) -> float:
    return dict(found.partitions)[label]


@pytest.mark.parametrize("tasks", BELL)
def test_all_labels_are_there_once_and_their_prior_sums_to_one(tasks: int) -> None:
    labels = all_labels(tasks)
    assert len(labels.unique(dim=0)) == len(labels) == BELL[tasks][0]
    total = log_partition(hard(labels)).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros(()), atol=1e-12, rtol=0)


HYPER = Hyper(*(torch.tensor(v).double() for v in ([-0.7], [[0.2, -0.4]], [[-1.0, -1.0]])))


def given(name: str) -> tuple[Table, Weighed, Tensor]:
    setting, own = began(SETTINGS[name]["tasks"], None)
    table, labels = setting.problem.table, all_labels(len(SETTINGS[name]["tasks"]))
    site = table.site(own.noise.tasks(HYPER.noise), None)
    return table, weigh(site, HYPER, labels), labels


def covariance_of(label: list[int], none: int) -> Tensor:
    """Of all w and m_0 = N(0, I / 2), (2 T, 2 T), by (14.1)."""
    sd, delta = HYPER.log_sd[0].exp(), HYPER.log_width.exp()[0, 0]
    whole, within = sd**2, sd**2 * delta**2 / (1 + delta**2)
    blocks = []
    for t, c in enumerate(label):
        row = [torch.full((2,), 0.5) for _ in label]
        for k, d in enumerate(label):
            row[k] = row[k] + (whole - within if c == d != none or k == t else 0)
        row[t] = row[t] + within
        blocks.append(torch.cat([one.diag() for one in row], 1))
    return torch.cat(blocks)


def test_evidence_is_that_of_one_large_gaussian() -> None:
    """log p(D|labels) and every task's law, by the joint normal of all rows; and the rest by it."""
    setting, _ = began(SETTINGS[FRIENDS]["tasks"], None)
    _, weighed, labels = given(FRIENDS)
    units, rows = setting.units, SETTINGS[FRIENDS]["tasks"]
    sigma = HYPER.noise.exp()
    design, y = [], []
    for t, some in enumerate(rows):
        x = torch.tensor([[1.0, a] for a, _ in some])
        u = x @ (units.basis[0] / units.target_scale)
        design.append(torch.cat([u if k == t else torch.zeros_like(u) for k in range(len(rows))], 1))  # fmt: skip
        height = torch.tensor([b for _, b in some])
        y.append((height - (x @ units.offset.mT)[:, 0]) / units.target_scale)
    wide, heights = torch.cat(design), torch.cat(y)
    log_unit, prior = torch.tensor(units.target_scale).log(), log_partition(hard(labels))

    def evidence(law: Tensor, some: Tensor) -> Tensor:
        standard = MultivariateNormal(torch.zeros(len(some)), law).log_prob(some)
        return standard - len(some) * log_unit

    first = len(rows[0])
    for i, label in enumerate(labels.tolist()):
        w = covariance_of(label, len(rows))
        law = wide @ w @ wide.mT + sigma**2 * torch.eye(len(heights))
        whole, without = evidence(law, heights), evidence(law[first:, first:], heights[first:])
        torch.testing.assert_close(weighed.log_joint[i], whole + prior[i])
        torch.testing.assert_close(weighed.log_foretold[i, 0], whole - without)
        loc = w @ wide.mT @ torch.linalg.solve(law, heights)
        torch.testing.assert_close(weighed.posterior.loc[i].flatten(), loc)


def test_the_search_ends_where_no_slope_is_left() -> None:
    for name in (FEW, OPPOSITES):
        tasks = SETTINGS[name]["tasks"]
        setting, own = began(tasks, None)
        table, labels = setting.problem.table, all_labels(len(tasks))
        hyper, reached, settled = greatest(table, own, labels, 0.3)
        assert settled
        leaves = [one.requires_grad_(True) for one in hyper[:2]]
        value = objective(table, own, hyper, labels)
        slopes = torch.autograd.grad(value, leaves)
        assert max(float(one.abs().max()) for one in slopes) < 1e-4
        assert float(value.detach()) == pytest.approx(reached, abs=1e-9)
        other = own.population.log_sd
        start = Hyper(own.noise.start(), other, torch.full_like(other, 0.3).log())
        assert float(objective(table, own, start, labels)) <= reached + 1e-9


@pytest.mark.parametrize("name", SETTINGS)
def test_numbers_belong_together(name: str) -> None:
    found = story(name)
    tasks = len(found.likelihood)
    assert found.converged
    assert len(found.partitions) == BELL[tasks][1]
    assert sum(p for _, p in found.partitions) == pytest.approx(1, abs=1e-12)
    assert (found.kl > 0).all()
    assert found.elbo == pytest.approx(found.evidence / tasks + found.hyperprior, abs=1e-12)
    torch.testing.assert_close(found.phi[:, :-1], found.phi[:, :-1].mT)
    for t, every in enumerate(found.companies):
        assert len(every) == 2 ** (tasks - 1)
        for chances, row in (([c.alpha for c in every], found.alpha), ([c.phi for c in every], found.phi)):  # fmt: skip
            assert sum(chances) == pytest.approx(1, abs=1e-12)
            alone = next(p for p, c in zip(chances, every, strict=True) if not c.tasks)
            assert row[t, -1].item() == pytest.approx(alone, abs=1e-12)
            for k in range(tasks):
                with_k = sum(p for p, c in zip(chances, every, strict=True) if k in c.tasks)
                assert row[t, k].item() == pytest.approx(with_k, abs=1e-12)
        prior = [c.alpha * c.law.mean for c in every]
        assert torch.isfinite(torch.stack(prior)).all()


def test_a_task_s_own_data_are_not_in_what_it_hears() -> None:
    """Another y of task 1 leaves its prior, at fixed hyperparameters."""
    table, before, _ = given(FRIENDS)
    table.cross[0] += torch.tensor([0.3, -0.8])
    site = table.site(HYPER.noise.expand(3), None)
    after = weigh(site, HYPER, before.labels)
    torch.testing.assert_close(before.prior.loc[:, 0], after.prior.loc[:, 0])
    torch.testing.assert_close(before.before()[:, 0], after.before()[:, 0])
    assert (before.prior.loc[:, 1] - after.prior.loc[:, 1]).abs().max() > 0.01
    assert (before.after() - after.after()).abs().max() > 0.001


@pytest.mark.parametrize("wrong", ["between for within", "no empty groups", "no names"])
def test_mistakes_are_seen(wrong: str) -> None:
    table, right, labels = given(OPPOSITES)
    site = table.site(HYPER.noise.expand(4), None)
    if wrong == "between for within":
        value = log_joint(site, HYPER._replace(log_width=-HYPER.log_width), labels)
        assert (value - right.log_joint).abs().max() > 0.1
        return
    member = hard(labels)
    if wrong == "no empty groups":  # a / K, K in use, in the place of a / C
        total = torch.stack([log_partition(_kept(one)) for one in member])
    else:
        used = (member[..., :-1].sum(1) > 0).sum(-1)
        groups = member.shape[-1] - 1
        names = torch.lgamma(torch.tensor(groups + 1.0)) - torch.lgamma(groups - used + 1.0)
        total = log_partition(member) - names
    assert total.logsumexp(0).abs() > 0.1


def _kept(member: Tensor) -> Tensor:
    used = member.sum(0) > 0
    used[-1] = True
    return member[:, used]


def test_two_friends_and_a_stranger() -> None:
    """The friends' group is likelier the narrower groups are; nobody joins the stranger."""
    narrow, wide = story(FRIENDS, 0.1), story(FRIENDS, 0.5)
    assert narrow.partitions[0][0] == (0, 0, 1)
    assert chance(narrow, 0, 0, 1) > 0.7 > 0.5 > chance(wide, 0, 0, 1)
    assert narrow.phi[2, 3] > 0.999
    ratio = (narrow.q.covariance.det() / narrow.alone.covariance.det()).sqrt()
    assert (ratio[:2] < 0.85).all()
    assert ratio[2] > 0.95


def test_opposites() -> None:
    """Each shares a group with its like and never with its opposite."""
    found = story(OPPOSITES)
    assert found.partitions[0][0] == (0, 0, 1, 1)
    like, unlike = found.phi[[0, 2], [1, 3]], found.phi[:2, 2:4]
    assert (like > 0.55).all()
    assert (unlike < 0.01).all()


def test_all_the_same() -> None:
    """p_0 itself is narrow, so that it hardly matters who shares a group: all are surer than alone."""
    found = story(SAME)
    sds = found.population.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    assert (sds < 0.4).all()
    assert chance(found, 0, 0, 0, 0) + chance(found, 0, 1, 2, 3) > 0.45
    ratio = (found.q.covariance.det() / found.alone.covariance.det()).sqrt()
    assert (ratio < 0.85).all()
