"""Solutions of chapters 0 to 5 agree with computations that share nothing with them.

Quadrature, autograd, simulation, counting; the cases are those of the exercise, in float64.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, Poisson, kl_divergence

from tests.book.test_exercise_cells import code_cells
from vmtl_core import cosine_decay, exponential_decay, gumbel_softmax, linear_decay
from vmtl_core.lab.exercises import find
from vmtl_core.lab.exercises.runs import float64, run

PLACES, SPREADS, SHARES = (
    torch.tensor(numbers, dtype=torch.float64) for numbers in ((-1.0, 2.0), (0.5, 0.7), (0.3, 0.7))
)


def solved(number: str) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Arguments and value of an exercise's solution, case by case."""
    exercise = find(number)
    assert exercise.cases is not None
    values = run(exercise.solution, exercise.cases)
    with float64():
        yield from zip(exercise.inputs(), values, strict=True)


# Chapter 0


def test_0_4_is_on_the_diagonal_in_three_wrong_ways() -> None:
    """Simulated patients, at every probability: clinics that differ, a wide model, a mixed-up one."""
    draw = torch.Generator().manual_seed(0)
    truth = 30 * torch.randn(400_000, generator=draw)  # what is known of each patient
    y = truth + 20 * torch.randn(400_000, generator=draw)
    small = torch.arange(400_000) % 4 == 0
    for level in (0.5, 0.8, 0.9):
        z = Normal(0.0, 1.0).icdf(torch.tensor((1 + level) / 2))
        wide = y.abs() < z * 1300**0.5  # (b): knows nothing of the patient, and is calibrated
        assert abs(wide.double().mean() - level) < 0.005
        near = truth < -40  # (d): patients near a limit
        assert wide[near].double().mean() < level - 0.15
        reach = z * torch.where(small, 0.8, 1.085) * 20  # (a)
        inside = (y - truth).abs() < reach
        assert abs(inside.double().mean() - level) < 0.02
        assert inside[small].double().mean() < inside[~small].double().mean() - 0.07


# Chapter 1


def standard(size: int, variance: float = 1.0) -> MultivariateNormal:
    return MultivariateNormal(torch.zeros(size), variance * torch.eye(size))


def test_1_1_is_the_evidence_less_the_gap() -> None:
    """By (1.4), with the evidence and the posterior of y = Xw + noise in closed form."""
    for (y, x, mean, covariance, noise, prior_sd), value in solved("1.1"):
        prior = prior_sd**2 * torch.eye(len(mean))
        evidence = MultivariateNormal(torch.zeros(len(y)), noise.square().diag() + x @ prior @ x.T)
        precision = torch.linalg.inv(prior) + x.T @ (x / noise[:, None] ** 2)
        loc = torch.linalg.solve(precision, x.T @ (y / noise**2))
        posterior = MultivariateNormal(loc, precision_matrix=precision)
        gap = kl_divergence(MultivariateNormal(mean, covariance), posterior)
        torch.testing.assert_close(value, evidence.log_prob(y) - gap)
        one_line = find("1.1").solution(
            y / noise,
            x * prior_sd / noise[:, None],
            mean / prior_sd,
            covariance / prior_sd**2,
            torch.ones(len(y)),
            1.0,
        )
        torch.testing.assert_close(value, one_line - noise.log().sum())


def test_1_6_is_the_mean_over_draws() -> None:
    for (y, x, mean, covariance), value in solved("1.6"):
        q = MultivariateNormal(mean, covariance)
        w = q.sample((100_000,))
        fit = Poisson((w @ x.T).exp()).log_prob(y).sum(-1)
        error = fit.std() / len(fit) ** 0.5
        assert abs(fit.mean() - kl_divergence(q, standard(len(mean))) - value) < 5 * error


def test_1_7_is_the_top() -> None:
    """Both derivatives vanish, by autograd; and one weight has a narrower q than Laplace's method."""
    bound = find("1.6").solution
    for (y, x), (mean, covariance) in solved("1.7"):
        at = mean.clone().requires_grad_(), covariance.clone().requires_grad_()
        slopes = torch.autograd.grad(bound(y, x, *at), at)
        assert max(slope.abs().max().item() for slope in slopes) < 1e-6
        ones = x[:, :1].abs() ** 0
        laplace = next(m for m in find("1.7").mistakes if m.name == "Laplace")
        assert find("1.7").solution(y, ones)[1] < laplace.answer(y, ones)[1]


# Chapter 2


def test_2_6_on_a_grid() -> None:
    """Moments by quadrature; and data can make a task less sure than its prior."""
    w = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    for (seen, count, noise, means, sds, log_alpha), (mean, sd) in solved("2.6"):
        log_prior = (log_alpha + Normal(means, sds).log_prob(w[:, None])).logsumexp(-1)
        belief = (log_prior + count * Normal(seen, noise).log_prob(w)).softmax(0)
        torch.testing.assert_close((belief * w).sum(), mean)
        torch.testing.assert_close((belief * (w - mean).square()).sum().sqrt(), sd)
    two = torch.tensor([0.0, 4.0]), torch.tensor([0.5, 0.5]), torch.tensor([0.95, 0.05]).log()
    before, after = (find("2.6").solution(2.6, n, 1.0, *two)[1] for n in (1e-9, 1))
    assert after > before + 0.2


