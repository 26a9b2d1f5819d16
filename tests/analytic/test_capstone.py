"""The steps of chapter 5's closed-form fit, each against algebra or finite differences."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import vmtl_core as vmtl
from tests.stats import assert_mean
from vmtl_core import closed_form
from vmtl_core.averaging import _gain
from vmtl_core.evidence import Gaussians, update
from vmtl_core.hyperposterior import collapsed
from vmtl_core.likelihoods import exact_log_likelihood
from vmtl_core.mixture import components, product
from vmtl_core.sites import Table
from vmtl_core.units import Units, design, measure

TASK = torch.arange(4).repeat_interleave(5)


def covariances(*shape: int) -> Tensor:
    root = torch.randn(*shape, shape[-1])
    return root @ root.mT + 0.3 * torch.eye(shape[-1])


def a_fit(inputs: int = 2, **options: Any) -> tuple[closed_form.Setting, Any]:
    """A closed-form fit of four small regressions, some sweeps in."""
    torch.manual_seed(2)
    x, weights = torch.randn(20, inputs), 0.5 + torch.randn(4, inputs)
    y = (x * weights[TASK]).sum(1) + 0.4 * torch.randn(20)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(4, (inputs,)),
        task_sizes=[5] * 4,
        **({"sources": "own"} | options),
    ).double()
    found = closed_form.setting(model, x, y, TASK, 1.0, 0)
    ascent = closed_form.begin(model, found, 1e-9, 0)
    for _ in range(3):
        ascent.sweep()
    return found, ascent


def test_expected_log_likelihood_of_a_row() -> None:
    """(5.12) of our Gaussian, against draws of the predictor."""
    torch.manual_seed(0)
    mean, variance, y = torch.randn(3), torch.rand(3), torch.randn(3)
    likelihood, task = vmtl.LinearGaussian(0.7).double(), torch.zeros(3).long()
    by_hand = Normal(mean, 0.7).log_prob(y) - variance / (2 * 0.7**2)
    x, w = torch.zeros(3, 1), torch.zeros(1, 1, 3, 1)
    found = exact_log_likelihood(likelihood, x, w, (mean, variance), y, task)
    torch.testing.assert_close(found, by_hand)
    eta = mean + variance.sqrt() * torch.randn(20_000, 3)
    assert_mean(Normal(eta, 0.7).log_prob(y), found)


def test_standard_units() -> None:
    """(5.13): standard weights u predict a + b u'(standardised x), the same as w = o + B u."""
    torch.manual_seed(0)
    x, u = 3 + 2 * torch.randn(30, 2), torch.randn(3)
    y = 10 + 5 * torch.randn(30)
    found = measure(design(x, 3), y, [vmtl.LinearGaussian()], 1, centre=True)
    units = Units()
    units.set(found.basis, found.offset, x)
    w = units.to_data(MultivariateNormal(u[None], torch.eye(3)[None]))
    standard = (x - x.mean(0)) / x.std(0, correction=0)
    wanted = y.mean() + y.std(correction=0) * (standard @ u[:2] + u[2])
    torch.testing.assert_close(design(x, 3) @ w.mean[0], wanted)
    torch.testing.assert_close(w.covariance_matrix[0], found.basis[0] @ found.basis[0].mT)  # type: ignore[attr-defined]
    torch.testing.assert_close(units.to_standard(w).mean[0], u)


def test_precisions_add() -> None:
    """(5.14) by dense algebra."""
    torch.manual_seed(0)
    site, natural, mean = covariances(3, 1, 2, 2)[..., 0, :, :], torch.randn(3, 2), torch.randn(2)
    prior = covariances(2)
    found = update(site, natural, mean, torch.linalg.cholesky(prior)).gaussians()
    covariance = torch.linalg.inv(site + torch.linalg.inv(prior))
    right = natural + torch.linalg.solve(prior, mean)
    torch.testing.assert_close(found.covariance, covariance)
    torch.testing.assert_close(found.loc, (covariance @ right.unsqueeze(-1)).squeeze(-1))


