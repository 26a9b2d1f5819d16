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


EXERCISES = [
    Exercise(
        number="8.1",
        title="Shrink whom?",
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
                "prior forgotten",
                "the prior's precision 1 / v_0 belongs to the posterior precision too (8.4).",
                lambda x, prior_sd, noise_sd: noise_sd / (x**2).sum(0).sqrt(),
            ),
        ],
    ),
    Exercise(
        number="8.4",
        title="Read the training curves",
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
]
