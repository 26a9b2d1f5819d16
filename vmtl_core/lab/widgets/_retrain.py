"""Controls that train again: they need a kernel, the page without one says so."""

from collections.abc import Callable
from typing import Any

import ipywidgets

from vmtl_core.divergences import METHODS
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.widgets._base import require
from vmtl_core.lab.widgets._recording import SCHEDULES, SOURCES, record_run, weight_names
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


def retrain_panel(widget: TrainingReplay, data: MultiTaskData, **options: Any) -> ipywidgets.VBox:
    """Controls that call `retrain`: schedule, sources, divergence, seed and a button.

    Args:
        widget, data: see `retrain`.
        options: further ones of `retrain`, such as `transfer=None`; those the widget was recorded
            with, so that the new run differs in the controls alone.

    Returns:
        A box of classic ipywidgets controls. It works in JupyterLab and Colab; the page without a
        kernel shows a note in its place. `.children[-1]` is the line that says what happened.
    """
    wide = {"style": {"description_width": "initial"}}
    controls = {
        "schedule": ipywidgets.Dropdown(
            options=list(SCHEDULES), description="Temperature schedule", **wide
        ),
        "sources": ipywidgets.Dropdown(options=list(SOURCES), description="Sources", **wide),
        "divergence": ipywidgets.Dropdown(
            options=list(METHODS), value="jensen", description="Divergence", **wide
        ),
        "seed": ipywidgets.BoundedIntText(0, 0, 2**31 - 1, description="Seed", **wide),
    }
    button = ipywidgets.Button(description="Train again", tooltip="Records a new run and shows it")
    said = ipywidgets.Label("Takes a few seconds; the figure then shows the new run.")
    button.on_click(_trainer(widget, data, controls, button, said, options))
    return ipywidgets.VBox(
        [
            ipywidgets.HBox(list(controls.values())[:2]),
            ipywidgets.HBox([*list(controls.values())[2:], button]),
            said,
        ]
    )


def _trainer(
    widget: TrainingReplay,
    data: MultiTaskData,
    controls: dict[str, Any],
    button: ipywidgets.Button,
    said: ipywidgets.Label,
    options: dict[str, Any],
) -> Callable[[Any], None]:
    def train(_: Any) -> None:
        chosen = {name: control.value for name, control in controls.items()}
        button.disabled, said.value = True, "Training …"
        try:
            retrain(widget, data, **chosen, **options)
        except (ValueError, FloatingPointError) as error:
            said.value = f"That did not work: {error}"
        else:
            said.value = f"The figure shows “{widget.name}”."
        finally:
            button.disabled = False

    return train
