"""`Concatenated`, and what the core does to a Distribution before it uses it."""

import math
from typing import Any

import pytest
import torch
from torch.distributions import (
    Gamma,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    Poisson,
)

import vmtl_core as vmtl
from vmtl_core.distributions import concatenate, example, widen

LEFT = Normal(torch.tensor([0.0, 1.0]).double(), torch.tensor([0.5, 2.0]).double())
RIGHT = Laplace(torch.tensor([3.0]).double(), torch.tensor([0.7]).double())
BOTH = vmtl.Concatenated([LEFT, RIGHT])


def joined(of: Any) -> torch.Tensor:
    return torch.cat([of(LEFT), of(RIGHT)], -1)


def test_every_part_in_its_place() -> None:
    """(2.4) moments, entropies and densities of the parts, in order."""
    value = torch.randn(4, 3)
    assert (BOTH.batch_shape, BOTH.event_shape) == ((3,), ())
    torch.testing.assert_close(BOTH.mean, joined(lambda d: d.mean))
    torch.testing.assert_close(BOTH.variance, joined(lambda d: d.variance))
    torch.testing.assert_close(BOTH.entropy(), joined(lambda d: d.entropy()))
    parts = torch.cat([LEFT.log_prob(value[:, :2]), RIGHT.log_prob(value[:, 2:])], -1)
    torch.testing.assert_close(BOTH.log_prob(value), parts)


def test_vectors_in_their_place() -> None:
    """(2.4) with an event dimension, the parts still stand along the batch."""
    left = Independent(Normal(torch.randn(2, 3), 1.0), 1)
    right = Independent(Laplace(torch.randn(1, 3), 1.0), 1)
    both, value = vmtl.Concatenated([left, right]), torch.randn(4, 3, 3)
    assert (both.batch_shape, both.event_shape) == ((3,), (3,))
    parts = torch.cat([left.log_prob(value[:, :2]), right.log_prob(value[:, 2:])], -1)
    torch.testing.assert_close(both.log_prob(value), parts)
    torch.testing.assert_close(both.mean, torch.cat([left.mean, right.mean], 0))
    torch.testing.assert_close(both.entropy(), torch.cat([left.entropy(), right.entropy()]))
    assert both.sample((5,)).shape == both.rsample((5,)).shape == (5, 3, 3)


def test_expanded() -> None:
    """(2.4) leading dimensions only: the parts keep their widths."""
    wide = BOTH.expand(torch.Size((4, 3)))
    assert wide.batch_shape == (4, 3)
    torch.testing.assert_close(wide.mean, BOTH.mean.expand(4, 3))
    assert len(wide.sample().flatten().unique()) == 12
    deep = wide.expand(torch.Size((2, 4, 3)))
    assert deep.batch_shape == (2, 4, 3)
    torch.testing.assert_close(deep.mean, BOTH.mean.expand(2, 4, 3))


def test_draws_carry_a_gradient_only_where_every_part_can() -> None:
    """(2.4) one part without a reparameterised sampler, and the whole has none; it still draws."""
    assert BOTH.has_rsample
    counts = vmtl.Concatenated([Gamma(torch.ones(2), 1.0), Poisson(torch.full((1,), 50.0))])
    assert not counts.has_rsample
    draws = counts.sample((200,))
    assert draws.shape == (200, 3)
    assert draws[:, 2].mean() > 40 > draws[:, :2].mean()
    loc = torch.zeros(2, requires_grad=True)
    free = vmtl.Concatenated([Normal(loc, 1.0), RIGHT])
    assert free.rsample((3,)).requires_grad
    assert not free.sample((3,)).requires_grad
    torch.manual_seed(2)
    first = free.rsample((3,))
    torch.manual_seed(2)
    assert torch.equal(first, free.sample((3,)))


