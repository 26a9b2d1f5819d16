"""Exercises of chapter 8: how far to shrink, what mean field costs, and a table to read."""

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_8_2(residuals: Tensor, between_sd: float, noise_sd: float) -> Tensor:
    """Posterior mean of a school's effect by (8.5), from its pupils' residuals (n,)."""
    raise NotImplementedError("your code here")


def solution_8_2(residuals: Tensor, between_sd: float, noise_sd: float) -> Tensor:
    """Posterior mean of a school's effect by (8.5), from its pupils' residuals (n,)."""
    n, v, s2 = len(residuals), between_sd**2, noise_sd**2
    return n * v / (n * v + s2) * residuals.mean()


def cases_8_2() -> list[tuple[Tensor, float, float]]:
    return [(torch.randn(n), 0.3, 0.5 + 0.1 * n) for n in (1, 3, 10)]


def stub_8_3(x: Tensor, prior_sd: Tensor, noise_sd: float) -> Tensor:
    """Standard deviations (D,) of the best mean-field q(w) by (8.7), from inputs x (n, D)."""
    raise NotImplementedError("your code here")


def solution_8_3(x: Tensor, prior_sd: Tensor, noise_sd: float) -> Tensor:
    """Standard deviations (D,) of the best mean-field q(w) by (8.7), from inputs x (n, D)."""
    precision = torch.diag(1 / prior_sd**2) + x.T @ x / noise_sd**2
    return 1 / precision.diagonal().sqrt()


def cases_8_3() -> list[tuple[Tensor, Tensor, float]]:
    return [(torch.randn(n, 3) + 1, 0.2 + torch.rand(3), 0.5) for n in (2, 5)]


def stub_8_5(first: Tensor, second: Tensor) -> Tensor:
    """Standard error of the mean difference, and how many splits do it without pairs.

    Stacked, (2,), from the scores of two methods on the same S splits, (S,) each. Without
    pairs each method has as many splits of its own; the number needn't be a whole one.
    """
    raise NotImplementedError("your code here")


def solution_8_5(first: Tensor, second: Tensor) -> Tensor:
    """Standard error of the mean difference, and how many splits do it without pairs.

    Stacked, (2,), from the scores of two methods on the same S splits, (S,) each. Without
    pairs each method has as many splits of its own; the number needn't be a whole one.
    """
    square = (first - second).var() / len(first)
    needed = (first.var() + second.var()) / square
    return torch.stack([square.sqrt(), needed])


def cases_8_5() -> list[tuple[Tensor, Tensor]]:
    cases = []
    for splits, own in ((10, 0.2), (20, 0.05), (6, 0.5)):
        shared = torch.randn(splits)
        cases.append((shared + own * torch.randn(splits), shared + own * torch.randn(splits)))
    return cases


def unpaired_8_5(first: Tensor, second: Tensor) -> Tensor:
    square = (first.var() + second.var()) / len(first)
    return torch.stack([square.sqrt(), torch.tensor(float(len(first)))])


def added_8_5(first: Tensor, second: Tensor) -> Tensor:
    return solution_8_5(first, -second)


def scatter_8_5(first: Tensor, second: Tensor) -> Tensor:
    difference = (first - second).var()
    return torch.stack([difference.sqrt(), (first.var() + second.var()) / difference])


def factor_8_5(first: Tensor, second: Tensor) -> Tensor:
    error, needed = solution_8_5(first, second)
    return torch.stack([error, needed / len(first)])


def deviations_8_5(first: Tensor, second: Tensor) -> Tensor:
    error, _ = solution_8_5(first, second)
    return torch.stack([error, ((first.std() + second.std()) / error) ** 2])


def stub_8_6(means: Tensor, squares: Tensor, rounds: int) -> Tensor:
    """Mean and variance of the population, stacked, (2,), after EM from 0 and 1.

    From the schools' sample means and their squared standard errors s^2 / n, both (T,).
    """
    raise NotImplementedError("your code here")


def solution_8_6(means: Tensor, squares: Tensor, rounds: int) -> Tensor:
    """Mean and variance of the population, stacked, (2,), after EM from 0 and 1.

    From the schools' sample means and their squared standard errors s^2 / n, both (T,).
    """
    centre, variance = torch.zeros(()), torch.ones(())
    for _ in range(rounds):
        precision = 1 / variance + 1 / squares
        posterior = (centre / variance + means / squares) / precision
        centre = posterior.mean()
        variance = (1 / precision + (posterior - centre) ** 2).mean()
    return torch.stack([centre, variance])


def cases_8_6() -> list[tuple[Tensor, Tensor, int]]:
    return [
        (centre + torch.randn(schools), 0.2 + torch.rand(schools), rounds)
        for schools, centre, rounds in ((8, 0.5, 3), (20, -1.0, 30), (5, 2.0, 1))
    ]


