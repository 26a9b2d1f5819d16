"""Solutions of chapters 6 to 14 agree with computations that share nothing with them.

Quadrature, autograd, counting, simulation and numerical optimisation; the cases are those of the
exercise, in float64.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, Poisson

from tests.stats import assert_mean
from vmtl_core.lab.exercises import find
from vmtl_core.lab.exercises.runs import float64, run


@pytest.fixture(autouse=True)
def _in_float64() -> Iterator[None]:
    with float64():
        yield


def solved(number: str) -> list[tuple[tuple[Any, ...], Any]]:
    """Arguments and value of an exercise's solution, case by case."""
    exercise = find(number)
    assert exercise.cases is not None
    values = run(exercise.solution, exercise.cases)
    return list(zip(exercise.inputs(), values, strict=True))


def mistake(number: str, name: str) -> Any:
    """A known wrong answer."""
    (found,) = (m.answer for m in find(number).mistakes if m.name == name)
    return found


def integral(
    function: Callable[[Tensor], Tensor], q: Normal, logarithm: bool = False, nodes: int = 4001
) -> Tensor:
    """E_q of a function of one number, or of its exp, by the trapezoid rule over twelve sds."""
    grid = q.mean + q.stddev * torch.linspace(-12, 12, nodes)
    values = function(grid).exp() if logarithm else function(grid)
    return torch.trapezoid(q.log_prob(grid).exp() * values, grid)


# Chapter 6


def test_6_6_coverage_varies_as_much_as_tasks_do() -> None:
    """Tasks with an error of their own each: coverages of many data sets scatter by the second."""
    generator = torch.Generator().manual_seed(0)
    sets, tasks, rows = 4000, 12, 50
    error = 0.7 * torch.randn(sets, tasks, 1, generator=generator)
    noise = torch.randn(sets, tasks, rows, generator=generator)
    inside = ((error + noise).abs() < 1.645).double()
    scatter = inside.mean((1, 2)).std()
    by_rows, by_tasks = torch.stack([find("6.6").solution(each) for each in inside]).T
    assert (by_tasks.square().mean().sqrt() / scatter - 1).abs() < 0.06
    assert by_rows.mean() < 0.6 * scatter


def test_6_7_moments_of_counts_by_quadrature() -> None:
    for (loc, sd), (mean, aleatoric, epistemic) in solved("6.7"):
        for n in range(len(loc)):
            q = Normal(loc[n], sd[n])
            rate = integral(torch.exp, q)
            square = integral(lambda eta: Poisson(eta.exp()).variance + (2 * eta).exp(), q)
            torch.testing.assert_close(mean[n], rate)
            torch.testing.assert_close(aleatoric[n], rate)
            torch.testing.assert_close(aleatoric[n] + epistemic[n], square - rate**2)


def test_6_7_counts_themselves() -> None:
    """The variance of simulated counts is the sum of both parts."""
    torch.manual_seed(1)
    loc, sd = torch.tensor(0.5), torch.tensor(0.4)
    counts = torch.poisson((loc + sd * torch.randn(400_000)).exp())
    mean, aleatoric, epistemic = find("6.7").solution(loc, sd)
    assert_mean((counts - mean) ** 2, aleatoric + epistemic)


# Chapter 7


def test_7_2_is_the_gradient_by_autograd() -> None:
    for (kl, log_pi, gumbel, tau), value in solved("7.2"):
        log_pi.requires_grad_()
        log_alpha = ((log_pi + gumbel) / tau).log_softmax(-1)
        (gradient,) = torch.autograd.grad((log_alpha - kl).logsumexp(-1).sum(), log_pi)
        torch.testing.assert_close(value, gradient)


