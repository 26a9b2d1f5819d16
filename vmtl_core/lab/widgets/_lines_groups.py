"""A few regressions y = w_0 + w_1 x in groups: every partition of them, weighed by its evidence.

`js/linesgroups.js` is its twin, which does it in the page. At most six tasks have at most 203
partitions, so none is searched for: with the hyperparameters given the answer is exact. The model is
that of `vmtl_core.groups`, (14.1), with delta given; a noise scale that isn't given and the
population's sds are where the evidence of the data, summed over all partitions, is greatest.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vmtl_core.closed_form import OWN_STEPS, Setting, setting
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.evidence import Gaussians, update
from vmtl_core.group_mixing import together
from vmtl_core.groups import Hyper, gather, log_partition, own_laws
from vmtl_core.lab.widgets._lines_model import Laws, by_itself, laws_of, table_of
from vmtl_core.likelihoods import LinearGaussian
from vmtl_core.population import NARROW, WIDE, Own, fit_own
from vmtl_core.posteriors import GaussianWeights
from vmtl_core.quasi_newton import maximise
from vmtl_core.sites import Site, Table

STEPS = 300
"""Of the quasi-Newton search for the greatest evidence, at most."""


class Company(NamedTuple):
    """A group that a task may be in, and what it says of the task without it."""

    tasks: tuple[int, ...]
    """The others of that group; none where the task is alone, under p_0."""
    alpha: float
    """Its chance before the task has spoken."""
    phi: float
    """Its chance given all data."""
    law: Laws
    """Of the task's w in this group, given the others' data."""


class GroupLines(NamedTuple):
    """Lines in groups; `groupsFit` of `js/linesgroups.js` returns the same by these names."""

    q: Laws
    """Means and covariances of the exact posteriors, which are mixtures over partitions."""
    alone: Laws
    pooled: Laws
    companies: list[list[Company]]
    """Of every task, in the order of the numbers that have a bit for each of their tasks."""
    alpha: Tensor
    """Chance that task t shares a group with task k before t has spoken, or is alone, (T, T + 1)."""
    phi: Tensor
    """The same given all data, (T, T + 1)."""
    partitions: list[tuple[tuple[int, ...], float]]
    """Group of every task and the chance of it, the most likely first; a task alone is a group."""
    likelihood: Tensor
    """E log p(y_t|w_t), (T,)."""
    kl: Tensor
    """KL(q_t || p(w_t|D_-t)), exact, so that the difference is log p(D_t|D_-t), (T,)."""
    evidence: float
    """log p(D), nats."""
    hyperprior: float
    """Log density over T."""
    elbo: float
    """What is maximised, over T: log p(D) and the hyperprior."""
    sigma: float
    population: Laws
    """p_0, m_0 integrated."""
    converged: bool


class Weighed(NamedTuple):
    """All ways to label the tasks, at some hyperparameters."""

    log_joint: Tensor
    """log p(D, labels), (L,)."""
    log_foretold: Tensor
    """log p(D_t|D_-t, labels), (L, T)."""
    prior: Gaussians
    """Of every task given the others' data and labels, (L, T, 1, 2)."""
    posterior: Gaussians
    """Of every task given all data and labels, likewise."""
    labels: Tensor
    """(L, T)."""

    def after(self) -> Tensor:
        """Chances of the labels, (L,)."""
        return self.log_joint.softmax(0)

    def before(self) -> Tensor:
        """Their chances given all data but task t's, (L, T)."""
        return (self.log_joint.unsqueeze(1) - self.log_foretold).softmax(0)

    def foretold(self) -> Tensor:
        """log p(D_t|D_-t), (T,)."""
        without = (self.log_joint.unsqueeze(1) - self.log_foretold).logsumexp(0)
        return self.log_joint.logsumexp(0) - without

    def laws(self) -> Gaussians:
        """Means and covariances of the posteriors, (T, 1, 2)."""
        return mixed(self.posterior, self.after().unsqueeze(1).expand_as(self.log_foretold))

    def population(self, site: Site, hyper: Hyper) -> Gaussians:
        """p_0 with m_0 integrated, (1, 2)."""
        found = gather(site, hyper, hard(self.labels))
        middle = mixed(Gaussians(found.mean, found.mean_root @ found.mean_root.mT), self.after())
        wide = torch.diag_embed((2 * hyper.log_sd.clamp(NARROW, WIDE)).exp())
        return Gaussians(middle.loc, middle.covariance + wide)


