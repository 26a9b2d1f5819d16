"""The widget of the latents' prior against torch."""

from collections.abc import Callable
from typing import Any

import torch

from tests.browser.explorers import (
    Check,
    Explorer,
    click,
    drag_handle,
    press,
    slide,
)
from tests.browser.explorers import close as closer
from tests.browser.static_page import Values
from vmtl_core.lab.widgets import LatentExplorer

KEPT = ("rows", "slopes", "preference", "tau", "receiver", "noise", "seed")
DATA = ("intercepts", "sds")
HANDLES = [f"row {n + 1}" for n in range(3)]
CURVE = "temperature tau in the plot of KL"


def close(found: object, expected: object) -> None:
    closer(found, expected, atol=1e-6, rtol=1e-6)


def make() -> list[LatentExplorer]:
    """The setting of the chapter; another one that has nothing in common with it."""
    second = LatentExplorer(
        rows=[[-1.5, 0.3, 0.9], [-0.4, 0.2, 1.6]], slopes=[-0.6, 1.1], intercepts=[0.5, -0.3],
        sds=[0.8, 0.25], preference=-0.7, tau=0.4, receiver=1, seed=12,
    )  # fmt: skip
    return [LatentExplorer(), second]


def python_of(values: Values, **changes: Any) -> LatentExplorer:
    return LatentExplorer(**{name: values[name] for name in (*KEPT, *DATA)} | changes)


def compare(values: Values, widget: LatentExplorer | None = None) -> LatentExplorer:
    """Everything that the page shows, against torch."""
    python = python_of(values)
    columns = [1 - python.receiver, 2]  # the other task, the base prior
    close(values["beta"], python.beta[columns])
    close(values["pairs"], python.latents.pairs()[:, columns])
    close(values["kl"], python.kl)
    close(values["total"], python.kl.sum())
    close(values["phi"], python.responsibilities[:, columns])
    close(values["curves"]["first"], python.total())
    close(values["curves"]["mean"], python.total(200 if python.noise else 1))
    return python


def moved(row: int, by: float) -> Callable[[Values], Values]:
    """One row of the receiver by so much; all others stay."""

    def expect(before: Values) -> Values:
        rows = [list(one) for one in before["rows"]]
        rows[before["receiver"]][row] += by

        def check(new: Any) -> bool:
            return torch.allclose(torch.tensor(new), torch.tensor(rows), atol=1e-9)

        return {"rows": check}

    return expect


def dragged(row: int) -> Callable[[Values], Values]:
    """After a drag to the right: one row is there, all others stay."""

    def expect(before: Values) -> Values:
        def further(new: Any) -> bool:
            by = torch.tensor(new) - torch.tensor(before["rows"])
            return bool(by[before["receiver"], row] > 0.1) and int(by.count_nonzero()) == 1

        return {"rows": further}

    return expect


def steeper(before: Values) -> Values:
    slopes = list(before["slopes"])
    slopes[1 - before["receiver"]] = 1.5
    return {"slopes": slopes}


def on_log_scale(share: float) -> float:
    return 10 ** (-1.5 + 3 * share)


def warmer(before: Values) -> Values:
    check: Check = lambda new: new > 1.2 * before["tau"]  # noqa: E731
    return {"tau": check}


LATENT = Explorer(
    name="latent",
    make=make,
    kept=KEPT,
    compare=compare,
    controls={
        "tau": (slide("tau", 20), lambda v: {"tau": on_log_scale(20 / 160)}),
        "tau in the plot, keys": (press(CURVE, "ArrowLeft", "ArrowLeft"), lambda v: {"tau": v["tau"] / 1.1**2}),
        "tau in the plot, pointer": (drag_handle(CURVE, 40, 3, ".vmtl-now-head"), warmer),
        "row 1, keys": (press("row 1", "ArrowRight", "ArrowUp"), moved(0, 0.1)),
        "row 3, keys": (press("row 3", "PageDown"), moved(2, -0.5)),
        "row 2, pointer": (drag_handle("row 2", 40, 3, ".vmtl-now-head"), dragged(1)),
        "rows of task 0": (click("receiver-0"), lambda v: {"receiver": 0}),
        "rows of task 1": (click("receiver-1"), lambda v: {"receiver": 1}),
        "noise": (click("noise"), lambda v: {"noise": not v["noise"]}),
        "new noise": (click("again"), lambda v: {"seed": v["seed"] + 1}),
        "preference": (slide("preference", 50), lambda v: {"preference": 2}),
        "slope": (slide("slope", 70), steeper),
    },
    focus=[
        *("receiver-0", "receiver-1", "noise", "again", "reset"),
        *(*HANDLES, CURVE, "tau", "preference", "slope"),
    ],
    looks=[click("receiver-1"), slide("tau", 0), click("noise"), slide("slope", 0)],
    sweep=([], "tau", list(range(0, 160, 4))),
    chapter="book/05_multi_task_elbo.html",
)  # fmt: skip
