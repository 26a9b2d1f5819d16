"""The KL widget: the numbers and bars that it draws, and mistakes that the comparison must see."""

import pytest
import torch
from playwright.sync_api import Locator

from tests.browser.explorer_kl import KL, compare
from tests.browser.explorers import Explorer, close, handle, press
from tests.browser.static_page import MOVE, named, read


@pytest.fixture
def explorer() -> Explorer:
    return KL


def test_the_numbers_of_the_chapter(view: Locator) -> None:
    kl = read(view)["kl"]
    found = [round(kl[name], 3) for name in ("exact", "jensen", "convex", "weighted_sum")]
    assert found == [0.943, 2, 2, 0.153]


def test_the_ends_of_the_range(view: Locator) -> None:
    """Means and widths stop at their limits, where quadrature must hold too; weights at 0 and 1."""
    for name, key, limit in (
        ("mean of q", "PageUp", 5),
        ("width of q", "PageUp", 2.5),
        ("mean of source 1", "PageDown", -5),
        ("width of source 1", "PageDown", 0.4),
    ):
        press(name, *[key] * 12)(view)
        read(view)  # waits for the frame that draws the last key
        assert float(handle(view, name).get_attribute("aria-valuenow") or "nan") == limit
    compare(read(view))
    named(view, "weight-0").evaluate(MOVE, 100)
    assert read(view)["weights"] == [1, 0, 0]
    compare(read(view))
    named(view, "weight-0").evaluate(MOVE, 40)
    assert read(view)["weights"] == pytest.approx([0.4, 0.3, 0.3])
    compare(read(view))


def test_the_numbers_printed_are_those_of_torch(view: Locator) -> None:
    named(view, "preset-1").click()
    python = compare(read(view))
    printed = {
        node.get_attribute("data-method"): node.text_content()
        for node in view.locator(".vmtl-number").all()
    }
    expected = {**python.kl, "sampled": python.estimates.mean().item()}
    assert printed == {name: f"{value:.3f}" for name, value in expected.items()}
    readout = view.locator(".vmtl-readout").text_content() or ""
    assert f"Exact {python.kl['exact']:.3f} nats" in readout
    assert (
        f"weighted sum, no bound, is {python.kl['weighted_sum'] - python.kl['exact']:.3f} above"
        in readout
    )
    assert f"± {python.estimates.std():.3f}" in (
        view.locator(".vmtl-panel-bars svg").text_content() or ""
    )
    assert "φ₂ = 1.00" in (view.locator(".vmtl-weights").text_content() or "")


def test_bars_end_at_their_values(view: Locator) -> None:
    """The end of each bar, mapped back by the ticks of the axis, is the number printed beside it."""
    kl = read(view)["kl"]
    ends = view.evaluate(
        """root => Object.fromEntries([...root.querySelectorAll('.vmtl-panel-bars rect[class^=vmtl-bar-]')]
           .map(r => [r.getAttribute('class').slice(9), +r.getAttribute('x') + +r.getAttribute('width')]))"""
    )
    unit = (ends["jensen"] - ends["exact"]) / (kl["jensen"] - kl["exact"])
    for name, value in kl.items():
        assert ends[name] - ends["exact"] == pytest.approx(unit * (value - kl["exact"]), abs=0.1)


def test_the_comparison_sees_known_mistakes(views: list[Locator]) -> None:
    """Convex for jensen, variances weighted once, q and p exchanged, one estimate for all, no a_k."""
    values = read(views[1])
    python, kl = compare(values), values["kl"]
    q, p, a = python.q, python.components, python.log_weights.exp()
    forward = torch.distributions.kl_divergence(q, p)
    backward = torch.distributions.kl_divergence(p, q)
    one_sum = torch.distributions.Normal(a @ p.mean, (a @ p.variance).sqrt())
    half = torch.distributions.Normal(p.mean, (q.variance + p.variance) ** 0.5)
    wrong = {
        "jensen": [
            (a * forward).sum(),
            -(a * (-backward).exp()).sum().log(),
            -(-forward).exp().mean().log(),
        ],
        "convex": [forward.mean(), (a * backward).sum(), kl["jensen"]],
        "weighted_sum": [torch.distributions.kl_divergence(q, one_sum).squeeze()],
        "lower_bound": [-q.entropy().squeeze() - a @ half.log_prob(q.mean)],
        "exact": [kl["lower_bound"], kl["jensen"], values["centre"]],
    }
    for name, mistakes in wrong.items():
        for mistake in mistakes:
            with pytest.raises(AssertionError):
                close(kl[name], mistake)
    with pytest.raises(AssertionError):
        close(values["spread"], python.estimates.std() / len(python.estimates) ** 0.5)


def test_the_chosen_setting_is_marked(view: Locator) -> None:
    for chosen in (1, 0):
        named(view, f"preset-{chosen}").click()
        read(view)
        for i in (0, 1):
            pressed = named(view, f"preset-{i}").get_attribute("aria-pressed")
            assert pressed == str(i == chosen).lower()
    told = view.locator(".vmtl-panel-bars svg").get_attribute("aria-label") or ""
    assert "exact 0.943" in told
