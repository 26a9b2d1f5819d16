"""Time and score whole fits, ours beside those of a statistician's tools, and hold them to the bars.

    python benchmarks/fit.py                    # all but NUTS, under ten minutes on one core
    python benchmarks/fit.py --methods NUTS     # then these, a few minutes more
    python benchmarks/fit.py --methods VMTL "VMTL, base prior alone" --again

Writes a row for each set, method and split to `vmtl_core/lab/data/results/fit.csv`, saved after each:
a stopped run goes on where it stopped, and what is there is not run again without `--again`. Each
rival whose package is missing is left out, with a line that says so: `pip install vmtl-core[bench]`.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.fit_bars import judge, summary
from benchmarks.fit_methods import COLUMNS, METHODS, installed, run
from benchmarks.fit_sets import ALONE, RESULTS, SETS
from benchmarks.sweep import Job, run_missing, save

SLOW = ("NUTS",)
DIGITS = "%.6g"


def run_alone(name: str, method: str, seed: int) -> dict[str, object]:
    """`run` in a process of its own, so that its peak memory is that of this fit."""
    command = [sys.executable, __file__, "--one", name, method, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    row: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return row


def compare(name: str, seed: int, methods: Sequence[str]) -> pd.DataFrame:
    """A row of the table for each method."""
    one = run_alone if name in ALONE else run
    return pd.DataFrame([one(name, method, seed) for method in methods]).reindex(columns=COLUMNS)


def jobs(sets: Sequence[str], methods: Sequence[str], splits: int) -> list[Job]:
    """Split by split: what is compared runs close together, as a machine's speed changes."""
    return [
        ({"set": name, "seed": seed}, [method])
        for name in sets
        for seed in range(splits)
        for method in methods
        if seed < METHODS[method].splits.get(name, 0)
    ]


def forget(path: Path, wanted: Sequence[Job]) -> None:
    """Take the rows of these jobs out of the stored table."""
    if path.is_file():
        table = pd.read_csv(path)
        again = {(*split.values(), method) for split, methods in wanted for method in methods}
        rows = zip(table["set"], table["seed"], table["method"])
        save(table[[row not in again for row in rows]], path, DIGITS)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="time and score whole fits against rivals")
    usual = [method for method in METHODS if method not in SLOW]
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=usual)
    parser.add_argument("--splits", type=int, default=10, help="at most so many of a set (10)")
    parser.add_argument("--again", action="store_true", help="run what is stored already, too")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--one", nargs=3, metavar=("SET", "METHOD", "SEED"), help="print one row")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    if arguments.one:
        name, method, seed = arguments.one
        print(json.dumps(run(name, method, int(seed))))
        return
    there = [method for method in arguments.methods if installed(method)]
    for method in sorted(set(arguments.methods) - set(there)):
        needs = " and ".join(METHODS[method].packages)
        print(f"{method.upper()} IS LEFT OUT: {needs} not found; pip install vmtl-core[bench]")
    wanted = jobs(arguments.sets, there, arguments.splits)
    if arguments.again:
        forget(arguments.output, wanted)
    names = [*SETS, *METHODS]
    table = run_missing(wanted, compare, arguments.output, ["set", "method", "seed"], names, DIGITS)
    print(summary(table).round(4).to_string())
    print(judge(table).to_string(index=False))


if __name__ == "__main__":
    main()
