"""What groups are the corners of: the hierarchical model, learning as one, pairs of tasks."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.closed_form.groups_by_hand import hard, hyper, rows
from tests.closed_form.models import LIKELIHOODS, ascent, build, table
from vmtl_core import groups, hyperposterior
from vmtl_core.evidence import update
from vmtl_core.groups import Hyper
from vmtl_core.sites import Site

SIZES = [3, 1, 4, 2]
TASKS = len(SIZES)


def close(found: Tensor, wanted: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_nobody_in_a_group_is_the_hierarchical_model(kind: str) -> None:
    """(14.1): log evidence and m_0 as (5.17) has them, of three points at once."""
    climb = ascent(build(kind), table(kind))
    own, found = climb.own, climb.problem.table
    draws = torch.linspace(-0.5, 0.5, 3)
    noise = draws.view(3, 1).expand(3, len(own.noise.start()))
    log_sd = own.population.log_sd + draws.view(3, 1, 1)
    wanted = hyperposterior.collapsed(found, own, noise, log_sd)
    extra = own.noise.log_hyperprior(noise) + own.population.log_marginal_hyperprior(log_sd)
    site = found.site(own.noise.tasks(noise), own.other)
    at = Hyper(noise, log_sd, torch.zeros_like(log_sd))
    gathered = groups.gather(site, at, hard([3] * TASKS, 3))
    close(gathered.value, wanted.log_evidence - extra)
    close(gathered.mean, wanted.mean)
    close(gathered.mean_root @ gathered.mean_root.mT, wanted.root @ wanted.root.mT)


def test_singletons_are_nobody_in_a_group() -> None:
    """A group for each task: evidence, m_0 and every task's prior as without groups."""
    data, at = rows(SIZES, columns=2), hyper(columns=2)
    site, alone = data.site(), torch.full((TASKS,), TASKS)
    one = groups.gather(site, at, hard([0, 1, 2, 3], TASKS))
    none = groups.gather(site, at, hard([TASKS] * TASKS, TASKS))
    close(one.value, none.value)
    close(one.mean, none.mean)
    first, _ = groups.own_laws(site, at, torch.arange(TASKS), TASKS)
    second, _ = groups.own_laws(site, at, alone, TASKS)
    close(first.loc, second.loc)
    close(first.covariance, second.covariance)


def test_a_group_of_one_other_task_is_the_stationary_transfer() -> None:
    """(12.5): what a pair's other member says by (14.3) is its report, drawn towards m_0."""
    data, at, mean = rows(SIZES), hyper(), torch.randn(1, 2)
    site, sd = data.site(), at.log_sd.exp()
    member = hard([0, 0, 1, 1], 2)
    laws = groups.cavity_laws(site, mean, at.log_sd, at.log_width, member)
    own = update(site.precision, site.natural, mean, torch.diag_embed(sd))
    other = torch.tensor([1, 0, 3, 2])
    # Group members are delta apart twice, once each from their centre: rho is 1 / (1 + delta^2).
    rho = 1 / (1 + (2 * at.log_width).exp())
    loc = mean + rho * (own.loc[other] - mean)
    covariance = (own.root @ own.root.mT)[other]
    covariance = rho.unsqueeze(-1) * covariance * rho.unsqueeze(-2)
    covariance = covariance + torch.diag_embed((1 - rho**2) * sd**2)
    place = torch.tensor([0, 0, 1, 1])
    close(laws.loc[torch.arange(TASKS), place], loc)
    close(laws.covariance[torch.arange(TASKS), place], covariance)


def test_a_wide_group_says_nothing() -> None:
    """delta -> infinity: any partition is the hierarchical model."""
    data, at = rows(SIZES), hyper()
    wide = at._replace(log_width=torch.full_like(at.log_width, 50.0))
    found = groups.gather(data.site(), wide, hard([0, 0, 1, 0], 2))
    wanted = groups.gather(data.site(), at, hard([2] * TASKS, 2))
    close(found.value, wanted.value, 1e-4)
    close(found.mean, wanted.mean, 1e-4)


