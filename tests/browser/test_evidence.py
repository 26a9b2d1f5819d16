"""The widget of chapter 1: what it prints and draws, and mistakes that the comparison must see."""

from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator

from tests.browser.explorer_evidence import EVIDENCE, close, compare, python_of
from tests.browser.explorers import Explorer, click, drag_handle, handle, slide
from tests.browser.static_page import SETTLE, read, start, watched


@pytest.fixture
def explorer() -> Explorer:
    return EVIDENCE


def readout(view: Locator) -> str:
    return view.locator(".vmtl-readout").text_content() or ""


def top(view: Locator) -> float:
    """Height of the line at log p(y), in pixels from above."""
    path = view.locator(".vmtl-evidence-line").get_attribute("d") or ""
    return float(path.split(",")[1].split("H")[0])


def test_the_top_stands_while_q_moves_and_an_m_step_moves_it(view: Locator) -> None:
    before, height = read(view)["terms"], top(view)
    drag_handle("mean of q", 30, -30)(view)
    after = read(view)["terms"]
    assert after["gap"] != before["gap"]
    assert after["evidence"] == before["evidence"]
    assert top(view) == height
    click("m-scale")(view)
    assert read(view)["terms"]["evidence"] != before["evidence"]
    assert abs(top(view) - height) > 1


def test_em_climbs_and_ends(view: Locator) -> None:
    """Neither half step lets the bound fall; with a full q the E-step touches."""
    click("family-full")(view)
    bound = -float("inf")
    for _ in range(12):
        for step in ("e-step", "m-noise", "m-scale"):
            click(step)(view)
            terms = read(view)["terms"]
            assert terms["fit"] - terms["kl"] >= bound - 1e-9
            bound = terms["fit"] - terms["kl"]
            assert step != "e-step" or terms["gap"] == pytest.approx(0, abs=1e-9)
    click("e-step")(view)
    assert "q is the exact posterior" in readout(view)


def test_the_numbers_printed_are_those_of_torch(view: Locator) -> None:
    click("e-step")(view)
    python = compare(read(view))
    fit, kl, gap, evidence = (f"{term:.2f}".replace("-", "−") for term in python.terms)
    assert f"log p(y) = {evidence}: fit {fit}, minus KL {kl}, plus gap {gap}." in readout(view)
    covariance = python.line.posterior.covariance_matrix
    rho = (covariance[0, 1] / covariance.diagonal().prod().sqrt()).item()
    assert f"ρ = {rho:.2f}".replace("-", "−") in readout(view)
    printed = {
        node.get_attribute("data-part"): node.text_content()
        for node in view.locator("text.vmtl-number[data-part]").all()
    }
    bound = f"{(python.terms.fit - python.terms.kl).item():.2f}".replace("-", "−")
    assert printed == {"kl": f"KL {kl}", "gap": f"gap {gap}", "elbo": bound}


def test_blocks_are_as_tall_as_their_terms(view: Locator) -> None:
    terms = read(view)["terms"]
    kl, gap = (
        float(view.locator(f"rect.vmtl-block-{name}").get_attribute("height") or "nan")
        for name in ("kl", "gap")
    )
    assert kl / gap == pytest.approx(terms["kl"] / terms["gap"], rel=1e-3)
    assert kl > 5


def test_a_shift_widens_the_gap_and_says_what_became_of_the_prior(view: Locator) -> None:
    """Carried along, the prior leaves log p(y) where it was; otherwise it doesn't."""
    click("e-step")(view)
    before = read(view)
    assert before["moved"] == 0
    slide("shift", 120)(view)
    after = read(view)
    assert after["smallest"] > before["smallest"] + 0.2
    assert abs(after["moved"]) > 0.1
    assert "another prior over lines" in readout(view)
    click("same-lines")(view)
    carried = read(view)
    assert carried["moved"] == pytest.approx(0, abs=1e-9)
    assert carried["smallest"] > before["smallest"] + 0.2
    assert "log p(y) hasn't moved" in readout(view)


