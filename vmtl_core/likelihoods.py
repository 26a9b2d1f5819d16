"""Ready-made p(y|z, w). Each is called once for the whole grid of samples.

z has shape (L, 1, B, D) and w (1, M, B, ...), already gathered per row; the result is a
Distribution of batch shape (L, M, B). If w has D + 1 rows, the last one is the intercept.
Any callable with these shapes serves as well.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    Normal,
    Poisson,
)

from vmtl_core._checks import broadcastable, one_dtype, positive_int, positive_scale, require, room
from vmtl_core._precision import outside_autocast, single
from vmtl_core._settings import KeepsSettings
from vmtl_core.expectations import expected_log_normaliser, expected_softplus
from vmtl_core.mixing import log_normal_density

TASK_NOISE_SD = 0.5
"""With a noise scale for each task: the sd of their logarithms about the mean."""


@outside_autocast
def linear(z: Tensor, w: Tensor) -> Tensor:
    r"""z^T w for every pair of samples, shape (L, M, B), or (L, M, B, P) if w has P columns.

    Args:
        z: shape (L, 1, B, D).
        w: shape (1, M, B, D), or D + 1 with the intercept last; (1, M, B, D, P) for P outputs.

    Raises:
        ValueError: if the sizes don't fit, or not both are of one floating-point dtype.
    """
    one_dtype("z", z, "weights", w)
    require(
        z.ndim == 4,
        "`z` (`x`, without latents) must be one vector for each row, shape (N, D); got rows of "
        f"shape {tuple(z.shape[3:])}",
    )
    require(
        w.ndim in (4, 5),
        f"`weights` must have event shape (D,) or (D, outputs); got {tuple(w.shape[3:])}",
    )
    features, rows = z.shape[3], w.shape[3]
    require(
        rows in (features, features + 1),
        f"`weights` must have {features} rows, one for each feature of `z` (`x`, without latents), "
        f"or {features + 1} with an intercept; got {rows}",
    )
    rows_of_both = tuple(z.shape[:3]), tuple(w.shape[:3])
    require(
        broadcastable(*rows_of_both),
        f"`z` and `weights` must have shapes (L, 1, B, ...), (1, M, B, ...); got {rows_of_both}",
    )
    equation = "lmbd,lmbdp->lmbp" if w.ndim == 5 else "lmbd,lmbd->lmb"
    result = torch.einsum(equation, z, w.narrow(3, 0, features))
    return result if rows == features else result + w.select(3, features)


class LinearGaussian(KeepsSettings):
    """y ~ N(z^T w, sigma^2), one noise scale sigma for all tasks or one for each. Equation (1.1).

    With w of event shape (D, P), y has P columns that are independent given z and w.

    Args:
        scale: sigma, in units of y, fixed; learned if None.
        initial_scale: where a learned sigma starts.
        tasks: T for a sigma of every task's own, drawn towards each other by the hyperprior; None
            for one that all share.
    """

    unit: Tensor

    def __init__(
        self,
        scale: float | None = None,
        initial_scale: float = 1.0,
        tasks: int | None = None,
    ):
        super().__init__()
        value = initial_scale if scale is None else scale
        value = positive_scale("initial_scale" if scale is None else "scale", value)
        shape = () if tasks is None else (positive_int("tasks", tasks, least=2),)
        room("`tasks`", *shape)
        log_scale = torch.full(shape, math.log(value))
        self.log_scale = nn.Parameter(log_scale, requires_grad=scale is None)
        self.register_buffer("unit", torch.zeros(()))
        self.scale = None if scale is None else float(value)

    def settings(self) -> dict[str, Any]:
        """What `state_dict` carries beside the parameters."""
        return {"scale": self.scale}

    @property
    def per_task(self) -> bool:
        """Whether every task has a sigma of its own; such a likelihood is told the rows' tasks."""
        return self.log_scale.ndim > 0

    def forward(self, z: Tensor, w: Tensor, task: Tensor | None = None) -> Distribution:
        mean = linear(z, w)
        scale = self.row_log_scale(task).exp()
        if w.ndim == 5:
            scale = scale.unsqueeze(-1)
        normal = Normal(mean, scale.expand_as(mean), validate_args=False)
        return Independent(normal, 1, validate_args=False) if w.ndim == 5 else normal

    def row_log_scale(self, task: Tensor | None) -> Tensor:
        """log sigma: a scalar, or that of every row's task, (B,)."""
        if not self.per_task:
            return self.log_scale
        require(task is not None, "`task` must be given to a likelihood with a scale for each task")
        return self.log_scale[task]

    def expected_log_prob(
        self, mean: Tensor, variance: Tensor, y: Tensor, task: Tensor | None = None
    ) -> Tensor:
        """E log p(y|eta) of every row, eta ~ N(mean, variance), exact, (B,). Equation (5.12)."""
        log_scale = self.row_log_scale(task)
        if y.ndim == 2:
            log_scale = log_scale.unsqueeze(-1)
        square = ((y - mean).square() + variance) * (-2 * log_scale).exp()
        each = -0.5 * square - log_scale - 0.5 * math.log(2 * math.pi)
        return each.sum(-1) if y.ndim == 2 else each

    def log_hyperprior(self) -> Tensor:
        """Log density of the weak hyperprior of a learned sigma, a scalar. Equation (5.6).

        Half-normal of scale 1 in units of y's spread (1 until `fit` has seen the data), as a
        density of log sigma. With a sigma for each task it holds for their geometric mean, and
        log sigma_t is N(0, 1/4) about that.
        """
        if not self.log_scale.requires_grad:
            return torch.zeros_like(self.unit)
        centre = self.log_scale.mean() - self.unit
        total = centre - (2 * centre).exp() / 2 + 0.5 * math.log(2 / math.pi)
        if not self.per_task:
            return total
        return total + log_normal_density(self.log_scale - self.log_scale.mean(), TASK_NOISE_SD)


