"""A generator is the only source of randomness of what it is given to."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.distributions import Independent, Laplace, Normal

import vmtl_core as vmtl
from tests.watched import Sealed, Watched, vectors

TASK = torch.tensor([0, 1, 1, 0, 1, 0, 1])
X = torch.linspace(-1, 1, 14, dtype=torch.float64).reshape(7, 2)
Y = torch.linspace(0, 2, 7, dtype=torch.float64)


def normals(*shape: int) -> Independent:
    return Independent(Normal(torch.zeros(shape), torch.ones(shape)), 1)


def mixed() -> vmtl.Concatenated:
    laplaces = Independent(Laplace(torch.zeros(2, 3), torch.ones(2, 3)), 1)
    return vmtl.Concatenated([normals(1, 3), laplaces])


def both() -> vmtl.Concatenated:
    return vmtl.Concatenated([vectors(Watched, 2, 3), vectors(Sealed, 1, 3)])


def to_mixture(method: str) -> Callable[[Generator], Tensor]:
    weights = torch.full((3,), 1 / 3).log()
    return lambda g: vmtl.kl_to_mixture(
        vectors(Watched, 2, 3), mixed(), weights, method, generator=g
    )


def model(**options: Any) -> Any:
    """The same at every call; the global stream stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return vmtl.MultiTaskELBO(
            vmtl.LinearGaussian(),
            vmtl.GaussianWeights(2, (2,), covariance="diagonal"),
            vmtl.GaussianEncoder(2, 2, 2),
            task_sizes=[3, 4],
            **({"sources": "own"} | options),
        )


def prior(generator: Generator) -> Tensor:
    found = vmtl.WeightsPrior(2, (3,))(normals(2, 3), 0.7, generator)
    return found.mixture_distribution.logits.detach()


def terms(name: str, **options: Any) -> Callable[[Generator], Tensor]:
    return lambda g: getattr(model(**options)(X, Y, TASK, generator=g), name).detach()


CALLS: dict[str, Callable[[Generator], Tensor]] = {
    "pairwise": lambda g: vmtl.pairwise_kl(vectors(Watched, 2, 3), normals(4, 3), generator=g),
    "pairwise, sealed": lambda g: vmtl.pairwise_kl(
        vectors(Sealed, 2, 3), normals(4, 3), generator=g
    ),
    "pairwise, receivers": lambda g: vmtl.pairwise_kl(both(), normals(4, 3), generator=g),
    "pairwise, components": lambda g: vmtl.pairwise_kl(vectors(Watched, 2, 3), mixed(), 9, g),
    "one to one": lambda g: vmtl.kl_monte_carlo(normals(2, 3), vectors(Watched, 2, 3), generator=g),
    **{f"to a mixture, {method}": to_mixture(method) for method in ("monte_carlo", "jensen", "convex")},
    "gumbel_softmax": lambda g: vmtl.gumbel_softmax(torch.zeros(3), 0.5, g),
    "log_weights": lambda g: vmtl.GumbelSoftmaxMixing(2, base=True).log_weights(0.5, g).detach(),
    "expected": lambda g: vmtl.GumbelSoftmaxMixing(3).expected(0.5, 3, g).detach(),
    "prior": prior,
    "log_likelihood": terms("log_likelihood"),
    "kl_weights": terms("kl_weights"),
    "kl_weights, sampled": terms("kl_weights", divergence="monte_carlo"),
    "kl_latents": terms("kl_latents"),
    "own_elbo": terms("own_elbo"),
    "predictive": lambda g: vmtl.predictive(model(), X, TASK, 3, 2, generator=g).mean,
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_same_generator_same_numbers(call: Callable[[Generator], Tensor]) -> None:
    """The draws are the generator's; the global stream neither gives any nor moves."""

    def run(seed: int, stream: int) -> Tensor:
        torch.manual_seed(stream)
        state = torch.get_rng_state()
        found = call(Generator().manual_seed(seed))
        assert torch.equal(state, torch.get_rng_state())
        return found

    first, again, other = run(1, 1), run(1, 2), run(2, 1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
