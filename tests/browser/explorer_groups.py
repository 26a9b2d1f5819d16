"""The widget of groups against torch."""

import math
from collections.abc import Callable
from typing import Any

import torch
from playwright.sync_api import Locator

from tests.browser.explorers import Act, Check, Explorer, choose, click, drag, slide
from tests.browser.explorers import close as closer
from tests.browser.static_page import Values, read
from vmtl_core.lab.widgets import GroupsExplorer
from vmtl_core.lab.widgets._groups_figure import order
from vmtl_core.lab.widgets._groups_model import PLACES, TASKS, arrange, summaries

KEPT = ("points", "width", "concentration", "noise", "rows", "groups", "place", "seed")


def close(found: object, expected: object) -> None:
    closer(found, expected, atol=1e-6, rtol=1e-6)


def make() -> list[GroupsExplorer]:
    """The setting of the chapter; another one, of which other groups are drawn than the best."""
    points = 0.9 * arrange(1, 5)
    points[3] = torch.tensor([0.1, 0.0])
    second = GroupsExplorer(
        points=points, width=0.6, concentration=3.0, noise=0.9, rows=25, groups=4, place=3, seed=7
    )
    return [GroupsExplorer(), second]


def compare(values: Values, widget: GroupsExplorer | None = None) -> GroupsExplorer:
    """Everything that the page shows, against torch."""
    python = GroupsExplorer(**{name: values[name] for name in KEPT})
    found, best = python.partitions, python.best
    close(values["bounds"], [one.bound for one in found])
    assert values["holds"] == [one.holds for one in found]
    assert values["best"] == best
    assert values["shown"] == (best if python.groups is None else python.groups)
    one = found[values["shown"]]
    member, laws = one.member, one.gathered
    close(values["member"], member)
    used = member[:, order(member)]
    close(values["shares"], torch.cat([used, 1 - used.sum(1, keepdim=True)], 1))
    close([law["loc"] for law in values["centres"]], laws.loc.squeeze(1))
    spread = (laws.root @ laws.root.mT).squeeze(1)
    close([law["covariance"] for law in values["centres"]], upper(spread))
    close(values["mean"]["loc"], laws.mean.squeeze(0))
    close(values["mean"]["covariance"], upper(laws.mean_root @ laws.mean_root.mT).squeeze(0))
    site = summaries(torch.tensor(python.points, dtype=torch.float64), python.noise, python.rows)
    close(values["covariances"], upper(site.precision.squeeze(1).inverse()))
    return python


def upper(matrices: torch.Tensor) -> torch.Tensor:
    """The three numbers of symmetric matrices (..., 2, 2) that the page keeps, (..., 3)."""
    return torch.stack([matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 1]], -1)


def handle(view: Locator, task: int) -> Locator:
    return view.locator(f"[role='slider'][aria-label='task {task + 1}']")


def press(task: int, *keys: str) -> Act:
    def act(view: Locator) -> None:
        handle(view, task).focus()
        for key in keys:
            view.page.keyboard.press(key)

    return act


def drag_task(task: int, across: float, down: float) -> Act:
    """Takes the task at its disc and moves it by so many pixels."""

    def act(view: Locator) -> None:
        read(view)  # what is drawn now stays
        handle(view, task).scroll_into_view_if_needed()
        box = handle(view, task).bounding_box()
        assert box
        drag(view, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), (across, down))

    return act


def moved(task: int, across: float, up: float) -> Callable[[Values], Values]:
    """One task by so much, in steps to a hundredth; all others stay."""

    def expect(before: Values) -> Values:
        old = before["points"]
        new = [[*pair] for pair in old]
        new[task] = [v + by for v, by in zip(old[task], (across, up), strict=True)]
        return {"points": near(new, 0.02)}

    return expect


def dragged(task: int) -> Callable[[Values], Values]:
    """After a drag to the right and up: one task is there, all others stay."""

    def check(old: Any) -> Check:
        def further(new: Any) -> bool:
            by = torch.tensor(new) - torch.tensor(old)
            return bool((by[task] > 0.1).all()) and int(by.count_nonzero()) == 2

        return further

    return lambda before: {"points": check(before["points"])}


def near(wanted: Any, atol: float = 1e-9) -> Check:
    def check(new: Any) -> bool:
        pair = [torch.as_tensor(v, dtype=torch.float64) for v in (new, wanted)]
        return torch.allclose(pair[0], pair[1], rtol=0, atol=atol)

    return check


def laid(place: int | None = None, further: int = 0) -> Callable[[Values], Values]:
    """The tasks of a place, or of the same one, at the seed so much further."""

    def expect(before: Values) -> Values:
        where = before["place"] if place is None else place
        seed = before["seed"] + further
        return {"place": where, "seed": seed, "points": near(arrange(where, seed))}

    return expect


def on_log_scale(low: float, high: float, share: float) -> float:
    """What a slider from low to high gives at a share of its way, to a hundredth."""
    return round(low * math.exp(share * math.log(high / low)), 2)


GROUPS = Explorer(
    name="groups",
    make=make,
    kept=KEPT,
    compare=compare,
    controls={
        "width": (slide("width", 45), lambda v: {"width": on_log_scale(0.05, 2, 0.75)}),
        "concentration": (
            slide("concentration", 10),
            lambda v: {"concentration": on_log_scale(0.1, 10, 1 / 6)},
        ),
        "noise": (slide("noise", 13), lambda v: {"noise": 1.4}),
        "rows": (slide("rows", 18), lambda v: {"rows": 4}),
        "no groups": (choose("groups", "0"), lambda v: {"groups": 0}),
        "two groups": (choose("groups", "2"), lambda v: {"groups": 2}),
        "the best": (choose("groups", "-1"), lambda v: {"groups": None}),
        "task 3, keys": (press(2, "ArrowRight", "ArrowUp", "ArrowUp"), moved(2, 0.05, 0.1)),
        "task 5, keys": (press(4, "PageUp", "ArrowLeft", "ArrowDown"), moved(4, -0.05, 0.45)),
        "task 12, pointer": (drag_task(11, 40, -30), dragged(11)),
        **{f"place {i}": (click(f"place-{i}"), laid(i)) for i in range(len(PLACES))},
        "new tasks": (click("again"), laid(further=1)),
    },
    focus=[
        *(f"place-{i}" for i in range(len(PLACES))),
        *("again", "groups", "reset", "width", "concentration", "noise", "rows"),
        *(f"task {t + 1}" for t in range(TASKS)),
    ],
    looks=[*(click(f"place-{i}") for i in range(len(PLACES))), choose("groups", "6")],
    sweep=([click("place-3")], "width", list(range(0, 60, 2))),
    chapter="book/14_groups.html",
)
