"""Exercises of chapter 2."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_2_1(w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor) -> Tensor:
    """log p(w | D_-t) of receiver t: the mixture (2.4) without base prior and transfer width.

    Args: w (D,); means and scales of every task's posterior (T, D); logits (T, T), [receiver, source].
    """
    raise NotImplementedError("your code here")


def solution_2_1(w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor) -> Tensor:
    """log p(w | D_-t) of receiver t: the mixture (2.4) without base prior and transfer width.

    Args: w (D,); means and scales of every task's posterior (T, D); logits (T, T), [receiver, source].
    """
    row = logits[t].clone()
    row[t] = -math.inf
    each = Normal(means, scales).log_prob(w).sum(-1)
    return (row.log_softmax(-1) + each).logsumexp(-1)


def _own_included(w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor) -> Tensor:
    each = Normal(means, scales).log_prob(w).sum(-1)
    return (logits[t].log_softmax(-1) + each).logsumexp(-1)


def _not_renormalised(w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor) -> Tensor:
    keep = torch.arange(len(means)) != t
    each = Normal(means, scales).log_prob(w).sum(-1)
    return (logits[t].log_softmax(-1) + each)[keep].logsumexp(-1)


def _mean_of_logs(w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor) -> Tensor:
    keep = torch.arange(len(means)) != t
    each = Normal(means, scales).log_prob(w).sum(-1)
    return (logits[t, keep].softmax(-1) * each[keep]).sum()


def _mixed_by_coordinate(
    w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor
) -> Tensor:
    keep = torch.arange(len(means)) != t
    each = Normal(means, scales).log_prob(w)[keep]
    return (logits[t, keep].log_softmax(-1)[:, None] + each).logsumexp(0).sum()


def cases_2_1() -> list[tuple[Tensor, int, Tensor, Tensor, Tensor]]:
    cases = []
    for t, tasks, size in ((0, 3, 2), (2, 4, 3)):
        means, scales = torch.randn(tasks, size), 0.5 + torch.rand(tasks, size)
        cases.append((torch.randn(size), t, means, scales, torch.randn(tasks, tasks)))
    return cases


def stub_2_3(mean: Tensor, scale: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of w = w' + N(0, width^2), w' ~ N(mean, scale^2); (2.6)."""
    raise NotImplementedError("your code here")


def solution_2_3(mean: Tensor, scale: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of w = w' + N(0, width^2), w' ~ N(mean, scale^2); (2.6)."""
    return mean, (scale**2 + width**2).sqrt()


def cases_2_3() -> list[tuple[Tensor, Tensor, float]]:
    return [(torch.randn(3), 0.2 + torch.rand(3), width) for width in (0.3, 1.6)]


EXERCISES = [
    Exercise(
        number="2.1",
        title="The prior of a task",
        stub=stub_2_1,
        solution=solution_2_1,
        cases=cases_2_1,
        nudge="What must not matter for the result, and at which step do you make sure of it?",
        hint="Row t of the logits, entry t set to -inf, log_softmax; add each log density; logsumexp.",
        mistakes=[
            Mistake(
                "own posterior included",
                "task t is among its own sources. The prior (2.4) is p(w | D_-t): with D_t in it the "
                "task's data are counted twice (2.7).",
                _own_included,
            ),
            Mistake(
                "not renormalised",
                "you leave task t out after the softmax, so that the weights of (2.4) sum to less "
                "than 1. Leave it out before: softmax over the other tasks only.",
                _not_renormalised,
            ),
            Mistake(
                "logits transposed",
                "you took column t, the weights that the others give to t. The prior of receiver t "
                "needs row t: alpha[t, k] is [receiver, source].",
                lambda w, t, m, s, logits: solution_2_1(w, t, m, s, logits.T),
            ),
            Mistake(
                "mean of logarithms",
                "that is Σ α log p_k, the logarithm of a weighted geometric mean. The mixture (2.4) "
                "adds densities: log Σ α p_k.",
                _mean_of_logs,
            ),
            Mistake(
                "a mixture for every coordinate",
                "you mix each coordinate on its own, so that a weight vector could take one "
                "coordinate from one task and the next from another. The mixture (2.4) is over "
                "whole vectors: sum log densities over coordinates first.",
                _mixed_by_coordinate,
            ),
        ],
    ),
    Exercise(
        number="2.2",
        title="Who listens to whom",
        solution="c",
        nudge="Say one row aloud, as a sentence with a subject and an object.",
        hint="Row or column? alpha[t, k] is the weight of source k in the prior of receiver t.",
        mistakes=[
            Mistake(
                "a",
                "each row sums to 1, and rows have different competitors: nothing makes the "
                "mixture weights symmetric.",
                "a",
            ),
            Mistake(
                "b",
                "that is the matrix read the wrong way round: alpha[rich, poor] says how much the "
                "rich task takes from the poor one.",
                "b",
            ),
            Mistake(
                "d",
                "alpha[t, t] is exactly 0: the prior is p(w | D_-t), made of the other tasks.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="2.3",
        title="A wider belief",
        stub=stub_2_3,
        solution=solution_2_3,
        cases=cases_2_3,
        nudge="Which quantities add when independent numbers are added?",
        hint="Variances of independent numbers add; standard deviations do not.",
        mistakes=[
            Mistake(
                "standard deviations added",
                "standard deviations do not add. Variances of independent numbers do: (2.6).",
                lambda m, s, width: (m, s + width),
            ),
            Mistake(
                "variance returned",
                "that is the variance s² + δ² of (2.6); the standard deviation is its root.",
                lambda m, s, width: (m, s**2 + width**2),
            ),
            Mistake(
                "width not squared",
                "δ is a standard deviation: in (2.6) its square is added to the variance.",
                lambda m, s, width: (m, (s**2 + width).sqrt()),
            ),
        ],
    ),
    Exercise(
        number="2.4",
        title="Counted four times",
        solution=0.589,
        tolerance=0.004,
        stars=2,
        nudge="Two spreads are at work: the one that is claimed and the one that is true. "
        "Which moved?",
        hint="The interval shrinks by the root of 4; the estimate's error does not shrink at all.",
        mistakes=[
            Mistake(
                "unchanged",
                "the centre is right, but by (2.7) the variance that the posterior claims is a "
                "quarter of the true one: the interval is too short.",
                0.9,
            ),
            Mistake(
                "divided by four",
                "coverage is not proportional to the variance. Halve the interval's width, "
                "1.645 standard deviations, and look up the Gaussian probability.",
                0.225,
            ),
            Mistake(
                "interval divided by four",
                "the variance is a quarter (2.7), so the standard deviation, and the interval, is "
                "a half.",
                0.319,
            ),
            Mistake(
                "halved",
                "the interval is half as long, but a Gaussian has most of its mass in the middle.",
                0.45,
            ),
        ],
    ),
    Exercise(
        number="2.5",
        title="Read the width",
        solution=0.25,
        tolerance=0.01,
        nudge="Who strays from what? Draw the centre and both tasks.",
        hint="w_t and w_k each stray from the centre; the difference of two independent numbers.",
        mistakes=[
            Mistake(
                "the width itself",
                "δ is the standard deviation of w_t - w_k (2.6). Both tasks stray from their "
                "centre, so its square is twice the between-task variance.",
                0.35,
            ),
            Mistake(
                "halved",
                "variances add, not standard deviations: δ² is twice the between-task variance.",
                0.175,
            ),
            Mistake(
                "multiplied",
                "the other way: δ is the larger of the two, √2 times the between-task sd, since "
                "the variance of a difference is the sum of the variances.",
                0.35 * math.sqrt(2),
            ),
        ],
    ),
]
