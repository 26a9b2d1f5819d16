"""Exercises of chapter 12: rounds with a width, the cure for unequal tasks, and hearsay."""

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_12_1(square: float, width: float, rounds: int) -> float:
    """Posterior variance after `rounds` rounds of (11.6), from s^2 and delta; round 1 has a flat prior."""
    raise NotImplementedError("your code here")


def solution_12_1(square: float, width: float, rounds: int) -> float:
    """Posterior variance after `rounds` rounds of (11.6), from s^2 and delta; round 1 has a flat prior."""
    variance = square
    for _ in range(rounds - 1):
        variance = 1 / (1 / square + 1 / (variance + width**2))
    return variance


def cases_12_1() -> list[tuple[float, float, int]]:
    return [(0.25, 0.5, 4), (1.0, 0.3, 9), (2.0, 1.5, 3)]


def no_width_12_1(square: float, width: float, rounds: int) -> float:
    return square / rounds


def own_12_1(square: float, width: float, rounds: int) -> float:
    return 1 / (1 / square + 1 / (square + width**2))


def not_squared_12_1(square: float, width: float, rounds: int) -> float:
    variance = square
    for _ in range(rounds - 1):
        variance = 1 / (1 / square + 1 / (variance + width))
    return variance


def one_more_12_1(square: float, width: float, rounds: int) -> float:
    return solution_12_1(square, width, rounds + 1)


def limit_12_1(square: float, width: float, rounds: int) -> float:
    return width**2 / 2 * ((1 + 4 * square / width**2) ** 0.5 - 1)


def precision_12_1(square: float, width: float, rounds: int) -> float:
    return 1 / solution_12_1(square, width, rounds)


def sd_12_1(square: float, width: float, rounds: int) -> float:
    return solution_12_1(square, width, rounds) ** 0.5


def stub_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    """Mean and variance of w_1 given both data sets, (12.1), stacked, shape (2,).

    From the sample means (2,), their squared standard errors (2,), which may differ, and delta.
    """
    raise NotImplementedError("your code here")


def solution_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    """Mean and variance of w_1 given both data sets, (12.1), stacked, shape (2,).

    From the sample means (2,), their squared standard errors (2,), which may differ, and delta.
    """
    precision = 1 / (squares + torch.tensor([0.0, width**2]))
    return torch.stack([precision @ means / precision.sum(), 1 / precision.sum()])


def cases_12_2() -> list[tuple[Tensor, Tensor, float]]:
    return [(torch.randn(2), 0.2 + torch.rand(2), width) for width in (0.5, 1.3, 2.0)]


def no_width_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    return solution_12_2(means, squares, 0.0)


def not_squared_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    return solution_12_2(means, squares, width**0.5)


def both_widened_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    return solution_12_2(means, squares + width**2 * torch.tensor([1.0, 0.0]), width)


def echo_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    back = solution_12_2(means.flip(0), squares.flip(0), width)
    return solution_12_2(
        torch.stack([means[0], back[0]]), torch.stack([squares[0], back[1]]), width
    )


def other_task_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    return solution_12_2(means.flip(0), squares.flip(0), width)


def sd_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    mean, variance = solution_12_2(means, squares, width)
    return torch.stack([mean, variance.sqrt()])


def precision_12_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    mean, variance = solution_12_2(means, squares, width)
    return torch.stack([mean, 1 / variance])


def stub_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    """Mean and sd of w_1, stacked, (2, K), from those of K sources of w_3: (12.6) twice.

    `mean` and `sd` have shape (K,); the population is N(centre, spread^2); delta is in units of spread.
    """
    raise NotImplementedError("your code here")


def solution_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    """Mean and sd of w_1, stacked, (2, K), from those of K sources of w_3: (12.6) twice.

    `mean` and `sd` have shape (K,); the population is N(centre, spread^2); delta is in units of spread.
    """
    rho = 1 / (1 + delta**2)  # of w_1 and w_3; one step has the root of it
    variance = (rho * sd) ** 2 + (1 - rho**2) * spread**2
    return torch.stack([centre + rho * (mean - centre), variance.sqrt()])


