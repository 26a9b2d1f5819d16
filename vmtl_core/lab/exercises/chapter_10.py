"""Exercises of chapter 10."""

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_10_1(kl: Tensor, log_beta: Tensor) -> Tensor:
    """Gradient (10.2) in the logits of beta, (K,), from KL(q_n || p_k), (N, K), and log beta, (K,)."""
    raise NotImplementedError("your code here")


def solution_10_1(kl: Tensor, log_beta: Tensor) -> Tensor:
    """Gradient (10.2) in the logits of beta, (K,), from KL(q_n || p_k), (N, K), and log beta, (K,)."""
    phi = (log_beta - kl).softmax(-1)
    return len(kl) * log_beta.exp() - phi.sum(0)


def cases_10_1() -> list[tuple[Tensor, Tensor]]:
    return [(3 * torch.rand(n, 4), torch.randn(4).log_softmax(-1)) for n in (3, 20, 50)]


def one_row_10_1(kl: Tensor, log_beta: Tensor) -> Tensor:
    return log_beta.exp() - (log_beta - kl).softmax(-1).mean(0)


def no_beta_10_1(kl: Tensor, log_beta: Tensor) -> Tensor:
    return len(kl) * log_beta.exp() - (-kl).softmax(-1).sum(0)


def stub_10_2(probs: Tensor, y: Tensor) -> Tensor:
    """Confusion table (C, C) from probabilities (N, C) and labels (N,): row c, digit c; rows sum to 1."""
    raise NotImplementedError("your code here")


def solution_10_2(probs: Tensor, y: Tensor) -> Tensor:
    """Confusion table (C, C) from probabilities (N, C) and labels (N,): row c, digit c; rows sum to 1."""
    classes = probs.shape[1]
    said = torch.nn.functional.one_hot(probs.argmax(1), classes).to(probs)
    truth = torch.nn.functional.one_hot(y.long(), classes).to(probs)
    counts = truth.T @ said
    return counts / counts.sum(1, keepdim=True)


def cases_10_2() -> list[tuple[Tensor, Tensor]]:
    labels = torch.arange(3).repeat(7)
    return [(torch.randn(21, 3).softmax(-1), labels[torch.randperm(21)]) for _ in range(3)]


def counts_10_2(probs: Tensor, y: Tensor) -> Tensor:
    classes = probs.shape[1]
    said = torch.nn.functional.one_hot(probs.argmax(1), classes).to(probs)
    truth = torch.nn.functional.one_hot(y.long(), classes).to(probs)
    return truth.T @ said


def columns_10_2(probs: Tensor, y: Tensor) -> Tensor:
    counts = counts_10_2(probs, y)
    return counts / counts.sum(0, keepdim=True)


def soft_10_2(probs: Tensor, y: Tensor) -> Tensor:
    truth = torch.nn.functional.one_hot(y.long(), probs.shape[1]).to(probs)
    return truth.T @ probs / truth.sum(0)[:, None]


EXERCISES = [
    Exercise(
        number="10.1",
        title="The pull on beta",
        stub=stub_10_1,
        solution=solution_10_1,
        cases=cases_10_1,
        hint="First the responsibility of every source for every row; then sum over the rows.",
        mistakes=[
            Mistake(
                "sign",
                "the sign is turned: (10.2) is the gradient of the KL, which is minimised.",
                lambda kl, log_beta: -solution_10_1(kl, log_beta),
            ),
            Mistake(
                "one row",
                "that is the gradient for the mean over rows. In (10.2) the rows are summed, and "
                "so beta, unlike alpha, has as many observations as the task has rows.",
                one_row_10_1,
            ),
            Mistake(
                "beta forgotten",
                "the responsibility (4.5) holds the prior weight: softmax of log beta - KL.",
                no_beta_10_1,
            ),
        ],
    ),
    Exercise(
        number="10.2",
        title="A confusion table",
        stub=stub_10_2,
        solution=solution_10_2,
        cases=cases_10_2,
        hint="One-hot rows of the true and of the predicted digit; a matrix product counts pairs.",
        mistakes=[
            Mistake(
                "counts",
                "those are counts; divide each row by its sum, and the row is an average over the "
                "images of one digit.",
                counts_10_2,
            ),
            Mistake(
                "columns",
                "the columns sum to 1: that is p(true digit | predicted digit). Rows were asked: "
                "an average over the images of one true digit.",
                columns_10_2,
            ),
            Mistake(
                "transposed",
                "rows and columns are exchanged: row c is about the images whose true digit is c, "
                "and the prediction goes across.",
                lambda probs, y: solution_10_2(probs, y).T,
            ),
            Mistake(
                "soft",
                "that averages the probabilities. A confusion table counts decisions: take the "
                "most probable digit of each image first.",
                soft_10_2,
            ),
        ],
    ),
    Exercise(
        number="10.3",
        title="Read the training curves of alpha and beta",
        solution="b",
        hint="How many terms of the objective hold a row of alpha? How many a row of beta?",
        mistakes=[
            Mistake(
                "learning rate",
                "one optimiser with one learning rate moves both. Compare their gradients: (10.2) "
                "and the same formula with one row.",
                "a",
            ),
            Mistake(
                "posterior of w",
                "q(w) does move; it is where alpha gets its single observation from. Count the "
                "observations of alpha and beta in the objective, (10.2).",
                "c",
            ),
            Mistake(
                "temperature",
                "both priors draw their weights at the same temperature.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="10.4",
        title="What the residuals of a fitted head say (a prediction)",
        solution=0.4,
        tolerance=1e-3,
        hint="Equation (10.5) gives the expected sum of squares.",
        mistakes=[
            Mistake(
                "no loss",
                "that is sigma itself: the residuals of a fitted model are smaller than the noise, "
                "(10.5).",
                0.5,
            ),
            Mistake(
                "variance",
                "that is the expected mean square (10.5), a variance; take its root.",
                0.16,
            ),
            Mistake(
                "share of sigma",
                "that is sigma (1 - d/N): the factor of (10.5) belongs to the variance, not to the "
                "standard deviation.",
                0.32,
            ),
        ],
    ),
]
