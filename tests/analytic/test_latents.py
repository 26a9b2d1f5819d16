"""The prior of the latents: a mixture of the other tasks' encodings of the same row."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

import vmtl_core as vmtl
from tests.analytic.test_elbo import a_model, scattered_encoder, scattered_weights, sums, table


def row(q, t: int, n: int) -> Independent:
    return Independent(Normal(q.mean[t, n], q.stddev[t, n]), 1)


def kl_by_hand(q, sources, task: Tensor, base: bool) -> Tensor:
    """-log mean_k exp(-KL) of every row over the other tasks, and N(0, I) with `base`."""
    rows = []
    for n, t in enumerate(task.tolist()):
        components = [row(sources, k, n) for k in range(3) if k != t]
        if base:
            components.append(Independent(Normal(torch.zeros(2), torch.ones(2)), 1))
        kl = torch.stack([kl_divergence(row(q, t, n), p) for p in components])
        rows.append(math.log(len(kl)) - (-kl).logsumexp(0))
    return torch.stack(rows)


@pytest.mark.parametrize("base", [False, True], ids=["mixture", "with N(0, I)"])
@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
def test_kl_of_the_latents(sources: str, base: bool) -> None:
    """(5.1e), (5.1) row by row: receiver is the row's task, sources encode the same row."""
    x, y, task = table()
    base_prior = "standard" if base else None
    model = a_model(latents=scattered_encoder(), sources=sources, base_prior=base_prior)
    if sources == "own":
        with torch.no_grad():
            for parameter in model.own.latents.parameters():
                parameter.mul_(0.5)
    made_of = (model.posteriors if sources != "own" else model.own).latents(x)
    wanted = kl_by_hand(model.posteriors.latents(x), made_of, task, base)
    torch.testing.assert_close(model(x, y, task).kl_latents, sums(wanted, task))


def test_beta_for_the_latents_and_alpha_for_the_weights() -> None:
    """(5.1e) two parameters: one-hot alpha and one-hot beta that point to different sources."""
    x, y, task = table()
    model = a_model(latents=scattered_encoder(), temperature=1e-3)
    to_w, to_z = torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])
    with torch.no_grad():
        model.prior.mixing.logits[torch.arange(3), to_w] = 500.0
        model.latent_mixing.logits[torch.arange(3), to_z] = 500.0
    torch.testing.assert_close(model.alpha(), torch.eye(3)[to_w])
    torch.testing.assert_close(model.beta(), torch.eye(3)[to_z])
    terms, q = model(x, y, task), model.posteriors.latents(x)
    kl_w = vmtl.pairwise_kl(model.q_weights(), model.q_weights())
    torch.testing.assert_close(terms.kl_weights, kl_w[torch.arange(3), to_w])
    rows = [
        kl_divergence(row(q, t, n), row(q, int(to_z[t]), n)) for n, t in enumerate(task.tolist())
    ]
    torch.testing.assert_close(terms.kl_latents, sums(torch.stack(rows), task))


def test_alpha_and_beta_are_learned_apart() -> None:
    """(5.1e) neither's gradient reaches the other."""
    x, y, task = table()
    model = a_model(latents=scattered_encoder(), temperature=0.7)
    terms = model(x, y, task)
    alpha, beta = model.prior.mixing.logits, model.latent_mixing.logits
    assert alpha is not beta
    for term, mine, other in ((terms.kl_weights, alpha, beta), (terms.kl_latents, beta, alpha)):
        assert torch.autograd.grad(term.sum(), mine, retain_graph=True)[0].abs().sum() > 0
        grad = torch.autograd.grad(term.sum(), other, retain_graph=True, allow_unused=True)[0]
        assert grad is None or not grad.any()


def test_no_latents_no_beta() -> None:
    """(5.1e) z = x: the KL of the latents is zero and beta is refused."""
    model, (x, y, task) = a_model(scattered_weights()), table()
    assert not model(x, y, task).kl_latents.any()
    with pytest.raises(ValueError, match="needs latents"):
        model.beta()
