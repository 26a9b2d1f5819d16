"""Compare the ways to learn the digits, for chapter 10.

    python benchmarks/digits.py

Repeats `vmtl_core.lab.digits_comparison.compare` over splits and training sizes and writes its rows
to `vmtl_core/lab/data/results/digits.csv`, which the chapter reads. A stopped run goes on where it
stopped; to start afresh, delete the file. About 10 minutes on one core.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from vmtl_core.lab import digits_comparison as comparison

FOLDER = Path(comparison.__file__).parent / "data" / "results"
KEYS = ["task", "n", "seed", "method"]
JOBS = {("domains", 20): 10, ("outlier", 20): 10, ("angles", 10): 10, ("angles", 50): 10}
"""Task and training images of each domain or digit: number of splits."""


def main() -> None:
    parser = argparse.ArgumentParser(description="compare the ways to learn the digits")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    path = parser.parse_args().folder / comparison.RESULTS
    torch.set_num_threads(1)
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=KEYS)
    jobs = [(task, n, s) for (task, n), splits in JOBS.items() for s in range(splits)]
    for task, n, seed in tqdm(jobs, desc="splits"):
        here = (table["task"] == task) & (table["n"] == n) & (table["seed"] == seed)
        done = set(table[here]["method"])
        missing = [method for method in comparison.METHODS[task] if method not in done]
        if missing:
            new = comparison.compare(task, n, seed, missing)
            table = new if table.empty else pd.concat([table, new], ignore_index=True)
            table = table.sort_values(KEYS[:3], kind="stable")
            table.to_csv(path, index=False, float_format="%.5f")
    print(table.groupby(["task", "n", "method"], sort=False).mean().drop(columns="seed").round(3))


if __name__ == "__main__":
    main()
