"""Exercises of chapter 6."""

import math

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_6_1(log_p: Tensor) -> Tensor:
    """Log of the predictive mixture (6.2), shape (N,), from log p(y_n|z, w), shape (L, M, N)."""
    raise NotImplementedError("your code here")


def solution_6_1(log_p: Tensor) -> Tensor:
    """Log of the predictive mixture (6.2), shape (N,), from log p(y_n|z, w), shape (L, M, N)."""
    pairs = log_p.flatten(0, 1)
    return pairs.logsumexp(0) - math.log(len(pairs))


def cases_6_1() -> list[tuple[Tensor]]:
    return [(-3 * torch.rand(2, 4, 3),), (-900 + 5 * torch.randn(3, 2, 2),)]


def stub_6_2(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Total, aleatoric and epistemic variance (6.3) from the moments of S components, (S, N)."""
    raise NotImplementedError("your code here")


def solution_6_2(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Total, aleatoric and epistemic variance (6.3) from the moments of S components, (S, N)."""
    aleatoric = variances.mean(0)
    epistemic = means.var(0, correction=0)
    return aleatoric + epistemic, aleatoric, epistemic


def cases_6_2() -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(5, 3), torch.rand(5, 3)), (torch.randn(2, 4), 1 + torch.rand(2, 4))]


