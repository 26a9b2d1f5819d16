"""Own-data posteriors and their base prior at the optimum, (5.5), (5.6), against dense evidence."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Gamma, HalfNormal, MultivariateNormal, Normal

import vmtl_core as vmtl
from vmtl_core import population as module
from vmtl_core.evidence import Gaussians, update
from vmtl_core.likelihoods import TASK_NOISE_SD
from vmtl_core.population import Expansion, Noise, Own, Population, fit_own
from vmtl_core.priors import FEW, MEAN_SD
from vmtl_core.sites import Table

TASK = torch.arange(4).repeat_interleave(torch.tensor([6, 9, 5, 8]))


def regression() -> tuple[Table, Tensor, Tensor]:
    """Four tasks of two weights, noise .5."""
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(len(TASK), 2, generator=draw)
    w = torch.tensor([1.0, -0.5]) + 0.6 * torch.randn(4, 2, generator=draw)
    y = (x * w[TASK]).sum(-1) + 0.5 * torch.randn(len(TASK), generator=draw)
    return Table(x, y, TASK, [vmtl.LinearGaussian()] * 4, 1, torch.zeros(1), log_unit=0.2), x, y


def begin(learned: bool = True, weak: bool = True) -> Population:
    factor = torch.diag(torch.tensor([0.5, 1.5]))[None]
    return Population(torch.zeros(1, 2), torch.zeros(1, 2), factor, learned, weak, 4)


def noise(scales: int, learned: bool = True, per_task: bool = False) -> Noise:
    index = torch.arange(4) % scales
    return Noise(torch.full((scales,), -0.1), index, torch.full((scales,), learned), per_task)


def evidence(x: Tensor, y: Tensor, loc: Tensor, root: Tensor, log_scale: Tensor) -> Tensor:
    """log p(y_t), in units of the data, by dense covariances, (T,)."""
    values = []
    for t in range(4):
        mine = t == TASK
        rows, target = x[mine], y[mine]
        covariance = rows @ root[0] @ root[0].T @ rows.T
        covariance = covariance + (2 * log_scale[t]).exp() * torch.eye(len(rows))
        law = MultivariateNormal(rows @ loc[0], covariance)
        values.append(law.log_prob(target) - 0.2 * len(rows))
    return torch.stack(values)


def hyperprior(own: Own, loc: Tensor, log_sd: Tensor, free: Tensor) -> Tensor:
    """Of all that is learned, by torch's densities."""
    total = torch.zeros(())
    if own.population.learned and own.population.weak:
        c = min(1.0, FEW / 4)
        variance = (2 * log_sd).exp()
        total = (Gamma(c / 2, c / 2).log_prob(variance) + (2 * variance).log()).sum()
        total = total + Normal(0.0, MEAN_SD).log_prob(loc).sum()
    if own.population.weak and len(free):
        centre = free.mean()[None] if own.noise.per_task else free
        total = total + (HalfNormal(1.0).log_prob(centre.exp()) + centre).sum()
        if own.noise.per_task:
            total = total + Normal(centre, TASK_NOISE_SD).log_prob(free).sum()
    return total


CASES = {
    "all": (begin(), noise(1)),
    "two scales": (begin(), noise(2)),
    "a scale for each task": (begin(), noise(4, per_task=True)),
    "no hyperprior": (begin(weak=False), noise(1)),
    "known base prior": (begin(learned=False), noise(2)),
    "known noise": (begin(), noise(1, learned=False)),
}


