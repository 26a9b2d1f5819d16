"""Exercises of chapter 1."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_1_1(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor, noise: float) -> Tensor:
    """The ELBO (1.3) of q(w) = N(mean, covariance), prior N(0, I), y ~ N(design w, noise^2)."""
    raise NotImplementedError("your code here")


def solution_1_1(
    y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor, noise: float
) -> Tensor:
    """The ELBO (1.3) of q(w) = N(mean, covariance), prior N(0, I), y ~ N(design w, noise^2)."""
    spread = (design @ covariance * design).sum()
    fit = Normal(design @ mean, noise).log_prob(y).sum() - 0.5 * spread / noise**2
    trace = covariance.trace() + mean @ mean - len(mean)
    return fit - 0.5 * (trace - torch.logdet(covariance))


def _elbo(
    y: Tensor,
    design: Tensor,
    mean: Tensor,
    covariance: Tensor,
    noise: float,
    *,
    spread: float = 1.0,
    kl: float = 1.0,
    reverse: bool = False,
) -> Tensor:
    """The ELBO with the spread term and the KL multiplied; `reverse` takes KL(p || q)."""
    extra = spread * (design @ covariance * design).sum()
    fit = Normal(design @ mean, noise).log_prob(y).sum() - 0.5 * extra / noise**2
    trace = covariance.trace() + mean @ mean - len(mean) - torch.logdet(covariance)
    if reverse:
        precision = torch.linalg.inv(covariance)
        trace = precision.trace() + mean @ precision @ mean - len(mean) + torch.logdet(covariance)
    return fit - kl * 0.5 * trace


def terms_1_1(
    y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor, noise: float
) -> dict[str, Tensor]:
    """The parts of (1.3)."""
    normal = Normal(torch.zeros(()), noise)
    constant = normal.log_prob(torch.zeros(())) * len(y)
    kl = covariance.trace() + mean @ mean - len(mean) - torch.logdet(covariance)
    return {
        "the squared residual": Normal(design @ mean, noise).log_prob(y).sum() - constant,
        "the normaliser of the likelihood": constant,
        "the spread of q": -0.5 * (design @ covariance * design).sum() / noise**2,
        "the KL": -0.5 * kl,
    }


def _regression(rows: int, columns: int = 2) -> tuple[Tensor, Tensor]:
    """Design (rows, columns) and targets (rows,)."""
    design = torch.randn(rows, columns)
    return design, design.sum(1) + torch.randn(rows)


def _covariance(columns: int = 2) -> Tensor:
    factor = torch.randn(columns, columns)
    return factor @ factor.T + 0.3 * torch.eye(columns)


def cases_1_1() -> list[tuple[Tensor, Tensor, Tensor, Tensor, float]]:
    cases = []
    for rows, columns, noise in ((4, 2, 0.5), (6, 3, 1.3), (3, 1, 0.8)):
        design, y = _regression(rows, columns)
        cases.append((y, design, torch.randn(columns), _covariance(columns), noise))
    return cases


def stub_1_3(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The noise variance after the M-step (1.6), for q(w) = N(mean, covariance)."""
    raise NotImplementedError("your code here")


