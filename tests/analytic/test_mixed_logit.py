"""Mixed logit, full-covariance posteriors and willingness to pay, against quadrature and by hand."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

import vmtl_core as vmtl
from vmtl_core.lab.baselines.mixed_logit import first_negative, fit_mixed_logit, mixed_logit
from vmtl_core.lab.datasets import MultiTaskData, Scaling
from vmtl_core.lab.experiments import rail as comparison


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def choices(tasks: int = 40, each: int = 6, inputs: int = 1) -> MultiTaskData:
    """Logistic regressions without intercept, weights about -1."""
    task = torch.arange(tasks).repeat_interleave(each)
    w = torch.randn(tasks, inputs) - 1
    x = 2 * torch.randn(len(task), inputs)
    y = torch.bernoulli((x * w[task]).sum(1).sigmoid())
    names = tuple(f"t{t}" for t in range(tasks))
    return MultiTaskData(
        x, y, task, names, tuple(f"x{d}" for d in range(inputs)), "y", "made up", "classification"
    )


def evidence(data: MultiTaskData, mean: float, sd: float, lognormal: bool) -> tuple[Tensor, Tensor]:
    """Log evidence of every task and posterior mean of its weight, by quadrature in one dimension."""
    grid = torch.linspace(-8, 8, 4001)
    log_prior = Normal(0.0, 1.0).log_prob(grid) + (grid[1] - grid[0]).log()
    w = mean + sd * grid
    w = -w.exp() if lognormal else w
    probs = (data.x[:, 0, None] * w).sigmoid()
    rows = torch.where(data.y[:, None] == 1, probs, 1 - probs).log()
    joint = log_prior + torch.zeros(data.tasks, len(grid)).index_add(0, data.task, rows)
    total = joint.logsumexp(1)
    return total, (joint - total[:, None]).exp() @ w


@pytest.mark.parametrize("lognormal", [False, True])
def test_simulated_evidence_is_that_of_quadrature(lognormal: bool) -> None:
    """(9.6) the simulated likelihood and the posterior means; (9.9) for a log-normal weight."""
    data = choices()
    fit = fit_mixed_logit(data, negative_first=lognormal, draws=2048)
    mean, sd = fit.mean.item(), fit.factor.item()
    wanted, means = evidence(data, mean, abs(sd), lognormal)
    torch.testing.assert_close(fit.log_evidence, wanted, atol=5e-3, rtol=0)
    torch.testing.assert_close(fit.posterior_mean()[:, 0], means, atol=2e-2, rtol=5e-2)
    for near in ((mean + 0.2, sd), (mean - 0.2, sd), (mean, 1.3 * sd), (mean, 0.7 * sd)):
        other = evidence(data, near[0], abs(near[1]), lognormal)[0].sum()
        assert other < wanted.sum(), "the fit maximises the evidence"


def test_first_weight_is_minus_an_exponential() -> None:
    """(9.9) minus the first weight is log-normal, the others are left alone."""
    w = torch.randn(5, 3)
    found = first_negative(w)
    torch.testing.assert_close((-found[:, 0]).log(), w[:, 0])
    assert torch.equal(found[:, 1:], w[:, 1:])


def test_options_of_the_population() -> None:
    data = choices(inputs=2)
    alone = fit_mixed_logit(data, learn_mean=False, isotropic=True)
    assert not alone.mean.any()
    assert alone.factor[0, 0] == alone.factor[1, 1]
    free = fit_mixed_logit(data, correlated=True)
    assert free.factor[1, 0] != 0
    assert free.log_evidence.sum() > fit_mixed_logit(data).log_evidence.sum()


def test_swapping_the_options_swaps_the_probabilities() -> None:
    """Without intercept p(y|-x) = 1 - p(y|x), for every method of the chapter."""
    data = choices(inputs=2)
    swapped = MultiTaskData(
        -data.x, 1 - data.y, data.task, data.task_names, data.input_names, "y", "", data.kind
    )
    fit = fit_mixed_logit(data)
    first, second = fit.predict(data).probs, fit.predict(swapped).probs
    torch.testing.assert_close(first, second.flip(1))
    torch.testing.assert_close(mixed_logit(data, data).probs, first)
    model = comparison.make_model(data, price="log-normal")
    p, q = comparison.predict(model, data), comparison.predict(model, swapped)
    torch.testing.assert_close(p.probs, 1 - q.probs)


def random_full(batch: int, size: int = 3) -> MultivariateNormal:
    factor = torch.randn(batch, size, size).tril(-1) + torch.diag_embed(
        0.3 + torch.rand(batch, size)
    )
    return MultivariateNormal(torch.randn(batch, size) + 5, scale_tril=factor)


def test_kl_of_full_covariances_is_that_of_torch() -> None:
    """(9.7) all pairs, and each with its own, against torch's own formula."""
    q, p = random_full(4), random_full(5)
    wanted = kl_divergence(q.expand((5, 4)), MultivariateNormal(p.loc[:, None], scale_tril=p.scale_tril[:, None])).T  # fmt: skip
    torch.testing.assert_close(vmtl.pairwise_kl(q, p), wanted)
    torch.testing.assert_close(
        vmtl.pairwise_kl(q, q).diagonal(), torch.zeros(4), atol=1e-10, rtol=0
    )


def test_kl_to_a_diagonal_gaussian() -> None:
    """(9.7) with a diagonal precision."""
    q = random_full(4)
    mean, scale = torch.randn(2, 3), 0.5 + torch.rand(2, 3)
    p = Independent(Normal(mean, scale), 1)
    full = MultivariateNormal(mean, scale_tril=torch.diag_embed(scale))
    torch.testing.assert_close(vmtl.pairwise_kl(q, p), vmtl.pairwise_kl(q, full))


def test_willingness_to_pay_is_in_original_units() -> None:
    """(9.5): weights of scaled inputs for which 15 guilders are worth an hour, 2 a change, 4 a class."""
    unit = torch.tensor([2.0, 5.0, 0.5, 0.25])
    original = torch.tensor([-0.2, -0.2 * 15 / 60, -0.4, -0.8])
    scaling = Scaling(torch.zeros(4), unit, torch.tensor(0.0), torch.tensor(1.0))
    found = comparison.willingness_to_pay(original * unit, scaling)
    torch.testing.assert_close(found, torch.tensor([15.0, 2.0, 4.0]))


def test_mean_of_a_log_normal_ratio() -> None:
    """(9.11) against Gauss-Hermite quadrature in u; given u, b is Gaussian with a known mean."""
    loc, factor = torch.tensor([0.3, -1.0]), torch.tensor([[0.5, 0.0], [0.2, 0.4]])
    covariance = factor @ factor.T
    e = torch.linspace(-10, 10, 20001)
    weight = Normal(0.0, 1.0).log_prob(e).exp() * (e[1] - e[0])
    u, b = loc[0] + factor[0, 0] * e, loc[1] + factor[1, 0] * e
    wanted = (weight * -b * (-u).exp()).sum()
    torch.testing.assert_close(comparison.log_normal_mean(loc, covariance)[0], wanted)