@pytest.mark.parametrize("name", CASES)
def test_optimum_of_the_dense_evidence(name: str) -> None:
    """The value is the dense one, and no direction leads up from it."""
    base, scales = CASES[name]
    base = replace(base, loc=base.loc.double(), log_sd=base.log_sd.double())
    base = replace(base, factor=base.factor.double())
    scales = replace(scales, log_scale=scales.log_scale.double())
    table, x, y = regression()
    own = fit_own(table, base, scales, 300, 1e-9)
    assert own.settled
    loc, log_sd, free = own.population.loc, own.population.log_sd, own.noise.start()

    def value(loc: Tensor, log_sd: Tensor, free: Tensor) -> Tensor:
        root = torch.diag_embed(log_sd.exp()) if base.learned else base.factor
        log_scale = free if len(free) else scales.log_scale
        each = evidence(x, y, loc, root, log_scale[scales.index])
        return (each.sum() + hyperprior(own, loc, log_sd, free)) / 4

    root = own.population.root(log_sd)
    dense = evidence(x, y, loc, root, own.noise.log_scale[scales.index])
    torch.testing.assert_close(own.elbo, dense)
    assert own.objective == pytest.approx(float(value(loc, log_sd, free)), abs=1e-9)
    leaves = [one.clone().requires_grad_(True) for one in (loc, log_sd, free)]
    slopes = torch.autograd.grad(value(*leaves), leaves, allow_unused=True)
    moved = [True, True, True] if base.learned else [False, False, True]
    for slope, learned in zip(slopes, moved, strict=True):
        if learned and slope is not None and slope.numel():
            assert float(slope.abs().max()) < 1e-4
    if not base.learned:
        assert torch.equal(loc, base.loc)
        assert torch.equal(log_sd, base.log_sd)
    assert not own.elbo.requires_grad


def test_posteriors_are_those_at_the_optimum() -> None:
    table, *_ = regression()
    own = fit_own(table, replace(begin(), loc=torch.zeros(1, 2), log_sd=torch.zeros(1, 2)),
                  replace(noise(1), log_scale=torch.zeros(1)), 300, 1e-9)  # fmt: skip
    scale = own.noise.log_scale[own.noise.index]
    site = table.site(scale, None)
    again = update(
        site.precision, site.natural, own.population.loc, own.population.root(own.population.log_sd)
    )
    torch.testing.assert_close(own.posterior.loc, again.loc)
    torch.testing.assert_close(own.gaussians.covariance, again.gaussians().covariance)
    assert own.other is None


def test_columns_add_up() -> None:
    """Two targets for a row: the evidence of each column under its own prior."""
    _, x, y = regression()
    both = torch.stack([y, y.flip(0) + 1], -1)
    table = Table(x, both, TASK, [vmtl.LinearGaussian()] * 4, 2, torch.zeros(2), log_unit=0.2)
    factor = torch.stack([torch.diag(torch.tensor([0.5, 1.5])), 0.7 * torch.eye(2)])
    loc = torch.tensor([[0.2, -0.4], [1.0, 0.0]])
    base = Population(loc, torch.zeros(2, 2), factor, False, True, 4)
    known = Noise(torch.tensor([-0.1]), torch.zeros(4).long(), torch.tensor([False]), False)
    own = fit_own(table, base, known, 300, 1e-9)
    each = [
        evidence(x, both[:, p], loc[p : p + 1], factor[p : p + 1], torch.full((4,), -0.1))
        for p in range(2)
    ]
    dense = each[0] + each[1]
    torch.testing.assert_close(own.elbo, dense)
    assert own.objective == pytest.approx(float(dense.mean()))
    learned = fit_own(table, replace(base, learned=True), known, 300, 1e-9)
    c = min(1.0, FEW / 4)
    variance, mean = (2 * learned.population.log_sd).exp(), learned.population.loc
    prior = (Gamma(c / 2, c / 2).log_prob(variance) + (2 * variance).log()).sum()
    prior = prior + Normal(0.0, MEAN_SD).log_prob(mean).sum()
    assert learned.objective == pytest.approx(float(learned.elbo.mean() + prior / 4))


def counts() -> Table:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(len(TASK), 2, generator=draw)
    y = torch.poisson((x[:, 0] + 0.5).exp(), generator=draw)
    return Table(x, y, TASK, [vmtl.LinearPoisson()] * 4, 1, torch.zeros(1))


PRIOR = torch.zeros(1, 2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)[None]


