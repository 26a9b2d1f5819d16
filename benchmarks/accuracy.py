"""Score every method on every data set, and hold the default against its bar.

    python benchmarks/accuracy.py

Repeats `vmtl_core.lab.accuracy.run` over sets, methods and ten splits, and writes a row each to
`vmtl_core/lab/data/results/accuracy.csv`, which the chapters read. Each row is saved at once: a
stopped run goes on where it stopped. To start afresh, delete the file or take `--output`. About two
hours on one core, most of it for the thousand schools of chem97.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from vmtl_core.lab import accuracy

RESULTS = Path(accuracy.__file__).parent / "data" / "results" / accuracy.RESULTS
KEYS = ["set", "method", "seed"]


def stored(path: Path) -> pd.DataFrame:
    """What is done already."""
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=KEYS)


def save(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Write the table, sorted by set, method and seed, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = {name: i for i, name in enumerate([*accuracy.SETS, *accuracy.METHODS])}
    table = table.sort_values(KEYS, key=lambda column: column.map(lambda k: order.get(k, k)))
    table.to_csv(path, index=False, float_format="%.5f")
    return table


def sweep(sets: list[str], chosen: list[str], seeds: range, path: Path) -> pd.DataFrame:
    """Run what is missing, split by split, so that all methods have the same splits early."""
    table = stored(path)
    done = set(table[KEYS].itertuples(index=False, name=None))
    jobs = [
        (name, method, seed)
        for seed in seeds
        for name in sets
        for method in accuracy.methods(name)
        if (not chosen or method in chosen) and (name, method, seed) not in done
    ]
    for name, method, seed in (bar := tqdm(jobs)):
        bar.set_description(f"{name}, {method}, split {seed}")
        row = pd.DataFrame([accuracy.run(name, method, seed)])
        table = save(row if table.empty else pd.concat([table, row], ignore_index=True), path)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="score every method on every set")
    parser.add_argument("--sets", nargs="+", choices=accuracy.SETS, default=list(accuracy.SETS))
    parser.add_argument("--methods", nargs="+", choices=accuracy.METHODS, default=[])
    parser.add_argument("--splits", type=int, default=10, help="number of random splits (10)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(arguments.splits)
    table = sweep(arguments.sets, arguments.methods, seeds, arguments.output)
    print(accuracy.against_best(table).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
