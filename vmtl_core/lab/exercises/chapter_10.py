"""Exercises of chapter 10."""

import math

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


def terms_10_1(kl: Tensor, log_beta: Tensor) -> dict[str, Tensor]:
    return {
        "N times beta": len(kl) * log_beta.exp(),
        "the sum of the responsibilities": -(log_beta - kl).softmax(-1).sum(0),
    }


def one_row_10_1(kl: Tensor, log_beta: Tensor) -> Tensor:
    return log_beta.exp() - (log_beta - kl).softmax(-1).mean(0)


def no_beta_10_1(kl: Tensor, log_beta: Tensor) -> Tensor:
    return len(kl) * log_beta.exp() - (-kl).softmax(-1).sum(0)


def stub_10_2(table: Tensor, share: Tensor) -> Tensor:
    """Probability that an image taken for c is a c, (C,).

    Digits occur with the shares (C,). Row c of the table (C, C) says for what the images of
    digit c are taken; it sums to 1.
    """
    raise NotImplementedError("your code here")


def solution_10_2(table: Tensor, share: Tensor) -> Tensor:
    """Probability that an image taken for c is a c, (C,).

    Digits occur with the shares (C,). Row c of the table (C, C) says for what the images of
    digit c are taken; it sums to 1.
    """
    joint = share[:, None] * table
    return joint.diagonal() / joint.sum(0)


def cases_10_2() -> list[tuple[Tensor, Tensor]]:
    sizes = (3, 4, 10)
    return [
        ((torch.randn(c, c) + 2 * torch.eye(c)).softmax(-1), torch.randn(c).softmax(-1))
        for c in sizes
    ]


def equal_shares_10_2(table: Tensor, share: Tensor) -> Tensor:
    return table.diagonal() / table.sum(0)


def joint_10_2(table: Tensor, share: Tensor) -> Tensor:
    return share * table.diagonal()


def taken_10_2(table: Tensor, share: Tensor) -> Tensor:
    return share @ table


def whole_10_2(table: Tensor, share: Tensor) -> Tensor:
    joint = share[:, None] * table
    return joint / joint.sum(0)


def stub_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    """One task's ELBO, estimated from a batch of B of its rows.

    From log p(y_n|z, w) at the draws, (L, M, B), each image's KL of z, (B,), and the KL of w.
    """
    raise NotImplementedError("your code here")


def solution_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    """One task's ELBO, estimated from a batch of B of its rows.

    From log p(y_n|z, w) at the draws, (L, M, B), each image's KL of z, (B,), and the KL of w.
    """
    fit = log_p.mean((0, 1))
    return rows / len(kl_z) * (fit - kl_z).sum() - kl_w


def cases_10_5() -> list[tuple[Tensor, Tensor, Tensor, int]]:
    return [
        (-3 * torch.rand(draws, 4, batch), torch.rand(batch), 5 * torch.rand(()), rows)
        for draws, batch, rows in ((3, 5, 20), (2, 8, 40), (5, 3, 21))
    ]


def terms_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> dict[str, Tensor]:
    scale = rows / len(kl_z)
    return {
        "the log likelihood": scale * log_p.mean((0, 1)).sum(),
        "the KL of z": -scale * kl_z.sum(),
        "the KL of w": -kl_w,
    }


def log_of_mean_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    fit = log_p.logsumexp((0, 1)) - math.log(log_p[..., 0].numel())
    return rows / len(kl_z) * (fit - kl_z).sum() - kl_w


def z_unscaled_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    return rows / len(kl_z) * log_p.mean((0, 1)).sum() - kl_z.sum() - kl_w


def w_scaled_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    return rows / len(kl_z) * ((log_p.mean((0, 1)) - kl_z).sum() - kl_w)


def w_in_each_row_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    return rows / len(kl_z) * (log_p.mean((0, 1)) - kl_z - kl_w).sum()


def as_given_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    fit = log_p.logsumexp((0, 1)) - math.log(log_p.shape[0] * log_p.shape[1])
    return rows / len(kl_z) * (fit.sum() - kl_w) - kl_z.sum()


