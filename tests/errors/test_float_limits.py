"""At the limits of floats, under autocast and for small integers: the limit or the right value."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Categorical, Distribution, MultivariateNormal, Normal

import vmtl_core as vmtl
from vmtl_core._checks import long_format
from vmtl_core.distributions import relax, widen
from vmtl_core.posteriors import inverse_softplus

SMALL = (torch.int8, torch.int16, torch.int32, torch.uint8, torch.uint16)
Q = Normal(torch.tensor([0.0, 1e-25]), torch.tensor([1e-25, 3e-25]))
WANTED = torch.tensor([[0.0, math.log(3) - 1 / 2 + 1 / 9], [9 / 2 - math.log(3), 0.0]])
"""KL(Q_a || Q_k): the numbers of N(0, 1) and N(1, 9)."""


def full(dist: Normal) -> MultivariateNormal:
    """The same as vectors of one number, by a factor."""
    return MultivariateNormal(dist.loc[:, None], scale_tril=dist.scale[:, None, None])


@pytest.mark.parametrize("temperature", [1e-46, 1e-300, 5e-324])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_temperature_below_the_floats_gives_one_hot(
    temperature: float, dtype: torch.dtype
) -> None:
    logits = torch.tensor([[0.0, 1.0, -math.inf]] * 50, dtype=dtype, requires_grad=True)
    weights = vmtl.gumbel_softmax(logits, temperature)
    assert weights.unique().tolist() == [0, 1]
    assert bool((weights.sum(-1) == 1).all())
    assert 0 < weights[:, 0].sum() < 50
    assert bool((weights[:, 2] == 0).all())


def test_a_temperature_above_the_floats_gives_equal_weights() -> None:
    found = vmtl.GumbelSoftmaxMixing(3, base=True).expected(1e300, samples=3)
    assert found.diagonal().tolist() == [0, 0, 0]
    torch.testing.assert_close(found[0, 1:], torch.full((3,), 1 / 3))


def test_schedules_stay_at_their_ends() -> None:
    for decay in (vmtl.linear_decay, vmtl.exponential_decay, vmtl.cosine_decay):
        schedule = decay(1.0, 0.5, 10)
        assert schedule(-(10**9)) == 1.0
        assert schedule(10**9) == pytest.approx(0.5)
        assert schedule(torch.tensor(3)) == schedule(3)  # type: ignore[arg-type]


def test_pairwise_kl_of_tiny_scales() -> None:
    """(4.8), (9.7) a KL doesn't depend on the unit; squares of 1e-25 are 0 in float32."""
    for q in (Q, full(Q)):
        torch.testing.assert_close(vmtl.pairwise_kl(q, q), WANTED, rtol=1e-5, atol=1e-6)
    rows = vmtl.pairwise_kl(Q, Q.expand((2, 2)))
    torch.testing.assert_close(rows, WANTED, rtol=1e-5, atol=1e-6)


def test_a_unit_per_coordinate() -> None:
    """(4.8) coordinates in units 1e-25 and 1e15 beside each other."""
    scale = torch.tensor([[1e-25, 1e15], [3e-25, 3e15]])
    q = torch.distributions.Independent(Normal(scale * 0, scale), 1)
    wanted = 2 * torch.tensor([[0.0, math.log(3) - 4 / 9], [4 - math.log(3), 0.0]])
    torch.testing.assert_close(vmtl.pairwise_kl(q, q), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["lower_bound", "weighted_sum", "monte_carlo", "jensen"])
def test_methods_in_another_unit(method: str) -> None:
    """(4.2), (4.4), (4.6), (4.7) the same number in units of 1e-25 as in units of 1."""
    unit = Normal(Q.loc * 1e25, Q.scale * 1e25)
    half = torch.tensor([0.5, 0.5]).log()
    tiny, plain = (
        vmtl.kl_to_mixture(q, q, half, method, 50, generator=torch.Generator().manual_seed(1))
        for q in (Q, unit)
    )
    if method == "lower_bound":  # a KL, for which the densities' unit cancels
        assert bool(torch.isfinite(tiny).all())
    torch.testing.assert_close(tiny, plain, rtol=1e-4, atol=1e-4)


def test_a_kl_beyond_the_floats_is_infinite() -> None:
    """N(1, 1) against N(0, 1e-50): 5e49 nats, more than float32 holds; its neighbours are right."""
    q = Normal(torch.tensor([0.0, 1.0]), torch.tensor([1e-25, 1.0]))
    found = vmtl.pairwise_kl(q, q)
    assert found[1, 0] == math.inf
    assert found[0, 1].item() == pytest.approx(math.log(1e25), rel=1e-5)


def test_kl_under_autocast() -> None:
    """N(.5, .003) and N(.6, .003): 0 and 555.6; in bfloat16 they were -.94."""
    q = Normal(torch.tensor([0.5, 0.6]), torch.tensor([0.003, 0.003]))
    wanted = torch.tensor([[0.0, 5000 / 9], [5000 / 9, 0.0]])
    half = torch.tensor([0.5, 0.5]).log()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for one in (q, full(q)):
            torch.testing.assert_close(vmtl.pairwise_kl(one, one), wanted, rtol=1e-3, atol=1e-3)
        sampled = vmtl.kl_to_mixture(q, q, half, "monte_carlo", samples=20)
        torch.testing.assert_close(sampled, -half, rtol=1e-4, atol=1e-4)
        wide = widen(full(q), torch.tensor(0.001))
        close = relax(
            full(q),
            torch.distributions.Independent(Normal(torch.zeros(1, 1), 1.0), 1),
            torch.tensor(1e-3),
        )
    spread = torch.full((2, 1), 1e-5)
    torch.testing.assert_close(wide.variance, spread, rtol=1e-4, atol=0)
    torch.testing.assert_close(close.variance, spread, rtol=1e-4, atol=0)


