"""Compare the ways to learn the 131 schools, for chapter 8.

    python benchmarks/schools.py
    python benchmarks/schools.py --first-seed 10

Repeats `vmtl_core.lab.schools_comparison.compare` over training sizes and splits and writes its
rows to `vmtl_core/lab/data/results/schools.csv`, which the chapter reads; and how the paper's model
changes during training to `schools_training.csv`, and the default under schedules of the
temperature to `schools_temperatures.csv`. The second line runs ten splits that nobody looked at
while settings were chosen, without the paper's model, and writes them to `schools_fresh.csv`. A
stopped run goes on where it stopped; to start afresh, delete the files. About 15 minutes on one
core, and 5 for the second.
"""

import argparse
from collections.abc import Sequence
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


def sweep(sizes: list[int], seeds: range, methods: Sequence[str], path: Path) -> pd.DataFrame:
    """All methods, sizes and splits; saved after every split."""
    table = stored(path)
    jobs = [(n, seed) for seed in seeds for n in sizes]
    for n, seed in tqdm(jobs, desc="splits"):
        done = set(table[(table.n == n) & (table.seed == seed)].method)
        missing = [method for method in methods if method not in done]
        if missing:
            new = comparison.compare(n, seed, missing)
            table = new if table.empty else pd.concat([table, new], ignore_index=True)
            save(table, path)
    return table


def others(folder: Path, seeds: int) -> None:
    """The paper's model during training, and the temperatures; what is there is kept."""
    path = folder / comparison.TRAINING
    if not path.is_file():
        comparison.paper_training().to_csv(path, index=False, float_format="%.5f")
    path = folder / comparison.TEMPERATURES
    if not path.is_file():
        bar = tqdm(range(min(seeds, 5)), desc="temperatures")
        runs = pd.concat([comparison.compare_temperatures(seed) for seed in bar])
        runs.to_csv(path, index=False, float_format="%.5f")


def main() -> None:
    parser = argparse.ArgumentParser(description="compare the ways to learn the schools")
    parser.add_argument("--seeds", type=int, default=comparison.SPLITS, help="random splits (10)")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="of the splits (0); above 0 they are fresh ones"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 5, 10], help="pupils a school")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    if arguments.first_seed:
        methods, path = comparison.FRESH_METHODS, arguments.folder / comparison.FRESH
        table = sweep(arguments.sizes, seeds, methods, path)
    else:
        path = arguments.folder / comparison.RESULTS
        table = sweep(arguments.sizes, seeds, comparison.METHODS, path)
        others(arguments.folder, arguments.seeds)
    means = table.groupby(["n", "method"], sort=False)[["nmse", "log_score", "coverage", "seconds"]]
    print(means.mean().round(3))


if __name__ == "__main__":
    main()
