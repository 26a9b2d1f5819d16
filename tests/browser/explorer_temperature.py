"""The temperature widget against torch."""

from typing import Any

import torch
from playwright.sync_api import Locator

from tests.browser.explorers import Explorer, choose, click, close, drag, slide
from tests.browser.static_page import Values
from vmtl_core.lab.widgets import TemperatureExplorer

LONG = [[0, 1.5, -1.0, 0.3], [1.0, 0, 0.2, 0.0], [0.4, 0.1, 0, 0.9]]


def make() -> list[TemperatureExplorer]:
    """Four tasks (three sources: a triangle); three tasks and the base prior, in another order."""
    second = TemperatureExplorer(
        ["ash", "birch", "cedar"], LONG, base=True, tau=2.0, task=2, seed=9
    )
    return [TemperatureExplorer(tau=0.7), second]


def twin(values: Values, widget: TemperatureExplorer) -> TemperatureExplorer:
    """The Python widget in the state that the page shows."""
    return TemperatureExplorer(
        widget.tasks, values["logits"], base=widget.base, means=widget.means, sds=widget.sds,
        **{name: values[name] for name in ("tau", "task", "seed", "draws")},
    )  # fmt: skip


def compare(values: Values, widget: TemperatureExplorer) -> TemperatureExplorer:
    """Everything that the page shows, against torch."""
    python = twin(values, widget)
    task, sources = values["task"], values["sources"]
    assert sources == [k for k in range(python.sources) if k != task]
    rows = python.samples()[:, task][:, sources]
    close(values["weights"], python.weights)
    close(values["pi"], python.probabilities[task, sources])
    close(values["mean"], python.expected()[task, sources])
    close(values["samples"], rows[:20].flatten())
    close(values["meanLargest"], rows.amax(1).mean())
    counts = torch.bincount(rows.argmax(1), minlength=len(sources))
    close(values["largest"], counts.double() / len(rows))
    for i, tau in enumerate(values["curve"]["tau"]):
        close([mean[i] for mean in values["curve"]["mean"]], python.expected(tau)[task, sources])
    x = torch.tensor(values["density"]["x"], dtype=torch.float64)
    close(values["density"]["prior"], python.prior_density(x))
    return python


def click_row(view: Locator) -> None:
    view.locator("[data-row='1'] text").first.click()


def press_handle(view: Locator) -> None:
    view.locator("[role='slider']").focus()
    view.page.keyboard.press("ArrowLeft")
    view.page.keyboard.press("PageDown")


def drag_handle(view: Locator) -> None:
    view.locator("[role='slider']").scroll_into_view_if_needed()
    box = view.locator("[role='slider']").bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2
    drag(view, (middle, box["y"] + 60), (box["x"] - 30 - middle, 0))


def changed(values: Values, k: int, to: float) -> list[list[float | None]]:
    rows = [list(row) for row in values["logits"]]
    rows[values["task"]][k] = to
    return rows


def lower(old: float) -> Any:
    return lambda tau: 0.05 <= tau < 0.9 * old


TEMPERATURE = Explorer(
    name="temperature",
    make=make,
    kept=("tau", "task", "seed", "draws", "logits"),
    compare=compare,
    controls={
        "tau": (slide("tau", 17), lambda v: {"tau": 0.05 * 400 ** (17 / 260)}),
        "logits": (slide("logit-1", 71), lambda v: {"logits": changed(v, 1, 3.1)}),
        "receiver": (choose("task", "1"), lambda v: {"task": 1}),
        "row": (click_row, lambda v: {"task": 1}),
        "noise": (click("noise"), lambda v: {"seed": v["seed"] + 1}),
        "draws": (slide("draws", 20), lambda v: {"draws": 30}),
        "handle, keys": (press_handle, lambda v: {"tau": max(0.05, v["tau"] / 1.05**11)}),
        "handle, pointer": (drag_handle, lambda v: {"tau": lower(v["tau"])}),
    },
    focus=[
        *("tau", "task", "draws", "noise", "reset", "logit-1", "logit-2", "logit-3"),
        "temperature tau in the plot of expected weights",
    ],
    looks=[slide("tau", position) for position in (0, 60, 110, 130, 150, 170, 260)],
    sweep=([], "tau", list(range(40, 200, 4))),
    chapter="book/07_linked_tasks.html",
)
