"""What the tests of every widget need to know of it, and what they do on a page."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from playwright.sync_api import Locator

from tests.browser.static_page import MOVE, Values, named, read

Act = Callable[[Locator], Any]
Check = Callable[[Any], bool]


@dataclass(frozen=True, eq=False)
class Explorer:
    """A widget: how the page is compared with torch, and all that a reader can move."""

    name: str
    """Of the class `vmtl-NAME` on the page."""
    make: Callable[[], list[Any]]
    """Two widgets, as unlike as possible; the first is the book's."""
    kept: tuple[str, ...]
    """The traits that a reader can change."""
    compare: Callable[[Values, Any], Any]
    """Asserts that everything the page shows of a widget is what torch says."""
    controls: dict[str, tuple[Act, Callable[[Values], Values]]]
    """An act, and of the values before it those traits that it changes: a value or a check of it."""
    focus: list[str]
    """Names of what the tabulator key reaches, in order."""
    looks: list[Act]
    """Settings in which everything must be legible and nothing stick out."""
    sweep: tuple[list[Act], str, list[int]]
    """What to set first, a slider, and the places to which it is then moved, one a frame."""
    chapter: str
    before_the_keys: Act = field(default=lambda view: None)
    """What to do before the keyboard is tried: a slider may be disabled."""

    def __str__(self) -> str:
        return self.name


def close(found: Any, expected: Any, atol: float = 1e-4, rtol: float = 1e-7) -> None:
    """Numbers of the page, which come as lists, and of torch."""
    found, expected = (torch.as_tensor(v, dtype=torch.float64) for v in (found, expected))
    torch.testing.assert_close(found, expected, atol=atol, rtol=rtol)


def same(found: Any, wanted: Any) -> bool:
    """Whether a value is the one wanted, or passes the check given in its place."""
    if callable(wanted):
        return wanted(found)
    return found == wanted or found == pytest.approx(wanted)


def slide(name: str, position: int) -> Act:
    return lambda view: named(view, name).evaluate(MOVE, position)


def click(name: str) -> Act:
    return lambda view: named(view, name).click()


def choose(name: str, option: str) -> Act:
    return lambda view: named(view, name).select_option(option)


def handle(view: Locator, name: str) -> Locator:
    """What is dragged, by the name that a screen reader says."""
    return view.locator(f"[role='slider'][aria-label='{name}']")


def press(name: str, *keys: str) -> Act:
    """Keys on a handle."""

    def act(view: Locator) -> None:
        handle(view, name).focus()
        for key in keys:
            view.page.keyboard.press(key)

    return act


def drag_handle(name: str, across: float, down: float, part: str | None = None) -> Act:
    """Takes a handle, or a part of it, at its middle and moves it by so many pixels."""

    def act(view: Locator) -> None:
        read(view)  # what is drawn now stays
        taken = handle(view, name) if part is None else handle(view, name).locator(part)
        taken.scroll_into_view_if_needed()
        box = taken.bounding_box()
        assert box
        drag(view, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), (across, down))

    return act


def in_turn(*acts: Act) -> Act:
    """One act after another, each once the one before is drawn."""

    def act(view: Locator) -> None:
        for one in acts:
            one(view)
            read(view)

    return act


def drag(view: Locator, start: tuple[float, float], by: tuple[float, float]) -> None:
    """Press the mouse at `start`, move it, let it go; then it is free and moves nothing."""
    mouse = view.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(start[0] + by[0], start[1] + by[1], steps=4)
    mouse.up()
    mouse.move(start[0] - 3 * by[0], start[1])
