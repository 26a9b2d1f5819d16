"""The echo chamber widget against torch."""

from tests.browser.explorers import Explorer, click, in_turn, slide
from tests.browser.explorers import close as closer
from tests.browser.static_page import Values
from vmtl_core.lab.widgets import EchoChamberExplorer

KEPT = ("difference", "count", "noise", "sources", "rounds", "width")


def close(found: object, expected: object) -> None:
    closer(found, expected, atol=1e-6, rtol=1e-6)


def make() -> list[EchoChamberExplorer]:
    """The setting of the chapter; another one with a width."""
    second = EchoChamberExplorer(
        difference=1.7, count=5, noise=0.7, sources="previous", rounds=7, width=0.4
    )
    return [EchoChamberExplorer(), second]


def compare(values: Values, widget: EchoChamberExplorer | None = None) -> EchoChamberExplorer:
    """Everything that the page shows, against torch."""
    python = EchoChamberExplorer(**{name: values[name] for name in KEPT})
    for name, pair in (("found", python.posterior), ("exact", python.exact)):
        close(values[name]["gap"], pair.gap)
        close(values[name]["variance"], pair.variance)
    close(values["threshold"], python.threshold)
    close(values["ratio"], python.posterior.variance / python.exact.variance)
    assert values["collapsed"] == (python.posterior.variance.item() == 0)
    close(values["curve"]["gap"], python.posterior_at(values["curve"]["x"]).gap)
    return python


SOURCES = [f"sources-{name}" for name in ("own", "previous", "joint")]

ECHO = Explorer(
    name="echo",
    make=make,
    kept=KEPT,
    compare=compare,
    controls={
        "difference": (slide("difference", 50), lambda v: {"difference": 2.5}),
        "count": (slide("count", 40), lambda v: {"count": 10}),
        "noise": (slide("noise", 19), lambda v: {"noise": 2.0}),
        "width": (slide("width", 16), lambda v: {"width": 0.8}),
        "own": (click("sources-own"), lambda v: {"sources": "own"}),
        "previous": (click("sources-previous"), lambda v: {"sources": "previous"}),
        "joint": (click("sources-joint"), lambda v: {"sources": "joint"}),
        # enabled when the source is drawn
        "rounds": (
            in_turn(click("sources-previous"), slide("rounds", 60)),
            lambda v: {"sources": "previous", "rounds": 50},
        ),
    },
    focus=[*SOURCES, "reset", "difference", "count", "noise", "width", "rounds"],
    looks=[click(name) for name in SOURCES],
    sweep=([slide("width", 4)], "difference", list(range(0, 80, 2))),
    chapter="book/11_echo.html",
    # The slider of rounds is on; a mouse would hide the focus.
    before_the_keys=lambda view: view.locator("[data-name='sources-previous']").evaluate(
        "e => e.click()"
    ),
)
