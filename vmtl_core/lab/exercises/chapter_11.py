"""Exercises of chapter 11."""

import math

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_11_1(square: float, width: float, rounds: int) -> float:
    """Posterior variance after `rounds` rounds of (11.6), from s^2 and delta; round 1 has a flat prior."""
    raise NotImplementedError("your code here")


def solution_11_1(square: float, width: float, rounds: int) -> float:
    """Posterior variance after `rounds` rounds of (11.6), from s^2 and delta; round 1 has a flat prior."""
    variance = square
    for _ in range(rounds - 1):
        variance = 1 / (1 / square + 1 / (variance + width**2))
    return variance


def cases_11_1() -> list[tuple[float, float, int]]:
    return [(0.25, 0.5, 4), (1.0, 0.3, 9), (2.0, 1.5, 3)]


def no_width_11_1(square: float, width: float, rounds: int) -> float:
    return square / rounds


def own_11_1(square: float, width: float, rounds: int) -> float:
    return 1 / (1 / square + 1 / (square + width**2))


def not_squared_11_1(square: float, width: float, rounds: int) -> float:
    variance = square
    for _ in range(rounds - 1):
        variance = 1 / (1 / square + 1 / (variance + width))
    return variance


def one_more_11_1(square: float, width: float, rounds: int) -> float:
    return solution_11_1(square, width, rounds + 1)


def limit_11_1(square: float, width: float, rounds: int) -> float:
    return width**2 / 2 * ((1 + 4 * square / width**2) ** 0.5 - 1)


def precision_11_1(square: float, width: float, rounds: int) -> float:
    return 1 / solution_11_1(square, width, rounds)


def sd_11_1(square: float, width: float, rounds: int) -> float:
    return solution_11_1(square, width, rounds) ** 0.5


def stub_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    """Mean and variance of w_1 given both data sets, (11.10), stacked, shape (2,).

    From the sample means (2,), their squared standard errors (2,), which may differ, and delta.
    """
    raise NotImplementedError("your code here")


def solution_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    """Mean and variance of w_1 given both data sets, (11.10), stacked, shape (2,).

    From the sample means (2,), their squared standard errors (2,), which may differ, and delta.
    """
    precision = 1 / (squares + torch.tensor([0.0, width**2]))
    return torch.stack([precision @ means / precision.sum(), 1 / precision.sum()])


def cases_11_2() -> list[tuple[Tensor, Tensor, float]]:
    return [(torch.randn(2), 0.2 + torch.rand(2), width) for width in (0.5, 1.3, 2.0)]


def no_width_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    return solution_11_2(means, squares, 0.0)


def not_squared_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    return solution_11_2(means, squares, width**0.5)


def both_widened_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    return solution_11_2(means, squares + width**2 * torch.tensor([1.0, 0.0]), width)


def echo_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    back = solution_11_2(means.flip(0), squares.flip(0), width)
    return solution_11_2(
        torch.stack([means[0], back[0]]), torch.stack([squares[0], back[1]]), width
    )


def other_task_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    return solution_11_2(means.flip(0), squares.flip(0), width)


def sd_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    mean, variance = solution_11_2(means, squares, width)
    return torch.stack([mean, variance.sqrt()])


def precision_11_2(means: Tensor, squares: Tensor, width: float) -> Tensor:
    mean, variance = solution_11_2(means, squares, width)
    return torch.stack([mean, 1 / variance])


def stub_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    """Mean and sd of w_1, stacked, (2, K), from those of K sources of w_3: (11.17) twice.

    `mean` and `sd` have shape (K,); the population is N(centre, spread^2); delta is in units of spread.
    """
    raise NotImplementedError("your code here")


def solution_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    """Mean and sd of w_1, stacked, (2, K), from those of K sources of w_3: (11.17) twice.

    `mean` and `sd` have shape (K,); the population is N(centre, spread^2); delta is in units of spread.
    """
    rho = 1 / (1 + delta**2)  # of w_1 and w_3; one step has the root of it
    variance = (rho * sd) ** 2 + (1 - rho**2) * spread**2
    return torch.stack([centre + rho * (mean - centre), variance.sqrt()])


def cases_11_5() -> list[tuple[Tensor, Tensor, float, float, float]]:
    return [
        (torch.randn(3), 0.2 + torch.rand(3), centre, spread, delta)
        for centre, spread, delta in ((0.7, 0.6, 0.3), (-1.2, 1.5, 0.6), (2.0, 2.5, 0.9))
    ]


