"""The exact Gaussian hierarchy: linear regressions whose weights come from one population.

    y_tn = w_t . x_tn + e_tn,   w_t ~ N(m_0, diag v_0),   e_tn ~ N(0, s^2)

Everything below is closed form given v_0 and s^2; those two maximise the marginal likelihood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from vmtl_core.lab.baselines.moments import Moments, design, task_moments
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.scores import Prediction


@dataclass(frozen=True, eq=False)
class GaussianHierarchy:
    """The posterior of a Gaussian hierarchy, given its two kinds of variance.

    D counts the intercept, which comes first, if there is one.

    Attributes:
        population_mean: m_0, generalised least squares, ``(D,)``; zero where it was not learned.
        population_mean_covariance: its uncertainty under a flat prior, ``(D, D)``.
        population_variance: v_0, ``(D,)``, or a covariance ``(D, D)``.
        noise_variance: s^2, scalar.
        task_mean: posterior mean of w_t, ``(T, D)``.
        task_covariance: posterior covariance of w_t, that of m_0 included, ``(T, D, D)``.
        log_marginal_likelihood: log p(y | m_0, v_0, s^2), scalar, summed over all examples.
        intercept: whether the first weight is an intercept.
    """

    population_mean: Tensor
    population_mean_covariance: Tensor
    population_variance: Tensor
    noise_variance: Tensor
    task_mean: Tensor
    task_covariance: Tensor
    log_marginal_likelihood: Tensor
    intercept: bool

    def predict(self, data: MultiTaskData) -> Prediction:
        """Predictive mean and standard deviation of every row's ``y``, noise included."""
        x = design(data.x, self.intercept)
        mean = (x * self.task_mean[data.task]).sum(1)
        variance = torch.einsum("nd,nde,ne->n", x, self.task_covariance[data.task], x)
        sd = (variance + self.noise_variance).sqrt()
        return Prediction(mean.to(data.x.dtype), sd.to(data.x.dtype))


def fit_hierarchy(
    train: MultiTaskData,
    intercept: bool = True,
    learn_mean: bool = True,
    isotropic: bool = False,
    sd: float | None = None,
) -> GaussianHierarchy:
    """Choose v_0 and s^2 by maximum marginal likelihood, then condition on the data.

    Args:
        train: the training set; put inputs and target on comparable scales first.
        intercept: add a constant input.
        learn_mean: learn m_0; otherwise it is zero and tasks share nothing but scales.
        isotropic: one variance for all weights instead of one for each.
        sd: fixes v_0: the standard deviation of a weight, in units of the target's root mean square
            over its input's; None learns it.

    Returns:
        The fitted hierarchy, in float64.

    Raises:
        ValueError: if ``train`` is empty or its target does not vary, or if there are too few
            examples to learn m_0, whose prior is flat.

    References:
        C. Bishop, *Pattern Recognition and Machine Learning*, 2006, section 3.5;
        N. Laird and J. Ware, *Random-effects models for longitudinal data*, 1982.

    >>> from vmtl_core.lab.datasets import clusters
    >>> train, test = clusters(clusters=1, between_sd=0.3, tasks=100, per_task=20).split()
    >>> fit = fit_hierarchy(train, intercept=False)
    >>> spread = fit.population_variance.mean().sqrt()
    >>> print(f"{spread:.2f} {fit.noise_variance.sqrt():.2f}")  # true: 0.3 and 0.5
    0.30 0.52
    """
    moments = task_moments(train, intercept)
    unit_v, unit_s = _units(moments)
    if learn_mean and len(train) <= len(unit_v):
        raise ValueError(
            f"`train` must hold more examples than the {len(unit_v)} weights, for m_0 has a flat "
            f"prior; got {len(train)}"
        )
    if isotropic:
        unit_v = unit_v.mean().expand_as(unit_v)
    free = 0 if sd is not None else 1 if isotropic else len(unit_v)

    def variances(log_ratio: Tensor) -> tuple[Tensor, Tensor]:
        ratio = log_ratio[:-1].exp() if sd is None else sd**2
        return unit_v * ratio, unit_s * log_ratio[-1].exp()

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        log_ratio = torch.tensor(theta, requires_grad=True)
        v, s = variances(log_ratio)
        mean = _population(moments, v, s)[0] if learn_mean else torch.zeros_like(unit_v)
        loss = -_log_marginal(moments, mean, v, s) / moments.count.sum()
        (gradient,) = torch.autograd.grad(loss, log_ratio)
        return loss.item(), gradient.numpy()

    start = np.full(free + 1, math.log(0.1))
    start[-1] = math.log(0.5)
    options = {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7}
    bounds = [(-20.0, 10.0)] * free + [(-15.0, 5.0)]
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    v, s = variances(torch.tensor(found.x))
    return condition(moments, v, s, intercept, learn_mean)


