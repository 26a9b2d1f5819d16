"""Gradients through the mixing weights: finite in the cold, right by finite differences."""

import math

import pytest
import torch

import vmtl_core as vmtl
from tests.stats import assert_mean, line


@pytest.mark.parametrize("temperature", [1e-3, 1e-2, 1.0, 1e3, math.inf])
@pytest.mark.parametrize("method", ["jensen", "convex", "monte_carlo"])
def test_finite_at_every_temperature(temperature: float, method: str) -> None:
    """(3.3) also at tau = 1e-3, and with -inf on the diagonal."""
    mixing = vmtl.GumbelSoftmaxMixing(4, base=True)
    q = torch.distributions.Normal(torch.randn(4), 0.5)
    p = torch.distributions.Normal(torch.randn(5), 0.5)
    for _ in range(20):
        mixing.logits.grad = None
        log_alpha = mixing.log_weights(temperature)
        vmtl.kl_to_mixture(q, p, log_alpha, method).sum().backward()
        assert mixing.logits.grad is not None
        assert torch.isfinite(mixing.logits.grad).all()
        assert (mixing.logits.grad.diagonal() == 0).all()


@pytest.mark.parametrize("temperature", [0.2, 1.0, 4.0])
def test_gradient_by_finite_differences(temperature: float) -> None:
    """(3.3) of one draw, noise held fixed."""
    logits = torch.randn(3, 4, requires_grad=True)

    def weights(logits: torch.Tensor) -> torch.Tensor:
        return vmtl.gumbel_softmax(logits, temperature, torch.Generator().manual_seed(1))

    assert torch.autograd.gradcheck(weights, (logits,))


def test_gradient_by_hand() -> None:
    """(3.3) d alpha_k / d log pi_j = alpha_k (1[k = j] - alpha_j) / tau."""
    tau, logits = 0.6, torch.tensor([0.2, -0.5, 1.0])

    def draw(logits):
        return vmtl.gumbel_softmax(logits, tau, torch.Generator().manual_seed(3))

    alpha = draw(logits)
    found = torch.autograd.functional.jacobian(draw, logits)
    torch.testing.assert_close(found, (alpha.diag() - torch.outer(alpha, alpha)) / tau)


def test_gradient_of_the_expected_weights() -> None:
    """(3.4) mean of the pathwise gradient = derivative of the quadrature of E[alpha]."""
    tau, log_odds = 0.7, 0.4
    points, step = line(-60, 60, 60_001)
    density = torch.sigmoid(points) * torch.sigmoid(-points)
    inner = torch.sigmoid((log_odds + points) / tau)
    wanted = (inner * (1 - inner) / tau * density).sum() * step
    logits = torch.tensor([log_odds, 0.0]).expand(50_000, 2).clone().requires_grad_()
    alpha = vmtl.gumbel_softmax(logits, tau)[:, 0]
    grad = torch.autograd.grad(alpha.sum(), logits)[0]
    assert_mean(grad[:, 0], wanted)


def test_excluded_entry_gets_no_gradient() -> None:
    """(3.3) -inf logits are exact and leave the others' gradients finite."""
    logits = torch.tensor([0.3, -math.inf, -0.2], requires_grad=True)
    weights = vmtl.gumbel_softmax(logits, 0.5)
    weights[0].backward()
    assert weights[1] == 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1] == 0
