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


def _one_gaussian(w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor) -> Tensor:
    keep = torch.arange(len(means)) != t
    weights = logits[t, keep].softmax(-1)[:, None]
    mean, scale = ((weights * part[keep]).sum(0) for part in (means, scales))
    return Normal(mean, scale).log_prob(w).sum()


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


def stub_2_6(
    seen: float, count: int, noise: float, means: Tensor, sds: Tensor, log_alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the exact posterior of one weight under a mixture prior.

    The task has `count` observations of its weight with noise sd `noise`; `seen` is their mean.
    Components: means and sds (K,), widths included; log_alpha (K,).
    """
    raise NotImplementedError("your code here")


def solution_2_6(
    seen: float, count: int, noise: float, means: Tensor, sds: Tensor, log_alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the exact posterior of one weight under a mixture prior.

    The task has `count` observations of its weight with noise sd `noise`; `seen` is their mean.
    Components: means and sds (K,), widths included; log_alpha (K,).
    """
    error = noise / count**0.5
    log_z = Normal(means, (sds**2 + error**2).sqrt()).log_prob(torch.tensor(seen))
    chance = (log_alpha + log_z).softmax(-1)  # (2.8)
    variance = 1 / (1 / sds**2 + 1 / error**2)
    each = variance * (means / sds**2 + seen / error**2)
    mean = (chance * each).sum()
    return mean, (chance * (variance + (each - mean) ** 2)).sum().sqrt()


def _two_numbers(
    seen: float,
    count: int,
    noise: float,
    means: Tensor,
    sds: Tensor,
    log_alpha: Tensor,
    *,
    asked: bool = True,
    sources: float = 1.0,
    between: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The solution without (2.8), or with the variances of sources or means counted otherwise."""
    error = noise / count**0.5
    log_z = Normal(means, (sources * sds**2 + error**2).sqrt()).log_prob(torch.tensor(seen))
    chance = (log_alpha + (log_z if asked else 0.0)).softmax(-1)
    variance = 1 / (1 / sds**2 + 1 / error**2)
    each = variance * (means / sds**2 + seen / error**2)
    mean = (chance * each).sum()
    return mean, (chance * (variance + between * (each - mean) ** 2)).sum().sqrt()


def _likeliest(
    seen: float, count: int, noise: float, means: Tensor, sds: Tensor, log_alpha: Tensor
) -> tuple[Tensor, Tensor]:
    error = noise / count**0.5
    log_z = Normal(means, (sds**2 + error**2).sqrt()).log_prob(torch.tensor(seen))
    k = (log_alpha + log_z).argmax()
    variance = 1 / (1 / sds[k] ** 2 + 1 / error**2)
    return variance * (means[k] / sds[k] ** 2 + seen / error**2), variance.sqrt()


def cases_2_6() -> list[tuple[float, int, float, Tensor, Tensor, Tensor]]:
    cases = []
    for sources, seen, count, noise in ((2, 0.4, 3, 1.2), (3, -0.2, 5, 2.0), (4, 0.9, 2, 0.8)):
        means, sds = 1.5 * torch.randn(sources), 0.3 + 0.5 * torch.rand(sources)
        cases.append((seen, count, noise, means, sds, torch.randn(sources).log_softmax(-1)))
    return cases


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
                "one Gaussian",
                "you averaged the means and the standard deviations, and took one Gaussian of them. The "
                "mixture (2.4) adds densities, and keeps a hump for every source.",
                _one_gaussian,
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
    Exercise(
        number="2.6",
        title="Two humps, two numbers",
        stub=stub_2_6,
        solution=solution_2_6,
        cases=cases_2_6,
        stars=2,
        nudge="Draw prior and posterior of two far sources. Where would the mean lie? And what are the two "
        "reasons for not being sure?",
        hint="The mean of `count` observations is one observation with noise / sqrt(count). Its evidence "
        "under source k is Gaussian, with both variances. Then the law of total variance.",
        mistakes=[
            Mistake(
                "data not asked",
                "your weights are still alpha. The data say which source they fit, too: by (2.8) each "
                "weight is multiplied by its source's evidence.",
                lambda *a: _two_numbers(*a, asked=False),
            ),
            Mistake(
                "between left out",
                "that is the mean of the sources' posterior variances. The posterior is a mixture: not "
                "to know which source it is adds the spread of their means.",
                lambda *a: _two_numbers(*a, between=0.0),
            ),
            Mistake(
                "source taken as exact",
                "your evidence has the noise alone, as if source k knew its weight. Z of (2.8) integrates "
                "over the source's own uncertainty: the variances add, (2.6).",
                lambda *a: _two_numbers(*a, sources=0.0),
            ),
            Mistake(
                "noise of one row",
                "you took the noise of one observation for that of their mean, which is smaller by the "
                "root of their number.",
                lambda seen, count, noise, m, s, a: solution_2_6(seen, 1, noise, m, s, a),
            ),
            Mistake(
                "likeliest source",
                "that is the posterior under the likeliest source alone. (2.8) leaves the others with a "
                "probability, and the mixture of all is asked for.",
                _likeliest,
            ),
        ],
    ),
    Exercise(
        number="2.7",
        title="The same story ten times",
        solution=math.sqrt(0.41),
        tolerance=0.003,
        stars=2,
        nudge="Write the mixture out for two sources that say the same. What is left of the sum?",
        hint="Ten equal densities with weights that sum to 1 are one of them; then its width, (2.6).",
        mistakes=[
            Mistake(
                "pooled",
                "that is a tenth of the variance, as if the ten spoke of one number and their evidence "
                "were multiplied. The mixture (2.4) adds densities: it is like one of them.",
                math.sqrt(0.041),
            ),
            Mistake(
                "pooled, then widened",
                "you multiplied the ten reports and widened the product. The mixture (2.4) adds the "
                "densities, and ten equal ones add up to one of them.",
                math.sqrt(0.185),
            ),
            Mistake(
                "no width",
                "that is what a source says of itself; the receiver is another task, and (2.6) adds the "
                "variance of the transfer.",
                0.5,
            ),
            Mistake(
                "standard deviations added",
                "standard deviations don't add, variances do: (2.6).",
                0.9,
            ),
            Mistake("variance", "that is the variance of (2.6); its root was asked for.", 0.41),
            Mistake(
                "pooled variance",
                "that is a variance, and a tenth of it, as if ten independent witnesses had spoken. The "
                "mixture (2.4) is like one of them; its standard deviation is asked for.",
                0.041,
            ),
        ],
    ),
]