def test_7_2_cold_draws_are_mostly_silent_and_right_on_average() -> None:
    """As its solution says: most gradients vanish, their mean is that of the convex bound at pi."""
    (kl, log_pi, _, _), _ = solved("7.2")[0]
    kl, log_pi = kl[:1], log_pi[:1]
    gumbel = -(-torch.rand(400_000, 3).log()).log()
    cold = find("7.2").solution(kl, log_pi, gumbel, 0.02)
    assert cold.abs().max(-1).values.median() < 1e-6
    assert cold.abs().max() > 5
    pi = log_pi[0].softmax(-1)
    convex = -pi * (kl[0] - pi @ kl[0])
    error = cold.std(0) / len(cold) ** 0.5
    assert ((cold.mean(0) - convex).abs() < 5 * error + 0.02).all()


def row_objective(alpha: Tensor, kl: Tensor) -> Tensor:
    return (alpha * (-kl).exp()).sum(-1).log().sum()


def test_7_5_is_the_derivative_along_an_edge() -> None:
    for (kl,), value in solved("7.5"):
        eye = torch.eye(kl.shape[1])
        for k, j in itertools.product(range(kl.shape[1]), repeat=2):
            step = torch.zeros((), requires_grad=True)
            objective = row_objective(eye[k] + step * (eye[j] - eye[k]), kl)
            (slope,) = torch.autograd.grad(objective, step)
            torch.testing.assert_close(value[k, j], slope)


def test_7_5_tells_where_the_best_row_is_one_hot() -> None:
    """Against the optimum, which EM climbs to: both kinds occur; one task alone is always one-hot."""
    torch.manual_seed(2)
    seen = set()
    for tasks in (1, 2, 2, 3, 6):
        kl = 4 * torch.rand(tasks, 3)
        alpha = torch.full((3,), 1 / 3)
        for _ in range(20_000):
            alpha = (alpha.log() - kl).softmax(-1).mean(0)
        stays = (find("7.5").solution(kl) <= 0).all(1)
        assert bool(stays.any()) == bool(alpha.max() > 0.999)
        if stays.any():
            assert stays.nonzero().item() == alpha.argmax()
        assert tasks > 1 or bool(stays.any())
        seen.add(bool(stays.any()))
    assert seen == {True, False}


# Chapter 8


def test_8_5_unpaired_scores_of_that_many_splits_are_as_exact() -> None:
    """Splits that are hard for both: how far mean differences scatter, with pairs and without."""
    generator = torch.Generator().manual_seed(3)
    sets, splits, own = 8000, 10, 0.5
    needed = round(splits * 2 * (1 + own**2) / (2 * own**2))  # from the true variances
    hard = torch.randn(sets, splits, generator=generator)
    a, b = (hard + own * torch.randn(sets, splits, generator=generator) for _ in range(2))
    found = torch.stack([find("8.5").solution(x, y) for x, y in zip(a[:4000], b, strict=False)])
    alone = (1 + own**2) ** 0.5 * torch.randn(2, sets, needed, generator=generator).mean(-1)
    paired, unpaired = (a - b).mean(1).std(), (alone[0] - alone[1]).std()
    assert (paired / unpaired - 1).abs() < 0.05
    assert (found[:, 0].square().mean().sqrt() / paired - 1).abs() < 0.05
    assert (found[:, 1].median() / needed - 1).abs() < 0.15


def test_8_5_the_number_of_splits_by_the_correlation() -> None:
    """With equal variances it is S / (1 - r), as its solution says; less than S for a negative r."""
    torch.manual_seed(10)
    for mixed in (0.9, -0.5):
        a, b = torch.randn(2, 30)
        b = mixed * a + b
        a, b = (x / x.std() for x in (a, b))
        r = torch.corrcoef(torch.stack([a, b]))[0, 1]
        torch.testing.assert_close(find("8.5").solution(a, b)[1], 30 / (1 - r))


def population_evidence(p: Tensor, means: Tensor, squares: Tensor) -> Tensor:
    return Normal(p[0], (p[1] + squares).sqrt()).log_prob(means).sum()


