"""The ELBO against the exact evidence and posterior: a Gaussian likelihood, a fixed mixture prior.

Task 0 has unknown w with prior sum_k a_k N(m_k, s_k^2), made of the fixed posteriors of the other
tasks, and y_n ~ N(x_n w, sigma^2). Evidence and posterior are mixtures of Gaussians in closed form.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

import vmtl_core as vmtl
from tests.stats import assert_mean, line

SIGMA = 0.7
# Tasks 1, 2 and 3 are the sources, with weight 1/3 each: tasks 2 and 3 are one component of 2/3.
MEANS, SDS = torch.tensor([-1.0, 1.5, 1.5]), torch.tensor([0.4, 0.8, 0.8])
X = torch.tensor([0.5, -0.3, 0.9, 0.2], dtype=torch.float64)
Y = torch.tensor([0.1, 0.3, -0.2, 0.4], dtype=torch.float64)


def log_evidence() -> Tensor:
    """log sum_k a_k N(y; x m_k, sigma^2 I + s_k^2 x x^T)."""
    covariance = SIGMA**2 * torch.eye(4) + SDS.square()[:, None, None] * torch.outer(X, X)
    each = MultivariateNormal(MEANS[:, None] * X, covariance).log_prob(Y)
    return (each - math.log(3)).logsumexp(0)


def posterior(points: Tensor) -> Tensor:
    """log p(w|D) at the points: each component updated by Bayes, reweighted by its evidence."""
    precision = X.square().sum() / SIGMA**2 + SDS.double() ** -2
    mean = ((X * Y).sum() / SIGMA**2 + MEANS / SDS.double() ** 2) / precision
    covariance = SIGMA**2 * torch.eye(4) + SDS.square()[:, None, None] * torch.outer(X, X)
    weights = MultivariateNormal(MEANS[:, None] * X, covariance).log_prob(Y).log_softmax(0)
    return (weights + Normal(mean, precision**-0.5).log_prob(points[:, None])).logsumexp(-1)


def model(mean: float, sd: float, **options) -> vmtl.MultiTaskELBO:
    """Task 0's q is N(mean, sd^2); the other tasks have one example each that does not matter."""
    weights = vmtl.GaussianWeights(4, (1,), covariance="diagonal")
    with torch.no_grad():
        weights.loc.fill_(mean)
        weights.log_scale.fill_(math.log(sd))
    sources = vmtl.GaussianWeights(4, (1,), covariance="diagonal")
    with torch.no_grad():
        sources.loc[1:, 0] = MEANS
        sources.log_scale[1:, 0] = SDS.log()
    for parameter in sources.parameters():
        parameter.requires_grad_(False)
    plain = {
        "base_prior": None, "transfer": None, "hyperprior": None, "temperature": math.inf,
        "divergence": "monte_carlo", "weight_samples": 400, "divergence_samples": 400,
    }  # fmt: skip
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(SIGMA), weights, task_sizes=[4, 1, 1, 1], sources="own",
        own_weights=sources, **(plain | options),
    )  # fmt: skip


DATA = (
    torch.cat([X, torch.zeros(3, dtype=torch.float64)])[:, None],
    torch.cat([Y, torch.zeros(3, dtype=torch.float64)]),
    torch.tensor([0, 0, 0, 0, 1, 2, 3]),
)


def elbos(mean: float, sd: float, times: int = 200, **options) -> Tensor:
    """Estimates of ELBO_0, (times,)."""
    objective = model(mean, sd, **options)
    terms = [objective(*DATA) for _ in range(times)]
    return torch.stack([t.log_likelihood[0] - t.kl_weights[0] for t in terms]).detach()


def kl_to_posterior(mean: float, sd: float) -> Tensor:
    points, step = line(-12, 12, 6001)
    log_q = Normal(mean, sd).log_prob(points)
    return torch.where(log_q > -700, log_q.exp() * (log_q - posterior(points)), 0.0).sum() * step


QS = [(0.0, 0.5), (-0.8, 0.4), (0.9, 1.0)]