def steps_11_5(
    mean: Tensor, sd: Tensor, centre: float, rho: float, kept: float, noise: float, count: int = 2
) -> Tensor:
    variance = sd**2
    for _ in range(count):
        mean, variance = centre + rho * (mean - centre), kept * variance + noise
    return torch.stack([mean, variance.sqrt()])


def relaxed_11_5(rho: float, spread: float) -> tuple[float, float, float]:
    return rho, rho**2, (1 - rho**2) * spread**2


def once_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    return steps_11_5(mean, sd, centre, *relaxed_11_5((1 + delta**2) ** -0.5, spread), count=1)


def no_step_back_11_5(
    mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float
) -> Tensor:
    return steps_11_5(mean, sd, centre, 1.0, 1.0, (delta * spread) ** 2)


def widths_add_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    rho = (1 + 2 * delta**2) ** -0.5
    return steps_11_5(mean, sd, centre, *relaxed_11_5(rho, spread), count=1)


def no_root_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    return steps_11_5(mean, sd, centre, *relaxed_11_5(1 / (1 + delta**2), spread))


def delta_is_rho_11_5(
    mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float
) -> Tensor:
    return steps_11_5(mean, sd, centre, *relaxed_11_5(delta, spread))


def to_zero_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    return solution_11_5(mean, sd, 0.0, spread, delta)


def whole_noise_11_5(
    mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float
) -> Tensor:
    square = 1 / (1 + delta**2)
    return steps_11_5(mean, sd, centre, square**0.5, square, spread**2)


def noise_of_one_step_11_5(
    mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float
) -> Tensor:
    rho = 1 / (1 + delta**2)
    variance = (rho * sd) ** 2 + (1 - rho) * spread**2
    return torch.stack([centre + rho * (mean - centre), variance.sqrt()])


def not_shrunk_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    square = 1 / (1 + delta**2)
    return steps_11_5(mean, sd, centre, square**0.5, 1.0, (1 - square) * spread**2)


def no_units_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    return solution_11_5(mean, sd, centre, 1.0, delta)


