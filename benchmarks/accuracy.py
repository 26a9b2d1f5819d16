"""Score every method on every data set, and hold the default against its bar.

    python benchmarks/accuracy.py

Repeats `vmtl_core.lab.experiments.accuracy.run` over sets, methods and ten splits, and writes
a row each to `vmtl_core/lab/data/results/accuracy.csv`, which the chapters read. Each row is saved
at once: a stopped run goes on where it stopped. To start afresh, delete the file or take
`--output`. About an hour and a half on one core.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.sweep import run_missing
from vmtl_core.lab.experiments import accuracy

RESULTS = Path(accuracy.__file__).parents[1] / "data" / "results" / accuracy.RESULTS
KEYS = ["set", "method", "seed"]


def compare(name: str, seed: int, methods: Sequence[str]) -> pd.DataFrame:
    """A row of the table for each method."""
    return pd.DataFrame([accuracy.run(name, method, seed) for method in methods])


def main() -> None:
    parser = argparse.ArgumentParser(description="score every method on every set")
    parser.add_argument("--sets", nargs="+", choices=accuracy.SETS, default=list(accuracy.SETS))
    parser.add_argument("--methods", nargs="+", choices=accuracy.METHODS, default=[])
    parser.add_argument("--splits", type=int, default=10, help="number of random splits (10)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # Split by split, so that all methods have the same splits early; saved after every method.
    jobs = [
        ({"set": name, "seed": seed}, [method])
        for seed in range(arguments.splits)
        for name in arguments.sets
        for method in accuracy.methods(name)
        if not arguments.methods or method in arguments.methods
    ]
    names = [*accuracy.SETS, *accuracy.METHODS]
    table = run_missing(jobs, compare, arguments.output, KEYS, names)
    print(accuracy.against_best(table).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
