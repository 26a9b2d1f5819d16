"""Bayes' rule for sites, (5.14), and the sites of labels and counts, (5.15)."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.distributions import MultivariateNormal

import vmtl_core as vmtl
from tests.stats import integral
from vmtl_core import evidence
from vmtl_core.evidence import Gaussians
from vmtl_core.population import Expansion
from vmtl_core.sites import Site, Table


def random_site(tasks: int = 3, size: int = 2) -> tuple[Tensor, Tensor]:
    """A and b of several tasks, (T, 1, D, D) and (T, 1, D)."""
    rows = torch.randn(tasks, 1, 5, size)
    return rows.mT @ rows, torch.randn(tasks, 1, size)


def test_update_is_dense_algebra() -> None:
    """(5.14): precision A + V^-1, natural mean b + V^-1 m."""
    precision, natural = random_site()
    mean, factor = torch.randn(1, 2), torch.randn(1, 2, 2).tril() + 2 * torch.eye(2)
    found = evidence.update(precision, natural, mean, factor).gaussians()
    inverse = torch.linalg.inv(factor @ factor.mT)
    covariance = torch.linalg.inv(precision + inverse)
    right = natural + evidence.times(inverse, mean)
    torch.testing.assert_close(found.covariance, covariance)
    torch.testing.assert_close(found.loc, evidence.times(covariance, right))


def test_update_of_one_weight_is_quadrature() -> None:
    """(5.14): evidence, mean and variance of prior times site, integrated on a line."""
    a, b, m, sd = 1.7, -0.6, 0.8, 1.3
    found = evidence.update(
        torch.tensor([[[a]]]), torch.tensor([[b]]), torch.tensor([[m]]), torch.tensor([[[sd]]])
    )

    def density(w: Tensor) -> Tensor:
        log_prior = -0.5 * ((w - m) / sd) ** 2 - math.log(sd * math.sqrt(2 * math.pi))
        return (log_prior - 0.5 * a * w * w + b * w).exp()

    mass = integral(density)
    mean = integral(lambda w: w * density(w)) / mass
    torch.testing.assert_close(found.log_evidence.squeeze(), mass.log())
    torch.testing.assert_close(found.loc.squeeze(), mean)
    variance = integral(lambda w: (w - mean) ** 2 * density(w)) / mass
    torch.testing.assert_close(found.gaussians().covariance.squeeze(), variance)


def test_narrow_and_wide_priors_do_not_cancel() -> None:
    """(5.14) at prior sds of 1e-8 and 1e6."""
    precision, natural = random_site()
    mean = torch.tensor([[2.0, -1.0]])
    narrow = evidence.update(precision, natural, mean, 1e-8 * torch.eye(2)[None])
    torch.testing.assert_close(narrow.loc, mean.expand_as(narrow.loc), rtol=0, atol=1e-12)
    wide = evidence.update(precision, natural, mean, 1e6 * torch.eye(2)[None])
    torch.testing.assert_close(wide.loc, torch.linalg.solve(precision, natural))
    assert bool(wide.log_evidence.isfinite().all() and narrow.log_evidence.isfinite().all())


SIZES, NOISE = (4, 2, 7), 0.6


def regression(intercept: bool) -> tuple[Tensor, Tensor, Tensor]:
    """A table of three tasks, rows in random order."""
    task = torch.arange(3).repeat_interleave(torch.tensor(SIZES))[torch.randperm(sum(SIZES))]
    x = torch.randn(len(task), 2) * torch.tensor([3.0, 0.6]) + 0.5
    return x, x.sum(-1) + task + torch.randn(len(task)) + float(intercept), task


@pytest.mark.parametrize("intercept", [False, True], ids=["origin", "intercept"])
def test_own_posteriors_are_the_textbook_formula(intercept: bool) -> None:
    """(5.14): known noise and N(m, S) as base prior, to 1e-10."""
    size = 2 + intercept
    x, y, task = regression(intercept)
    prior = MultivariateNormal(torch.randn(size), torch.eye(size) + 0.5)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(NOISE),
        vmtl.GaussianWeights(3, (size,)),
        task_sizes=SIZES,
        base_prior=prior,
        transfer=None,
        sources="own",
    ).double()
    vmtl.fit(model, x, y, task, progress=False)
    found = model.source_weights()
    wide = torch.cat([x, torch.ones(len(x), 1)], 1) if intercept else x
    for t in range(3):
        rows = wide[task == t]
        precision = rows.T @ rows / NOISE**2 + prior.precision_matrix
        covariance = torch.linalg.inv(precision)
        mean = covariance @ (rows.T @ y[task == t] / NOISE**2 + prior.precision_matrix @ prior.mean)
        torch.testing.assert_close(found.mean[t], mean, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(found.covariance_matrix[t], covariance, rtol=1e-10, atol=1e-10)  # type: ignore[attr-defined]


LIKELIHOODS: dict[str, Any] = {
    "labels": vmtl.LinearBernoulli,
    "counts": vmtl.LinearPoisson,
}
every_likelihood = pytest.mark.parametrize("kind", LIKELIHOODS)


def outcomes(kind: str, x: Tensor, sharp: float = 1.0) -> Tensor:
    """Labels or counts with predictor sharp * (x_1 - x_2 / 2)."""
    eta = sharp * (x[:, 0] - 0.5 * x[:, 1])
    return torch.bernoulli(eta.sigmoid()) if kind == "labels" else torch.poisson(eta.exp())


def best_gaussian(likelihood: Any, x: Tensor, y: Tensor, sd: float) -> MultivariateNormal:
    """The Gaussian of greatest ELBO under N(0, sd^2 I), by scipy's BFGS on mean and factor."""
    prior = MultivariateNormal(torch.zeros(2), sd**2 * torch.eye(2))

    def law(theta: Tensor) -> MultivariateNormal:
        factor = torch.stack([theta[2].exp(), theta.new_zeros(()), theta[4], theta[3].exp()])
        return MultivariateNormal(theta[:2], scale_tril=factor.view(2, 2))

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        theta = torch.tensor(values, requires_grad=True)
        q = law(theta)
        variance = (x @ q.covariance_matrix * x).sum(-1)
        value = likelihood.expected_log_prob(x @ q.mean, variance, y).sum()
        value = value - torch.distributions.kl_divergence(q, prior)
        (slope,) = torch.autograd.grad(-value, theta)
        return -float(value.detach()), slope.numpy()

    found = minimize(loss, np.zeros(5), jac=True, method="BFGS", options={"gtol": 1e-8})
    return law(torch.tensor(found.x))