def test_8_6_climbs_to_the_most_probable_population() -> None:
    """Every round gains evidence, and the last ones lie where its gradient is zero."""
    torch.manual_seed(4)
    means, squares = 0.7 + 1.5 * torch.randn(15), 0.2 + torch.rand(15)
    climb = [find("8.6").solution(means, squares, rounds) for rounds in (1, 2, 3, 5, 400)]
    evidence = [population_evidence(p, means, squares) for p in climb]
    assert all(later > earlier for earlier, later in itertools.pairwise(evidence))
    best = climb[-1].requires_grad_()
    (gradient,) = torch.autograd.grad(population_evidence(best, means, squares), best)
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("spread", [0.9, 3.9, 4.1, 9.0])
def test_8_6_without_the_posterior_variances_the_population_collapses(spread: float) -> None:
    """As its solution says, where the sample means' variance is less than four times their noise."""
    torch.manual_seed(5)
    means, squares = torch.randn(30), torch.full((30,), 0.2)
    means = (means - means.mean()) / means.std(correction=0) * (spread * 0.2) ** 0.5
    wrong = mistake("8.6", "spread only")
    variance = torch.stack([wrong(means, squares, rounds)[1] for rounds in (10, 20, 30, 100, 300)])
    collapsed = bool((~(variance > 1e-3)).any())  # 0 / 0 after that
    assert collapsed == (spread < 4)


# Chapter 9


def test_9_5_agrees_with_draws() -> None:
    """Where the price weight is below zero nearly always; four standard deviations here, and more."""
    generator = torch.Generator().manual_seed(6)
    for (loc, covariance, asked), value in solved("9.5"):
        noise = torch.randn(400_000, 2, generator=generator)
        price, minute = (loc + noise @ torch.linalg.cholesky(covariance).T).T
        wrong_sign = (price > 0).double().mean()
        assert wrong_sign < 0.01
        share = (60 * minute / price > asked).double()
        error = share.std() / len(share) ** 0.5
        assert (share.mean() - value).abs() < 5 * error + 2 * wrong_sign


def test_9_5_the_median_is_the_plug_in_ratio() -> None:
    for (loc, covariance, _), _ in solved("9.5"):
        value = find("9.5").solution(loc, covariance, float(60 * loc[1] / loc[0]))
        torch.testing.assert_close(value, torch.tensor(0.5))


# Chapter 10


def test_10_2_by_counting_images() -> None:
    """Whole numbers of images: of those taken for c, how many are a c?"""
    counts = torch.tensor([[40, 8, 2], [5, 90, 5], [1, 3, 6]])  # images of digit c, taken for d
    table, share = counts / counts.sum(1, keepdim=True), counts.sum(1) / counts.sum()
    images = [(c, d) for c in range(3) for d in range(3) for _ in range(int(counts[c, d]))]
    for digit, value in enumerate(find("10.2").solution(table, share).tolist()):
        taken = [c for c, d in images if d == digit]
        assert value == pytest.approx(taken.count(digit) / len(taken))


def test_10_5_is_unbiased_over_all_batches() -> None:
    torch.manual_seed(7)
    rows, batch = 6, 2
    log_p, kl_z, kl_w = -torch.rand(3, 4, rows), torch.rand(rows), torch.rand(())
    whole = log_p.mean((0, 1)).sum() - kl_z.sum() - kl_w
    batches = [list(chosen) for chosen in itertools.combinations(range(rows), batch)]
    estimates = [find("10.5").solution(log_p[..., b], kl_z[b], kl_w, rows) for b in batches]
    torch.testing.assert_close(torch.stack(estimates).mean(), whole)
    spoiled = mistake("10.5", "KL of z unscaled")
    estimates = [spoiled(log_p[..., b], kl_z[b], kl_w, rows) for b in batches]
    assert (torch.stack(estimates).mean() - whole).abs() > 0.1