def all_labels(tasks: int) -> Tensor:
    """Every way to put tasks in groups numbered as they appear, or in none, which is T: (L, T)."""
    found: list[list[int]] = [[]]
    for _ in range(tasks):
        new = [max((c for c in label if c < tasks), default=-1) + 1 for label in found]
        choices = [[*range(free + 1), tasks] for free in new]
        found = [[*label, c] for label, every in zip(found, choices, strict=True) for c in every]
    return torch.tensor(found)


def hard(labels: Tensor) -> Tensor:
    """Labels as memberships, (L, T, T + 1)."""
    return one_hot(labels, labels.shape[1] + 1).double()


def log_joint(site: Site, hyper: Hyper, labels: Tensor) -> Tensor:
    """log p(D, labels), (L,), by the library's `gather` and `log_partition`."""
    member = hard(labels)
    return gather(site, hyper, member).value + log_partition(member)


def weigh(site: Site, hyper: Hyper, labels: Tensor) -> Weighed:
    """Every labelling's evidence, and every task's law under it."""
    prior, _ = own_laws(site, hyper, labels, labels.shape[1])
    root = torch.linalg.cholesky(prior.covariance)
    found = update(site.precision, site.natural, prior.loc, root)
    foretold = found.log_evidence.sum(-1) + site.constant
    joint = log_joint(site, hyper, labels)
    return Weighed(joint, foretold, prior, found.gaussians(), labels)


def groups_fit(tasks: Any, *, sigma: float | None = None, delta: float = 0.5) -> GroupLines:
    """Weigh all partitions of some lines into groups.

    Args:
        tasks: of each task its rows (x, y), 3...6 of them.
        sigma: noise scale in units of y; learned if None.
        delta: transfer width, relative to the population's sd as in (14.1), above 0.

    Raises:
        ValueError: if the library takes no such model or data.
    """
    setting, own = began(tasks, sigma)
    table, labels = setting.problem.table, all_labels(len(tasks))
    hyper, reached, settled = greatest(table, own, labels, delta)
    site = table.site(own.noise.tasks(hyper.noise), own.other)
    weighed = weigh(site, hyper, labels)
    q, foretold = weighed.laws(), weighed.foretold()
    likelihood = site.expected(q)
    scales = own.noise.tasks(hyper.noise).exp() * setting.units.target_scale
    before, after = weighed.before(), weighed.after().unsqueeze(1).expand(-1, len(tasks))
    x, y, task = table_of(tasks)
    each = [by_itself(setting, x[task == t], y[task == t]) for t in range(len(tasks))]
    evidence = float(weighed.log_joint.logsumexp(0))
    return GroupLines(
        in_data(q, setting, scales),
        Laws(*map(torch.stack, zip(*each, strict=True))),
        by_itself(setting, x, y),
        [companies(weighed, t, setting, scales[t]) for t in range(len(tasks))],
        pairs(labels, before),
        pairs(labels, after),
        partitions(weighed),
        likelihood,
        likelihood - foretold,
        evidence,
        (reached - evidence) / len(tasks),
        reached / len(tasks),
        float(scales[0]),
        in_data(weighed.population(site, hyper), setting, scales[0]),
        settled and own.settled,
    )


def began(tasks: Any, sigma: float | None) -> tuple[Setting, Own]:
    """The library's model in standard units, and its own-data half, where the search begins."""
    model = MultiTaskELBO(
        LinearGaussian(sigma),
        GaussianWeights(len(tasks), (2,), covariance="full"),
        task_sizes=[len(rows) for rows in tasks],
        sources="groups",
    ).double()
    found = setting(model, *table_of(tasks), 1.0, 0)
    own = fit_own(found.problem.table, found.own_population, found.own_noise, OWN_STEPS, 1e-12)
    return found, own


