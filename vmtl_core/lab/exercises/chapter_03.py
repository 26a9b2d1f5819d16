"""Exercises of chapter 3: Gumbel noise, the relaxation, its mean and its gradients."""

import math

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_3_1(log_pi: Tensor, u: Tensor, tau: float) -> Tensor:
    """One draw of (3.3), shape (K,), from uniform numbers u of shape (K,) between 0 and 1."""
    raise NotImplementedError("your code here")


def solution_3_1(log_pi: Tensor, u: Tensor, tau: float) -> Tensor:
    """One draw of (3.3), shape (K,), from uniform numbers u of shape (K,) between 0 and 1."""
    gumbel = -(-u.log()).log()
    return torch.softmax((log_pi + gumbel) / tau, -1)


def cases_3_1() -> list[tuple[Tensor, Tensor, float]]:
    return [
        (torch.randn(4).log_softmax(-1), torch.rand(4).clamp(0.05, 0.95), tau)
        for tau in (0.5, 1.0, 2.0)
    ]


def gumbel(u: Tensor) -> Tensor:
    """-log(-log u), for the mistakes below."""
    return -(-u.log()).log()


def stub_3_2(log_odds: float, tau: float) -> float:
    """The slope of E[alpha_1] of (3.4b) in log_odds = log(pi_1 / pi_2), for two sources."""
    raise NotImplementedError("your code here")


def solution_3_2(log_odds: float, tau: float) -> float:
    """The slope of E[alpha_1] of (3.4b) in log_odds = log(pi_1 / pi_2), for two sources."""
    u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    weight = torch.sigmoid((log_odds + u.log() - (1 - u).log()) / tau)
    return (weight * (1 - weight)).mean().item() / tau


def cases_3_2() -> list[tuple[float, float]]:
    return [(1.0, 1.0), (-0.5, 0.3), (2.0, 4.0)]


def slopes(
    log_odds: float,
    tau: float,
    *,
    cold: bool = False,
    one: bool = False,
    mean: bool = False,
    weight: bool = False,
) -> float:
    """Noise that isn't divided by tau, or on one source only; at the mean weight; the weight itself."""
    u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    noise = gumbel(u) if one else u.log() - (1 - u).log()
    alpha = torch.sigmoid(log_odds / tau + noise / (1.0 if cold else tau))
    if weight:
        return alpha.mean().item()
    alpha = alpha.mean() if mean else alpha
    return (alpha * (1 - alpha)).mean().item() / tau


def slope_at(value: float) -> float:
    weight = torch.tensor(value, dtype=torch.float64).sigmoid()
    return (weight * (1 - weight)).item()


def stub_3_5(start: float, end: float, tau: float) -> tuple[float, float, float]:
    """For which share of its steps a schedule (3.5) from `start` to `end` is above tau.

    Returns: of the linear, the exponential and the cosine schedule; start > tau > end > 0.
    """
    raise NotImplementedError("your code here")


def solution_3_5(start: float, end: float, tau: float) -> tuple[float, float, float]:
    """For which share of its steps a schedule (3.5) from `start` to `end` is above tau.

    Returns: of the linear, the exponential and the cosine schedule; start > tau > end > 0.
    """
    left = (tau - end) / (start - end)
    exponential = math.log(start / tau) / math.log(start / end)
    return 1 - left, exponential, math.acos(2 * left - 1) / math.pi


def shares(
    start: float, end: float, tau: float, *, logarithm: bool = True, two: float = 2.0
) -> tuple[float, float, float]:
    """Without the logarithm, or with another turn of the cosine."""
    left = (tau - end) / (start - end)
    exponential = math.log(start / tau) / math.log(start / end)
    cosine = math.acos(two * left - (two - 1)) / math.pi
    return 1 - left, exponential if logarithm else 1 - left, cosine


def cases_3_5() -> list[tuple[float, float, float]]:
    return [(1.0, 0.1, 0.3), (2.0, 0.05, 0.5), (1.0, 0.2, 0.9)]


def stub_3_6(log_odds: float, tau: float, epsilon: float) -> float:
    """The probability that a draw of (3.3) for two sources has a weight above 1 - epsilon.

    Args: log_odds = log(pi_1 / pi_2); tau > 0; 0 < epsilon < 1/2.
    """
    raise NotImplementedError("your code here")


def solution_3_6(log_odds: float, tau: float, epsilon: float) -> float:
    """The probability that a draw of (3.3) for two sources has a weight above 1 - epsilon.

    Args: log_odds = log(pi_1 / pi_2); tau > 0; 0 < epsilon < 1/2.
    """
    gap = tau * math.log((1 - epsilon) / epsilon)  # of the scores
    return 1 / (1 + math.exp(gap - log_odds)) + 1 / (1 + math.exp(gap + log_odds))


def tails(log_odds: float, gap: float) -> float:
    """The probability that the two scores differ by more than `gap`."""
    return 1 / (1 + math.exp(gap - log_odds)) + 1 / (1 + math.exp(gap + log_odds))


