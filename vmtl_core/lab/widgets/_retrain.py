"""Training again, with a kernel, what a replay shows."""

from typing import Any

from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.widgets._base import require
from vmtl_core.lab.widgets._recording import record_run, weight_names
from vmtl_core.lab.widgets.replay import TrainingReplay

KEPT = 4
MARK = "new: "


def retrain(
    widget: TrainingReplay,
    data: MultiTaskData,
    schedule: str = "constant",
    sources: str = "own",
    divergence: str = "jensen",
    seed: int = 0,
    **options: Any,
) -> None:
    """Fit once more, add the run to those of `widget`, and show it.

    The last 4 such runs are kept; one with the same settings is replaced.

    Args:
        widget: whose steps are recorded.
        data: what it was recorded from.
        schedule, sources, seed: see `record_run`.
        divergence: how the KL to the mixture is computed; see `kl_to_mixture`.
        options: further ones of `record_run` and `MultiTaskELBO`.
    """
    tasks = [data.task_names[t] for t in options.get("show") or range(data.tasks)]
    inputs = weight_names(data, options.get("intercept", False))
    require(
        tasks == widget.tasks and inputs == widget.inputs,
        f"`data` must have the tasks and inputs of the widget, {widget.tasks} and "
        f"{widget.inputs}; got {tasks} and {inputs}",
    )
    run = record_run(
        data, schedule, sources, steps=widget.steps, seed=seed, divergence=divergence, **options
    )
    run["schedule"] = f"{MARK}{schedule}, {divergence}, seed {seed}"
    same = (run["schedule"], run["sources"])
    others = [one for one in widget.runs if (one["schedule"], one["sources"]) != same]
    recorded = [one for one in others if not one["schedule"].startswith(MARK)]
    again = [one for one in others if one["schedule"].startswith(MARK)][1 - KEPT :]
    with widget.hold_sync():
        widget.run = 0
        widget.runs = [*recorded, *again, run]
        widget.run = len(widget.runs) - 1
