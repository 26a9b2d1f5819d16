"""The KL widget against torch."""

from collections.abc import Callable
from typing import Any

import torch

from tests.browser.explorers import (
    Check,
    Explorer,
    click,
    close,
    drag_handle,
    press,
    slide,
)
from tests.browser.static_page import Values
from vmtl_core.lab.widgets import KLExplorer
from vmtl_core.lab.widgets.kl import PRESETS

KEPT = ("mean", "sd", "means", "sds", "weights", "samples", "seed")
HANDLES = [f"{what} of {of}" for of in ("q", "source 1", "source 2", "source 3") for what in ("mean", "width")]  # fmt: skip


def make() -> list[KLExplorer]:
    """The question of the chapter; another one whose three sources all differ."""
    return [
        KLExplorer(),
        KLExplorer(
            mean=-1.0, sd=0.7, means=[-1.5, 0.5, 3], sds=[0.5, 1.2, 2],
            weights=[0.2, 0.5, 0.3], samples=101, seed=7,
        ),
    ]  # fmt: skip


def compare(values: Values, widget: KLExplorer | None = None) -> KLExplorer:
    """Everything that the page shows, against torch."""
    python = KLExplorer(**{name: values[name] for name in KEPT})
    assert list(values["kl"]) == list(python.kl)
    close(list(values["kl"].values()), list(python.kl.values()))
    close(values["estimates"], python.estimates)
    close(values["centre"], python.estimates.mean())
    close(values["spread"], python.estimates.std())
    close(values["phi"], python.responsibilities)
    close(
        [values["law"][k] for k in ("mean", "sd")],
        [python.law_of_sum.mean, python.law_of_sum.stddev],
    )
    x = torch.tensor(values["density"]["x"], dtype=torch.float64)
    close(values["density"]["mixture"], python.mixture_density(x))
    return python


def put(values: list[float], k: int, value: float) -> list[float]:
    return [value if j == k else v for j, v in enumerate(values)]


def shifted(trait: str, k: int | None, by: float) -> Callable[[Values], Values]:
    def expect(before: Values) -> Values:
        old = before[trait]
        return {trait: old + by if k is None else put(old, k, old[k] + by)}

    return expect


def grown(trait: str) -> Callable[[Values], Values]:
    """After a drag: one number of the trait is larger, all others stay."""

    def check(old: Any) -> Check:
        def larger(new: Any) -> bool:
            by = torch.tensor(new) - torch.tensor(old)
            return bool(by.max() > 0.1) and int(by.count_nonzero()) == 1

        return larger

    return lambda before: {trait: check(before[trait])}


def chosen(preset: Values) -> Callable[[Values], Values]:
    return lambda before: {name: preset[name] for name in KEPT[:5]}


def weighted(before: Values) -> Values:
    rest = before["weights"][1] + before["weights"][2]
    return {"weights": [0.8, *(0.2 * w / rest for w in before["weights"][1:])]}


KL = Explorer(
    name="kl",
    make=make,
    kept=KEPT,
    compare=compare,
    controls={
        "mean of q, keys": (press("mean of q", "ArrowRight", "ArrowUp", "PageUp"), shifted("mean", None, 1.2)),
        "width of q, keys": (press("width of q", "ArrowLeft", "ArrowDown"), shifted("sd", None, -0.1)),
        "mean of q, pointer": (drag_handle("mean of q", 60, 3, ":nth-child(2)"), grown("mean")),
        "width of q, pointer": (drag_handle("width of q", 30, 3, ":nth-child(2)"), grown("sd")),
        "weight": (slide("weight-0", 80), weighted),
        "samples": (slide("samples", 0), lambda v: {"samples": 1}),
        "new samples": (click("noise"), lambda v: {"seed": v["seed"] + 1}),
        **{f"mean of source {k + 1}, keys": (press(f"mean of source {k + 1}", "ArrowLeft"), shifted("means", k, -0.1)) for k in range(3)},
        **{f"width of source {k + 1}, keys": (press(f"width of source {k + 1}", "ArrowRight", "ArrowRight"), shifted("sds", k, 0.1)) for k in range(3)},
        "mean of source 2, pointer": (drag_handle("mean of source 2", 40, 3, ":nth-child(2)"), grown("means")),
        "width of source 3, pointer": (drag_handle("width of source 3", 8, 3, ":nth-child(2)"), grown("sds")),
        **{f"preset {i}": (click(f"preset-{i}"), chosen(preset)) for i, preset in enumerate(PRESETS)},
    },
    focus=[*(f"preset-{i}" for i in range(4)), *HANDLES, *(f"weight-{k}" for k in range(3)), "samples", "noise", "reset"],
    looks=[click(f"preset-{i}") for i in range(4)],
    sweep=([slide("samples", 80)], "weight-1", list(range(0, 80, 2))),
    chapter="book/04_kl_to_a_mixture.html",
)  # fmt: skip