def swapped_6_2(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    total, aleatoric, epistemic = solution_6_2(means, variances)
    return total, epistemic, aleatoric


def deviations_6_2(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    aleatoric, epistemic = variances.sqrt().mean(0), means.std(0, correction=0)
    return aleatoric + epistemic, aleatoric, epistemic


def corrected_6_2(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    aleatoric, epistemic = variances.mean(0), means.var(0)
    return aleatoric + epistemic, aleatoric, epistemic


def stub_6_3(probs: Tensor) -> Tensor:
    """Epistemic part of (6.4) in nats, (N,), from each of S draws' class probabilities (S, N, C)."""
    raise NotImplementedError("your code here")


def solution_6_3(probs: Tensor) -> Tensor:
    """Epistemic part of (6.4) in nats, (N,), from each of S draws' class probabilities (S, N, C)."""
    total = torch.special.entr(probs.mean(0)).sum(-1)
    aleatoric = torch.special.entr(probs).sum(-1).mean(0)
    return total - aleatoric


def cases_6_3() -> list[tuple[Tensor]]:
    return [(torch.randn(4, 3, 2).softmax(-1),), ((2 * torch.randn(6, 2, 3)).softmax(-1),)]


def terms_6_3(probs: Tensor) -> dict[str, Tensor]:
    return {
        "the entropy of the mean": total_6_3(probs),
        "the mean of the entropies": -aleatoric_6_3(probs),
    }


def total_6_3(probs: Tensor) -> Tensor:
    return torch.special.entr(probs.mean(0)).sum(-1)


def aleatoric_6_3(probs: Tensor) -> Tensor:
    return torch.special.entr(probs).sum(-1).mean(0)


def rows_6_3(probs: Tensor) -> Tensor:
    total = torch.special.entr(probs.mean(1)).sum(-1)
    return total - torch.special.entr(probs).sum(-1).mean(1)


def variance_6_3(probs: Tensor) -> Tensor:
    return probs.var(0, correction=0).sum(-1)


def stub_6_6(inside: Tensor) -> Tensor:
    """Two standard errors of the coverage, stacked, (2,).

    From `inside` (T, n), 1 where an interval holds its target and 0 elsewhere. The first
    as if all rows were independent, the second as if the tasks were, and their rows not.
    """
    raise NotImplementedError("your code here")


def solution_6_6(inside: Tensor) -> Tensor:
    """Two standard errors of the coverage, stacked, (2,).

    From `inside` (T, n), 1 where an interval holds its target and 0 elsewhere. The first
    as if all rows were independent, the second as if the tasks were, and their rows not.
    """
    by_rows = inside.std() / inside.numel() ** 0.5
    by_tasks = inside.mean(1).std() / len(inside) ** 0.5
    return torch.stack([by_rows, by_tasks])


def cases_6_6() -> list[tuple[Tensor]]:
    shapes = [(12, 40), (5, 9), (30, 6)]
    return [
        (torch.where(torch.rand(t, n) < 1 - torch.rand(t, 1) / 2, 1.0, 0.0),) for t, n in shapes
    ]


def scatter_6_6(inside: Tensor) -> Tensor:
    return torch.stack([inside.std(), inside.mean(1).std()])


def all_rows_6_6(inside: Tensor) -> Tensor:
    root = inside.numel() ** 0.5
    return torch.stack([inside.std() / root, inside.mean(1).std() / root])


def within_6_6(inside: Tensor) -> Tensor:
    each = inside.std(1) / inside.shape[1] ** 0.5
    return torch.stack([solution_6_6(inside)[0], each.mean()])


def columns_6_6(inside: Tensor) -> Tensor:
    other = inside.mean(0).std() / inside.shape[1] ** 0.5
    return torch.stack([solution_6_6(inside)[0], other])


def stub_6_7(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, aleatoric and epistemic variance (6.3) of counts; log rates N(loc, sd^2)."""
    raise NotImplementedError("your code here")


def solution_6_7(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, aleatoric and epistemic variance (6.3) of counts; log rates N(loc, sd^2)."""
    rate = (loc + sd**2 / 2).exp()
    return rate, rate, rate**2 * torch.expm1(sd**2)


def cases_6_7() -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(4), 0.3 + torch.rand(4)), (2 + torch.rand(3), 0.1 + torch.rand(3))]


def plug_in_6_7(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return loc.exp(), loc.exp(), solution_6_7(loc, sd)[2]


def nothing_averaged_6_7(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return loc.exp(), loc.exp(), loc.exp() ** 2 * torch.expm1(sd**2)


def slope_6_7(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rate = (loc + sd**2 / 2).exp()
    return rate, rate, (rate * sd) ** 2


def predictor_6_7(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rate = (loc + sd**2 / 2).exp()
    return rate, rate, sd**2


def second_moment_6_7(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rate = (loc + sd**2 / 2).exp()
    return rate, rate, (2 * loc + 2 * sd**2).exp()


def total_6_7(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rate, aleatoric, epistemic = solution_6_7(loc, sd)
    return rate, aleatoric, aleatoric + epistemic


EXERCISES = [
    Exercise(
        number="6.1",
        title="The log of a mixture",
        stars=1,
        nudge="What is exp(-900) in float64? Which of the two, exp or log, may come first?",
        stub=stub_6_1,
        solution=solution_6_1,
        cases=cases_6_1,
        hint="Flatten L and M, then logsumexp, then subtract the log of how many there are.",
        mistakes=[
            Mistake(
                "mean_of_logs",
                "that is the mean of the logs, the term of the ELBO (5.2). By Jensen's inequality "
                "it lies below the log of the mixture (6.2).",
                lambda log_p: log_p.mean((0, 1)),
            ),
            Mistake(
                "not_divided",
                "you left out the 1/(ML) of (6.2): the mixture would integrate to ML.",
                lambda log_p: log_p.flatten(0, 1).logsumexp(0),
            ),
            Mistake(
                "underflow",
                "exp before log: right where the densities are moderate, but far in the tail they "
                "underflow and the log is -inf. Use logsumexp for (6.2).",
                lambda log_p: log_p.exp().mean((0, 1)).log(),
            ),
        ],
    ),
    Exercise(
        number="6.2",
        title="Two kinds of variance",
        stars=1,
        nudge="Which of the three numbers would be zero if all components were the same, and "
        "which if each of them were a point?",
        stub=stub_6_2,
        solution=solution_6_2,
        cases=cases_6_2,
        hint="Variances add, standard deviations don't. The S components are the whole mixture, "
        "not a sample of it.",
        mistakes=[
            Mistake(
                "swapped",
                "aleatoric and epistemic are swapped: the mean of the variances is the noise, the "
                "variance of the means is what more data would remove; see (6.3).",
                swapped_6_2,
            ),
            Mistake(
                "deviations",
                "you added standard deviations; (6.3) is about variances.",
                deviations_6_2,
            ),
            Mistake(
                "corrected",
                "you divided by S - 1. The variance in (6.3) is that of the mixture of S equal "
                "components, so the divisor is S (correction=0).",
                corrected_6_2,
            ),
        ],
    ),
    Exercise(
        number="6.3",
        title="Information about the label",
        stars=1,
        nudge="What can the label tell about the draw if all draws say ½? And if half of them say "
        "0 and the others 1?",
        stub=stub_6_3,
        solution=solution_6_3,
        cases=cases_6_3,
        terms=terms_6_3,
        hint="The entropy of the mean minus the mean of the entropies. torch.special.entr(p) is "
        "-p log p, and 0 at p = 0.",
        mistakes=[
            Mistake(
                "total",
                "that is the entropy of the averaged probabilities, the total of (6.4).",
                total_6_3,
            ),
            Mistake(
                "aleatoric",
                "that is the average entropy, the aleatoric part of (6.4).",
                aleatoric_6_3,
            ),
            Mistake(
                "rows",
                "you averaged over the rows, dimension 1: one number a draw. In (6.4) a row's label is "
                "asked about, and the average is over the draws.",
                rows_6_3,
            ),
            Mistake(
                "variance",
                "that is the variance of the probabilities. It measures the same thing in other "
                "units; (6.4) asks for mutual information in nats.",
                variance_6_3,
            ),
            Mistake(
                "negative",
                "the sign is wrong: by Jensen's inequality the entropy of the mean is the larger "
                "one, so that the epistemic part of (6.4) can't be negative.",
                lambda probs: -solution_6_3(probs),
            ),
        ],
    ),
    Exercise(
        number="6.4",
        title="Read the coverage curve",
        stars=1,
        nudge="Read one point of the curve aloud, with both of its numbers: what was promised, "
        "and what happened?",
        solution="c",
        hint="On the diagonal a 50 % interval holds 50 % of the targets. Which side means that the "
        "intervals are too narrow?",
        mistakes=[
            Mistake(
                "a",
                "below the diagonal, not above it: an interval that promises more than it holds "
                "is too narrow, so its epistemic variance is too small, not too large.",
                "a",
            ),
            Mistake(
                "b",
                "that is what the diagonal would show. Coverage compares the promise with the "
                "share of targets inside.",
                "b",
            ),
            Mistake(
                "d",
                "accuracy of the mean can't be read off a coverage curve: a poor mean with honest "
                "variance lies on the diagonal.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="6.5",
        title="Averaging logits or probabilities",
        stars=1,
        nudge="Draw the sigmoid, and mark the logits -1, 2 and 5 on it. Is 2 in the middle of the "
        "three heights?",
        solution="a",
        hint="The sigmoid is bent: for positive logits it is concave. Think of the logits 2 + 3 and "
        "2 - 3 with their probabilities.",
        mistakes=[
            Mistake(
                "b",
                "equal they would be if the sigmoid were a straight line. The mean of a bent "
                "function isn't the function of the mean (Jensen's inequality); see (6.2).",
                "b",
            ),
            Mistake(
                "c",
                "the other way round: what is lost on the low side of the logit 2 is more than "
                "what is gained on the saturated high side. Averaging as in (6.2) moderates.",
                "c",
            ),
        ],
    ),
    Exercise(
        number="6.6",
        title="What a bar on the coverage is for",
        stars=2,
        nudge="Suppose the intervals of one task are all shifted to one side. How many independent "
        "observations of that are its rows?",
        stub=stub_6_6,
        solution=solution_6_6,
        cases=cases_6_6,
        hint="A standard error is the spread of independent pieces over the root of their number. "
        "What are the pieces, in the first case and in the second?",
        mistakes=[
            Mistake(
                "scatter",
                "those are standard deviations, of a row and of a task. The coverage (6.5) is a mean; "
                "its error is smaller by the root of the number of pieces.",
                scatter_6_6,
            ),
            Mistake(
                "all rows",
                "the second is divided by the root of the number of rows. Its pieces are the tasks, "
                "whose coverages you took the spread of, so there are T of them.",
                all_rows_6_6,
            ),
            Mistake(
                "within",
                "the second is the error of one task's coverage, from the rows within it. That tasks "
                "differ from each other, since each has one error in w, is not in it.",
                within_6_6,
            ),
            Mistake(
                "columns",
                "you averaged over the tasks, dimension 0. The rows of *one* task share its w, so the "
                "mean of (6.5) is to be taken within each task first.",
                columns_6_6,
            ),
        ],
    ),
    Exercise(
        number="6.7",
        title="Counts",
        stars=2,
        nudge="Which of the two parts would be there if w were known exactly? What is the variance of a "
        "Poisson count, and what is its mean?",
        stub=stub_6_7,
        solution=solution_6_7,
        cases=cases_6_7,
        hint="A Poisson count has its rate for mean and for variance. For a normal eta, "
        "E[exp(c eta)] = exp(c m + c^2 s^2 / 2): use it with c = 1 and with c = 2.",
        mistakes=[
            Mistake(
                "plug-in",
                "the mean of exp(eta) isn't exp of the mean: by Jensen's inequality it is larger, by "
                "the factor exp(s^2 / 2). The epistemic variance is right.",
                plug_in_6_7,
            ),
            Mistake(
                "nothing averaged",
                "that is right up to exp(m) for the mean of the rate: exp is bent, so its mean is "
                "exp(m + s^2 / 2). It enters all three, see (6.3).",
                nothing_averaged_6_7,
            ),
            Mistake(
                "slope",
                "the epistemic variance is that of the straight line along exp at its mean, right "
                "for a small s only. (6.3) has the variance of exp(eta) itself.",
                slope_6_7,
            ),
            Mistake(
                "predictor",
                "s^2 is the variance of the log rate. The epistemic part of (6.3) is the variance of "
                "E[y|theta], of the rate.",
                predictor_6_7,
            ),
            Mistake(
                "second moment",
                "that is the mean of the squared rate; its variance is that less the square of the "
                "mean rate.",
                second_moment_6_7,
            ),
            Mistake(
                "total",
                "the third is the total variance; by (6.3) the noise of a count, which is its rate on "
                "average, is aleatoric.",
                total_6_7,
            ),
        ],
    ),
]
