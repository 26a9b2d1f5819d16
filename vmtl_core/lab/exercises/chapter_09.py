"""Exercises of chapter 9: a prediction, units, a mean that exists, and a picture to read."""

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_9_2(w: Tensor, unit: Tensor) -> Tensor:
    """Guilders an hour (T,) by (9.5), from weights (T, 4) of x / unit; price first, then time."""
    raise NotImplementedError("your code here")


def solution_9_2(w: Tensor, unit: Tensor) -> Tensor:
    """Guilders an hour (T,) by (9.5), from weights (T, 4) of x / unit; price first, then time."""
    original = w / unit
    return 60 * original[:, 1] / original[:, 0]


def cases_9_2() -> list[tuple[Tensor, Tensor]]:
    return [(-0.5 - torch.rand(5, 4), 0.2 + 5 * torch.rand(4)) for _ in range(3)]


def stub_9_3(loc: Tensor, covariance: Tensor) -> Tensor:
    """E[-b exp(-u)] by (9.11), for Gaussian (u, b) with mean loc (2,) and covariance (2, 2)."""
    raise NotImplementedError("your code here")


def solution_9_3(loc: Tensor, covariance: Tensor) -> Tensor:
    """E[-b exp(-u)] by (9.11), for Gaussian (u, b) with mean loc (2,) and covariance (2, 2)."""
    scale = torch.exp(-loc[0] + covariance[0, 0] / 2)
    return -(loc[1] - covariance[0, 1]) * scale


def cases_9_3() -> list[tuple[Tensor, Tensor]]:
    factors = [torch.randn(2, 2).tril() for _ in range(3)]
    return [(torch.randn(2), factor @ factor.T) for factor in factors]


