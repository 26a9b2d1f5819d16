"""One self-contained HTML page of a fitted model."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

import pandas as pd

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1f2328; background: #fff; }
pre { background: #f6f8fa; padding: 1rem; overflow-x: auto; font-size: 13px; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
td, th { padding: .2rem .6rem; border-bottom: 1px solid #d8dee4; text-align: right; white-space: nowrap; }
summary { font-size: 1.5em; font-weight: bold; margin: 1.2rem 0 .8rem; cursor: pointer; }
img { max-width: 100%; }
figure { margin: 1.5rem 0; }
figcaption { color: #57606a; }
"""
MOST_FORESTS = 3
"""Coefficients that are drawn."""
MOST_ROWS = 200
"""Rows of a table on the page; the rest is counted."""


def page(model: Any, table: pd.DataFrame, answer: pd.DataFrame | None) -> str:
    """The page: summary, pictures, coefficients, predictions.

    Args:
        model: fitted with a named target.
        table: the fitted rows.
        answer: predictions of new rows with their tasks, or None.
    """
    title = f"{model.target_name_} by {model.task_name_}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<pre>{html.escape(model.summary())}</pre>",
        *_pictures(model, table),
    ]
    if answer is not None:
        parts += ["<h2>Predictions</h2>", _table(answer)]
    folded = _table(model.coefficients(), index=False)
    parts.append(f"<details><summary>Coefficients</summary>{folded}</details>")
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style></head>\n<body>\n{body}\n"
        "</body></html>\n"
    )


def _pictures(model: Any, table: pd.DataFrame) -> list[str]:
    found = []
    largest = model.tasks_[model.rows_.index(max(model.rows_))]
    if len(model.tasks_) > 1:
        found.append(("Who helps whom", _png(model.plot_tasks())))
    for name in _shown(model):
        text = f"Coefficient of {name} in every task, with 90 % intervals"
        found.append((text, _png(model.plot_coefficients(name))))
    text = "Calibration on the fitted rows, which flatters a little"
    found.append((text, _png(model.plot_calibration(table))))
    if model.task_name_ is not None and any(one.kind == "number" for one in model.inputs_.columns):
        text = f"Predictions of the largest task, {largest}, with its rows"
        found.append((text, _png(model.plot_task(largest, table))))
    return [
        f'<figure><img alt="{html.escape(text, quote=True)}" src="data:image/png;base64,{image}">'
        f"<figcaption>{html.escape(text)}</figcaption></figure>"
        for text, image in found
    ]


def _shown(model: Any) -> list[str]:
    """The inputs whose coefficients are drawn: not the marks of gaps, if there are others."""
    names = model.inputs_.names
    gaps = [f"{column.name} is missing" for column in model.inputs_.columns]
    return ([name for name in names[:-1] if name not in gaps] or names)[:MOST_FORESTS]


def _png(axes: Any) -> str:
    buffer = io.BytesIO()
    axes.figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()


def _table(frame: pd.DataFrame, index: bool = True) -> str:
    """The first rows, in a box that scrolls where it is too wide."""
    text = frame.head(MOST_ROWS).to_html(
        border=0, index=index, float_format=lambda one: f"{one:.4g}"
    )
    more = len(frame) - MOST_ROWS
    rest = "" if more <= 0 else f"<p>… and {more} rows more.</p>"
    return f'<div class="table">{text}</div>{rest}'