def test_gaussians_stay_one_gaussian() -> None:
    """(4.8) so that the fast formulas apply; with another family they are Concatenated."""
    diagonal = Independent(Normal(torch.zeros(2, 3), 1.0), 1)
    full = MultivariateNormal(torch.ones(1, 3), scale_tril=torch.eye(3)[None])
    assert isinstance(concatenate([diagonal, diagonal]), Independent)
    assert isinstance(concatenate([diagonal, full]), MultivariateNormal)
    laplace = Independent(Laplace(torch.zeros(1, 3), 1.0), 1)
    assert isinstance(concatenate([diagonal, full, laplace]), vmtl.Concatenated)


@pytest.mark.parametrize("family", [Normal, Laplace])
def test_looking_for_the_dtype_moves_no_stream(family: Any) -> None:
    """Nothing is drawn from the user's stream when a model is made, and no gradient is kept."""
    loc = torch.zeros(2, 3, dtype=torch.float32, requires_grad=True)
    q = Independent(family(loc, torch.ones(2, 3, dtype=torch.float32)), 1)
    state = torch.get_rng_state()
    assert example(q).dtype == torch.float32
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), lambda: q, task_sizes=[3, 3], sources="joint", transfer=None
    )
    assert torch.equal(state, torch.get_rng_state())
    assert model.prior.mixing.logits.dtype == torch.float32
    assert family is Normal or not example(q).requires_grad


def test_a_failed_cholesky_is_nan() -> None:
    """(2.6) where a covariance is not positive definite the factor is NaN, and `fit` stops there."""
    factors = torch.stack([torch.eye(2), torch.zeros(2, 2)])
    q = MultivariateNormal(torch.zeros(2, 2), scale_tril=factors, validate_args=False)
    wide: Any = widen(q, torch.tensor(0.0))
    torch.testing.assert_close(wide.scale_tril[0], torch.eye(2))
    assert torch.isnan(wide.scale_tril[1]).all()
    kl = vmtl.pairwise_kl(q, wide)
    assert torch.isnan(kl[:, 1]).all()
    assert kl[0, 0].item() == pytest.approx(0)


def test_messages_name_the_right_side() -> None:
    """What is wrong is called by its name, and measured against the other."""
    q, p = (
        Independent(Normal(torch.zeros(1, 2), 1.0), 1),
        Independent(Normal(torch.zeros(1, 3), 1.0), 1),
    )
    message = r"must have the event shape of `q`, \(2,\); got \(3,\)"
    for call in (vmtl.pairwise_kl, vmtl.kl_monte_carlo):
        with pytest.raises(ValueError, match="`p` " + message):
            call(q, p)
    with pytest.raises(ValueError, match="`components` " + message):
        vmtl.kl_to_mixture(q, p, torch.zeros(1))


@pytest.mark.parametrize("total", [0.99, 1.01])
def test_weights_that_do_not_sum_to_one(total: float) -> None:
    """(2.4) a hundredth too much or too little is refused, rounding isn't."""
    log_weights = torch.tensor([[0.5, 0.5], [0.5, total - 0.5]]).log()
    message = f"1 of 2 rows sum to another, the first to {total}"
    with pytest.raises(ValueError, match=message):
        vmtl.mixture_prior(LEFT, log_weights)
    for method in ("monte_carlo", "jensen", "convex", "lower_bound", "weighted_sum"):
        with pytest.raises(ValueError, match=message):
            vmtl.kl_to_mixture(LEFT, LEFT, log_weights, method)
    rounded = torch.tensor([0.5, 0.5 + 1e-5]).log()
    assert math.isfinite(vmtl.kl_to_mixture(LEFT, LEFT, rounded).sum())


def test_columns_draw_along_a_path() -> None:
    """(9.7) reparameterised draws of a matrix carry the gradient of means and factors."""
    loc = torch.zeros(2, 3, 2, requires_grad=True)
    factor = torch.eye(3).expand(2, 2, 3, 3).clone().requires_grad_()
    columns = vmtl.GaussianColumns(loc, factor)
    draws = columns.rsample((5,))
    assert draws.shape == (5, 2, 3, 2)
    draws.square().sum().backward()
    assert loc.grad is not None
    assert factor.grad is not None
    assert loc.grad.all()
    assert factor.grad.diagonal(dim1=-2, dim2=-1).all()
    assert not columns.sample((5,)).requires_grad
