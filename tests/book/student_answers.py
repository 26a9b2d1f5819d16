"""Wrong answers of the kind that students give, none of them on an exercise's own list.

Each is the number of the exercise, the answer and a part of the name that it should get; None where
nothing can be said but where it differs.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, MultivariateNormal, Normal, Poisson, kl_divergence

from tests.book.student_answers_06_14 import LATER

Answers = list[tuple[str, Any, str | None]]


def elbo_by_sampling(
    y: Tensor, design: Tensor, mean: Tensor, cov: Tensor, noise: Tensor, prior_sd: float
) -> Tensor:
    """Right on average."""
    q = MultivariateNormal(mean, cov)
    p = MultivariateNormal(torch.zeros_like(mean), prior_sd**2 * torch.eye(len(mean)))
    w = q.sample((2000,))
    fit = Normal(w @ design.T, noise).log_prob(y).sum(-1).mean()
    return fit - kl_divergence(q, p)


def kl_to_prior(mean: Tensor, covariance: Tensor, prior_sd: float = 1.0) -> Tensor:
    m, s = mean / prior_sd, covariance / prior_sd**2
    return 0.5 * (s.trace() + m @ m - len(m) - torch.logdet(s))


def elbo(
    y: Tensor, design: Tensor, mean: Tensor, covariance: Tensor, noise: Tensor, prior_sd: float
) -> Tensor:
    doubt = (design @ covariance * design).sum(-1)
    fit = (Normal(design @ mean, noise).log_prob(y) - 0.5 * doubt / noise**2).sum()
    return fit - kl_to_prior(mean, covariance, prior_sd)


def without_half(
    y: Tensor, design: Tensor, mean: Tensor, cov: Tensor, noise: Tensor, prior_sd: float
) -> Tensor:
    return elbo(y, design, mean, cov, noise, prior_sd) - kl_to_prior(mean, cov, prior_sd)


def without_constant(
    y: Tensor, design: Tensor, mean: Tensor, cov: Tensor, noise: Tensor, prior_sd: float
) -> Tensor:
    return elbo(y, design, mean, cov, noise, prior_sd) + len(y) * 0.5 * math.log(2 * math.pi)


def counts(y: Tensor, design: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
    """The bound for counts, right."""
    predictor, doubt = design @ mean, (design @ cov * design).sum(-1)
    fit = (y * predictor - (predictor + doubt / 2).exp() - torch.lgamma(y + 1)).sum()
    return fit - kl_to_prior(mean, cov)


def counts_by_sampling(y: Tensor, design: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
    w = MultivariateNormal(mean, cov).sample((4000,))
    fit = Poisson((w @ design.T).exp()).log_prob(y).sum(-1).mean()
    return fit - kl_to_prior(mean, cov)


def counts_climbed(y: Tensor, design: Tensor) -> tuple[Tensor, Tensor]:
    """The top of the bound for counts, by gradient."""
    size = design.shape[1]
    mean, root = torch.zeros(size).requires_grad_(), torch.eye(size).requires_grad_()
    climber = torch.optim.LBFGS(
        [mean, root], 1, 100, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        climber.zero_grad()
        value = -counts(y, design, mean, root @ root.T + 1e-9 * torch.eye(size))
        value.backward()
        return value

    climber.step(loss)
    return mean.detach(), (root @ root.T).detach()


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


def hump(
    seen: float, count: float, noise: float, means: Tensor, sds: Tensor, log_alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Two numbers of a posterior under a mixture prior, right."""
    own = noise**2 / count
    log_z = Normal(means, (sds**2 + own).sqrt()).log_prob(torch.as_tensor(seen))
    chance = (log_alpha + log_z).softmax(-1)
    variance = sds**2 * own / (sds**2 + own)
    each = (means * own + seen * sds**2) / (sds**2 + own)
    mean = chance @ each
    return mean, (chance @ (variance + each**2) - mean**2).sqrt()


def gumbel_by_torch(log_pi: Tensor, u: Tensor, tau: float) -> Tensor:
    """Draws anew in place of using u."""
    gumbel = -(-torch.rand(u.shape).log()).log()
    return torch.softmax((log_pi + gumbel) / tau, -1)


def log_weights_out(log_pi: Tensor, u: Tensor, tau: float) -> Tensor:
    return torch.log_softmax((log_pi - (-u.log()).log()) / tau, -1)