def elbo(table: Table, expansion: Expansion) -> Tensor:
    """Of each task at the posterior under the present sites: likelihood less KL."""
    site = table.site(torch.zeros(4), expansion.other)
    q = update(site.precision, site.natural, *PRIOR).gaussians()
    laws = MultivariateNormal(q.loc[:, 0], q.covariance[:, 0])
    base = MultivariateNormal(PRIOR[0][0], torch.eye(2))
    kl = torch.distributions.kl_divergence(laws, base)
    return table.log_likelihood(q, torch.zeros(4)) - kl


def test_elbo_of_counts_is_likelihood_less_kl() -> None:
    """At the sites' fixed point constant plus evidence is the ELBO."""
    table = counts()
    start = Gaussians(torch.zeros(4, 1, 2), torch.eye(2).expand(4, 1, 2, 2))
    expansion = Expansion(table, start)
    site, found = expansion.settle(torch.zeros(4), PRIOR, 1e-13, most=200)
    value = site.constant + found.log_evidence.sum(-1)
    torch.testing.assert_close(value, elbo(table, expansion), rtol=1e-9, atol=1e-9)
    for other in (Expansion.about(table, expansion.other), Expansion(table, found.gaussians())):
        other.settle(torch.zeros(4), PRIOR, 1e-13, most=200)
        torch.testing.assert_close(elbo(table, other), value, rtol=1e-8, atol=1e-8)
    assert Expansion.about(table, expansion.other).share.tolist() == [1.0] * 4


def test_gradients_are_at_fixed_sites() -> None:
    """The envelope theorem: the slope in log s_0 is that of the greatest ELBO."""
    table = counts()
    start = Gaussians(torch.zeros(4, 1, 2), torch.eye(2).expand(4, 1, 2, 2))

    def greatest(log_sd: Tensor) -> Tensor:
        prior = PRIOR[0], torch.diag_embed(log_sd.expand(1, 2).exp())
        site, found = Expansion(table, start).settle(torch.zeros(4), prior, 1e-14, most=300)
        return (site.constant + found.log_evidence.sum(-1)).sum()

    at = torch.tensor(-0.4, requires_grad=True)
    (slope,) = torch.autograd.grad(greatest(at), at)
    ends = [float(greatest(torch.tensor(-0.4 + s * 1e-4)).detach()) for s in (1, -1)]
    assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-4)


def test_hopeless_sites_begin_anew() -> None:
    """A task whose site is about a rate of e^60: renewals alone would come down by one a step."""
    y = torch.poisson(torch.full((len(TASK),), 3.0), generator=torch.Generator().manual_seed(0))
    ones = torch.ones(len(TASK), 1)
    table = Table(ones, y, TASK, [vmtl.LinearPoisson()] * 4, 1, torch.zeros(1))
    prior, eye = (torch.zeros(1, 1), torch.ones(1, 1, 1)), torch.ones(4, 1, 1, 1)
    loc = torch.tensor([0.5, 1.0, 60.0, 1.5]).view(4, 1, 1)
    expansion = Expansion.about(table, table.expand(Gaussians(loc, 0.1 * eye)))
    _, found = expansion.settle(torch.zeros(4), prior, 1e-13, most=25)
    good = Expansion(table, Gaussians(torch.zeros(4, 1, 1), eye))
    _, wanted = good.settle(torch.zeros(4), prior, 1e-13, most=200)
    torch.testing.assert_close(found.loc, wanted.loc, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.root.abs(), wanted.root.abs(), rtol=1e-5, atol=1e-6)


def test_log_sds_stay_within_bounds() -> None:
    """Tasks that do not vary at all: the sd of a base prior without push ends at its bound."""
    draw = torch.Generator().manual_seed(4)
    x = torch.randn(len(TASK), 1, generator=draw)
    y = 2 * x[:, 0] + 0.1 * torch.randn(len(TASK), generator=draw)
    table = Table(x, y, TASK, [vmtl.LinearGaussian()] * 4, 1, torch.zeros(1))
    base = Population(torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1, 1, 1), True, False, 4)
    own = fit_own(table, base, noise(1), 300, 1e-9)
    assert module.NARROW <= float(own.population.log_sd) <= -1.0
    assert math.exp(module.NARROW) == pytest.approx(1e-3)
    assert math.exp(module.WIDE) == pytest.approx(1e3)
