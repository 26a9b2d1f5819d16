"""Make the simulated table of chapter 0: patients of rehabilitation clinics, and new ones.

    python tools/make_clinics.py            # write vmtl_core/lab/data/clinics*.csv.gz
    python tools/make_clinics.py --check    # compare with what is there; exit status 1 if different

No patient is real. The numbers behind the table, `LEVEL`, `SLOPE` and the rest, are the truth that a
fit can be compared with. It is messy on purpose: a clinic called N/A, text, a constant column, gaps,
free remarks, dates, and a clinic among the new patients that the table doesn't have.
"""

from __future__ import annotations

import argparse
import gzip
import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).parents[1] / "vmtl_core" / "lab" / "data"
SEED = 15
CLINICS = [
    "Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "N/A", "Oak",
    "Pine", "Rowan", "Willow",
]  # fmt: skip
NEW_CLINIC = "Yew"
SIZES = [34, 6, 21, 3, 48, 12, 9, 27, 4, 30, 15, 7, 18, 10]
LEVEL, LEVEL_SD = 360.0, 38.0
"""Metres walked after twelve weeks by a typical patient, and its spread between clinics."""
SLOPE, SLOPE_SD = 0.72, 0.16
"""Metres after for a metre before, and its spread."""
NOISE = 34.0
DIAGNOSES = {"hip": 0.0, "knee": 14.0, "stroke": -42.0}
AID = {"none": 0.0, "stick": -10.0, "frame": -20.0}
AGE, SMOKER = -1.3, -18.0
TYPICAL_AGE, TYPICAL_BEFORE = 68.0, 240.0
REMARKS = ["", "", "", "", "daughter drives", "late for admission", "second stay", "wants a window"]


def patients(clinic: np.ndarray, draw: np.random.Generator, effects: pd.DataFrame) -> pd.DataFrame:
    """Patients of these clinics, without gaps."""
    count = len(clinic)
    age = np.round(np.clip(draw.normal(TYPICAL_AGE, 11, count), 19, 97))
    diagnosis = draw.choice(list(DIAGNOSES), count, p=[0.45, 0.35, 0.2])
    aid = draw.choice(list(AID), count, p=[0.4, 0.35, 0.25])
    smoker = draw.random(count) < 0.22
    before = np.round(np.clip(draw.normal(TYPICAL_BEFORE, 70, count), 20, 480))
    level, slope = effects.loc[clinic, "level"], effects.loc[clinic, "slope"]
    after = (
        level.to_numpy()
        + slope.to_numpy() * (before - TYPICAL_BEFORE)
        + AGE * (age - TYPICAL_AGE)
        + SMOKER * smoker
        + pd.Series(diagnosis).map(DIAGNOSES).to_numpy()
        + pd.Series(aid).map(AID).to_numpy()
        + draw.normal(0, NOISE, count)
    )
    admitted = pd.Timestamp("2025-01-07") + pd.to_timedelta(draw.integers(0, 360, count), "D")
    return pd.DataFrame(
        {
            "patient": [f"P{i:04d}" for i in draw.permutation(9000)[:count]],
            "clinic": clinic,
            "admitted": admitted.strftime("%Y-%m-%d"),
            "country": "Arboria",
            "age": age.astype(int).astype(object),
            "diagnosis": diagnosis,
            "aid": aid,
            "smoker": smoker.astype(object),
            "walk_before": before.astype(int).astype(object),
            "remark": draw.choice(REMARKS, count),
            "walk_after": np.round(np.clip(after, 0, None)).astype(int),
        }
    )


def make() -> dict[str, pd.DataFrame]:
    """The table, and the new patients with what became of them."""
    draw = np.random.default_rng(SEED)
    names = [*CLINICS, NEW_CLINIC]
    effects = pd.DataFrame(
        {
            "level": draw.normal(LEVEL, LEVEL_SD, len(names)),
            "slope": draw.normal(SLOPE, SLOPE_SD, len(names)),
        },
        index=names,
    )
    table = patients(np.repeat(CLINICS, SIZES), draw, effects)
    table = table.iloc[draw.permutation(len(table))]
    new = patients(draw.choice(names, 40), draw, effects)
    for one in (table, new):
        for name, share in {"age": 0.04, "smoker": 0.08, "walk_before": 0.06}.items():
            one.loc[draw.random(len(one)) < share, name] = None
        one.loc[draw.random(len(one)) < 0.03, "aid"] = "NA"
    return {"clinics": table, "clinics_new": new}


def pack(table: pd.DataFrame) -> bytes:
    """The table as gzipped CSV; equal tables give equal bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(table.to_csv(index=False, lineterminator="\n").encode())
    return buffer.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    different = []
    for name, table in make().items():
        path, packed = DATA / f"{name}.csv.gz", pack(table)
        if not check:
            path.write_bytes(packed)
        elif gzip.decompress(path.read_bytes()) != gzip.decompress(packed):
            different.append(path.name)
    if different:
        print(f"differ from what is made: {', '.join(different)}", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
