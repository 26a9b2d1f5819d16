"""Exercises of chapter 1."""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_1_1(
    y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor, noise: Tensor, prior_sd: float
) -> Tensor:
    """The ELBO (1.3) of q(w) = N(mean, covariance), prior N(0, prior_sd^2 I).

    Row n has a noise of its own: y_n ~ N(design_n w, noise_n^2), noise of shape (N,).
    """
    raise NotImplementedError("your code here")


def solution_1_1(
    y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor, noise: Tensor, prior_sd: float
) -> Tensor:
    """The ELBO (1.3) of q(w) = N(mean, covariance), prior N(0, prior_sd^2 I).

    Row n has a noise of its own: y_n ~ N(design_n w, noise_n^2), noise of shape (N,).
    """
    doubt = (design @ covariance * design).sum(-1)
    fit = (Normal(design @ mean, noise).log_prob(y) - 0.5 * doubt / noise**2).sum()
    m, s = mean / prior_sd, covariance / prior_sd**2  # in units of the prior
    return fit - 0.5 * (s.trace() + m @ m - len(m) - torch.logdet(s))


def _elbo(
    y: Tensor,
    design: Tensor,
    mean: Tensor,
    covariance: Tensor,
    noise: Tensor,
    prior_sd: float,
    *,
    spread: float = 1.0,
    kl: float = 1.0,
    reverse: bool = False,
) -> Tensor:
    """The ELBO with the spread term and the KL multiplied; `reverse` takes KL(p || q)."""
    extra = spread * ((design @ covariance * design).sum(-1) / noise**2).sum()
    fit = Normal(design @ mean, noise).log_prob(y).sum() - 0.5 * extra
    m, s = mean / prior_sd, covariance / prior_sd**2
    trace = s.trace() + m @ m - len(m) - torch.logdet(s)
    if reverse:
        precision = torch.linalg.inv(s)
        trace = precision.trace() + m @ precision @ m - len(m) + torch.logdet(s)
    return fit - kl * 0.5 * trace


def _kl_terms(mean: Tensor, covariance: Tensor) -> dict[str, Tensor]:
    """Minus the KL to N(0, I), in parts."""
    return {
        "the KL: trace of the covariance": -0.5 * covariance.trace(),
        "the KL: square of the mean": -0.5 * mean @ mean,
        "the KL: number of weights": torch.tensor(0.5 * len(mean)),
        "the KL: log determinant": 0.5 * torch.logdet(covariance),
    }


def terms_1_1(
    y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor, noise: Tensor, prior_sd: float
) -> dict[str, Tensor]:
    """The parts of (1.3)."""
    normal = Normal(torch.zeros(()), noise)
    constant = normal.log_prob(torch.zeros(())).sum()
    m, s = mean / prior_sd, covariance / prior_sd**2
    return {
        "the squared residual": Normal(design @ mean, noise).log_prob(y).sum() - constant,
        "the normaliser of the likelihood": constant,
        "the spread of q": -0.5 * ((design @ covariance * design).sum(-1) / noise**2).sum(),
        **_kl_terms(m, s),
    }


def _regression(rows: int, columns: int = 2) -> tuple[Tensor, Tensor]:
    """Design (rows, columns) and targets (rows,)."""
    design = torch.randn(rows, columns)
    return design, design.sum(1) + torch.randn(rows)


def _covariance(columns: int = 2) -> Tensor:
    factor = torch.randn(columns, columns)
    return factor @ factor.T + 0.3 * torch.eye(columns)


def cases_1_1() -> list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float]]:
    cases = []
    for rows, columns, prior_sd in ((4, 2, 0.5), (6, 3, 1.7), (3, 1, 0.8)):
        design, y = _regression(rows, columns)
        noise = 0.4 + torch.rand(rows)
        cases.append((y, design, torch.randn(columns), _covariance(columns), noise, prior_sd))
    return cases


