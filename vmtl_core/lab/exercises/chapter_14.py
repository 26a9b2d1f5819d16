"""Exercises of chapter 14."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_14_1(
    means: Tensor, squares: Tensor, within: float, centre: float, between: float
) -> Tensor:
    """Mean and variance of a group's centre given all its members, stacked, (2,).

    From the members' sample means and squared standard errors, both (K,), V_w, m_0 and V_b.
    """
    raise NotImplementedError("your code here")


def solution_14_1(
    means: Tensor, squares: Tensor, within: float, centre: float, between: float
) -> Tensor:
    """Mean and variance of a group's centre given all its members, stacked, (2,).

    From the members' sample means and squared standard errors, both (K,), V_w, m_0 and V_b.
    """
    said = 1 / (squares + within)  # W of (14.2): the variance of a member's sample mean about g
    precision = 1 / between + said.sum()
    return torch.stack([(centre / between + said @ means) / precision, 1 / precision])


def cases_14_1() -> list[tuple[Tensor, Tensor, float, float, float]]:
    return [
        (torch.randn(count), 0.1 + torch.rand(count), within, centre, between)
        for count, within, centre, between in (
            (2, 0.3, 0.5, 1.2),
            (4, 0.1, -1.0, 0.7),
            (3, 0.8, 2.0, 3.0),
        )
    ]


def no_spread_14_1(
    means: Tensor, squares: Tensor, within: float, centre: float, between: float
) -> Tensor:
    return solution_14_1(means, squares, 0.0, centre, between)


def widened_later_14_1(
    means: Tensor, squares: Tensor, within: float, centre: float, between: float
) -> Tensor:
    mean, variance = no_spread_14_1(means, squares, within, centre, between)
    return torch.stack([mean, variance + within])


def member_14_1(
    means: Tensor, squares: Tensor, within: float, centre: float, between: float
) -> Tensor:
    mean, variance = solution_14_1(means, squares, within, centre, between)
    return torch.stack([mean, variance + within])


def flat_14_1(
    means: Tensor, squares: Tensor, within: float, centre: float, between: float
) -> Tensor:
    return solution_14_1(means, squares, within, centre, math.inf)


def either_14_1(
    means: Tensor, squares: Tensor, within: float, centre: float, between: float
) -> Tensor:
    pairs = zip(means.split(1), squares.split(1), strict=True)
    each = torch.stack([solution_14_1(m, q, within, centre, between) for m, q in pairs])
    mean = each[:, 0].mean()
    return torch.stack([mean, (each[:, 1] + (each[:, 0] - mean) ** 2).mean()])


def sd_14_1(means: Tensor, squares: Tensor, within: float, centre: float, between: float) -> Tensor:
    mean, variance = solution_14_1(means, squares, within, centre, between)
    return torch.stack([mean, variance.sqrt()])


def stub_14_2(
    mean: float, variance: float, sample_mean: float, square: float, within: float
) -> tuple[float, float]:
    """Mean and variance of what a group says of w_t without task t, (14.3).

    From the mean and variance of its centre given *all* members, the sample mean and squared
    standard error of task t, and V_w.
    """
    raise NotImplementedError("your code here")


def solution_14_2(
    mean: float, variance: float, sample_mean: float, square: float, within: float
) -> tuple[float, float]:
    """Mean and variance of what a group says of w_t without task t, (14.3).

    From the mean and variance of its centre given *all* members, the sample mean and squared
    standard error of task t, and V_w.
    """
    said = 1 / (square + within)  # the message of task t
    precision = 1 / variance - said
    return (mean / variance - said * sample_mean) / precision, 1 / precision + within


def cases_14_2() -> list[tuple[float, float, float, float, float]]:
    return [(0.4, 0.1, 1.0, 0.3, 0.2), (-1.0, 0.05, -0.2, 0.5, 0.1), (2.0, 0.3, 1.5, 0.6, 0.4)]


def hears_itself_14_2(
    mean: float, variance: float, sample_mean: float, square: float, within: float
) -> tuple[float, float]:
    return mean, variance + within


def site_14_2(
    mean: float, variance: float, sample_mean: float, square: float, within: float
) -> tuple[float, float]:
    found, its_variance = solution_14_2(mean, variance, sample_mean, square, 0.0)
    return found, its_variance + within


def centre_only_14_2(
    mean: float, variance: float, sample_mean: float, square: float, within: float
) -> tuple[float, float]:
    found, its_variance = solution_14_2(mean, variance, sample_mean, square, within)
    return found, its_variance - within


def added_14_2(
    mean: float, variance: float, sample_mean: float, square: float, within: float
) -> tuple[float, float]:
    said = 1 / (square + within)
    precision = 1 / variance + said
    return (mean / variance + said * sample_mean) / precision, 1 / precision + within


def widened_first_14_2(
    mean: float, variance: float, sample_mean: float, square: float, within: float
) -> tuple[float, float]:
    precision = 1 / (variance + within) - 1 / (square + within)
    pull = mean / (variance + within) - sample_mean / (square + within)
    return pull / precision, 1 / precision


def stub_14_3(labels: list[int], concentration: float) -> float:
    """Probability of a partition before any data, with infinitely many groups to be had.

    `labels` has the group of each task; groups are 0, 1, ..., and -1 stands for being in none.
    """
    raise NotImplementedError("your code here")


def solution_14_3(labels: list[int], concentration: float) -> float:
    """Probability of a partition before any data, with infinitely many groups to be had.

    `labels` has the group of each task; groups are 0, 1, ..., and -1 stands for being in none.
    """
    probability = 1.0
    for seated, label in enumerate(labels):
        before = labels[:seated].count(label)
        weight = before + concentration if label == -1 else before or concentration
        probability *= weight / (2 * concentration + seated)
    return probability


def cases_14_3() -> list[tuple[list[int], float]]:
    return [([0, 0, -1, 1, -1, 0], 1.0), ([-1, 0, 1, 1, 0, 0, 2], 0.6), ([0, 0, 0, 0, -1], 2.5)]


def plain_14_3(labels: list[int], concentration: float) -> float:
    probability = 1.0
    for seated, label in enumerate(labels):
        before = 0 if label == -1 else labels[:seated].count(label)
        probability *= (before or concentration) / (concentration + seated)
    return probability


def once_14_3(labels: list[int], concentration: float) -> float:
    probability = solution_14_3(labels, concentration)
    for seated in range(len(labels)):
        probability *= (2 * concentration + seated) / (concentration + seated)
    return probability


def counted_14_3(labels: list[int], concentration: float) -> float:
    probability = solution_14_3(labels, concentration)
    for label in set(labels) - {-1}:
        probability *= labels.count(label)
    return probability


def none_is_a_group_14_3(labels: list[int], concentration: float) -> float:
    probability = 1.0
    for seated, label in enumerate(labels):
        before = labels[:seated].count(label)
        probability *= (before or concentration) / (2 * concentration + seated)
    return probability


def logarithm_14_3(labels: list[int], concentration: float) -> float:
    return math.log(solution_14_3(labels, concentration))


def stub_14_4(tasks: int, concentration: float) -> float:
    """Expected number of groups that `tasks` tasks make, before any data."""
    raise NotImplementedError("your code here")


def solution_14_4(tasks: int, concentration: float) -> float:
    """Expected number of groups that `tasks` tasks make, before any data."""
    return sum(concentration / (2 * concentration + seated) for seated in range(tasks))


def cases_14_4() -> list[tuple[int, float]]:
    return [(3, 1.0), (12, 1.0), (40, 0.4), (7, 3.0)]


def plain_14_4(tasks: int, concentration: float) -> float:
    return sum(concentration / (concentration + seated) for seated in range(tasks))


def logarithm_14_4(tasks: int, concentration: float) -> float:
    return concentration * math.log(tasks)


def late_14_4(tasks: int, concentration: float) -> float:
    return sum(concentration / (2 * concentration + seated + 1) for seated in range(tasks))


def with_none_14_4(tasks: int, concentration: float) -> float:
    return sum(2 * concentration / (2 * concentration + seated) for seated in range(tasks))


def first_is_sure_14_4(tasks: int, concentration: float) -> float:
    return solution_14_4(tasks, concentration) + 0.5


def stub_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> Tensor:
    """Log odds that two tasks share a group, against all else that (14.4a) allows.

    From their sample means and squared standard errors, both (2,), V_w, m_0, V_b and the
    pseudo-count a.
    """
    raise NotImplementedError("your code here")


def solution_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> Tensor:
    """Log odds that two tasks share a group, against all else that (14.4a) allows.

    From their sample means and squared standard errors, both (2,), V_w, m_0, V_b and the
    pseudo-count a.
    """
    message = squares + within  # variances about a common centre
    together = MultivariateNormal(means.new_full((2,), centre), torch.diag(message) + between)
    apart = Normal(centre, (message + between).sqrt())
    prior = -math.log(4 * concentration + 1)  # 1 / (2 (2a + 1)) to the rest
    return prior + together.log_prob(means) - apart.log_prob(means).sum()


def cases_14_6() -> list[tuple[Tensor, Tensor, float, float, float, float]]:
    return [
        (centre + torch.randn(2), 0.1 + torch.rand(2), within, centre, between, concentration)
        for within, centre, between, concentration in (
            (0.2, 0.5, 1.3, 1.0),
            (0.5, -1.0, 2.0, 0.4),
            (0.05, 2.0, 0.8, 2.5),
        )
    ]


def terms_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> dict[str, Any]:
    message = squares + within
    together = MultivariateNormal(means.new_full((2,), centre), torch.diag(message) + between)
    apart = Normal(centre, (message + between).sqrt())
    return {
        "the prior": -math.log(4 * concentration + 1),
        "the evidence for one group": together.log_prob(means),
        "the evidence against it": -apart.log_prob(means).sum(),
    }


def probability_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> Tensor:
    odds = solution_14_6(means, squares, within, centre, between, concentration)
    return odds + math.log(4 * concentration + 1) - math.log(2 * (2 * concentration + 1))


def only_prior_of_none_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> Tensor:
    """Against both in none, instead of against all else."""
    odds = solution_14_6(means, squares, within, centre, between, concentration)
    return odds + math.log(4 * concentration + 1) - math.log(concentration + 1)


def no_prior_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> Tensor:
    odds = solution_14_6(means, squares, within, centre, between, concentration)
    return odds + math.log(4 * concentration + 1)


def copies_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> Tensor:
    """In a group one weight, of the whole variance."""
    total = MultivariateNormal(means.new_full((2,), centre), torch.diag(squares) + within + between)
    apart = Normal(centre, (squares + within + between).sqrt())
    prior = -math.log(4 * concentration + 1)
    return prior + total.log_prob(means) - apart.log_prob(means).sum()


def narrow_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> Tensor:
    """Apart, with the variance that members have about their centre."""
    message = squares + within
    together = MultivariateNormal(means.new_full((2,), centre), torch.diag(message) + between)
    apart = Normal(centre, (squares + between).sqrt())
    prior = -math.log(4 * concentration + 1)
    return prior + together.log_prob(means) - apart.log_prob(means).sum()


def known_centre_14_6(
    means: Tensor,
    squares: Tensor,
    within: float,
    centre: float,
    between: float,
    concentration: float,
) -> Tensor:
    """In a group at the population's mean."""
    message = squares + within
    together = Normal(centre, message.sqrt()).log_prob(means).sum()
    apart = Normal(centre, (message + between).sqrt()).log_prob(means).sum()
    return together - apart - math.log(4 * concentration + 1)


