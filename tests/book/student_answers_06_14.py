"""Wrong answers to the exercises of chapters 6 to 14 that came last, as in `student_answers`."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from vmtl_core.lab.exercises import find


def right(number: str) -> Any:
    """The solution, for answers that differ from it in one place."""
    return find(number).solution


def population_errors(inside: Tensor) -> Tensor:
    """Standard deviations by N in place of N - 1."""
    by_rows = inside.std(correction=0) / inside.numel() ** 0.5
    return torch.stack([by_rows, inside.mean(1).std(correction=0) / len(inside) ** 0.5])


def errors_by_rows_of_a_task(inside: Tensor) -> Tensor:
    rows = inside.shape[1]
    return torch.stack([right("6.6")(inside)[0], inside.mean(1).std() / rows**0.5])


def binomial(inside: Tensor) -> Tensor:
    """The first as for a coin, rows and tasks alike."""
    share = inside.mean()
    error = (share * (1 - share)).sqrt()
    return torch.stack([error / inside.numel() ** 0.5, error / len(inside) ** 0.5])


def counts_swapped(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean, aleatoric, epistemic = right("6.7")(loc, sd)
    return mean, epistemic, aleatoric


def counts_in_sds(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean, aleatoric, epistemic = right("6.7")(loc, sd)
    return mean, aleatoric.sqrt(), epistemic.sqrt()


def counts_by_draws(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rate = (loc + sd * torch.randn(4000, len(loc))).exp()
    return rate.mean(0), rate.mean(0), rate.var(0)


def cooled_twice(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    return right("7.2")(kl, log_pi, gumbel, tau) / tau


def noise_after(kl: Tensor, log_pi: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    return right("7.2")(kl, log_pi, gumbel * tau, tau)


def each_task(kl: Tensor) -> Tensor:
    return (kl[:, :, None] - kl[:, None, :]).exp() - 1


def by_best(kl: Tensor) -> Tensor:
    return right("7.5")(kl).max(1).values


def paired_by_n(first: Tensor, second: Tensor) -> Tensor:
    _, needed = right("8.5")(first, second)
    return torch.stack([((first - second).var(correction=0) / len(first)).sqrt(), needed])


def paired_needed_first(first: Tensor, second: Tensor) -> Tensor:
    return right("8.5")(first, second).flip(0)


def paired_variance(first: Tensor, second: Tensor) -> Tensor:
    error, needed = right("8.5")(first, second)
    return torch.stack([error**2, needed])


def population_precision(means: Tensor, squares: Tensor, rounds: int) -> Tensor:
    centre, variance = right("8.6")(means, squares, rounds)
    return torch.stack([centre, 1 / variance])


def value_by_draws(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    w = MultivariateNormal(loc, covariance).sample((20_000,))
    return (60 * w[:, 1] / w[:, 0] > asked).double().mean()


def value_of_a_cent(loc: Tensor, covariance: Tensor, asked: float) -> Tensor:
    return right("9.5")(loc, covariance, 100 * asked)


def error_share(table: Tensor, share: Tensor) -> Tensor:
    return 1 - right("10.2")(table, share)


def batch_alone(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    return (log_p.mean((0, 1)) - kl_z).sum() - kl_w


def mean_of_batch(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    return (log_p.mean((0, 1)) - kl_z).mean() - kl_w


def gains_by_kl(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    return rows / len(kl_z) * (log_p.mean((0, 1)) + kl_z).sum() - kl_w


def draws_summed(log_p: Tensor, kl_z: Tensor, kl_w: Tensor, rows: int) -> Tensor:
    return rows / len(kl_z) * (log_p.sum((0, 1)) - kl_z).sum() - kl_w


def half_the_price(noise: float, first: int, second: int) -> float:
    one, two = noise**2 / first, noise**2 / second
    return math.sqrt(1 / one + 1 / two) * (one + two) / 2


def together_by_one_spread(
    means: Tensor, squares: Tensor, within: float, mid: float, between: float, a: float
) -> Tensor:
    """Members' deviations counted once, at the end."""
    message = squares
    together = MultivariateNormal(means.new_full((2,), mid), torch.diag(message) + between)
    apart = Normal(mid, (message + between).sqrt())
    return together.log_prob(means) - apart.log_prob(means).sum() - math.log(4 * a + 1)


def pull_without_n(kl: Tensor, log_beta: Tensor) -> Tensor:
    return log_beta.exp() - (log_beta - kl).softmax(-1).sum(0)


