"""Compare the ways to learn the linked tasks, for chapter 7.

    python benchmarks/linked_tasks.py

Repeats `vmtl_core.lab.experiments.linked.compare` over seeds and writes its rows to
`vmtl_core/lab/data/results/linked_tasks.csv`, which the chapter reads. A few minutes on one core.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from vmtl_core.lab.experiments import linked

FOLDER = Path(linked.__file__).parents[1] / "data" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description="compare the ways to learn the linked tasks")
    parser.add_argument("--seeds", type=int, default=20, help="repetitions (20)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 480], help="points a task")
    parser.add_argument("--out", type=Path, default=FOLDER / linked.RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tables = []
    for n in arguments.sizes:
        for seed in range(arguments.seeds):
            tables.append(linked.compare(n, seed))
            print(f"{n} points a task, seed {seed}: done", flush=True)
    table = pd.concat(tables)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out, index=False, float_format="%.4f")
    print(table.groupby(["n", "method"])[["accuracy", "log_score"]].mean().round(3))


if __name__ == "__main__":
    main()
