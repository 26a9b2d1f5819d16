"""From a CSV file to calibrated predictions: `python -m vmtl_core table.csv --task ... --target ...`."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KINDS = ("auto", "number", "class", "count")


def parser() -> argparse.ArgumentParser:
    """What the command understands."""
    made = argparse.ArgumentParser(
        prog="python -m vmtl_core",
        description="Fit a multi-task model to a table, and predict new rows.",
        epilog="Exit status: 0 done, 1 a table or an argument that can't be used, 2 wrong usage, "
        "130 interrupted.",
    )
    made.add_argument("table", help="CSV file, one row an example")
    made.add_argument("--task", required=True, help="name of the task column")
    made.add_argument("--target", required=True, help="name of the column to be predicted")
    made.add_argument(
        "--inputs", nargs="+", help="names of the input columns; all others if absent"
    )
    made.add_argument("--exposure", help="of counts: name of the exposure column")
    made.add_argument(
        "--kind",
        choices=KINDS,
        default="auto",
        help="what the target is; by default a number, or a class if it is text, true or false",
    )
    made.add_argument("--predict", metavar="CSV", help="file of new rows")
    made.add_argument("--out", metavar="CSV", help="where their predictions go; else to the screen")
    made.add_argument("--interval", type=float, default=0.9, help="probability of the intervals")
    made.add_argument(
        "--report", metavar="HTML", help="page with summary and pictures, in one file"
    )
    made.add_argument("--save", metavar="FILE", help="the fitted model, for vmtl_core.load")
    made.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    asked = parser().parse_args(arguments)
    warnings.showwarning = _told
    try:
        run(asked)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(asked: argparse.Namespace) -> None:
    """Read, fit, tell, predict, report.

    Raises:
        ImportError: without pandas and scikit-learn.
        OSError, ValueError: for files and tables that can't be used.
    """
    from vmtl_core._checks import require
    from vmtl_core.table import read_csv

    require(asked.out is None or asked.predict is not None, "`--out` needs `--predict`")
    _writable(asked.out, asked.report, asked.save)
    table = read_csv(asked.table, task=asked.task)
    require(
        asked.target in table.columns,
        f"`--target` must be a column of the table, one of {list(table.columns)}; "
        f"got {asked.target!r}",
    )
    new = None if asked.predict is None else read_csv(asked.predict, task=asked.task)
    model = _estimator(asked, table[asked.target])
    exposure = {} if asked.exposure is None else {"exposure": asked.exposure}
    model.fit(table, target=asked.target, inputs=asked.inputs, **exposure)
    if not asked.quiet:
        print(model.summary())
    answer = None if new is None else model.predict(new, interval=asked.interval)
    if answer is not None:
        _predictions(new, answer, asked.out)
    if asked.save is not None:
        model.save(asked.save)
    if asked.report is not None:
        import matplotlib as mpl

        mpl.use("agg")
        from vmtl_core.table.report import page

        if new is not None and answer is not None and asked.task not in answer:
            answer.insert(0, asked.task, new[asked.task])
        Path(asked.report).write_text(page(model, table, answer), encoding="utf-8")


def _writable(*paths: str | None) -> None:
    """Say before the fit what can't be written after it."""
    for path in paths:
        folder = None if path is None else Path(path).absolute().parent
        if folder is not None and not os.access(folder, os.W_OK):
            raise OSError(f"{path}: its folder doesn't exist or can't be written to")


def _estimator(asked: argparse.Namespace, target: Any) -> Any:
    from pandas.api import types

    from vmtl_core.table import VMTLClassifier, VMTLCounter, VMTLRegressor

    kind = asked.kind
    if kind == "auto":
        number = types.is_numeric_dtype(target.dtype) and not types.is_bool_dtype(target.dtype)
        kind = "number" if number else "class"
        kind = "count" if number and asked.exposure is not None else kind
    classes: dict[str, Any] = {
        "number": VMTLRegressor,
        "class": VMTLClassifier,
        "count": VMTLCounter,
    }
    if asked.exposure is not None and kind != "count":
        raise ValueError("`--exposure` is for counts: add `--kind count`")
    return classes[kind](task=asked.task, progress=not asked.quiet)


def _predictions(new: Any, answer: Any, out: str | None) -> None:
    """New rows with their predictions beside them."""
    whole = new.join(answer.add_prefix("predicted "))
    if out is None:
        print(whole.to_csv(index=False), end="")
    else:
        whole.to_csv(out, index=False)


def _told(message: Any, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
