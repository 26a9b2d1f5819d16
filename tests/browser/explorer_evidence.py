"""The widget of chapter 1 against torch."""

from collections.abc import Callable
from typing import Any

import torch

from tests.browser.explorers import (
    Check,
    Explorer,
    click,
    drag_handle,
    in_turn,
    press,
    slide,
)
from tests.browser.explorers import close as closer
from tests.browser.static_page import Values
from vmtl_core.lab.widgets import EvidenceExplorer

KEPT = ("mean", "sds", "slant", "family", "noise", "scale", "shift", "same_lines")
DATA = ("x", "y")
HANDLES = ["mean of q", "width of q, intercept", "width of q, slope"]


def close(found: object, expected: object) -> None:
    closer(found, expected, atol=1e-6, rtol=1e-6)


def make() -> list[EvidenceExplorer]:
    """The default; another one with a slanted q, a shift and a prior that is carried along."""
    second = EvidenceExplorer(
        x=[-2.0, -0.4, 0.3, 1.9], y=[1.0, 0.2, -0.7, -1.4], mean=[0.4, -0.9], sds=[0.5, 0.2],
        slant=0.4, family="full", noise=0.6, scale=1.7, shift=-1.3, same_lines=True,
    )  # fmt: skip
    return [EvidenceExplorer(), second]


def python_of(values: Values, **changes: Any) -> EvidenceExplorer:
    return EvidenceExplorer(**{name: values[name] for name in (*KEPT, *DATA)} | changes)


def compare(values: Values, widget: EvidenceExplorer | None = None) -> EvidenceExplorer:
    """Everything that the page shows, against torch."""
    python = python_of(values)
    line, q, terms = python.line, python.q, python.terms
    close([values["terms"][name] for name in ("fit", "kl", "gap", "evidence")], torch.stack(terms))
    for name, law in (("posterior", line.posterior), ("prior", line.prior)):
        close(values[name]["mean"], law.mean)
        close(values[name]["covariance"], law.covariance_matrix.flatten()[[0, 1, 3]])
    places = torch.tensor([-3.0, 0.0, 2.0], dtype=torch.float64)
    laws = (q, line.posterior, line.prior)
    close(values["bands"], torch.stack([line.sd_of_lines(law, places) for law in laws]))
    close(values["sigma"], line.m_step_noise(q))
    close(values["tau"], line.m_step_scale(q))
    bound = terms.fit - terms.kl
    for what, name in (("noise", "sigma"), ("scale", "tau")):
        better = python_of(values, **{what: values[name]}).terms
        close(values["gains"][what], better.fit - better.kl - bound)
    unshifted = python_of(values, shift=0.0).terms
    close(values["moved"], terms.evidence - unshifted.evidence)
    python.e_step()
    close(values["best"]["mean"], python.mean)
    close([*values["best"]["sds"], values["best"]["slant"]], [*python.sds, python.slant])
    close(values["smallest"], python.terms.gap)
    close(values["gains"]["e"], terms.gap - python.terms.gap)
    return python_of(values)


def changed(trait: str, *signs: int) -> Callable[[Values], Values]:
    """Both numbers of a pair grow (1), fall (-1) or stay (0)."""

    def check(old: Any) -> Check:
        def moved(new: Any) -> bool:
            by = torch.tensor(new, dtype=torch.float64) - torch.tensor(old, dtype=torch.float64)
            return torch.equal(by.sign(), torch.tensor(signs, dtype=torch.float64))

        return moved

    return lambda before: {trait: check(before[trait])}


def wider(*factors: float) -> Callable[[Values], Values]:
    return lambda v: {"sds": [sd * f for sd, f in zip(v["sds"], factors, strict=True)]}


def near(wanted: Any) -> Check:
    def check(found: Any) -> bool:
        pair = [torch.as_tensor(v, dtype=torch.float64) for v in (found, wanted)]
        return torch.allclose(pair[0], pair[1], rtol=1e-6, atol=1e-6)

    return check


def stepped(**changes: Any) -> Callable[[Values], Values]:
    """After these changes, and an E-step there."""

    def expect(before: Values) -> Values:
        now = {name: v(before) if callable(v) else v for name, v in changes.items()}
        python = python_of(before, **now)
        python.e_step()
        return now | {name: near(getattr(python, name)) for name in ("mean", "sds", "slant")}

    return expect


def m_stepped(what: str) -> Callable[[Values], Values]:
    def expect(before: Values) -> Values:
        python = python_of(before)
        python.m_step(what)
        return {what: near(getattr(python, what))}

    return expect


EVIDENCE = Explorer(
    name="evidence",
    make=make,
    kept=KEPT,
    compare=compare,
    controls={
        "mean of q, pointer": (drag_handle("mean of q", -60, -40), changed("mean", -1, 1)),
        "mean of q, keys": (press("mean of q", "ArrowRight", "ArrowDown", "PageUp"), changed("mean", 1, 1)),
        "mean of q, up": (press("mean of q", "ArrowUp"), changed("mean", 0, 1)),
        "width of the intercept, keys": (press(HANDLES[1], "ArrowRight", "ArrowRight"), wider(1.05**2, 1)),
        "width of the slope, keys": (press(HANDLES[2], "ArrowDown"), wider(1, 1 / 1.05)),
        "width of the intercept, pointer": (drag_handle(HANDLES[1], -25, 4), changed("sds", -1, 0)),
        "width of the slope, pointer": (drag_handle(HANDLES[2], 3, 20), changed("sds", 0, -1)),
        "full": (click("family-full"), lambda v: {"family": "full"}),
        "diagonal": (click("family-diagonal"), lambda v: {"family": "diagonal", "slant": 0}),
        "slant": (in_turn(click("family-full"), slide("slant", 150)), lambda v: {"family": "full", "slant": 0.51}),
        "E-step": (click("e-step"), stepped()),
        "E-step, full": (in_turn(click("family-full"), click("e-step")), stepped(family="full")),
        "M-step in sigma": (click("m-noise"), m_stepped("noise")),
        "M-step in tau": (click("m-scale"), m_stepped("scale")),
        "noise": (slide("noise", 120), lambda v: {"noise": 5}),
        "scale": (slide("scale", 0), lambda v: {"scale": 0.1}),
        "shift": (slide("shift", 100), stepped(shift=2.0)),
        "shift, full": (in_turn(click("family-full"), slide("shift", 10)), stepped(family="full", shift=-2.5)),
        "the prior is carried along": (click("same-lines"), stepped(same_lines=lambda v: not v["same_lines"])),
    },
    focus=[
        *("family-diagonal", "family-full", "e-step", "m-noise", "m-scale", "reset"),
        *(HANDLES[1], HANDLES[2], HANDLES[0], "slant", "noise", "scale", "shift", "same-lines"),
    ],
    looks=[
        click("e-step"), slide("shift", 120), click("same-lines"), click("family-full"),
        in_turn(slide("shift", 60), slide("noise", 0)), slide("noise", 120),
    ],
    sweep=([click("family-full")], "shift", list(range(0, 120, 3))),
    chapter="book/01_one_task.html",
    # The slider of the slant is on; a mouse would hide the focus.
    before_the_keys=lambda view: view.locator("[data-name='family-full']").evaluate("e => e.click()"),
)  # fmt: skip
