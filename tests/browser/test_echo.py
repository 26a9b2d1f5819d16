"""The echo chamber widget: its marks, and mistakes that the comparison must see."""

import pytest
import torch
from playwright.sync_api import Locator

from tests.browser.explorer_echo import ECHO, KEPT, close, compare
from tests.browser.explorers import Explorer, slide
from tests.browser.static_page import read
from vmtl_core.lab.widgets import EchoChamberExplorer


@pytest.fixture
def explorer() -> Explorer:
    return ECHO


def test_the_mark_on_the_axis_is_the_threshold(view: Locator) -> None:
    """At the threshold's place on the slider; just above it the collapse ends."""
    mark = view.locator(".vmtl-threshold-mark")
    for position, threshold in ((40, 4 / 10**0.5), (80, 0.4)):
        slide("count", position)(view)
        assert read(view)["threshold"] == pytest.approx(threshold)
        at = float(mark.evaluate("e => e.style.getPropertyValue('--at')"))
        assert at == pytest.approx(threshold / 4)
    assert "Collapsed" not in (view.locator(".vmtl-readout").text_content() or "")
    slide("difference", 7)(view)  # 0.35
    assert read(view)["collapsed"]
    assert "Collapsed" in (view.locator(".vmtl-readout").text_content() or "")
    assert view.locator(".vmtl-spike").count() == 2
    slide("count", 0)(view)
    slide("noise", 29)(view)
    read(view)
    assert mark.is_hidden()


def test_the_comparison_sees_known_mistakes(views: list[Locator]) -> None:
    """No root of N, half the threshold, a width not squared, one round off."""
    values = read(views[1])
    compare(values)
    d, n, noise, r, width = (values[k] for k in ("difference", "count", "noise", "rounds", "width"))
    wrong = [
        {"rounds": r - 1},
        {"width": width**0.5},
        {"count": n**2},
        {"noise": noise**0.5},
        {"difference": d / 2},
        {"sources": "own"},
        {"sources": "joint"},
    ]
    setting = {name: values[name] for name in KEPT}
    for change in wrong:
        mistake = EchoChamberExplorer(**{**setting, **change}).posterior
        with pytest.raises(AssertionError):
            close([values["found"]["gap"], values["found"]["variance"]], torch.stack([*mistake]))