class LinearBernoulli(nn.Module):
    """y in {0, 1} with log odds z^T w: logistic regression. Equation (1.1)."""

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        require(
            w.ndim == 4,
            f"`weights` must have event shape (D,) for LinearBernoulli; got {tuple(w.shape[3:])}",
        )
        return Bernoulli(logits=linear(z, w), validate_args=False)

    def expected_log_prob(self, mean: Tensor, variance: Tensor | None, y: Tensor) -> Tensor:
        """E log p(y|eta) of every row, eta ~ N(mean, variance), by quadrature, (B,).

        Without a variance, that at the mean; so for counts and classes.
        """
        return y * mean - expected_softplus(mean, variance)


class LinearPoisson(nn.Module):
    """y in {0, 1, 2, ...}, a count with log rate z^T w: Poisson regression. Equation (1.1).

    w has event shape (D,), or (D + 1,) with the intercept last.
    """

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        require(
            w.ndim == 4,
            f"`weights` must have event shape (D,) for LinearPoisson; got {tuple(w.shape[3:])}",
        )
        return Poisson(linear(z, w).exp(), validate_args=False)

    def expected_log_prob(self, mean: Tensor, variance: Tensor | None, y: Tensor) -> Tensor:
        """E log p(y|eta) of every row, eta ~ N(mean, variance), exact, (B,)."""
        log_rate = mean if variance is None else mean + 0.5 * variance
        return y * mean - log_rate.exp() - torch.lgamma(y + 1)


class LinearCategorical(nn.Module):
    """y in {0...C-1} with logits z^T w, w of event shape (D, C) or (D + 1, C). Equation (1.1)."""

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        require(
            w.ndim == 5,
            "`weights` must have event shape (D, classes) for LinearCategorical; "
            f"got {tuple(w.shape[3:])}",
        )
        return Categorical(logits=linear(z, w), validate_args=False)

    def expected_log_prob(self, mean: Tensor, variance: Tensor | None, y: Tensor) -> Tensor:
        """E log p(y|eta) of every row, eta_c ~ N(mean_c, variance_c), by fixed nodes, (B,)."""
        label = y.long().expand(mean.shape[:-1]).unsqueeze(-1)
        chosen = mean.gather(-1, label).squeeze(-1)
        return chosen - expected_log_normaliser(mean, variance)


Grid = list[tuple[Tensor | slice, Distribution]]


def likelihood_grid(likelihood: Any, z: Tensor, w: Tensor, task: Tensor) -> Grid:
    """p(y|z, w) on the grid of samples: pairs of rows and a Distribution of batch shape (L, M, B).

    One pair with all rows for a single likelihood; one for each task that is present, with the
    positions of its rows, for a list of likelihoods.

    Raises:
        ValueError: if a likelihood returns anything but a Distribution of batch shape (L, M, B).
    """
    if not isinstance(likelihood, list):
        return [(slice(None), _evaluate(likelihood, z, w, "likelihood", task))]
    grid: Grid = []
    for t, one in enumerate(likelihood):
        rows = (task == t).nonzero().flatten()
        if len(rows):
            name = f"likelihood[{t}]"
            grid.append((rows, _evaluate(one, z[:, :, rows], w[:, :, rows], name, task[rows])))
    return grid


