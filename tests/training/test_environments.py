"""torch.compile, DistributedDataParallel, devices, copies: the same numbers everywhere."""

import io
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.nn.parallel import DistributedDataParallel

import vmtl_core as vmtl

PROCESSES = 2
SIZES = [4, 6, 8]
CORE = Path(vmtl.__file__).parent


@pytest.fixture(autouse=True)
def _validation() -> Iterator[None]:
    """torch.compile switches the validation of Distributions off, for good: it comes back here."""
    before = Distribution._validate_args
    yield
    Distribution.set_default_validate_args(before)


def table() -> tuple[Tensor, Tensor, Tensor]:
    """Sorted so that every other row of a task goes to each of two processes."""
    draw = torch.Generator().manual_seed(7)
    task = torch.arange(len(SIZES)).repeat_interleave(torch.tensor(SIZES))
    x = torch.randn(len(task), 3, generator=draw, dtype=torch.float64)
    return x, x.sum(-1) + task, task


def build(latents: bool = False, **options: Any) -> vmtl.MultiTaskELBO:
    torch.manual_seed(3)
    defaults: dict[str, Any] = {
        "likelihood": vmtl.LinearGaussian(),
        "weights": vmtl.GaussianWeights(len(SIZES), (3,)),
        "task_sizes": SIZES,
        "weight_samples": 3,
        "latent_samples": 2,
        "temperature": vmtl.exponential_decay(1.0, 0.1, 10),
    }
    if latents:
        defaults["latents"] = vmtl.GaussianEncoder(len(SIZES), 3, 2, hidden=(4,))
    return vmtl.MultiTaskELBO(**({"sources": "own"} | defaults | options)).double()


def short_fit(
    model: vmtl.MultiTaskELBO, steps: int, method: str, squash: bool = False
) -> vmtl.History:
    """On the device of the model; too short to be judged."""
    x, y, task = (column.to(next(model.parameters()).device) for column in table())
    y = y.tanh() if squash else y
    return vmtl.fit(model, x, y, task, steps=steps, progress=False, method=method, tolerance=None)


WAYS = pytest.mark.parametrize(
    ("latents", "method"),
    [(False, "adam"), (True, "adam"), (False, "coordinate")],
    ids=["inputs", "latents", "closed"],
)


def gradients(model: nn.Module, rows: slice = slice(None), seed: int = 5) -> list[Tensor]:
    """Of the loss on these rows, with fixed noise."""
    x, y, task = table()
    torch.manual_seed(seed)
    model(x[rows], y[rows], task[rows], step=2).loss.backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def compiled(model: vmtl.MultiTaskELBO, backend: str) -> Any:
    """A copy of the model, all of it one graph."""
    torch.compiler.reset()
    return torch.compile(deepcopy(model), backend=backend, fullgraph=True)


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("aot_eager", {"latents": True}),
        ("eager", {"sources": "previous", "divergence": "monte_carlo"}),
        ("eager", {"latents": True, "sources": "joint", "base_prior": None, "transfer": None}),
    ],
    ids=["own", "previous", "joint"],
)
def test_compile(backend: str, options: dict[str, Any]) -> None:
    """No graph break, no warning, the same numbers; and no new graph for every step."""
    eager = build(**options)
    other = compiled(eager, backend)
    graphs = torch._dynamo.utils.counters["stats"]
    before = graphs["unique_graphs"]
    for step in range(4):
        results = []
        for model in (eager, other):
            model.zero_grad()
            torch.manual_seed(step)
            terms = model(*table(), step=step)
            terms.loss.backward()
            results.append([*terms, *(p.grad for p in model.parameters() if p.grad is not None)])
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    assert 1 <= graphs["unique_graphs"] - before <= 2


def test_fit_of_a_compiled_model() -> None:
    eager = build()
    other = compiled(eager, "eager")
    histories = [short_fit(model, 4, "adam") for model in (eager, other)]
    for name, values in histories[0].terms.items():
        assert histories[1].terms[name] == pytest.approx(values, rel=1e-9)


