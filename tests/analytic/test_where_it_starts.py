"""What an unfitted model is: every default starting value, in numbers."""

import math
from typing import Any

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

import vmtl_core as vmtl


def prior(**options: Any) -> Any:
    return vmtl.WeightsPrior(3, (2,), **options)


def full(*shape: int, value: float) -> torch.Tensor:
    return torch.full(shape, value)


def test_base_priors() -> None:
    """(2.4) learned: N(0, .3^2), free; standard: N(0, 1), fixed."""
    for kind, sd in (("learned", 0.3), ("standard", 1.0)):
        base = prior(base_prior=kind).base
        q = base()
        assert (q.batch_shape, q.event_shape) == ((1,), (2,))
        torch.testing.assert_close(q.mean, torch.zeros(1, 2))
        torch.testing.assert_close(q.stddev, full(1, 2, value=sd))
        assert [p.requires_grad for p in base.parameters()] == [kind == "learned"] * 2


def test_widths() -> None:
    """(2.6), (12.5) learned: .3; stationary, of p_0's sd: 1; both one a coordinate; a number stays."""
    torch.testing.assert_close(prior(transfer="learned").width(), full(2, value=0.3))
    torch.testing.assert_close(prior(transfer="stationary").width(), full(2, value=1.0))
    torch.testing.assert_close(prior(transfer=0.4).width(), torch.tensor(0.4))
    found = [prior(transfer=t).log_width.requires_grad for t in ("learned", "stationary", 0.4)]
    assert found == [True, True, False]
    assert prior(transfer=None).width() is None
    assert vmtl.WeightsPrior(3, (2,)).stationary


def test_weights() -> None:
    """(2.1) mean 0, sd .3."""
    q = vmtl.GaussianWeights(2, (3,))()
    torch.testing.assert_close(q.mean, torch.zeros(2, 3))
    torch.testing.assert_close(q.stddev, full(2, 3, value=0.3))


def test_columns_have_covariances_of_their_own() -> None:
    """(2.1) one factor for each column of a matrix, one for a vector."""
    for shape, columns in (((3,), 1), ((3, 2), 2), ((2, 4), 4)):
        weights = vmtl.GaussianWeights(2, shape)
        assert weights.below is not None
        assert weights.below.shape == (2, columns, shape[0], shape[0])


@pytest.mark.parametrize(
    ("tasks", "shape", "is_full"),
    [
        (2, (256,), True),
        (2, (257,), False),
        (152, (256,), True),
        (153, (256,), False),  # 153 * 256^2 > 10^7
        (2, (3, 4), True),
        (2, (257, 1), False),
        (2, (2, 2, 2), False),
        (2, (), False),
    ],
)
def test_full_covariance_where_it_is_small(
    tasks: int, shape: tuple[int, ...], is_full: bool
) -> None:
    """(2.1) up to 256 rows, and ten million numbers in all."""
    with torch.device("meta"):
        weights = vmtl.GaussianWeights(tasks, shape)
    assert (weights.below is not None) == is_full


def test_encoder() -> None:
    """(5.1d) sd of z .1, by default."""
    q = vmtl.GaussianEncoder(2, 3, 2, (4,))(torch.randn(5, 3))
    torch.testing.assert_close(q.stddev, full(2, 5, 2, value=0.1), atol=2e-5, rtol=0)


@pytest.mark.parametrize("hidden", [None, (), (4, 5)], ids=str)
def test_amortised(hidden: tuple[int, ...] | None) -> None:
    """(10.1a) sd .3, whatever the features; one hidden layer of 32 by default."""
    x, y = torch.randn(8, 2, 3), torch.arange(8) % 2
    task = torch.arange(8) // 4
    options: dict[str, Any] = {} if hidden is None else {"hidden": hidden}
    weights = vmtl.AmortizedWeights(x, y, task, 2, **options)
    torch.testing.assert_close(weights().stddev, full(2, 2, 2, value=0.3), atol=2e-5, rtol=0)
    widths = [m.out_features for m in weights.network if isinstance(m, torch.nn.Linear)]
    assert widths == [*((32,) if hidden is None else hidden), 4]
    assert weights().mean.abs().min() > 0


def test_class_means_of_images() -> None:
    """(10.1a) a picture is its pixels: mean of each class in each task, (T, C, pixels)."""
    x, y, task = torch.randn(9, 2, 3), torch.arange(9) % 2, torch.arange(9) // 3
    means = vmtl.AmortizedWeights(x, y, task, 2).class_means
    assert means.shape == (3, 2, 6)
    for t in range(3):
        for c in range(2):
            rows = (task == t) & (y == c)
            torch.testing.assert_close(means[t, c], x[rows].mean(0).flatten())


def test_mixing() -> None:
    """(2.4) half for the base prior, the others alike; without one all alike."""
    torch.testing.assert_close(
        prior().mixing.probabilities()[1, [0, 1, 3]], torch.tensor([0.25, 0, 0.5])
    )
    mixing = prior(base_prior=None, transfer=None).mixing
    torch.testing.assert_close(mixing.probabilities()[1], torch.tensor([0.5, 0, 0.5]))


def test_likelihood() -> None:
    """(1.1) a learned noise scale starts at 1, or where it is told; a given one is fixed."""
    for likelihood, sd, free in (
        (vmtl.LinearGaussian(), 1.0, True),
        (vmtl.LinearGaussian(initial_scale=0.4), 0.4, True),
        (vmtl.LinearGaussian(0.4), 0.4, False),
    ):
        assert likelihood.log_scale.item() == pytest.approx(math.log(sd))
        assert likelihood.log_scale.requires_grad == free


def test_objective() -> None:
    """(5.1) own sources, Jensen's bound, a learned base prior, ten draws of each, temperature 1."""
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), task_sizes=[3, 3], sources="own"
    )
    assert (model.sources, model.divergence, model.hyperprior) == ("own", "jensen", "weak")
    assert model.prior.base is not None
    assert model.prior.base.given == "learned"
    assert [model.weight_samples, model.latent_samples, model.divergence_samples] == [10] * 3
    assert [model.temperature(step) for step in (0, 10**6)] == [1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_prior_and_mixing_have_the_dtype_of_the_weights(dtype: torch.dtype) -> None:
    """(2.4) whatever torch's default is when the model is made."""
    weights, encoder = vmtl.GaussianWeights(2, (2,)).to(dtype), vmtl.GaussianEncoder(2, 2, 2)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(0.5), weights, encoder.to(dtype), task_sizes=[3, 3], sources="own"
    )
    assert model.latent_mixing is not None
    mixing = [*model.prior.parameters(), *model.latent_mixing.parameters()]
    assert {p.dtype for p in mixing} == {dtype}
    given = Independent(Normal(torch.zeros(2), 1.0), 1)
    correlated = MultivariateNormal(torch.zeros(2), scale_tril=torch.eye(2))
    for base in (given, correlated):
        found = vmtl.MultiTaskELBO(
            vmtl.LinearGaussian(),
            weights,
            task_sizes=[3, 3],
            base_prior=base,
            transfer=None,
            sources="own",
        )
        assert found.prior.anchor((2,)).mean.dtype == dtype
        assert found.weights_prior().mean.dtype == dtype