def test_sites_are_natural_gradients() -> None:
    """(5.15): A = -2 dF/dV and b = dF/dm + A m of a logistic regression's F."""
    torch.manual_seed(0)
    x, y = torch.randn(20, 2), torch.randint(2, (20,)).double()
    likelihood = vmtl.LinearBernoulli()
    table = Table(x, y, TASK, [likelihood] * 4, 1, torch.zeros(1))
    loc, covariance = torch.randn(4, 2), covariances(4, 2)
    site = table.expand(Gaussians(loc.unsqueeze(1), covariance.unsqueeze(1)))
    assert site is not None
    m, v = loc.requires_grad_(), covariance.requires_grad_()
    mean = (x * m[TASK]).sum(1)
    variance = torch.einsum("nd,nde,ne->n", x, v[TASK], x)
    total = likelihood.expected_log_prob(mean, variance, y).sum()
    slope, curvature = torch.autograd.grad(total, (m, v))
    precision = -2 * curvature
    torch.testing.assert_close(site.precision.squeeze(1), precision)
    natural = slope + (precision @ loc.detach().unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(site.natural.squeeze(1), natural)


def test_the_product_is_the_best_prior() -> None:
    """(5.16): sum_k phi_k KL(q || p_k) = KL(q || product / Z) - log Z for any q."""
    torch.manual_seed(0)
    phi = torch.rand(3, 4)
    phi = phi / phi.sum(1, keepdim=True)
    loc, covariance = torch.randn(4, 2), covariances(4, 2)
    parts = components(Gaussians(loc.unsqueeze(1), covariance.unsqueeze(1)))
    found = product(phi, parts, None)
    q = MultivariateNormal(torch.randn(3, 2), covariances(3, 2))
    each = kl_divergence(q.expand((4, 3)), MultivariateNormal(loc[:, None], covariance[:, None]))
    prior = MultivariateNormal(found.loc[:, 0], (found.factor @ found.factor.mT)[:, 0])
    wanted = (phi.mT * each).sum(0)
    torch.testing.assert_close(kl_divergence(q, prior) - found.log_mass, wanted)


def test_evidence_of_hyperparameters() -> None:
    """(5.17): with Gaussian noise all targets are jointly Gaussian given sigma and s_0."""
    found, ascent = a_fit(inputs=1)
    table, own = found.problem.table, ascent.own
    torch.manual_seed(2)
    x, weights = torch.randn(20, 1), 0.5 + torch.randn(4, 1)
    y = (x * weights[TASK]).sum(1) + 0.4 * torch.randn(20)
    scale, spread = y.square().mean().sqrt(), x.square().mean().sqrt()
    x, y = x[:, 0] / spread, y / scale
    noise, log_sd = torch.tensor([[-0.3], [0.2]]), torch.tensor([[[-0.5]], [[0.4]]])
    value = collapsed(table, own, noise, log_sd).log_evidence
    for k in range(2):
        same = (TASK[:, None] == TASK).double()
        covariance = torch.outer(x, x) * (0.5 + (2 * log_sd[k]).exp() * same)
        covariance = covariance + (2 * noise[k]).exp() * torch.eye(20)
        log_evidence = MultivariateNormal(torch.zeros(20), covariance).log_prob(y)
        s0, sigma = log_sd[k].exp().squeeze(), noise[k].exp().squeeze()
        hyper = torch.distributions.HalfCauchy(1.0).log_prob(s0) + s0.log()
        hyper = hyper + torch.distributions.HalfNormal(1.0).log_prob(sigma) + sigma.log()
        torch.testing.assert_close(value[k], log_evidence - 20 * scale.log() + hyper)


def test_posteriors_move_with_the_population_mean() -> None:
    """(5.18) by differences, at fixed responsibilities; a source moves with m_0 too."""
    _, ascent = a_fit()
    problem, own, state = ascent.problem, ascent.own, ascent.state
    root = own.population.root(own.population.log_sd)
    site = problem.table.site(problem.noise.tasks(state.noise), None)

    def means(m0: Tensor) -> Tensor:
        population = replace(own.population, loc=m0)
        sources = update(own.site.precision, own.site.natural, m0, root).gaussians()
        parts = problem.parts(sources, state.log_width, population)
        prior = product(state.phi.mean(0), parts, None)
        moved = update(site.precision, site.natural, prior.loc, prior.factor)
        state.posterior = moved
        return moved.loc

    start = own.population.loc.clone()
    step = torch.autograd.functional.jacobian(means, start)  # (T, P, D, P, D)
    means(start)
    gain = _gain(problem, own, state, torch.linalg.inv(root @ root.mT))
    torch.testing.assert_close(gain[:, 0], step[:, 0, :, 0])