def test_10_5_is_a_bound_and_the_log_of_the_mean_is_none() -> None:
    """Twenty readings of one w: the evidence is known, and q is the exact posterior."""
    torch.manual_seed(8)
    rows, prior = 20, Normal(torch.zeros(()), torch.ones(()))
    y = 0.8 + torch.randn(rows)
    joint = MultivariateNormal(torch.zeros(rows), torch.eye(rows) + torch.ones(rows, rows))
    evidence = joint.log_prob(y)
    q = Normal(y.sum() / (rows + 1), torch.tensor(1 / (rows + 1)).sqrt())
    kl_w = torch.distributions.kl_divergence(q, prior)
    log_p = Normal(q.sample((1, 50_000, 1)), 1.0).log_prob(y)
    nothing = torch.zeros(rows)
    mended = find("10.5").solution(log_p, nothing, kl_w, rows)
    error = log_p.sum(-1).std() / 50_000**0.5
    assert (mended - evidence).abs() < 5 * error  # the ELBO of the exact posterior
    assert mistake("10.5", "log of the mean")(log_p, nothing, kl_w, rows) > evidence + 0.3


def test_10_5_the_log_of_the_mean_widens_q() -> None:
    """As its solution says: the best variance of a Gaussian q by both, with the same readings."""
    torch.manual_seed(9)
    rows = 20
    y = torch.randn(rows)
    y = 0.8 + (y - y.mean()) / y.std(correction=0)
    m, v = y.sum() / (rows + 1), torch.logspace(-4, 1, 2001)
    kl = 0.5 * (v + m**2 - 1 - v.log())
    fit = Normal(m, 1.0).log_prob(y).sum() - rows * v / 2
    loose = Normal(m, (1 + v).sqrt().unsqueeze(-1)).log_prob(y).sum(-1)
    best, too_wide = v[(fit - kl).argmax()], v[(loose - kl).argmax()]
    assert (best * (rows + 1) - 1).abs() < 0.01
    assert too_wide > 3 * best


# Chapter 11


def minus_elbos(p: Any, delta: float, one: float, two: float) -> float:
    """(11.1) with two standard errors, of the means and the log variances."""
    first, second = math.exp(p[2]), math.exp(p[3])
    distance = (p[0] - p[1]) ** 2
    fit = ((delta - p[0]) ** 2 + first) / (2 * one) + (p[1] ** 2 + second) / (2 * two)
    return fit + ((first + distance) / second + (second + distance) / first - 2) / 2


@pytest.mark.parametrize("case", range(3))
def test_11_1_fused_below_and_apart_above(case: int) -> None:
    """By a search that knows no derivation, begun close to the fused point."""
    (noise, first, second), threshold = solved("11.1")[case]
    one, two = noise**2 / first, noise**2 / second
    for factor, fused in ((0.97, True), (1.03, False)):
        delta = factor * threshold
        centre = delta * two / (one + two)
        start = [centre + 0.02 * delta, centre - 0.02 * delta, *2 * [math.log(0.02 * one)]]
        options = {"maxiter": 40_000, "maxfev": 40_000, "xatol": 1e-10, "fatol": 1e-13}
        found = minimize(minus_elbos, start, (delta, one, two), "Nelder-Mead", options=options)
        assert (abs(found.x[0] - found.x[1]) < 1e-4 * delta) == fused


def test_11_1_very_unequal_tasks_have_a_second_optimum() -> None:
    """As its solution says: apart, below the distance, and better than the fused point."""
    one, two = 1.0, 0.01
    delta = 0.98 * find("11.1").solution(1.0, 1, 100)
    start = [0.3 * delta, 0.0, math.log(one), math.log(two)]
    options = {"maxiter": 40_000, "maxfev": 40_000}
    found = minimize(minus_elbos, start, (delta, one, two), "Nelder-Mead", options=options)
    assert abs(found.x[0] - found.x[1]) > 0.1 * delta
    assert found.fun < delta**2 / (2 * (one + two))


