"""Tables of the comparison of all methods: differences over the same seeds, and what was stored."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files

import pandas as pd
import torch

from vmtl_core.lab.scores import Interval, paired_difference

RESULTS, VERSIONS = "accuracy.csv", "accuracy_versions.csv"
DEFAULT = "VMTL, default"
MARGIN = 0.003
"""Nats an example that make no difference: the bar where a standard error is smaller."""
SCORES = ("error", "log_score", "calibration")


def paired(table: pd.DataFrame, name: str, column: str = "log_score") -> pd.DataFrame:
    """What is compared in pairs: a row for each seed of set `name`, a column for each method.

    Args:
        table: rows of `accuracy.run`.
        name: of a set.
        column: a score.

    Returns:
        Empty where a method wasn't run with a seed; methods in the order of `table`.
    """
    rows = table[table["set"] == name]
    wide = rows.pivot(index="seed", columns="method", values=column)
    return wide[list(rows["method"].unique())]


def difference(
    table: pd.DataFrame, name: str, method: str, rival: str, column: str = "log_score"
) -> Interval:
    """Mean of `method` minus `rival` over the seeds that both have, with its 95 % interval.

    Args:
        table, name, column: as of :func:`paired`.
        method, rival: two methods of that set.

    Raises:
        ValueError: if they share fewer than two seeds.
    """
    scores = paired(table, name, column)
    both = scores[method].notna() & scores[rival].notna()
    first, second = (torch.tensor(scores.loc[both, one].to_numpy()) for one in (method, rival))
    return paired_difference(first, second)


def against(table: pd.DataFrame, reference: str = DEFAULT) -> pd.DataFrame:
    """How far each method is ahead of `reference`, set by set, over the seeds that both have.

    Args:
        table: rows of `accuracy.run`.
        reference: a method.

    Returns:
        One row for each other method of a set that has the reference: set, method, number of
        seeds; lead (mean difference of log scores, nats an example, positive where the method is
        ahead), lead_se, low and high (of its 95 % interval); error and calibration of both over
        these seeds, the reference's as reference_error and reference_calibration.
    """
    rows = []
    for name in table["set"].unique():
        scores = {column: paired(table, name, column) for column in SCORES}
        if reference not in scores["log_score"]:
            continue
        for method in scores["log_score"].columns.drop(reference):
            seeds = scores["log_score"][[method, reference]].dropna().index
            if len(seeds) < 2:
                continue
            lead = difference(table, name, method, reference)
            row = {"set": name, "method": method, "seeds": len(seeds), "lead": lead.mean}
            row |= {"lead_se": lead.standard_error, "low": lead.low, "high": lead.high}
            for column in ("error", "calibration"):
                means = scores[column].loc[seeds].mean()
                row |= {column: means[method], f"reference_{column}": means[reference]}
            rows.append(row)
    return pd.DataFrame(rows)


def against_best(table: pd.DataFrame) -> pd.DataFrame:
    """How far each method is behind the best of its set, in log score over the same seeds.

    Args:
        table: rows of `accuracy.run`.

    Returns:
        One row for each set and method: mean log_score, error, calibration and seconds; splits, the
        number of seeds shared with the best; gap, nats an example behind the method with the best
        mean over the seeds that all have (0 for that one), gap_se, the standard error of this
        paired difference, and low and high of its 95 % interval.
    """
    rows = []
    for name, group in table.groupby("set", sort=False):
        scores = paired(table, str(name))
        best = str(scores.dropna().mean().idxmax())
        means = group.groupby("method")[[*SCORES, "seconds"]].mean()
        for method in scores.columns:
            gap = difference(table, str(name), best, method)
            splits = int(scores[[best, method]].notna().all(axis=1).sum())
            found = {"splits": splits, "gap": gap.mean, "gap_se": gap.standard_error}
            found |= {"low": gap.low, "high": gap.high}
            rows.append({"set": name, "method": method} | means.loc[method].to_dict() | found)
    return pd.DataFrame(rows)


def best_rivals(
    table: pd.DataFrame, without: Collection[str] = (), reference: str = DEFAULT
) -> pd.DataFrame:
    """The best rival of `reference` on each set, and how far ahead of it the reference is.

    Args:
        table: rows of `accuracy.run`.
        without: methods that are no rivals, such as ablations of the reference.
        reference: a method.

    Returns:
        One row for each set: set, rival (the one with the best mean log score over the seeds that it
        shares with the reference), seeds; lead (of the reference, nats an example), lead_se, low and
        high as of :func:`against`, but of the reference; reached (whether it is behind by no more
        than its standard error or `MARGIN`); error, calibration, rival_error, rival_calibration.
    """
    others = against(table, reference)
    others = others[~others["method"].isin(list(without))]
    best = others.loc[others.groupby("set", sort=False)["lead"].idxmax()]
    columns = {"method": "rival", "low": "high", "high": "low"}
    columns |= {"error": "rival_error", "calibration": "rival_calibration"}
    columns |= {"reference_error": "error", "reference_calibration": "calibration"}
    best = best.rename(columns=columns).reset_index(drop=True)
    best[["lead", "low", "high"]] *= -1
    best["reached"] = best["lead"] >= -best["lead_se"].clip(lower=MARGIN)
    shown = ["set", "rival", "seeds", "lead", "lead_se", "low", "high", "reached"]
    return best[[*shown, "error", "rival_error", "calibration", "rival_calibration"]]


def results() -> pd.DataFrame:
    """The table that `benchmarks/accuracy.py` stored, one row for each set, method and seed."""
    return _stored(RESULTS)


def versions() -> pd.DataFrame:
    """Packages behind each method of the stored table, with their versions: method, packages."""
    return _stored(VERSIONS)


def _stored(name: str) -> pd.DataFrame:
    return pd.read_csv(str(files("vmtl_core.lab") / "data" / "results" / name))