def test_the_closed_forms_agree() -> None:
    """(5.1) evidence and posterior by quadrature: prior times likelihood, normalised."""
    points, step = line(-12, 12, 6001)
    prior = (Normal(MEANS, SDS).log_prob(points[:, None]) - math.log(3)).logsumexp(-1)
    joint = prior + Normal(points[:, None] * X, SIGMA).log_prob(Y).sum(-1)
    evidence = (joint.exp().sum() * step).log()
    torch.testing.assert_close(log_evidence(), evidence)
    torch.testing.assert_close(posterior(points), joint - evidence, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("expectation", ["exact", "sampled"])
@pytest.mark.parametrize("q", QS, ids=str)
def test_gap_is_the_kl_to_the_posterior(q: tuple[float, float], expectation: str) -> None:
    """(5.1) log p(D) - ELBO = KL(q || p(w|D)), measured; so the ELBO is a lower bound."""
    gap = kl_to_posterior(*q)
    assert gap > 0.01
    assert_mean(elbos(*q, expectation=expectation), log_evidence() - gap, 1e-8)


@pytest.mark.parametrize("q", QS, ids=str)
def test_upper_bounds_of_the_kl_keep_it_a_bound(q: tuple[float, float]) -> None:
    """(4.4), (4.3) in the ELBO: convex <= jensen <= exact ELBO <= log evidence."""
    exact = log_evidence() - kl_to_posterior(*q)
    options = {"weight_samples": 4000, "times": 50}
    jensen, convex = (elbos(*q, divergence=d, **options) for d in ("jensen", "convex"))
    for one in (jensen, convex):
        assert one.mean() + 7 * one.std() / 50**0.5 < log_evidence()
        assert one.mean() - 7 * one.std() / 50**0.5 < exact
    kl = [
        model(*q, divergence=d)(*DATA).kl_weights[0]
        for d in ("lower_bound", "monte_carlo", "jensen", "convex")
    ]
    assert kl[0] < kl[1] + 0.2
    assert kl[2] <= kl[3]


def test_fit_finds_the_best_gaussian() -> None:
    """(5.4) sampled ELBO, fitted: the q that minimises the KL to the exact posterior."""
    fitted = model(0.3, 0.6, weight_samples=50, divergence_samples=50)
    schedule = vmtl.exponential_decay(0.05, 5e-4, 250)
    vmtl.fit(fitted, *DATA, steps=250, lr=schedule, progress=False)
    q = fitted.q_weights()
    mean, sd = q.mean[0, 0].item(), q.stddev[0, 0].item()
    best = kl_to_posterior(mean, sd)
    for d_mean, d_sd in [(0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)]:
        assert best < kl_to_posterior(mean + d_mean, sd + d_sd)


@pytest.mark.parametrize(
    ("options", "atol"),
    [
        ({"method": "adam", "lr": vmtl.exponential_decay(0.05, 3e-4, 350)}, 0.02),
        ({"method": "coordinate"}, 1e-8),
    ],
    ids=["adam", "coordinate"],
)
def test_conjugate_case_is_exact(options: dict[str, Any], atol: float) -> None:
    """(5.1) all prior weight on N(0, 1): fit finds the posterior, and the ELBO is the evidence."""
    weights = vmtl.GaussianWeights(2, (1,))
    alone = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(SIGMA), weights, task_sizes=[4, 1], sources="previous",
        base_prior="standard", transfer=None, hyperprior=None, weight_samples=50,
    )  # fmt: skip
    with torch.no_grad():
        alone.prior.mixing.logits[:, :2] = -1e3
    x = torch.cat([X, torch.ones(1)])[:, None]
    y, task = torch.cat([Y, torch.ones(1)]), torch.tensor([0, 0, 0, 0, 1])
    vmtl.fit(alone, x, y, task, steps=350, progress=False, tolerance=None, **options)
    precision = 1 + torch.stack([X.square().sum(), torch.tensor(1.0)]) / SIGMA**2
    mean = torch.stack([(X * Y).sum(), torch.tensor(1.0)]) / SIGMA**2 / precision
    q = alone.q_weights()
    torch.testing.assert_close(q.mean[:, 0].detach(), mean, atol=atol, rtol=0)
    torch.testing.assert_close(q.stddev[:, 0].detach(), precision**-0.5, atol=atol, rtol=0)
    wanted = torch.stack(
        [
            MultivariateNormal(
                torch.zeros(4), SIGMA**2 * torch.eye(4) + torch.outer(X, X)
            ).log_prob(Y),
            Normal(0.0, (SIGMA**2 + 1) ** 0.5).log_prob(torch.tensor(1.0)),
        ]
    )
    with torch.no_grad():
        weights.loc.copy_(mean[:, None])
        weights.log_scale.copy_(-0.5 * precision.log()[:, None])
        terms = [alone(x, y, task) for _ in range(200)]
    assert_mean(torch.stack([t.log_likelihood - t.kl_weights for t in terms]), wanted, 1e-8)