def means_alone_10_5(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    fit = log_p.logsumexp((0, 1)) - math.log(log_p.shape[0] * log_p.shape[1])
    return rows / len(kl_z) * fit.sum() - kl_z.sum() - kl_w


EXERCISES = [
    Exercise(
        number="10.1",
        title="The pull on beta",
        stars=1,
        nudge="Differentiate for one image first. What changes if there are many?",
        stub=stub_10_1,
        solution=solution_10_1,
        cases=cases_10_1,
        terms=terms_10_1,
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
                "log for weight",
                "the first term of (10.2) has the weight beta, and you took its logarithm.",
                lambda kl, log_beta: len(kl) * log_beta - (log_beta - kl).softmax(-1).sum(0),
            ),
            Mistake(
                "wrong softmax",
                "your responsibilities sum to one over the rows; (4.5) shares every row among the "
                "sources, so the softmax is over these, dimension 1.",
                lambda kl, log_beta: len(kl) * log_beta.exp() - (log_beta - kl).softmax(0).sum(0),
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
        title="A confusion table, read backwards",
        stars=2,
        nudge="A row of the table answers 'given the digit, what is said'. Which question is "
        "asked here, and what turns the one into the other?",
        stub=stub_10_2,
        solution=solution_10_2,
        cases=cases_10_2,
        hint="Bayes' rule: the shares are the prior, a column of the table is the likelihood of the true "
        "digit, given what was said.",
        mistakes=[
            Mistake(
                "rows",
                "that is the table's diagonal, p(taken for c | c), the likelihood. Asked is the posterior, "
                "p(c | taken for c), by Bayes' rule.",
                lambda table, share: table.diagonal(),
            ),
            Mistake(
                "equal shares",
                "you normalised the columns: Bayes' rule with a prior that has all digits equally "
                "frequent. A rare digit is rarer among what is taken for it, too.",
                equal_shares_10_2,
            ),
            Mistake(
                "joint",
                "that is the share of images that are a c and are taken for one. Divide by the share of "
                "all that are taken for one, the evidence in Bayes' rule.",
                joint_10_2,
            ),
            Mistake(
                "taken",
                "that is how often each digit is *said*, the evidence in Bayes' rule; how many of these "
                "predictions are right is the question.",
                taken_10_2,
            ),
            Mistake(
                "whole table",
                "that is the posterior of every digit, given each prediction; asked is its diagonal.",
                whole_10_2,
            ),
        ],
    ),
    Exercise(
        number="10.3",
        title="Read the training curves of alpha and beta",
        stars=1,
        nudge="Write down the terms of the objective that hold a row of alpha, and those that "
        "hold a row of beta. Count.",
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
        stars=1,
        nudge="The residuals are what the fit could not reach. How large would they be with a "
        "hundred weights?",
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
                "share",
                "that is 1 - d/N, what (10.5) leaves of the variance for each row. Multiply the variance "
                "by it, and take the root.",
                0.64,
            ),
            Mistake(
                "share of sigma",
                "that is sigma (1 - d/N): the factor of (10.5) belongs to the variance, not to the "
                "standard deviation.",
                0.32,
            ),
        ],
    ),
    Exercise(
        number="10.5",
        title="Mend the ELBO",
        stars=2,
        nudge="Take the batch to be all rows, and then half of them: which of its terms should stay the "
        "same? And what does (5.2) do first, log or mean?",
        stub=stub_10_5,
        solution=solution_10_5,
        cases=cases_10_5,
        terms=terms_10_5,
        hint="What is there once for each row is scaled by N / B, what is there once for the task isn't. "
        "The mean over the draws is one of logs.",
        mistakes=[
            Mistake(
                "as given",
                "that is the colleague's function as it stands. Compare its three terms with (5.2) and "
                "(5.3), one by one.",
                as_given_10_5,
            ),
            Mistake(
                "log of the mean",
                "the scaling is right. The log of the mean over draws is what prediction wants, (6.2); "
                "with a w that all rows share, its sum over rows is no lower bound, and can exceed the "
                "evidence.",
                log_of_mean_10_5,
            ),
            Mistake(
                "KL of w mended alone",
                "the KL of w is right now, and two mistakes are left: the log of a mean is no term of "
                "(5.2), and the KL of z, one for each row, is that of the batch.",
                means_alone_10_5,
            ),
            Mistake(
                "KL of z unscaled",
                "every row pays its own KL of z, (5.3), so the batch stands for N / B times as many of "
                "these, as of log likelihoods.",
                z_unscaled_10_5,
            ),
            Mistake(
                "KL of w scaled",
                "w is there once for the task, however many rows the batch has: the KL of w in (5.3) is "
                "not scaled.",
                w_scaled_10_5,
            ),
            Mistake(
                "KL of w in each row",
                "you take the KL of w off every row, N times in all; in the ELBO it stands once.",
                w_in_each_row_10_5,
            ),
        ],
    ),
]
