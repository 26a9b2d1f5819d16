r"""Groups of tasks as the components of a prior: what a group says, and who belongs to it.

A task belongs to one of C groups, or to none. In standard units, V_0 the population's covariance and
delta the transfer width,

    w_t ~ N(g_c, V_w) in group c,  g_c ~ N(m_0, V_b),  V_b = V_0 / (1 + delta^2),  V_w = V_0 - V_b,
    w_t ~ N(m_0, V_0) in none,

so that every task is as spread as the population whatever the groups, (14.1). Memberships have
Dirichlet weights: concentration a on being in none, a / C on each group; with ever more groups that is
a Chinese restaurant, the search begins with one that is empty. Leading dimensions are points of the
hyperparameters.

References:
    Escobar and West, *Bayesian Density Estimation and Inference Using Mixtures*, 1995; Xue, Liao,
    Carin and Krishnapuram, *Multi-Task Learning for Classification with Dirichlet Process Priors*, 2007.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vmtl_core._hyperpriors import MEAN_SD
from vmtl_core.evidence import Gaussians, times, update
from vmtl_core.population import NARROW, WIDE
from vmtl_core.sites import Site

CONCENTRATION = 1.0
"""a, of the restaurant: about log T groups are expected of T tasks."""
ALIKE = 0.3
"""The sd of a coordinate's log delta about the mean of all, which has a half-Cauchy's density."""
MOST_GROUPS = 12
"""Of components: at most so many groups, one of them empty at first."""
EXTREME = 7.0
"""A bound of |log delta|; beyond it groups are points, or say nothing."""
STILL = 1e-5
"""Memberships that move less have settled."""


class Hyper(NamedTuple):
    """The hyperparameters but m_0, which is integrated out."""

    noise: Tensor
    """Learned log sigma, (..., F)."""
    log_sd: Tensor
    """log s_0, (..., P, D)."""
    log_width: Tensor
    """log delta, (..., P, D)."""


class Factors(NamedTuple):
    """Roots of V_w, V_b and V_0, diagonal, (..., 1, P, D, D)."""

    within: Tensor
    between: Tensor
    whole: Tensor


def factors(log_sd: Tensor, log_width: Tensor) -> Factors:
    """The population's variance divided by delta. Equation (14.1)."""
    sd = log_sd.clamp(NARROW, WIDE).exp()
    twice = 2 * log_width.clamp(-EXTREME, EXTREME)
    each = sd * twice.sigmoid().sqrt(), sd * (-twice).sigmoid().sqrt(), sd
    return Factors(*(torch.diag_embed(one).unsqueeze(-4) for one in each))


class Message(NamedTuple):
    """What data say of the mean of what they are about: log p = c - m'Wm/2 + r'm. Equation (14.2)."""

    precision: Tensor
    """W, (..., P, D, D)."""
    natural: Tensor
    """r, (..., P, D)."""
    constant: Tensor
    """c, without the site's own, (...,)."""
    root: Tensor
    """Of the covariance of what they are about, given its mean, (..., P, D, D)."""

    def expected(self, loc: Tensor, root: Tensor) -> Tensor:
        """Its mean over C laws of the mean, N(loc, root root'), of shape (..., C, P, ...): (..., T, C)."""
        second = root @ root.mT + loc.unsqueeze(-1) * loc.unsqueeze(-2)
        quadratic = self.precision.flatten(-3) @ second.flatten(-3).mT
        linear = self.natural.flatten(-2) @ loc.flatten(-2).mT
        return self.constant.unsqueeze(-1) - 0.5 * quadratic + linear


def message(precision: Tensor, natural: Tensor, factor: Tensor) -> Message:
    """Integrate u ~ N(m, FF') out of exp(-u'Au/2 + b'u): W = A - A C A, r = b - A C b. Equation (14.2)."""
    found = update(precision, natural, torch.zeros_like(natural), factor)
    pulled = precision @ found.root
    return Message(
        precision - pulled @ pulled.mT,
        natural - times(pulled, times(found.root.mT, natural)),
        found.log_evidence.sum(-1),
        found.root,
    )


class Gathered(NamedTuple):
    """Groups and population given memberships: everything that is Gaussian."""

    value: Tensor
    """Expected log evidence under the memberships, centres and m_0 integrated, (...,)."""
    inside: Message
    """What each task says of its group's centre, (..., T)."""
    alone: Message
    """What it says of m_0 where it is in no group."""
    loc: Tensor
    """Means of the groups' centres given all data, (..., C, P, D)."""
    root: Tensor
    """Roots of their covariances, that of m_0 counted in, (..., C, P, D, 2 D)."""
    mean: Tensor
    """Mean of m_0, (..., P, D)."""
    mean_root: Tensor
    """(..., P, D, D)."""

    def expected(self) -> Tensor:
        """Mean log evidence of every task in every group, and in none, (..., T, C + 1)."""
        one = self.mean.unsqueeze(-3), self.mean_root.unsqueeze(-4)
        groups = self.inside.expected(self.loc, self.root)
        return torch.cat([groups, self.alone.expected(*one)], -1)


