"""Wrong answers of the kind that students give, none of them on an exercise's own list.

Each is the number of the exercise, the answer and a part of the name that it should get; None where
nothing can be said but where it differs.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from tests.book.student_answers_06_12 import LATER

Answers = list[tuple[str, Any, str | None]]


def elbo_by_sampling(y: Tensor, design: Tensor, mean: Tensor, cov: Tensor, noise: float) -> Tensor:
    """Right on average."""
    q = torch.distributions.MultivariateNormal(mean, cov)
    p = torch.distributions.MultivariateNormal(torch.zeros_like(mean), torch.eye(len(mean)))
    w = q.sample((2000,))
    fit = Normal(w @ design.T, noise).log_prob(y).sum(-1).mean()
    return fit - kl_divergence(q, p)


def elbo(y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor, noise: float) -> Tensor:
    spread = (design @ covariance * design).sum()
    fit = Normal(design @ mean, noise).log_prob(y).sum() - 0.5 * spread / noise**2
    trace = covariance.trace() + mean @ mean - len(mean)
    return fit - 0.5 * (trace - torch.logdet(covariance))


def without_half(y: Tensor, design: Tensor, mean: Tensor, cov: Tensor, noise: float) -> Tensor:
    trace = cov.trace() + mean @ mean - len(mean)
    return elbo(y, design, mean, cov, noise) - 0.5 * (trace - torch.logdet(cov))


def without_constant(y: Tensor, design: Tensor, mean: Tensor, cov: Tensor, noise: float) -> Tensor:
    return elbo(y, design, mean, cov, noise) + len(y) * 0.5 * math.log(2 * math.pi)


def own_included(w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor) -> Tensor:
    """The density, not its logarithm."""
    row = logits[t].clone()
    row[t] = -math.inf
    each = Normal(means, scales).log_prob(w).sum(-1)
    return (row.softmax(-1) * each.exp()).sum(-1)


def mixture_of_variances(
    w: Tensor, t: int, means: Tensor, scales: Tensor, logits: Tensor
) -> Tensor:
    row = logits[t].clone()
    row[t] = -math.inf
    each = Normal(means, scales**2).log_prob(w).sum(-1)
    return (row.log_softmax(-1) + each).logsumexp(-1)


def gumbel_by_torch(log_pi: Tensor, u: Tensor, tau: float) -> Tensor:
    """Draws anew in place of using u."""
    gumbel = -(-torch.rand(u.shape).log()).log()
    return torch.softmax((log_pi + gumbel) / tau, -1)


def log_weights_out(log_pi: Tensor, u: Tensor, tau: float) -> Tensor:
    return torch.log_softmax((log_pi - (-u.log()).log()) / tau, -1)


def monte_carlo_odds(log_odds: float, tau: float) -> float:
    u = torch.rand(5000)
    return float(torch.sigmoid((log_odds + u.log() - (1 - u).log()) / tau).mean())


def cross_entropy(w: Tensor, q: Normal, components: Normal, log_weights: Tensor) -> Tensor:
    """Every draw's value, to be averaged still."""
    log_p = (log_weights + components.log_prob(w.unsqueeze(-1))).logsumexp(-1)
    return q.log_prob(w) - log_p


def own_draws(w: Tensor, q: Normal, components: Normal, log_weights: Tensor) -> Tensor:
    """Right on average over the draws, which are given."""
    w = q.sample((4000,))
    log_p = (log_weights + components.log_prob(w.unsqueeze(-1))).logsumexp(-1)
    return (q.log_prob(w) - log_p).mean(0)


def not_scaled_by_rows(rows: Tensor, task: Tensor, sizes: Tensor) -> Tensor:
    counts = torch.bincount(task, minlength=len(sizes)).clamp_min(1)
    sums = torch.zeros(len(sizes)).index_add(0, task, rows)
    return (sums * sizes / counts).sum()


