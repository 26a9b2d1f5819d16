"""The predictive widget: its numbers and marks, and mistakes that the comparison must see."""

import pytest
import torch
from playwright.sync_api import Locator
from torch.distributions import Normal

from tests.browser.explorer_predictive import KEPT, LEVELS, PREDICTIVE, compare
from tests.browser.explorers import Explorer, close, slide
from tests.browser.static_page import named, read
from vmtl_core.lab.widgets import PredictiveExplorer


@pytest.fixture
def explorer() -> Explorer:
    return PREDICTIVE


@pytest.mark.parametrize("position", [0, 160])
def test_the_ends_of_the_range(view: Locator, position: int) -> None:
    """Also where components lie far apart and an interval's end in the gap between two of them."""
    slide("points", 0)(view)
    slide("noise", 0)(view)
    slide("width", position)(view)
    for samples in (99, 19, 0):
        slide("samples", samples)(view)
        values = read(view)
        python = PredictiveExplorer(**{name: values[name] for name in KEPT})
        checked = torch.tensor(values["checked"], dtype=torch.float64)
        fresh = python.predictive(checked[:, 0])
        for end, level in zip(checked[:, 2:].T, LEVELS, strict=True):
            close(fresh.cdf(end), level.expand_as(end), 1e-6)
        parts = [values[name] for name in ("total", "aleatoric", "epistemic")]
        close(parts, torch.cat(list(python.uncertainty)))


def test_one_more_keeps_what_is_there(view: Locator) -> None:
    before = read(view)
    for name in ("more-samples", "more-new_points"):
        named(view, name).click()
    after = read(view)
    assert after["lines"][:-1] == before["lines"]
    assert [row[:2] for row in after["checked"][:-1]] == [row[:2] for row in before["checked"]]


def test_the_numbers_printed_are_those_of_torch(view: Locator) -> None:
    slide("width", 20)(view)
    python = compare(read(view))
    total, aleatoric, epistemic = (part.item() for part in python.uncertainty)
    limit = python.epistemic_variance(torch.tensor([python.x])).item()
    printed = view.locator(".vmtl-number").all_text_contents()
    assert printed == [f"{value:.2f}" for value in (aleatoric, epistemic, total, limit)]
    readout = view.locator(".vmtl-readout").text_content() or ""
    share = python.covered.double().mean().item()
    assert f"{int(python.covered.sum())} of 40 new points ({100 * share:.0f} %" in readout
    assert f"expected {100 * python.expected_coverage:.1f} %" in readout
    assert "overconfident" in readout


def test_as_many_marks_as_points(view: Locator) -> None:
    values = read(view)
    paths = view.evaluate(
        """root => ['hit', 'miss', 'hit-mark', 'miss-mark', 'sampled'].map(name =>
           (root.querySelector(`.vmtl-${name}`).getAttribute('d').match(/M/g) ?? []).length)"""
    )
    missed = values["new_points"] - values["inside"]
    assert paths == [values["inside"], missed, values["inside"], missed, values["samples"]]


def test_the_comparison_sees_known_mistakes(views: list[Locator]) -> None:
    """Mixture replaced by one normal, divisor M - 1, ends averaged, width forgotten or doubled."""
    values = read(views[1])
    python = compare(values)
    x, _ = python.new
    mixture = python.predictive(torch.tensor([python.x]))
    means = mixture.components.mean.squeeze()
    y = torch.tensor(values["density"]["y"], dtype=torch.float64)
    matched = Normal(mixture.mean, mixture.variance.sqrt())
    shifts = python.lines - python.posterior.mean
    ends = Normal(means, python.noise).icdf(LEVELS[:, None])
    truth = python.posterior.mean @ torch.stack([torch.ones_like(x), x])
    plug_in = Normal(truth, python.noise)
    low, high = torch.tensor(values["checked"]).double()[:, 2:].T
    wrong = [
        (values["density"]["mixture"], matched.log_prob(y).exp()),
        (values["epistemic"], means.var()),
        (values["total"], python.noise + values["epistemic"]),
        (values["interval"], ends.mean(1)),
        (values["interval"], torch.stack([ends[0].min(), ends[1].max()])),
        (values["lines"], python.posterior.mean + shifts / python.width),
        (values["lines"], python.posterior.mean + python.width * shifts),
        (values["expected"], (plug_in.cdf(high) - plug_in.cdf(low)).mean()),
        (values["running"][-1], values["expected"]),
    ]
    for shown, mistake in wrong:
        with pytest.raises(AssertionError):
            close(shown, mistake)


def test_the_coverage_is_told_to_a_screen_reader(view: Locator) -> None:
    told = view.locator(".vmtl-panel-coverage svg").get_attribute("aria-label") or ""
    assert told.startswith(f"{read(view)['inside']} of 40 new points")
