"""Encoders trained by several processes, which go on where a killed one has stopped them.

    torchrun --standalone --nproc-per-node 2 examples/two_processes.py --folder run

Every process holds a part of every task's rows and draws its part of each batch;
DistributedDataParallel averages the gradients. B_t of (5.3) counts the rows of all processes
together, so that the average is the gradient of the whole batch. Every few steps
torch.distributed.checkpoint writes parameters, optimiser and step. Where a process is killed, torchrun
ends the others; given again, by hand, by the cluster's queue or by torchrun's own `--max-restarts`, the
command reads the newest checkpoint, and as every step draws from a seed of its own, the end is the
same, bit by bit.
"""

import argparse
import os
import signal
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Generator, Tensor
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.nn.parallel import DistributedDataParallel

import vmtl_core as vmtl

TASKS, FEATURES, LATENTS = 12, 8, 2


def table() -> tuple[Tensor, Tensor, Tensor]:
    """Twelve regressions of unequal size in three groups, the same in every process."""
    draw = Generator().manual_seed(0)
    sizes = torch.randint(20, 60, (TASKS,), generator=draw)
    task = torch.arange(TASKS).repeat_interleave(sizes)
    slopes = torch.randn(3, FEATURES, generator=draw)[task % 3]
    x = torch.randn(len(task), FEATURES, generator=draw)
    y = torch.tanh((slopes * x).sum(1)) + 0.1 * torch.randn(len(task), generator=draw)
    return x, y, task


def build(task: Tensor) -> vmtl.MultiTaskELBO:
    """The model, the same in every process."""
    torch.manual_seed(0)
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(TASKS, (LATENTS + 1,)),
        vmtl.GaussianEncoder(TASKS, FEATURES, LATENTS, hidden=(16,)),
        task_sizes=torch.bincount(task),
    )


def train(folder: Path, steps: int, every: int, batch: int, killed_at: int | None) -> None:
    """Train to `steps`, from the newest checkpoint in `folder` if there is one.

    Args:
        folder: of the checkpoints, one folder each, named by its step.
        steps: of Adam.
        every: so many steps a checkpoint.
        batch: about how many rows each process draws.
        killed_at: the step at which process 1 kills itself the first time, to try it out.
    """
    rank, processes = dist.get_rank(), dist.get_world_size()
    x, y, task = table()
    mine = torch.arange(len(task))[rank::processes]
    batches = vmtl.StratifiedBatches(task[mine], batch)
    model = build(task)
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    first = restore(folder, model, optimizer)
    for step in range(first, steps):
        if step == killed_at and rank == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        seed = step * processes + rank
        batches.generator = Generator().manual_seed(seed)
        rows = mine[batches.draw()]
        counts = torch.bincount(task[rows], minlength=TASKS).float()
        dist.all_reduce(counts)
        terms = parallel(
            x[rows],
            y[rows],
            task[rows],
            step=step,
            generator=Generator().manual_seed(seed),
            batch_counts=counts / processes,
        )
        optimizer.zero_grad()
        terms.loss.backward()
        optimizer.step()
        if (step + 1) % every == 0 or step + 1 == steps:
            state, moments = get_state_dict(model, optimizer)
            content = {"model": state, "optimizer": moments, "step": step + 1}
            dcp.save(content, checkpoint_id=folder / f"{step + 1:08d}")


def restore(folder: Path, model: vmtl.MultiTaskELBO, optimizer: torch.optim.Optimizer) -> int:
    """Read the newest checkpoint that was written to its end; the step to go on with."""
    written = sorted(path.parent for path in folder.glob("*/.metadata"))
    if not written:
        return 0
    state, moments = get_state_dict(model, optimizer)
    dcp.load({"model": state, "optimizer": moments}, checkpoint_id=written[-1])  # in place
    set_state_dict(model, optimizer, model_state_dict=state, optim_state_dict=moments)
    return int(written[-1].name)


def main() -> None:
    parser = argparse.ArgumentParser(description="train encoders by several processes")
    parser.add_argument("--folder", type=Path, required=True, help="of the checkpoints")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", type=int, default=20, help="steps between checkpoints")
    parser.add_argument("--batch", type=int, default=60, help="rows a process")
    parser.add_argument("--kill-at", type=int, help="kill process 1 once, at this step")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    try:
        train(options.folder, options.steps, options.every, options.batch, options.kill_at)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
