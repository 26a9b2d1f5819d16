"""Time of one training step against the same objective as a Python loop over tasks and pairs.

Both take forward, backward and Adam on the same model and data: the default `MultiTaskELBO` with a
`GaussianEncoder` for each task, 16 rows a task, 64 inputs, 16 latents, L = M = 2, one thread. The
loop is `tests/oracle.py`, which the tests hold equal to the core. The steps of the two alternate in
one run, and what is timed is the processor time of this process, so that a busy machine disturbs
the ratio little. The floor is the matrix products alone, with no distribution around them.

A second table times the paper's preset without encoders, 16 rows and 16 inputs a task, against the
same model in Pyro, where Pyro is installed (`pip install pyro-ppl`).

    python benchmarks/elbo_step.py [--json] [--tasks 3 10 50] [--profile 10]
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

import vmtl_core as vmtl
from tests.oracle import by_task, naive_elbo, naive_terms

ROWS, INPUTS, LATENTS, SAMPLES = 16, 64, 16, 2
BARS = {10: 8.0, 50: 50.0}
Step = Callable[[], None]


def model_and_data(tasks: int) -> tuple[vmtl.MultiTaskELBO, Tensor, Tensor, Tensor]:
    """The model that is timed, and a table of random numbers."""
    torch.manual_seed(0)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(tasks, (LATENTS + 1,)),
        vmtl.GaussianEncoder(tasks, INPUTS, LATENTS),
        task_sizes=[ROWS] * tasks,
        weight_samples=SAMPLES,
        latent_samples=SAMPLES,
    )
    rows = tasks * ROWS
    task = torch.arange(tasks).repeat_interleave(ROWS)
    return model, torch.randn(rows, INPUTS), torch.randn(rows), task


def training_step(parameters: Iterable[Tensor], loss: Callable[[], Tensor]) -> Step:
    """Forward, backward, Adam."""
    optimizer = torch.optim.Adam(parameters, lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def floor_step(tasks: int) -> Step:
    """The matrix products that the objective cannot do without, forward and backward.

    Both sets of encoders on their own rows, with gradient; the own-data set on all rows, without;
    two products for the pairwise KL of w, two for each row for that of z.
    """
    matrices = [torch.randn(tasks, INPUTS, 2 * LATENTS, requires_grad=True) for _ in range(2)]
    bias = torch.zeros(tasks, 1, 2 * LATENTS)
    own, every = torch.randn(tasks, ROWS, INPUTS), torch.randn(tasks * ROWS, INPUTS)
    w = torch.randn(tasks, LATENTS + 1, requires_grad=True)

    def step() -> None:
        encoded = [torch.baddbmm(bias, own, matrix) for matrix in matrices]
        with torch.no_grad():
            everyone = torch.baddbmm(bias, every.expand(tasks, -1, -1), matrices[1])
        sources = everyone.view(tasks, -1, 2, LATENTS).permute(2, 1, 3, 0)
        halves = encoded[0].view(-1, 2, 1, LATENTS).unbind(1)
        kl_z = [half @ source for half, source in zip(halves, sources, strict=True)]
        kl_w = [w @ w.detach().T for _ in range(2)]
        sum((part.sum() for part in (*kl_z, *kl_w, encoded[1])), torch.zeros(())).backward()

    return step


def milliseconds(steps: dict[str, Step], repeats: dict[str, int]) -> dict[str, float]:
    """Median processor time of each step; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(3):
        for step in steps.values():
            step()
    for _ in range(min(repeats.values())):
        for name, step in steps.items():
            for _ in range(repeats[name] // min(repeats.values())):
                start = time.process_time()
                step()
                times[name].append(1000 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def measure(tasks: int) -> dict[str, float]:
    """One row of the table."""
    model, x, y, task = model_and_data(tasks)
    table = by_task(x, y, task, tasks)
    steps = {
        "core": training_step(model.parameters(), lambda: model(x, y, task, validate=False).loss),
        "loop": training_step(model.parameters(), lambda: -naive_elbo(naive_terms(model, table))),
        "floor": floor_step(tasks),
    }
    loops = max(5, 200 // tasks)
    result = milliseconds(steps, {"core": 10 * loops, "loop": loops, "floor": 10 * loops})
    return {
        "tasks": tasks,
        **{f"{name}_ms": value for name, value in result.items()},
        "loop_over_core": result["loop"] / result["core"],
        "core_over_floor": result["core"] / result["floor"],
    }


def measure_pyro(tasks: int) -> dict[str, float]:
    """One row of the second table: `MultiTaskELBO.paper`, z = x, against `pyro_model.py`."""
    from benchmarks.pyro_model import PyroVMTL

    torch.manual_seed(0)
    x, y = torch.randn(tasks, ROWS, LATENTS), torch.randn(tasks, ROWS)
    model = vmtl.MultiTaskELBO.paper(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(tasks, (LATENTS,), covariance="diagonal"),  # as Pyro's
        task_sizes=[ROWS] * tasks,
        weight_samples=SAMPLES,
        divergence_samples=SAMPLES,
    )
    task = torch.arange(tasks).repeat_interleave(ROWS)
    table = x.flatten(0, 1), y.flatten(), task
    other = PyroVMTL(x, y, SAMPLES)
    steps = {
        "core": training_step(model.parameters(), lambda: model(*table, validate=False).loss),
        "pyro": training_step(other.parameters(), other.loss),
    }
    loops = max(20, 1000 // tasks)
    result = milliseconds(steps, {"core": loops, "pyro": loops})
    ratio = result["pyro"] / result["core"]
    return {"tasks": tasks, **{f"{k}_ms": v for k, v in result.items()}, "pyro_over_core": ratio}


def show_profile(tasks: int) -> None:
    """Where the time of a step goes."""
    model, x, y, task = model_and_data(tasks)
    step = training_step(model.parameters(), lambda: model(x, y, task, validate=False).loss)
    for _ in range(3):
        step()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True
    ) as profile:
        for _ in range(10):
            step()
    averages = profile.key_averages(group_by_input_shape=True)
    print(averages.table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, nargs="+", default=[3, 10, 50], metavar="T")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--profile", type=int, metavar="T", help="profile the step at T tasks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.profile:
        show_profile(options.profile)
        return
    results = [measure(tasks) for tasks in options.tasks]
    has_pyro = importlib.util.find_spec("pyro") is not None
    with_pyro = [measure_pyro(tasks) for tasks in options.tasks] if has_pyro else []
    if options.json:
        found = {"torch": torch.__version__, "results": results, "pyro": with_pyro}
        print(json.dumps(found, indent=2))
        return
    print(f"{'T':>4} {'core ms':>9} {'loop ms':>9} {'loop/core':>10} {'bar':>5} {'core/floor':>11}")
    for row in results:
        tasks = int(row["tasks"])
        bar = f"{BARS[tasks]:.0f}" if tasks in BARS else "-"
        print(
            f"{tasks:>4} {row['core_ms']:>9.2f} {row['loop_ms']:>9.1f} "
            f"{row['loop_over_core']:>10.1f} {bar:>5} {row['core_over_floor']:>11.1f}"
        )
    if not has_pyro:
        print("No comparison with Pyro: it isn't installed (pip install pyro-ppl).")
        return
    print(
        f"\n{'T':>4} {'core ms':>9} {'Pyro ms':>9} {'Pyro/core':>10}    the paper's preset, z = x"
    )
    for row in with_pyro:
        times = f"{row['core_ms']:>9.2f} {row['pyro_ms']:>9.2f} {row['pyro_over_core']:>10.1f}"
        print(f"{int(row['tasks']):>4} {times}")


if __name__ == "__main__":
    main()