def em_8_6(
    means: Tensor, squares: Tensor, rounds: int, kept: float, behind: bool = False
) -> Tensor:
    centre, variance = torch.zeros(()), torch.ones(())
    for _ in range(rounds):
        precision = 1 / variance + 1 / squares
        posterior = (centre / variance + means / squares) / precision
        before, centre = centre, posterior.mean()
        about = before if behind else centre
        variance = (kept / precision + (posterior - about) ** 2).mean()
    return torch.stack([centre, variance])


def spread_only_8_6(means: Tensor, squares: Tensor, rounds: int) -> Tensor:
    return em_8_6(means, squares, rounds, kept=0.0)


def behind_8_6(means: Tensor, squares: Tensor, rounds: int) -> Tensor:
    return em_8_6(means, squares, rounds, kept=1.0, behind=True)


def raw_8_6(means: Tensor, squares: Tensor, rounds: int) -> Tensor:
    return torch.stack([means.mean(), means.var(correction=0)])


def moments_8_6(means: Tensor, squares: Tensor, rounds: int) -> Tensor:
    return torch.stack([means.mean(), means.var() - squares.mean()])


def sd_8_6(means: Tensor, squares: Tensor, rounds: int) -> Tensor:
    centre, variance = solution_8_6(means, squares, rounds)
    return torch.stack([centre, variance.sqrt()])


