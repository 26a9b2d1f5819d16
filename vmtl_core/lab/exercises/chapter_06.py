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


def total_6_3(probs: Tensor) -> Tensor:
    return torch.special.entr(probs.mean(0)).sum(-1)


def aleatoric_6_3(probs: Tensor) -> Tensor:
    return torch.special.entr(probs).sum(-1).mean(0)


def variance_6_3(probs: Tensor) -> Tensor:
    return probs.var(0, correction=0).sum(-1)


EXERCISES = [
    Exercise(
        number="6.1",
        title="The log of a mixture",
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
        stub=stub_6_3,
        solution=solution_6_3,
        cases=cases_6_3,
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
]