@every_likelihood
@pytest.mark.parametrize("sd", [0.5, 3.0])
def test_own_posteriors_are_the_best_gaussians(kind: str, sd: float) -> None:
    """(5.15): the fixed point is where the ELBO is greatest, by direct maximisation."""
    task = torch.arange(2).repeat_interleave(12)
    x = torch.randn(24, 2)
    y, likelihood = outcomes(kind, x), LIKELIHOODS[kind]()
    prior = MultivariateNormal(torch.zeros(2), sd**2 * torch.eye(2))
    model = vmtl.MultiTaskELBO(
        likelihood,
        vmtl.GaussianWeights(2, (2,)),
        task_sizes=[12, 12],
        base_prior=prior,
        transfer=None,
        sources="own",
    ).double()
    vmtl.fit(model, x, y, task, progress=False, tolerance=1e-9)
    found = model.source_weights()
    for t in range(2):
        best = best_gaussian(likelihood, x[task == t], y[task == t], sd)
        torch.testing.assert_close(found.mean[t], best.mean, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            found.covariance_matrix[t],  # type: ignore[attr-defined]
            best.covariance_matrix,
            rtol=1e-3,
            atol=1e-4,  # type: ignore[attr-defined]
        )


def sites_about(kind: str) -> tuple[Site, Table, Gaussians]:
    """The sites of two tasks about Gaussians that are not their posteriors."""
    task, x = torch.tensor([0, 1, 0, 1, 1]), torch.randn(5, 2)
    q = Gaussians(torch.randn(2, 1, 2), torch.eye(2).expand(2, 1, 2, 2) * 0.7)
    one = LIKELIHOODS[kind]()
    table = Table(x, outcomes(kind, x), task, [one, one], 1, torch.zeros(1))
    site = table.expand(q)
    assert site is not None
    return site, table, q


@every_likelihood
def test_sites_are_expected_derivatives(kind: str) -> None:
    """(5.15): A = -sum E l'' xx', b = sum E l' x + A m, by a million draws' worth of nodes."""
    site, table, q = sites_about(kind)
    (part,) = table.parts
    u, step = torch.linspace(-9, 9, 4001), 18 / 4000
    weight = (-0.5 * u * u).exp() * step / math.sqrt(2 * math.pi)
    for t in range(2):
        rows = part.rows.task == t
        x, y = part.rows.x[rows], part.y[rows]
        sd = (x @ q.covariance[t, 0] * x).sum(-1, keepdim=True).sqrt()
        eta = (x @ q.loc[t, 0]).unsqueeze(-1) + sd * u
        rate = eta.sigmoid() if kind == "labels" else eta.exp()
        slope = ((y.unsqueeze(-1) - rate) * weight).sum(-1)
        bend = ((rate * (1 - rate) if kind == "labels" else rate) * weight).sum(-1)
        precision = (x.T * bend) @ x
        torch.testing.assert_close(site.precision[t, 0], precision, rtol=1e-7, atol=1e-9)
        natural = x.T @ slope + precision @ q.loc[t, 0]
        torch.testing.assert_close(site.natural[t, 0], natural, rtol=1e-7, atol=1e-9)


