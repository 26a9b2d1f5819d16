"""Exercises of chapter 5."""

import math

import torch
from torch import Tensor
from torch.distributions import Bernoulli

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_5_1(z: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """(5.2) for one row with label y: z has shape (L, D), w has shape (M, D), log odds z . w."""
    raise NotImplementedError("your code here")


def solution_5_1(z: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """(5.2) for one row with label y: z has shape (L, D), w has shape (M, D), log odds z . w."""
    return Bernoulli(logits=z @ w.T).log_prob(y).mean()


def cases_5_1() -> list[tuple[Tensor, Tensor, Tensor]]:
    sizes = [(4, 4, 2), (3, 5, 2), (6, 2, 3)]
    return [
        (torch.randn(a, d), 2 * torch.randn(b, d), torch.tensor(float(a % 2))) for a, b, d in sizes
    ]


def pairs_5_1(z: Tensor, w: Tensor, y: Tensor) -> Tensor:
    few = min(len(z), len(w))
    return Bernoulli(logits=(z[:few] * w[:few]).sum(-1)).log_prob(y).mean()


def averaged_5_1(z: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return Bernoulli(logits=z @ w.T).log_prob(y).exp().mean().log()


def plug_in_5_1(z: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return Bernoulli(logits=z.mean(0) @ w.mean(0)).log_prob(y)


def stub_5_2(rows: Tensor, task: Tensor, sizes: Tensor) -> Tensor:
    """(5.3), shape (T,): rows (B,) of a batch, their task ids (B,), and all N_t, shape (T,).

    A task without a row in the batch gets 0.
    """
    raise NotImplementedError("your code here")


def solution_5_2(rows: Tensor, task: Tensor, sizes: Tensor) -> Tensor:
    """(5.3), shape (T,): rows (B,) of a batch, their task ids (B,), and all N_t, shape (T,).

    A task without a row in the batch gets 0.
    """
    counts = torch.bincount(task, minlength=len(sizes)).clamp_min(1)
    sums = torch.zeros(len(sizes)).index_add(0, task, rows)
    return sums * sizes / counts


def cases_5_2() -> list[tuple[Tensor, Tensor, Tensor]]:
    return [
        (torch.randn(5), torch.tensor([0, 1, 1, 0, 1]), torch.tensor([8, 30])),
        (torch.randn(6), torch.tensor([2, 0, 0, 2, 2, 0]), torch.tensor([4, 7, 9])),
        (torch.randn(3), torch.tensor([0, 1, 0]), torch.tensor([5, 6, 8])),
    ]


def sums_5_2(rows: Tensor, task: Tensor, sizes: Tensor) -> Tensor:
    return torch.zeros(len(sizes)).index_add(0, task, rows)


def means_5_2(rows: Tensor, task: Tensor, sizes: Tensor) -> Tensor:
    counts = torch.bincount(task, minlength=len(sizes)).clamp_min(1)
    return sums_5_2(rows, task, sizes) / counts


def one_scale_5_2(rows: Tensor, task: Tensor, sizes: Tensor) -> Tensor:
    return sums_5_2(rows, task, sizes) * sizes.sum() / len(rows)


def stub_5_5(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) of the q that is best for the convex bound (4.3).

    Site A (D, D), b (D,); components of precision P (K, D, D) and mean mu (K, D); log alpha (K,);
    KL of the present q to each component (K,).
    """
    raise NotImplementedError("your code here")


def solution_5_5(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) of the q that is best for the convex bound (4.3).

    Site A (D, D), b (D,); components of precision P (K, D, D) and mean mu (K, D); log alpha (K,);
    KL of the present q to each component (K,).
    """
    alpha = log_alpha.exp()
    covariance = torch.linalg.inv(A + torch.einsum("k,kde->de", alpha, P))
    natural = b + torch.einsum("k,kde,ke->d", alpha, P, mu)
    return covariance @ natural, covariance


def cases_5_5() -> list[tuple[Tensor, ...]]:
    cases: list[tuple[Tensor, ...]] = []
    for size, count in ((2, 3), (3, 2), (1, 4)):
        roots = torch.randn(count + 1, size, size)
        square = roots @ roots.mT + torch.eye(size)
        log_alpha = torch.randn(count).log_softmax(0)
        kl = 3 * torch.rand(count)
        mu = 2 * torch.randn(count, size)
        cases.append((square[0], torch.randn(size), square[1:], mu, log_alpha, kl))
    return cases


def jensen_5_5(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    return solution_5_5(A, b, P, mu, (log_alpha - kl).log_softmax(0), kl)


def means_5_5(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    alpha = log_alpha.exp()
    precision = torch.einsum("k,kde->de", alpha, P)
    covariance = torch.linalg.inv(A + precision)
    return covariance @ (b + precision @ (alpha @ mu)), covariance


def prior_5_5(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    return solution_5_5(torch.zeros_like(A), torch.zeros_like(b), P, mu, log_alpha, kl)


def natural_5_5(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    alpha = log_alpha.exp()
    precision = A + torch.einsum("k,kde->de", alpha, P)
    return b + torch.einsum("k,kde,ke->d", alpha, P, mu), precision


def moments_5_5(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    alpha = log_alpha.exp()
    mean = alpha @ mu
    away = mu - mean
    spread = torch.linalg.inv(P) + away.unsqueeze(-1) * away.unsqueeze(-2)
    precision = torch.linalg.inv(torch.einsum("k,kde->de", alpha, spread))
    covariance = torch.linalg.inv(A + precision)
    return covariance @ (b + precision @ mean), covariance


def stub_5_6(first: int, second: int, sigma: float) -> float:
    """The distance of two sample means up to which joint posteriors have the same mean.

    As (5.10), but task 1 has `first` observations and task 2 has `second`, of noise sigma.
    """
    raise NotImplementedError("your code here")


def solution_5_6(first: int, second: int, sigma: float) -> float:
    """The distance of two sample means up to which joint posteriors have the same mean.

    As (5.10), but task 1 has `first` observations and task 2 has `second`, of noise sigma.
    """
    both = first + second
    return sigma * math.sqrt(2 * both) * both / (first * second)


def cases_5_6() -> list[tuple[int, int, float]]:
    return [(16, 64, 1.0), (9, 25, 2.0), (30, 12, 0.7)]


EXERCISES = [
    Exercise(
        number="5.1",
        title="The grid of samples",
        stub=stub_5_1,
        solution=solution_5_1,
        cases=cases_5_1,
        nudge="How many pairs are there, and what happens first: the mean or the logarithm?",
        hint="One matrix product gives the log odds of all L x M pairs. The logarithm comes before "
        "the mean.",
        mistakes=[
            Mistake(
                "pairs",
                "those are pairs, the first z with the first w and so on, not the full L x M grid "
                "of (5.2).",
                pairs_5_1,
            ),
            Mistake(
                "averaged",
                "that is the log of the averaged probability, which predicts (6.2). The ELBO needs "
                "the average of the log, (5.2).",
                averaged_5_1,
            ),
            Mistake(
                "plug_in",
                "that is the likelihood at the mean z and the mean w; (5.2) is a mean of log "
                "likelihoods over the posterior.",
                plug_in_5_1,
            ),
        ],
    ),
    Exercise(
        number="5.2",
        title="Mini-batches",
        stub=stub_5_2,
        solution=solution_5_2,
        cases=cases_5_2,
        nudge="Take a batch of one row of a task with a hundred. What should the task's number be?",
        hint="Count with torch.bincount(task, minlength=T), sum with index_add. Mind a count of 0.",
        mistakes=[
            Mistake(
                "unscaled",
                "you sum the batch's rows without N_t / B_t: against the KL, (5.3) then counts "
                "too few examples.",
                sums_5_2,
            ),
            Mistake(
                "means",
                "that is the mean of a task's rows. (5.3) estimates their sum; with the mean the "
                "prior counts N_t times as much as it should.",
                means_5_2,
            ),
            Mistake(
                "upside down",
                "your factor is B_t / N_t. (5.3) scales up: the B_t rows of the batch stand for all N_t.",
                lambda rows, task, sizes: (
                    sums_5_2(rows, task, sizes) * torch.bincount(task, minlength=len(sizes)) / sizes
                ),
            ),
            Mistake(
                "one_scale",
                "you scale every task by N / B. (5.3) has a factor N_t / B_t for each task.",
                one_scale_5_2,
            ),
        ],
    ),
    Exercise(
        number="5.3",
        title="The fused-lasso law",
        solution=0.4,
        tolerance=1e-3,
        nudge="How many standard errors apart are the two sample means?",
        hint="Compute 4 sigma / sqrt(N) first. Sigma is not 1 here.",
        mistakes=[
            Mistake(
                "no_sharing",
                "that is the distance of the sample means: (5.10) with no shrinkage, as if there "
                "were no KL.",
                2.0,
            ),
            Mistake(
                "threshold",
                "that is 4 sigma / sqrt(N), by which (5.10) draws the two means together. Asked for is "
                "what is left between them.",
                1.6,
            ),
            Mistake(
                "too_little",
                "2.0 - 0.8: either sigma was taken for 1, and here it is 2; or only one of the two "
                "means was moved, by 2 sigma / sqrt(N), and in (5.10) both move.",
                1.2,
            ),
            Mistake(
                "variance",
                "that is the variance of (5.10), the distance times sigma / sqrt(N). Asked for is "
                "the distance.",
                0.16,
            ),
            Mistake(
                "no_root",
                "you divided by N where (5.10) has the square root of N: it is the standard "
                "error that sets the scale, not the variance.",
                2.0 - 8 / 25,
            ),
            Mistake(
                "collapse",
                "the posteriors collapse only where the distance is below 4 sigma / sqrt(N) of "
                "(5.10). Compare the two again.",
                0.0,
            ),
        ],
    ),
    Exercise(
        number="5.4",
        title="A careless batch",
        solution="b",
        nudge="Follow one task through a hundred steps: in how many of them is it there, and "
        "what of it?",
        hint="What does a task that is missing from a batch contribute, and what doesn't it "
        "contribute? See (5.3b).",
        mistakes=[
            Mistake(
                "a",
                "unbiased it is only given that the task is in the batch. Here a task is missing "
                "more often than not, and then its likelihood counts 0 while its KL counts in "
                "full; see (5.3b).",
                "a",
            ),
            Mistake(
                "c",
                "N_t / B_t makes up for the rows of the task that are missing, not for the "
                "batches that hold none of them; see (5.3b). The likelihood is too small, not "
                "too large.",
                "c",
            ),
            Mistake(
                "d",
                "Adam ignores a factor on the whole objective. Here the factor sits on the "
                "likelihood alone, so the balance with the KL shifts; see (5.3b).",
                "d",
            ),
        ],
    ),
    Exercise(
        number="5.5",
        title="The E-step of the convex bound",
        stub=stub_5_5,
        solution=solution_5_5,
        cases=cases_5_5,
        stars=2,
        nudge="Which of the arguments would have to change if q changed? Is there one that "
        "needn't be known?",
        hint="Repeat the step before (5.16) for the sum of alpha_k KL(q || p_k). Then Bayes' rule, "
        "(5.14).",
        mistakes=[
            Mistake(
                "jensen",
                "those exponents are the responsibilities (4.5), which belong to the Jensen bound. "
                "In the convex bound (4.3) the weights of the KLs are alpha themselves.",
                jensen_5_5,
            ),
            Mistake(
                "natural",
                "those are precision times mean, and the precision: what adds up in (5.14). Asked for are "
                "the mean and the covariance of the posterior.",
                natural_5_5,
            ),
            Mistake(
                "means",
                "you averaged the means of the components. In a product of powers, (5.16), the "
                "precisions times means add up.",
                means_5_5,
            ),
            Mistake(
                "prior",
                "that is the product of (5.16), the prior. The task's site, the likelihood, is "
                "missing: (5.14).",
                prior_5_5,
            ),
            Mistake(
                "moments",
                "that prior has the mean and covariance of the mixture. The convex bound (4.3) "
                "wants the product of powers, (5.16), which is narrower.",
                moments_5_5,
            ),
        ],
    ),
    Exercise(
        number="5.6",
        title="Unequal tasks in the echo",
        stub=stub_5_6,
        solution=solution_5_6,
        cases=cases_5_6,
        stars=3,
        nudge="Which terms of (5.9a) know an N? Redo the two steps after it, first the variances and then "
        "the means, for a d so small that you may drop its square.",
        hint="Near d = 0 the ratio v_1/v_2 costs most, so v_1 = v_2 = v: minimise (N_1 + N_2) v / 2 sigma^2 "
        "+ d^2 / v. The squares leave N_1 N_2 (|Delta| - |d|)^2 / 2 sigma^2 (N_1 + N_2). Compare slopes.",
        mistakes=[
            Mistake(
                "mean of the sizes",
                "that is (5.10) with the mean of N_1 and N_2 for N. The variances feel their sum, but the "
                "means a harmonic mean: a poor task is moved at little cost.",
                lambda first, second, sigma: 4 * sigma / math.sqrt((first + second) / 2),
            ),
            Mistake(
                "error of the difference",
                "that is (5.10) in standard errors of the difference, as if only the means counted. The "
                "price of the variances in (5.9a) is that of both tasks' observations together.",
                lambda first, second, sigma: (
                    math.sqrt(8) * sigma * math.sqrt(1 / first + 1 / second)
                ),
            ),
            Mistake(
                "poorer task",
                "that is (5.10) with the smaller N. The richer task's observations make its own variance "
                "dear, so they count, too.",
                lambda first, second, sigma: 4 * sigma / math.sqrt(min(first, second)),
            ),
            Mistake(
                "richer task",
                "that is (5.10) with the larger N. The poorer task's mean is moved at little cost, so the "
                "two meet from farther away than two rich ones.",
                lambda first, second, sigma: 4 * sigma / math.sqrt(max(first, second)),
            ),
            Mistake(
                "all in one",
                "that is (5.10) with all observations as one task's N. It is two tasks of N each that "
                "have 2N together; put N_1 = N_2 = N to see that it doesn't fit.",
                lambda first, second, sigma: 4 * sigma / math.sqrt(first + second),
            ),
            Mistake(
                "half of each law",
                "that is the mean of the two laws (5.10), one for each N. Both tasks stand in one "
                "objective: minimise it, instead of averaging two answers.",
                lambda first, second, sigma: 2 * sigma * (first**-0.5 + second**-0.5),
            ),
        ],
    ),
    Exercise(
        number="5.7",
        title="Which of them is no bound?",
        solution="c",
        stars=2,
        nudge="Two things must hold: the fit is no larger than its expectation under q, and what is "
        "subtracted is no smaller than the KL. Look at each version for both.",
        hint="Let q be a source that has the weight 1, then move its mean a little towards the data: what "
        "changes at once, and what only by a square?",
        mistakes=[
            Mistake(
                "convex",
                "version a subtracts the convex bound (4.3). That is above the KL, so its value is below "
                "the ELBO with the exact KL, and so below the evidence (5.7): loose, and a bound.",
                "a",
            ),
            Mistake(
                "best source",
                "version b subtracts the smallest KL_k - log alpha_k. One term of the sum in (4.4) is at "
                "most the sum, so that is above jensen, and the value a bound.",
                "b",
            ),
            Mistake(
                "twice",
                "version d counts the KL twice. It is the wrong objective, too fond of the prior; but a KL "
                "is never negative, so twice of its bound is above it, and (5.7) holds.",
                "d",
            ),
        ],
    ),
]
