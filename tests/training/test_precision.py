"""Devices without float64, and autocast: what is computed in which precision."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import TensorDataset

import vmtl_core as vmtl
from vmtl_core import _precision

SIZES = (5, 10, 30, 80)
TASKS = len(SIZES)


class NoDouble(TorchDispatchMode):
    """Every operation that gives a tensor in float64 is an error, as on a device without it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            if isinstance(one, Tensor) and one.dtype == torch.float64:
                raise TypeError(f"{func} gives a tensor in float64")
        return result


def table(kind: str = "number") -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    task = torch.arange(TASKS).repeat_interleave(torch.tensor(SIZES))
    x = torch.randn(len(task), 3, generator=draw)
    y = x.sum(-1) + 0.3 * torch.randn(len(task), generator=draw)
    return x, {"number": y, "truth": (y > 0).float(), "class": (y > 0).long()}[kind], task


def build(likelihood: Any = None, latents: Any = None, **options: Any) -> vmtl.MultiTaskELBO:
    torch.manual_seed(0)
    shape = (3, 2) if isinstance(likelihood, vmtl.LinearCategorical) else (3,)
    return vmtl.MultiTaskELBO(
        likelihood or vmtl.LinearGaussian(),
        vmtl.GaussianWeights(TASKS, shape),
        latents,
        **({"task_sizes": SIZES, "sources": "own"} | options),
    )


def encoder() -> vmtl.GaussianEncoder:
    torch.manual_seed(1)
    return vmtl.GaussianEncoder(TASKS, 3, 3, hidden=(16,))


MODELS: dict[str, tuple[Callable[[], vmtl.MultiTaskELBO], str]] = {
    "encoders": (lambda: build(latents=encoder()), "number"),
    "neighbours": (lambda: build(latents=encoder(), neighbours=2), "number"),
    "linear": (build, "number"),
    "logistic": (lambda: build(vmtl.LinearBernoulli()), "truth"),
    "classes": (lambda: build(vmtl.LinearCategorical()), "class"),
    "counts": (lambda: build(vmtl.LinearPoisson(), latents=encoder()), "truth"),
    "joint": (lambda: build(latents=encoder(), sources="joint"), "number"),
    "paper": (
        lambda: vmtl.MultiTaskELBO.paper(
            vmtl.LinearGaussian(), vmtl.GaussianWeights(TASKS, (3,)), encoder(), task_sizes=SIZES
        ),
        "number",
    ),
}


@pytest.fixture
def _no_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_precision, "WITHOUT_DOUBLE", ("cpu",))


@pytest.mark.usefixtures("_no_double")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_no_float64_where_there_is_none(name: str, streamed: bool) -> None:
    """A float32 model is fitted by Adam, and predicts; constants are made on the CPU, once."""
    make, kind = MODELS[name]
    x, y, task = table(kind)
    rows = [TensorDataset(x, y, task)] if streamed else [x, y, task]
    options: dict[str, Any] = {"batch_size": 40, "progress": False, "tolerance": None, "steps": 20}
    make()(x, y, task)
    model = make()
    with NoDouble():
        history = vmtl.fit(model, *rows, **options)
        mean = vmtl.predictive(model, x, task).mean
    assert history.method == "adam"
    assert mean.dtype == torch.float32


@pytest.mark.usefixtures("_no_double")
def test_the_closed_form_needs_float64() -> None:
    """`method="auto"` takes Adam in its place; asked for, it is refused by name."""
    with NoDouble():
        history = vmtl.fit(build(), *table(), steps=2, tolerance=None, progress=False)
    assert history.method == "adam"
    with pytest.raises(ValueError, match="`x` must be on a device with float64; it is on cpu"):
        vmtl.fit(build(), *table(), method="coordinate")
    with pytest.raises(ValueError, match=r"groups .*: `x` must be on a device with float64"):
        vmtl.fit(build(sources="groups"), *table())


class Layers(nn.Module):
    """Encoders as users write them: linear layers, which autocast runs in half precision."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.trunk = nn.Sequential(nn.Linear(3, 16), nn.ReLU())
        self.heads = nn.Linear(16, 6 * TASKS)
        self.seen: set[torch.dtype] = set()

    def forward(self, x: Tensor) -> Distribution:
        out = self.heads(self.trunk(x)).view(len(x), TASKS, 6).transpose(0, 1)
        self.seen.add(out.dtype)
        return Independent(Normal(out[..., :3], nn.functional.softplus(out[..., 3:])), 1)


HALVES = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("latents", [encoder, Layers])
@pytest.mark.parametrize("sources", ["own", "joint", "previous"])
def test_autocast(half: torch.dtype, latents: Callable[[], Any], sources: str) -> None:
    """Encoders in half precision, sums and KLs in float32: the ELBO to what the encoders lose.

    That is one in 2^8, bfloat16's rounding, of the terms' sizes.
    """
    x, y, task = table()
    model = build(latents=latents(), sources=sources)
    draw = torch.Generator()
    whole = model(x, y, task, generator=draw.manual_seed(0))
    whole.loss.backward()
    exact = [p.grad for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    with torch.autocast("cpu", dtype=half):
        terms = model(x, y, task, generator=draw.manual_seed(0))
    terms.loss.backward()
    if isinstance(model.posteriors.latents, Layers):
        assert half in model.posteriors.latents.seen
    found = [p.grad for p in model.parameters() if p.grad is not None]
    for one, wanted in zip(terms, whole, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(
            one, wanted, rtol=2**-6, atol=2**-6 * float(wanted.detach().abs().max())
        )
    assert len(found) == len(exact)
    for gradient, wanted in zip(found, exact, strict=True):
        assert gradient.dtype == torch.float32
        assert bool(torch.isfinite(gradient).all())
        size = max(float(wanted.norm()), 1e-2)
        assert float((gradient - wanted).norm()) < 2**-4 * size


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", ["linear", "logistic", "classes"])
def test_autocast_without_encoders(half: torch.dtype, name: str) -> None:
    """Where nothing but our own arithmetic runs, autocast changes nothing."""
    make, kind = MODELS[name]
    model, rows = make(), table(kind)
    whole = model(*rows, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=half):
        terms = model(*rows, generator=torch.Generator().manual_seed(0))
    for one, wanted in zip(terms, whole, strict=True):
        torch.testing.assert_close(one, wanted)


@pytest.mark.parametrize("half", HALVES)
def test_half_parameters(half: torch.dtype) -> None:
    """A model of half precision is refused by name."""
    x, y, task = table()
    for latents in (None, encoder()):
        model = build(latents=latents).to(half)
        with pytest.raises(ValueError, match=r"`\w+` must be in float32 or float64"):
            model(x.to(half), y.to(half), task)