EXERCISES = [
    Exercise(
        number="14.1",
        title="What a group knows",
        stars=1,
        nudge="If the centre were known, how far from it would you expect a member's sample mean, "
        "and why for two reasons?",
        stub=stub_14_1,
        solution=solution_14_1,
        cases=cases_14_1,
        hint="What is the variance of one member's sample mean, if the centre is known? Start from "
        "sample mean = centre + two independent errors.",
        mistakes=[
            Mistake(
                "no_spread",
                "you took s^2 for the variance of a member's sample mean about the centre. Its weight "
                "differs from the centre too: (14.2) has 1 / W = s^2 + V_w.",
                no_spread_14_1,
            ),
            Mistake(
                "widened_later",
                "you added V_w once, at the end. Every member differs from the centre by a draw of its "
                "own, so V_w belongs in each message (14.2).",
                widened_later_14_1,
            ),
            Mistake(
                "member",
                "that is the law of a further member's weight; asked is the centre, whose variance has no V_w "
                "added.",
                member_14_1,
            ),
            Mistake(
                "flat",
                "the prior of the centre, N(m_0, V_b), is missing among the messages.",
                flat_14_1,
            ),
            Mistake(
                "either",
                "that is the mixture of what each member says alone: (2.4) says 'or'. A group adds "
                "precisions: it says 'and'.",
                either_14_1,
            ),
            Mistake("sd", "the mean is right; give the variance, not its root.", sd_14_1),
        ],
    ),
    Exercise(
        number="14.2",
        title="The cavity by division",
        stars=2,
        nudge="Write the posterior of the centre as a product. Which factor came from task t?",
        stub=stub_14_2,
        solution=solution_14_2,
        cases=cases_14_2,
        hint="The posterior of the centre is a product in which the message of task t is one factor. What "
        "does division do to precisions?",
        mistakes=[
            Mistake(
                "hears_itself",
                "the message of task t is still in the posterior of the centre: that is the echo which (14.3) "
                "takes out.",
                hears_itself_14_2,
            ),
            Mistake(
                "site",
                "you took out 1 / s^2, the precision of the sample mean about w_t. What went into the "
                "posterior of the centre is the message, with 1 / (s^2 + V_w), (14.2).",
                site_14_2,
            ),
            Mistake(
                "centre_only",
                "that is the centre without task t. (14.3) asks for w_t, which differs from the centre with "
                "variance V_w.",
                centre_only_14_2,
            ),
            Mistake(
                "added",
                "you counted the data of task t twice; the cavity (14.3) has them not at all.",
                added_14_2,
            ),
            Mistake(
                "widened_first",
                "the message is about the centre, so divide the posterior of the centre, and add V_w of "
                "(14.3) afterwards.",
                widened_first_14_2,
            ),
        ],
    ),
    Exercise(
        number="14.3",
        title="The restaurant",
        stars=2,
        nudge="Seat three tasks by hand. Which weights can the fourth choose from, and what do "
        "they sum to?",
        stub=stub_14_3,
        solution=solution_14_3,
        cases=cases_14_3,
        hint="Seat the tasks one after another. There are n seated and pseudo-counts of 2 a in all: what "
        "is the chance of none, of a group with n_c members, of a new group?",
        mistakes=[
            Mistake(
                "plain",
                "that is the Chinese restaurant without a place for none: each task in no group is counted as "
                "a group of one. In the prior of (14.5) none has pseudo-count a, beside a for all groups.",
                plain_14_3,
            ),
            Mistake(
                "once",
                "your pseudo-counts sum to a. In the prior of (14.5) they sum to 2 a: a for none and a / C "
                "for each of C groups.",
                once_14_3,
            ),
            Mistake(
                "counted",
                "your factor for a group is n_c!; the first member pays a, the second weighs 1, the last "
                "n_c - 1: (n_c - 1)! in all, as the Gamma function of (14.5) has it.",
                counted_14_3,
            ),
            Mistake(
                "none_is_a_group",
                "you treat none like a group: the pseudo-count a of none stays when tasks are in it, "
                "so its weight is n_0 + a.",
                none_is_a_group_14_3,
            ),
            Mistake(
                "logarithm",
                "that is the logarithm, as it stands in (14.5); give the probability: a weight between 0 "
                "and 1.",
                logarithm_14_3,
            ),
        ],
    ),
    Exercise(
        number="14.4",
        title="How many groups to expect",
        stars=2,
        nudge="Write the number of groups as a sum with one term for each task. What is the "
        "expectation of one of them?",
        stub=stub_14_4,
        solution=solution_14_4,
        cases=cases_14_4,
        hint="The expectation of a sum is the sum of expectations: with which probability does the next task "
        "open a group? Does that depend on where the others sit?",
        mistakes=[
            Mistake(
                "plain",
                "that is the restaurant without a place for none. Here the pseudo-counts sum to 2 a: none "
                "draws half of the weight at first.",
                plain_14_4,
            ),
            Mistake(
                "logarithm",
                "a log T is how the sum grows with many tasks; the exact expectation is a sum of T terms, "
                "the weight of a new group for each task.",
                logarithm_14_4,
            ),
            Mistake(
                "late",
                "the first task finds nobody seated: its weight of a new group is a / (2 a), so the sum starts "
                "at 0.",
                late_14_4,
            ),
            Mistake(
                "with_none",
                "you counted every task that doesn't join a group; a task in none opens no group, and has "
                "its own weight in (14.5).",
                with_none_14_4,
            ),
            Mistake(
                "first_is_sure",
                "you let the first task open a group for sure; by the weights of (14.5) it is in none half the "
                "time.",
                first_is_sure_14_4,
            ),
        ],
    ),
    Exercise(
        number="14.5",
        title="Two tasks, no width",
        stars=1,
        nudge="If the two weights are known to be the same one, how many readings of it are there?",
        solution="b",
        hint="Put V_w = 0 into the two lines of (14.3a), with V_b as large as you like.",
        mistakes=[
            Mistake(
                "a",
                "that is the optimum of joint sources, (11.4). In (14.3) no datum comes back, so none is "
                "counted more than once, and the variance stays.",
                "a",
            ),
            Mistake(
                "c",
                "that is the fused lasso (11.4), whose variance grows with the distance. In (14.3a) the "
                "variance does not depend on the distance at all.",
                "c",
            ),
            Mistake(
                "d",
                "own data alone is what is left if V_w is large. With V_w = 0 in (14.3a) the other "
                "task's readings are as good as one's own.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="14.6",
        title="Together or apart?",
        stars=2,
        nudge="Write down the joint law of the two sample means, before any data, in either case. How do the "
        "two laws differ?",
        stub=stub_14_6,
        solution=solution_14_6,
        cases=cases_14_6,
        terms=terms_14_6,
        hint="Each sample mean alone has the variance s^2 + V_w + V_b in either case, (14.1). In one group "
        "they have a covariance as well: which? And what are the prior odds, from (14.4a)?",
        mistakes=[
            Mistake(
                "no prior",
                "that is the log ratio of the evidences, as if either case were as likely beforehand. By "
                "(14.4a) it is rare to share a group.",
                no_prior_14_6,
            ),
            Mistake(
                "probability",
                "you added the log of the prior probability of sharing a group; odds set it against "
                "one minus itself.",
                probability_14_6,
            ),
            Mistake(
                "only none",
                "your prior odds are against both tasks in none. By (14.4a) there are other ways to be "
                "apart: one in none and one in a group of its own, or each in one of its own.",
                only_prior_of_none_14_6,
            ),
            Mistake(
                "copies",
                "in your group both tasks have one weight. They share a centre, of variance V_b; each has "
                "a deviation of its own, of variance V_w (14.1), and that isn't in the covariance.",
                copies_14_6,
            ),
            Mistake(
                "narrow",
                "apart, a weight has the whole variance of the population, V_0 = V_b + V_w (14.1).",
                narrow_14_6,
            ),
            Mistake(
                "known centre",
                "you put the group's centre at m_0. It is drawn anew for every group, with variance V_b "
                "(14.1): that is what makes two members alike.",
                known_centre_14_6,
            ),
        ],
    ),
]
