"""fit(checkpoint=, every=): killed and called again, the same numbers; what it refuses."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.conftest import ROOT
from vmtl_core import checkpoint, saving

KINDS = [
    "adam",
    pytest.param("batches", marks=pytest.mark.nightly),
    pytest.param("dataset", marks=pytest.mark.nightly),
    pytest.param("loader", marks=pytest.mark.nightly),
    "closed",
    pytest.param("seldom", marks=pytest.mark.nightly),
    pytest.param("groups", marks=pytest.mark.nightly),
]


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_moment(kind: str) -> None:
    """By SIGKILL: in steps, sweeps, writings, the search for groups and the average."""
    command = [sys.executable, "-W", "error", "tests/training/killed.py", kind]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("the same numbers\n")


def table() -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    x, task = torch.randn(20, 2, generator=draw), torch.arange(20) % 2
    return x, x.sum(-1) + 0.3 * torch.randn(20, generator=draw), task


def build(features: int = 2, **options: Any) -> vmtl.MultiTaskELBO:
    options = {"task_sizes": [10, 10], "sources": "own"} | options
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (features,)), **options
    )


def fit(file: Path | None, model: vmtl.MultiTaskELBO | None = None, **options: Any) -> vmtl.History:
    options = {"steps": 12, "progress": False, "tolerance": None, "method": "adam"} | options
    rows = [options.pop(name, values) for name, values in zip("xyt", table(), strict=True)]
    return vmtl.fit(build() if model is None else model, *rows, checkpoint=file, **options)


CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "steps": ({"steps": 13}, "`steps` must be that of the fit in .*fit', 12; got 13"),
    "rate": ({"lr": 0.1}, "`lr` must be that of the fit in .*, None; got 0.1"),
    "batches": ({"batch_size": 4}, "`batch_size` .*, None; got 4"),
    "seed": ({"seed": 1}, "`seed` .*, 0; got 1"),
    "record": ({"record": 3}, "`record` .*, 100; got 3"),
    "method": ({"method": "coordinate"}, "`method` .*, 'adam'; got 'coordinate'"),
    "tolerance": ({"tolerance": 1e-3}, "`tolerance` .*, None; got 0.001"),
    "average": ({"average": False}, "`average` .*, True; got False"),
    "inputs": ({"x": table()[0] + 1}, r"`x` .*, 'float32 \(20, 2\) of SHA-256 \w{16}'; got"),
    "target": ({"y": table()[1].double()}, r"`y` .*, 'float32 \(20,\) .*; got 'float64 \(20,\)"),
    "tasks": ({"t": table()[2].flip(0)}, r"`task` .*, 'int64 \(20,\)"),
    "dtype": ({"model": build().double()}, r"`dtype` .*, \['torch.float32'\]; got \['torch.float6"),
    "samples": ({"model": build(weight_samples=3)}, "`weight_samples` .*, 10; got 3"),
    "prior": (
        {"model": build(base_prior="standard")},
        "`base_prior` .*, 'learned'; got 'standard'",
    ),
    "size": ({"model": build(3), "x": torch.ones(20, 3)}, "`x` .*"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("kept") / "fit"
    fit(file)
    return file.read_bytes()


@pytest.mark.filterwarnings("ignore::vmtl_core.IdentificationWarning")
@pytest.mark.parametrize("name", CALLS)
def test_of_another_call(tmp_path: Path, kept: bytes, name: str) -> None:
    """Named, with both values; model and file stay as they were."""
    (tmp_path / "fit").write_bytes(kept)
    options, message = CALLS[name]
    model = options.get("model", build())
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=message + ".*to fit afresh") as refused:
        fit(tmp_path / "fit", **({"model": model} | options))
    assert "another fit's" in str(refused.value)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert (tmp_path / "fit").read_bytes() == kept


def encoded(hidden: tuple[int, ...]) -> vmtl.MultiTaskELBO:
    encoder = vmtl.GaussianEncoder(2, 2, 2, hidden)
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), encoder, task_sizes=[10, 10]
    )


def test_of_another_model(tmp_path: Path) -> None:
    """Of the same settings, with other parameters."""
    fit(tmp_path / "fit", encoded(()))
    model = encoded((3,))
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(
        ValueError, match=r"`model` must be made as the saved one was: [\s\S]*latents"
    ):
        fit(tmp_path / "fit", model)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_bad_files(tmp_path: Path, kept: bytes) -> None:
    file = tmp_path / "fit"
    newer = {"format": saving.FORMAT, "version": saving.VERSION + 1}
    for content, message in (
        (kept[:-50], "`checkpoint` must be a whole file; .* is truncated or damaged"),
        (b"school,score\n", "`checkpoint` must be a file that `save` wrote; .* is another's"),
        (b"", "`checkpoint` must be a file that `save` wrote; .* is another's"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            fit(file)
        assert file.read_bytes() == content
    torch.save(newer, file)
    with pytest.raises(ValueError, match="`checkpoint` is of format 2, of a newer version"):
        fit(file)
    vmtl.save(build(), file)
    with pytest.raises(ValueError, match=r"`checkpoint` must be a file that `fit` wrote; .*`save`"):
        fit(file)


def test_load_reads_it(tmp_path: Path) -> None:
    """A longer fit goes on from what it holds, with `resume`."""
    wanted, model = build(), build()
    expected = fit(None, wanted, steps=20, lr=0.03)
    fit(tmp_path / "fit", steps=12, lr=0.03)
    history = vmtl.load(tmp_path / "fit", model)
    history = fit(None, model, steps=20, lr=0.03, resume=history)
    assert history.terms == expected.terms
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), wanted.parameters()))


@pytest.mark.parametrize(
    ("method", "every", "steps"),
    [("adam", None, [0, 100]), ("adam", 60, [0, 60, 120]), ("coordinate", 2, [0, 2, 4])],
)
def test_when_it_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    every: int | None,
    steps: list[int],
) -> None:
    """At the start, after every so many steps, and once more at the end."""
    at: list[tuple[int, bool]] = []
    original = checkpoint.Checkpoint.write

    def write(self: Any, history: vmtl.History, ended: bool = False) -> None:
        at.append((history.step, ended))
        original(self, history, ended)

    monkeypatch.setattr(checkpoint.Checkpoint, "write", write)
    last = 150 if method == "adam" else 5
    fit(tmp_path / "fit", method=method, every=every, steps=last)
    assert at == [*((step, False) for step in steps), (last, True)]
    fit(tmp_path / "fit", method=method, every=every, steps=last)
    assert len(at) == len(steps) + 1  # nothing was left to do


def test_the_warning_comes_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.warns(vmtl.ConvergenceWarning, match="stopped after 1 steps"):
            fit(tmp_path / "fit", method="coordinate", tolerance=1e-9, steps=1)


def test_it_changes_nothing(tmp_path: Path) -> None:
    for method in ("adam", "coordinate"):
        one, two = build(), build()
        with_file = fit(tmp_path / method, one, method=method, every=3)
        assert with_file.terms == fit(None, two, method=method).terms
        for name, value in two.state_dict().items():
            assert torch.equal(one.state_dict()[name], value), name
