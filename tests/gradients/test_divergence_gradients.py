"""Gradients of the KL to a mixture: finite differences, unbiasedness, and their variance."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

import vmtl_core as vmtl
from tests.stats import assert_mean, line
from vmtl_core.divergences import CLOSED_FORMS, responsibilities

MEANS = torch.tensor([-2.0, 0.5, 2.0], dtype=torch.float64)
SCALES = torch.tensor([1.0, 0.7, 1.5], dtype=torch.float64)
LOG_WEIGHTS = torch.tensor([0.3, 0.2, 0.5], dtype=torch.float64).log()


def gradient_by_quadrature(loc: float, log_scale: float) -> Tensor:
    """d/d(loc, log_scale) of KL(N || mixture), by autograd through a quadrature."""
    points, step = line(-15, 15, 3001)
    parameters = torch.tensor([loc, log_scale], requires_grad=True)
    log_q = Normal(parameters[0], parameters[1].exp()).log_prob(points)
    log_p = (LOG_WEIGHTS + Normal(MEANS, SCALES).log_prob(points[:, None])).logsumexp(-1)
    kl = (log_q.exp() * (log_q - log_p)).sum() * step
    return torch.autograd.grad(kl, parameters)[0]


def sampled_gradients(loc: float, log_scale: float, stick: bool, times: int = 20_000) -> Tensor:
    """Gradients of one-draw estimates, (times, 2)."""
    parameters = torch.tensor([[loc, log_scale]]).expand(times, 2).clone().requires_grad_()
    q = Normal(parameters[:, 0], parameters[:, 1].exp())
    kl = vmtl.kl_to_mixture(q, Normal(MEANS, SCALES), LOG_WEIGHTS, "monte_carlo", 1, stick)
    return torch.autograd.grad(kl.sum(), parameters)[0]


@pytest.mark.parametrize("stick", [False, True])
@pytest.mark.parametrize("at", [(0.0, 0.0), (1.8, -0.5), (-3.0, 0.5)], ids=str)
def test_sampled_gradient_is_unbiased(at: tuple[float, float], stick: bool) -> None:
    """(4.2) with and without the gradient through q's parameters inside log q."""
    assert_mean(sampled_gradients(*at, stick), gradient_by_quadrature(*at))


def test_sticking_the_landing_has_no_variance_where_q_is_p() -> None:
    """(4.2) at q = p the stopped gradient is zero for every draw; the plain one is not."""
    found = {}
    for stick in (False, True):
        parameters = torch.tensor([[0.4, -0.3]]).expand(5000, 2).clone().requires_grad_()
        q = Normal(parameters[:, 0], parameters[:, 1].exp())
        p = Normal(torch.tensor(0.4), torch.tensor(-0.3).exp())
        kl = vmtl.kl_monte_carlo(q, p, 1, stick)
        found[stick] = torch.autograd.grad(kl.sum(), parameters)[0]
    assert_mean(found[False], 0.0)
    torch.testing.assert_close(found[True], torch.zeros(5000, 2), atol=1e-12, rtol=0)
    assert found[False].var(0).min() > 0.5


def test_sticking_the_landing_has_less_variance_near_the_mixture() -> None:
    """(4.2) near the optimum of the mixture too."""
    at = (0.4, 0.55)
    plain, stuck = (sampled_gradients(*at, stick).var(0) for stick in (False, True))
    assert (stuck < 0.75 * plain).all(), f"{stuck} against {plain}"


@pytest.mark.parametrize("method", CLOSED_FORMS)
def test_closed_forms_by_finite_differences(method: str) -> None:
    """(4.3), (4.4), (4.6), (4.7) gradients in all of q, components and weights."""
    inputs = [
        torch.randn(2, 3),
        torch.rand(2, 3),
        torch.randn(4, 3),
        torch.rand(4, 3),
        torch.randn(2, 4),
    ]

    def value(loc: Tensor, raw: Tensor, locs: Tensor, raws: Tensor, logits: Tensor) -> Tensor:
        q = Independent(Normal(loc, 0.5 + raw), 1)
        p = Independent(Normal(locs, 0.5 + raws), 1)
        return vmtl.kl_to_mixture(q, p, logits.log_softmax(-1), method)

    assert torch.autograd.gradcheck(value, [one.requires_grad_() for one in inputs])


def test_pairwise_by_finite_differences() -> None:
    """(4.8) shared components and components of each receiver; the centre gets no gradient."""
    for lead in ((4,), (2, 4)):
        inputs = [torch.randn(2, 3), torch.rand(2, 3), torch.randn(*lead, 3), torch.rand(*lead, 3)]

        def value(loc: Tensor, raw: Tensor, locs: Tensor, raws: Tensor) -> Tensor:
            q = Independent(Normal(loc, 0.5 + raw), 1)
            return vmtl.pairwise_kl(q, Independent(Normal(locs, 0.5 + raws), 1))

        assert torch.autograd.gradcheck(value, [one.requires_grad_() for one in inputs])


def test_jensen_gradient_is_alpha_minus_phi() -> None:
    """(4.5) d jensen / d log pi = alpha - phi: a source gains weight where it explains the task."""
    q = Normal(torch.tensor([0.0, 1.0]), 1.0)
    p = Normal(MEANS, SCALES)
    logits = torch.randn(2, 3, requires_grad=True)
    log_alpha = logits.log_softmax(-1)
    bound = vmtl.kl_to_mixture(q, p, log_alpha, "jensen")
    found = torch.autograd.grad(bound.sum(), logits)[0]
    phi = responsibilities(vmtl.pairwise_kl(q, p), log_alpha)
    torch.testing.assert_close(found, log_alpha.exp() - phi)
