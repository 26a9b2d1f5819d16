"""The lines laboratory against the library."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Locator

from tests.browser.explorers import (
    Act,
    Check,
    Explorer,
    choose,
    click,
    drag_handle,
    in_turn,
    press,
    slide,
)
from tests.browser.explorers import close as closer
from tests.browser.lines_library import to_the_end
from tests.browser.static_page import Values, read
from vmtl_core.lab.widgets import LinesLaboratory
from vmtl_core.lab.widgets._lines_groups import GroupLines
from vmtl_core.lab.widgets.lines import CHOICES, PRESETS, REACH, SETTING

KEPT = (*SETTING, "chosen", "preset")
STEP = 0.05


def close(found: object, expected: object) -> None:
    closer(found, expected, atol=1e-6, rtol=1e-6)


def make() -> list[LinesLaboratory]:
    """The book's; another one, of which everything is set otherwise."""
    tasks = [
        [[-2.0, 1.2], [-0.7, 0.9], [0.4, 0.1], [1.8, -1.0]],
        [[-1.5, -0.8], [1.0, 1.1]],
        [[0.3, 0.5], [0.6, -0.2], [2.2, 2.0]],
        [[-2.5, 1.9], [-1.0, 0.8], [0.2, 0.3], [1.1, -0.6], [2.4, -1.2]],
    ]
    second = LinesLaboratory(
        preset=2, tasks=tasks, temperature=0.4, draws=7, sigma=0.5, delta=0.6, sources="previous",
        divergence="convex", base="fixed", chosen=1, anchor="second",
    )  # fmt: skip
    return [LinesLaboratory(), second]


def compare(values: Values, widget: LinesLaboratory | None = None) -> LinesLaboratory:
    """Everything that the page shows, against the library's closed form."""
    python = LinesLaboratory(**{name: values[name] for name in KEPT})
    with to_the_end(pytest.MonkeyPatch()):
        fit = python.fit
    if isinstance(fit, GroupLines):
        compare_groups(values, fit)
        return python
    for name in ("q", "alone"):
        close([law["mean"] for law in values[name]], getattr(fit, name).mean)
        close([law["covariance"] for law in values[name]], getattr(fit, name).covariance)
    close(values["pooled"]["mean"], fit.pooled.mean)
    close(values["pooled"]["covariance"], fit.pooled.covariance)
    for name in ("alpha", "phi", "pi"):
        close(values[name], getattr(fit, name))
    for name in ("likelihood", "kl"):
        close(values["terms"][name], getattr(fit, name))
    close(values["terms"]["hyperprior"], fit.hyperprior)
    close(values["elbo"], fit.elbo)
    close(values["sigma_used"], fit.sigma)
    for t, parts in enumerate(values["components"]):
        for part in parts:
            k = part["source"]
            close(part["mean"], fit.components.mean[k])
            close(part["covariance"], fit.components.covariance[k])
            close([part["alpha"], part["phi"]], [fit.alpha[t, k], fit.phi[t, k]])
    return python


def compare_groups(values: Values, fit: GroupLines) -> None:
    """Everything that the page shows of tasks in groups."""
    for name in ("q", "alone"):
        close([law["mean"] for law in values[name]], getattr(fit, name).mean)
        close([law["covariance"] for law in values[name]], getattr(fit, name).covariance)
    for name in ("mean", "covariance"):
        close(values["pooled"][name], getattr(fit.pooled, name))
        close(values["population"][name], getattr(fit.population, name))
    for name in ("alpha", "phi", "evidence", "elbo"):
        close(values[name], getattr(fit, name))
    for name in ("likelihood", "kl", "hyperprior"):
        close(values["terms"][name], getattr(fit, name))
    close(values["sigma_used"], fit.sigma)
    for parts, every in zip(values["components"], fit.companies, strict=True):
        assert [tuple(part["tasks"]) for part in parts] == [one.tasks for one in every]
        close([[part["alpha"], part["phi"]] for part in parts], [[one.alpha, one.phi] for one in every])  # fmt: skip
        for name in ("mean", "covariance"):
            close([part[name] for part in parts], torch.stack([getattr(one.law, name) for one in every]))  # fmt: skip
    close(chances(values), [chance for _, chance in sorted(fit.partitions)])


