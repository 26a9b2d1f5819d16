"""Fits side by side in threads give the numbers that they give one after the other."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch.distributions import Independent, Laplace

import vmtl_core as vmtl

X = torch.linspace(-1, 1, 14).reshape(7, 2).sin()
Y = torch.linspace(0, 2, 7)
TASK = torch.tensor([0, 1, 1, 0, 1, 0, 1])
WORKERS = 4


@pytest.fixture(autouse=True)
def _hasty() -> Iterator[None]:
    """Threads change as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def build(**options: Any) -> vmtl.MultiTaskELBO:
    defaults = {"divergence": "monte_carlo", "expectation": "sampled"}
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(2, (2,)),
        task_sizes=[3, 4],
        **({"sources": "own"} | defaults | options),
    )


def by_adam(seed: int) -> list[float]:
    history = vmtl.fit(
        build(), X, Y, TASK, steps=15, seed=seed, batch_size=5, tolerance=None, progress=False
    )
    assert history.method == "adam"
    return history.terms["elbo"]


def in_closed_form(seed: int) -> list[float]:
    model = build(divergence="jensen", expectation="exact")
    history = vmtl.fit(model, X, Y, TASK, seed=seed, tolerance=None, steps=5, progress=False)
    assert history.method == "coordinate"
    return history.terms["elbo"]


def with_generator(seed: int) -> list[float]:
    """Every public sampler that is given one."""
    draw = torch.Generator().manual_seed(seed)
    model = build(base_prior=Independent(Laplace(torch.zeros(2), 1.0), 1), transfer=None)
    q = model.q_weights()
    with torch.no_grad():
        found = [
            model(X, Y, TASK, generator=draw).elbo,
            vmtl.kl_monte_carlo(q, q, generator=draw).sum(),
            vmtl.predictive(model, X, TASK, generator=draw).mean.sum(),
            model.prior.mixing.expected(0.5, generator=draw)[0, 1],
        ]
    return torch.stack(found).tolist()


@pytest.mark.parametrize("call", [by_adam, in_closed_form, with_generator])
def test_threads(call: Callable[[int], list[float]]) -> None:
    seeds = [seed for _ in range(4) for seed in range(WORKERS)]
    wanted = [call(seed) for seed in range(WORKERS)] * 4
    assert wanted[0] != wanted[1]
    stream = torch.get_rng_state()
    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(call, seeds))
    assert found == wanted
    assert torch.equal(torch.get_rng_state(), stream)
