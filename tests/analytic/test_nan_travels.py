"""NaN passes through everything inside, to where `fit` stops and says which term it is.

torch's own validation would stop it half-way with a message that names nothing of the user's, so it
is off in every Distribution that the core makes.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Beta,
    Distribution,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
)

import vmtl_core as vmtl
from vmtl_core.distributions import (
    concatenate,
    correlated,
    detach,
    gaussian,
    map_parameters,
    relax,
    widen,
)
from vmtl_core.priors import latent_components, standard_normal_like

NAN = torch.full((2, 3), math.nan)
EYE = torch.full((2, 3, 3), math.nan)
FULL = MultivariateNormal(NAN, scale_tril=EYE, validate_args=False)
DIAGONAL = Independent(Normal(NAN, NAN, validate_args=False), 1, validate_args=False)
LAPLACE = Independent(Laplace(NAN, NAN, validate_args=False), 1, validate_args=False)
COLUMNS = vmtl.GaussianColumns(NAN.reshape(2, 3, 1), EYE[:, None])
BASE = Independent(Normal(torch.zeros(1, 3), 1.0), 1)
WIDTH = torch.tensor(0.3)
ONE = torch.ones(1, 1, 2)

MADE: dict[str, Callable[[], Distribution]] = {
    "scalars": lambda: gaussian(NAN[:, :1], NAN[:, :1], ()),
    "gaussian": lambda: gaussian(NAN, NAN, (3,)),
    "correlated": lambda: correlated(NAN[:, None], EYE[:, None], (3,)),
    "columns": lambda: correlated(NAN[:, None], EYE[:, None], (3, 1)),
    "the columns alone": lambda: COLUMNS.columns,
    "rebuilt": lambda: map_parameters(LAPLACE, torch.clone),
    "detached": lambda: detach(FULL),
    "widened": lambda: widen(DIAGONAL, WIDTH),
    "widened, full": lambda: widen(FULL, WIDTH),
    "relaxed": lambda: relax(DIAGONAL, BASE, WIDTH),
    "relaxed, full": lambda: relax(FULL, BASE, WIDTH),
    "side by side": lambda: concatenate([DIAGONAL, DIAGONAL]),
    "side by side, full": lambda: concatenate([FULL, DIAGONAL]),
    "side by side, mixed": lambda: concatenate([FULL, LAPLACE]),
    "N(0, I)": lambda: standard_normal_like(LAPLACE),
    "N(0, 1)": lambda: standard_normal_like(Normal(NAN[:, 0], NAN[:, 0], validate_args=False)),
    "of latents": lambda: latent_components(DIAGONAL, base=True),
    "a mixture": lambda: vmtl.mixture_prior(DIAGONAL, torch.zeros(2).log_softmax(-1).expand(3, 2)),
    "a mixture's parts": lambda: vmtl.mixture_prior(
        LAPLACE, torch.zeros(2).log_softmax(-1).expand(3, 2)
    ).component_distribution,
    "weights": lambda: spoilt(vmtl.GaussianWeights(2, (3,)))(),
    "weights, diagonal": lambda: spoilt(vmtl.GaussianWeights(2, (3,), covariance="diagonal"))(),
    "encoder": lambda: spoilt(vmtl.GaussianEncoder(2, 3, 3))(torch.zeros(2, 3)),
    "base": lambda: spoilt(vmtl.WeightsPrior(2, (3,))).anchor((3,)),
    "normals": lambda: vmtl.LinearGaussian()(ONE[..., None], NAN[None, None, :, :1]),
    "normals of columns": lambda: vmtl.LinearGaussian()(ONE[..., None], NAN[None, None, :, :1, None]),
    "labels": lambda: vmtl.LinearBernoulli()(ONE[..., None], NAN[None, None, :, :1]),
    "classes": lambda: vmtl.LinearCategorical()(ONE[..., None], NAN[None, None, :, None]),
}  # fmt: skip


def spoilt(module: Any) -> Any:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(math.nan)
    return module


@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
def test_parameters_and_values(make: Callable[[], Distribution]) -> None:
    """(5.1) Distributions are made of NaN, and asked of NaN, without a word."""
    made = make()
    value = torch.full(made.batch_shape + made.event_shape, math.nan)
    if isinstance(made, torch.distributions.Categorical):
        value = torch.zeros(made.batch_shape)
    assert torch.isnan(made.log_prob(value)).all()


def test_a_family_with_two_parameterisations_is_rebuilt_by_one() -> None:
    """(2.6) logits or probs, one of the covariance's three: what was given is what is indexed."""
    labels = torch.distributions.Bernoulli(probs=torch.tensor([0.2, 0.7]))
    torch.testing.assert_close(map_parameters(labels, lambda t: t[1:]).mean, torch.tensor([0.7]))
    beta = Beta(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(map_parameters(beta, lambda t: t[1:]).mean, torch.tensor([2 / 6]))
    precise = MultivariateNormal(
        torch.zeros(2, 2), precision_matrix=torch.eye(2).expand(2, 2, 2) * 4
    )
    found = map_parameters(precise, lambda t: t[1:])
    torch.testing.assert_close(found.variance, torch.full((1, 2), 0.25))


def loss_of(x: Tensor, y: Tensor, **options: bool) -> Tensor:
    model = vmtl.MultiTaskELBO(
        vmtl.LinearBernoulli(), vmtl.GaussianWeights(2, (2,)), task_sizes=[2, 2], sources="own"
    )
    return model(x, y, torch.tensor([0, 0, 1, 1]), **options).loss


def test_checks_can_be_left_out() -> None:
    """(5.1) `validate=False` looks at nothing: `fit` has done so, once."""
    x, y = torch.ones(4, 2), torch.tensor([0.0, 1, 0.5, 1])
    with pytest.raises(ValueError, match="`y` must lie"):
        loss_of(x, y)
    assert torch.isfinite(loss_of(x, y, validate=False))
    x[1] = math.nan
    with pytest.raises(ValueError, match="`x` must be finite"):
        loss_of(x, torch.ones(4))
    assert torch.isnan(loss_of(x, torch.ones(4), validate=False))