def shard(rank: int, folder: str) -> None:
    """One process: its rows, gradients averaged by DistributedDataParallel."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=PROCESSES
    )
    model = DistributedDataParallel(build())
    found = gradients(model, slice(rank, None, PROCESSES))
    torch.save(found, Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_distributed_data_parallel(tmp_path: Path) -> None:
    """Rows in two halves, tasks evenly: N_t / B_t makes the mean gradient that of one process."""
    torch.multiprocessing.spawn(shard, args=(str(tmp_path),), nprocs=PROCESSES)
    whole = gradients(build())
    for rank in range(PROCESSES):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert len(found) == len(whole)
        for a, b in zip(found, whole, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_half_a_table_has_another_gradient() -> None:
    """The comparison above can fail."""
    whole, half = gradients(build()), gradients(build(), slice(0, None, PROCESSES))
    assert not all(torch.allclose(a, b) for a, b in zip(whole, half, strict=True))


def test_core_names_no_device() -> None:
    """But `_random`, for its stream, `_precision`, for autocast, and `saving` and `checkpoint`, for files of any."""
    literal = re.compile(r"""["'](cpu|cuda|mps|xpu)(:\d+)?["']|\.(cuda|cpu)\(""")
    found = {
        path.name: literal.findall(text)
        for path in sorted(CORE.glob("*.py"))
        if literal.search(text := path.read_text(encoding="utf-8"))
    }
    assert set(found) <= {"_precision.py", "_random.py", "checkpoint.py", "history.py", "saving.py"}
    assert [kind for kind, *_ in found.get("history.py", [])] == [""] * 2  # .cpu() of the records


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@WAYS
def test_cuda(latents: bool, method: str) -> None:
    """The whole path on the device that the data are on; float32, as users run it."""
    model = build(latents).float().cuda()
    x, y, task = (column.cuda() for column in table())
    history = short_fit(model, 3, method)
    assert history.step == 3
    assert {t.device.type for t in (*model.parameters(), *model.buffers())} == {"cuda"}
    p = vmtl.predictive(model, x, task)
    assert p.log_prob(y.float()).device.type == p.sample().device.type == "cuda"
    assert model.responsibilities().device.type == "cuda"


def pickled(model: vmtl.MultiTaskELBO) -> vmtl.MultiTaskELBO:
    return pickle.loads(pickle.dumps(model))


def saved(model: vmtl.MultiTaskELBO) -> vmtl.MultiTaskELBO:
    """The whole model through torch.save."""
    stored = io.BytesIO()
    torch.save(model, stored)
    stored.seek(0)
    return torch.load(stored, weights_only=False)


def loaded(model: vmtl.MultiTaskELBO) -> vmtl.MultiTaskELBO:
    """Its state in another model that has the same shape."""
    stored = io.BytesIO()
    torch.save(model.state_dict(), stored)
    stored.seek(0)
    other = build(model.latent_mixing is not None)
    other.load_state_dict(torch.load(stored, weights_only=True))
    return other


@pytest.mark.parametrize("copy", [deepcopy, pickled, saved, loaded], ids=lambda f: f.__name__)
@WAYS
def test_copies(copy: Any, latents: bool, method: str) -> None:
    """A copy gives the same numbers, and trains without touching the original."""
    model = build(latents)
    short_fit(model, 3, method)
    other = copy(model)
    x, _, task = table()
    torch.testing.assert_close(
        *(
            vmtl.predictive(m, x, task, generator=torch.Generator().manual_seed(0)).mean
            for m in (model, other)
        ),
        rtol=0,
        atol=0,
    )
    if method == "coordinate":
        assert len(other.average) == len(model.average) > 1
    before = [p.detach().clone() for p in model.parameters()]
    found = []
    for one in (model, other):
        torch.manual_seed(2)
        found.append(torch.stack([getattr(one(*table(), step=1), n).sum() for n in FIELDS]))
    assert torch.equal(*found)
    short_fit(other, 2, method, squash=True)  # of other targets
    for p, old, moved in zip(model.parameters(), before, other.parameters(), strict=True):
        assert torch.equal(p, old)
        assert not torch.equal(p, moved)


FIELDS = vmtl.ELBOTerms._fields


@pytest.mark.parametrize("copy", [deepcopy, pickled], ids=lambda f: f.__name__)
def test_copies_of_mixed_likelihoods_stay_registered(copy: Any) -> None:
    """A list of modules and functions: the copy computes with the parameters that it lists."""
    kinds = [vmtl.LinearGaussian(), standard, vmtl.LinearGaussian()]
    other = copy(build(likelihood=kinds))
    names = {name for name, _ in other.named_parameters()}
    assert {
        f"{own}.likelihood_modules.{i}.log_scale" for own in ("posteriors", "own") for i in (0, 1)
    } <= names
    gradients(other)
    assert all(p.grad is not None for p in other.parameters())


def standard(z: Tensor, w: Tensor) -> Normal:
    return Normal((z * w).sum(-1), 1.0)


def test_given_base_prior_moves_with_the_data() -> None:
    """A base prior in float32 under a float64 model."""
    base = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    assert build(base_prior=base)(*table()).elbo.dtype == torch.float64


def test_importing_the_library_leaves_the_compiler_alone() -> None:
    """It would take more time than all the rest of the import beside torch."""
    code = "import sys, vmtl_core; print('torch._dynamo' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CORE.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