def pooled(shares: Tensor, values: Tensor, event: int) -> Tensor:
    """Sums over tasks, shares (..., T, C) and values (..., T, *event): (..., C, *event)."""
    return (shares.mT @ values.flatten(-event)).unflatten(-1, values.shape[-event:])


def gather(site: Site, hyper: Hyper, member: Tensor) -> Gathered:
    """Integrate all w, all centres and m_0 ~ N(0, I/2) out, at given memberships.

    Args:
        site: of every task, (..., T, P, ...).
        hyper: the hyperparameters.
        member: probability of each group, and of none, (..., T, C + 1).
    """
    spread = factors(hyper.log_sd, hyper.log_width)
    inside = message(site.precision, site.natural, spread.within)
    alone = message(site.precision, site.natural, spread.whole)
    share, none = member[..., :-1], member[..., -1:]
    precision, natural = pooled(share, inside.precision, 3), pooled(share, inside.natural, 2)
    group = message(precision, natural, spread.between)
    weight = group.precision.sum(-4) + pooled(none, alone.precision, 3).squeeze(-4)
    pull = group.natural.sum(-3) + pooled(none, alone.natural, 2).squeeze(-3)
    eye = torch.eye(weight.shape[-1]).to(weight)
    mean = update(weight, pull, torch.zeros_like(pull), MEAN_SD * eye)
    value = (share.sum(-1) * inside.constant + none[..., 0] * alone.constant).sum(-1)
    value = value + group.constant.sum(-1) + mean.log_evidence.sum(-1) + site.constant.sum(-1)
    move = eye - group.root @ (group.root.mT @ precision)
    return Gathered(
        value,
        inside,
        alone,
        times(move, mean.loc.unsqueeze(-3)) + times(group.root, times(group.root.mT, natural)),
        torch.cat([group.root, move @ mean.root.unsqueeze(-4)], -1),
        mean.loc,
        mean.root,
    )


def nobody(tasks: int, groups: int) -> Tensor:
    """Memberships of tasks that are all in none, (T, C + 1)."""
    member = torch.zeros(tasks, groups + 1)
    member[:, -1] = 1.0
    return member


def pseudo_counts(member: Tensor, concentration: float = CONCENTRATION) -> Tensor:
    """Of the Dirichlet: a / C for each group, a for none, (C + 1,)."""
    groups = member.shape[-1] - 1
    counts = member.new_full((groups + 1,), concentration / max(groups, 1))
    counts[-1] = concentration
    return counts


def log_weights(member: Tensor, concentration: float = CONCENTRATION) -> Tensor:
    """E log of the weights of groups and none under their Dirichlet posterior, (..., 1, C + 1)."""
    counts = pseudo_counts(member, concentration) + member.sum(-2, keepdim=True)
    return torch.digamma(counts) - torch.digamma(counts.sum(-1, keepdim=True))


def log_partition(member: Tensor, concentration: float = CONCENTRATION) -> Tensor:
    """Log prior of memberships, weights integrated out, and their entropy, (...,). Equation (14.5).

    Groups have no names: with K of C in use, C! / (C - K)! ways to name them are one partition.
    """
    start, size = pseudo_counts(member, concentration), member.sum(-2)
    total = _log_beta(start + size) - _log_beta(start)
    used, groups = (size[..., :-1] > 0.5).sum(-1), member.shape[-1] - 1
    names = math.lgamma(groups + 1) - torch.lgamma((groups - used + 1).to(member))
    return total + names - torch.special.xlogy(member, member).sum((-2, -1))


def _log_beta(counts: Tensor) -> Tensor:
    return torch.lgamma(counts).sum(-1) - torch.lgamma(counts.sum(-1))


def log_width_hyperprior(log_width: Tensor, tied: bool = False) -> Tensor:
    """log density of log delta, (...,): half-Cauchy at their mean, and normal about it.

    Tied, they keep their distances, and the mean alone is unknown.
    """
    middle = log_width.mean((-2, -1), keepdim=True)
    total = middle - torch.nn.functional.softplus(2 * middle) + math.log(2 / math.pi)
    total = total[..., 0, 0]
    if tied:
        return total
    # n numbers are their mean, of unit sqrt(n), and n - 1 distances.
    count = log_width.shape[-1] * log_width.shape[-2]
    distances = (-0.5 * ((log_width - middle) / ALIKE).square()).sum((-2, -1))
    constant = (count - 1) * math.log(ALIKE * math.sqrt(2 * math.pi)) + 0.5 * math.log(count)
    return total + distances - constant


