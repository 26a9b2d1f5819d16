"""Which posteriors the prior is made of: joint, previous, own; what gradient flows where."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

import vmtl_core as vmtl
from tests.analytic.test_elbo import (
    SIGMA,
    a_model,
    by_jensen,
    gaussian_log_likelihood,
    scattered_encoder,
    scattered_weights,
    sums,
    table,
)
from tests.stats import assert_mean


def own_model(**options: Any) -> Any:
    options = {"sources": "own", "base_prior": "learned", "transfer": "learned"} | options
    model = a_model(scattered_weights(scale=1e-9), **options)
    with torch.no_grad():
        model.own.weights.loc.normal_()
        model.own.weights.log_scale.fill_(math.log(1e-9))
        if model.prior.base is not None:
            model.prior.base.loc.copy_(torch.tensor([0.3, -0.2]))
            model.prior.base.log_scale.copy_(torch.tensor([-0.4, 0.5]))
    return model


def gradient(value: Tensor, parameter: Tensor) -> Tensor:
    if not parameter.requires_grad:
        return torch.zeros_like(parameter)
    found = torch.autograd.grad(value.sum(), parameter, retain_graph=True, allow_unused=True)[0]
    return torch.zeros_like(parameter) if found is None else found


def test_own_elbo_by_hand() -> None:
    """(5.5) own data under p_0: sum of E log p - KL(own q || N(m_0, v_0))."""
    x, y, task = table()
    model = own_model()
    q, base = model.source_weights(), model.prior.base()
    anchor = Independent(Normal(base.mean[0], base.stddev[0]), 1)
    kl = torch.stack(
        [kl_divergence(Independent(Normal(q.mean[t], q.stddev[t]), 1), anchor) for t in range(3)]
    )
    wanted = sums(gaussian_log_likelihood(q, x, y, task), task) - kl
    torch.testing.assert_close(model(x, y, task).own_elbo, wanted, rtol=1e-6, atol=1e-6)


def test_own_elbo_without_a_base_prior() -> None:
    """(5.5) the anchor is N(0, I) then."""
    x, y, task = table()
    model = own_model(base_prior=None)
    q = model.source_weights()
    kl = (0.5 * (q.variance + q.mean.square() - 1) - q.stddev.log()).sum(-1)
    wanted = sums(gaussian_log_likelihood(q, x, y, task), task) - kl
    torch.testing.assert_close(model(x, y, task).own_elbo, wanted, rtol=1e-6, atol=1e-6)


def test_own_elbo_with_latents() -> None:
    """(5.5) minus the KL of every row's encoding to N(0, I)."""
    x, y, task = table()
    model = own_model(latents=scattered_encoder(), base_prior=None)
    samples = [model(x, y, task).own_elbo.detach() for _ in range(200)]
    q, z = model.source_weights(), model.own.latents(x)
    rows = torch.arange(9)
    mean, variance = z.mean[task, rows], z.variance[task, rows]
    w = q.mean[task]
    residual = (y - (mean * w).sum(-1)).square() + (variance * w.square()).sum(-1)
    log_p = -0.5 * residual / SIGMA**2 - 0.5 * math.log(2 * math.pi * SIGMA**2)
    kl_z = (0.5 * (variance + mean.square() - 1) - 0.5 * variance.log()).sum(-1)
    kl_w = (0.5 * (q.variance + q.mean.square() - 1) - q.stddev.log()).sum(-1)
    assert_mean(torch.stack(samples), (sums(log_p - kl_z, task) - kl_w).detach(), 1e-6)


def test_prior_of_own_sources_uses_them() -> None:
    """(2.4) KL of q(w_t) to the own-data posteriors of the others, not to their current q."""
    x, y, task = table()
    model = a_model(sources="own")
    with torch.no_grad():
        model.own.weights.loc.add_(1.0)
    wanted = by_jensen(model.q_weights(), model.source_weights())
    torch.testing.assert_close(model(x, y, task).kl_weights, wanted)
    assert not torch.allclose(by_jensen(model.q_weights(), model.q_weights()), wanted)


