"""Score every method on every data set, and show how far each is from the default.

    python benchmarks/accuracy.py

Repeats `vmtl_core.lab.experiments.accuracy.run` over sets, methods and seeds (50 of a generated set, ten
re-splits of a table), and writes a row each to `vmtl_core/lab/data/results/accuracy.csv`, which the
chapters read; `accuracy_versions.csv` beside it tells the packages behind each method. Rows are saved
as they come: a stopped run goes on where it stopped.

    python benchmarks/accuracy.py --again --methods "VMTL, default"

runs anew what is stored of a method; to start afresh, take another `--output`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import accuracy_extras as extras
from benchmarks.sweep import run_missing, save
from vmtl_core.lab.experiments import accuracy

RESULTS = Path(accuracy.__file__).parents[1] / "data" / "results" / accuracy.RESULTS
KEYS = ["set", "method", "seed"]
METHODS = [*accuracy.METHODS, *extras.EXTRAS]


def compare(name: str, seed: int, methods: Sequence[str]) -> pd.DataFrame:
    """A row of the table for each method."""
    rows = [accuracy.run(name, method, seed, extras.call(method)) for method in methods]
    return pd.DataFrame(rows)


def write_versions(methods: Sequence[str], path: Path) -> None:
    """Bring up to date what packages these methods have run with."""
    old = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["method", "packages"])
    known = dict(zip(old["method"], old["packages"], strict=True))
    known |= {method: extras.version(method) for method in methods}
    rows = [(method, known[method]) for method in METHODS if method in known]
    save(pd.DataFrame(rows, columns=["method", "packages"]), path)


def main() -> None:
    parser = argparse.ArgumentParser(description="score every method on every set")
    parser.add_argument("--sets", nargs="+", choices=accuracy.SETS, default=list(accuracy.SETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seeds", type=int, default=50, help="most seeds of a set (50)")
    parser.add_argument("--again", action="store_true", help="run these methods and sets anew")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [method for method in arguments.methods if extras.installed(method)]
    for method in set(arguments.methods) - set(wanted):
        missing = ", ".join(extras.EXTRAS[method].packages)
        print(f"LEFT OUT: {method}, for {missing} are not installed")
    if arguments.again and arguments.output.is_file():
        stored = pd.read_csv(arguments.output)
        again = stored["set"].isin(arguments.sets) & stored["method"].isin(wanted)
        save(stored[~again], arguments.output)
    # Seed by seed, so that all sets have the same seeds early.
    jobs = [
        ({"set": name, "seed": seed}, methods)
        for seed in range(arguments.seeds)
        for name in arguments.sets
        if (methods := [m for m in wanted if _takes(m, name, seed)])
    ]
    write_versions(wanted, arguments.output.with_name(accuracy.VERSIONS))
    table = run_missing(jobs, compare, arguments.output, KEYS, [*accuracy.SETS, *METHODS])
    print(accuracy.against(table).round(3).to_string(index=False))


def _takes(method: str, name: str, seed: int) -> bool:
    if method in extras.EXTRAS:
        return seed < extras.seeds(name, method)
    return method in accuracy.methods(name) and seed < accuracy.seeds(name, method)


if __name__ == "__main__":
    main()
