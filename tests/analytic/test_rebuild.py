"""A Distribution with other parameters is the same family with all of its arguments, or an error."""

from typing import Any

import pytest
import torch
from torch import Size, Tensor
from torch.distributions import (
    AffineTransform,
    Bernoulli,
    Binomial,
    Categorical,
    ContinuousBernoulli,
    Distribution,
    ExpTransform,
    Independent,
    LKJCholesky,
    LogisticNormal,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    Multinomial,
    MultivariateNormal,
    NegativeBinomial,
    Normal,
    OneHotCategorical,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
    StudentT,
    TransformedDistribution,
    Uniform,
    VonMises,
    Wishart,
    constraints,
)

import vmtl_core as vmtl
from vmtl_core.distributions import can_rebuild, expanded, map_parameters


class Tempered(Normal):
    """A Normal whose log density is multiplied by a number: one argument more."""

    def __init__(self, loc: Tensor, scale: Tensor, power: float, validate_args: Any = None):
        self.power = power
        super().__init__(loc, scale, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.power * super().log_prob(value)


class Renamed(Normal):
    """Keeps its argument under another name."""

    def __init__(self, loc: Tensor, scale: Tensor, power: float, validate_args: Any = None):
        self.exponent = power
        super().__init__(loc, scale, validate_args=validate_args)


class Widened(Normal):
    """Keeps something else than it was given: called again, it would widen twice."""

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: Any = None):
        super().__init__(loc, 2 * scale, validate_args=validate_args)


class Shifted(Normal):
    """A tensor that `arg_constraints` doesn't list."""

    def __init__(self, loc: Tensor, scale: Tensor, shift: Tensor, validate_args: Any = None):
        self.shift = shift
        super().__init__(loc + 0 * shift, scale, validate_args=validate_args)


class Listed(Shifted):
    """The same tensor, listed."""

    arg_constraints = {**Normal.arg_constraints, "shift": constraints.real}

    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value) + self.shift


class Anything(Normal):
    """A constructor that doesn't say what it takes."""

    def __init__(self, **options: Any):
        super().__init__(**options)


def positive(*event: int) -> Tensor:
    """Different numbers for a batch of (3, 2)."""
    size = Size((3, 2, *event))
    return 0.3 + (torch.arange(size.numel()) * 0.618 % 1).view(size)


FAMILIES: dict[str, Distribution] = {
    "Bernoulli of probabilities": Bernoulli(probs=torch.tensor([[0.0, 0.2], [0.4, 1], [0.3, 0.6]])),
    "Binomial": Binomial(torch.tensor([[3.0, 4], [5, 6], [7, 8]]), logits=positive()),
    "Categorical of probabilities": Categorical(probs=positive(4)),
    "ContinuousBernoulli": ContinuousBernoulli(probs=positive() / 2, lims=(0.4, 0.6)),
    "LKJCholesky": LKJCholesky(3, positive()),
    "LogisticNormal": LogisticNormal(positive(2), positive(2)),
    "low rank": LowRankMultivariateNormal(positive(4), positive(4, 2), positive(4)),
    "one factor for all": MultivariateNormal(positive(3), scale_tril=torch.eye(3) * 2),
    "mixture": MixtureSameFamily(Categorical(positive(4)), Normal(positive(4), positive(4))),
    "Multinomial": Multinomial(10, logits=positive(4)),
    "NegativeBinomial": NegativeBinomial(positive(), logits=positive()),
    "OneHotCategorical": OneHotCategorical(probs=positive(4)),
    "RelaxedBernoulli": RelaxedBernoulli(torch.tensor(0.7), logits=positive()),
    "RelaxedOneHotCategorical": RelaxedOneHotCategorical(torch.tensor(0.3), logits=positive(4)),
    "StudentT": StudentT(positive() + 3, positive(), positive()),
    "transformed": TransformedDistribution(
        Independent(Normal(positive(2), positive(2)), 1),
        [AffineTransform(1.0, 2.0), ExpTransform()],
    ),
    "Uniform": Uniform(-positive(), positive()),
    "VonMises": VonMises(positive(), positive()),
    "Wishart": Wishart(positive() + 4, covariance_matrix=torch.eye(3).expand(3, 2, 3, 3) * 2.0),
    "an argument more": Tempered(positive(), positive(), 3.0),
    "a tensor more": Listed(positive(), positive(), positive()),
}