def slope(log_odds: float, tau: float) -> float:
    u = (torch.arange(50_000) + 0.5) / 50_000
    weight = torch.sigmoid((log_odds + torch.logit(u)) / tau)
    return float((weight - weight**2).mean() / tau)


def slope_by_draws(log_odds: float, tau: float) -> float:
    u = torch.rand(5000)
    weight = torch.sigmoid((log_odds + torch.logit(u)) / tau)
    return float((weight - weight**2).mean() / tau)


def shares_above(start: float, end: float, tau: float) -> list[float]:
    """Right."""
    left = (tau - end) / (start - end)
    cosine = math.acos(2 * left - 1) / math.pi
    return [1 - left, math.log(start / tau) / math.log(start / end), cosine]


def tail_of(log_odds: float, tau: float, epsilon: float) -> float:
    """Right."""
    gap = tau * (math.log(1 - epsilon) - math.log(epsilon))
    return 1 / (1 + math.exp(gap - log_odds)) + 1 / (1 + math.exp(gap + log_odds))


def one_hot_draws(log_odds: float, tau: float, epsilon: float) -> float:
    """Right on average."""
    scores = torch.tensor([log_odds, 0.0]) - torch.empty(4000, 2).exponential_().log()
    return float(((scores / tau).softmax(-1).amax(-1) > 1 - epsilon).double().mean())


def tempered(kl: Tensor, log_weights: Tensor, tau: float) -> Tensor:
    return -tau * (log_weights - kl / tau).logsumexp(-1)


def two_kls(w: Tensor, q: Normal, components: Normal, log_a: Tensor, log_b: Tensor) -> list[Tensor]:
    """Right."""
    each = components.log_prob(w[..., None]).exp()
    ratio = ((log_b.exp() * each).sum(-1) / (log_a.exp() * each).sum(-1)).log()
    return [ratio.mean(0), ratio.std(0) / math.sqrt(len(w))]


def two_kls_by_numpy(
    w: Tensor, q: Normal, components: Normal, log_a: Tensor, log_b: Tensor
) -> list[Tensor]:
    """numpy's sd divides by S."""
    mean, error = two_kls(w, q, components, log_a, log_b)
    return [mean, error * math.sqrt(1 - 1 / len(w))]


def width_by_autograd(
    mean: float, sd: float, means: Tensor, sds: Tensor, log_weights: Tensor, width: float
) -> Tensor:
    """Right."""
    delta = torch.tensor(width, requires_grad=True)
    kl = kl_divergence(Normal(mean, sd), Normal(means, (sds**2 + delta**2).sqrt()))
    return torch.autograd.grad(-(log_weights - kl).logsumexp(-1), delta)[0]


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


