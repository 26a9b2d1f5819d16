"""Tasks of which nothing is known: w from the base prior, else from all tasks' posteriors."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Laplace, MultivariateNormal, Normal

import vmtl_core as vmtl
from tests.analytic.points import averaged
from tests.analytic.test_elbo import a_model, scattered_encoder, scattered_weights
from tests.stats import assert_mean

X = torch.tensor([[1.0, 0.5], [-0.3, 2.0], [0.4, 0.4]], dtype=torch.float64)
M0, S0 = torch.tensor([0.7, -1.0]), torch.tensor([0.5, 1.2])


def with_base(likelihood: Any = None, **options: Any) -> Any:
    """A learned population N(m_0, diag s_0^2)."""
    kind = {"sources": "own", "base_prior": "learned"} | options
    model = a_model(scattered_weights(3, 2), likelihood or vmtl.LinearGaussian(0.6), **kind)
    if kind["base_prior"] == "learned":
        with torch.no_grad():
            model.prior.base.loc.copy_(M0)
            model.prior.base.log_scale.copy_(S0.log())
    return model


def exact() -> Normal:
    """y ~ N(x m_0, x V_0 x + sigma^2)."""
    return Normal(X @ M0.double(), (X.square() @ S0.double().square() + 0.36).sqrt())


@pytest.mark.parametrize("task", [None, torch.tensor([3, 9, 3])], ids=["no task", "new ids"])
def test_closed_form(task: Tensor | None) -> None:
    """(6.1) the base prior in the place of the posterior."""
    p, y = vmtl.predictive(with_base(), X, task), torch.tensor([0.0, 1.0, -1.0])
    torch.testing.assert_close(p.log_prob(y), exact().log_prob(y))
    torch.testing.assert_close(p.mean, exact().mean)
    torch.testing.assert_close(p.variance, exact().variance)


def test_beside_known_tasks() -> None:
    """(6.1) known and unseen tasks in one table, each row as if alone."""
    model, task = with_base(), torch.tensor([1, 7, 2])
    p = vmtl.predictive(model, X, task)
    alone = [vmtl.predictive(model, X[i : i + 1], task[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(p.mean, torch.cat([one.mean for one in alone]))
    torch.testing.assert_close(p.variance, torch.cat([one.variance for one in alone]))


@pytest.mark.parametrize("ids", [[3, 3], [3, 4]], ids=["one", "two"])
def test_rows_of_one_unseen_task_share_their_weights(ids: list[int]) -> None:
    """(6.1) rows covary if they have the same unseen id."""
    x = X[:2]
    centred = (
        vmtl.predictive(with_base(), x, torch.tensor(ids)).sample((20_000,)) - exact().mean[:2]
    )
    shared = (x[0] * S0.double().square() * x[1]).sum().item()
    assert_mean(centred.prod(1), shared if ids[0] == ids[1] else 0.0)
    assert_mean(centred.square(), exact().variance[:2])


def test_over_points() -> None:
    """(6.1) the base prior at each point; noise variance is the tasks' mean there."""
    model, points = averaged(vmtl.LinearGaussian())
    p, y = vmtl.predictive(model, X), torch.tensor([0.0, 1.0, -1.0])
    density = torch.zeros(3)
    for k in range(3):
        factor = points.base_scale_tril[k, 0]
        variance = (X @ factor).square().sum(-1) + points.noise[k].square().mean()
        at = Normal(X @ points.base_loc[k, 0], variance.sqrt())
        density += points.log_weights[k].exp() * at.log_prob(y).exp()
    torch.testing.assert_close(p.log_prob(y), density.log())


@pytest.mark.parametrize("transfer", [None, 0.7])
def test_without_a_base_prior(transfer: float | None) -> None:
    """(6.1) any of the tasks' posteriors, equally likely, widened."""
    model = with_base(base_prior=None, transfer=transfer)
    p, q = vmtl.predictive(model, X), model.q_weights()
    y = torch.tensor([0.0, 1.0, -1.0])
    variance = q.variance + (transfer or 0.0) ** 2
    density = torch.zeros(3)
    for t in range(3):
        sd = (X.square() @ variance[t] + 0.36).sqrt()
        density += Normal(X @ q.mean[t], sd).log_prob(y).exp().detach() / 3
    torch.testing.assert_close(p.log_prob(y), density.log())
    draws = p.sample((20_000,))
    assert_mean(draws, p.mean)
    assert_mean((draws - p.mean).square(), p.variance)


