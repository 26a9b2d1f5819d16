"""The training replay against torch."""

from playwright.sync_api import Locator

from tests.browser.explorers import Explorer, choose, close, drag, in_turn, slide
from tests.browser.static_page import Values
from vmtl_core.lab.datasets import clusters, linked_tasks
from vmtl_core.lab.widgets import TrainingReplay, record_replay

LAST = 40


def make() -> list[TrainingReplay]:
    """Three linked tasks with base prior and width; two bare ones with three inputs, drawn in two."""
    few, _ = linked_tasks(seed=2).split(10, seed=2)
    first = record_replay(few, last=LAST, count=9, transfer="learned")
    train, _ = clusters(tasks=2, clusters=1, inputs=3).split()
    second = record_replay(
        train, ["cosine"], ["previous", "joint"], last=LAST, count=9, base_prior=None,
        transfer=None, hyperprior=None,
    )  # fmt: skip
    second["truth"] = None
    return [TrainingReplay(**first), TrainingReplay(**second, axes=[2, 0], position=3)]


def twin(values: Values, widget: TrainingReplay) -> TrainingReplay:
    """The Python widget in the state that the page shows."""
    settings = {name: values[name] for name in ("run", "position", "task")}
    return TrainingReplay(
        widget.tasks, widget.inputs, widget.steps, widget.runs, widget.truth,
        axes=widget.axes, others=widget.others, **settings,
    )  # fmt: skip


def compare(values: Values, widget: TrainingReplay) -> TrainingReplay:
    """Everything that the page shows, against torch."""
    python = twin(values, widget)
    assert python.name == f"{values['schedule']}, {values['sources']}"
    assert python.step == values["step"]
    for name in ("alpha", "phi", "kl", "ellipses"):
        close(values[name], getattr(python, name), rtol=1e-6)
    close(values["logPrior"], python.log_prior, rtol=1e-6)
    centres = values["components"]
    close([at[:2] for at in centres], python.components.mean[:, python.axes], rtol=1e-6)
    half = 4.605170186**0.5 * python.components.stddev[:, python.axes]
    close([at[2:] for at in centres], half, rtol=1e-6)
    assert values["terms"] == python.terms
    return python


def choose_schedule(view: Locator) -> None:
    last = view.locator("[data-name='schedule'] option").count() - 1
    choose("schedule", str(last))(view)


def click_row(view: Locator) -> None:
    view.locator(".vmtl-panel-heat").nth(1).locator("[data-row='1'] text").first.click()


def press_handle(view: Locator) -> None:
    view.locator("[role='slider']").focus()
    view.page.keyboard.press("ArrowLeft")
    view.page.keyboard.press("ArrowLeft")


def drag_handle(view: Locator) -> None:
    """To the left end of its drawing."""
    drawing = view.locator(".vmtl-panel-terms svg")
    drawing.scroll_into_view_if_needed()
    box, frame = view.locator("[role='slider']").bounding_box(), drawing.bounding_box()
    assert box
    assert frame
    middle = box["x"] + box["width"] / 2
    drag(view, (middle, box["y"] + 60), (frame["x"] + 40 - middle, 0))


REPLAY = Explorer(
    name="replay",
    make=make,
    kept=("run", "position", "task"),
    compare=compare,
    controls={
        "step": (slide("position", 5), lambda v: {"position": 5}),
        "sources": (choose("sources", "1"), lambda v: {"run": 1}),
        "schedule": (choose_schedule, lambda v: {"run": 0 if v["schedule"] == "cosine" else 6}),
        "receiver": (choose("task", "1"), lambda v: {"task": 1}),
        "row": (click_row, lambda v: {"task": 1}),
        "handle, keys": (press_handle, lambda v: {"position": v["position"] - 2}),
        "handle, pointer": (drag_handle, lambda v: {"position": 0}),
    },
    focus=[
        *("schedule", "sources", "task", "play", "position", "reset"),
        "step, in the plot of the terms",
    ],
    looks=[
        in_turn(choose("sources", str(run)), slide("position", position))
        for run, position in ((0, 0), (1, 8), (2, 4))
    ],
    sweep=([], "position", [i % 9 for i in range(40)]),
    chapter="book/07_linked_tasks.html",
)
