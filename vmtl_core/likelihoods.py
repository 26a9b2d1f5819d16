"""Ready-made p(y|z, w). Each is called once for the whole grid of samples.

z has shape (L, 1, B, D) and w (1, M, B, ...), already gathered per row; the result is a
Distribution of batch shape (L, M, B). If w has D + 1 rows, the last one is the intercept.
Any callable with these shapes serves as well.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, Normal

from vmtl_core._checks import broadcastable, one_dtype, positive_scale, require


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


class LinearGaussian(nn.Module):
    """y ~ N(z^T w, sigma^2), one noise scale sigma for all tasks. Equation (1.1).

    With w of event shape (D, P), y has P columns that are independent given z and w.

    Args:
        scale: sigma, in units of y, fixed; learned if None.
        initial_scale: where a learned sigma starts.
    """

    def __init__(self, scale: float | None = None, initial_scale: float = 1.0):
        super().__init__()
        value = initial_scale if scale is None else scale
        value = positive_scale("initial_scale" if scale is None else "scale", value)
        log_scale = torch.tensor(math.log(value))
        self.log_scale = nn.Parameter(log_scale, requires_grad=scale is None)

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        mean = linear(z, w)
        normal = Normal(mean, self.log_scale.exp().expand_as(mean), validate_args=False)
        return Independent(normal, 1, validate_args=False) if w.ndim == 5 else normal


class LinearBernoulli(nn.Module):
    """y in {0, 1} with log odds z^T w: logistic regression. Equation (1.1)."""

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        require(
            w.ndim == 4,
            f"`weights` must have event shape (D,) for LinearBernoulli; got {tuple(w.shape[3:])}",
        )
        return Bernoulli(logits=linear(z, w), validate_args=False)


class LinearCategorical(nn.Module):
    """y in {0...C-1} with logits z^T w, w of event shape (D, C) or (D + 1, C). Equation (1.1)."""

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        require(
            w.ndim == 5,
            "`weights` must have event shape (D, classes) for LinearCategorical; "
            f"got {tuple(w.shape[3:])}",
        )
        return Categorical(logits=linear(z, w), validate_args=False)


Grid = list[tuple[Tensor | slice, Distribution]]


def likelihood_grid(likelihood: Any, z: Tensor, w: Tensor, task: Tensor) -> Grid:
    """p(y|z, w) on the grid of samples: pairs of rows and a Distribution of batch shape (L, M, B).

    One pair with all rows for a single likelihood; one for each task that is present, with the
    positions of its rows, for a list of likelihoods.

    Raises:
        ValueError: if a likelihood returns anything but a Distribution of batch shape (L, M, B).
    """
    if not isinstance(likelihood, list):
        return [(slice(None), _evaluate(likelihood, z, w, "likelihood"))]
    grid: Grid = []
    for t, one in enumerate(likelihood):
        rows = (task == t).nonzero().flatten()
        if len(rows):
            name = f"likelihood[{t}]"
            grid.append((rows, _evaluate(one, z[:, :, rows], w[:, :, rows], name)))
    return grid


def _evaluate(likelihood: Any, z: Tensor, w: Tensor, name: str) -> Distribution:
    dist = likelihood(z, w)
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
        each = dist.log_prob(y[rows]).mean((0, 1))
        result = each if isinstance(rows, slice) else result.index_copy(0, rows, each)
    return result


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