def stub_1_3(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The noise variance after the M-step (1.6), for q(w) = N(mean, covariance)."""
    raise NotImplementedError("your code here")


def solution_1_3(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The noise variance after the M-step (1.6), for q(w) = N(mean, covariance)."""
    residual = y - design @ mean
    spread = (design @ covariance * design).sum()
    return (residual.square().sum() + spread) / len(y)


def terms_1_3(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor) -> dict[str, Tensor]:
    """The parts of (1.6)."""
    return {
        "the squared residual": (y - design @ mean).square().mean(),
        "the spread of q": (design @ covariance * design).sum() / len(y),
    }


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


def stub_1_6(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The ELBO (1.3) of q(w) = N(mean, covariance) for counts, with the prior N(0, I).

    Row n of the design is x_n: y_n ~ Poisson(exp(x_n'w)).
    Args: y (N,), whole numbers; design (N, D); mean (D,); covariance (D, D).
    """
    raise NotImplementedError("your code here")


def solution_1_6(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The ELBO (1.3) of q(w) = N(mean, covariance) for counts, with the prior N(0, I).

    Row n of the design is x_n: y_n ~ Poisson(exp(x_n'w)).
    Args: y (N,), whole numbers; design (N, D); mean (D,); covariance (D, D).
    """
    predictor = design @ mean
    rate = (predictor + 0.5 * (design @ covariance * design).sum(-1)).exp()  # E exp(x'w)
    fit = (y * predictor - rate - torch.lgamma(y + 1)).sum()
    return fit - 0.5 * (covariance.trace() + mean @ mean - len(mean) - torch.logdet(covariance))


def terms_1_6(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor) -> dict[str, Tensor]:
    """The parts of the bound for counts."""
    predictor, spread = design @ mean, (design @ covariance * design).sum(-1)
    return {
        "y times x'm": (y * predictor).sum(),
        "the mean rate": -(predictor + 0.5 * spread).exp().sum(),
        "log y!": -torch.lgamma(y + 1).sum(),
        **_kl_terms(mean, covariance),
    }


def _count_bound(
    y: Tensor,
    design: Tensor,
    mean: Tensor,
    covariance: Tensor,
    *,
    half: float = 0.5,
    tilt: float = 0.0,
) -> Tensor:
    """The bound with another factor of x'Sx in the rate; `tilt` adds x'Sx to the predictor of y."""
    spread = (design @ covariance * design).sum(-1)
    right = solution_1_6(y, design, mean, covariance)
    rates = [(design @ mean + factor * spread).exp() for factor in (0.5, half)]
    return right + (rates[0] - rates[1] + tilt * y * spread).sum()


def _counts(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Design (rows, columns) and counts (rows,)."""
    design = torch.randn(rows, columns)
    return design, torch.poisson((0.6 * design.sum(1)).exp() + 1)


def cases_1_6() -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    cases = []
    for rows, columns in ((5, 2), (8, 3)):
        design, y = _counts(rows, columns)
        cases.append((y, design, 0.5 * torch.randn(columns), 0.3 * _covariance(columns)))
    return cases


def stub_1_7(y: Tensor, design: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) of the Gaussian q at the top of exercise 1.6's bound.

    Args: y (N,), whole numbers; design (N, D).
    """
    raise NotImplementedError("your code here")


def solution_1_7(y: Tensor, design: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) of the Gaussian q at the top of exercise 1.6's bound.

    Args: y (N,), whole numbers; design (N, D).
    """
    eye = torch.eye(design.shape[1])
    mean, precision = torch.zeros(len(eye)), eye + design.T @ design
    for _ in range(40):
        covariance = torch.linalg.inv(precision)
        rate = (design @ mean + 0.5 * (design @ covariance * design).sum(-1)).exp()
        mean = mean + 0.7 * covariance @ (design.T @ (y - rate) - mean)
        precision = 0.3 * precision + 0.7 * (eye + design.T @ (rate[:, None] * design))
    return mean, torch.linalg.inv(precision)


def _top_of_counts(
    y: Tensor,
    design: Tensor,
    *,
    prior: float = 1.0,
    spread: float = 0.5,
    diagonal: bool = False,
) -> tuple[Tensor, Tensor]:
    """The climb with another prior precision or rate; `diagonal` keeps the best diagonal q."""
    eye = prior * torch.eye(design.shape[1])
    mean, precision = torch.zeros(len(eye)), eye + design.T @ design
    for _ in range(60):
        covariance = torch.linalg.inv(precision)
        rate = (design @ mean + spread * (design @ covariance * design).sum(-1)).exp()
        mean = mean + 0.5 * covariance @ (design.T @ (y - rate) - prior * mean)
        wanted = eye + design.T @ (rate[:, None] * design)
        precision = 0.5 * precision + 0.5 * (wanted.diagonal().diag() if diagonal else wanted)
    return mean, torch.linalg.inv(precision)


def cases_1_7() -> list[tuple[Tensor, Tensor]]:
    cases = []
    for rows, columns in ((6, 2), (10, 3)):
        design, y = _counts(rows, columns)
        cases.append((y, design))
    return cases


EXERCISES = [
    Exercise(
        number="1.1",
        title="The bound of any Gaussian",
        stub=stub_1_1,
        solution=solution_1_1,
        cases=cases_1_1,
        terms=terms_1_1,
        stars=2,
        nudge="Which parts of the school's ELBO know the noise, and which know the prior? And is there "
        "a unit of the rows, and one of the weights, in which the old function would do?",
        hint="E (y_n - x_n'w)^2 = (y_n - x_n'm)^2 + x_n'S x_n, over noise_n^2. In the KL every weight "
        "counts in units of prior_sd: m / prior_sd, S / prior_sd^2.",
        mistakes=[
            Mistake(
                "plug-in mean",
                "that is the log likelihood at the mean of q. The expectation in (1.3) adds "
                "-x'Sx / 2σ² for every example, with that example's σ: doubt about w costs fit.",
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
            Mistake(
                "predicted rows",
                "that is the log density of each row's prediction, with the variances of noise and doubt "
                "added. The ELBO (1.3) has the mean of the log likelihood over q, not the log of a mean.",
                lambda y, x, m, c, s, prior_sd: (
                    Normal(x @ m, (s**2 + (x @ c * x).sum(-1)).sqrt()).log_prob(y).sum()
                    + sum(t for k, t in terms_1_1(y, x, m, c, s, prior_sd).items() if "KL" in k)
                ),
            ),
            Mistake(
                "standard prior",
                "your KL is to N(0, I). The prior of (1.3) is N(0, prior_sd² I) here: a wide one asks "
                "little for a large weight, a narrow one much.",
                lambda y, x, m, c, s, prior_sd: (
                    solution_1_1(y, x, m, c, s, prior_sd)
                    + (_elbo(y, x, m, c, s, 1.0) - _elbo(y, x, m, c, s, prior_sd))
                ),
            ),
            Mistake(
                "rows scaled, density not",
                "you divided rows and targets by their noise, which is a good idea, and forgot what it "
                "does to a density: log p(y) of (1.2) loses Σ log noise_n on the way.",
                lambda y, x, m, c, s, prior_sd: (
                    solution_1_1(y, x, m, c, s, prior_sd) + s.log().sum()
                ),
            ),
            Mistake(
                "one noise for all",
                "you took the mean of the noise for every row. The likelihood (1.1) of a row has its "
                "own: a precise row must count for more than a noisy one.",
                lambda y, x, m, c, s, prior_sd: solution_1_1(
                    y, x, m, c, s.mean().expand(s.shape), prior_sd
                ),
            ),
        ],
    ),
    Exercise(
        number="1.2",
        title="After the M-step",
        solution="b",
        nudge="Three things could have moved: q, the bound, the evidence. Which did the M-step "
        "move?",
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
        terms=terms_1_3,
        nudge="What is random in y - x'w, if w is drawn from q? Write the square out before "
        "you average.",
        hint="(1.6) is the average over examples of E_q (y - x'w)^2: squared residual plus x'Sx.",
        mistakes=[
            Mistake(
                "residuals only",
                "that is the squared residual at the mean of q. (1.6) asks for its expectation "
                "under q, which adds tr(X'XS): without it the noise comes out too small.",
                lambda y, x, m, s: (y - x @ m).square().sum() / len(y),
            ),
            Mistake(
                "trace of S",
                "you added tr(S). The spread of q in (1.6) is that of the predictions, x'Sx of every "
                "example: it depends on where the inputs lie.",
                lambda y, x, m, s: ((y - x @ m).square().sum() + s.trace()) / len(y),
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
        nudge="Two factors, one a draw: which of them knows about the mean of q, and which "
        "doesn't?",
        hint="The gradient of log N(w | mean, scale^2) in the mean is (w - mean) / scale^2.",
        mistakes=[
            Mistake(
                "scale not squared",
                "the score of a Gaussian divides by its variance; (w - mean) / scale is the "
                "standardised draw, not the gradient of log q in (1.7).",
                lambda f, w, m, s: (f * (w - m) / s).mean(),
            ),
            Mistake(
                "log q for its gradient",
                "you weighted f with log q(w). The score of (1.7) is the gradient of log q in the mean.",
                lambda f, w, m, s: (f * Normal(m, s).log_prob(w)).mean(),
            ),
            Mistake(
                "gradient of q",
                "you weighted f with the gradient of q, not of log q. The draws come from q already: the "
                "mean over them is an expectation, and (1.7) has divided by q.",
                lambda f, w, m, s: (f * Normal(m, s).log_prob(w).exp() * (w - m) / s**2).mean(),
            ),
            Mistake(
                "gradient in the scale",
                "that is the gradient of the ELBO in the scale of q. (1.7) is asked for in its mean.",
                lambda f, w, m, s: (f * ((w - m) ** 2 / s**3 - 1 / s)).mean(),
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
        nudge="Draw the tilted ellipse, and the largest upright one that stays inside. What "
        "limits it?",
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
    Exercise(
        number="1.6",
        title="Counts: the bound",
        stub=stub_1_6,
        solution=solution_1_6,
        cases=cases_1_6,
        terms=terms_1_6,
        stars=2,
        nudge="Write log p(y | w) of one count. Which of its terms are linear in w, and which isn't?",
        hint="x'w is Gaussian under q, so exp(x'w) is log-normal: E exp(x'w) = exp(x'm + x'Sx / 2).",
        mistakes=[
            Mistake(
                "rate at the mean",
                "that is the log likelihood at the mean of q. exp is convex, so E exp(x'w) is above "
                "exp(x'm); with the smaller rate the value can exceed the evidence, and (1.3) is gone.",
                lambda *a: _count_bound(*a, half=0.0),
            ),
            Mistake(
                "variance not halved",
                "the mean of a log-normal variable is exp of the mean plus HALF the variance; in the "
                "mean rate of (1.3) you took all of it.",
                lambda *a: _count_bound(*a, half=1.0),
            ),
            Mistake(
                "variance subtracted",
                "your rate falls as q gets wider. Doubt about w makes the mean of exp(x'w) larger: some "
                "draws have a very large rate.",
                lambda *a: _count_bound(*a, half=-0.5),
            ),
            Mistake(
                "log of the mean rate",
                "you put log E exp(x'w) beside y. The expectation in (1.3) is of the logarithm, and "
                "E log exp(x'w) is x'm; only the rate itself feels the variance.",
                lambda *a: _count_bound(*a, tilt=0.5),
            ),
            Mistake(
                "no KL",
                "that is the expected log likelihood alone; (1.3) subtracts KL(q || prior).",
                lambda y, x, m, c: (
                    solution_1_6(y, x, m, c) + 0.5 * (c.trace() + m @ m - len(m) - torch.logdet(c))
                ),
            ),
        ],
    ),
    Exercise(
        number="1.7",
        title="Counts: the climb",
        stub=stub_1_7,
        solution=solution_1_7,
        cases=cases_1_7,
        tolerance=1e-4,
        stars=3,
        nudge="At the top two derivatives are zero, one in the mean and one in the covariance. Which of "
        "your terms do they touch? Then: how did chapter 1 climb where there was no formula?",
        hint="With r_n the mean rate: X'(y - r) - m = 0 and S^-1 = I + Σ r_n x_n x_n'. Let the two take "
        "turns, each moved only part of the way; or let torch.optim.LBFGS climb 1.6.",
        mistakes=[
            Mistake(
                "Laplace",
                "that is the mode of the posterior, with the curvature there (Laplace's method). At the "
                "top of the ELBO the rate is averaged over q: exp(x'm + x'Sx / 2), not exp(x'm).",
                lambda y, x: _top_of_counts(y, x, spread=0.0),
            ),
            Mistake(
                "no prior",
                "the prior is missing: the KL of (1.3) adds I to the precision and draws the mean to "
                "zero.",
                lambda y, x: _top_of_counts(y, x, prior=1e-9),
            ),
            Mistake(
                "diagonal",
                "that is the best diagonal q, with variances 1 / Λ_dd. A full covariance was asked for, "
                "and by (1.4) its gap is smaller.",
                lambda y, x: _top_of_counts(y, x, diagonal=True),
            ),
        ],
    ),
]
