"""Exercises of chapter 4: the KL to a mixture, its bounds and their slopes, its stand-in."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_4_2(kl: Tensor, log_weights: Tensor, tau: float) -> Tensor:
    """The least value over phi of sum_k phi_k KL_k + tau KL(phi || a), for every receiver, (A,).

    Args: KL(q || p_k) and log a_k, both of shape (A, K); tau > 0.
    """
    raise NotImplementedError("your code here")


def solution_4_2(kl: Tensor, log_weights: Tensor, tau: float) -> Tensor:
    """The least value over phi of sum_k phi_k KL_k + tau KL(phi || a), for every receiver, (A,).

    Args: KL(q || p_k) and log a_k, both of shape (A, K); tau > 0.
    """
    return -tau * (log_weights - kl / tau).logsumexp(-1)


def cases_4_2() -> list[tuple[Tensor, Tensor, float]]:
    return [(*case, tau) for case, tau in zip(cases_kl(), (0.5, 2.0, 6.0), strict=True)]


def cases_kl() -> list[tuple[Tensor, Tensor]]:
    return [(3 * torch.rand(2, 3), torch.randn(2, 3).log_softmax(-1)) for _ in range(3)]


def stub_4_3(kl: Tensor, log_weights: Tensor) -> Tensor:
    """Responsibilities (4.5), shape (A, K): which source k explains receiver a."""
    raise NotImplementedError("your code here")


def solution_4_3(kl: Tensor, log_weights: Tensor) -> Tensor:
    """Responsibilities (4.5), shape (A, K): which source k explains receiver a."""
    return torch.softmax(log_weights - kl, -1)


def stub_4_4(
    w: Tensor, q: Normal, components: Normal, log_a: Tensor, log_b: Tensor
) -> tuple[Tensor, Tensor]:
    """How much larger KL(q || mixture a) is than KL(q || mixture b): estimate and standard error.

    Args: w, draws of q, (S, A); q of batch shape (A,); components (K,); log weights (A, K).

    Returns: two tensors of shape (A,).
    """
    raise NotImplementedError("your code here")


def solution_4_4(
    w: Tensor, q: Normal, components: Normal, log_a: Tensor, log_b: Tensor
) -> tuple[Tensor, Tensor]:
    """How much larger KL(q || mixture a) is than KL(q || mixture b): estimate and standard error.

    Args: w, draws of q, (S, A); q of batch shape (A,); components (K,); log weights (A, K).

    Returns: two tensors of shape (A,).
    """
    each = components.log_prob(w.unsqueeze(-1))  # (S, A, K)
    difference = (log_b + each).logsumexp(-1) - (log_a + each).logsumexp(-1)
    return difference.mean(0), difference.std(0) / len(w) ** 0.5


def cases_4_4() -> list[tuple[Tensor, Normal, Normal, Tensor, Tensor]]:
    cases = []
    for draws in (5, 6, 9):
        q = Normal(torch.randn(2), torch.rand(2) + 0.5)
        components = Normal(torch.randn(3), torch.rand(3) + 0.5)
        a, b = torch.randn(2, 2, 3).log_softmax(-1)
        cases.append((q.sample((draws,)), q, components, a, b))
    return cases


def log_mixture(w: Tensor, components: Normal, log_weights: Tensor) -> Tensor:
    """log sum_k a_k p_k(w), for the mistakes below."""
    return (log_weights + components.log_prob(w.unsqueeze(-1))).logsumexp(-1)


def _unpaired(
    w: Tensor, q: Normal, components: Normal, log_a: Tensor, log_b: Tensor
) -> tuple[Tensor, Tensor]:
    """The error as if the two estimates had draws of their own."""
    kls = torch.stack(
        [q.log_prob(w) - log_mixture(w, components, weights) for weights in (log_a, log_b)]
    )
    means = kls.mean(1)
    return means[0] - means[1], (kls.var(1).sum(0) / len(w)).sqrt()


def _mean_of_logs(
    w: Tensor, q: Normal, components: Normal, log_a: Tensor, log_b: Tensor
) -> tuple[Tensor, Tensor]:
    each = components.log_prob(w.unsqueeze(-1))
    difference = ((log_b.exp() - log_a.exp()) * each).sum(-1)
    return difference.mean(0), difference.std(0) / len(w) ** 0.5


def stub_4_6(
    mean: float, sd: float, means: Tensor, sds: Tensor, log_weights: Tensor, width: float
) -> Tensor:
    """The slope of the jensen bound (4.4) in the transfer width, for q = N(mean, sd^2).

    Sources N(means_k, sds_k^2 + width^2), log weights log a_k, all of shape (K,).
    """
    raise NotImplementedError("your code here")


def solution_4_6(
    mean: float, sd: float, means: Tensor, sds: Tensor, log_weights: Tensor, width: float
) -> Tensor:
    """The slope of the jensen bound (4.4) in the transfer width, for q = N(mean, sd^2).

    Sources N(means_k, sds_k^2 + width^2), log weights log a_k, all of shape (K,).
    """
    variance = sds**2 + width**2
    square = sd**2 + (mean - means) ** 2  # E_q (w - m_k)^2
    kl = 0.5 * (square / variance - 1 + variance.log() - 2 * math.log(sd))
    phi = (log_weights - kl).softmax(-1)
    return width * (phi * (1 / variance - square / variance**2)).sum()


def slope_in_width(
    mean: float,
    sd: float,
    means: Tensor,
    sds: Tensor,
    log_weights: Tensor,
    width: float,
    *,
    kl: float = 1.0,
    narrow: bool = False,
    added: bool = False,
) -> Tensor:
    """With the KLs in phi multiplied, phi of sources without width, or widths added to sds."""
    variance = (sds + width) ** 2 if added else sds**2 + width**2
    square = sd**2 + (mean - means) ** 2
    seen = sds**2 if narrow else variance
    phi = (log_weights - kl * 0.5 * (square / seen + seen.log())).softmax(-1)
    chain = sds + width if added else width
    return chain * (phi * (1 / variance - square / variance**2)).sum()


def cases_4_6() -> list[tuple[float, float, Tensor, Tensor, Tensor, float]]:
    return [
        (mean, sd, torch.randn(k), 0.3 + torch.rand(k), torch.randn(k).log_softmax(-1), width)
        for mean, sd, k, width in ((0.3, 0.5, 2, 0.4), (-1.0, 1.2, 3, 0.9), (0.8, 0.3, 4, 1.5))
    ]


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
        title="Between convex and jensen",
        stub=stub_4_2,
        solution=solution_4_2,
        cases=cases_4_2,
        stars=2,
        nudge="For tau = 1 the text has done it, (4.3b) to (4.4). Which step of it needs a tau?",
        hint="Divide by tau: sum_k phi_k KL_k / tau + KL(phi || a) is (4.3b) for KLs that are tau times "
        "smaller. Don't forget to multiply again.",
        mistakes=[
            Mistake(
                "convex",
                "that is sum_k a_k KL_k, the upper bound of (4.3). It is the limit as tau grows: then phi "
                "may not leave a.",
                lambda kl, log_weights, tau: (log_weights.exp() * kl).sum(-1),
            ),
            Mistake(
                "jensen",
                "that is (4.4), the case tau = 1. A tau above 1 makes it dearer for phi to leave a.",
                lambda kl, log_weights, tau: -(log_weights - kl).logsumexp(-1),
            ),
            Mistake(
                "weights tempered",
                "you divided log a by tau, too. KL(phi || a) has the factor tau, and after the division "
                "by it a stands as it was: phi is proportional to a exp(-KL / tau).",
                lambda kl, log_weights, tau: -tau * ((log_weights - kl) / tau).logsumexp(-1),
            ),
            Mistake(
                "not multiplied again",
                "that is the least value of the problem divided by tau; (4.3c) then has tau times it.",
                lambda kl, log_weights, tau: -(log_weights - kl / tau).logsumexp(-1),
            ),
            Mistake(
                "upside down",
                "your tau multiplies the KLs of (4.4). It belongs to KL(phi || a), and dividing by it "
                "makes the KLs smaller: as tau grows, the sources are told apart less.",
                lambda kl, log_weights, tau: -(log_weights - tau * kl).logsumexp(-1) / tau,
            ),
            Mistake(
                "price left out",
                "your phi is right, and you averaged the KLs with it. The price tau KL(phi || a) belongs "
                "to the value; without it nothing is bounded, (4.3b).",
                lambda kl, log_weights, tau: ((log_weights - kl / tau).softmax(-1) * kl).sum(-1),
            ),
            Mistake(
                "best source",
                "that is the smallest KL: the limit as tau goes to 0, when a costs nothing. It is no "
                "bound on (4.1), whose mixture has to share its mass.",
                lambda kl, log_weights, tau: kl.amin(-1),
            ),
            Mistake(
                "over receivers",
                "you summed over the receivers. (4.4) is one number a receiver: sum over sources, "
                "the last dimension.",
                lambda kl, log_weights, tau: -tau * (log_weights - kl / tau).logsumexp(0),
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
        title="Two KLs from the same samples",
        stub=stub_4_4,
        solution=solution_4_4,
        cases=cases_4_4,
        stars=2,
        nudge="Write both estimates (4.2) below each other and subtract, draw by draw. What goes away?",
        hint="Each draw gives one difference log p_b - log p_a, a logsumexp over K each. Its mean is the "
        "estimate, and its sd over sqrt(S) the error.",
        mistakes=[
            Mistake(
                "unpaired error",
                "that is the error of two estimates with draws of their own. These two share their draws, "
                "and log q of (4.2) cancels in every one of them: take the sd of the differences.",
                _unpaired,
            ),
            Mistake(
                "sd of a draw",
                "that is the sd of one draw's difference. The estimate (4.2) is a mean of S of them, and "
                "its standard error smaller by sqrt(S).",
                lambda w, *more: (
                    solution_4_4(w, *more)[0],
                    len(w) ** 0.5 * solution_4_4(w, *more)[1],
                ),
            ),
            Mistake(
                "other way round",
                "the sign: a KL (4.2) has minus log p, so a minus b has log p_b - log p_a.",
                lambda *a: (-solution_4_4(*a)[0], solution_4_4(*a)[1]),
            ),
            Mistake(
                "mean of logs",
                "you averaged the log densities of the components. That compares two convex bounds "
                "(4.3), not the KLs to two mixtures.",
                _mean_of_logs,
            ),
            Mistake(
                "averaged over the batch",
                "you averaged over the receivers too. (4.2) is one number a receiver; averaged over "
                "the batch, no task knows its own KL.",
                lambda *a: tuple(entry.mean() for entry in solution_4_4(*a)),
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
    Exercise(
        number="4.6",
        title="The pull on the width",
        stub=stub_4_6,
        solution=solution_4_6,
        cases=cases_4_6,
        stars=2,
        nudge="The width acts on every KL_k. And by how much does the bound change with one KL_k?",
        hint="The slope of (4.4) in KL_k is phi_k, (4.5). KL_k = (square / v - 1 + log v - log sd^2) / 2 "
        "with v = s_k^2 + width^2, whose slope in the width is 2 width.",
        mistakes=[
            Mistake(
                "alpha for phi",
                "you weighed the sources' slopes with a_k: that is the slope of the convex bound (4.3). "
                "In (4.4) a source pulls by its responsibility.",
                lambda *a: slope_in_width(*a, kl=0.0),
            ),
            Mistake(
                "by the variance",
                "that is the slope in width^2. The chain rule has the factor 2 width for the slope in "
                "the width of (2.6).",
                lambda *a: solution_4_6(*a) / (2 * a[-1]),
            ),
            Mistake(
                "phi without width",
                "your responsibilities are those of the sources as they were. (4.5) has the KLs to the "
                "sources as they stand in the mixture, widened.",
                lambda *a: slope_in_width(*a, narrow=True),
            ),
            Mistake(
                "standard deviations added",
                "your source has the sd s_k + width. Variances add, (2.6): s_k^2 + width^2.",
                lambda *a: slope_in_width(*a, added=True),
            ),
        ],
    ),
]
