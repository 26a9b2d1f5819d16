"""Exercises of chapter 13: what a bar proves, and how hard it is to reach."""

import math

import torch
from torch.distributions import Normal

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_13_2(rivals: int) -> float:
    """Probability of not being behind the best of `rivals` equals by more than one standard error.

    Every method's score is its worth, the same for all, and independent normal noise of one size.
    """
    raise NotImplementedError("your code here")


def solution_13_2(rivals: int) -> float:
    """Probability of not being behind the best of `rivals` equals by more than one standard error.

    Every method's score is its worth, the same for all, and independent normal noise of one size.
    """
    own, normal = torch.linspace(-8, 8, 2001, dtype=torch.float64), Normal(0.0, 1.0)
    each = normal.cdf(own + math.sqrt(2))  # that one rival is less than sqrt(2) ahead of `own`
    return torch.trapezoid(normal.log_prob(own).exp() * each**rivals, own).item()


def cases_13_2() -> list[tuple[int]]:
    return [(1,), (4,), (10,), (25,)]


def phi(value: float) -> float:
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))


def independent_13_2(rivals: int) -> float:
    return phi(1.0) ** rivals


def one_rival_13_2(rivals: int) -> float:
    return phi(1.0)


def ahead_13_2(rivals: int) -> float:
    return 1 / (rivals + 1)


def one_error_13_2(rivals: int) -> float:
    own, normal = torch.linspace(-8, 8, 2001, dtype=torch.float64), Normal(0.0, 1.0)
    return torch.trapezoid(normal.log_prob(own).exp() * normal.cdf(own + 1) ** rivals, own).item()


def missed_13_2(rivals: int) -> float:
    return 1 - solution_13_2(rivals)


def stub_13_3(splits: int, correlation: float) -> float:
    """True sd of the mean of `splits` differences, over the standard error that one would report.

    The differences have one variance, and this correlation with each other. What is reported is
    the root of the expected square of the usual standard error.
    """
    raise NotImplementedError("your code here")


def solution_13_3(splits: int, correlation: float) -> float:
    """True sd of the mean of `splits` differences, over the standard error that one would report.

    The differences have one variance, and this correlation with each other. What is reported is
    the root of the expected square of the usual standard error.
    """
    true = (1 + (splits - 1) * correlation) / splits
    reported = (1 - correlation) / splits
    return math.sqrt(true / reported)


def cases_13_3() -> list[tuple[int, float]]:
    return [(10, 0.75), (10, 0.2), (4, 0.5), (50, 0.1)]


def not_shrunk_13_3(splits: int, correlation: float) -> float:
    return math.sqrt(1 + (splits - 1) * correlation)


def variance_13_3(splits: int, correlation: float) -> float:
    return solution_13_3(splits, correlation) ** 2


def all_pairs_13_3(splits: int, correlation: float) -> float:
    return math.sqrt((1 + splits * correlation) / (1 - correlation))


def neighbours_only_13_3(splits: int, correlation: float) -> float:
    return math.sqrt((1 + correlation) / (1 - correlation))


EXERCISES = [
    Exercise(
        number="13.1",
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
    Exercise(
        number="13.2",
        title="How hard is the bar?",
        stars=2,
        nudge="Suppose your own score came out well by luck. What does that do to the differences to all rivals "
        "at once?",
        stub=stub_13_2,
        solution=solution_13_2,
        cases=cases_13_2,
        hint="Hold your own noise e_0 fixed: then the rivals are independent, and each stays below "
        "e_0 + sqrt(2) with probability Phi(e_0 + sqrt(2)). Average over e_0, by trapezoids say.",
        mistakes=[
            Mistake(
                "independent",
                "that takes the differences for independent. They share one term, the noise of your own "
                "score: when it is good it is good against all of them.",
                independent_13_2,
            ),
            Mistake(
                "one rival",
                "that is the probability for one rival. The bar is against the best of them, so that "
                "no difference may be below minus one. Average over your own noise.",
                one_rival_13_2,
            ),
            Mistake(
                "ahead",
                "that is the probability of being ahead of all, whatever the noise; the bar lets you be behind by one standard "
                "error of the difference.",
                ahead_13_2,
            ),
            Mistake(
                "error of a score",
                "you let it be behind by the sd of one score. The difference of two has noise from both: "
                "its sd is sqrt(2) times that.",
                one_error_13_2,
            ),
            Mistake(
                "missed",
                "that is the probability that the noise makes it miss the bar, one minus the one asked for; with "
                "more rivals it grows.",
                missed_13_2,
            ),
        ],
    ),
    Exercise(
        number="13.3",
        title="What overlapping splits hide",
        stars=2,
        nudge="Let the differences be almost the same in all splits. How large is their sample variance then, "
        "and how sure is their mean?",
        stub=stub_13_3,
        solution=solution_13_3,
        cases=cases_13_3,
        hint="The variance of a mean of n is the mean of all n^2 covariances. And write each "
        "difference as a common part of variance r and an own part of variance 1 - r: which of them does "
        "the sample variance see?",
        mistakes=[
            Mistake(
                "not shrunk",
                "the true sd is right, but what is reported is too large: correlated differences lie close "
                "together, and their sample variance is only 1 - r of the variance of one.",
                not_shrunk_13_3,
            ),
            Mistake(
                "variance",
                "that is the ratio of the variances; take the root of it.",
                variance_13_3,
            ),
            Mistake(
                "n for n - 1",
                "each difference has a covariance with the n - 1 others; its own variance is counted already.",
                all_pairs_13_3,
            ),
            Mistake(
                "one neighbour",
                "every difference is correlated with all n - 1 others, not with one: the variance of the "
                "mean holds n (n - 1) covariances.",
                neighbours_only_13_3,
            ),
        ],
    ),
]