def cases_12_3() -> list[tuple[Tensor, Tensor, float, float, float]]:
    return [
        (torch.randn(3), 0.2 + torch.rand(3), centre, spread, delta)
        for centre, spread, delta in ((0.7, 0.6, 0.3), (-1.2, 1.5, 0.6), (2.0, 2.5, 0.9))
    ]


def steps_12_3(
    mean: Tensor, sd: Tensor, centre: float, rho: float, kept: float, noise: float, count: int = 2
) -> Tensor:
    variance = sd**2
    for _ in range(count):
        mean, variance = centre + rho * (mean - centre), kept * variance + noise
    return torch.stack([mean, variance.sqrt()])


def relaxed_12_3(rho: float, spread: float) -> tuple[float, float, float]:
    return rho, rho**2, (1 - rho**2) * spread**2


def once_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    return steps_12_3(mean, sd, centre, *relaxed_12_3((1 + delta**2) ** -0.5, spread), count=1)


def no_step_back_12_3(
    mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float
) -> Tensor:
    return steps_12_3(mean, sd, centre, 1.0, 1.0, (delta * spread) ** 2)


def widths_add_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    rho = (1 + 2 * delta**2) ** -0.5
    return steps_12_3(mean, sd, centre, *relaxed_12_3(rho, spread), count=1)


def no_root_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    return steps_12_3(mean, sd, centre, *relaxed_12_3(1 / (1 + delta**2), spread))


def delta_is_rho_12_3(
    mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float
) -> Tensor:
    return steps_12_3(mean, sd, centre, *relaxed_12_3(delta, spread))


def to_zero_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    return solution_12_3(mean, sd, 0.0, spread, delta)


def whole_noise_12_3(
    mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float
) -> Tensor:
    square = 1 / (1 + delta**2)
    return steps_12_3(mean, sd, centre, square**0.5, square, spread**2)


def noise_of_one_step_12_3(
    mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float
) -> Tensor:
    rho = 1 / (1 + delta**2)
    variance = (rho * sd) ** 2 + (1 - rho) * spread**2
    return torch.stack([centre + rho * (mean - centre), variance.sqrt()])


def not_shrunk_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    square = 1 / (1 + delta**2)
    return steps_12_3(mean, sd, centre, square**0.5, 1.0, (1 - square) * spread**2)


def no_units_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    return solution_12_3(mean, sd, centre, 1.0, delta)


