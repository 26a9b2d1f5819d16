"""Compare the ways to learn the 131 schools, for chapter 8.

    python benchmarks/schools.py

Repeats `vmtl_core.lab.schools_comparison.compare` over training sizes and splits and writes its
rows to `vmtl_core/lab/data/results/schools.csv`, which the chapter reads; and how the paper's model
changes during training to `schools_training.csv`, and the default under schedules of the
temperature to `schools_temperatures.csv`. A stopped run goes on where it stopped; to start
afresh, delete the files. About 15 minutes on one core.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from vmtl_core.lab import schools_comparison as comparison

FOLDER = Path(comparison.__file__).parent / "data" / "results"
KEYS = ["n", "seed", "method"]


def stored(path: Path) -> pd.DataFrame:
    """What is done already."""
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=KEYS)


def save(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rank = {method: i for i, method in enumerate(comparison.METHODS)}
    table = table.sort_values(KEYS, key=lambda column: column.replace(rank), kind="stable")
    table.to_csv(path, index=False, float_format="%.5f")


def sweep(sizes: list[int], seeds: int, path: Path) -> pd.DataFrame:
    """All methods, sizes and splits; saved after every split."""
    table = stored(path)
    jobs = [(n, seed) for seed in range(seeds) for n in sizes]
    for n, seed in tqdm(jobs, desc="splits"):
        done = set(table[(table.n == n) & (table.seed == seed)].method)
        missing = [method for method in comparison.METHODS if method not in done]
        if missing:
            new = comparison.compare(n, seed, missing)
            table = new if table.empty else pd.concat([table, new], ignore_index=True)
            save(table, path)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="compare the ways to learn the schools")
    parser.add_argument("--seeds", type=int, default=10, help="random splits (10)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 5, 10], help="pupils a school")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = sweep(arguments.sizes, arguments.seeds, arguments.folder / comparison.RESULTS)
    path = arguments.folder / comparison.TRAINING
    if not path.is_file():
        comparison.paper_training().to_csv(path, index=False, float_format="%.5f")
    path = arguments.folder / comparison.TEMPERATURES
    if not path.is_file():
        seeds = tqdm(range(min(arguments.seeds, 5)), desc="temperatures")
        runs = pd.concat([comparison.compare_temperatures(seed) for seed in seeds])
        runs.to_csv(path, index=False, float_format="%.5f")
    means = table.groupby(["n", "method"], sort=False)[["nmse", "log_score", "coverage", "seconds"]]
    print(means.mean().round(3))


if __name__ == "__main__":
    main()
