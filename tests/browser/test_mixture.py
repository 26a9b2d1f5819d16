"""The widget of the mixture prior: what it prints and draws, and mistakes that must be seen."""

from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator
from torch.distributions import Normal

from tests.browser.explorer_mixture import MIXTURE, close, compare, handle, press, python_of
from tests.browser.explorers import Explorer, click, slide
from tests.browser.static_page import SETTLE, read, start, watched


@pytest.fixture
def explorer() -> Explorer:
    return MIXTURE


def readout(view: Locator) -> str:
    return view.locator(".vmtl-readout").text_content() or ""


def test_the_numbers_printed_are_those_of_torch(view: Locator) -> None:
    python = compare(read(view))
    printed = {
        node.get_attribute("data-part"): (node.text_content() or "").replace("−", "-")
        for node in view.locator(".vmtl-number").all()
    }
    found = {name: python.found(name) for name in ("jensen", "convex")}
    exact = python.receiver.log_evidence
    assert printed == {"exact": f"{exact:.2f}"} | {k: f"{v.elbo:.2f}" for k, v in found.items()}
    one = found["jensen"]
    words = f"by {exact - one.elbo:.2f} (slack {one.slack:.2f}, gap {one.gap:.2f}) with jensen"
    assert words in readout(view)
    share = python.receiver.probabilities.max()
    assert f"believes most in p₂, {100 * share:.0f} %" in readout(view)


def test_blocks_end_where_their_values_are(view: Locator) -> None:
    """What the bound and q lose is as long as it is large, and all three end at the same line."""
    values = read(view)
    ends = view.evaluate(
        """root => ['elbo', 'slack', 'gap'].map(part =>
           [...root.querySelectorAll(`.vmtl-panel-loss rect.vmtl-${part}`)]
           .map(r => [+r.getAttribute('x'), +r.getAttribute('x') + +r.getAttribute('width')]))"""
    )
    line = view.locator(".vmtl-evidence-line").get_attribute("d") or ""
    place = float(line[1:].split(",")[0])
    elbo, slack, gap = ends
    unit = (elbo[0][1] - elbo[1][1]) / (values["jensen"]["elbo"] - values["convex"]["elbo"])
    for i, method in enumerate(("jensen", "convex")):
        assert gap[i][1] == pytest.approx(place, abs=0.01)
        assert slack[i][1] - slack[i][0] == pytest.approx(unit * values[method]["slack"], abs=0.01)
        assert gap[i][1] - gap[i][0] == pytest.approx(unit * values[method]["gap"], abs=0.01)


def test_the_stories_of_the_presets(view: Locator) -> None:
    click("preset-0")(view)
    between = read(view)
    assert between["jensen"]["gap"] > 0.5
    assert abs(between["jensen"]["q"]["mean"] - 0.6) < 0.15  # in a hump
    assert -0.5 < between["convex"]["q"]["mean"] < 0.3  # between them
    click("preset-2")(view)
    none = read(view)
    assert none["posterior"]["weights"][0] > 0.99
    assert none["jensen"]["q"]["mean"] > none["centre"] + 0.6
    assert view.locator("path.vmtl-leaves").count() == 1
    click("preset-3")(view)
    many = read(view)
    assert abs(many["jensen"]["q"]["mean"] - many["centre"]) < 0.03
    for i in range(4):
        pressed = view.locator(f"[data-name='preset-{i}']").get_attribute("aria-pressed")
        assert pressed == str(i == 3).lower()


def test_the_ends_of_the_range(view: Locator) -> None:
    press(*["PageDown"] * 8)(view)
    assert read(view)["centre"] == -3
    slide("rows", 60)(view)
    slide("width", 0)(view)
    slide("base", 0)(view)
    compare(read(view))
    slide("base", 50)(view)
    values = read(view)
    compare(values)
    assert values["jensen"]["slack"] == pytest.approx(0, abs=1e-9)
    assert values["jensen"]["gap"] == pytest.approx(0, abs=1e-9)


def test_a_finger_drags_the_likelihood(browser: Browser, site: Path) -> None:
    """And the page doesn't scroll meanwhile."""
    phone = {"viewport": {"width": 360, "height": 700}, "has_touch": True}
    with watched(browser, site.as_uri(), **phone) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-light.html")[0]
        before = read(view)["centre"]
        knob = handle(view)
        knob.scroll_into_view_if_needed()
        scrolled = page.evaluate("scrollY")
        box = knob.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session = page.context.new_cdp_session(page)
        for kind, by in (("touchStart", 0), ("touchMove", 15), ("touchMove", 40), ("touchEnd", 0)):
            points = [] if kind == "touchEnd" else [{"x": x + by, "y": y}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            page.evaluate(SETTLE)  # moves are handed on once a frame
        values = read(view)
        compare(values)
        assert values["centre"] > before + 0.5
        assert page.evaluate("scrollY") == scrolled
        assert not errors


def test_a_screen_reader_hears_the_mean_and_the_losses(view: Locator) -> None:
    press("ArrowRight")(view)
    read(view)
    assert handle(view).get_attribute("aria-valuetext") == "sample mean −0.25"
    told = view.locator(".vmtl-panel-loss svg").get_attribute("aria-label") or ""
    assert f"slack {read(view)['jensen']['slack']:.2f}" in told


def test_the_comparison_sees_known_mistakes(views: list[Locator]) -> None:
    """Width not squared, the receiver's own noise left out of Z, alpha for P(k|D), convex for jensen,
    slack and gap exchanged, the average of the posteriors for the product."""
    values = read(views[1])
    python = compare(values)
    one, best = python.receiver, python.found("jensen")
    at = torch.tensor(one.centre, dtype=torch.float64)
    wrong = [
        (values["posterior"]["evidence"], (one.log_weights + one.parts.log_prob(at)).logsumexp(0)),
        (values["posterior"]["evidence"], (one.log_weights.exp() * one.log_evidences).sum()),
        (values["posterior"]["weights"], one.log_weights.exp()),
        (values["posterior"]["weights"], one.log_evidences.softmax(0)),
        (values["jensen"]["elbo"], python.found("convex").elbo),
        (values["jensen"]["elbo"], best.elbo + best.slack),
        (values["jensen"]["slack"], best.gap),
        (values["jensen"]["phi"], one.probabilities),
        (values["convex"]["q"]["mean"], (one.probabilities * one.posteriors.mean).sum()),
        (values["convex"]["q"]["mean"], (one.log_weights.exp() * one.posteriors.mean).sum()),
        (values["prior"]["sds"][0], values["sds"][0] + values["width"]),
    ]
    for found, mistake in wrong:
        with pytest.raises(AssertionError):
            close(found, mistake)
    for change in ({"width": values["width"] ** 2}, {"rows": values["rows"] ** 2}):
        with pytest.raises(AssertionError):
            close(
                values["posterior"]["evidence"], python_of(values, **change).receiver.log_evidence
            )
    narrow = Normal(one.posteriors.mean, one.posteriors.variance)
    with pytest.raises(AssertionError):
        close(values["posterior"]["sds"], narrow.stddev)