def chances(values: Values) -> list[float]:
    """Of the page's partitions, in the order of the labels that Python gives their tasks."""
    found = []
    for one in values["partitions"]:
        label = {t: c for c, tasks in enumerate(sorted(one["blocks"])) for t in tasks}
        found.append((tuple(label[t] for t in sorted(label)), one["chance"]))
    return [chance for _, chance in sorted(found)]


def place_on(view: Locator, x: float, y: float) -> tuple[float, float]:
    """Where in the window a point of the data plane lies."""
    drawing = view.locator(".vmtl-panel-data svg")
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    assert box
    left, right, top, foot, edge = 26, 6, 6, 36, 0.2
    across = (x + REACH[0] + edge) / (2 * REACH[0] + 2 * edge)
    up = (y + REACH[1] + edge) / (2 * REACH[1] + 2 * edge)
    wide, tall = box["width"] - left - right, box["height"] - top - foot
    return box["x"] + left + across * wide, box["y"] + top + (1 - up) * tall


def click_empty(x: float, y: float) -> Act:
    def act(view: Locator) -> None:
        read(view)
        view.page.mouse.click(*place_on(view, x, y))

    return act


def near(wanted: Any, atol: float = 1e-9) -> Check:
    def check(new: Any) -> bool:
        if [len(rows) for rows in new] != [len(rows) for rows in wanted]:
            return False
        pair = [
            torch.tensor([one for rows in v for one in rows], dtype=torch.float64)
            for v in (new, wanted)
        ]
        return torch.allclose(pair[0], pair[1], rtol=0, atol=atol)

    return check


def edited(change: Callable[[list[Any]], list[Any]], atol: float = 1e-9) -> Callable[[Values], Values]:  # fmt: skip
    """The chosen task's rows are changed so; all other rows stay."""

    def expect(before: Values) -> Values:
        tasks = [[*rows] for rows in before["tasks"]]
        tasks[before["chosen"]] = change(tasks[before["chosen"]])
        return {"tasks": near(tasks, atol)}

    return expect


def first_moved(across: float, up: float, atol: float = 1e-9) -> Callable[[Values], Values]:
    def change(rows: list[Any]) -> list[Any]:
        (x, y), *rest = rows
        return [[x + across, y + up], *rest]

    return edited(change, atol)


def dragged(before: Values) -> Values:
    """The first point of the chosen task is further right and up; all others stay."""
    old, chosen = before["tasks"], before["chosen"]

    def check(new: Any) -> bool:
        by = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(new[chosen], old[chosen], strict=True)]  # fmt: skip
        others = [rows == old[t] for t, rows in enumerate(new) if t != chosen]
        return min(by[0]) > 0.1 and all(others) and not any(v for pair in by[1:] for v in pair)

    return {"tasks": check}


def one_more(before: Values) -> Values:
    """A row is added to the chosen task, after the others."""

    def check(new: Any) -> bool:
        rows, old = new[before["chosen"]], before["tasks"][before["chosen"]]
        return rows[:-1] == old and len(new) == len(before["tasks"])

    return {"tasks": check}


def steeper(task: int, up: float, slope: float) -> Callable[[Values], Values]:
    """A task's points gain so much; the task is then the chosen one."""

    def expect(before: Values) -> Values:
        tasks = [[*rows] for rows in before["tasks"]]
        tasks[task] = [[x, min(REACH[1], y + up + slope * x)] for x, y in tasks[task]]
        return {"tasks": near(tasks, 0.0151), "chosen": task}

    return expect


def situation(i: int) -> Values:
    return {**PRESETS[i]["setting"], "chosen": LinesLaboratory(preset=i).chosen, "preset": i}


def on_log_scale(low: float, high: float, position: int) -> float:
    """What a slider gives at one of its 120 places, to three digits."""
    return float(f"{low * (high / low) ** (position / 120):.3g}")


def more(view: Locator) -> None:
    """Unfolds the rest of the settings."""
    view.locator("details").evaluate("e => { e.open = true; }")


