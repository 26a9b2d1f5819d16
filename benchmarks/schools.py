"""Compare the ways to learn the 131 schools, for chapter 8.

    python benchmarks/schools.py
    python benchmarks/schools.py --first-seed 10

Repeats `vmtl_core.lab.experiments.schools.compare` over training sizes and splits and writes its
rows to `vmtl_core/lab/data/results/schools.csv`, which the chapter reads; and how the paper's model
changes during training to `schools_training.csv`, and the default, by Adam, under schedules of
the temperature to `schools_temperatures.csv`. The second line runs ten splits that nobody looked at
while settings were chosen, without the paper's model, and writes them to `schools_fresh.csv`. A
stopped run goes on where it stopped; to start afresh, delete the files. About 15 minutes on one
core, and 2 for the second.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.sweep import run_missing, save
from vmtl_core.lab.experiments import schools as comparison

FOLDER = Path(comparison.__file__).parents[1] / "data" / "results"
KEYS = ["n", "seed", "method"]


def others(folder: Path, seeds: int) -> None:
    """The paper's model during training, and the temperatures; what is there is kept."""
    path = folder / comparison.TRAINING
    if not path.is_file():
        save(comparison.paper_training(), path)
    path = folder / comparison.TEMPERATURES
    if not path.is_file():
        bar = tqdm(range(min(seeds, 4)), desc="temperatures")
        save(pd.concat([comparison.compare_temperatures(seed) for seed in bar]), path)


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
    fresh = arguments.first_seed != 0
    methods = comparison.FRESH_METHODS if fresh else comparison.METHODS
    jobs = [({"n": n, "seed": seed}, methods) for seed in seeds for n in arguments.sizes]
    path = arguments.folder / (comparison.FRESH if fresh else comparison.RESULTS)
    table = run_missing(jobs, comparison.compare, path, KEYS, comparison.METHODS)
    if not fresh:
        others(arguments.folder, arguments.seeds)
    means = table.groupby(["n", "method"], sort=False)[["nmse", "log_score", "coverage", "seconds"]]
    print(means.mean().round(3))


if __name__ == "__main__":
    main()