def cases_3_6() -> list[tuple[float, float, float]]:
    return [(0.0, 1.0, 0.1), (1.2, 0.3, 0.05), (-0.7, 2.0, 0.2)]


EXERCISES = [
    Exercise(
        number="3.1",
        title="One draw from uniform numbers",
        stub=stub_3_1,
        solution=solution_3_1,
        cases=cases_3_1,
        nudge="Three operations, in an order. Which of them has to be the last, for weights to "
        "sum to 1?",
        hint="Turn u into Gumbel noise with (3.1), add it to log pi, divide the sum by tau, and "
        "only then take the softmax.",
        mistakes=[
            Mistake(
                "noise after the softmax",
                "you add the noise after the softmax. (3.3) adds it to log pi, before; noise added "
                "to the weights takes them off the simplex: they no longer sum to 1.",
                lambda log_pi, u, tau: torch.softmax(log_pi / tau, -1) + gumbel(u),
            ),
            Mistake(
                "noise on pi",
                "you add the noise to pi. (3.3) adds it to log pi; with pi in its place the source k "
                "wins with probability softmax(pi)_k, not pi_k.",
                lambda log_pi, u, tau: torch.softmax((log_pi.exp() + gumbel(u)) / tau, -1),
            ),
            Mistake(
                "no noise",
                "that is softmax(log pi / tau), without any Gumbel noise: the same for every draw. "
                "(3.3) adds the noise to log pi.",
                lambda log_pi, u, tau: torch.softmax(log_pi / tau, -1),
            ),
            Mistake(
                "temperature on log pi only",
                "you divide log pi by the temperature and then add the noise. (3.3) divides the sum "
                "of both; otherwise a low temperature makes the weights certain of the likeliest "
                "source instead of drawing one.",
                lambda log_pi, u, tau: torch.softmax(log_pi / tau + gumbel(u), -1),
            ),
            Mistake(
                "one logarithm",
                "your noise is -log u, an exponential variable. A Gumbel variable (3.1) takes minus "
                "the logarithm once more.",
                lambda log_pi, u, tau: torch.softmax((log_pi - u.log()) / tau, -1),
            ),
            Mistake(
                "sign of the noise",
                "your noise has the wrong sign: log(-log u) is minus a Gumbel variable, and its "
                "maximum does not follow (3.2).",
                lambda log_pi, u, tau: torch.softmax((log_pi - gumbel(u)) / tau, -1),
            ),
            Mistake(
                "temperature after the softmax",
                "you divided the weights by the temperature. (3.3) divides the scores, before the "
                "softmax; weights that are divided no longer sum to 1.",
                lambda log_pi, u, tau: torch.softmax(log_pi + gumbel(u), -1) / tau,
            ),
            Mistake(
                "times the temperature",
                "you multiply by the temperature. (3.3) divides by it: a low temperature makes the "
                "differences between the scores large.",
                lambda log_pi, u, tau: torch.softmax((log_pi + gumbel(u)) * tau, -1),
            ),
        ],
    ),
    Exercise(
        number="3.2",
        title="The slope of the expected weight",
        stub=stub_3_2,
        solution=solution_3_2,
        cases=cases_3_2,
        tolerance=1e-4,
        stars=2,
        nudge="In (3.4b) log_odds stands in one place. What may be exchanged with the integral?",
        hint="The slope of sigmoid(x / tau) in x is s (1 - s) / tau, with s its value. Average that over "
        "the midpoints of many small intervals of u.",
        mistakes=[
            Mistake(
                "one-hot",
                "that is pi_1 pi_2, the slope of pi_1 itself and the limit as the temperature goes to 0. "
                "At any other temperature the slope of (3.4b) is another.",
                lambda log_odds, tau: slope_at(log_odds),
            ),
            Mistake(
                "no noise",
                "that is the slope of softmax(log pi / tau), the weights without any Gumbel noise. (3.4b) "
                "averages over the noise.",
                lambda log_odds, tau: slope_at(log_odds / tau) / tau,
            ),
            Mistake(
                "slope at the mean",
                "that is m (1 - m) / tau at the mean weight m. The mean of a product is not the product "
                "of means: average the slope over the noise, not the weight.",
                lambda log_odds, tau: slopes(log_odds, tau, mean=True),
            ),
            Mistake(
                "weight for slope",
                "that is the expected weight (3.4b) itself; its derivative in log_odds is asked for.",
                lambda log_odds, tau: slopes(log_odds, tau, weight=True),
            ),
            Mistake(
                "chain rule",
                "the factor 1 / tau is missing: by (3.3) the temperature divides log_odds, too.",
                lambda log_odds, tau: tau * solution_3_2(log_odds, tau),
            ),
            Mistake(
                "cold noise",
                "you divide only the log odds by the temperature. In (3.3) the noise is divided too.",
                lambda log_odds, tau: slopes(log_odds, tau, cold=True),
            ),
            Mistake(
                "one Gumbel",
                "you put Gumbel noise on one source only. Both get it in (3.3), and the difference "
                "of two Gumbel variables is logistic.",
                lambda log_odds, tau: slopes(log_odds, tau, one=True),
            ),
        ],
    ),
    Exercise(
        number="3.3",
        title="Predict the law of a weight",
        solution="b",
        nudge="Try three values of u by hand: what weight does the recipe make of each?",
        hint="Two equal sources: log pi_1 - log pi_2 = 0. At temperature 1 the weight is the sigmoid "
        "of a logistic variable. What is the distribution function of that variable?",
        mistakes=[
            Mistake(
                "corners",
                "the weights crowd at 0 and 1 only below temperature 1; see (3.3) and the figure.",
                "a",
            ),
            Mistake(
                "middle",
                "the weights crowd around 1/2 only above temperature 1; see (3.3) and the figure.",
                "c",
            ),
            Mistake(
                "no noise",
                "1/2 is the mean of the weight, by symmetry. The Gumbel noise in (3.3) spreads it.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="3.4",
        title="Read the gradient figure",
        solution="b",
        nudge="Measure: take two temperatures on the axis, and read off both heights.",
        hint="Look at the slope of the middle panel on the left: both axes are logarithmic. "
        "By what does the sd change over one factor of 10 in temperature?",
        mistakes=[
            Mistake(
                "doubles",
                "a gradient 1/tau times as large would double the sd if every draw had one. Only a "
                "share of draws proportional to tau has a gradient at all, and the variance is the "
                "product of that share and the square of the size; see (3.3).",
                "a",
            ),
            Mistake(
                "variance",
                "that is what the bias of (3.3) does: it keeps falling. The sd of the gradient rises.",
                "c",
            ),
            Mistake(
                "unchanged",
                "a constant sd is that of the score-function gradient. The gradient of the "
                "relaxation (3.3) gets noisier as the temperature falls.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="3.5",
        title="A schedule, read backwards",
        stub=stub_3_5,
        solution=solution_3_5,
        cases=cases_3_5,
        stars=2,
        nudge="All three fall from start to end. At which share of the way is each of them at tau?",
        hint="Solve each line of (3.5) for rho. For the exponential take logarithms; for the cosine, "
        "first bring the cosine alone on one side.",
        mistakes=[
            Mistake(
                "share below",
                "those are the shares of steps below tau. Asked for is how long (3.5) stays above it.",
                lambda *a: tuple(1 - share for share in solution_3_5(*a)),
            ),
            Mistake(
                "no logarithm",
                "you read the exponential schedule as if it were linear. (3.5) multiplies by the same "
                "factor in every step: what falls evenly is the logarithm of the temperature.",
                lambda *a: shares(*a, logarithm=False),
            ),
            Mistake(
                "quarter of a turn",
                "your cosine runs from 1 to 0. In (3.5) it runs from 1 to -1, half a turn, so what is "
                "left of the temperature is (1 + cos) / 2.",
                lambda *a: shares(*a, two=1.0),
            ),
            Mistake(
                "angle",
                "your third number is the angle of the cosine in (3.5), between 0 and pi; the share of "
                "the steps is that angle over pi.",
                lambda *a: (*solution_3_5(*a)[:2], math.pi * solution_3_5(*a)[2]),
            ),
        ],
    ),
    Exercise(
        number="3.6",
        title="When is alpha one-hot?",
        stub=stub_3_6,
        solution=solution_3_6,
        cases=cases_3_6,
        stars=2,
        nudge="A weight is large if the winner is far ahead. How far, in scores, and who may be the winner?",
        hint="alpha_1 > 1 - epsilon means (log_odds + D) / tau > log((1 - epsilon) / epsilon), and (3.4a) "
        "is the law of D. Then the same for alpha_2.",
        mistakes=[
            Mistake(
                "one source only",
                "that is the probability that the first weight is above 1 - epsilon. A draw of (3.3) is "
                "one-hot as well if the second source wins by as much.",
                lambda log_odds, tau, epsilon: (
                    1 / (1 + math.exp(tau * math.log((1 - epsilon) / epsilon) - log_odds))
                ),
            ),
            Mistake(
                "divided by the temperature",
                "you divided the gap by the temperature. By (3.3a) the scores' gap is divided by tau to "
                "make a weight, so the gap that is needed is tau times the log odds of the weight.",
                lambda log_odds, tau, epsilon: tails(
                    log_odds, math.log((1 - epsilon) / epsilon) / tau
                ),
            ),
            Mistake(
                "ratio and weight",
                "you asked for a weight of the loser below epsilon times the winner's, (3.3a). The two "
                "sum to 1, so the ratio of a weight 1 - epsilon is epsilon / (1 - epsilon).",
                lambda log_odds, tau, epsilon: tails(log_odds, -tau * math.log(epsilon)),
            ),
            Mistake(
                "twice one source",
                "you doubled the probability of the first source. The two are alike only if pi_1 = pi_2; "
                "in (3.4a) the other tail has the other sign of log_odds.",
                lambda log_odds, tau, epsilon: (
                    2 / (1 + math.exp(tau * math.log((1 - epsilon) / epsilon) - log_odds))
                ),
            ),
        ],
    ),
]
