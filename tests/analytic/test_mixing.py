"""Gumbel-softmax mixing weights: their limits, their mean by quadrature, and the schedules."""

import math

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.stats import assert_frequencies, assert_mean, line

PI = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64)


def draws(temperature: float, count: int = 50_000, pi: Tensor = PI) -> Tensor:
    return vmtl.gumbel_softmax(pi.log().expand(count, -1), temperature)


def expected_by_quadrature(log_odds: float, temperature: float) -> float:
    """E[alpha_1] of two sources: g_1 - g_2 is logistic, so E sigmoid((log_odds + l) / tau)."""
    points, step = line(-60, 60, 60_001)
    density = torch.sigmoid(points) * torch.sigmoid(-points)
    return (torch.sigmoid((log_odds + points) / temperature) * density).sum().item() * step


def test_rows_sum_to_one_and_have_no_diagonal() -> None:
    """(3.3) at any temperature; the diagonal is zero exactly."""
    mixing = vmtl.GumbelSoftmaxMixing(4, base=True)
    for temperature in (1e-30, 1e-3, 0.5, 1.0, 100.0, math.inf):
        alpha = mixing.log_weights(temperature).exp()
        torch.testing.assert_close(alpha.sum(-1), torch.ones(4))
        assert (alpha.diagonal() == 0).all()
        assert (mixing.probabilities().diagonal() == 0).all()
        assert (mixing.expected(temperature, 10).diagonal() == 0).all()


@pytest.mark.parametrize("temperature", [1e-2, 1e-10, 1e-30, 1e-308])
def test_cold_limit_is_a_one_hot_draw(temperature: float) -> None:
    """(3.2) tau to 0: one-hot, drawn from Categorical(pi); no NaN however small tau is."""
    alpha = draws(temperature)
    assert torch.isfinite(alpha).all()
    assert_frequencies(alpha.argmax(-1), PI)
    if temperature < 1e-9:
        assert ((alpha == 0) | (alpha == 1)).all()
        torch.testing.assert_close(alpha.sum(-1), torch.ones(len(alpha)))


def test_argmax_is_categorical_at_every_temperature() -> None:
    """(3.2) dividing by tau leaves the largest entry the largest."""
    for temperature in (0.3, 1.0, 5.0):
        assert_frequencies(draws(temperature).argmax(-1), PI)


def test_hot_limit_is_uniform_over_the_admitted() -> None:
    """(3.3) tau = inf: equal weights, excluded entries zero."""
    logits = torch.tensor([[3.0, -1.0, -math.inf, 0.0], [0.0, -math.inf, -math.inf, 9.0]])
    third, half = 1 / 3, 0.5
    wanted = torch.tensor([[third, third, 0.0, third], [half, 0.0, 0.0, half]])
    torch.testing.assert_close(vmtl.gumbel_softmax(logits, math.inf), wanted)
    torch.testing.assert_close(vmtl.gumbel_softmax(logits, 1e9), wanted, atol=1e-6, rtol=0)


def test_log_weights_do_not_underflow() -> None:
    """(3.3) log weights far below the smallest number still have their value."""
    logits = torch.tensor([0.0, -50.0])

    def draw():
        return torch.Generator().manual_seed(0)

    warm = vmtl.gumbel_softmax(logits, 1.0, draw()).log()
    mixing = vmtl.GumbelSoftmaxMixing(3)
    with torch.no_grad():
        mixing.logits.copy_(torch.tensor([[0.0, 0.0, -50.0]]).expand(3, 3))
    cold = mixing.log_weights(1e-2, draw())
    assert torch.isfinite(cold[0, 1:]).all()
    assert cold[0, 2] < -2000
    assert torch.isfinite(warm).all()


def test_draw_is_the_formula() -> None:
    """(3.3) softmax((log pi + g) / tau): the log ratio of two weights is logistic over tau."""
    tau = 0.7
    log_ratio = (lambda a: a[:, 0].log() - a[:, 1].log())(draws(tau, 100_000))
    centre = (PI[0].log() - PI[1].log()) / tau
    assert_mean(log_ratio, centre)
    assert_mean((log_ratio - centre).square(), math.pi**2 / 3 / tau**2)


def test_two_sources_have_a_logistic_law() -> None:
    """(3.1) g_1 - g_2 is logistic: the median of alpha_1 is sigmoid(log odds / tau)."""
    tau, log_odds = 0.5, 0.8
    alpha = vmtl.gumbel_softmax(torch.tensor([log_odds, 0.0]).expand(100_000, 2), tau)[:, 0]
    for level in (0.1, 0.5, 0.9):
        quantile = torch.sigmoid((log_odds + torch.tensor(level).logit()) / tau)
        assert_frequencies((alpha < quantile).long(), torch.tensor([1 - level, level]))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 3.0])
