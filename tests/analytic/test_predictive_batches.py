"""Many rows are answered batch by batch, with the same numbers as all at once."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

import vmtl_core as vmtl
from tests.analytic.points import averaged
from tests.analytic.test_elbo import a_model, scattered_encoder, scattered_weights
from tests.stats import assert_mean
from vmtl_core import joint_draws, questions
from vmtl_core.predictive_rows import Rebuilt

ROWS = 23
X = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
TASK = torch.arange(ROWS) % 3
Y = (X[:, 0] > 0).double()


def coin(z: Tensor, w: Tensor) -> Bernoulli:
    return Bernoulli(logits=(z * w).sum(-1))


def bell(z: Tensor, w: Tensor) -> Normal:
    return Normal((z * w).sum(-1), torch.ones((), dtype=w.dtype))


MODELS: dict[str, Any] = {
    "a function": lambda: a_model(scattered_weights(3, 2), bell),
    "labels by a function": lambda: a_model(scattered_weights(3, 2), coin),
    "functions": lambda: a_model(scattered_weights(3, 2), [bell, coin, bell]),
    "numbers": lambda: averaged(vmtl.LinearGaussian())[0],
    "labels": lambda: averaged(vmtl.LinearBernoulli(), noise=False)[0],
    "counts": lambda: averaged(vmtl.LinearPoisson(), noise=False)[0],
    "numbers and labels": lambda: averaged(
        [vmtl.LinearGaussian(), vmtl.LinearBernoulli(), vmtl.LinearGaussian()]
    )[0],
}
EXACT = ("numbers", "labels", "counts", "numbers and labels")


def whole_and_batches(model: Any, monkeypatch: pytest.MonkeyPatch, least: int) -> tuple[Any, Any]:
    found = []
    for numbers in (2**24, least):
        monkeypatch.setattr(questions, "NUMBERS", numbers)
        draw = torch.Generator().manual_seed(0)
        found.append(vmtl.predictive(model, X, TASK, 30, 5, draw))
    monkeypatch.setattr(questions, "NUMBERS", 2**24)
    assert isinstance(found[1], vmtl.PredictiveRows)
    assert isinstance(found[1].parts, Rebuilt)
    assert len(found[1].parts) >= 4
    return found[0], found[1]


@pytest.mark.parametrize("name", MODELS)
def test_batches_equal_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """(6.2) every method; w is drawn once."""
    exact = name in EXACT
    whole, batches = whole_and_batches(MODELS[name](), monkeypatch, 120 if exact else 500)
    options: Any = (
        {"atol": 1e-6, "rtol": 0} if exact else {}
    )  # nodes follow the largest sd of a batch
    for method in ("mean", "variance"):
        torch.testing.assert_close(getattr(batches, method), getattr(whole, method), **options)
    torch.testing.assert_close(batches.log_prob(Y), whole.log_prob(Y), **options)
    torch.testing.assert_close(batches.log_prob(Y[None]), whole.log_prob(Y)[None], **options)
    torch.testing.assert_close(batches.cdf(0.5 + 0 * Y), whole.cdf(0.5 + 0 * Y), **options)
    level = torch.tensor(0.3)
    torch.testing.assert_close(batches.icdf(level), whole.icdf(level))
    parts = zip(vmtl.decompose_uncertainty(batches), vmtl.decompose_uncertainty(whole), strict=True)
    for a, b in parts:
        torch.testing.assert_close(a, b, **options)
    if "labels" in name and "numbers" not in name:
        torch.testing.assert_close(batches.probs, whole.probs, **options)
    assert batches.sample((2,)).dtype == whole.sample((2,)).dtype


def test_batches_of_latents_give_the_same_numbers_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """(6.2) z is drawn anew for every batch and method, from the batch's seed."""
    model = a_model(scattered_weights(3, 2), latents=scattered_encoder(3))
    whole, batches = whole_and_batches(model, monkeypatch, 1000)
    assert torch.equal(batches.mean, batches.mean)
    assert torch.equal(deepcopy(batches).mean, batches.mean)
    assert torch.equal(batches.log_prob(Y), batches.log_prob(Y))
    state = torch.get_rng_state()
    assert (batches.variance > 0).all()
    assert torch.equal(torch.get_rng_state(), state)
    ratio = (batches.mean - whole.mean).abs() / whole.variance.sqrt()
    assert 0 < ratio.max() < 1  # other draws of z, the same w
    draws = batches.sample((20_000,))
    assert_mean(draws, batches.mean)


@pytest.mark.parametrize("name", MODELS)
def test_joint_draws_of_batches(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """(6.1) rows in different batches share their task's w: as in the whole."""
    _, batches = whole_and_batches(MODELS[name](), monkeypatch, 120 if name in EXACT else 500)
    monkeypatch.setattr(joint_draws, "NUMBERS", 20_000)
    draws = batches.sample((20_000,)).double()
    assert draws.shape == (20_000, ROWS)
    if name in ("numbers", "a function"):
        mean, variance = batches.mean, batches.variance
        assert_mean(draws, mean)
        assert_mean((draws - mean).square(), variance)
        products = (draws - mean)[:, 0] * (draws - mean)[:, 21]  # both of task 0
        assert products.mean().abs() > 5 * products.std() / len(products) ** 0.5


def test_a_part_draws_its_own_rows() -> None:
    """(6.2) parts are predictives of their rows."""
    model = averaged([vmtl.LinearGaussian(), vmtl.LinearBernoulli(), vmtl.LinearGaussian()])[0]
    p = vmtl.predictive(model, X, TASK)
    assert isinstance(p, vmtl.PredictiveRows)
    for part in p.parts:
        draws = part.sample((20_000,))
        assert draws.shape == (20_000, *part.batch_shape)
        assert_mean(draws, part.mean)
