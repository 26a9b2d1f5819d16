"""The temperature widget: the numbers that it prints, and mistakes that the comparison must see."""

import re

import pytest
import torch
from playwright.sync_api import Locator, Page

from tests.browser.explorer_temperature import TEMPERATURE, twin
from tests.browser.explorers import Explorer, close, slide
from tests.browser.static_page import named, read, start
from vmtl_core.lab.widgets import TemperatureExplorer
from vmtl_core.lab.widgets._noise import gumbel

move_tau = slide("tau", 17)


@pytest.fixture
def explorer() -> Explorer:
    return TEMPERATURE


def test_the_numbers_printed_are_those_of_torch(
    view: Locator, widgets: list[TemperatureExplorer]
) -> None:
    move_tau(view)
    python = twin(read(view), widgets[0])
    printed = view.locator(".vmtl-cell-number").all_text_contents()
    off_diagonal = python.weights[~torch.eye(4, dtype=torch.bool)]
    assert printed == [f"{weight:.2f}" for weight in off_diagonal]
    labels = view.locator(".vmtl-panel-expected svg").text_content() or ""
    for k in (1, 2, 3):
        assert f"task {k} {python.expected()[0, k]:.2f}" in labels
    readout = view.locator(".vmtl-readout").text_content() or ""
    largest = python.samples()[:, 0].amax(1).mean()
    assert f"{largest:.2f} on average over 400 draws" in readout
    assert view.locator(".vmtl-slider-tau output").text_content() == f"{python.tau:.2f}"


def test_the_comparison_sees_known_mistakes(
    view: Locator, widgets: list[TemperatureExplorer]
) -> None:
    """Noise added after the softmax, alpha transposed, noise divided by no temperature."""
    values = read(view)
    python = twin(values, widgets[0])
    noise = gumbel(python.seed, python.draws, 4, 4)[0]
    tempered = (python.log_pi / python.tau).softmax(-1)
    wrong = {
        "transposed": python.weights.T,
        "noise after the softmax": (tempered + noise).softmax(-1),
        "noise not tempered": (python.log_pi / python.tau + noise).softmax(-1),
        "temperature multiplies": ((python.log_pi + noise) * python.tau).softmax(-1),
    }
    for weights in wrong.values():
        with pytest.raises(AssertionError):
            close(values["weights"], weights)


def test_the_chapter_of_the_built_book(page: Page, base_url: str) -> None:
    start(page, base_url + TEMPERATURE.chapter)
    view = page.locator(".vmtl-temperature").first
    move_tau(view)
    values = read(view)
    python = TemperatureExplorer(
        logits=values["logits"], base=len(values["logits"][0]) > len(values["logits"]),
        **{name: values[name] for name in ("tau", "task", "seed", "draws")},
    )  # fmt: skip
    close(values["weights"], python.weights)
    close(values["mean"], python.expected()[values["task"], values["sources"]])
    assert re.search(r"τ = 0\.07", view.locator(".vmtl-readout").text_content() or "")


def test_the_keys_move_and_press(view: Locator) -> None:
    before = read(view)
    named(view, "tau").focus()
    view.page.keyboard.press("ArrowRight")
    assert before["tau"] < read(view)["tau"] < 1.05 * before["tau"]
    named(view, "noise").focus()
    view.page.keyboard.press("Enter")
    assert read(view)["seed"] == before["seed"] + 1


def test_what_a_screen_reader_is_told(view: Locator) -> None:
    heat = view.locator(".vmtl-panel-heat svg").get_attribute("aria-label") or ""
    assert "task 0 excluded" in heat
    handle = view.locator("g[role='slider']")
    assert float(handle.get_attribute("aria-valuenow") or 0) == read(view)["tau"]
    assert named(view, "tau").get_attribute("aria-valuetext") == "0.70"
