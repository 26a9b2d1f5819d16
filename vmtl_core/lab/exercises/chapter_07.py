"""Exercises of chapter 7: what moves alpha, where it settles, and a map to read."""

import torch
from torch import Tensor

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_7_2(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    """Gradient of -KL, by the bound (4.4), to log pi, all (T, K), for one draw of alpha, (3.3)."""
    raise NotImplementedError("your code here")


def solution_7_2(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    """Gradient of -KL, by the bound (4.4), to log pi, all (T, K), for one draw of alpha, (3.3)."""
    log_alpha = ((log_pi + gumbel) / tau).log_softmax(-1)
    phi = (log_alpha - kl).softmax(-1)
    return (phi - log_alpha.exp()) / tau


def cases_7_2() -> list[tuple[Tensor, Tensor, Tensor, float]]:
    return [
        (3 * torch.rand(t, k), torch.randn(t, k), -(-torch.rand(t, k).log()).log(), tau)
        for t, k, tau in ((2, 3, 0.5), (4, 3, 2.0), (3, 5, 0.8))
    ]


def noise_free_7_2(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    log_alpha = log_pi.log_softmax(-1)
    return (log_alpha - kl).softmax(-1) - log_alpha.exp()


def no_temperature_7_2(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    return tau * solution_7_2(kl, log_pi, gumbel, tau)


def no_weights_7_2(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    alpha = ((log_pi + gumbel) / tau).softmax(-1)
    return ((-kl).softmax(-1) - alpha) / tau


def free_7_2(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    return ((log_pi + gumbel) / tau - kl).softmax(-1) / tau


def convex_7_2(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    alpha = ((log_pi + gumbel) / tau).softmax(-1)
    return alpha * ((alpha * kl).sum(-1, keepdim=True) - kl) / tau


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


def stub_7_5(kl: Tensor) -> Tensor:
    """What it gains to move weight from source k, which has all, to j: [k, j] of (K, K).

    To first order, by the bound (4.4) and without hyperprior, summed over the R tasks that
    share the row of weights; `kl` has their KLs to the K sources, (R, K).
    """
    raise NotImplementedError("your code here")


def solution_7_5(kl: Tensor) -> Tensor:
    """What it gains to move weight from source k, which has all, to j: [k, j] of (K, K).

    To first order, by the bound (4.4) and without hyperprior, summed over the R tasks that
    share the row of weights; `kl` has their KLs to the K sources, (R, K).
    """
    ratio = (kl[:, :, None] - kl[:, None, :]).exp()  # (R, K, K)
    return (ratio - 1).sum(0)


def cases_7_5() -> list[tuple[Tensor]]:
    return [(3 * torch.rand(r, k),) for r, k in ((1, 3), (4, 3), (7, 4))]


def not_taken_away_7_5(kl: Tensor) -> Tensor:
    return (kl[:, :, None] - kl[:, None, :]).exp().sum(0)


def convex_7_5(kl: Tensor) -> Tensor:
    return (kl[:, :, None] - kl[:, None, :]).sum(0)


def mean_first_7_5(kl: Tensor) -> Tensor:
    total = kl.mean(0)
    return len(kl) * ((total[:, None] - total[None, :]).exp() - 1)


EXERCISES = [
    Exercise(
        number="7.1",
        title="Where is more data worth most?",
        stars=1,
        nudge="What does a label teach that every plausible boundary predicts with the same "
        "probability?",
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
        stars=2,
        nudge="What stands between log pi and the bound now that stood not there in (7.4)? Apply "
        "the chain rule one step at a time.",
        stub=stub_7_2,
        solution=solution_7_2,
        cases=cases_7_2,
        hint="First (7.4), with the drawn alpha in the place of the softmax of log pi: that is the "
        "gradient to what stands in the softmax of (3.3). Then, how does that depend on log pi?",
        mistakes=[
            Mistake(
                "sign",
                "that is the gradient of +KL by the bound (4.4); the ELBO has -KL.",
                lambda kl, log_pi, gumbel, tau: -solution_7_2(kl, log_pi, gumbel, tau),
            ),
            Mistake(
                "noise-free",
                "that is (7.4), at alpha = pi: it knows neither the Gumbel noise nor the temperature. "
                "Here alpha is the draw (3.3), and so are the responsibilities made with it.",
                noise_free_7_2,
            ),
            Mistake(
                "temperature forgotten",
                "that is the gradient to (log pi + g) / tau, which stands in the softmax of (3.3); to "
                "log pi itself it has one factor more.",
                no_temperature_7_2,
            ),
            Mistake(
                "no weights in phi",
                "the responsibilities (4.5) weigh exp(-KL) by alpha, here by the draw.",
                no_weights_7_2,
            ),
            Mistake(
                "normalisation forgotten",
                "that is the gradient to log alpha, as if its entries were free; the softmax takes "
                "alpha off again (7.4).",
                free_7_2,
            ),
            Mistake("convex", "that is the gradient of the convex bound (4.3).", convex_7_2),
        ],
    ),
    Exercise(
        number="7.3",
        title="Where alpha settles",
        stars=2,
        nudge="What does (7.5) say if you put the start in for alpha on its right side? Is the "
        "result alpha yet?",
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
        stars=1,
        nudge="Between which candidates did the row have to choose?",
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
    Exercise(
        number="7.5",
        title="Does one source take all?",
        stars=2,
        nudge="Which of the tasks would object most, if all weight were on source k? Does one that "
        "objects outweigh others that are content?",
        stub=stub_7_5,
        solution=solution_7_5,
        cases=cases_7_5,
        hint="Give source j the weight e and source k the rest in (4.4) of one task, and differentiate at "
        "e = 0: log((1 - e) a + e b) has the derivative (b - a) / a. Sum over the tasks at the very end.",
        mistakes=[
            Mistake(
                "transposed",
                "rows and columns are exchanged: row k is about the weights that are all on source k, "
                "in (4.4) the one that alpha starts from.",
                lambda kl: solution_7_5(kl).T,
            ),
            Mistake(
                "not taken away",
                "what source j gets is taken from source k: each task's term has a -1, and moving "
                "weight from a source to itself gains nothing, in (4.4) too.",
                not_taken_away_7_5,
            ),
            Mistake(
                "convex",
                "that is the gain by the convex bound (4.3), which is linear in alpha; so its best "
                "row is one-hot whatever the tasks are.",
                convex_7_5,
            ),
            Mistake(
                "mean first",
                "you averaged the KLs over the tasks before exp. In (4.4) each task has a logarithm of "
                "its own, and one that source j fits much better outweighs many that it fits worse.",
                mean_first_7_5,
            ),
        ],
    ),
]
