"""Compare the ways to learn the tastes of 235 travellers, for chapter 9.

    python benchmarks/rail.py

Repeats `vmtl_core.lab.experiments.rail.compare` over training sizes and splits and writes its rows
to `vmtl_core/lab/data/results/rail.csv`, which the chapter reads. A stopped run goes on where it
stopped; to start afresh, delete the file. About 10 minutes on one core.
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.sweep import run_missing
from vmtl_core.lab.experiments import rail as comparison

PATH = Path(comparison.__file__).parents[1] / "data" / "results" / comparison.RESULTS
KEYS = ["n", "seed", "method"]


def main() -> None:
    parser = argparse.ArgumentParser(description="compare the ways to learn the rail choices")
    parser.add_argument("--seeds", type=int, default=10, help="random splits (10)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 10], help="choices a traveller")
    parser.add_argument("--path", type=Path, default=PATH)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    methods, seeds = comparison.METHODS, range(arguments.seeds)
    jobs = [({"n": n, "seed": seed}, methods) for seed in seeds for n in arguments.sizes]
    table = run_missing(jobs, comparison.compare, arguments.path, KEYS, methods)
    columns = ["accuracy", "log_score", "calibration", "seconds"]
    print(table.groupby(["n", "method"], sort=False)[columns].mean().round(3).to_string())


if __name__ == "__main__":
    main()
