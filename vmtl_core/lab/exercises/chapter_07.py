"""Exercises of chapter 7: what moves alpha, where it settles, and a map to read."""

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_7_2(kl: Tensor, log_alpha: Tensor) -> Tensor:
    """Gradient of -KL, by the bound (4.4), to log pi: from KL_tk and log alpha, both (T, K)."""
    raise NotImplementedError("your code here")


def solution_7_2(kl: Tensor, log_alpha: Tensor) -> Tensor:
    """Gradient of -KL, by the bound (4.4), to log pi: from KL_tk and log alpha, both (T, K)."""
    phi = torch.softmax(log_alpha - kl, -1)
    return phi - log_alpha.exp()


def cases_7_2() -> list[tuple[Tensor, Tensor]]:
    return [(3 * torch.rand(2, 3), torch.randn(2, 3).log_softmax(-1)) for _ in range(3)]


def stub_7_3(start: Tensor, phi: Tensor) -> Tensor:
    """alpha (K,) that solves (7.5), from the logits' start and the responsibilities, both (K,)."""
    raise NotImplementedError("your code here")


def solution_7_3(start: Tensor, phi: Tensor) -> Tensor:
    """alpha (K,) that solves (7.5), from the logits' start and the responsibilities, both (K,)."""
    alpha = torch.softmax(start, -1)
    for _ in range(100):
        alpha = torch.softmax(start + phi - alpha, -1)
    return alpha


def cases_7_3() -> list[tuple[Tensor, Tensor]]:
    three = torch.tensor([1.0, 1.0, 2.0]).log()
    return [
        (three, torch.tensor([1.0, 0.0, 0.0])),
        (three, torch.tensor([0.0, 0.0, 1.0])),
        (torch.randn(4), torch.randn(4).softmax(-1)),
    ]


EXERCISES = [
    Exercise(
        number="7.1",
        title="Where is more data worth most?",
        solution="c",
        hint="Fix a point, then ask how much the sampled boundaries disagree about its label.",
        mistakes=[
            Mistake(
                "aleatoric",
                "on the true boundary near the origin p is about 1/2 whatever the weights are: "
                "that is aleatoric uncertainty, which no data remove.",
                "a",
            ),
            Mistake(
                "distance",
                "far away but far from the boundary too, all plausible weights give the same "
                "label: the posterior of a linear model is sure there, rightly or not.",
                "b",
            ),
            Mistake(
                "density",
                "the points inform the weights, and those are shared by the whole plane: with a "
                "linear likelihood the uncertainty does not stop where the points do.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="7.2",
        title="The gradient that moves alpha",
        stub=stub_7_2,
        solution=solution_7_2,
        cases=cases_7_2,
        hint="alpha depends on log pi by a softmax, so d log alpha_k / d log pi_j = [j = k] - alpha_j.",
        mistakes=[
            Mistake(
                "sign",
                "that is the gradient of +KL by the bound (4.4); the ELBO has -KL.",
                lambda kl, log_alpha: log_alpha.exp() - torch.softmax(log_alpha - kl, -1),
            ),
            Mistake(
                "no weights in phi",
                "the responsibilities (4.5) weigh exp(-KL) by alpha.",
                lambda kl, log_alpha: torch.softmax(-kl, -1) - log_alpha.exp(),
            ),
            Mistake(
                "normalisation forgotten",
                "that is the gradient to log alpha, as if its entries were free; the softmax of "
                "log pi takes alpha off again (7.4).",
                lambda kl, log_alpha: torch.softmax(log_alpha - kl, -1),
            ),
            Mistake(
                "convex",
                "that is the gradient of the convex bound (4.3).",
                lambda kl, log_alpha: (
                    log_alpha.exp() * ((log_alpha.exp() * kl).sum(-1, keepdim=True) - kl)
                ),
            ),
        ],
    ),
    Exercise(
        number="7.3",
        title="Where alpha settles",
        stub=stub_7_3,
        solution=solution_7_3,
        cases=cases_7_3,
        hint="(7.5) has alpha on both sides: put the right side into the left again and again.",
        tolerance=1e-4,
        mistakes=[
            Mistake(
                "no hyperprior",
                "without the hyperprior (5.6) alpha moves until it equals phi; with it, it can't.",
                lambda start, phi: phi,
            ),
            Mistake(
                "one step",
                "that is one step of (7.5) from the initial alpha; alpha must solve it, so repeat.",
                lambda start, phi: torch.softmax(start + phi - torch.softmax(start, -1), -1),
            ),
            Mistake(
                "alpha forgotten",
                "the logits move by phi - alpha, not by phi (7.4).",
                lambda start, phi: torch.softmax(start + phi, -1),
            ),
        ],
    ),
    Exercise(
        number="7.4",
        title="A row that must sum to one",
        solution="b",
        hint="Ask what a row of alpha looks like when no other task is of any use.",
        mistakes=[
            Mistake(
                "small weights",
                "the weights of a row sum to one: without a base prior they can't all be small.",
                "a",
            ),
            Mistake(
                "proof of a link",
                "alpha compares the sources with each other, not with none: the KL to the better "
                "of two bad sources may still be huge.",
                "c",
            ),
            Mistake(
                "symmetry",
                "alpha[2, 1] and alpha[1, 2] are weights in two different priors, and nothing "
                "makes them equal.",
                "d",
            ),
        ],
    ),
]
