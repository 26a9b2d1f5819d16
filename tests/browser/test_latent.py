"""The widget of the latents' prior: what it prints and draws, and mistakes that must be seen."""

from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator
from torch.distributions import Normal, kl_divergence

from tests.browser.explorer_latent import LATENT, close, compare, python_of
from tests.browser.explorers import Explorer, click, handle, slide
from tests.browser.static_page import SETTLE, read, start, watched


@pytest.fixture
def explorer() -> Explorer:
    return LATENT


def readout(view: Locator) -> str:
    return view.locator(".vmtl-readout").text_content() or ""


def test_the_numbers_printed_are_those_of_torch(view: Locator) -> None:
    python = compare(read(view))
    printed = [node.text_content() for node in view.locator(".vmtl-number").all()]
    kl = [f"{value:.2f}" for value in python.kl.tolist()]
    assert printed == kl
    assert f"KL of z = {' + '.join(kl)} = {python.kl.sum():.2f} nats" in readout(view)
    assert f"β = {python.beta[1]:.2f} for task 1, {python.beta[2]:.2f} for the base" in readout(
        view
    )


def test_cold_beta_is_one_source_and_the_row_that_it_cannot_explain_is_dear(view: Locator) -> None:
    slide("tau", 0)(view)
    cold = read(view)
    assert max(cold["beta"]) > 0.999
    assert cold["beta"][0] > 0.5, "the noise of the chapter's seed is for the other task"
    assert cold["kl"][0] > 5 > cold["kl"][2]
    assert "row 1 is the dearest" in readout(view)
    slide("tau", 160)(view)
    warm = read(view)
    assert abs(warm["beta"][0] - 0.5) < 0.05
    assert warm["total"] < cold["total"]


def test_the_bar_of_beta_is_split_where_beta_is(view: Locator) -> None:
    beta = read(view)["beta"]
    widths = view.evaluate(
        """root => [...root.querySelectorAll('.vmtl-panel-temperature rect.vmtl-share')]
           .map(r => +r.getAttribute('width'))"""
    )
    assert widths[0] / sum(widths) == pytest.approx(beta[0], abs=1e-3)


def test_without_noise_equal_preferences_stay_equal(view: Locator) -> None:
    click("noise")(view)
    for place in (0, 80, 160):
        slide("tau", place)(view)
        assert read(view)["beta"] == pytest.approx([0.5, 0.5])
    assert view.locator(".vmtl-mean").count() == 0
    compare(read(view))


def test_a_finger_drags_a_row(browser: Browser, site: Path) -> None:
    """And the page doesn't scroll meanwhile."""
    phone = {"viewport": {"width": 360, "height": 700}, "has_touch": True}
    with watched(browser, site.as_uri(), **phone) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-light.html")[0]
        before = read(view)["rows"]
        knob = handle(view, "row 2")
        knob.scroll_into_view_if_needed()
        scrolled = page.evaluate("scrollY")
        box = knob.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session = page.context.new_cdp_session(page)
        for kind, by in (("touchStart", 0), ("touchMove", 10), ("touchMove", 30), ("touchEnd", 0)):
            points = [] if kind == "touchEnd" else [{"x": x + by, "y": y}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            page.evaluate(SETTLE)  # moves are handed on once a frame
        values = read(view)
        compare(values)
        assert values["rows"][0][1] > before[0][1] + 0.2
        assert values["rows"][1] == before[1]
        assert page.evaluate("scrollY") == scrolled
        assert not errors


def test_a_screen_reader_hears_rows_and_beta(view: Locator) -> None:
    values = read(view)
    assert handle(view, "row 1").get_attribute("aria-valuetext") == "x −1.20"
    told = view.locator(".vmtl-panel-temperature svg").get_attribute("aria-label") or ""
    assert f"beta is {values['beta'][0]:.2f} on task 1" in told


def test_the_comparison_sees_known_mistakes(views: list[Locator]) -> None:
    """Convex for jensen, the KL the other way round, beta for alpha's row, noise after the softmax,
    the sum averaged over rows, the receiver's own encoder as a source."""
    values = read(views[1])
    python = compare(values)
    one, beta = python.latents, python.beta
    pairs = one.pairs()
    q, both = one.q(), one.encodings()
    own = Normal(q.mean.squeeze(-1), q.stddev.squeeze(-1))
    other = Normal(both.mean[:, 1 - python.receiver, 0], both.stddev[:, 1 - python.receiver, 0])
    wrong_beta = python_of(values, noise=False).beta + beta * 0.1
    wrong = [
        ("kl", (beta[[0, 2]] * pairs[:, [0, 2]]).sum(-1)),
        ("kl", one.kl(one.log_beta(1.0)).squeeze(0)),
        ("total", python.kl.mean()),
        ("beta", (wrong_beta / wrong_beta.sum())[[0, 2]]),
        ("beta", one.log_beta(1 / python.tau).exp()[0, [0, 2]]),
        ("beta", python_of(values, preference=-values["preference"]).beta[[0, 2]]),
        ("beta", python_of(values, receiver=0).beta[[1, 2]]),
        ("phi", beta[[0, 2]].expand(3, -1)),
    ]
    for name, mistake in wrong:
        with pytest.raises(AssertionError):
            close(values[name], mistake)
    backward = torch.stack([kl_divergence(other, own), pairs[:, 2]], -1)
    with pytest.raises(AssertionError):
        close(values["pairs"], backward)
    with pytest.raises(AssertionError):
        close(values["curves"]["mean"], python.total())
