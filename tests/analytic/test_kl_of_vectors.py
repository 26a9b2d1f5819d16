"""KLs of families other than diagonal Gaussians: of vectors, for any batch shape, by any route."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    StudentT,
    kl_divergence,
)

import vmtl_core as vmtl
from tests.stats import assert_mean
from tests.watched import Sealed, vectors


def pair(family: type[Distribution], event: tuple[int, ...], *batch: int) -> Distribution:
    """Independent coordinates, all different."""
    draw = torch.Generator().manual_seed(len(batch) + sum(batch))
    loc = torch.randn(batch + event, generator=draw, dtype=torch.float64)
    scale = 0.5 + torch.rand(batch + event, generator=draw, dtype=torch.float64)
    options: dict[str, Any] = {"df": 5.0} if family is StudentT else {}
    return Independent(family(loc=loc, scale=scale, **options), len(event))  # type: ignore[call-arg]


def correlated(*batch: int) -> MultivariateNormal:
    draw = torch.Generator().manual_seed(len(batch) + sum(batch))
    loc = torch.randn(*batch, 3, generator=draw, dtype=torch.float64)
    below = torch.randn(*batch, 3, 3, generator=draw, dtype=torch.float64).tril(-1)
    return MultivariateNormal(loc, scale_tril=below + torch.eye(3))


def one(d: Distribution, index: tuple[int, ...]) -> Distribution:
    """An element of the batch, as a Distribution of batch shape ()."""
    if isinstance(d, MultivariateNormal):
        return MultivariateNormal(d.loc[index], scale_tril=d.scale_tril[index])
    assert isinstance(d, Independent)
    base: Any = d.base_dist
    return Independent(type(base)(base.loc[index], base.scale[index]), len(d.event_shape))


def by_loops(q: Distribution, p: Distribution, rowwise: bool) -> Tensor:
    """torch's KL of every pair, one by one."""
    found = torch.zeros(q.batch_shape + p.batch_shape[-1:])
    for index in torch.cartesian_prod(*[torch.arange(n) for n in found.shape]).reshape(
        -1, found.ndim
    ):
        *a, k = index.tolist()
        source = (*a, k) if rowwise else (k,)
        found[(*a, k)] = kl_divergence(one(q, tuple(a)), one(p, source))
    return found


FAMILIES: dict[str, Callable[..., Distribution]] = {
    "Laplace vectors": lambda *batch: pair(Laplace, (3,), *batch),
    "Laplace matrices": lambda *batch: pair(Laplace, (2, 3), *batch),
    "diagonal": lambda *batch: pair(Normal, (3,), *batch),
    "correlated": correlated,
}


@pytest.mark.parametrize("rowwise", [False, True], ids=["shared", "rowwise"])
@pytest.mark.parametrize("batch", [(), (2,), (5,), (2, 3)], ids=str)
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_registered(
    family: Callable[..., Distribution], batch: tuple[int, ...], rowwise: bool
) -> None:
    """(4.8), (9.7) `q.batch_shape + (K,)`, every pair as torch has it, events summed."""
    q, p = family(*batch), family(*(batch if rowwise else ()), 4)
    torch.testing.assert_close(vmtl.pairwise_kl(q, p), by_loops(q, p, rowwise))


def exact(q: Distribution, p: Distribution) -> Tensor:
    """KL of vectors of independent coordinates, a sum of integrals on a line; A x K."""
    points = torch.linspace(-40, 40, 40_001)
    step = (points[1] - points[0]).item()
    left: Any = q.base_dist  # type: ignore[attr-defined]
    right: Any = p.base_dist  # type: ignore[attr-defined]
    log_q = left.log_prob(points[:, None, None]).unsqueeze(2)  # P, A, 1, D
    log_p = right.log_prob(points[:, None, None]).unsqueeze(1)  # P, 1, K, D
    return ((log_q.exp() * (log_q - log_p)).sum(0) * step).sum(-1)


@pytest.mark.parametrize("sealed", [False, True], ids=["registered or not", "can't be rebuilt"])
def test_sampled(sealed: bool) -> None:
    """(4.2) a KL that torch hasn't got, and any KL of a q that can't be rebuilt, is estimated."""
    q = vectors(Sealed, 2, 3) if sealed else pair(Laplace, (3,), 2)
    p = pair(Normal, (3,), 4) if sealed else pair(StudentT, (3,), 4)
    draws = torch.stack([vmtl.pairwise_kl(q, p, samples=2000) for _ in range(30)])
    assert draws.shape == (30, 2, 4)
    assert_mean(draws, exact(q, p), 1e-5)
    rows = p.expand(torch.Size((2, 4)))
    draws = torch.stack([vmtl.pairwise_kl(q, rows, samples=2000) for _ in range(30)])
    assert_mean(draws, exact(q, p), 1e-5)


def test_one_to_one_expands_the_receiver() -> None:
    """(4.2) q of batch (1,) against three p: three values, each from draws of its own."""
    q, p = pair(Normal, (2,), 1), pair(Normal, (2,), 3)
    draws = torch.stack([vmtl.kl_monte_carlo(q, p, samples=500) for _ in range(60)])
    assert_mean(draws, kl_divergence(q, p))
    apart = vmtl.kl_monte_carlo(q, p.expand(torch.Size((5, 3))), samples=3)
    assert apart.shape == (5, 3)
    assert len(apart[:, 0].unique()) == 5


def test_labels() -> None:
    """(4.8) a discrete family with a registered KL: no gradient is asked of a sampler."""
    q = Categorical(logits=torch.randn(2, 3, requires_grad=True))
    p = Categorical(logits=torch.randn(4, 3))
    found = vmtl.pairwise_kl(q, p)
    wanted = (q.probs[:, None] * (q.logits[:, None] - p.logits)).sum(-1)
    torch.testing.assert_close(found, wanted)
    assert found.requires_grad
