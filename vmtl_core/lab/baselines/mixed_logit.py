"""Mixed logit: a logistic regression for each task, weights from a Gaussian population."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import logsigmoid

from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.scores import ClassPrediction, check_pair


@dataclass(frozen=True, eq=False)
class MixedLogit:
    """A fitted population of weights, represented by draws, and every task's share in them.

    Attributes:
        mean: m_0, ``(D,)``.
        factor: L, lower triangular, ``(D, D)``.
        draws: R weight vectors from the population, ``(R, D)``.
        log_share: log posterior probability of each draw for each task, ``(T, R)``.
        log_evidence: log of the probability of each task's labels, by simulation, ``(T,)``.
    """

    mean: Tensor
    factor: Tensor
    draws: Tensor
    log_share: Tensor
    log_evidence: Tensor

    def predict(self, data: MultiTaskData) -> ClassPrediction:
        """Probabilities of both labels for every row, averaged over its task's posterior."""
        each = (data.x.double() @ self.draws.T).sigmoid()
        one = (each * self.log_share[data.task].exp()).sum(1)
        return ClassPrediction(torch.stack([1 - one, one], 1).to(data.x))

    def posterior_mean(self) -> Tensor:
        """E[w_t | D_t] of every task, ``(T, D)``."""
        return self.log_share.exp() @ self.draws


def first_negative(w: Tensor) -> Tensor:
    """Weights (..., D) whose first entry u is replaced by -exp(u).

    Equation (9.9): where u is Gaussian, minus the first weight is log-normal.
    """
    return torch.cat([-w[..., :1].exp(), w[..., 1:]], -1)


def normal_draws(count: int, dimensions: int, seed: int = 0) -> Tensor:
    """Standard normal numbers (R, D), float64, spread evenly by a scrambled Sobol sequence."""
    sobol = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
    uniform = sobol.draw(count, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    return Normal(torch.zeros(()).double(), 1.0).icdf(uniform)


def task_log_likelihood(data: MultiTaskData, draws: Tensor) -> Tensor:
    """Log probability of each task's labels under each weight vector (R, D): ``(T, R)``."""
    sign = (2 * data.y - 1).double()
    rows = logsigmoid((sign[:, None] * data.x.double()) @ draws.T)
    return rows.new_zeros(data.tasks, len(draws)).index_add(0, data.task, rows)


def fit_mixed_logit(
    train: MultiTaskData,
    learn_mean: bool = True,
    correlated: bool = False,
    isotropic: bool = False,
    negative_first: bool = False,
    draws: int = 512,
    seed: int = 0,
) -> MixedLogit:
    r"""Maximum simulated likelihood: w_t ~ N(m_0, L L^T), no intercept, labels 0 and 1.

    Equation (9.6), to be maximised over m_0 and L by L-BFGS with one fixed set of R draws e_r:

    $$ \sum_t \log \frac1R \sum_r \prod_n p(y_{tn} | x_{tn}, w_r), \qquad w_r = m_0 + L e_r $$

    A task's posterior is its share of the draws.

    Args:
        train: scaled data.
        learn_mean: fit m_0; else it is zero.
        correlated: L has all its lower triangle; else it is diagonal.
        isotropic: one standard deviation for all weights.
        negative_first: the first weight is minus the exponential of its Gaussian, as in (9.9).
        draws: R.
        seed: of the draws.

    References:
        D. Revelt and K. Train, *Mixed logit with repeated choices*, 1998.
    """
    noise = normal_draws(draws, train.x.shape[1], seed)
    size = noise.shape[1]
    mean = torch.zeros(size, dtype=torch.float64, requires_grad=learn_mean)
    log_sd = torch.zeros(1 if isotropic else size, dtype=torch.float64, requires_grad=True)
    below = torch.zeros(size, size, dtype=torch.float64, requires_grad=correlated)

    def population() -> tuple[Tensor, Tensor]:
        factor = torch.diag(log_sd.exp().expand(size)) + below.tril(-1)
        weights = mean + noise @ factor.T
        return factor, first_negative(weights) if negative_first else weights

    free = [p for p in (mean, log_sd, below) if p.requires_grad]
    optimiser = torch.optim.LBFGS(free, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = -task_log_likelihood(train, population()[1]).logsumexp(1).mean()
        loss.backward()
        return loss

    optimiser.step(closure)  # type: ignore[arg-type, no-untyped-call]
    with torch.no_grad():
        factor, weights = population()
        joint = task_log_likelihood(train, weights)
        evidence = joint.logsumexp(1)
    return MixedLogit(
        mean.detach(),
        factor,
        weights,
        joint - evidence[:, None],
        evidence - torch.tensor(draws).double().log(),
    )


def mixed_logit(train: MultiTaskData, test: MultiTaskData, **options: bool) -> ClassPrediction:
    """Fit :func:`fit_mixed_logit` to the training set and predict the test set."""
    check_pair(train, test)
    return fit_mixed_logit(train, **options).predict(test)