def apart(first: float, second: float, sigma: float) -> float:
    """Right."""
    return math.sqrt(2) * sigma * (first + second) ** 1.5 / (first * second)


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
    ("0.4", "(A)", "every clinic"),
    ("0.4", "answer: b", "as narrow"),
    ("0.4", ["d"], "this patient"),
    ("1.1", lambda *a: -elbo(*a), "sign"),
    ("1.1", lambda *a: elbo(*a) / len(a[0]), "1/N"),
    ("1.1", lambda *a: elbo(*a).exp(), "exp"),
    ("1.1", elbo_by_sampling, "sampled"),
    ("1.1", lambda y, x, m, c, s, p: elbo(y, x, m, c, s**2, p), "noise squared"),
    ("1.1", lambda y, x, m, c, s, p: elbo(y, x, m, c, s, p**2), "prior_sd squared"),
    ("1.1", lambda y, x, m, c, s, p: elbo(y, x, m, c.square(), s, p), "covariance squared"),
    ("1.1", lambda y, x, m, c, s, p: elbo(y, x, m, torch.linalg.inv(c), s, p), "inverted"),
    ("1.1", without_half, "KL: counts twice"),
    ("1.1", without_constant, "constant"),
    ("1.1", lambda y, x, m, c, s, p: elbo(y, x, m, c, s, p) - c.logdet(), None),
    (
        "1.1",
        lambda y, x, m, c, s, p: elbo(y, x, m, c, s, p) - torch.logdet(c / p**2),
        "log determinant: has the wrong sign",
    ),
    (
        "1.1",
        lambda y, x, m, c, s, p: elbo(y, x, m, c, s, p) - len(m) * math.log(p),
        "log prior_sd",
    ),
    ("1.1", lambda y, x, m, c, s, p: elbo(y, x, m, torch.linalg.cholesky(c), s, p), "factor"),
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
    (
        "1.3",
        lambda y, x, m, c: (y - x @ m).square().mean() + (x @ c * x).sum(),
        "the spread of q: N times too large",
    ),
    ("1.5", 1 / 0.36, None),
    (
        "1.6",
        lambda y, x, m, c: counts(y, x, m, c) + torch.lgamma(y + 1).sum(),
        "log y!: is left out",
    ),
    ("1.6", lambda y, x, m, c: counts(y, x, m, c) - kl_to_prior(m, c), "the KL: counts twice"),
    ("1.6", counts_by_sampling, "sampled"),
    ("1.6", lambda y, x, m, c: counts(y, x, m, c.diagonal().diag()), "covariance diagonal"),
    ("1.6", lambda y, x, m, c: counts(y, x, m, c) / len(y), "1/N"),
    ("1.7", lambda y, x: counts_climbed(y, x)[::-1], "order"),
    ("1.7", lambda y, x: (counts_climbed(y, x)[0], counts_climbed(y, x)[1].inverse()), "inverse"),
    ("1.7", lambda y, x: counts_climbed(y, x)[0], "one entry"),
    (
        "1.7",
        lambda y, x: (counts_climbed(y, x)[0], torch.linalg.cholesky(counts_climbed(y, x)[1])),
        "Cholesky",
    ),
    ("2.1", own_included, "exp"),
    ("2.1", mixture_of_variances, "scales squared"),
    ("2.3", lambda m, s, d: ((s**2 + d**2).sqrt(), m), "order"),
    ("2.3", lambda m, s, d: (s**2 + d**2).sqrt(), "one entry"),
    ("2.3", lambda m, s, d: (m, s), "width left out"),
    ("2.3", lambda m, s, d: (m, 1 / (s**2 + d**2)), "square, reciprocal"),
    ("2.6", lambda *a: hump(*a)[0], "one entry"),
    ("2.6", lambda *a: (hump(*a)[0], hump(*a)[1].square()), "square"),
    ("2.6", lambda n, c, s, m, v, a: hump(n, c, s, m, v, a.exp()), "log_alpha exp"),
    ("2.6", lambda n, c, s, m, v, a: hump(n, c, s, m, v.sqrt(), a), "sds root"),
    ("2.6", lambda n, c, s, m, v, a: hump(n, 1, s / c, m, v, a), None),
    ("2.7", 0.64031242 / 2, "half"),
    ("2.7", 0.41 / 2, None),
    ("2.7", 0.63, "near"),
    ("2.7", 1 / 0.64031242, "reciprocal"),
    ("3.1", gumbel_by_torch, "sampled"),
    ("3.1", log_weights_out, "log"),
    ("3.1", lambda log_pi, u, tau: ((log_pi - (-u.log()).log()) / tau).exp(), "not normalised"),
    ("3.1", lambda log_pi, u, tau: (log_pi - (-u.log()).log()) / tau, "no softmax"),
    ("3.2", slope_by_draws, "sampled"),
    ("3.2", lambda ell, tau: slope(ell, 1 / tau), "tau one over"),
    ("3.2", lambda ell, tau: -slope(ell, tau), "sign"),
    ("3.2", lambda ell, tau: slope(math.exp(ell), tau), "log_odds exp"),
    ("3.5", lambda a, b, tau: [shares_above(a, b, tau)[i] for i in (1, 0, 2)], "order"),
    ("3.5", lambda a, b, tau: [100 * s for s in shares_above(a, b, tau)], "percent"),
    ("3.5", lambda a, b, tau: shares_above(a, b, tau)[1], None),
    ("3.6", one_hot_draws, "sampled"),
    ("3.6", lambda *a: 1 - tail_of(*a), "complement"),
    ("3.6", lambda ell, tau, eps: tail_of(math.exp(ell), tau, eps), "log_odds exp"),
    ("3.6", lambda ell, tau, eps: tail_of(ell, tau, 1 - eps), "tau negated"),
    ("3.6", lambda ell, tau, eps: tail_of(ell, tau, eps / 2), "half of"),
    (
        "3.6",
        lambda ell, t, eps: 1 / (1 + math.exp(ell - t * math.log((1 - eps) / eps))),
        "one source only, complement",
    ),
    ("4.1", 1 / math.log(2), "reciprocal"),
    ("4.1", math.log(2) / 2, "half"),
    ("4.1", 0.5, "exp"),
    ("4.2", lambda kl, a, t: tempered(kl, a.exp(), t), "log_weights exp"),
    ("4.2", lambda kl, a, t: (a.exp() * (-kl / t).exp()).sum(-1) ** t, "exp"),
    ("4.2", lambda kl, a, t: -t * (a - kl / t), None),
    ("4.2", lambda kl, a, t: tempered(kl, a, t)[:, None], "shape"),
    ("4.2", lambda kl, a, t: tempered(kl, a, t) / t**2, "1/tau squared"),
    ("4.2", lambda kl, a, t: t * (a.exp() * kl).sum(-1), "convex, tau times"),
    ("4.2", lambda kl, a, t: tempered(kl, a, t) / math.log(2), "bits"),
    ("4.2", lambda kl, a, t: tempered(kl, a, t).mean(), "averaged"),
    ("4.2", lambda kl, a, t: tempered(kl, a, t**2), "tau squared"),
    ("4.3", lambda kl, a: torch.log_softmax(a - kl, -1), "log"),
    ("4.3", lambda kl, a: torch.softmax(a - kl, -1).T, "transpose"),
    ("4.4", lambda *a: two_kls(*a)[0], "one entry"),
    ("4.4", lambda *a: (two_kls(*a)[0], two_kls(*a)[1] ** 2), "square"),
    ("4.4", two_kls_by_numpy, "N for N - 1"),
    ("4.4", lambda *a: (two_kls(*a)[0], two_kls(*a)[1] * 1.96), "factor"),
    ("4.4", lambda w, q, *more: two_kls(q.sample((len(w),)), q, *more), None),
    ("4.5", "(b)", "jensen"),
    ("4.6", lambda *a: -width_by_autograd(*a), "sign"),
    ("4.6", lambda *a: width_by_autograd(*a) / 2, "half"),
    ("4.6", lambda m, s, mu, v, a, d: width_by_autograd(m, s, mu, v, a, d**2), "width squared"),
    ("4.6", lambda m, s, mu, v, a, d: width_by_autograd(m, s**0.5, mu, v, a, d), "sd root"),
    (
        "4.6",
        lambda m, s, mu, v, a, d: width_by_autograd(m, s, mu, v, a.exp(), d),
        "log_weights exp",
    ),
    ("5.1", lambda z, w, y: Bernoulli(logits=z @ w.T).log_prob(y).mean().exp(), "exp"),
    ("5.1", lambda z, w, y: -Bernoulli(logits=z @ w.T).log_prob(y).mean(), "sign"),
    ("5.1", lambda z, w, y: Bernoulli(logits=z @ w.T).log_prob(y).sum(), "N"),
    ("5.1", lambda z, w, y: Bernoulli(logits=z @ w.T).log_prob(y), "not averaged"),
    ("5.1", lambda z, w, y: Bernoulli(logits=z @ w.T).log_prob(1 - y).mean(), "negated"),
    ("5.2", not_scaled_by_rows, "summed"),
    ("5.5", convex_step, "inverse"),
    ("5.5", convex_log_weights, "A left out"),
    ("5.6", lambda n, m, s: apart(n, m, s) / 2, "half"),
    ("5.6", lambda n, m, s: apart(n, m, s**2), "sigma times"),
    ("5.6", lambda n, m, s: apart(n, m, 1.0), "1/sigma"),
    ("5.6", lambda n, m, s: apart(n, m, s) / math.sqrt(2), "factor"),
    ("5.6", lambda n, m, s: apart(n, n, s), None),
    ("5.6", lambda n, m, s: 4 * s * math.sqrt(1 / n + 1 / m), "error of the difference, factor"),
    ("5.7", "Answer: (D)", "twice"),
    ("5.7", "a.", "convex"),
    ("5.7", ["b"], "best source"),
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
    ("12.2", echo_precision, "reversed"),
    ("12.3", hearsay, "transpose"),
    ("14.1", centre, "squares squared"),
    ("14.1", centre_sd, "between squared"),
    ("14.4", lambda t, c: c * math.log((2 * c + t) / (2 * c)), None),
    *LATER,
]