@pytest.mark.filterwarnings("ignore:Singular sample")  # torch's Wishart, of a draw it repeats
@pytest.mark.parametrize("name", FAMILIES)
def test_indexing_keeps_family_and_arguments(name: str) -> None:
    dist = FAMILIES[name]
    pick = (torch.tensor([2, 0]), torch.tensor([1, 1]))
    part = map_parameters(dist, lambda t: t[pick])
    value = dist.sample()
    assert type(part) is type(dist)
    assert part.batch_shape == (2,)
    assert part.event_shape == dist.event_shape
    torch.testing.assert_close(part.log_prob(value[pick]), dist.log_prob(value)[pick])
    wide = expanded(dist, Size((4, 3, 2)))
    torch.testing.assert_close(wide.log_prob(value), dist.log_prob(value).expand(4, 3, 2))


@pytest.mark.parametrize(
    ("dist", "why"),
    [
        (Renamed(positive(), positive(), 3.0), "`power` is kept under no attribute"),
        (Widened(positive(), positive()), "changes `scale`"),
        (Shifted(positive(), positive(), positive()), "`shift` is a tensor that `arg_constraints`"),
        (Anything(loc=positive(), scale=positive()), "options"),
        (
            TransformedDistribution(
                Normal(positive(), positive()), [AffineTransform(positive(), 2.0)]
            ),
            "`transforms` is a list",
        ),
        (
            MixtureSameFamily(Categorical(torch.ones(4)), Normal(positive(4), 1.0)),
            r"`mixture_distribution` has batch shape \(\)",
        ),
    ],
    ids=["another name", "changed", "not listed", "anything", "tensors inside", "one mixture"],
)
def test_what_can_not_be_rebuilt_says_why(dist: Distribution, why: str) -> None:
    assert not can_rebuild(dist)
    with pytest.raises(ValueError, match=why) as found:
        map_parameters(dist, torch.detach)
    for name in (type(dist).__name__, "`likelihood`", "`latents`", "`weights`", "joint"):
        assert name in str(found.value)


def test_a_temperature_is_detached_too() -> None:
    heat = torch.tensor(0.5, requires_grad=True)
    fixed = map_parameters(RelaxedBernoulli(heat, logits=positive()), torch.detach)
    assert not fixed.log_prob(fixed.sample()).requires_grad


def test_zero_probability_stays_zero() -> None:
    """Rebuilt from logits a probability of 0 would be one of 1e-7 or 1e-16."""
    never = map_parameters(Bernoulli(probs=torch.zeros(2)), lambda t: t[:1])
    assert never.probs.item() == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 10])
def test_samples_of_counts_sum_to_the_count(count: int) -> None:
    """Multinomial(10) as a likelihood: drawn again, it must still be of 10."""
    model = vmtl.MultiTaskELBO(
        lambda z, w: Multinomial(count, logits=vmtl.LinearCategorical()(z, w).logits),  # type: ignore[attr-defined]
        vmtl.GaussianWeights(2, (2, 3)),
        task_sizes=[3, 3],
        sources="own",
    )
    task = torch.tensor([0, 0, 0, 1, 1, 1])
    p = vmtl.predictive(model, torch.randn(6, 2), task)
    assert p.sample(Size((5,))).sum(-1).unique().tolist() == [count]


def test_weights_of_a_family_of_the_users() -> None:
    """A subclass with an argument more in a list of posteriors, and under `sources='previous'`."""
    weights: list[Distribution] = [
        Tempered(torch.full((), mean), torch.ones(()), 2.0) for mean in (0.0, 1.0)
    ]
    model = vmtl.MultiTaskELBO(
        lambda z, w: Normal(z.squeeze(-1) * w, 1.0),
        weights,
        task_sizes=[2, 2],
        sources="previous",
        base_prior=None,
        transfer=None,
        divergence="monte_carlo",
    )
    terms = model(torch.ones(4), torch.zeros(4), torch.tensor([0, 0, 1, 1]))
    assert bool(torch.isfinite(terms.kl_weights).all())
