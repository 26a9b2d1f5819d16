"""Compare the ways to learn the digits, for chapter 10.

    python benchmarks/digits.py

Repeats `vmtl_core.lab.experiments.digits.compare` over splits and training sizes and writes its rows
to `vmtl_core/lab/data/results/digits.csv`, which the chapter reads. A stopped run goes on where it
stopped; to start afresh, delete the file. About 10 minutes on one core.
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.sweep import run_missing
from vmtl_core.lab.experiments import digits as comparison

FOLDER = Path(comparison.__file__).parents[1] / "data" / "results"
KEYS = ["task", "n", "seed"]
JOBS = {("domains", 20): 10, ("outlier", 20): 10, ("angles", 10): 10, ("angles", 50): 10}
"""Task and training images of each domain or digit: number of splits."""


def main() -> None:
    parser = argparse.ArgumentParser(description="compare the ways to learn the digits")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    path = parser.parse_args().folder / comparison.RESULTS
    torch.set_num_threads(1)
    jobs = [
        ({"task": task, "n": n, "seed": seed}, comparison.METHODS[task])
        for (task, n), splits in JOBS.items()
        for seed in range(splits)
    ]
    table = run_missing(jobs, comparison.compare, path, KEYS, comparison.METHODS)
    print(table.groupby(["task", "n", "method"], sort=False).mean().drop(columns="seed").round(3))


if __name__ == "__main__":
    main()
