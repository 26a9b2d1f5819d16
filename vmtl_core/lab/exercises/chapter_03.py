"""Exercises of chapter 3: Gumbel noise, the relaxation, its mean and its gradients."""

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
    """E[alpha_1] of (3.4) for two sources, log_odds = log(pi_1 / pi_2), by a midpoint rule."""
    raise NotImplementedError("your code here")


def solution_3_2(log_odds: float, tau: float) -> float:
    """E[alpha_1] of (3.4) for two sources, log_odds = log(pi_1 / pi_2), by a midpoint rule."""
    u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    logistic = u.log() - (1 - u).log()
    return torch.sigmoid((log_odds + logistic) / tau).mean().item()


def cases_3_2() -> list[tuple[float, float]]:
    return [(1.0, 1.0), (-0.5, 0.3), (2.0, 4.0)]


def with_one_gumbel(log_odds: float, tau: float) -> float:
    """Noise on one of the two scores only."""
    u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    return torch.sigmoid((log_odds + gumbel(u)) / tau).mean().item()


def with_cold_noise(log_odds: float, tau: float) -> float:
    """The temperature divides the log odds only."""
    u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    return torch.sigmoid(log_odds / tau + u.log() - (1 - u).log()).mean().item()


def sigmoid(value: float) -> float:
    return torch.tensor(value, dtype=torch.float64).sigmoid().item()


def stub_3_5(start: float, end: float, steps: int, step: int) -> float:
    """The exponential schedule of (3.5): `start` at step 0, `end` at step `steps` and after it."""
    raise NotImplementedError("your code here")


def solution_3_5(start: float, end: float, steps: int, step: int) -> float:
    """The exponential schedule of (3.5): `start` at step 0, `end` at step `steps` and after it."""
    return start * (end / start) ** min(step / steps, 1.0)


def cases_3_5() -> list[tuple[float, float, int, int]]:
    return [(1.0, 0.1, 100, 50), (2.0, 0.05, 40, 10), (1.0, 0.1, 100, 150)]


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
                "times the temperature",
                "you multiply by the temperature. (3.3) divides by it: a low temperature makes the "
                "differences between the scores large.",
                lambda log_pi, u, tau: torch.softmax((log_pi + gumbel(u)) * tau, -1),
            ),
        ],
    ),
    Exercise(
        number="3.2",
        title="The expected weight of two sources",
        stub=stub_3_2,
        solution=solution_3_2,
        cases=cases_3_2,
        tolerance=1e-4,
        hint="The difference of two Gumbel variables is logistic: log(u / (1 - u)) for uniform u. "
        "Average sigmoid((log_odds + noise) / tau) over the midpoints of many small intervals.",
        mistakes=[
            Mistake(
                "pi itself",
                "that is pi_1, the limit of (3.4) as the temperature goes to 0. At any other "
                "temperature the expected weight is closer to 1/2.",
                lambda log_odds, tau: sigmoid(log_odds),
            ),
            Mistake(
                "no noise",
                "that is softmax(log pi / tau), the weights without any Gumbel noise. (3.4) averages "
                "over the noise.",
                lambda log_odds, tau: sigmoid(log_odds / tau),
            ),
            Mistake(
                "one Gumbel",
                "you put Gumbel noise on one source only. Both get it in (3.3), and the difference "
                "of two Gumbel variables is logistic.",
                with_one_gumbel,
            ),
            Mistake(
                "the other source",
                "that is E[alpha_2], the expected weight of the other source. The argument of (3.4b) "
                "is log(pi_1 / pi_2), with pi_1 on top.",
                lambda log_odds, tau: 1 - solution_3_2(log_odds, tau),
            ),
            Mistake(
                "cold noise",
                "you divide only the log odds by the temperature. In (3.3) the noise is divided too.",
                with_cold_noise,
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
        title="A schedule",
        stub=stub_3_5,
        solution=solution_3_5,
        cases=cases_3_5,
        hint="The ratio of two successive temperatures is constant, and after `steps` nothing changes.",
        mistakes=[
            Mistake(
                "never stops",
                "your temperature falls on after `steps`. (3.5) stays at `end`: too low a "
                "temperature makes the gradients explode.",
                lambda start, end, steps, step: start * (end / start) ** (step / steps),
            ),
            Mistake(
                "linear",
                "that is the linear schedule of (3.5), a constant difference a step. The exponential "
                "one has a constant ratio.",
                lambda start, end, steps, step: start + (end - start) * min(step / steps, 1.0),
            ),
            Mistake(
                "natural",
                "you multiply by exp(-step / steps), whatever `end` is. The schedule (3.5) reaches "
                "`end` exactly at step `steps`.",
                lambda start, end, steps, step: (
                    start * torch.tensor(-step / steps, dtype=torch.float64).exp().item()
                ),
            ),
        ],
    ),
]