def solution_1_3(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The noise variance after the M-step (1.6), for q(w) = N(mean, covariance)."""
    residual = y - design @ mean
    spread = (design @ covariance * design).sum()
    return (residual.square().sum() + spread) / len(y)


def cases_1_3() -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    cases = []
    for rows, columns in ((5, 2), (8, 3)):
        design, y = _regression(rows, columns)
        cases.append((y, design, torch.randn(columns), _covariance(columns)))
    return cases


def stub_1_4(values: Tensor, draws: Tensor, mean: float, scale: float) -> Tensor:
    """Score-function gradient (1.7) in the mean of q = N(mean, scale^2).

    Args: f(w) at every draw and the draws themselves, both of shape (S,).
    """
    raise NotImplementedError("your code here")


def solution_1_4(values: Tensor, draws: Tensor, mean: float, scale: float) -> Tensor:
    """Score-function gradient (1.7) in the mean of q = N(mean, scale^2).

    Args: f(w) at every draw and the draws themselves, both of shape (S,).
    """
    score = (draws - mean) / scale**2
    return (values * score).mean()


def cases_1_4() -> list[tuple[Tensor, Tensor, float, float]]:
    cases = []
    for mean, scale in ((0.5, 0.4), (-1.0, 1.7)):
        draws = mean + scale * torch.randn(20)
        cases.append((draws.square() + 1.0, draws, mean, scale))
    return cases


EXERCISES = [
    Exercise(
        number="1.1",
        title="The bound of any Gaussian",
        stub=stub_1_1,
        solution=solution_1_1,
        cases=cases_1_1,
        terms=terms_1_1,
        hint="E (y - x'w)^2 = (y - x'mean)^2 + x' covariance x; then subtract KL(q || N(0, I)).",
        mistakes=[
            Mistake(
                "plug-in mean",
                "that is the log likelihood at the mean of q. The expectation in (1.3) adds "
                "-x'Sx / 2σ² for every example: doubt about w costs fit.",
                lambda *a: _elbo(*a, spread=0.0),
            ),
            Mistake(
                "sign of the KL",
                "the KL of (1.3) is a cost, to be subtracted; added, it can lift the value above the "
                "evidence, and then it bounds nothing.",
                lambda *a: _elbo(*a, kl=-1.0),
            ),
            Mistake(
                "KL the wrong way round",
                "that is KL(p || q). The expectation in (1.3) is under q, so it is KL(q || p).",
                lambda *a: _elbo(*a, reverse=True),
            ),
            Mistake(
                "no KL",
                "that is the expected log likelihood alone; (1.3) subtracts KL(q || prior).",
                lambda *a: _elbo(*a, kl=0.0),
            ),
            Mistake(
                "one KL an example",
                "you subtract KL(q || prior) once for every example; in (1.3) w is shared by all "
                "examples and pays once.",
                lambda *a: _elbo(*a, kl=float(len(a[0]))),
            ),
        ],
    ),
    Exercise(
        number="1.2",
        title="After the M-step",
        solution="b",
        hint="By (1.4) the gap is KL(q || posterior). Which of these two did the M-step change?",
        mistakes=[
            Mistake(
                "a",
                "the gap is KL(q || posterior) of (1.4). The E-step made it 0 for the old σ; the "
                "M-step changed σ, hence the posterior, and q stayed behind.",
                "a",
            ),
            Mistake(
                "c",
                "the gap is a KL, never negative: by (1.4) no q lifts the ELBO above the evidence.",
                "c",
            ),
            Mistake(
                "d",
                "the evidence does move: it is a function of σ (1.2), and the M-step changed σ.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="1.3",
        title="The M-step of the noise",
        stub=stub_1_3,
        solution=solution_1_3,
        cases=cases_1_3,
        hint="(1.6) is the average over examples of E_q (y - x'w)^2: squared residual plus x'Sx.",
        mistakes=[
            Mistake(
                "residuals only",
                "that is the squared residual at the mean of q. (1.6) asks for its expectation "
                "under q, which adds tr(X'XS): without it the noise comes out too small.",
                lambda y, x, m, s: (y - x @ m).square().sum() / len(y),
            ),
            Mistake(
                "degrees of freedom",
                "dividing by N - D is the correction of a least-squares fit. In (1.6) the spread "
                "of q does that work; divide by N.",
                lambda y, x, m, s: (y - x @ m).square().sum() / (len(y) - len(m)),
            ),
            Mistake(
                "not averaged",
                "that is the sum over examples; the variance (1.6) is their mean.",
                lambda y, x, m, s: len(y) * solution_1_3(y, x, m, s),
            ),
            Mistake(
                "standard deviation",
                "that is σ; the variance σ² of (1.6) was asked for.",
                lambda y, x, m, s: solution_1_3(y, x, m, s).sqrt(),
            ),
        ],
    ),
    Exercise(
        number="1.4",
        title="The score-function gradient",
        stub=stub_1_4,
        solution=solution_1_4,
        cases=cases_1_4,
        hint="The gradient of log N(w | mean, scale^2) in the mean is (w - mean) / scale^2.",
        mistakes=[
            Mistake(
                "scale not squared",
                "the score of a Gaussian divides by its variance; (w - mean) / scale is the "
                "standardised draw, not the gradient of log q in (1.7).",
                lambda f, w, m, s: (f * (w - m) / s).mean(),
            ),
            Mistake(
                "score alone",
                "that is the mean of the score, whose expectation is 0; (1.7) weights every score "
                "by f.",
                lambda f, w, m, s: ((w - m) / s**2).mean(),
            ),
            Mistake(
                "sign",
                "the sign: log q holds -(w - mean)² / 2 scale², whose gradient in the mean, the "
                "score of (1.7), is +(w - mean) / scale².",
                lambda f, w, m, s: (f * (m - w) / s**2).mean(),
            ),
            Mistake(
                "sum of draws",
                "that is the sum over draws; (1.7) is an expectation, so take the mean.",
                lambda f, w, m, s: (f * (w - m) / s**2).sum(),
            ),
            Mistake(
                "mean of the others subtracted",
                "you subtract the mean of f over the other draws. That is unbiased too, and as a "
                "rule less noisy, but the bare (1.7) was asked for.",
                lambda f, w, m, s: ((f - (f.sum() - f) / (len(f) - 1)) * (w - m) / s**2).mean(),
            ),
            Mistake(
                "mean of all subtracted",
                "you subtract the mean of f over all draws. It contains the draw itself, so the "
                "estimate is (1 - 1/S) times (1.7) in expectation; the bare (1.7) was asked for.",
                lambda f, w, m, s: ((f - f.mean()) * (w - m) / s**2).mean(),
            ),
        ],
    ),
    Exercise(
        number="1.5",
        title="How narrow is too narrow?",
        solution=0.6,
        tolerance=0.005,
        hint="The variance of one coordinate given the other is (1 - ρ²) times its own variance.",
        mistakes=[
            Mistake(
                "marginal",
                "that is the posterior's own standard deviation. The q that minimises KL(q || p) "
                "has the precision's diagonal, 1 / Λ_dd: the variance of a coordinate with the "
                "other one held fixed.",
                1.0,
            ),
            Mistake(
                "variance",
                "0.36 = 1 - ρ² is the variance of q; its standard deviation was asked for.",
                0.36,
            ),
            Mistake(
                "correlation",
                "0.8 is the correlation itself; the variance given the other coordinate is 1 - ρ².",
                0.8,
            ),
            Mistake(
                "one minus correlation",
                "the variance that is left is 1 - ρ², not 1 - ρ, and its root is asked for.",
                math.sqrt(0.2),
            ),
            Mistake(
                "one minus correlation, no root",
                "the variance that is left is 1 - ρ², not 1 - ρ, and the standard deviation is its "
                "root.",
                0.2,
            ),
        ],
    ),
]
