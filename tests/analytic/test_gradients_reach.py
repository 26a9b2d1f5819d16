"""Who gets a gradient, who gets none, and which posteriors speak."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace, Normal, kl_divergence

import vmtl_core as vmtl
from tests.watched import Sealed

TASK = torch.tensor([0, 1, 2, 0, 1, 2, 1])
X = torch.linspace(-1, 1, 14, dtype=torch.float64).reshape(7, 2)
Y = torch.linspace(0, 2, 7, dtype=torch.float64)
SIZES = [2, 3, 2]


def model(**options: Any) -> Any:
    """Own and current posteriors far from each other and from task to task."""
    weights = vmtl.GaussianWeights(3, (2,), covariance="diagonal")
    made = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), weights, task_sizes=SIZES, **({"sources": "own"} | options)
    )
    with torch.no_grad():
        for bundle, start in ((made.posteriors, 0.0), (made.own, 5.0)):
            if bundle is not None:
                bundle.weights.loc.copy_(start + torch.arange(6.0).reshape(3, 2) / 4)
    return made


def gradient(value: Tensor, parameter: Tensor) -> Tensor:
    found = torch.autograd.grad(value.sum(), parameter, retain_graph=True, allow_unused=True)[0]
    return torch.zeros_like(parameter) if found is None else found


@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
@pytest.mark.parametrize("transfer", [None, "learned", "stationary"])
def test_a_base_prior_of_the_users_own(sources: str, transfer: str | None) -> None:
    """(2.4) a given p_0 that carries parameters gets their gradient from the mixture, "own" or not."""
    loc = torch.zeros(2, requires_grad=True)
    base = Independent(Normal(loc, torch.ones(2)), 1)
    made = model(sources=sources, base_prior=base, transfer=transfer)
    assert gradient(made(X, Y, TASK).kl_weights, loc).any()


@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
def test_a_learned_base_prior(sources: str) -> None:
    """(5.5) fitted by the own-data posteriors where there are any, else by the mixture."""
    made = model(sources=sources)
    terms = made(X, Y, TASK)
    for parameter in (made.prior.base.loc, made.prior.base.log_scale):
        assert bool(gradient(terms.kl_weights, parameter).any()) == (sources != "own")
        assert gradient(terms.elbo, parameter).any()


def test_a_base_prior_that_cannot_be_rebuilt() -> None:
    """(2.4) nothing needs to rebuild a given one, and its KL is sampled."""
    base = Independent(Sealed(torch.zeros(2), torch.ones(2)), 1)
    terms = model(base_prior=base, transfer=None)(X, Y, TASK)
    assert torch.isfinite(torch.stack([terms.kl_weights, terms.own_elbo])).all()


def by_hand(q: Distribution, parts: Distribution, log_weights: Tensor) -> Tensor:
    """phi from one KL after the other."""
    kl = torch.stack(
        [
            torch.stack(
                [
                    kl_divergence(Normal(q.mean[t], q.stddev[t]), Normal(mean, sd)).sum()
                    for mean, sd in zip(parts.mean, parts.stddev)
                ]
            )
            for t in range(3)
        ]
    )
    return torch.softmax(log_weights - kl, -1)


@pytest.mark.parametrize("sources", ["own", "previous"])
def test_responsibilities(sources: str) -> None:
    """(4.5) from the posteriors that the prior is made of, without a graph."""
    made = model(sources=sources, base_prior="standard", transfer="learned")
    with torch.no_grad():
        made.prior.log_width.fill_(math.log(3.0))
    own = (made.posteriors if sources == "previous" else made.own).weights()
    parts = Normal(
        torch.cat([own.mean, torch.zeros(1, 2)]),
        torch.cat([(own.variance + 9).sqrt(), torch.ones(1, 2)]),
    )
    phi = made.responsibilities()
    wanted = by_hand(made.q_weights(), parts, made.alpha().log())
    torch.testing.assert_close(phi, wanted)
    assert (phi[:, 3] > 1e-6).all()
    torch.testing.assert_close(made.source_weights().mean, own.mean)
    torch.testing.assert_close(made.weights_prior().component_distribution.mean[0], parts.mean)


def test_what_is_asked_of_a_fitted_model_keeps_no_graph() -> None:
    """(4.5), (6.2) maps, priors and predictions are results, not steps of a fit."""
    encoder = vmtl.GaussianEncoder(3, 2, 2)
    made = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(3, (2,)),
        encoder,
        task_sizes=SIZES,
        sources="own",
    )
    found = {
        "alpha": made.alpha(),
        "beta": made.beta(),
        "responsibilities": made.responsibilities(),
        "sources": made.source_weights().stddev,
        "prior": made.weights_prior().log_prob(torch.zeros(3, 2)),
        "predictive": vmtl.predictive(made, X, TASK).mean,
        "log_prob": vmtl.predictive(made, X, TASK).log_prob(Y),
    }
    assert [name for name, value in found.items() if value.requires_grad] == []
    assert made(X, Y, TASK).elbo.requires_grad


@pytest.mark.parametrize("event", ["vector", "matrix"])
def test_prediction_is_of_the_shared_posteriors(event: str) -> None:
    """(6.2) with own sources, the default, q(w|D_t) predicts and not the own-data posterior."""
    made = model()
    with torch.no_grad():
        made.posteriors.weights.log_scale.fill_(-20.0)
        made.own.weights.log_scale.fill_(-20.0)
    x = X if event == "vector" else X.clone()
    found = vmtl.predictive(made, x, TASK)
    wanted = (x * made.posteriors.weights.loc[TASK]).sum(-1)
    torch.testing.assert_close(found.mean, wanted.detach(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.variance, torch.ones(7), atol=1e-6, rtol=0)


def test_sources_without_a_path() -> None:
    """(6.2) weights without a reparameterised sampler predict, and are refused in the objective."""
    rows = torch.distributions.Categorical(logits=torch.zeros(3, 2))
    parts = Normal(torch.tensor([[1.0, 2.0]] * 3), 1e-6)
    q = torch.distributions.MixtureSameFamily(rows, parts)
    made = vmtl.MultiTaskELBO(
        lambda z, w: Laplace(z[..., 0] * w, 1.0), lambda: q, task_sizes=SIZES, sources="joint",
        base_prior=None, transfer=None,
    )  # fmt: skip
    draws = vmtl.predictive(made, torch.ones(3, 1), torch.arange(3), weight_samples=400).mean
    torch.testing.assert_close(draws, torch.full((3,), 1.5), atol=0.2, rtol=0)
    with pytest.raises(ValueError, match="`weights` must have a reparameterised sampler"):
        made(X[:, :1], Y, TASK)