def test_11_1_is_the_law_for_equal_tasks_and_more_for_unequal_ones() -> None:
    """In standard errors of Delta: sqrt(2) (s_1 / s_2 + s_2 / s_1), as its solution says."""
    solution = find("11.1").solution
    assert solution(0.6, 9, 9) == pytest.approx(4 * 0.6 / 3)
    for first, second in ((4, 4), (4, 9), (2, 50)):
        in_errors = solution(1.0, first, second) / math.sqrt(1 / first + 1 / second)
        ratio = math.sqrt(second / first)
        assert in_errors == pytest.approx(math.sqrt(2) * (ratio + 1 / ratio))


# Chapter 13


def test_13_2_by_simulation() -> None:
    """Scores drawn, the best rival found, the bar asked; and the numbers of its solution."""
    for (rivals,), value in solved("13.2"):
        noise = torch.randn(200_000, rivals + 1, generator=torch.Generator().manual_seed(0))
        reached = noise[:, 0] > noise[:, 1:].amax(1) - math.sqrt(2)
        assert_mean(reached.double(), torch.as_tensor(value).double())
    solution = find("13.2").solution
    assert [round(solution(k), 2) for k in (1, 10)] == [0.84, 0.46]
    assert round(30 * solution(10)) == 14
    assert round(mistake("13.2", "independent")(10), 2) == 0.18


def test_13_3_from_the_covariance() -> None:
    """Variance of the mean, and of the expected sample variance, as quadratic forms."""
    for (n, r), value in solved("13.3"):
        covariance = (1 - r) * torch.eye(n) + r * torch.ones(n, n)
        centre = torch.eye(n) - 1 / n
        true = covariance.mean()
        reported = (centre @ covariance @ centre).trace() / (n - 1) / n
        assert float(value) == pytest.approx((true / reported).sqrt().item())
    assert round(find("13.3").solution(10, 0.2), 1) == 1.9


# Chapter 14


def test_14_6_by_integrating_over_the_centre() -> None:
    for (means, squares, within, centre, between, a), value in solved("14.6"):
        spread = (squares + within).sqrt()

        def likelihood(g: Tensor, m: Tensor = means, s: Tensor = spread) -> Tensor:
            return Normal(g.unsqueeze(-1), s).log_prob(m).sum(-1)

        population = Normal(torch.tensor(centre), torch.tensor(between).sqrt())
        together = integral(likelihood, population, logarithm=True)
        apart = torch.ones(())
        for mean, sd in zip(means, spread, strict=True):
            apart = apart * integral(Normal(mean, sd).log_prob, population, logarithm=True)
        share = seated_together(a)
        odds = share * together / ((1 - share) * apart)
        torch.testing.assert_close(value, odds.log())


def test_14_6_agreement_is_worth_little() -> None:
    """As its solution says: at most so many nats at m_0, and against a group by the square of Delta."""
    within, between, a, square = 0.3, 0.9, 1.0, 0.05
    total, prior = within + between, -math.log(4 * a + 1)

    def evidence(delta: float, square: float = square) -> float:
        means, squares = torch.tensor([delta / 2, -delta / 2]), torch.full((2,), square)
        return float(find("14.6").solution(means, squares, within, 0.0, between, a)) - prior

    most = -0.5 * math.log(1 - (between / total) ** 2)
    assert evidence(0.0) < evidence(0.0, 1e-9) == pytest.approx(most)
    slope = (1 / (square + within) - 1 / (square + total)) / 4
    assert evidence(0.0) - evidence(3.0) == pytest.approx(9 * slope)


def seated_together(a: float) -> float:
    """The prior probability that two tasks share a group: exercise 14.3 of all seatings, added up."""
    restaurant = find("14.3").solution
    seatings = {labels: restaurant(list(labels), a) for labels in SEATINGS}
    assert sum(seatings.values()) == pytest.approx(1)
    return seatings[(0, 0)]


SEATINGS = [(-1, -1), (-1, 0), (0, -1), (0, 0), (0, 1)]