def test_labels() -> None:
    """(6.1) the averaged probability under the base prior, by samples."""
    p = vmtl.predictive(with_base(vmtl.LinearBernoulli()), X)
    w = M0 + S0 * torch.randn(200_000, 2)
    assert_mean((w @ X.T).sigmoid(), p.probs)  # type: ignore[attr-defined]


def test_classes_and_functions_are_sampled() -> None:
    """(6.2) w from the base prior for likelihoods without an exact predictive."""
    weights = scattered_weights(3, 2, 3)
    model = a_model(weights, vmtl.LinearCategorical(), sources="own", base_prior="learned")
    with torch.no_grad():
        model.prior.base.loc.copy_(torch.arange(6.0))
        model.prior.base.log_scale.fill_(-20)
    wanted = (X @ torch.arange(6.0).view(2, 3)).softmax(-1)
    torch.testing.assert_close(vmtl.predictive(model, X).probs, wanted)  # type: ignore[attr-defined]

    def plain(z: Tensor, w: Tensor) -> Normal:
        return Normal((z * w).sum(-1), 0.6 * torch.ones(()))

    other = with_base(plain)
    means = [vmtl.predictive(other, X, weight_samples=50).mean for _ in range(100)]
    assert_mean(torch.stack(means), exact().mean)


def test_base_prior_that_is_not_gaussian() -> None:
    """(6.2) known tasks stay exact, unseen ones are sampled."""
    base = Independent(Laplace(M0, S0), 1)
    model = with_base(base_prior=base, transfer=None)
    p = vmtl.predictive(model, X, torch.tensor([0, 5, 5]), weight_samples=11)
    assert isinstance(p, vmtl.PredictiveRows)
    sizes = [part.components.batch_shape for part in p.parts]  # type: ignore[attr-defined]
    assert sizes == [(1, 1, 1), (1, 11, 2)]
    draws = p.sample((20_000,))
    assert_mean(draws, p.mean)


def test_samples_without_a_base_prior() -> None:
    """(6.2) as many samples from each task's posterior, for a function of the user's."""
    weights = scattered_weights(3, 2, scale=1e-9)
    model = a_model(weights, lambda z, w: Normal((z * w).sum(-1), torch.ones(())))
    found = vmtl.predictive(model, X, weight_samples=300).mean
    torch.testing.assert_close(found, (X @ weights.loc.mean(0)).detach(), atol=0.02, rtol=0)


def test_mean_noise_of_a_list() -> None:
    """(6.1) one likelihood for each task: the mean of their noise variances."""
    model = with_base([vmtl.LinearGaussian(s) for s in (0.5, 1.0, 2.0)])
    found = vmtl.predictive(model, X).variance - exact().variance + 0.36
    torch.testing.assert_close(found, torch.full((3,), (0.25 + 1 + 4) / 3))


def test_refused() -> None:
    """Negative ids; unseen tasks of a model with encoders, or of several kinds."""
    with pytest.raises(ValueError, match=r"`task` must hold ids 0...2.*got \[-1\]"):
        vmtl.predictive(with_base(), X, torch.tensor([0, -1, 3]))
    encoders = a_model(scattered_weights(3, 2), latents=scattered_encoder(3))
    for task in (None, torch.tensor([0, 3, 1])):
        with pytest.raises(ValueError, match=r"`task`.*latents.*no encoder.*got \[3\]"):
            vmtl.predictive(encoders, X, task)
    kinds = with_base([vmtl.LinearGaussian(), vmtl.LinearBernoulli(), vmtl.LinearGaussian()])
    with pytest.raises(ValueError, match=r"`task`.*`likelihood`.*LinearBernoulli"):
        vmtl.predictive(kinds, X)


def test_full_covariances() -> None:
    """(6.1) a Gaussian base prior with correlations."""
    factor = torch.tensor([[0.5, 0.0], [0.8, 0.3]])
    base = MultivariateNormal(M0, scale_tril=factor)
    p = vmtl.predictive(with_base(base_prior=base, transfer=None), X)
    torch.testing.assert_close(p.variance, (X @ factor).square().sum(-1) + 0.36)