def stub_9_5(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    """Probability that an hour is worth more than `asked` guilders; price weight below 0.

    The weights of a guilder and of a minute, in this order, are Gaussian with mean loc (2,)
    and covariance (2, 2).
    """
    raise NotImplementedError("your code here")


def solution_9_5(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    """Probability that an hour is worth more than `asked` guilders; price weight below 0.

    The weights of a guilder and of a minute, in this order, are Gaussian with mean loc (2,)
    and covariance (2, 2).
    """
    contrast = torch.tensor([-asked, 60.0])  # below 0: an hour is worth more
    distance = contrast @ loc / (contrast @ covariance @ contrast).sqrt()
    return torch.special.ndtr(-distance)


def cases_9_5() -> list[tuple[Tensor, Tensor, float]]:
    cases = []
    for asked in (5.0, 12.0, 30.0):
        factor = torch.tensor([[0.06, 0.0], [0.005, 0.01]]) * (0.5 + torch.rand(2, 2))
        loc = torch.tensor([-0.25, -0.05]) * (0.8 + 0.4 * torch.rand(2))
        cases.append((loc, factor @ factor.T, asked))
    return cases


def turned_9_5(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    return 1 - solution_9_5(loc, covariance, asked)


def minutes_9_5(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    return solution_9_5(loc, covariance, 60 * asked)


def independent_9_5(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    return solution_9_5(loc, torch.diag(covariance.diagonal()), asked)


def variance_9_5(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    contrast = torch.tensor([-asked, 60.0])
    return torch.special.ndtr(-(contrast @ loc) / (contrast @ covariance @ contrast))


def tangent_9_5(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    """The ratio's straight line about the means, as if it were Gaussian."""
    value = 60 * loc[1] / loc[0]
    slope = torch.stack([-value / loc[0], 60 / loc[0]])
    return torch.special.ndtr((value - asked) / (slope @ covariance @ slope).sqrt())


def plug_in_9_5(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    return (60 * loc[1] / loc[0] > asked).to(loc)


EXERCISES = [
    Exercise(
        number="9.1",
        title="Ten times the cheaper",
        stars=1,
        nudge="Write down the probability of one such choice as a function of the value of time. "
        "At which end is it flat?",
        solution="c",
        hint="Which values of time would have led to these ten choices? Is there a smallest one?",
        mistakes=[
            Mistake(
                "value zero",
                "a value of time of zero is possible, but so is every value below the least that "
                "was asked: ten choices cut the posterior off from above and do no more.",
                "a",
            ),
            Mistake(
                "no information",
                "the likelihood is small wherever the value of time is above what was asked; that "
                "is information, if only from one side.",
                "b",
            ),
            Mistake(
                "pooled",
                "the population is the prior and not the posterior: these ten choices move the "
                "traveller below its mean.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="9.2",
        title="Back to guilders and hours",
        stars=1,
        nudge="What does a weight of x / unit have to be multiplied by, so that it acts on x?",
        stub=stub_9_2,
        solution=solution_9_2,
        cases=cases_9_2,
        hint="An input that was divided by c has a weight that is c times too large.",
        mistakes=[
            Mistake(
                "scaled units",
                "the weights are those of scaled inputs; (9.5) divides each by its unit first.",
                lambda w, unit: 60 * w[:, 1] / w[:, 0],
            ),
            Mistake(
                "scaled units, minutes",
                "two things are missing: the units by which the inputs were divided, and the factor "
                "60 that makes an hour of minutes. Both are in (9.5).",
                lambda w, unit: w[:, 1] / w[:, 0],
            ),
            Mistake(
                "wrong way round",
                "the weight of x / c is c times that of x: divide by the unit, as (9.5) does.",
                lambda w, unit: 60 * (w[:, 1] * unit[1]) / (w[:, 0] * unit[0]),
            ),
            Mistake(
                "minutes",
                "that is guilders a minute: (9.5) has a factor 60 for the hour.",
                lambda w, unit: (w[:, 1] / unit[1]) / (w[:, 0] / unit[0]),
            ),
            Mistake(
                "upside down",
                "that is the inverse of (9.5): time for money instead of money for time.",
                lambda w, unit: 60 * (w[:, 0] / unit[0]) / (w[:, 1] / unit[1]),
            ),
            Mistake(
                "sign",
                "the ratio (9.4) of two negative weights is positive already: an hour saved is worth "
                "money.",
                lambda w, unit: -60 * (w[:, 1] / unit[1]) / (w[:, 0] / unit[0]),
            ),
        ],
    ),
    Exercise(
        number="9.3",
        title="The mean of a ratio that has one",
        stars=2,
        nudge="Does the factor exp(-u) favour small or large u? What does that do to b, if the "
        "two go together?",
        stub=stub_9_3,
        solution=solution_9_3,
        cases=cases_9_3,
        hint="Complete the square: exp(-u) times the density of (u, b) is again Gaussian, shifted.",
        mistakes=[
            Mistake(
                "plug-in",
                "that puts the posterior means into the ratio; the mean of exp(-u) is larger than "
                "exp of the mean, by Jensen's inequality. See (9.11).",
                lambda loc, covariance: -loc[1] * (-loc[0]).exp(),
            ),
            Mistake(
                "independent",
                "that takes u and b as independent; the posterior knows their covariance (9.11).",
                lambda loc, covariance: -loc[1] * (-loc[0] + covariance[0, 0] / 2).exp(),
            ),
            Mistake(
                "sign of the covariance",
                "the shift has the other sign: a large u makes exp(-u) small. See (9.11).",
                lambda loc, covariance: (
                    -(loc[1] + covariance[0, 1]) * (-loc[0] + covariance[0, 0] / 2).exp()
                ),
            ),
            Mistake(
                "standard deviation",
                "(9.11) has half the variance in the exponent, not half the standard deviation.",
                lambda loc, covariance: (
                    -(loc[1] - covariance[0, 1]) * (-loc[0] + covariance[0, 0].sqrt() / 2).exp()
                ),
            ),
        ],
    ),
    Exercise(
        number="9.4",
        title="Read the running means",
        stars=1,
        nudge="What would the sixth run look like? And one ten times as long?",
        solution="b",
        hint="Look at the tail in panel (c), and at (9.8).",
        mistakes=[
            Mistake(
                "more draws",
                "with a tail of slope -1 the mean of any number of draws jumps again: there is no "
                "mean to converge to (9.8).",
                "a",
            ),
            Mistake(
                "bad fit",
                "the fit is sound, its predictions are calibrated; it is the ratio of two "
                "Gaussians that has no mean, whatever the posterior.",
                "c",
            ),
            Mistake(
                "trim",
                "the mean of trimmed draws exists, but it depends on where you cut: it grows with "
                "the logarithm of the cut under the tail (9.8), and is a property of no posterior.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="9.5",
        title="Above what was asked",
        stars=2,
        nudge="A train that is an hour faster costs so many guilders more. Whom does it please, in terms "
        "of the two weights?",
        stub=stub_9_5,
        solution=solution_9_5,
        cases=cases_9_5,
        hint="Multiply 60 b / a > c by a, which is negative, and bring all to one side: a sum of two "
        "Gaussian numbers that is to be below zero.",
        mistakes=[
            Mistake(
                "turned",
                "that is the probability of a value below it. The price weight is negative, and "
                "multiplying (9.4) by it turns the inequality round.",
                turned_9_5,
            ),
            Mistake(
                "minutes",
                "you compared the value of a minute, (9.4), with guilders an hour: the factor 60 of (9.5).",
                minutes_9_5,
            ),
            Mistake(
                "independent",
                "the variance of the sum has the covariance of both weights in it, which choices tie "
                "together.",
                independent_9_5,
            ),
            Mistake(
                "variance",
                "you divided by the variance; the normal distribution function wants standard deviations.",
                variance_9_5,
            ),
            Mistake(
                "tangent",
                "that is the delta method: the ratio replaced by its tangent at the posterior means, and "
                "taken for Gaussian. It agrees with the exact probability where both are 1/2, and not "
                "in the tail (9.8).",
                tangent_9_5,
            ),
            Mistake(
                "plug-in",
                "that compares the plug-in ratio (9.5) with the price, and says yes or no; asked is how "
                "probable it is under the posterior.",
                plug_in_9_5,
            ),
        ],
    ),
    Exercise(
        number="9.6",
        title="What a map can't tell",
        stars=2,
        nudge="Would the map look different if there were no groups? How would you find out?",
        solution="b",
        hint="A clustering always orders. The question is what the same picture shows where the answer is "
        "known: make travellers of whom it is known.",
        mistakes=[
            Mistake(
                "another order",
                "any clustering of a cloud puts like beside like, and the responsibilities of "
                "neighbours are large by their very formula (4.5). Another order shows other blocks, or "
                "the same ones; it can't show that there are none.",
                "a",
            ),
            Mistake(
                "contrast",
                "a sharper scale of colours makes blocks of any slope. The question is not how the "
                "responsibilities (4.5) look but whether one population gives them too.",
                "c",
            ),
            Mistake(
                "more certainty",
                "narrow posteriors make the responsibilities (4.5) sharper, and the map with them: of a "
                "cloud without groups you would see each traveller's nearest neighbours, in blocks.",
                "d",
            ),
        ],
    ),
]
