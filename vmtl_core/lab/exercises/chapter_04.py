"""Exercises of chapter 4: the KL to a mixture, its bounds and its stand-in."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_4_2(kl: Tensor, log_weights: Tensor) -> Tensor:
    """The bound (4.4) from KL(q || p_k) and log a_k, both of shape (A, K); shape (A,)."""
    raise NotImplementedError("your code here")


def solution_4_2(kl: Tensor, log_weights: Tensor) -> Tensor:
    """The bound (4.4) from KL(q || p_k) and log a_k, both of shape (A, K); shape (A,)."""
    return -(log_weights - kl).logsumexp(-1)


def cases_kl() -> list[tuple[Tensor, Tensor]]:
    return [(3 * torch.rand(2, 3), torch.randn(2, 3).log_softmax(-1)) for _ in range(3)]


def stub_4_3(kl: Tensor, log_weights: Tensor) -> Tensor:
    """Responsibilities (4.5), shape (A, K): which source k explains receiver a."""
    raise NotImplementedError("your code here")


def solution_4_3(kl: Tensor, log_weights: Tensor) -> Tensor:
    """Responsibilities (4.5), shape (A, K): which source k explains receiver a."""
    return torch.softmax(log_weights - kl, -1)


def stub_4_4(w: Tensor, q: Normal, components: Normal, log_weights: Tensor) -> Tensor:
    """The estimate (4.2), shape (A,), from draws w of q, shape (S, A); log_weights is (A, K)."""
    raise NotImplementedError("your code here")


def solution_4_4(w: Tensor, q: Normal, components: Normal, log_weights: Tensor) -> Tensor:
    """The estimate (4.2), shape (A,), from draws w of q, shape (S, A); log_weights is (A, K)."""
    log_p = (log_weights + components.log_prob(w.unsqueeze(-1))).logsumexp(-1)
    return (q.log_prob(w) - log_p).mean(0)


def cases_4_4() -> list[tuple[Tensor, Normal, Normal, Tensor]]:
    cases = []
    for _ in range(3):
        q = Normal(torch.randn(2), torch.rand(2) + 0.5)
        components = Normal(torch.randn(3), torch.rand(3) + 0.5)
        cases.append((q.sample((5,)), q, components, torch.randn(2, 3).log_softmax(-1)))
    return cases


def log_mixture(w: Tensor, components: Normal, log_weights: Tensor) -> Tensor:
    """log sum_k a_k p_k(w), for the mistakes below."""
    return (log_weights + components.log_prob(w.unsqueeze(-1))).logsumexp(-1)


EXERCISES = [
    Exercise(
        number="4.1",
        title="Predict a KL to a mixture",
        solution=math.log(2),
        tolerance=5e-3,
        nudge="Where does q have its mass, and what does the mixture look like there?",
        hint="Where q has its mass, the far component's density is as good as zero. What is left of "
        "log(a_1 p_1(w) + a_2 p_2(w)) there, when p_2 = q?",
        mistakes=[
            Mistake(
                "component",
                "that is the KL to the component that q equals. Half of the mixture's mass lies "
                "elsewhere, and (4.1) charges for it.",
                0.0,
            ),
            Mistake(
                "convex",
                "that is sum_k a_k KL_k, the upper bound of (4.3), not the KL to the mixture.",
                25.0,
            ),
            Mistake(
                "weighted sum",
                "that is the KL to the law of the weighted sum (4.7), a single Gaussian at 0. The "
                "mixture has no mass there.",
                0.5 * (2 + 50 - 1 - math.log(2)),
            ),
            Mistake(
                "far component",
                "that is the KL to the other component. Where q has its mass, the mixture (4.1) is "
                "as good as made of the near one alone.",
                50.0,
            ),
            Mistake("bits", "that is the KL in bits, log2(2). In nats it is log(2).", 1.0),
            Mistake("sign", "that is log a_2. A KL, here (4.1), is never negative.", -math.log(2)),
        ],
    ),
    Exercise(
        number="4.2",
        title="The jensen bound",
        stub=stub_4_2,
        solution=solution_4_2,
        cases=cases_kl,
        hint="Put log a_k and -KL_k into one logsumexp over the sources. Mind the sign in front.",
        mistakes=[
            Mistake(
                "convex",
                "that is sum_k a_k KL_k, the upper bound of (4.3). It is never below (4.4).",
                lambda kl, log_weights: (log_weights.exp() * kl).sum(-1),
            ),
            Mistake(
                "equal weights",
                "you left the weights out and gave every source the same. (4.4) weighs exp(-KL_k) "
                "by a_k.",
                lambda kl, log_weights: -(-kl).logsumexp(-1) + math.log(kl.shape[-1]),
            ),
            Mistake(
                "sign",
                "the sign is missing: (4.4) is minus the logarithm of the sum.",
                lambda kl, log_weights: (log_weights - kl).logsumexp(-1),
            ),
            Mistake(
                "weighted log",
                "you weighted KL_k - log a_k by a_k. That adds the entropy of the weights to (4.3) "
                "and is looser still than the convex bound.",
                lambda kl, log_weights: (log_weights.exp() * (kl - log_weights)).sum(-1),
            ),
            Mistake(
                "best source",
                "that is the smallest of KL_k - log a_k. (4.4) is a soft minimum, and smaller.",
                lambda kl, log_weights: (kl - log_weights).amin(-1),
            ),
            Mistake(
                "over receivers",
                "you summed over the receivers. (4.4) is one number a receiver: sum over sources, "
                "the last dimension.",
                lambda kl, log_weights: -(log_weights - kl).logsumexp(0),
            ),
        ],
    ),
    Exercise(
        number="4.3",
        title="Responsibilities",
        stub=stub_4_3,
        solution=solution_4_3,
        cases=cases_kl,
        nudge="What should it say if all sources are equally far? And what if one is very far?",
        hint="Each row is proportional to a_k exp(-KL_k) and sums to 1: one softmax over the sources.",
        mistakes=[
            Mistake(
                "weights left out",
                "that is softmax(-KL), as if all mixing weights were equal. (4.5) has a_k in it.",
                lambda kl, log_weights: torch.softmax(-kl, -1),
            ),
            Mistake(
                "the weights",
                "those are the mixing weights a_k: what was believed before looking at the KL of "
                "q from each source. (4.5) multiplies them by exp(-KL_k).",
                lambda kl, log_weights: log_weights.exp(),
            ),
            Mistake(
                "sign",
                "the sign of the KL is wrong: a source far from q would be the most responsible. "
                "See (4.5).",
                lambda kl, log_weights: torch.softmax(log_weights + kl, -1),
            ),
            Mistake(
                "over receivers",
                "your columns sum to 1. In (4.5) rows do: sources compete for a receiver, receivers "
                "do not compete for a source.",
                lambda kl, log_weights: torch.softmax(log_weights - kl, 0),
            ),
            Mistake(
                "not normalised",
                "those are a_k exp(-KL_k). (4.5) divides by their sum.",
                lambda kl, log_weights: (log_weights - kl).exp(),
            ),
        ],
    ),
    Exercise(
        number="4.4",
        title="The KL from samples",
        stub=stub_4_4,
        solution=solution_4_4,
        cases=cases_4_4,
        hint="`components.log_prob(w.unsqueeze(-1))` has shape (S, A, K). Add log a_k, logsumexp over "
        "K, subtract from log q, and average over the draws only.",
        mistakes=[
            Mistake(
                "averaged over the batch",
                "you averaged over the receivers too. (4.2) is one number a receiver; averaged over "
                "the batch, no task knows its own KL.",
                lambda w, q, components, log_weights: (
                    q.log_prob(w) - log_mixture(w, components, log_weights)
                ).mean(),
            ),
            Mistake(
                "mean of logs",
                "you averaged the log densities of the components. That estimates sum_k a_k KL_k, "
                "the upper bound of (4.3), not the KL to the mixture.",
                lambda w, q, components, log_weights: (
                    q.log_prob(w) - (log_weights.exp() * components.log_prob(w[..., None])).sum(-1)
                ).mean(0),
            ),
            Mistake(
                "weights left out",
                "you added up the densities without the weights. (4.2) adds log a_k to log p_k "
                "before the logsumexp.",
                lambda w, q, components, log_weights: (
                    q.log_prob(w) - components.log_prob(w[..., None]).logsumexp(-1)
                ).mean(0),
            ),
            Mistake(
                "summed over the draws",
                "you summed over the draws. (4.2) is their mean: the sum grows with S.",
                lambda w, q, components, log_weights: (
                    q.log_prob(w) - log_mixture(w, components, log_weights)
                ).sum(0),
            ),
            Mistake(
                "log q left out",
                "log q(w) is missing. Without it you have the cross entropy; KL is cross entropy minus "
                "entropy, and the mean of log q(w) in (4.2) is minus the entropy.",
                lambda w, q, components, log_weights: (
                    -log_mixture(w, components, log_weights).mean(0)
                ),
            ),
            Mistake(
                "sign",
                "the sign is wrong: (4.2) averages log q - log p, not log p - log q.",
                lambda w, q, components, log_weights: (
                    log_mixture(w, components, log_weights) - q.log_prob(w)
                ).mean(0),
            ),
        ],
    ),
    Exercise(
        number="4.5",
        title="Which curve is which",
        solution="c",
        nudge="Move d in your head: what happens to each method's number, and which can't notice?",
        hint="A bound never crosses the exact curve. Which one does?",
        mistakes=[
            Mistake(
                "convex",
                "curve A is the convex bound (4.3): never below jensen or the exact KL.",
                "a",
            ),
            Mistake(
                "jensen",
                "curve B is the jensen bound (4.4): the closer of the two upper bounds.",
                "b",
            ),
            Mistake(
                "lower bound",
                "curve D never rises above the exact KL: it is the lower bound (4.6).",
                "d",
            ),
        ],
    ),
]