def _evaluate(
    likelihood: Any, z: Tensor, w: Tensor, name: str, task: Tensor | None = None
) -> Distribution:
    per_task = getattr(likelihood, "per_task", False)
    dist = likelihood(z, w, task) if per_task else likelihood(z, w)
    wanted = (z.shape[0], w.shape[1], z.shape[2])
    found = tuple(dist.batch_shape) if isinstance(dist, Distribution) else type(dist).__name__
    require(
        found == wanted,
        f"`{name}` must return a Distribution of batch shape (L, M, B) = {wanted}; got {found}",
    )
    return dist


def expected_log_likelihood(
    likelihood: Any, z: Tensor, w: Tensor, y: Tensor, task: Tensor, validate: bool = True
) -> Tensor:
    r"""Mean of log p(y_n|z, w) over the full L x M grid of samples, for each row, shape (B,).

    Equation (5.2): $\frac{1}{ML} \sum_{l=1}^{L} \sum_{m=1}^{M} \log p(y_n|z_n^{(l)}, w^{(m)})$.

    Args:
        likelihood: callable, or a list of one per task.
        z: shape (L, 1, B, ...).
        w: shape (1, M, B, ...).
        y: shape (B, ...).
        task: shape (B,).
        validate: whether to check that y fits the likelihood's shape and support.

    Raises:
        ValueError: if y has another shape than the likelihood's events, or values outside its
            support.
    """
    y = y.to(w.dtype)
    result = w.new_zeros(len(y))
    for rows, dist in likelihood_grid(likelihood, z, w, task):
        if validate and not torch.compiler.is_compiling():
            check_targets(dist, y[rows])
        each = single(dist.log_prob(y[rows])).mean((0, 1))
        result = each if isinstance(rows, slice) else result.index_copy(0, rows, each)
    return result


@outside_autocast
def exact_log_likelihood(
    likelihood: Any,
    x: Tensor,
    w: Tensor,
    moments: tuple[Tensor, Tensor],
    y: Tensor,
    task: Tensor,
    validate: bool = True,
) -> Tensor:
    """E log p(y_n|x_n'w) of each row by the likelihoods' `expected_log_prob`, (B,). Equation (5.12).

    Args:
        likelihood: one of ours, or a list of one per task.
        x: inputs, (B, D).
        w: any weights of the rows, (1, 1, B, ...): the checks look at the likelihood there.
        moments: mean and variance of each row's predictor, (B,) or (B, P).
        y, task, validate: as in `expected_log_likelihood`.
    """
    mean, variance = moments
    y, x = y.to(w.dtype), x.to(w.dtype)
    if validate and not torch.compiler.is_compiling():
        with torch.no_grad():
            for rows, dist in likelihood_grid(likelihood, x[None, None], w, task):
                check_targets(dist, y[rows])
    if not isinstance(likelihood, list):
        return _expected(likelihood, mean, variance, y, task)
    result = mean.new_zeros(len(y))
    for t, one in enumerate(likelihood):
        rows = (task == t).nonzero().flatten()
        if len(rows):
            each = _expected(one, mean[rows], variance[rows], y[rows], task[rows])
            result = result.index_copy(0, rows, each)
    return result


def _expected(one: Any, mean: Tensor, variance: Tensor, y: Tensor, task: Tensor) -> Tensor:
    told = (task,) if getattr(one, "per_task", False) else ()
    return one.expected_log_prob(mean, variance, y, *told)


def check_targets(dist: Distribution, y: Tensor) -> None:
    """Raise unless y has the shape of the likelihood's events and lies in its support."""
    require(
        y.shape[1:] == dist.event_shape,
        f"`y` must have shape (N,) + {tuple(dist.event_shape)} for this likelihood; "
        f"got {tuple(y.shape)}",
    )
    check_support("y", dist, y)


def check_support(name: str, dist: Distribution, value: Tensor) -> None:
    """Raise unless values of shape (N, *event) lie in the support of `dist`, batch shape (..., N)."""
    try:
        support: Any = dist.support
    except NotImplementedError:  # a Distribution of the user's that doesn't say
        return
    inside = support.check(value).reshape(-1, len(value)).all(0)
    bad = value[~inside].unique().tolist()
    require(not bad, f"`{name}` must lie in the likelihood's support ({support}); got {bad[:10]}")


OURS = (LinearGaussian, LinearBernoulli, LinearPoisson, LinearCategorical)
"""Likelihoods that the closed form knows."""
BOUNDS = ("jensen", "convex")
"""Divergences whose best Gaussian it knows."""


def ours(likelihood: Any) -> bool:
    """Whether the closed form knows a likelihood: one of ours, or made of one and saying so."""
    return type(likelihood) in OURS or getattr(likelihood, "closed_form", False)
