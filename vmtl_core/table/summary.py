"""The summary of a fitted model as text."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np

WIDTH = 84
"""Characters of the longest line of prose."""
TOGETHER = (
    "The sds of tasks are too many to be told apart: they kept their ratios, and what has an "
    "interval is one factor of them all, 90 % {}. It doesn't say that any one of them isn't 0."
)


def text(model: Any) -> str:
    """See `Telling.summary`."""
    lines = [_heading(model), *_population(model), *_numbers(model), *_notes(model)]
    return "\n".join(lines)


def _heading(model: Any) -> str:
    rows, names = model.rows_, model.inputs_.names[:-1]
    sizes = f"{min(rows)} to {max(rows)} rows" if min(rows) < max(rows) else f"{rows[0]} rows each"
    inputs = " + ".join(names) if names else "1"
    task = model.task_name_ if model.task_name_ is not None else "task"
    none = model.task_name_ is None and len(rows) == 1
    formula = f"{type(model).__name__}: {model.target_name_} ~ {inputs} | {task}"
    formula = fill(formula, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    if none:
        return f"{formula}\n{sum(rows)} rows, one task: `task` names no column"
    return f"{formula}\n{sum(rows)} rows, {len(rows)} task{'s' if len(rows) > 1 else ''} of {sizes}"


def _population(model: Any) -> list[str]:
    """Mean and spread of every coefficient."""
    table = model._population(model._level(0.9))
    spread = model.history_.hyperparameters.get("population_sd")
    factor = model.history_.hyperparameters.get("population_factor")
    head = f"{'':<26}{'population':>11}  {'90 %':<22}{'sd of tasks':>11}"
    lines = ["", head if factor else f"{head}  90 %"]
    if spread is not None:
        unit = model.inputs_.unit
        mean, low, high = (
            (one.reshape(len(one), -1).mT.numpy() / unit).reshape(-1) for one in spread
        )
    for i, row in enumerate(table.itertuples()):
        name = f"{row.input} ({row[2]})" if "class" in table else row.input
        line = f"{name[:25]:<26}{row.mean:>11.4g}  {_range(row.lower, row.upper):<22}"
        if spread is not None:
            ends = "" if factor else _range(low[i], high[i])
            line += f"{mean[i]:>11.4g}  {ends}"
        lines.append(line.rstrip())
    if factor:
        one = _range(float(factor.low), float(factor.high))
        lines += ["", fill(TOGETHER.format(one), WIDTH)]
    return lines


def _range(low: float, high: float) -> str:
    return "" if np.isnan(low) else f"[{low:.4g}, {high:.4g}]"


def _numbers(model: Any) -> list[str]:
    """Noise, groups, evidence and convergence."""
    history, lines = model.history_, [""]
    noise = history.hyperparameters.get("noise_scale")
    if noise is not None:
        mean, low, high = (float(one.mean()) for one in noise)
        lines.append(f"noise sd {mean:.4g}  {_range(low, high)}")
    if model.model_.sources == "groups" and hasattr(model.model_, "groups"):
        sizes = model.groups().to_numpy().sum(0)
        lines.append(f"groups of half a task or more: {int((sizes > 0.5).sum())}")
    evidence = history.terms["elbo"][-1] * model.model_.tasks
    ended = {True: "settled", False: "stopped before it had settled", None: "not judged"}
    lines.append(f"log evidence at least {evidence:.2f} nats, hyperpriors counted in")
    lines.append(f"fit: {history.method}, {history.step} sweeps, {ended[history.converged]}")
    return lines


def _notes(model: Any) -> list[str]:
    """What was done to the columns."""
    inputs = model.inputs_
    lines = [f"left out: {name} ({why})" for name, why in inputs.left_out.items()]
    gaps = [str(column.name) for column in inputs.columns if column.indicator]
    if gaps:
        lines.append(f"gaps marked by an input of their own: {', '.join(gaps)}")
    for column in inputs.columns:
        if column.kind == "levels" and column.levels:
            lines.append(f"{column.name} is compared with {column.levels[column.reference]!r}")
        if column.kind == "ordered":
            steps = ", ".join(f"{i} {level}" for i, level in enumerate(column.levels))
            lines.append(f"{column.name} in steps: {steps}")
    return lines
