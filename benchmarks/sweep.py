"""Fill a stored table of results, job by job: what the scripts of the book's comparisons share."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

Job = tuple[dict[str, Any], Sequence[str]]
"""A split, as column -> value, and the methods that it is run with."""


def save(table: pd.DataFrame, path: Path, digits: str = "%.5f") -> None:
    """Write to a file beside `path`, then rename it: a stop in the middle loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    table.to_csv(unfinished, index=False, float_format=digits)
    unfinished.replace(path)


def run_missing(
    jobs: Sequence[Job],
    compare: Callable[..., pd.DataFrame],
    path: Path,
    keys: list[str],
    names: Iterable[str],
    digits: str = "%.5f",
) -> pd.DataFrame:
    """Run what the table at `path` lacks, saved after every job: a stopped run goes on there.

    Args:
        jobs: in the order in which they are run.
        compare: the rows of a split; takes the values of the split and the methods without a row.
        path: a CSV file, made if it isn't there.
        keys: columns that the table is sorted by.
        names: the values there that aren't numbers, in the order of the table.
        digits: format of the numbers in the file.

    Returns:
        The whole table.
    """
    rank = {name: i for i, name in enumerate(names)}
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=keys)
    for split, methods in (bar := tqdm(jobs)):
        same = (table[list(split)] == list(split.values())).all(axis=1)
        done = set(table.loc[same, "method"])
        missing = [method for method in methods if method not in done]
        if missing:
            bar.set_postfix_str(", ".join(map(str, [*split.values(), *missing])))
            new = compare(*split.values(), missing)
            table = new if table.empty else pd.concat([table, new], ignore_index=True)
            table = table.sort_values(
                keys, key=lambda column: column.map(lambda k: rank.get(k, k)), kind="stable"
            )
            save(table, path, digits)
    return table
