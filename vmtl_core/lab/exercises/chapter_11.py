"""Exercises of chapter 11: unequal tasks, a factor on the KL, and how to notice an echo."""

import math

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_11_1(noise: float, first: int, second: int) -> float:
    """The |Delta| up to which the fused point is an optimum of (11.1).

    For tasks with `first` and `second` readings of standard deviation `noise`; for equal
    numbers of readings it is that of (11.4).
    """
    raise NotImplementedError("your code here")


def solution_11_1(noise: float, first: int, second: int) -> float:
    """The |Delta| up to which the fused point is an optimum of (11.1).

    For tasks with `first` and `second` readings of standard deviation `noise`; for equal
    numbers of readings it is that of (11.4).
    """
    one, two = noise**2 / first, noise**2 / second
    price = math.sqrt(2 / one + 2 / two)  # of a small distance d, for each unit of it
    return price * (one + two)


def cases_11_1() -> list[tuple[float, int, int]]:
    return [(1.0, 4, 16), (0.5, 9, 2), (2.0, 30, 10)]


def four_errors_11_1(noise: float, first: int, second: int) -> float:
    return 4 * noise / math.sqrt((first + second) / 2)


def both_errors_11_1(noise: float, first: int, second: int) -> float:
    return 2 * noise * (first**-0.5 + second**-0.5)


def difference_11_1(noise: float, first: int, second: int) -> float:
    return math.sqrt(8 * noise**2 * (1 / first + 1 / second))


def larger_11_1(noise: float, first: int, second: int) -> float:
    return 4 * noise / math.sqrt(min(first, second))


def one_gives_way_11_1(noise: float, first: int, second: int) -> float:
    one, two = noise**2 / first, noise**2 / second
    return math.sqrt(2 / one + 2 / two) * min(one, two)


def own_kl_11_1(noise: float, first: int, second: int) -> float:
    return solution_11_1(noise, first, second) / math.sqrt(2)


EXERCISES = [
    Exercise(
        number="11.1",
        title="Unequal tasks: when do they fuse?",
        stars=3,
        nudge="Go through steps 1 to 3 of the law again, with s_1 and s_2. What does a very small distance d "
        "cost, and what does it bring?",
        stub=stub_11_1,
        solution=solution_11_1,
        cases=cases_11_1,
        hint="Near the fused point v_1 = v_2 = v still: it costs least, v/2 (1/s_1^2 + 1/s_2^2) + d^2/v over "
        "v. The means give way in proportion to their variances: (Delta - d)^2 / 2 (s_1^2 + s_2^2).",
        mistakes=[
            Mistake(
                "four errors",
                "that is (11.4) with the average number of readings. The two numbers enter (11.1) by "
                "their standard errors, and the smaller one counts for more.",
                four_errors_11_1,
            ),
            Mistake(
                "both errors",
                "that is 2 (s_1 + s_2), a guess that (11.4) allows; (11.1) has squares of both.",
                both_errors_11_1,
            ),
            Mistake(
                "difference",
                "that is 2 sqrt(2) standard errors of Delta: right for equal tasks (11.4), where both "
                "share the price of a small variance. For unequal ones the price of d is "
                "sqrt(2/s_1^2 + 2/s_2^2), which is more.",
                difference_11_1,
            ),
            Mistake(
                "larger",
                "that is (11.4) with the larger standard error for both tasks.",
                larger_11_1,
            ),
            Mistake(
                "one gives way",
                "you let one of the means alone give way. Both do, as step 3 has it, each in proportion "
                "to the variance of its sample mean.",
                one_gives_way_11_1,
            ),
            Mistake(
                "one KL",
                "sqrt(2) too small: d^2 is in both KLs of (11.1), so with equal variances it costs "
                "d^2 / v, not half of that.",
                own_kl_11_1,
            ),
        ],
    ),
    Exercise(
        number="11.2",
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
        number="11.3",
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
]
