"""How many draws a user asks for is how many are drawn, wherever the number has to travel."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Laplace, Normal

import vmtl_core as vmtl
from tests.watched import Sealed, Watched, vectors

SIZES = [3, 4]
TASK = torch.tensor([0, 1, 1, 0, 1, 0, 1])
X = torch.linspace(-1, 1, 14, dtype=torch.float64).reshape(7, 2)
Y = torch.linspace(0, 2, 7, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Watched.asked.clear()


def normals(*shape: int) -> Independent:
    return Independent(Normal(torch.zeros(shape), torch.ones(shape)), 1)


def laplaces(*shape: int) -> Independent:
    return Independent(Laplace(torch.zeros(shape), torch.ones(shape)), 1)


@pytest.mark.parametrize("family", [Watched, Sealed])
def test_pairwise(family: type[Watched]) -> None:
    """(4.8) estimated from `samples` draws, 100 by default; a sealed family is estimated too."""
    q = vectors(family, 2, 3)
    assert vmtl.pairwise_kl(q, normals(4, 3), samples=7).shape == (2, 4)
    vmtl.pairwise_kl(q, normals(4, 3))
    vmtl.kl_monte_carlo(q, normals(2, 3), samples=5)
    vmtl.kl_monte_carlo(q, normals(2, 3))
    assert Watched.asked == [7, 100, 5, 100]


def test_to_the_parts_of_components_and_receivers() -> None:
    """(4.8) every part of a Concatenated, on either side."""
    parts = vmtl.Concatenated([normals(1, 3), laplaces(2, 3)])
    assert vmtl.pairwise_kl(vectors(Watched, 2, 3), parts, samples=7).shape == (2, 3)
    assert Watched.asked == [7, 7]
    q = vmtl.Concatenated([vectors(Watched, 2, 3), vectors(Sealed, 1, 3)])
    assert vmtl.pairwise_kl(q, normals(4, 3), samples=9).shape == (3, 4)
    assert Watched.asked[2:] == [9, 9]


@pytest.mark.parametrize("method", ["monte_carlo", "jensen", "convex"])
def test_to_a_mixture(method: str) -> None:
    """(4.2)-(4.4) from `samples` draws, 100 by default."""
    q, log_weights = vectors(Watched, 2, 3), torch.full((2, 4), 0.25).log()
    vmtl.kl_to_mixture(q, normals(4, 3), log_weights, method, samples=7)
    vmtl.kl_to_mixture(q, normals(4, 3), log_weights, method)
    assert Watched.asked == [7, 100]


class Seen(nn.Module):
    """A likelihood that keeps the z and w that it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Tensor]] = []

    def forward(self, z: Tensor, w: Tensor) -> Normal:
        self.calls.append((z.detach(), w.detach()))
        return Normal((z * w).sum(-1), 1.0)


class Latents(nn.Module):
    """z = x with noise, of a family that remembers its draws."""

    def forward(self, x: Tensor) -> Independent:
        return Independent(Watched(x.expand(2, *x.shape), torch.full((2, *x.shape), 0.3)), 1)


@pytest.mark.parametrize("divergence", ["monte_carlo", "jensen", "convex"])
def test_of_the_objective(divergence: str) -> None:
    """(5.1) M draws of w, L of z, S for each sampled KL."""
    weights = vectors(Watched, 2, 2)
    model = vmtl.MultiTaskELBO(
        Seen(), lambda: weights, Latents(), task_sizes=SIZES, sources="joint", transfer=None,
        divergence=divergence, weight_samples=3, latent_samples=5, divergence_samples=7,
    )  # fmt: skip
    Watched.asked.clear()  # of the constructor, which looks for the dtype
    model(X, Y, TASK)
    looks = [n for n in Watched.asked if n != 1]
    parts = 1 if divergence == "monte_carlo" else 2  # the sources, then the base prior
    assert looks == [3, 5, *[7] * 2 * parts]


def grid_model(**options: Any) -> Any:
    return vmtl.MultiTaskELBO(
        Seen(),
        vmtl.GaussianWeights(2, (2,), covariance="diagonal"),
        vmtl.GaussianEncoder(2, 2, 2),
        task_sizes=SIZES,
        **({"sources": "own"} | options),
    )


def test_of_the_grid() -> None:
    """(5.2) z has L draws and w has M, not the other way round, for both sets of posteriors."""
    model = grid_model(weight_samples=3, latent_samples=5)
    model(X, Y, TASK)
    for bundle in (model.posteriors, model.own):
        ((z, w),) = bundle.likelihood.calls
        assert (z.shape, w.shape) == ((5, 1, 7, 2), (1, 3, 7, 2))
    model = grid_model()
    model(X, Y, TASK)
    ((z, w),) = model.posteriors.likelihood.calls
    assert (len(z), w.shape[1], model.divergence_samples) == (10, 10, 10)


def test_of_the_predictive() -> None:
    """(6.2) likewise, 10 of z and 100 of w by default; from q(w|D_t), not the own-data posteriors."""
    model = grid_model()
    with torch.no_grad():
        model.own.weights.loc.add_(50.0)
    vmtl.predictive(model, X, TASK, weight_samples=3, latent_samples=5)
    vmtl.predictive(model, X, TASK)
    assert not model.own.likelihood.calls
    (z, w), (more_z, more_w) = model.posteriors.likelihood.calls
    assert (z.shape, w.shape) == ((5, 1, 7, 2), (1, 3, 7, 2))
    assert (len(more_z), more_w.shape[1]) == (10, 100)
    assert w.abs().max() < 5


def test_tasks_and_rows_draw_for_themselves() -> None:
    """(5.1) equal posteriors, different draws: of w between tasks, of z between rows."""
    model = grid_model(weight_samples=3, latent_samples=2)
    same = torch.ones(7, 2)
    model(same, Y, TASK)
    ((z, w),) = model.posteriors.likelihood.calls
    assert torch.equal(w[0, :, 0], w[0, :, 3])  # two rows of task 0 share theirs
    assert (w[0, :, 0] != w[0, :, 1]).all()
    assert len(z.flatten().unique()) == z.numel()


@pytest.mark.parametrize("samples", [1, 4, 1000])
def test_of_the_expected_weights(samples: int) -> None:
    """(3.4) cold draws are one-hot, so that their mean counts them; 1000 by default."""
    mixing = vmtl.GumbelSoftmaxMixing(3)
    options: dict[str, Any] = {} if samples == 1000 else {"samples": samples}
    counts = mixing.expected(1e-9, **options).detach() * samples
    torch.testing.assert_close(counts, counts.round())
    torch.testing.assert_close(counts.sum(-1), torch.full((3,), float(samples)))
    # one draw repeated would give 0 or `samples` alone
    assert samples == 1 or counts.round().int().gcd(torch.tensor(samples)).min() < samples