def sets(**changes: Any) -> Callable[[Values], Values]:
    """These traits take these values, or pass these checks."""
    return lambda before: changes


def new_task(before: Values) -> Values:
    """One more, which is then the chosen one."""
    flat = [[-2, 0], [0, 0], [2, 0]]
    return {"tasks": [*before["tasks"], flat], "chosen": len(before["tasks"])}


def words(trait: str, unfold: bool) -> dict[str, Any]:
    """A control for each word that a trait may be."""
    acts = [choose(trait, str(i)) for i in range(len(CHOICES[trait]))]
    if unfold:
        acts = [in_turn(more, act) for act in acts]
    named = zip(CHOICES[trait], acts, strict=True)
    return {f"{trait} {word}": (act, sets(**{trait: word})) for word, act in named}


COUNT = len(PRESETS[0]["setting"]["tasks"])
LINES = Explorer(
    name="lines",
    make=make,
    kept=KEPT,
    compare=compare,
    controls={
        "temperature": (slide("temperature", 90), sets(temperature=on_log_scale(0.05, 20, 90))),
        "delta": (slide("delta", 30), sets(delta=on_log_scale(0.01, 5, 30))),
        **words("divergence", unfold=True),
        **words("base", unfold=True),
        "no draws": (in_turn(more, choose("draws-how", "1")), sets(draws=None)),
        "new draws": (
            in_turn(more, choose("draws-how", "0"), click("draws-new")),
            lambda before: {"draws": (before["draws"] or 0) + 1},
        ),
        "sigma learned": (in_turn(more, choose("sigma-how", "0")), sets(sigma=None)),
        "sigma": (
            in_turn(more, choose("sigma-how", "1"), slide("sigma", 60)),
            sets(sigma=on_log_scale(0.05, 2, 60)),
        ),
        "task 3": (click("task-2"), sets(chosen=2)),
        "point, keys": (
            press("point", "ArrowRight", "ArrowUp", "ArrowUp"),
            first_moved(STEP, 2 * STEP, 0.0101),
        ),
        "point, large steps": (
            press("point", "PageUp", "ArrowLeft", "ArrowDown"),
            first_moved(-STEP, 9 * STEP, 0.0101),
        ),
        "point, pointer": (drag_handle("point", 30, -25), dragged),
        "new point, key": (press("point", "+"), one_more),
        "new point, button": (click("add-point"), one_more),
        "new point, click": (
            click_empty(-2.3, -2.7),
            edited(lambda rows: [*rows, [-2.3, -2.7]], 0.03),
        ),
        "no point, key": (press("point", "Delete"), edited(lambda rows: rows[1:])),
        "no point, button": (click("remove-point"), edited(lambda rows: rows[1:])),
        "new task": (click("add-task"), new_task),
        "new task, no task": (
            in_turn(click("add-task"), click("remove-task")),
            lambda before: {"chosen": len(before["tasks"]) - 1},
        ),
        "data of task 3, keys": (
            press("data of task 3", "ArrowRight", "ArrowUp", "ArrowUp"),
            steeper(2, STEP, 2 * STEP),
        ),
        **{
            f"situation {i}": (click(f"preset-{i}"), sets(**situation(i)))
            for i in range(len(PRESETS))
        },
        # Last, for groups put away the controls that they have no use for.
        **words("sources", unfold=False),
    },
    focus=[
        *(f"preset-{i}" for i in range(len(PRESETS))),
        *(
            "temperature",
            "delta",
            "sources",
            "more",
            "draws-how",
            "draws-new",
            "sigma-how",
            "sigma",
        ),
        *("divergence", "base", "point"),
        *(f"task-{t}" for t in range(COUNT)),
        *("add-point", "remove-point", "add-task"),
        *(f"data of task {t + 1}" for t in range(COUNT)),
        *("reset", "link"),
    ],
    looks=[more, *(click(f"preset-{i}") for i in range(len(PRESETS))), choose("sources", "2")],
    sweep=([], "delta", list(range(20, 100, 4))),
    chapter="book/laboratory.html",
    before_the_keys=more,
)