def memberships(
    site: Site, hyper: Hyper, member: Tensor, sweeps: int, concentration: float = CONCENTRATION
) -> Tensor:
    """Coordinate ascent on the bound: who belongs where, (..., T, C + 1). Equation (14.4)."""
    for _ in range(sweeps):
        scores = gather(site, hyper, member).expected() + log_weights(member, concentration)
        before, member = member, scores.softmax(-1)
        if float((member - before).abs().max()) < STILL:
            break
    return member


def cavity_memberships(site: Site, hyper: Hyper, member: Tensor, sweeps: int) -> Tensor:
    """The same where no task hears itself: groups and weights without it. Equation (14.6)."""
    spread = factors(hyper.log_sd, hyper.log_width)
    between = spread.between.unsqueeze(-4)
    for _ in range(sweeps):
        found = gather(site, hyper, member)
        mean = found.mean.unsqueeze(-3).unsqueeze(-3)
        without = cavities(found.inside, member)
        whole = (
            without[0] + found.inside.precision.unsqueeze(-4),
            without[1] + found.inside.natural.unsqueeze(-3),
        )
        gain = [update(*one, mean, between).log_evidence.sum(-1) for one in (whole, without)]
        inside = gain[0] - gain[1] + found.inside.constant.unsqueeze(-1)
        zero = torch.zeros_like(found.mean_root).unsqueeze(-4)
        none = found.alone.expected(found.mean.unsqueeze(-3), zero)
        others = member.sum(-2, keepdim=True) - member
        scores = torch.cat([inside, none], -1) + (pseudo_counts(member) + others).log()
        before, member = member, scores.softmax(-1)
        if float((member - before).abs().max()) < STILL:
            break
    return member


def cavities(inside: Message, member: Tensor) -> tuple[Tensor, Tensor]:
    """What each group's members say of its centre without task t, (..., T, C, P, ...). Equation (14.3)."""
    share = member[..., :-1]
    precision, natural = pooled(share, inside.precision, 3), pooled(share, inside.natural, 2)
    wide = share[..., None, None]
    return (
        precision.unsqueeze(-5) - wide.unsqueeze(-1) * inside.precision.unsqueeze(-4),
        natural.unsqueeze(-4) - wide * inside.natural.unsqueeze(-3),
    )


def cavity_laws(
    site: Site, mean: Tensor, log_sd: Tensor, log_width: Tensor, member: Tensor
) -> Gaussians:
    """What each group says of task t without it, at a fixed m_0, (..., T, C, P, ...). Equation (14.3).

    Args:
        site: of every task, (..., T, P, ...).
        mean: m_0, (..., P, D).
        log_sd, log_width: (..., P, D).
        member: (..., T, C + 1).
    """
    spread = factors(log_sd, log_width)
    inside = message(site.precision, site.natural, spread.within)
    precision, natural = cavities(inside, member)
    middle = mean.unsqueeze(-3).unsqueeze(-3)
    centre = update(precision, natural, middle, spread.between.unsqueeze(-4))
    within = (spread.within @ spread.within.mT).unsqueeze(-4)
    return Gaussians(centre.loc, centre.root @ centre.root.mT + within)


def own_laws(site: Site, hyper: Hyper, label: Tensor, groups: int) -> tuple[Gaussians, Gathered]:
    """Every task's prior given all others and a partition, m_0 integrated, (..., T, P, ...).

    Its group's centre, or m_0, is known from all data; the task's own message is then taken out:
    with G the covariance and W, r the message, (I - G W)^-1 G is the cavity's.

    Args:
        label: each task's group, `groups` for none, (..., T).
    """
    hard = torch.nn.functional.one_hot(label, groups + 1).to(site.precision)
    found, spread = gather(site, hyper, hard), factors(hyper.log_sd, hyper.log_width)
    none = label == groups
    every = torch.cat([found.loc, found.mean.unsqueeze(-3)], -3)
    wide = torch.cat([torch.zeros_like(found.mean_root), found.mean_root], -1).unsqueeze(-4)
    root = torch.cat([found.root, wide], -4)
    loc, root = _choose(every, label, 2), _choose(root, label, 3)
    precision = torch.where(
        none[..., None, None, None], found.alone.precision, found.inside.precision
    )
    natural = torch.where(none[..., None, None], found.alone.natural, found.inside.natural)
    covariance = root @ root.mT
    eye = torch.eye(covariance.shape[-1]).to(covariance)
    right = torch.cat([covariance, (loc - times(covariance, natural)).unsqueeze(-1)], -1)
    solved = torch.linalg.solve(eye - covariance @ precision, right)
    covariance, loc = solved[..., :-1], solved[..., -1]
    rest = torch.where(none[..., None, None, None], spread.whole, spread.within)
    return Gaussians(loc, 0.5 * (covariance + covariance.mT) + rest.square()), found


def _choose(values: Tensor, label: Tensor, event: int) -> Tensor:
    """values (..., C + 1, *event) at the labels (..., T)."""
    index = label.view(*label.shape, *[1] * event).expand(*label.shape, *values.shape[-event:])
    return values.gather(-event - 1, index)