def parts_without_total(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The difference of the parts in the place of their sum."""
    _, aleatoric, epistemic = right("6.2")(means, variances)
    return aleatoric - epistemic, aleatoric, epistemic


def ratio_turned(loc: Tensor, covariance: Tensor) -> Tensor:
    """exp(u) for exp(-u)."""
    return -(loc[1] - covariance[0, 1]) * torch.exp(loc[0] + covariance[0, 0] / 2)


LATER: list[tuple[str, Any, str | None]] = [
    ("6.2", parts_without_total, "partly right"),
    ("9.3", ratio_turned, "loc[0] negated"),
    ("10.1", pull_without_n, "N times beta: N times too small"),
    ("6.6", population_errors, "N for N - 1"),
    ("6.6", errors_by_rows_of_a_task, "root"),
    ("6.6", binomial, None),
    ("6.6", lambda inside: right("6.6")(inside).flip(0), "reversed"),
    ("6.7", counts_swapped, "order"),
    ("6.7", counts_in_sds, "root"),
    ("6.7", counts_by_draws, "sampled"),
    ("6.7", lambda loc, sd: right("6.7")(loc, sd.sqrt()), "sd root"),
    ("7.2", lambda kl, p, g, tau: right("7.2")(kl, p, torch.zeros_like(g), tau), "gumbel left out"),
    ("7.2", lambda kl, p, g, tau: right("7.2")(kl, p, g, 1 / tau), "tau one over"),
    ("7.2", cooled_twice, "tau"),
    ("7.2", noise_after, None),
    ("7.5", lambda kl: right("7.5")(kl) / len(kl), "1/N"),
    ("7.5", each_task, "not summed"),
    ("7.5", by_best, None),
    ("8.5", paired_by_n, "N for N - 1"),
    ("8.5", paired_needed_first, "reversed"),
    ("8.5", paired_variance, "square"),
    ("8.6", lambda m, s, rounds: right("8.6")(m, s, rounds - 1), "rounds one less"),
    ("8.6", lambda m, s, rounds: right("8.6")(m, s**2, rounds), "squares squared"),
    ("8.6", population_precision, "reciprocal"),
    ("9.5", value_by_draws, "sampled"),
    ("9.5", value_of_a_cent, None),
    ("9.5", lambda loc, c, asked: right("9.5")(loc, c, asked).log(), "log"),
    ("9.5", lambda loc, c, asked: 100 * right("9.5")(loc, c, asked), "percent"),
    ("9.6", "(c)", "contrast"),
    ("9.6", "answer: D", "more certainty"),
    ("9.6", ["a"], "another order"),
    ("10.2", error_share, "complement"),
    ("10.2", lambda table, share: right("10.2")(table.T, share), "table transposed"),
    ("10.2", lambda table, share: (right("10.2")(table, share) * share).sum(), None),
    ("10.2", lambda table, share: right("10.2")(table, share).mean(), "averaged"),
    ("10.5", batch_alone, "unscaled batch"),
    ("10.5", mean_of_batch, "rows left out"),
    ("10.5", gains_by_kl, "the KL of z: has the wrong sign"),
    ("10.5", draws_summed, None),
    ("11.1", lambda noise, n, m: right("11.1")(noise**2, n, m), "noise"),
    ("11.1", lambda noise, n, m: right("11.1")(noise, n, m) ** 2, "square"),
    ("11.1", half_the_price, "factor"),
    ("13.1", "option C", "probability"),
    ("13.1", "(d)", "nothing"),
    ("13.1", "a.", "other schools"),
    ("13.2", lambda k: 1 - right("13.2")(k), "missed"),
    ("13.2", lambda k: right("13.2")(1), "one rival"),
    ("13.2", lambda k: right("13.2")(1) ** k, "independent"),
    ("13.3", lambda n, r: (1 + (n - 1) * r) ** 0.5, "not shrunk"),
    ("13.3", lambda n, r: right("13.3")(n, r) ** 2, "variance"),
    ("13.3", lambda n, r: 1 / right("13.3")(n, r), "reciprocal"),
    ("14.6", lambda *a: right("14.6")(*a).exp(), "exp"),
    ("14.6", lambda *a: right("14.6")(*a).sigmoid(), "probability"),
    ("14.6", together_by_one_spread, "within left out"),
    ("14.6", lambda m, s, *a: right("14.6")(m, s**2, *a), "squares squared"),
    (
        "14.6",
        lambda *a: right("14.6")(*a) + 2 * math.log(4 * a[-1] + 1),
        "the prior: has the wrong",
    ),
]
