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


EXERCISES = [
    Exercise(
        number="9.1",
        title="Ten times the cheaper",
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
]
