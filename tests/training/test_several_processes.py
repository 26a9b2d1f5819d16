"""A batch that several processes hold in parts: gradients of the whole, and a run that is killed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

import vmtl_core as vmtl

ROOT = Path(__file__).parents[2]
T = 3
PARTS = {
    "even": [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]],
    "unequal": [[0, 1, 2, 3, 5, 8, 9, 10], [4, 6, 7, 11]],
    "a task in one alone": [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]],
}


def model(sources: str) -> vmtl.MultiTaskELBO:
    torch.manual_seed(0)
    made = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(T, (2,)),
        task_sizes=[9, 5, 7],
        sources=sources,
    )
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.2 * torch.randn(p.shape))
    return made.double()


def gradients(made: vmtl.MultiTaskELBO, rows: Tensor, counts: Tensor | None) -> dict[str, Tensor]:
    """Of the loss: nothing in it is drawn but the mixing weights, the same in every call."""
    draw = Generator().manual_seed(1)
    task = torch.tensor([0] * 5 + [1] * 3 + [2] * 4)
    x, y = torch.randn(12, 2, generator=draw).double(), torch.randn(12, generator=draw).double()
    made.zero_grad()
    made(
        x[rows], y[rows], task[rows], generator=Generator().manual_seed(2), batch_counts=counts
    ).loss.backward()
    return {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}


@pytest.mark.filterwarnings("ignore::vmtl_core.BatchWarning")
@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS.keys())
def test_the_mean_of_the_parts_is_the_whole(parts: list[list[int]], sources: str) -> None:
    made = model(sources)
    whole = gradients(made, torch.arange(12), None)
    counts = torch.tensor([5.0, 3.0, 4.0]) / 2
    each = [gradients(made, torch.tensor(rows), counts) for rows in parts]
    assert whole.keys() == each[0].keys()
    for name, wanted in whole.items():
        torch.testing.assert_close((each[0][name] + each[1][name]) / 2, wanted, msg=name)
    if parts != PARTS["even"]:
        alone = [gradients(made, torch.tensor(rows), None) for rows in parts]
        assert not torch.allclose(
            (alone[0]["posteriors.weights.loc"] + alone[1]["posteriors.weights.loc"]) / 2,
            whole["posteriors.weights.loc"],
        )


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (torch.ones(2), r"`batch_counts` must be 3 numbers.*got tensor\(\[1\., 1\.\]\)"),
        ([1, 1, 1], r"`batch_counts` must be 3 numbers"),
        (torch.tensor([1.0, torch.nan, 1.0]), r"`batch_counts` must be 3 numbers, finite"),
        (torch.tensor([1.0, -1.0, 1.0]), r"`batch_counts` must be 3 numbers.*not negative"),
        (torch.tensor([1.0, 0.0, 1.0]), r"`batch_counts` is 0 of tasks that have rows: \[1\]"),
    ],
)
def test_counts_that_do_not_fit(counts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gradients(model("joint"), torch.arange(12), counts)


def run(folder: Path, *more: str) -> int:
    """The exit status of a run of the example by two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(ROOT / "examples" / "two_processes.py"), f"--folder={folder}"]
    command += ["--steps=9", "--every=3", "--batch=20", *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, capture_output=True, check=False, timeout=120
    ).returncode


def steps(folder: Path) -> list[str]:
    """Those of the checkpoints that were written to their end."""
    return sorted(path.parent.name for path in folder.glob("*/.metadata"))


def end(folder: Path) -> dict[str, Any]:
    """What the last of them holds."""
    assert steps(folder) == ["00000003", "00000006", "00000009"]
    dcp_to_torch_save(folder / "00000009", folder / "end.pt")
    content: dict[str, Any] = torch.load(folder / "end.pt", weights_only=False)
    return content


def tensors(content: dict[str, Any], prefix: str = "") -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found |= tensors(value, f"{prefix}{name}/")
        elif isinstance(value, Tensor):
            found[prefix + str(name)] = value
    return found


def test_a_killed_process_changes_no_number(tmp_path: Path) -> None:
    """Killed in the fifth step, torchrun ends both; the same command goes on from the third."""
    assert run(tmp_path / "killed", "--kill-at=4") != 0
    assert steps(tmp_path / "killed") == ["00000003"]
    assert run(tmp_path / "killed") == run(tmp_path / "straight") == 0
    straight, killed = (tensors(end(tmp_path / name)) for name in ("straight", "killed"))
    assert straight.keys() == killed.keys()
    assert any(name.startswith("optimizer/") for name in straight)
    for name, value in straight.items():
        assert torch.equal(value, killed[name]), name
