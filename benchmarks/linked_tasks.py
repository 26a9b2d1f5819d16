"""Compare the ways to learn the linked tasks, for chapter 7.

    python benchmarks/linked_tasks.py

Repeats `vmtl_core.lab.experiments.linked.compare` over seeds and writes its rows to
`vmtl_core/lab/data/results/linked_tasks.csv`, which the chapter reads. A stopped run goes on where it
stopped; to start afresh, delete the file. A few minutes on one core.
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.sweep import run_missing
from vmtl_core.lab.experiments import linked

FOLDER = Path(linked.__file__).parents[1] / "data" / "results"
KEYS = ["n", "seed", "method", "task"]


def main() -> None:
    parser = argparse.ArgumentParser(description="compare the ways to learn the linked tasks")
    parser.add_argument("--seeds", type=int, default=20, help="repetitions (20)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 480], help="points a task")
    parser.add_argument("--out", type=Path, default=FOLDER / linked.RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    jobs = [
        ({"n": n, "seed": seed}, linked.METHODS)
        for n in arguments.sizes
        for seed in range(arguments.seeds)
    ]
    table = run_missing(jobs, linked.compare, arguments.out, KEYS, linked.METHODS, digits="%.4f")
    print(table.groupby(["n", "method"])[["accuracy", "log_score"]].mean().round(3))


if __name__ == "__main__":
    main()