def variance_11_5(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    found, its_sd = solution_11_5(mean, sd, centre, spread, delta)
    return torch.stack([found, its_sd**2])


def stub_11_6(noise: float, first: int, second: int) -> float:
    """The |Delta| up to which the fused point is an optimum of (11.1).

    For tasks with `first` and `second` readings of standard deviation `noise`; for equal
    numbers of readings it is that of (11.4).
    """
    raise NotImplementedError("your code here")


def solution_11_6(noise: float, first: int, second: int) -> float:
    """The |Delta| up to which the fused point is an optimum of (11.1).

    For tasks with `first` and `second` readings of standard deviation `noise`; for equal
    numbers of readings it is that of (11.4).
    """
    one, two = noise**2 / first, noise**2 / second
    price = math.sqrt(2 / one + 2 / two)  # of a small distance d, for each unit of it
    return price * (one + two)


def cases_11_6() -> list[tuple[float, int, int]]:
    return [(1.0, 4, 16), (0.5, 9, 2), (2.0, 30, 10)]


def four_errors_11_6(noise: float, first: int, second: int) -> float:
    return 4 * noise / math.sqrt((first + second) / 2)


def both_errors_11_6(noise: float, first: int, second: int) -> float:
    return 2 * noise * (first**-0.5 + second**-0.5)


def difference_11_6(noise: float, first: int, second: int) -> float:
    return math.sqrt(8 * noise**2 * (1 / first + 1 / second))


def larger_11_6(noise: float, first: int, second: int) -> float:
    return 4 * noise / math.sqrt(min(first, second))


def one_gives_way_11_6(noise: float, first: int, second: int) -> float:
    one, two = noise**2 / first, noise**2 / second
    return math.sqrt(2 / one + 2 / two) * min(one, two)


def own_kl_11_6(noise: float, first: int, second: int) -> float:
    return solution_11_6(noise, first, second) / math.sqrt(2)


EXERCISES = [
    Exercise(
        number="11.1",
        title="Rounds with a width",
        stars=2,
        nudge="Compute the first three variances by hand, with s = delta = 1. In which round was "
        "each of them reported?",
        stub=stub_11_1,
        solution=solution_11_1,
        cases=cases_11_1,
        hint="Start from the variance s^2, and repeat the first half of (11.6) one time fewer than there are rounds.",
        mistakes=[
            Mistake(
                "no_width",
                "that is s^2 / r of (11.7), which holds for a width of 0 only.",
                no_width_11_1,
            ),
            Mistake(
                "own",
                "you stop after the second round. That is the honest variance (11.11); (11.6) goes on "
                "from the variance of the round before.",
                own_11_1,
            ),
            Mistake(
                "not_squared",
                "you added the width delta to a variance; (11.6) adds delta squared.",
                not_squared_11_1,
            ),
            Mistake(
                "one_more",
                "that is one round too many: round 1 has a flat prior and the variance s^2, see (11.6).",
                one_more_11_1,
            ),
            Mistake(
                "limit",
                "that is the limit (11.12), after infinitely many rounds.",
                limit_11_1,
            ),
            Mistake(
                "precision",
                "that is the precision, the left side of (11.6); give the variance.",
                precision_11_1,
            ),
            Mistake(
                "sd",
                "that is the standard deviation; (11.6) is about the variance.",
                sd_11_1,
            ),
        ],
    ),
    Exercise(
        number="11.2",
        title="The cure, with unequal tasks",
        stars=2,
        nudge="What would task 1 believe with the other's data alone, and how far does that reach?",
        stub=stub_11_2,
        solution=solution_11_2,
        cases=cases_11_2,
        hint="Two Gaussian messages about w_1: its own likelihood, and the other's posterior, widened. "
        "Precisions add.",
        mistakes=[
            Mistake(
                "no_width",
                "you pooled the two data sets: (11.10) widens the prior by the variance delta squared.",
                no_width_11_2,
            ),
            Mistake(
                "not_squared",
                "you added delta to a variance where (11.10) adds delta squared.",
                not_squared_11_2,
            ),
            Mistake(
                "both_widened",
                "you widened task 1's own likelihood too. In (11.10) only the other task's message "
                "crosses the distance of variance delta squared.",
                both_widened_11_2,
            ),
            Mistake(
                "echo",
                "your prior is the other's posterior *after* it has heard task 1: the echo of (11.6), "
                "round 3. (11.10) takes the other's posterior from its own data.",
                echo_11_2,
            ),
            Mistake(
                "other_task",
                "that is the posterior of w_2. For w_1, (11.10) widens what comes from task 2.",
                other_task_11_2,
            ),
            Mistake(
                "sd",
                "the mean is right; give the variance, not the standard deviation.",
                sd_11_2,
            ),
            Mistake(
                "precision",
                "the mean is right; give the variance, not the precision.",
                precision_11_2,
            ),
        ],
    ),
    Exercise(
        number="11.3",
        title="A factor on the KL",
        stars=2,
        nudge="Which of the two terms of (11.1) does kappa weaken? Who then wins, where there is "
        "a conflict?",
        solution="b",
        hint="Put sigma sqrt(kappa) in place of sigma into both halves of (11.4).",
        mistakes=[
            Mistake(
                "a",
                "the threshold shrinks, but the variance of (11.4) shrinks with it: by (11.9) both "
                "carry a factor sqrt(kappa).",
                "a",
            ),
            Mistake(
                "c",
                "Adam ignores a factor on the whole objective; here the factor sits on the KL alone, "
                "and (11.9) says what that changes.",
                "c",
            ),
            Mistake(
                "d",
                "a small factor on the KL weakens the prior, so the means fuse less often, not more; "
                "see (11.9).",
                "d",
            ),
        ],
    ),
    Exercise(
        number="11.4",
        title="Noticing the echo",
        stars=1,
        nudge="Which of them would an honest stranger compute, who has never seen the training "
        "rows?",
        solution="c",
        hint="Which of these numbers has seen something that training has not?",
        mistakes=[
            Mistake(
                "a",
                "the ELBO rewards the echo: between posteriors that agree the KL is zero, however narrow "
                "they are, and the likelihood prefers them narrow.",
                "a",
            ),
            Mistake(
                "b",
                "agreement of the posterior means is what both the truth and the echo produce; by "
                "(11.5) equal tasks collapse almost always.",
                "b",
            ),
            Mistake(
                "d",
                "the prior's weights alpha say whom a task listens to. With two tasks they are 1 with "
                "or without an echo.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="11.5",
        title="Hearsay",
        stars=2,
        nudge="Do one step, from w_3 to w_2, with numbers. What are the mean and the variance "
        "that the second step starts from?",
        stub=stub_11_5,
        solution=solution_11_5,
        cases=cases_11_5,
        hint="Put the mean and the variance of (11.17) into (11.17) once more. Which correlation do w_1 "
        "and w_3 have?",
        mistakes=[
            Mistake(
                "once", "that is w_2: (11.17) once. From w_3 to w_1 it takes two steps.", once_11_5
            ),
            Mistake(
                "no_step_back",
                "you widened twice and never drew back: (11.17) draws the mean towards m_0 and shrinks "
                "the variance, too.",
                no_step_back_11_5,
            ),
            Mistake(
                "widths_add",
                "that is one step of (11.17) with the width delta sqrt(2). The variances of two widths "
                "add in (2.6); in (11.16) the correlations of two steps multiply.",
                widths_add_11_5,
            ),
            Mistake(
                "no_root",
                "your correlation of one step is 1 / (1 + delta^2); the root in (11.16) is missing.",
                no_root_11_5,
            ),
            Mistake(
                "delta_is_rho",
                "you took delta for the correlation rho: (11.16) has rho = 1 / sqrt(1 + delta^2).",
                delta_is_rho_11_5,
            ),
            Mistake(
                "to_zero",
                "you drew the mean towards 0; (11.17) draws it towards the population's mean m_0.",
                to_zero_11_5,
            ),
            Mistake(
                "whole_noise",
                "you added the population's whole variance in each step; (11.17) adds its share "
                "1 - rho^2.",
                whole_noise_11_5,
            ),
            Mistake(
                "noise_of_one_step",
                "the mean is right, but the noise is that of one step, (1 - rho^2) s_0^2 of (11.17): the "
                "first step's comes along, shrunk, with the second.",
                noise_of_one_step_11_5,
            ),
            Mistake(
                "not_shrunk",
                "the mean is right, but you left the factor rho^2 off the source's variance in (11.17).",
                not_shrunk_11_5,
            ),
            Mistake(
                "no_units",
                "the mean is right, but your noise has no s_0 in it: in (11.16) delta is in units of s_0.",
                no_units_11_5,
            ),
            Mistake(
                "variance",
                "the mean is right; give the standard deviation, not the variance.",
                variance_11_5,
            ),
        ],
    ),
    Exercise(
        number="11.6",
        title="Unequal tasks: when do they fuse?",
        stars=3,
        nudge="Go through steps 1 to 3 of the law again, with s_1 and s_2. What does a very small distance d "
        "cost, and what does it bring?",
        stub=stub_11_6,
        solution=solution_11_6,
        cases=cases_11_6,
        hint="Near the fused point v_1 = v_2 = v still: it costs least, v/2 (1/s_1^2 + 1/s_2^2) + d^2/v over "
        "v. The means give way in proportion to their variances: (Delta - d)^2 / 2 (s_1^2 + s_2^2).",
        mistakes=[
            Mistake(
                "four errors",
                "that is (11.4) with the average number of readings. The two numbers enter (11.1) by "
                "their standard errors, and the smaller one counts for more.",
                four_errors_11_6,
            ),
            Mistake(
                "both errors",
                "that is 2 (s_1 + s_2), a guess that (11.4) allows; (11.1) has squares of both.",
                both_errors_11_6,
            ),
            Mistake(
                "difference",
                "that is 2 sqrt(2) standard errors of Delta: right for equal tasks (11.4), where both "
                "share the price of a small variance. For unequal ones the price of d is "
                "sqrt(2/s_1^2 + 2/s_2^2), which is more.",
                difference_11_6,
            ),
            Mistake(
                "larger",
                "that is (11.4) with the larger standard error for both tasks.",
                larger_11_6,
            ),
            Mistake(
                "one gives way",
                "you let one of the means alone give way. Both do, as step 3 has it, each in proportion "
                "to the variance of its sample mean.",
                one_gives_way_11_6,
            ),
            Mistake(
                "one KL",
                "sqrt(2) too small: d^2 is in both KLs of (11.1), so with equal variances it costs "
                "d^2 / v, not half of that.",
                own_kl_11_6,
            ),
        ],
    ),
    Exercise(
        number="11.7",
        title="What a bar proves",
        stars=1,
        nudge="What was drawn anew for each of the ten scores, and what stayed the same in all ten?",
        solution="b",
        hint="A standard error answers: how much would this mean change if I did the same again? What "
        "would be 'the same' here, and what would not be done again?",
        mistakes=[
            Mistake(
                "other schools",
                "in all ten splits these are the same tasks and the same rows: no other table was drawn, so "
                "the interval knows nothing of one.",
                "a",
            ),
            Mistake(
                "probability",
                "an interval that excludes zero speaks of the difference of two means, under repetition "
                "of the splits. It gives no probability to a method, and says nothing of single tables.",
                "c",
            ),
            Mistake(
                "nothing",
                "the splits overlap, so the ten differences aren't independent and the bar is somewhat too "
                "short; and yet a mean difference that is many times its spread between splits is no "
                "accident of the split.",
                "d",
            ),
        ],
    ),
]