EXERCISES = [
    Exercise(
        number="8.1",
        title="Shrink whom?",
        stars=1,
        nudge="Suppose all schools were equally good. Which of them would you find at the ends of "
        "the table?",
        solution="b",
        hint="Write (8.5) for 4 and for 35 pupils and the same variances.",
        mistakes=[
            Mistake(
                "extremes mean quality",
                "the smallest schools have the most extreme means because their variance is the "
                "largest, not because they are the best and the worst.",
                "a",
            ),
            Mistake(
                "same factor",
                "the factor of (8.5) contains n: a large school keeps more of its own mean.",
                "c",
            ),
            Mistake(
                "shrinking to zero",
                "the prior has a mean of its own, m_0: schools shrink to it, and not to zero.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="8.2",
        title="The shrinkage factor",
        stars=1,
        nudge="What should the answer be for no pupil at all, and for a million? Which n makes "
        "the two sources equally strong?",
        stub=stub_8_2,
        solution=solution_8_2,
        cases=cases_8_2,
        hint="Two sources of knowledge, the prior and n pupils; weigh each by its precision.",
        mistakes=[
            Mistake(
                "no shrinkage",
                "that is the school's own mean; the prior has no say in it. See (8.5).",
                lambda residuals, between_sd, noise_sd: residuals.mean(),
            ),
            Mistake(
                "standard deviations",
                "(8.5) weighs by variances; these are standard deviations.",
                lambda residuals, between_sd, noise_sd: (
                    len(residuals)
                    * between_sd
                    / (len(residuals) * between_sd + noise_sd)
                    * residuals.mean()
                ),
            ),
            Mistake(
                "sum for mean",
                "(8.5) has the mean of the residuals; with their sum the number of pupils counts "
                "twice.",
                lambda residuals, between_sd, noise_sd: (
                    len(residuals)
                    * between_sd**2
                    / (len(residuals) * between_sd**2 + noise_sd**2)
                    * residuals.sum()
                ),
            ),
            Mistake(
                "sum for mean, n forgotten",
                "the residuals are added up, and n is missing in front of the variance below: "
                "(8.5) multiplies their mean by n v / (n v + s^2).",
                lambda residuals, between_sd, noise_sd: (
                    between_sd**2 / (between_sd**2 + noise_sd**2) * residuals.sum()
                ),
            ),
            Mistake(
                "one pupil",
                "the noise of a mean of n pupils has variance s^2 / n: the n of (8.5) is missing.",
                lambda residuals, between_sd, noise_sd: (
                    between_sd**2 / (between_sd**2 + noise_sd**2) * residuals.mean()
                ),
            ),
            Mistake(
                "the other way round",
                "that is the weight of the prior mean, one minus the factor of (8.5).",
                lambda residuals, between_sd, noise_sd: (
                    noise_sd**2 / (len(residuals) * between_sd**2 + noise_sd**2) * residuals.mean()
                ),
            ),
        ],
    ),
    Exercise(
        number="8.3",
        title="The price of independence",
        stars=1,
        nudge="Fix all weights but one. How wide is what is left of the posterior, and is that "
        "wider or narrower than its shadow on the axis?",
        stub=stub_8_3,
        solution=solution_8_3,
        cases=cases_8_3,
        hint="The precision matrix first; then one number from each place of its diagonal.",
        mistakes=[
            Mistake(
                "marginal sd",
                "those are the standard deviations of the exact posterior, from the diagonal of "
                "the inverse; mean field inverts the diagonal (8.7), which is smaller.",
                lambda x, prior_sd, noise_sd: (
                    (torch.diag(1 / prior_sd**2) + x.T @ x / noise_sd**2)
                    .inverse()
                    .diagonal()
                    .sqrt()
                ),
            ),
            Mistake(
                "variance",
                "that is the variance; the standard deviation was asked.",
                lambda x, prior_sd, noise_sd: 1 / (1 / prior_sd**2 + (x**2).sum(0) / noise_sd**2),
            ),
            Mistake(
                "mean for sum",
                "you averaged the squares of an input over the pupils. Each pupil adds to the precision "
                "(8.4): it is their sum.",
                lambda x, prior_sd, noise_sd: (
                    1 / (1 / prior_sd**2 + (x**2).mean(0) / noise_sd**2).sqrt()
                ),
            ),
            Mistake(
                "square of the sum",
                "you squared the sum of an input over the pupils; the diagonal of X'X in (8.4) is the "
                "sum of its squares.",
                lambda x, prior_sd, noise_sd: (
                    1 / (1 / prior_sd**2 + x.sum(0) ** 2 / noise_sd**2).sqrt()
                ),
            ),
            Mistake(
                "prior forgotten",
                "the prior's precision 1 / v_0 belongs to the posterior precision too (8.4).",
                lambda x, prior_sd, noise_sd: noise_sd / (x**2).sum(0).sqrt(),
            ),
        ],
    ),
    Exercise(
        number="8.4",
        title="Read the training curves",
        stars=1,
        nudge="Which curve goes the wrong way, and on which pupils was it measured?",
        solution="c",
        hint="Which of the curves could a class without held-out pupils have seen?",
        mistakes=[
            Mistake(
                "too few steps",
                "look at the right end: more steps make the held-out NMSE and the coverage worse.",
                "a",
            ),
            Mistake(
                "noise",
                "the noise scale falls because the weights fit the training pupils, an effect of "
                "the collapse and not its cause: the posterior sd falls furthest.",
                "b",
            ),
            Mistake(
                "bad luck",
                "all ten splits and all three sizes of the table agree; this is no accident of one "
                "seed. Ask where a school's prior comes from.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="8.5",
        title="With and without pairs",
        stars=2,
        nudge="A hard split lowers both scores. What does that do to the spread of each method's scores, "
        "and what to their difference?",
        stub=stub_8_5,
        solution=solution_8_5,
        cases=cases_8_5,
        hint="With pairs there are S differences, so take their variance over S. Without, the variances "
        "of the two means add: for which number of splits is the sum the same?",
        mistakes=[
            Mistake(
                "unpaired",
                "that is the error of two independent means. On the same splits most of the scatter is "
                "common to both methods, and the variance of their difference has none of it.",
                unpaired_8_5,
            ),
            Mistake(
                "added",
                "that is the variance of the sum of the scores: what the splits have in common counts "
                "twice in it, where the difference is free of it.",
                added_8_5,
            ),
            Mistake(
                "scatter",
                "that is the standard deviation of one difference; the mean of S of them has a variance "
                "S times smaller. Both numbers follow from the latter.",
                scatter_8_5,
            ),
            Mistake(
                "factor",
                "the error is right; the second is how many times more splits, so multiply it by S: the "
                "variance of a mean falls like 1/S.",
                factor_8_5,
            ),
            Mistake(
                "deviations",
                "the error is right; of independent means the variances add, and you added the standard "
                "deviations.",
                deviations_8_5,
            ),
        ],
    ),
    Exercise(
        number="8.6",
        title="How wide is the population?",
        stars=3,
        nudge="What would the next round make of schools whose posterior means coincide, while each of "
        "them is known only roughly?",
        stub=stub_8_6,
        solution=solution_8_6,
        cases=cases_8_6,
        hint="In each round: the posterior of every school by (8.4), an intercept alone; then the m_0 and v "
        "that maximise the sum of E_q log N(w_t | m_0, v). Differentiate by v: E_q of a square is a "
        "square and a variance.",
        mistakes=[
            Mistake(
                "spread only",
                "your v is the spread of the posterior means. Schools with few pupils are shrunk, so that "
                "is too small; the next prior is narrower, shrinks more, and so on to v = 0. The "
                "posterior variances, 1 / P_t of (8.4), belong to the mean of (w_t - m_0)^2.",
                spread_only_8_6,
            ),
            Mistake(
                "a step behind",
                "your v is measured about the m_0 of the round before; the maximum of the sum over both "
                "has the new mean in it.",
                behind_8_6,
            ),
            Mistake(
                "raw",
                "that is the variance of the sample means, which is the population's and the pupils' "
                "noise s^2 / n together.",
                raw_8_6,
            ),
            Mistake(
                "moments",
                "the variance of the sample means, less the noise, is an estimate too, but not the one "
                "that EM climbs to: it weighs a school with one pupil like one with forty, may be "
                "negative, and has no posterior (8.4) in it.",
                moments_8_6,
            ),
            Mistake("sd", "the mean is right; give the variance v of (8.5), not its root.", sd_8_6),
        ],
    ),
]