@every_likelihood
def test_site_has_the_value_of_the_likelihood(kind: str) -> None:
    """The constant c: under the q that it was made about, site and log likelihood agree."""
    site, table, q = sites_about(kind)
    torch.testing.assert_close(site.expected(q), table.log_likelihood(q, torch.zeros(2)))


@every_likelihood
@pytest.mark.parametrize("sd", [3.0, 10.0])
def test_wide_priors_converge(kind: str, sd: float) -> None:
    """Damped renewals of (5.15) reach a fixed point where full steps may swing for ever."""
    task = torch.arange(4).repeat_interleave(6)
    x = torch.randn(24, 2)
    y, one = outcomes(kind, x, sharp=2.0), LIKELIHOODS[kind]()
    table = Table(x, y, task, [one] * 4, 1, torch.zeros(1))
    prior = torch.zeros(1, 2), sd * torch.eye(2)[None]
    start = Gaussians(torch.zeros(4, 1, 2), (sd**2 * torch.eye(2)).expand(4, 1, 2, 2))
    expansion = Expansion(table, start)
    _, found = expansion.settle(torch.zeros(4), prior, 1e-12, most=300)
    fresh = table.expand(found.gaussians())
    assert fresh is not None
    again = evidence.update(fresh.precision, fresh.natural, *prior)
    torch.testing.assert_close(again.loc, found.loc, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        again.gaussians().covariance, found.gaussians().covariance, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("count", [0.0, 5000.0])
def test_counts_far_from_their_prior(count: float) -> None:
    """Renewals begin about the counts: from the prior's log rate they would overshoot."""
    task, y = torch.arange(2).repeat_interleave(6), torch.full((12,), count)
    prior = MultivariateNormal(torch.zeros(1), 100.0 * torch.eye(1))
    model = vmtl.MultiTaskELBO(
        vmtl.LinearPoisson(),
        vmtl.GaussianWeights(2, (1,)),
        task_sizes=[6, 6],
        base_prior=prior,
        transfer=None,
        sources="own",
    ).double()
    vmtl.fit(model, torch.ones(12, 1), y, task, progress=False)
    found = model.source_weights()
    if count:
        torch.testing.assert_close(
            found.mean[:, 0], torch.tensor(count).log().expand(2), rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(
            found.stddev[:, 0] ** -2, torch.tensor(6 * count).expand(2), rtol=1e-3, atol=0
        )
    else:
        assert bool((found.mean < -3).all() and (found.stddev > 1).all())


def elbo(table: Table, expansion: Expansion, prior: tuple[Tensor, Tensor]) -> Tensor:
    """The ELBO of each task at the posterior under the present sites, by its two terms."""
    site = table.site(torch.zeros(table.tasks), expansion.other)
    q = evidence.update(site.precision, site.natural, *prior).gaussians()
    laws = MultivariateNormal(q.loc[:, 0], q.covariance[:, 0])
    anchor = MultivariateNormal(prior[0][0], prior[1][0] @ prior[1][0].mT)
    return table.log_likelihood(q, torch.zeros(table.tasks)) - torch.distributions.kl_divergence(
        laws, anchor
    )


@every_likelihood
def test_renewals_raise_every_task(kind: str) -> None:
    """A step that lowers a task's ELBO is taken back."""
    task = torch.arange(3).repeat_interleave(8)
    x = torch.randn(24, 2)
    one = LIKELIHOODS[kind]()
    table = Table(x, outcomes(kind, x), task, [one] * 3, 1, torch.zeros(1))
    prior = torch.zeros(1, 2), 3.0 * torch.eye(2)[None]
    expansion = Expansion(table, Gaussians(torch.zeros(3, 1, 2), torch.eye(2).expand(3, 1, 2, 2)))
    values = []
    for _ in range(6):
        expansion.settle(torch.zeros(3), prior, 1e-12, most=4)
        values.append(elbo(table, expansion, prior))
    for before, after in pairwise(values[1:]):
        assert bool((after >= before - 1e-6).all())
