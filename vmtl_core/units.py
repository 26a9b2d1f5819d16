"""The units of a table, in which the hyperpriors of a learned base prior are stated."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from vmtl_core._precision import widest
from vmtl_core.distributions import correlated, diagonal_gaussian, full_gaussian, gaussian
from vmtl_core.likelihoods import (
    LinearBernoulli,
    LinearCategorical,
    LinearGaussian,
    LinearPoisson,
)


class Units(nn.Module):
    r"""An affine map from standard weights u to the weights w of the data, w = o + B u.

    Equation (5.13). Empty, the identity, until `fit` sets it from the data. For a table with an
    intercept, inputs of mean c_d and sd s_d and a target of mean a and sd b, the standard weights
    are those of (x_d - c_d) / s_d and (y - a) / b.
    """

    basis: Tensor | None
    offset: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", None)
        self.register_buffer("offset", None)
        self.diagonal = True

    def set(self, basis: Tensor, offset: Tensor, like: Tensor) -> None:
        """Take B, shape (P, D, D) for P columns of D weights, and o, (P, D)."""
        self.basis, self.offset = basis.to(like), offset.to(like)
        self._look()

    def clear(self) -> None:
        """Back to the identity."""
        self.basis = self.offset = None
        self.diagonal = True

    def _look(self) -> None:
        b = self.basis
        assert b is not None
        self.diagonal = bool((b == torch.diag_embed(b.diagonal(dim1=-2, dim2=-1))).all())

    def to_data(self, dist: Distribution) -> Distribution:
        """The law of w, given a Gaussian law of u."""
        if self.basis is None or self.offset is None:
            return dist
        return affine(dist, self.basis, self.offset, self.diagonal)

    def to_standard(self, dist: Distribution) -> Distribution:
        """The law of u, given a Gaussian law of w."""
        if self.basis is None or self.offset is None:
            return dist
        inverse = torch.linalg.inv(widest(self.basis)).to(self.basis)
        shift = -(inverse @ self.offset.unsqueeze(-1)).squeeze(-1)
        return affine(dist, inverse, shift, self.diagonal)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        for name in ("basis", "offset"):
            found = state_dict.get(prefix + name)
            setattr(self, name, None if found is None else torch.empty_like(found))
        super()._load_from_state_dict(state_dict, prefix, *args)
        if self.basis is None:
            self.diagonal = True
        else:
            self._look()


def affine(dist: Distribution, matrix: Tensor, shift: Tensor, diagonal: bool) -> Distribution:
    """The law of shift + matrix w for every column of a Gaussian w; matrix (P, D, D), shift (P, D).

    Other families come back as they are: what uses them next says what it wants.
    """
    parameters = diagonal_gaussian(dist)
    if diagonal and parameters is not None:
        rows = dist.event_shape[0] if dist.event_shape else 1
        size = matrix.diagonal(dim1=-2, dim2=-1)
        loc, scale = (t.unflatten(-1, (rows, -1)).mT for t in parameters)
        loc, scale = shift + size * loc, size.abs() * scale
        return gaussian(loc.mT.flatten(-2), scale.mT.flatten(-2), dist.event_shape)
    full = full_gaussian(dist)
    if full is None:
        return dist
    loc, factor = full
    loc = shift + (matrix @ loc.unsqueeze(-1)).squeeze(-1)
    return correlated(loc, triangular(matrix @ factor), dist.event_shape)


def triangular(factor: Tensor) -> Tensor:
    """The lower triangular L of positive diagonal with L L^T = factor factor^T, by QR."""
    lower = torch.linalg.qr(factor.mT).R.mT
    return lower * lower.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def unidentified(x: Tensor, rounding: float) -> dict[int, str]:
    """Columns of a design whose weights its rows can't tell apart, and why; float64, (N, D).

    Args:
        x: the design.
        rounding: what is left of a column, relative to it, counts as nothing.
    """
    varies = x.amax(0) > x.amin(0)
    constant = (~varies & (x[0] != 0)).nonzero().flatten().tolist()
    found = dict.fromkeys((~varies & (x[0] == 0)).nonzero().flatten().tolist(), "0 in every row")
    found |= {d: "constant, as another" for d in constant if len(constant) > 1}
    basis = torch.full_like(x[:, :1], len(x) ** -0.5) if constant else x[:, :0]
    enough = len(x) > x.shape[1]  # with fewer rows some always are
    for d in varies.nonzero().flatten().tolist() if enough else ():
        rest = x[:, d] - basis @ (basis.mT @ x[:, d])
        rest = rest - basis @ (basis.mT @ rest)
        if rest.norm() <= rounding * x[:, d].norm():
            found[d] = "a combination of others"
        else:
            basis = torch.cat([basis, (rest / rest.norm()).unsqueeze(1)], 1)
    return dict(sorted(found.items()))


class Measured(NamedTuple):
    """What `measure` found."""

    basis: Tensor
    """B, (P, D, D)."""
    offset: Tensor
    """o, (P, D)."""
    target_scale: float
    """b, the unit of y; 1 unless every likelihood is Gaussian."""


def design(x: Tensor, rows: int) -> Tensor:
    """Inputs (N, D) in float64, with a last column of ones where w has one row more."""
    x = widest(x)
    return F.pad(x, (0, 1), value=1.0) if rows > x.shape[1] else x


def measure(x: Tensor, y: Tensor, likelihoods: list[Any], columns: int, centre: bool) -> Measured:
    """The units of a table.

    Args:
        x: the design, shape (N, D), float64.
        y: targets, shape (N,) or (N, P).
        likelihoods: one for every task, or one in all.
        columns: P.
        centre: whether a constant column may take the other columns' means (full covariances);
            without one, or where this is False, inputs and target keep their zero, and the
            inputs share one unit, as pixels do: a column that is rarely on must not be blown up.
    """
    varies = x.amax(0) > x.amin(0)
    constant = ((~varies) & (x[0] != 0)).nonzero().flatten()
    gaussian_only = all(isinstance(one, LinearGaussian) for one in likelihoods)
    if centre and len(constant):
        one = int(constant[0])
        middle, value = x.mean(0), x[0, one]
        spread = torch.where(varies, x.std(0, correction=0), x[0].abs())
        middle = torch.where(varies, middle, 0.0)
        inputs = int(varies.sum())
        if inputs > MANY_INPUTS:
            common = spread[varies].square().mean().sqrt() * _crowd(inputs, gaussian_only)
            spread = torch.where(varies, common, spread)
        matrix = torch.diag(1 / _safe(spread))
        matrix[one] -= middle / _safe(spread) / value
        matrix[one, one] = 1 / value
        start = _start(y, likelihoods, columns) / value
        offset = x.new_zeros(columns, x.shape[1])
        offset[:, one] = start
    else:
        size = x.square().mean(0)
        common = size[size > 0].mean().sqrt() if bool((size > 0).any()) else x.new_ones(())
        matrix = torch.eye(x.shape[1]).to(x) / (
            common * _crowd(int((size > 0).sum()), gaussian_only)
        )
        offset = x.new_zeros(columns, x.shape[1])
    scale, stretch = 1.0, 1.0
    labels = any(isinstance(one, LinearBernoulli | LinearCategorical) for one in likelihoods)
    if labels and int(varies.sum()) <= MANY_INPUTS:
        stretch = LOGIT
    if gaussian_only:
        y = widest(y)
        about = y - y.mean(0) if centre and len(constant) else y
        scale = float(about.square().mean().sqrt()) or 1.0
    return Measured((scale * stretch * matrix).expand(columns, -1, -1).clone(), offset, scale)


MANY_INPUTS = 50
"""More inputs than that are taken for pixels or features in one unit, which they share: in units of
its own a pixel that is hardly ever on would be blown up."""


LOGIT = 2.5
"""The unit of log odds an input's sd may make: coefficients of several are common, of ten are not.