def test_expected_weights_of_three_tasks(temperature: float) -> None:
    """(3.4) E[alpha] of three tasks, two sources each, against one-dimensional quadrature."""
    mixing = vmtl.GumbelSoftmaxMixing(3)
    with torch.no_grad():
        mixing.logits.copy_(torch.tensor([[9.0, 0.3, -0.9], [1.5, 9.0, 0.0], [-2.0, 0.5, 9.0]]))
    wanted = torch.zeros(3, 3)
    for t in range(3):
        a, b = [k for k in range(3) if k != t]
        log_odds = (mixing.logits[t, a] - mixing.logits[t, b]).item()
        wanted[t, a] = expected_by_quadrature(log_odds, temperature)
        wanted[t, b] = expected_by_quadrature(-log_odds, temperature)
    torch.testing.assert_close(wanted.sum(-1), torch.ones(3))
    blocks = torch.stack([mixing.expected(temperature, 500) for _ in range(100)])
    assert_mean(blocks.detach(), wanted)


def test_expected_weights_meet_pi_only_in_the_cold() -> None:
    """(3.4) at tau = 1 the mean is nearer to uniform than pi; at tau to 0 it is pi."""
    log_odds = math.log(4)
    assert expected_by_quadrature(log_odds, 1e-3) == pytest.approx(0.8, abs=1e-4)
    assert (
        0.5 < expected_by_quadrature(log_odds, 3.0) < expected_by_quadrature(log_odds, 1.0) < 0.79
    )
    mixing = vmtl.GumbelSoftmaxMixing(3)
    with torch.no_grad():
        mixing.logits.copy_(torch.tensor([[0.0, log_odds, 0.0]] * 3))
    torch.testing.assert_close(mixing.probabilities()[0], torch.tensor([0.0, 0.8, 0.2]))
    cold = torch.stack([mixing.expected(1e-6, 500)[0] for _ in range(50)]).detach()
    assert_mean(cold, torch.tensor([0.0, 0.8, 0.2]), 1e-9)


def test_start_gives_half_the_weight_to_the_base() -> None:
    """(2.4) base weight one half, the rest shared equally."""
    pi = vmtl.GumbelSoftmaxMixing(5, base=True).probabilities()
    torch.testing.assert_close(pi[:, -1], torch.full((5,), 0.5))
    torch.testing.assert_close(pi[0, 1:5], torch.full((4,), 0.125))
    fifth = vmtl.GumbelSoftmaxMixing(5, base=True, base_weight=0.2).probabilities()[2]
    torch.testing.assert_close(fifth, torch.tensor([0.2, 0.2, 0.0, 0.2, 0.2, 0.2]))


def test_generator_makes_it_repeatable() -> None:
    """(3.3) same generator, same draw; the global stream is left alone."""
    logits = torch.zeros(2, 5)
    state = torch.get_rng_state()
    one, two = (vmtl.gumbel_softmax(logits, 0.5, torch.Generator().manual_seed(4)) for _ in "ab")
    assert torch.equal(one, two)
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(one[0], one[1])


def test_schedules() -> None:
    """(3.5) start, half-way and end values by hand; flat afterwards."""
    steps = (0, 5, 10, 1000)
    assert [vmtl.constant(0.3)(s) for s in steps] == [0.3] * 4
    linear, exponential, cosine = (
        [schedule(2.0, 0.5, 10)(s) for s in steps]
        for schedule in (vmtl.linear_decay, vmtl.exponential_decay, vmtl.cosine_decay)
    )
    assert linear == pytest.approx([2.0, 1.25, 0.5, 0.5])
    assert exponential == pytest.approx([2.0, 1.0, 0.5, 0.5])
    assert cosine == pytest.approx([2.0, 1.25, 0.5, 0.5])
    quarter = 0.5 + 1.5 * (1 + math.cos(math.pi / 4)) / 2
    assert vmtl.cosine_decay(2.0, 0.5, 8)(2) == pytest.approx(quarter)
    assert vmtl.exponential_decay(1.0, 0.01, 10)(1) == pytest.approx(0.01**0.1)
    assert vmtl.linear_decay(1.0, 0.0 + 1e-9, 4)(1) == pytest.approx(0.75)
