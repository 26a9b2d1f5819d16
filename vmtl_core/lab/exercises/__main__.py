"""Read a folder of answers: `python -m vmtl_core.lab.exercises FOLDER [--out FILE] [--run]`."""

import argparse
import sys
from pathlib import Path

from vmtl_core.lab.exercises.collect import collect


def main(arguments: list[str] | None = None) -> int:
    """Print who solved what; 1 if a file could not be read, 2 if there is nothing to read."""
    parser = argparse.ArgumentParser(
        prog="python -m vmtl_core.lab.exercises",
        description="Who solved what: reads notebooks that were run and saved, and tables of progress().",
    )
    parser.add_argument(
        "folder", type=Path, help="with .ipynb and .csv files, or a folder a person"
    )
    parser.add_argument("--out", type=Path, help="a CSV file for the table")
    parser.add_argument(
        "--run",
        action="store_true",
        help="execute the notebooks anew: this runs other people's code",
    )
    given = parser.parse_args(arguments)
    try:
        table, problems = collect(given.folder, given.run)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if given.out is not None:
        table.to_csv(given.out)
    right = (table == "correct").sum(axis=1)
    print(table.assign(solved=[f"{n} of {table.shape[1]}" for n in right]).to_string())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