References:
    Gelman, Jakulin, Pittau, Su, *A Weakly Informative Default Prior Distribution for Logistic and Other
    Regression Models*, 2008.
"""


def _crowd(inputs: int, numbers: bool) -> float:
    """By how much many inputs shrink where the target is a number: to rows of length 1.

    The prior of a predictor would otherwise be sqrt(D) times as wide as the target.
    """
    return inputs**0.5 if numbers and inputs > MANY_INPUTS else 1.0


def _safe(spread: Tensor) -> Tensor:
    return torch.where(spread > 0, spread, 1.0)


def _start(y: Tensor, likelihoods: list[Any], columns: int) -> Tensor:
    """The intercept of a model without inputs, for each column (P,); 0 for mixed likelihoods."""
    y = widest(y)
    kinds = {type(one) for one in likelihoods}
    if kinds == {LinearGaussian}:
        return y.reshape(len(y), -1).mean(0).expand(columns)
    if kinds == {LinearBernoulli}:
        return ((y.sum() + 1) / (len(y) + 2)).logit().expand(columns)
    if kinds == {LinearPoisson}:
        return ((y.sum() + 0.5) / len(y)).log().expand(columns)
    if kinds == {LinearCategorical}:
        share = (torch.bincount(y.long(), minlength=columns) + 1.0).log().to(y)
        return share - share.mean()
    return y.new_zeros(columns)