def test_own_sources_get_no_gradient_from_the_prior() -> None:
    """(5.5) own posteriors are fitted by their own data alone, and p_0 by them; delta and alpha by all."""
    x, y, task = table()
    model = own_model(latents=scattered_encoder(), temperature=0.7)
    terms = model(x, y, task)
    multi_task = terms.log_likelihood - terms.kl_weights - terms.kl_latents
    for parameter in model.own.parameters():
        assert not gradient(multi_task, parameter).any()
        if parameter.requires_grad:
            assert gradient(terms.own_elbo, parameter).any()
    for parameter in model.posteriors.parameters():
        assert not gradient(terms.own_elbo, parameter).any()
    prior = model.prior
    for parameter in (prior.mixing.logits, prior.log_width):
        assert gradient(terms.kl_weights, parameter).any()
    for parameter in (prior.base.loc, prior.base.log_scale):
        assert gradient(terms.own_elbo, parameter).any()
        assert not gradient(terms.kl_weights, parameter).any()
    assert not gradient(terms.own_elbo, prior.log_width).any()


def test_objective_carries_the_gradient_of_own_elbo_and_not_its_value() -> None:
    """(5.4) value without own_elbo; gradient of the mean of own_elbo."""
    x, y, task = table()
    model = own_model()
    terms = model(x, y, task)
    value = (terms.log_likelihood - terms.kl_weights).mean() + terms.hyperprior
    torch.testing.assert_close(terms.elbo, value)
    for parameter in (model.own.weights.loc, model.prior.base.loc):
        wanted = gradient(value, parameter) + gradient(terms.own_elbo.mean(), parameter)
        torch.testing.assert_close(gradient(terms.elbo, parameter), wanted)


@pytest.mark.parametrize("sources", ["joint", "previous", "own"])
def test_gradient_of_the_kl_in_the_sources(sources: str) -> None:
    """(5.1) task 0's KL pulls at task 1's posterior with "joint" only."""
    x, y, task = table()
    model = a_model(sources=sources)
    kl = model(x, y, task).kl_weights
    pull = gradient(kl[0], model.posteriors.weights.loc)
    assert pull[0].any()
    assert bool(pull[1].any()) == (sources == "joint")


def test_joint_gradient_by_hand() -> None:
    """(5.1) two tasks: d KL(q_0 || q_1) / d m_1 = (m_1 - m_0) / v_1, on top of task 1's own."""
    weights = scattered_weights(2)
    x, y, task = torch.randn(4, 2), torch.randn(4), torch.tensor([0, 0, 1, 1])
    m, v = weights.loc.detach(), (2 * weights.log_scale.detach()).exp()
    for sources, both in (("joint", True), ("previous", False)):
        model = a_model(weights, sources=sources, task_sizes=[2, 2])
        found = gradient(model(x, y, task).kl_weights, weights.loc)
        received = torch.stack([(m[0] - m[1]) / v[1], (m[1] - m[0]) / v[0]])
        given = torch.stack([(m[0] - m[1]) / v[0], (m[1] - m[0]) / v[1]])
        torch.testing.assert_close(found, received + given if both else received)


def test_own_likelihood_is_a_copy() -> None:
    """(5.5) own-data posteriors have a noise scale of their own."""
    x, y, task = table()
    model = a_model(scattered_weights(), vmtl.LinearGaussian(), sources="own")
    shared, own = model.posteriors.likelihood.log_scale, model.own.likelihood.log_scale
    assert shared is not own
    terms = model(x, y, task)
    assert gradient(terms.own_elbo, own).any()
    assert not gradient(terms.own_elbo, shared).any()
    assert not gradient(terms.log_likelihood, own).any()


def test_given_own_weights() -> None:
    """(5.5) sources of the user's own making are taken as they are."""
    x, y, task = table()
    given = [Normal(torch.tensor(float(t)), torch.tensor(0.5 + t)) for t in range(3)]
    weights = vmtl.GaussianWeights(3, ())
    model = a_model(
        weights, lambda z, w: Normal(z[..., 0] * w, 1.0), sources="own", own_weights=given
    )
    q = model.q_weights()
    kl = torch.stack([kl_divergence(q, one) for one in given], -1)
    wanted = [
        -torch.stack([-kl[t, k] for k in range(3) if k != t]).exp().mean().log() for t in range(3)
    ]
    torch.testing.assert_close(model(x, y, task).kl_weights, torch.stack(wanted))
    with pytest.raises(ValueError, match="own_weights"):
        a_model(given, vmtl.LinearGaussian(1.0), sources="own")
