"""The widget of groups: what it prints and draws, and mistakes that the comparison must see."""

from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator

from tests.browser.explorer_groups import GROUPS, KEPT, close, compare, handle, press
from tests.browser.explorers import Explorer, choose, click, slide
from tests.browser.static_page import SETTLE, read, start, watched
from vmtl_core.lab.widgets import GroupsExplorer


@pytest.fixture
def explorer() -> Explorer:
    return GROUPS


def readout(view: Locator) -> str:
    return view.locator(".vmtl-readout").text_content() or ""


def test_the_numbers_printed_are_those_of_torch(view: Locator) -> None:
    python = compare(read(view))
    bounds = [one.bound - python.partitions[0].bound for one in python.partitions]
    printed = [node.text_content() or "" for node in view.locator(".vmtl-number").all()]
    assert len(printed) == len(bounds)
    for words, bound in zip(printed, bounds, strict=True):
        assert float(words.replace("−", "-")) == pytest.approx(bound, abs=0.051)
    second = sorted(bounds)[-2]
    assert f"greatest for 3 groups: {bounds[3] - second:.1f} nats more than" in readout(view)
    best = view.locator("text.vmtl-best", has_text="best:").text_content()
    assert best == f"best: K = {python.best}"


def test_bars_end_at_their_values(view: Locator) -> None:
    values = read(view)
    gains = [bound - values["bounds"][0] for bound in values["bounds"]]
    ends = view.evaluate(
        """root => [...root.querySelectorAll('rect.vmtl-gain')].map(r => {
           const x = +r.getAttribute('x'), w = +r.getAttribute('width'); return [x, x + w]; })"""
    )
    zero = ends[3][0]
    unit = (ends[3][1] - zero) / gains[3]
    for gain, (low, high) in list(zip(gains, ends, strict=True))[1:]:
        if gain > -15:
            assert (high if gain > 0 else low) == pytest.approx(zero + unit * gain, abs=1.1)
    assert view.locator("path.vmtl-leaves").count() == sum(gain < -15 for gain in gains)


def test_a_wide_spread_has_no_groups_and_a_narrow_one_three(view: Locator) -> None:
    slide("width", 60)(view)
    assert read(view)["best"] == 0
    assert "greatest for no groups" in readout(view)
    assert view.locator(".vmtl-letter").count() == 0
    slide("width", 20)(view)
    assert read(view)["best"] == 3
    assert [node.text_content() for node in view.locator(".vmtl-letter").all()] == ["A", "B", "C"]


def test_a_task_that_belongs_nowhere(view: Locator) -> None:
    """Half way between groups it is in none, and a screen reader hears so."""
    before = read(view)["shares"][0]
    assert before[-1] < 0.1
    x, y = read(view)["points"][0]
    right, up = round((0 - x) / 0.05), round((0 - y) / 0.05)
    press(0, *["ArrowRight"] * right, *["ArrowUp" if up > 0 else "ArrowDown"] * abs(up))(view)
    shares = read(view)["shares"][0]
    assert shares[-1] > 0.9
    words = handle(view, 0).get_attribute("aria-valuetext") or ""
    assert "no group 9" in words or "no group 100 %" in words
    told = view.locator(".vmtl-panel-shares svg").get_attribute("aria-label") or ""
    assert "task 1: no group" in told


def test_discs_show_the_shares(view: Locator) -> None:
    """A whole disc where a task is sure, a sector for each share elsewhere; columns likewise."""
    click("place-3")(view)
    choose("groups", "2")(view)
    shares = read(view)["shares"]
    assert any(0.1 < max(row[:-1]) < 0.9 for row in shares)
    for t, row in enumerate(shares):
        wanted = sum(share >= 0.02 for share in row)
        assert handle(view, t).locator(".vmtl-share").count() == wanted
    columns = view.locator(".vmtl-panel-shares rect").count()
    assert columns == sum(share >= 0.005 for row in shares for share in row)


def test_the_ends_of_the_range(view: Locator) -> None:
    """Where much data and a wide spread make the most groups, and where little makes none."""
    for ends in ((60, 60, 0, 60), (0, 0, 29, 0), (0, 60, 0, 60), (60, 0, 29, 60)):
        for name, position in zip(("width", "concentration", "noise", "rows"), ends, strict=True):
            slide(name, position)(view)
        compare(read(view))


def test_a_finger_drags_a_task(browser: Browser, site: Path) -> None:
    """And the page doesn't scroll meanwhile."""
    phone = {"viewport": {"width": 360, "height": 700}, "has_touch": True}
    with watched(browser, site.as_uri(), **phone) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-light.html")[0]
        before = read(view)["points"]
        handle(view, 11).scroll_into_view_if_needed()
        scrolled = page.evaluate("scrollY")
        box = handle(view, 11).bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session = page.context.new_cdp_session(page)
        for kind, by in (("touchStart", 0), ("touchMove", 15), ("touchMove", 40), ("touchEnd", 0)):
            points = [] if kind == "touchEnd" else [{"x": x + by, "y": y + by}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            page.evaluate(SETTLE)  # moves are handed on once a frame
        values = read(view)
        compare(values)
        assert values["points"][:11] == before[:11]
        assert values["points"][11][0] > before[11][0] + 0.6
        assert values["points"][11][1] < before[11][1] - 0.6
        assert page.evaluate("scrollY") == scrolled
        assert not errors


def test_the_place_that_is_laid_out_is_marked(view: Locator) -> None:
    for chosen in (2, 0):
        click(f"place-{chosen}")(view)
        read(view)
        for i in range(4):
            pressed = view.locator(f"[data-name='place-{i}']").get_attribute("aria-pressed")
            assert pressed == str(i == chosen).lower()
    press(6, "ArrowLeft")(view)
    read(view)
    assert view.locator("[aria-pressed='true']").count() == 0


def test_the_comparison_sees_known_mistakes(views: list[Locator]) -> None:
    """Variance for width, sd for variance, one row fewer, a / C for a, no m_0, groups unnamed."""
    values = read(views[1])
    python = compare(values)
    setting = {name: values[name] for name in KEPT}
    wrong = [
        {"width": values["width"] ** 2},
        {"noise": values["noise"] ** 2},
        {"rows": values["rows"] - 1},
        {"concentration": values["concentration"] / 6},
        {"points": torch.tensor(values["points"]) - torch.tensor(values["mean"]["loc"])},
    ]
    for change in wrong:
        mistake = GroupsExplorer(**{**setting, **change}).partitions
        with pytest.raises(AssertionError):
            close(values["bounds"], [one.bound for one in mistake])
    counts = torch.arange(len(python.partitions), dtype=torch.float64)
    bounds = torch.tensor(values["bounds"], dtype=torch.float64)
    with pytest.raises(AssertionError):
        close(bounds - torch.lgamma(counts + 1), bounds)