def test_a_q_far_away_leaves_the_axis_and_its_handles_stay_in_the_window(view: Locator) -> None:
    slide("noise", 0)(view)
    values = read(view)
    assert values["terms"]["gap"] > 30
    assert view.locator("path.vmtl-leaves").count() >= 2
    frame = view.locator(".vmtl-panel-plane .vmtl-drawing").bounding_box()
    assert frame
    for name in ("mean of q", "width of q, intercept", "width of q, slope"):
        box = handle(view, name).bounding_box()
        assert box
        assert frame["x"] - 20 < box["x"] < frame["x"] + frame["width"]
    slide("noise", 120)(view)
    click("e-step")(view)
    compare(read(view))


def test_a_finger_drags_q(browser: Browser, site: Path) -> None:
    """And the page doesn't scroll meanwhile."""
    phone = {"viewport": {"width": 360, "height": 700}, "has_touch": True}
    with watched(browser, site.as_uri(), **phone) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-light.html")[0]
        before = read(view)["mean"]
        knob = handle(view, "mean of q")
        knob.scroll_into_view_if_needed()
        scrolled = page.evaluate("scrollY")
        box = knob.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session = page.context.new_cdp_session(page)
        for kind, by in (("touchStart", 0), ("touchMove", 15), ("touchMove", 40), ("touchEnd", 0)):
            points = [] if kind == "touchEnd" else [{"x": x - by, "y": y - by}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            page.evaluate(SETTLE)  # moves are handed on once a frame
        values = read(view)
        compare(values)
        assert values["mean"][0] < before[0] - 0.1
        assert values["mean"][1] > before[1] + 0.1
        assert page.evaluate("scrollY") == scrolled
        assert not errors


def test_a_screen_reader_hears_q_and_the_terms(view: Locator) -> None:
    drag_handle("mean of q", 20, 0)(view)
    mean = read(view)["mean"]
    words = handle(view, "mean of q").get_attribute("aria-valuetext") or ""
    assert f"intercept {mean[0]:.2f}".replace("-", "−") in words
    told = view.locator(".vmtl-panel-stack svg").get_attribute("aria-label") or ""
    assert f"gap {read(view)['terms']['gap']:.2f}" in told


def test_the_comparison_sees_known_mistakes(views: list[Locator]) -> None:
    """KL the other way round, a trace forgotten, variance for sd, marginal for conditional widths,
    a prior that isn't carried along, or is transposed."""
    values = read(views[1])
    python = compare(values)
    line, q, terms = python.line, python.q, python.terms
    kl = torch.distributions.kl_divergence
    residual = (line.y - line.design @ q.mean).square().sum()
    wrong = {
        "kl": [kl(line.prior, q), terms.gap],
        "gap": [kl(line.posterior, q), terms.kl, terms.evidence - terms.fit],
        "fit": [
            torch.distributions.Normal(line.design @ q.mean, line.noise).log_prob(line.y).sum()
        ],
        "evidence": [terms.fit - terms.kl, python_of(values, same_lines=False).terms.evidence],
    }
    for name, mistakes in wrong.items():
        for mistake in mistakes:
            with pytest.raises(AssertionError):
                close(values["terms"][name], mistake)
    with pytest.raises(AssertionError):
        close(values["sigma"], (residual / len(line.y)).sqrt())  # (1.6) without the spread
    transposed = python_of(values, shift=-values["shift"]).line.prior.covariance_matrix
    with pytest.raises(AssertionError):
        close(values["prior"]["covariance"], transposed.flatten()[[0, 1, 3]])
    click("family-diagonal")(views[1])
    narrow = read(views[1])["best"]["sds"]
    with pytest.raises(AssertionError):
        close(narrow, line.posterior.covariance_matrix.diagonal().sqrt())
    for change in ({"noise": values["noise"] ** 2}, {"scale": values["scale"] ** 2}):
        with pytest.raises(AssertionError):
            close(values["terms"]["evidence"], python_of(values, **change).terms.evidence)
