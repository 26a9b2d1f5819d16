"""Compare the ways to learn the tastes of 235 travellers, for chapter 9.

    python benchmarks/rail.py

Repeats `vmtl_core.lab.rail_comparison.compare` over training sizes and splits and writes its rows to
`vmtl_core/lab/data/results/rail.csv`, which the chapter reads. A stopped run goes on where it
stopped; to start afresh, delete the file. About 10 minutes on one core.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from vmtl_core.lab import rail_comparison as comparison

PATH = Path(comparison.__file__).parent / "data" / "results" / comparison.RESULTS
KEYS = ["n", "seed", "method"]


def save(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rank = {method: i for i, method in enumerate(comparison.METHODS)}
    table = table.sort_values(KEYS, key=lambda column: column.replace(rank), kind="stable")
    table.to_csv(path, index=False, float_format="%.5f")


def sweep(sizes: list[int], seeds: int, path: Path) -> pd.DataFrame:
    """All methods, sizes and splits; saved after every split."""
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=KEYS)
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
    parser = argparse.ArgumentParser(description="compare the ways to learn the rail choices")
    parser.add_argument("--seeds", type=int, default=10, help="random splits (10)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 10], help="choices a traveller")
    parser.add_argument("--path", type=Path, default=PATH)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = sweep(arguments.sizes, arguments.seeds, arguments.path)
    columns = ["accuracy", "log_score", "calibration", "seconds"]
    print(table.groupby(["n", "method"], sort=False)[columns].mean().round(3).to_string())


if __name__ == "__main__":
    main()
