"""Sources against divergences on the schools, for the appendix.

    python benchmarks/echo_schools.py

Writes the rows of `vmtl_core.lab.experiments.echo_schools.compare` for five splits to
`vmtl_core/lab/data/results/echo_schools.csv`, split by split; a stopped run goes on where it
stopped. About 8 minutes on one core.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from vmtl_core.lab.experiments import echo_schools

RESULTS = Path(echo_schools.__file__).parents[1] / "data" / "results" / echo_schools.RESULTS


def main() -> None:
    parser = argparse.ArgumentParser(description="sources against divergences on the schools")
    parser.add_argument("--splits", type=int, default=5, help="number of random splits (5)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = arguments.output
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["seed"])
    for seed in tqdm(range(arguments.splits), desc="splits"):
        if seed not in set(table["seed"]):
            new = echo_schools.compare([seed])
            table = new if table.empty else pd.concat([table, new], ignore_index=True)
            table.to_csv(path, index=False, float_format="%.5f")
    print(table.groupby("variant", sort=False).mean().drop(columns="seed").round(3))


if __name__ == "__main__":
    main()