def convex_step(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    """The precision where the covariance belongs."""
    alpha = log_alpha.exp()
    precision = A + torch.einsum("k,kde->de", alpha, P)
    natural = b + torch.einsum("k,kde,ke->d", alpha, P, mu)
    return torch.linalg.solve(precision, natural), precision


def convex_log_weights(
    A: Tensor, b: Tensor, P: Tensor, mu: Tensor, log_alpha: Tensor, kl: Tensor
) -> tuple[Tensor, Tensor]:
    """No site in the precision."""
    alpha = log_alpha.exp()
    covariance = torch.linalg.inv(torch.einsum("k,kde->de", alpha, P))
    natural = b + torch.einsum("k,kde,ke->d", alpha, P, mu)
    return covariance @ natural, covariance


def mixture_mean(log_p: Tensor) -> Tensor:
    pairs = log_p.flatten(0, 1)
    return pairs.logsumexp(0) - math.log(log_p.shape[1])


def variances(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    aleatoric = variances.mean(0)
    return aleatoric, means.var(0, correction=0)


def second_moment(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    aleatoric, epistemic = variances.mean(0), means.square().mean(0)
    return aleatoric + epistemic, aleatoric, epistemic


def information_bits(probs: Tensor) -> Tensor:
    def entropy(p: Tensor) -> Tensor:
        return -(p * p.log2()).sum(-1)

    return entropy(probs.mean(0)) - entropy(probs).mean(0)


def information_each(probs: Tensor) -> Tensor:
    """Not averaged over the draws."""
    total = torch.special.entr(probs.mean(0)).sum(-1)
    return total - torch.special.entr(probs).sum(-1)


def shrunk(residuals: Tensor, between_sd: float, noise_sd: float) -> Tensor:
    n, v, s2 = len(residuals), between_sd**2, noise_sd**2
    return v / (n * v + s2) * residuals.mean()


def field(x: Tensor, prior_sd: Tensor, noise_sd: float) -> Tensor:
    precision = torch.diag(1 / prior_sd) + x.T @ x / noise_sd**2
    return 1 / precision.diagonal().sqrt()


def field_precision(x: Tensor, prior_sd: Tensor, noise_sd: float) -> Tensor:
    return (torch.diag(1 / prior_sd**2) + x.T @ x / noise_sd**2).diagonal()


def ratio(loc: Tensor, cov: Tensor) -> Tensor:
    return -(loc[1] - cov[0, 1]) * torch.exp(-loc[0] + cov[0, 0])


def ratio_by_draws(loc: Tensor, cov: Tensor) -> Tensor:
    w = loc + torch.randn(5000, 2) @ torch.linalg.cholesky(cov + 1e-9 * torch.eye(2)).T
    return -(w[:, 1] * torch.exp(-w[:, 0])).mean()


def echo_precision(means: Tensor, squares: Tensor, width: float) -> Tensor:
    precision = 1 / (squares + torch.tensor([0.0, width**2]))
    return torch.stack([1 / precision.sum(), precision @ means / precision.sum()])


def hearsay(mean: Tensor, sd: Tensor, centre: float, spread: float, delta: float) -> Tensor:
    """Transposed."""
    rho = 1 / (1 + delta**2)
    variance = (rho * sd) ** 2 + (1 - rho**2) * spread**2
    return torch.stack([centre + rho * (mean - centre), variance.sqrt()]).T


def centre(means: Tensor, squares: Tensor, within: float, mid: float, between: float) -> Tensor:
    said = 1 / (squares**2 + within)
    precision = 1 / between + said.sum()
    return torch.stack([(mid / between + said @ means) / precision, 1 / precision])


def centre_sd(means: Tensor, squares: Tensor, within: float, mid: float, between: float) -> Tensor:
    said = 1 / (squares + within)
    precision = 1 / between**2 + said.sum()
    return torch.stack([(mid / between**2 + said @ means) / precision, 1 / precision])


def restaurant(labels: list[int], concentration: float) -> float:
    probability = 1.0
    for seated, label in enumerate(labels):
        before = labels[:seated].count(label)
        weight = before + concentration if label == -1 else before or concentration
        probability *= weight / (concentration + seated)
    return probability


STUDENTS: Answers = [
    (
        "0.2",
        lambda m, s, limit, v, f: (Normal(m, s).cdf(torch.tensor(limit)) * f < v).to(m),
        "complement",
    ),
    (
        "0.2",
        lambda m, s, limit, v, f: (Normal(m, s**2).cdf(torch.tensor(limit)) * f > v).to(m),
        None,
    ),
    ("1.1", lambda *a: -elbo(*a), "sign"),
    ("1.1", lambda *a: elbo(*a) / len(a[0]), "1/N"),
    ("1.1", lambda *a: elbo(*a).exp(), "exp"),
    ("1.1", elbo_by_sampling, "sampled"),
    ("1.1", lambda y, x, m, c, s: elbo(y, x, m, c, s**2), "noise squared"),
    ("1.1", lambda y, x, m, c, s: elbo(y, x, m, c.square(), s), "covariance squared"),
    ("1.1", lambda y, x, m, c, s: elbo(y, x, m, torch.linalg.inv(c), s), "inverted"),
    ("1.1", without_half, "KL: counts twice"),
    ("1.1", without_constant, "constant"),
    ("1.1", lambda y, x, m, c, s: elbo(y, x, m, torch.linalg.cholesky(c), s), "factor"),
    ("1.3", lambda y, x, m, c: (y - x @ m).square() + (x @ c * x).sum(-1), "not averaged"),
    ("1.3", lambda y, x, m, c: 0.5 * ((y - x @ m).square() + (x @ c * x).sum(-1)).mean(), "half"),
    (
        "1.3",
        lambda y, x, m, c: 1 / ((y - x @ m).square() + (x @ c * x).sum(-1)).mean(),
        "reciprocal",
    ),
    ("1.3", lambda y, x, m, c: ((y - x @ m).square() + (x @ c * x).sum(-1)).mean().log(), "log"),
    ("1.4", lambda f, w, m, s: f * (w - m) / s**2, "not averaged"),
    ("1.4", lambda f, w, m, s: (f.log() * (w - m) / s**2).mean(), "values log"),
    ("1.4", lambda f, w, m, s: (f * (w - m) / s**4).mean(), "scale squared"),
    ("1.4", lambda f, w, m, s: (f * w / s**2).mean(), "mean left out"),
    ("1.5", 1 / 0.36, None),
    ("2.1", own_included, "exp"),
    ("2.1", mixture_of_variances, "scales squared"),
    ("2.3", lambda m, s, d: ((s**2 + d**2).sqrt(), m), "order"),
    ("2.3", lambda m, s, d: (s**2 + d**2).sqrt(), "one entry"),
    ("2.3", lambda m, s, d: (m, s), "width left out"),
    ("2.3", lambda m, s, d: (m, 1 / (s**2 + d**2)), "square, reciprocal"),
    ("3.1", gumbel_by_torch, "sampled"),
    ("3.1", log_weights_out, "log"),
    ("3.1", lambda log_pi, u, tau: ((log_pi - (-u.log()).log()) / tau).exp(), "not normalised"),
    ("3.2", monte_carlo_odds, "sampled"),
    ("3.5", lambda a, b, n, k: b * (a / b) ** min(k / n, 1.0), "exchanged"),
    ("3.5", lambda a, b, n, k: math.log(a * (b / a) ** min(k / n, 1.0)), "log"),
    ("4.1", 1 / math.log(2), "reciprocal"),
    ("4.1", math.log(2) / 2, "half"),
    ("4.1", 0.5, "exp"),
    ("4.2", lambda kl, a: -(a.exp() - kl).logsumexp(-1), "log_weights exp"),
    ("4.2", lambda kl, a: (a.exp() * (-kl).exp()).sum(-1), "exp"),
    ("4.2", lambda kl, a: -(a - kl), "not added up"),
    ("4.2", lambda kl, a: -(a - kl).logsumexp(-1, keepdim=True), "shape"),
    ("4.2", lambda kl, a: -(a - kl).logsumexp(-1) / math.log(2), "bits"),
    ("4.2", lambda kl, a: -(a - kl).logsumexp(-1).mean(), "averaged"),
    ("4.2", lambda kl, a: -((a - kl).logsumexp(-1) - math.log(kl.shape[-1])), "log N"),
    ("4.3", lambda kl, a: torch.log_softmax(a - kl, -1), "log"),
    ("4.3", lambda kl, a: torch.softmax(a - kl, -1).T, "transpose"),
    ("4.4", cross_entropy, "not averaged"),
    ("4.4", own_draws, "sampled"),
    ("4.5", "(b)", "jensen"),
    ("5.1", lambda z, w, y: Bernoulli(logits=z @ w.T).log_prob(y).mean().exp(), "exp"),
    ("5.1", lambda z, w, y: -Bernoulli(logits=z @ w.T).log_prob(y).mean(), "sign"),
    ("5.1", lambda z, w, y: Bernoulli(logits=z @ w.T).log_prob(y).sum(), "N"),
    ("5.1", lambda z, w, y: Bernoulli(logits=z @ w.T).log_prob(1 - y).mean(), "negated"),
    ("5.2", not_scaled_by_rows, "summed"),
    ("5.5", convex_step, "inverse"),
    ("5.5", convex_log_weights, "A left out"),
    ("6.1", mixture_mean, "log N"),
    ("6.1", lambda log_p: log_p.flatten(0, 1).exp().mean(0), "exp"),
    ("6.2", variances, None),
    ("6.2", second_moment, None),
    ("6.3", information_bits, "bits"),
    ("6.3", information_each, "not averaged"),
    ("8.2", shrunk, "1/N"),
    ("8.3", field, "prior_sd root"),
    ("8.3", field_precision, "reciprocal"),
    ("8.3", lambda x, p, n: 1 / (1 / p**2 + (x.T @ x).diagonal() / n).sqrt(), "noise_sd root"),
    ("9.2", lambda w, u: 60 * (w[:, 1] / u[1]) / (w[:, 0] / u[0]) / 60**2, "factor"),
    ("9.3", ratio, None),
    ("9.3", ratio_by_draws, "sampled"),
    ("10.1", lambda kl, b: b.exp() - (b - kl).softmax(-1), "not summed"),
    ("11.2", echo_precision, "reversed"),
    ("11.5", hearsay, "transpose"),
    ("12.1", centre, "squares squared"),
    ("12.1", centre_sd, "between squared"),
    ("12.4", lambda t, c: c * math.log((2 * c + t) / (2 * c)), None),
    *LATER,
]