def objective(table: Table, own: Own, hyper: Hyper, labels: Tensor) -> Tensor:
    """log p(D) summed over all labels, and the hyperpriors of what is learned."""
    site = table.site(own.noise.tasks(hyper.noise), own.other)
    total = log_joint(site, hyper, labels).logsumexp(0) + own.noise.log_hyperprior(hyper.noise)
    return total + own.population.log_sd_hyperprior(hyper.log_sd)


def greatest(table: Table, own: Own, labels: Tensor, delta: float) -> tuple[Hyper, float, bool]:
    """Hyperparameters of the greatest objective, its value, and whether the search has ended.

    From the own-data half's population, which may have shrunk to what all tasks share, and from one
    as wide as the data.
    """
    found = []
    for log_sd in (own.population.log_sd, torch.zeros_like(own.population.log_sd)):
        width = torch.full_like(log_sd, math.log(delta))
        hyper = Hyper(own.noise.start(), log_sd.clone(), width)
        moved = [hyper.noise, hyper.log_sd]
        value = partial(objective, table, own, hyper, labels)
        found.append((hyper, *maximise(value, moved, STEPS, 1e-12)))
    return max(found, key=lambda one: one[1])


def in_data(laws: Gaussians, setting: Setting, sigma: Tensor) -> Laws:
    """Laws of standard weights as laws of w."""
    return laws_of(laws.loc, torch.linalg.cholesky(laws.covariance), setting.units, sigma)


def mixed(laws: Gaussians, weights: Tensor) -> Gaussians:
    """Mean and covariance of mixtures over the first dimension; weights (L, ...) sum to 1."""
    wide = weights[..., None, None]
    loc = (wide * laws.loc).sum(0)
    away = laws.loc - loc
    spread = laws.covariance + away.unsqueeze(-1) * away.unsqueeze(-2)
    return Gaussians(loc, (wide.unsqueeze(-1) * spread).sum(0))


def pairs(labels: Tensor, weights: Tensor) -> Tensor:
    """Chance of every pair to share a group, and of a task to be alone, (T, T + 1).

    Args:
        labels: (L, T).
        weights: of the labels, for each task its own, (L, T).
    """
    same = together(labels, labels.shape[1]).double()
    same.diagonal(dim1=-2, dim2=-1).zero_()
    lonely = (same.sum(-1, keepdim=True) == 0).double()
    return (weights.unsqueeze(-1) * torch.cat([same, lonely], -1)).sum(0)


def companies(weighed: Weighed, t: int, setting: Setting, sigma: Tensor) -> list[Company]:
    """All groups that task t may be in, by who else is there."""
    same = together(weighed.labels, weighed.labels.shape[1])[:, t]
    same[:, t] = False
    code = (same * 2 ** torch.arange(same.shape[1])).sum(1)
    before, after = weighed.before()[:, t], weighed.after()
    found = []
    for one in code.unique().tolist():
        here = code == one
        law = mixed(
            Gaussians(*(v[here, t] for v in weighed.prior)), before[here] / before[here].sum()
        )
        tasks = tuple(k for k in range(same.shape[1]) if one >> k & 1)
        alpha, phi = float(before[here].sum()), float(after[here].sum())
        found.append(Company(tasks, alpha, phi, in_data(law, setting, sigma)))
    return found


def partitions(weighed: Weighed) -> list[tuple[tuple[int, ...], float]]:
    """Partitions, groups numbered as they appear, with their chances, the most likely first."""
    total: dict[tuple[int, ...], float] = {}
    for label, chance in zip(weighed.labels.tolist(), weighed.after().tolist(), strict=True):
        kinds = [c if c < len(label) else len(label) + t for t, c in enumerate(label)]
        order = list(dict.fromkeys(kinds))
        named = tuple(order.index(c) for c in kinds)
        total[named] = total.get(named, 0.0) + chance
    return sorted(total.items(), key=lambda one: -one[1])