def test_2_7_by_draws() -> None:
    reports = 1 + 0.5 * torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    told = reports + 0.4 * torch.randn(100_000, generator=torch.Generator().manual_seed(1))
    value = find("2.7").solution
    assert abs(told.std() - value) < 5 * value / (2 * 100_000) ** 0.5


# Chapter 3


def test_3_2_by_differences_and_in_closed_form() -> None:
    def expected(log_odds: float, tau: float) -> float:
        u = (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000
        return float(torch.sigmoid((log_odds + torch.logit(u)) / tau).mean())

    for (log_odds, tau), value in solved("3.2"):
        both = [expected(log_odds + step, tau) for step in (-1e-4, 1e-4)]
        assert abs((both[1] - both[0]) / 2e-4 - value) < 1e-6
    r = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    closed = r / (r - 1) - r * r.log() / (r - 1) ** 2  # (3.4c)
    (slope,) = torch.autograd.grad(closed, r)
    slope_of = find("3.2").solution
    assert abs(slope_of(math.log(3), 1.0) - 3 * slope) < 1e-5  # d / d log r = r d / d r
    assert abs(slope_of(1.0, 1e-3) - 0.1966) < 1e-3  # pi_1 pi_2
    assert abs(slope_of(1.0, 100.0) * 400 - 1) < 1e-3  # 1 / (4 tau)


def test_3_5_by_counting_steps() -> None:
    for (start, end, tau), shares in solved("3.5"):
        for decay, share in zip(
            (linear_decay, exponential_decay, cosine_decay), shares, strict=True
        ):
            schedule = decay(start, end, 10_000)
            above = sum(schedule(step) > tau for step in range(10_000))
            assert abs(above / 10_000 - share) < 2e-4
    shares = find("3.5").solution
    assert [round(100 * share) for share in shares(1.0, 0.1, 0.3)] == [78, 52, 69]
    assert [round(100 * share) for share in shares(1.0, 0.1, 0.7)] == [33, 15, 39]


def test_3_6_by_draws() -> None:
    for (log_odds, tau, epsilon), value in solved("3.6"):
        logits = torch.tensor([log_odds, 0.0]).expand(200_000, 2)
        draws = gumbel_softmax(logits, tau, torch.Generator().manual_seed(0))
        share = (draws.amax(-1) > 1 - epsilon).double().mean()
        assert abs(share - value) < 5 * (value * (1 - value) / 200_000) ** 0.5
    cold = math.log(11 / 9) / math.log(99)
    assert abs(cold - 0.044) < 0.0005
    assert abs(find("3.6").solution(0.0, 1.0, 0.01) - 0.02) < 1e-12
    assert abs(find("3.6").solution(0.0, cold, 0.01) - 0.9) < 1e-12


# Chapter 4


def test_4_2_is_the_least_value() -> None:
    """By gradient descent over phi; above the exact KL for tau of 1 or more, and convex at its end."""
    for (kl, log_weights, tau), value in solved("4.2"):
        logits = torch.zeros_like(kl).requires_grad_()
        climber = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            climber.zero_grad()  # noqa: B023
            log_phi = logits.log_softmax(-1)  # noqa: B023
            each = log_phi.exp() * (kl + tau * (log_phi - log_weights))  # noqa: B023
            total = each.sum()
            total.backward()
            return total

        climber.step(loss)
        torch.testing.assert_close(loss().detach(), value.sum(), atol=1e-6, rtol=1e-6)
        bound = find("4.2").solution
        convex = (log_weights.exp() * kl).sum(-1)
        assert (bound(kl, log_weights, 1.0) <= bound(kl, log_weights, 3.0)).all()
        torch.testing.assert_close(bound(kl, log_weights, 1e6), convex, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(bound(kl, log_weights, 1e-3), kl.amin(-1), atol=0.01, rtol=0)


def test_4_4_is_paired() -> None:
    """The mean agrees with quadrature, and the error with the scatter of many estimates."""
    draw = torch.Generator().manual_seed(0)
    grid = torch.linspace(-15, 15, 6001, dtype=torch.float64)
    for (_, q, components, log_a, log_b), _ in solved("4.4"):
        mass = q.log_prob(grid[:, None]).softmax(0)
        each = components.log_prob(grid[:, None, None])
        log_ratio = (log_b + each).logsumexp(-1) - (log_a + each).logsumexp(-1)
        exact = (mass * log_ratio).sum(0)
        noise = torch.randn(100, 2000, 2, generator=draw, dtype=torch.float64)
        found = [
            find("4.4").solution(q.mean + q.stddev * e, q, components, log_a, log_b) for e in noise
        ]
        means, errors = (torch.stack(part) for part in zip(*found, strict=True))
        assert ((means.mean(0) - exact).abs() < 5 * means.std(0) / 10).all()
        assert ((means.std(0) / errors.mean(0)).log().abs() < 0.35).all()  # 5 of its own errors


def test_4_6_by_autograd() -> None:
    for (mean, sd, means, sds, log_weights, width), value in solved("4.6"):
        delta = torch.tensor(width, requires_grad=True)
        q, sources = Normal(mean, sd), Normal(means, (sds**2 + delta**2).sqrt())
        bound = -(log_weights - kl_divergence(q, sources)).logsumexp(-1)
        torch.testing.assert_close(torch.autograd.grad(bound, delta)[0], value)
    one = torch.tensor([2.0]), torch.tensor([0.4]), torch.zeros(1)
    rest = (0.3**2 + 2.0**2 - 0.4**2) ** 0.5  # one source: v = sd^2 + distance^2
    assert abs(find("4.6").solution(0.0, 0.3, *one, rest)) < 1e-6


# Chapter 5


def echo(apart: Tensor, first: int, second: int, delta: float) -> Tensor:
    """(5.9a) with sizes of their own, sigma = 1, least over means and variances, for each d > 0."""
    squares = 0.5 * first * second / (first + second) * (delta - apart) ** 2
    log_v = (apart.log() + 0.5 * math.log(2 / (first + second))).repeat(2, 1).requires_grad_()
    climber = torch.optim.LBFGS(
        [log_v], max_iter=100, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def each() -> Tensor:
        v1, v2 = log_v.exp()
        price = (v1 + apart**2) / v2 + (v2 + apart**2) / v1 - 2
        return 0.5 * (first * v1 + second * v2 + price)

    def loss() -> Tensor:
        climber.zero_grad()
        total = each().sum()
        total.backward()
        return total

    climber.step(loss)
    return squares + each().detach()


def test_5_6_by_minimising() -> None:
    """At a little less than the answer the best d is 0, at a little more it isn't."""
    law = find("5.6").solution
    assert abs(law(25, 25, 2.0) - 1.6) < 1e-12  # (5.10) again
    apart = torch.logspace(-3, -0.2, 24, dtype=torch.float64)
    for (first, second, sigma), value in [*solved("5.6"), ((10, 90, 1.0), law(10, 90, 1.0))]:
        for factor, together in ((0.98, True), (1.03, False)):
            delta = factor * value / sigma
            at_zero = 0.5 * first * second / (first + second) * delta**2
            assert (echo(apart, first, second, delta).min() > at_zero) == together
    delta = 0.99 * law(10, 200, 1.0)  # more than ten to one: apart sooner, and with a jump
    found = echo(apart, 10, 200, delta)
    assert found.min() < 0.5 * 10 * 200 / 210 * delta**2
    assert apart[found.argmin()] > 0.1
    best = min(range(1, 200), key=lambda second: law(16, second, 1.0))
    assert best == 32  # a neighbour of twice the size lets go soonest


def test_5_7_beside_the_evidence() -> None:
    """The chapter's four versions, for many q: three stay below the evidence, one doesn't."""
    exercise = find("5.7")
    (cell,) = (cell for cell in code_cells(exercise) if "def version_a(" in cell)
    torch.manual_seed(0)
    with float64():
        y, sources, log_alpha = 0.4 + torch.randn(5), Normal(PLACES, SPREADS), SHARES.log()
        covariance = torch.eye(5) + sources.variance[:, None, None]
        each = MultivariateNormal(sources.mean[:, None].expand(2, 5), covariance).log_prob(y)
        names: dict[str, Any] = {"torch": torch, "Tensor": Tensor, "Normal": Normal}
        names |= {"kl_divergence": kl_divergence, "MultivariateNormal": MultivariateNormal}
        exec(cell, names)
        evidence = names["evidence_of"](y, 1.0, sources, log_alpha)
        torch.testing.assert_close(evidence, (log_alpha + each).logsumexp(-1))
        above = dict.fromkeys("abcd", False)
        for _ in range(300):
            q = Normal(torch.randn(()), 0.1 + torch.rand(()))
            for letter in above:
                value = names[f"version_{letter}"](y, 1.0, q, sources, log_alpha)
                above[letter] |= bool(value > evidence + 1e-9)
        one = Normal(PLACES[1:], SPREADS[1:]), torch.zeros(1)
        for shift, more in ((0.0, False), (-0.2, True)):
            q = Normal(PLACES[1] + shift, SPREADS[1])
            assert (names["version_c"](y, 1.0, q, *one) > each[1] + 1e-6) == more
        source = Normal(torch.zeros(1), torch.ones(1)), torch.zeros(1)
        many = [(m / 20, s / 20) for m in range(41) for s in range(10, 31)]  # of q
        values = [
            names["version_c"](torch.tensor([2.0]), 0.05, Normal(torch.tensor(m), s), *source)
            for m, s in many
        ]
        best = many[int(torch.stack(values).argmax())]
        assert abs(best[0] - 1) <= 0.05
        assert abs(best[1] - 1) <= 0.05
    assert [letter for letter, found in above.items() if found] == [exercise.solution]