def test_modules_give_full_precision_under_autocast() -> None:
    x, y, task = torch.randn(6, 2), torch.tensor([0, 1] * 3), torch.tensor([0, 0, 0, 1, 1, 1])
    encoder = vmtl.GaussianEncoder(2, 2, 2, hidden=(3,))
    weights = vmtl.AmortizedWeights(x, y, task, latent_features=2)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearCategorical(), weights, encoder, task_sizes=[3, 3], sources="own"
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert encoder(x).mean.dtype == weights().mean.dtype == torch.float32
        terms = model(x, y, task)
    assert terms.kl_weights.dtype == terms.kl_latents.dtype == torch.float32


class Rounded(nn.Module):
    """An encoder of the user's, whose linear layer autocast runs in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> Distribution:
        return torch.distributions.Independent(
            Normal(self.layer(x).expand(2, -1, -1), torch.tensor(0.003)), 1
        )


def test_latents_made_under_autocast_have_kls_in_full_precision() -> None:
    """Equal encoders: every KL between the tasks' latents is 0, not what bfloat16 makes of it."""
    x, task = torch.randn(6, 2), torch.tensor([0, 0, 0, 1, 1, 1])
    model = vmtl.MultiTaskELBO.paper(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), Rounded(), task_sizes=[3, 3]
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = model(x, x.sum(-1), task)
    torch.testing.assert_close(terms.kl_latents, torch.zeros(2), atol=1e-3, rtol=0)


def test_pairs_of_truth_values() -> None:
    """Torch's KL of two Bernoullis doesn't broadcast where a probability is 0 or 1."""
    q, p = Bernoulli(torch.tensor([0.5, 0.0, 1.0])), Bernoulli(torch.tensor([0.5, 0.25]))
    wanted = [
        [
            sum(a * math.log(a / b) for a, b in zip(row, (s, 1 - s), strict=True) if a)
            for s in (0.5, 0.25)
        ]
        for row in ([0.5, 0.5], [0.0, 1.0], [1.0, 0.0])
    ]
    torch.testing.assert_close(vmtl.pairwise_kl(q, p), torch.tensor(wanted))


def test_truth_values_against_classes() -> None:
    """No registered KL: sampled; log 3/2 for a fair coin against three equal classes."""
    found = vmtl.pairwise_kl(Bernoulli(torch.tensor([0.5])), Categorical(torch.ones(1, 3)))
    torch.testing.assert_close(found, torch.tensor([[1.5]]).log())


def test_empty_batches() -> None:
    none = Normal(torch.zeros(0), 1.0)
    assert vmtl.pairwise_kl(none, Q).shape == (0, 2)
    assert vmtl.gumbel_softmax(torch.zeros(0, 3), 1.0).shape == (0, 3)
    encoder = vmtl.GaussianEncoder(2, 3, 1)
    assert encoder(torch.zeros(0, 3)).mean.shape == (2, 0, 1)
    assert encoder.own_rows(torch.zeros(0, 3), torch.zeros(0).long()).mean.shape == (0, 1)


@pytest.mark.parametrize("dtype", SMALL)
def test_task_of_any_integer_type(dtype: torch.dtype) -> None:
    """Torch takes uint8 as a mask, counts int8 up to 127, and indexes by neither int8 nor int16."""
    task = torch.tensor([1, 1, 0], dtype=dtype)
    assert long_format(2, torch.ones(3), task).dtype == torch.int64
    encoder = vmtl.GaussianEncoder(2, 1, 1)
    nn.init.normal_(encoder.matrices[0])
    x = torch.tensor([[1.0], [2.0], [3.0]])
    torch.testing.assert_close(
        encoder.own_rows(x, task).mean, encoder(x).mean[task.long(), torch.arange(3)]
    )
    many = (torch.arange(400) % 2).to(dtype)
    labels = torch.arange(400) // 2 % 2
    found = vmtl.AmortizedWeights(labels.float(), labels, many, latent_features=1).class_means
    torch.testing.assert_close(found.squeeze(-1), torch.tensor([[0.0, 1.0], [0.0, 1.0]]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.bool, torch.half, torch.int64])
def test_class_means_of_any_type(dtype: torch.dtype) -> None:
    """Sums of bytes wrap round at 256, of truth values at 1, of halves end at 65,504."""
    x = torch.full((2000, 1), 100).to(dtype)
    y, task = torch.arange(2000) % 2, torch.arange(2000) // 2 % 2
    means = vmtl.AmortizedWeights(x, y, task, latent_features=1).class_means
    assert means.dtype == torch.float32
    torch.testing.assert_close(means, torch.full((2, 2, 1), float(x[0])))


@pytest.mark.parametrize("value", [1e-18, 1e-3, 1.0, 40.0, 1e3, 1e18])
def test_inverse_softplus(value: float) -> None:
    back = nn.functional.softplus(torch.tensor(inverse_softplus(value), dtype=torch.float64))
    assert back.item() == pytest.approx(value, rel=1e-12)


def test_value_of_a_mixture_part() -> None:
    """`kl_monte_carlo` of equal distributions is 0 whatever their unit."""
    assert vmtl.kl_monte_carlo(Q, Q, samples=5).tolist() == [0, 0]