def condition(
    moments: Moments, v: Tensor, s: Tensor, intercept: bool, learn_mean: bool = True
) -> GaussianHierarchy:
    """The posterior given the variances ``v`` = v_0 and ``s`` = s^2.

    v_0 is ``(D,)``, zeros allowed, or a covariance ``(D, D)``, which may be singular.
    With C_t = (diag(1/v_0) + X_t'X_t / s^2)^-1 and K_t = I - C_t X_t'X_t / s^2,
    E w_t = m_0 + C_t X_t'(y_t - X_t m_0) / s^2 and cov w_t = C_t + K_t cov(m_0) K_t'.
    """
    inputs = len(v)
    if learn_mean:
        mean, mean_covariance = _population(moments, v, s)
    else:
        mean, mean_covariance = v.new_zeros(inputs), v.new_zeros(inputs, inputs)
    own = _own_covariance(moments, v, s)[0]
    residual = moments.cross - moments.gram @ mean
    keep = torch.eye(inputs, dtype=v.dtype) - own @ moments.gram / s
    return GaussianHierarchy(
        population_mean=mean,
        population_mean_covariance=mean_covariance,
        population_variance=v,
        noise_variance=s,
        task_mean=mean + (own @ residual.unsqueeze(-1)).squeeze(-1) / s,
        task_covariance=own + keep @ mean_covariance @ keep.mT,
        log_marginal_likelihood=_log_marginal(moments, mean, v, s),
        intercept=intercept,
    )


def _own_covariance(moments: Moments, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """C_t ``(T, D, D)`` and log det(I + V X'X / s^2) ``(T,)``; well behaved where v is 0."""
    if v.ndim == 2:  # a covariance
        values, vectors = torch.linalg.eigh(v)
        root = vectors * values.clamp_min(0).sqrt()
        around = root.mT @ moments.gram @ root
    else:
        root = v.sqrt()
        around = root[:, None] * moments.gram * root
    factor = torch.linalg.cholesky(torch.eye(len(v), dtype=v.dtype) + around / s)
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    inverse = torch.cholesky_inverse(factor)
    own = root @ inverse @ root.mT if v.ndim == 2 else root[:, None] * inverse * root
    return own, log_det


def _population(moments: Moments, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Generalised least squares m_0 ``(D,)`` and its covariance ``(D, D)``."""
    own = _own_covariance(moments, v, s)[0]
    weight = torch.eye(len(v), dtype=v.dtype) - moments.gram @ own / s
    information = (weight @ moments.gram).sum(0) / s
    evidence = (weight @ moments.cross.unsqueeze(-1)).sum(0).squeeze(-1) / s
    covariance = torch.linalg.pinv(information, hermitian=True)
    return covariance @ evidence, covariance


def _log_marginal(moments: Moments, mean: Tensor, v: Tensor, s: Tensor) -> Tensor:
    """Log density of all targets given m_0, v_0 and s^2, summed over tasks."""
    own, log_det = _own_covariance(moments, v, s)
    fitted = moments.gram @ mean
    residual = moments.cross - fitted
    square = moments.square - ((moments.cross + residual) * mean).sum(-1)
    explained = torch.einsum("td,tde,te->t", residual, own, residual) / s
    noise = moments.count * (2 * math.pi * s).log()
    return -0.5 * (noise + log_det + (square - explained) / s).sum()


def _units(moments: Moments) -> tuple[Tensor, Tensor]:
    """Scales that make the search independent of the data's units: of v ``(D,)`` and of s."""
    rows = moments.count.sum()
    y_scale = moments.square.sum() / rows
    if not rows or not y_scale > 0:
        raise ValueError(f"`train` must hold examples whose target is not all 0; got {int(rows)}")
    x_scale = moments.gram.diagonal(dim1=-2, dim2=-1).sum(0) / rows
    return y_scale / torch.where(x_scale > 0, x_scale, 1.0), y_scale