def variance_12_3(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    found, its_sd = solution_12_3(mean, sd, centre, spread, delta)
    return torch.stack([found, its_sd**2])


EXERCISES = [
    Exercise(
        number="12.1",
        title="Rounds with a width",
        stars=2,
        nudge="Compute the first three variances by hand, with s = delta = 1. In which round was "
        "each of them reported?",
        stub=stub_12_1,
        solution=solution_12_1,
        cases=cases_12_1,
        hint="Start from the variance s^2, and repeat the first half of (11.6) one time fewer than there are rounds.",
        mistakes=[
            Mistake(
                "no_width",
                "that is s^2 / r of (11.7), which holds for a width of 0 only.",
                no_width_12_1,
            ),
            Mistake(
                "own",
                "you stop after the second round. That is the honest variance (12.2); (11.6) goes on "
                "from the variance of the round before.",
                own_12_1,
            ),
            Mistake(
                "not_squared",
                "you added the width delta to a variance; (11.6) adds delta squared.",
                not_squared_12_1,
            ),
            Mistake(
                "one_more",
                "that is one round too many: round 1 has a flat prior and the variance s^2, see (11.6).",
                one_more_12_1,
            ),
            Mistake(
                "limit",
                "that is the limit (12.3), after infinitely many rounds.",
                limit_12_1,
            ),
            Mistake(
                "precision",
                "that is the precision, the left side of (11.6); give the variance.",
                precision_12_1,
            ),
            Mistake(
                "sd",
                "that is the standard deviation; (11.6) is about the variance.",
                sd_12_1,
            ),
        ],
    ),
    Exercise(
        number="12.2",
        title="The cure, with unequal tasks",
        stars=2,
        nudge="What would task 1 believe with the other's data alone, and how far does that reach?",
        stub=stub_12_2,
        solution=solution_12_2,
        cases=cases_12_2,
        hint="Two Gaussian messages about w_1: its own likelihood, and the other's posterior, widened. "
        "Precisions add.",
        mistakes=[
            Mistake(
                "no_width",
                "you pooled the two data sets: (12.1) widens the prior by the variance delta squared.",
                no_width_12_2,
            ),
            Mistake(
                "not_squared",
                "you added delta to a variance where (12.1) adds delta squared.",
                not_squared_12_2,
            ),
            Mistake(
                "both_widened",
                "you widened task 1's own likelihood too. In (12.1) only the other task's message "
                "crosses the distance of variance delta squared.",
                both_widened_12_2,
            ),
            Mistake(
                "echo",
                "your prior is the other's posterior *after* it has heard task 1: the echo of (11.6), "
                "round 3. (12.1) takes the other's posterior from its own data.",
                echo_12_2,
            ),
            Mistake(
                "other_task",
                "that is the posterior of w_2. For w_1, (12.1) widens what comes from task 2.",
                other_task_12_2,
            ),
            Mistake(
                "sd",
                "the mean is right; give the variance, not the standard deviation.",
                sd_12_2,
            ),
            Mistake(
                "precision",
                "the mean is right; give the variance, not the precision.",
                precision_12_2,
            ),
        ],
    ),
    Exercise(
        number="12.3",
        title="Hearsay",
        stars=2,
        nudge="Do one step, from w_3 to w_2, with numbers. What are the mean and the variance "
        "that the second step starts from?",
        stub=stub_12_3,
        solution=solution_12_3,
        cases=cases_12_3,
        hint="Put the mean and the variance of (12.6) into (12.6) once more. Which correlation do w_1 "
        "and w_3 have?",
        mistakes=[
            Mistake(
                "once", "that is w_2: (12.6) once. From w_3 to w_1 it takes two steps.", once_12_3
            ),
            Mistake(
                "no_step_back",
                "you widened twice and never drew back: (12.6) draws the mean towards m_0 and shrinks "
                "the variance, too.",
                no_step_back_12_3,
            ),
            Mistake(
                "widths_add",
                "that is one step of (12.6) with the width delta sqrt(2). The variances of two widths "
                "add in (2.6); in (12.5) the correlations of two steps multiply.",
                widths_add_12_3,
            ),
            Mistake(
                "no_root",
                "your correlation of one step is 1 / (1 + delta^2); the root in (12.5) is missing.",
                no_root_12_3,
            ),
            Mistake(
                "delta_is_rho",
                "you took delta for the correlation rho: (12.5) has rho = 1 / sqrt(1 + delta^2).",
                delta_is_rho_12_3,
            ),
            Mistake(
                "to_zero",
                "you drew the mean towards 0; (12.6) draws it towards the population's mean m_0.",
                to_zero_12_3,
            ),
            Mistake(
                "whole_noise",
                "you added the population's whole variance in each step; (12.6) adds its share "
                "1 - rho^2.",
                whole_noise_12_3,
            ),
            Mistake(
                "noise_of_one_step",
                "the mean is right, but the noise is that of one step, (1 - rho^2) s_0^2 of (12.6): the "
                "first step's comes along, shrunk, with the second.",
                noise_of_one_step_12_3,
            ),
            Mistake(
                "not_shrunk",
                "the mean is right, but you left the factor rho^2 off the source's variance in (12.6).",
                not_shrunk_12_3,
            ),
            Mistake(
                "no_units",
                "the mean is right, but your noise has no s_0 in it: in (12.5) delta is in units of s_0.",
                no_units_12_3,
            ),
            Mistake(
                "variance",
                "the mean is right; give the standard deviation, not the variance.",
                variance_12_3,
            ),
        ],
    ),
]