def test_a_narrow_group_is_one_task() -> None:
    """delta -> 0: members' data are put together, as if they were of one task."""
    data, at = rows(SIZES), hyper()
    narrow = at._replace(log_width=torch.full_like(at.log_width, -50.0))
    found = groups.gather(data.site(), narrow, hard([0, 0, 1, 0], 2))
    pairs = [([0, 1, 3]), [2]]
    merged = data._replace(
        x=[torch.cat([data.x[t] for t in one]) for one in pairs],
        y=[torch.cat([data.y[t] for t in one]) for one in pairs],
    )
    wanted = groups.gather(merged.site(), at, hard([1, 1], 1))
    close(found.value, wanted.value, 1e-4)
    prior, _ = groups.own_laws(data.site(), narrow, torch.tensor([0, 0, 1, 0]), 2)
    site = data.site()
    q = update(site.precision, site.natural, prior.loc, torch.linalg.cholesky(prior.covariance))
    close(q.loc[0], q.loc[1], 1e-4)
    close(q.loc[0], q.loc[3], 1e-4)


def test_everybody_in_one_group_has_a_wider_population_mean() -> None:
    """One group is the hierarchical model whose population mean has variance 1/2 + V_b."""
    data, at = rows(SIZES), hyper()
    found = groups.gather(data.site(), at, hard([0] * TASKS, 1))
    variance = (2 * at.log_sd).exp()
    between = variance / (1 + (2 * at.log_width).exp())
    # m = s u with u ~ N(0, 1/2): scale the inputs by s and the population's variance by 1 / s^2.
    scale = (2 * (0.5 + between)).sqrt()
    x = [one * scale for one in data.x]
    within = hyper()._replace(log_sd=0.5 * ((variance - between) / scale**2).log())
    wanted = groups.gather(data._replace(x=x).site(), within, hard([1] * TASKS, 1))
    close(found.value, wanted.value)
    close(found.loc[0], scale * wanted.mean)


def no_rows(site: Site, task: int) -> Site:
    """Nothing known of one task."""
    kept = torch.ones(len(site.constant))
    kept[task] = 0.0
    wide = kept[:, None, None, None], kept[:, None, None], kept
    return Site(*(t * k for t, k in zip(site, wide)))


@pytest.mark.parametrize("label", [[0, 0, 1, 0], [2, 0, 0, 1]])
def test_a_task_without_rows_says_nothing_and_hears_its_group(label: list[int]) -> None:
    """(14.2), (14.3): its posterior is its prior, and the others' are those without it."""
    data, at = rows(SIZES), hyper()
    site = no_rows(data.site(), 0)
    found = groups.gather(site, at, hard(label, 2))
    rest = Site(*(t[1:] for t in data.site()))
    close(found.value, groups.gather(rest, at, hard(label[1:], 2)).value)
    prior, _ = groups.own_laws(site, at, torch.tensor(label), 2)
    others, _ = groups.own_laws(rest, at, torch.tensor(label[1:]), 2)
    close(prior.loc[1:], others.loc)
    if label[0] == 2:
        close(prior.loc[0], found.mean)
        wanted = found.mean_root @ found.mean_root.mT + torch.diag_embed((2 * at.log_sd).exp())
    else:
        close(prior.loc[0], found.loc[0])
        within = groups.factors(at.log_sd, at.log_width).within[0].square()
        wanted = found.root[0] @ found.root[0].mT + within
    close(prior.covariance[0], wanted)


EXTREMES: list[dict[str, Any]] = [
    {"log_sd": -50.0},
    {"log_sd": 50.0},
    {"log_width": 50.0},
    {"log_width": -50.0},
]


@pytest.mark.parametrize("extreme", EXTREMES, ids=str)
@pytest.mark.parametrize("noise", [1e-3, 1e3])
def test_extreme_hyperparameters_stay_finite(extreme: dict[str, float], noise: float) -> None:
    """Clamped: values, gradients and covariances, with much noise and with none."""
    data, at = rows([30, 1, 4, 2], columns=2)._replace(noise=noise), hyper(columns=2)
    for name, value in extreme.items():
        at = at._replace(**{name: torch.full_like(at.log_sd, value)})
    free = [t.requires_grad_(True) for t in at[1:]]
    found = groups.gather(data.site(), at, hard([0, 0, 1, 2], 2))
    slopes = torch.autograd.grad(found.value, free)
    assert math.isfinite(float(found.value.detach()))
    assert all(bool(one.isfinite().all()) for one in slopes)
    with torch.no_grad():
        prior, _ = groups.own_laws(data.site(), at, torch.tensor([0, 0, 1, 2]), 2)
    assert bool(torch.linalg.cholesky(prior.covariance).isfinite().all())
