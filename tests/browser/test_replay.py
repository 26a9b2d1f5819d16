"""The training replay: every step, playing, and mistakes that the comparison must see."""

import json
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page

from tests.browser.explorer_replay import LAST, REPLAY, compare, twin
from tests.browser.explorers import Explorer, choose, close, slide
from tests.browser.static_page import (
    MOVE,
    SETTLE,
    Values,
    named,
    read,
    start,
    stored,
    watched,
    write_page,
)
from vmtl_core.divergences import pairwise_kl
from vmtl_core.lab.datasets import clusters
from vmtl_core.lab.widgets import TrainingReplay, record_replay

PLAY_MS, A_FRAME = 180, 20
PRESS = "button => button.click()"  # a mouse would wait for frames
move_step = slide("position", 5)
choose_sources = choose("sources", "1")


@pytest.fixture
def explorer() -> Explorer:
    return REPLAY


def test_every_run_and_step_agrees_with_torch(view: Locator, widgets: list[TrainingReplay]) -> None:
    for run in range(9):
        named(view, "schedule").select_option(str(run // 3))
        view.page.evaluate(SETTLE)
        named(view, "sources").select_option(str(run % 3))
        for position in (0, 4, 8):
            named(view, "position").evaluate(MOVE, position)
            values = read(view)
            assert (values["run"], values["position"]) == (run, position)
            compare(values, widgets[0])


def test_the_limits_of_the_drawing_hold_all_posteriors(
    view: Locator, widgets: list[TrainingReplay]
) -> None:
    low, high = torch.tensor(read(view)["box"], dtype=torch.float64).T
    widget = widgets[0]
    for run in range(len(widget.runs)):
        for position in range(len(widget.steps)):
            python = twin({"run": run, "position": position, "task": 0}, widget)
            centre, half = python.ellipses[:, :2], python.ellipses[:, 2:]
            assert (centre - half >= low - 1e-9).all()
            assert (centre + half <= high + 1e-9).all()


def test_the_numbers_printed_are_those_of_torch(
    view: Locator, widgets: list[TrainingReplay]
) -> None:
    choose_sources(view)
    move_step(view)
    python = twin(read(view), widgets[0])
    off = ~torch.eye(3, 4, dtype=torch.bool)
    for i, table in enumerate((python.alpha, python.phi)):
        printed = view.locator(".vmtl-panel-heat").nth(i).locator(".vmtl-cell-number")
        assert printed.all_text_contents() == [f"{value:.2f}" for value in table[off]]
    readout = view.locator(".vmtl-readout").text_content() or ""
    best = int(python.phi[0].argmax())
    name = [*python.tasks, "base"][best]
    assert f"{name} explains task 0 best, φ = {python.phi[0, best]:.2f}" in readout
    assert f"τ = {python.terms['temperature']:.2f}" in readout
    sd = python.posterior.stddev[0].log().mean().exp()
    assert f"The posterior sd of task 0 is {sd:.2f}" in readout
    labels = view.locator(".vmtl-panel-terms svg").text_content() or ""
    assert f"KL of weights {python.terms['kl_weights']:.1f}" in labels
    shown = view.locator(".vmtl-panel-posteriors ellipse")
    assert shown.count() == 3
    ratio = float(shown.nth(1).get_attribute("rx") or 0) / float(
        shown.nth(0).get_attribute("rx") or 1
    )
    assert ratio == pytest.approx(float(python.ellipses[1, 2] / python.ellipses[0, 2]), abs=2e-3)


@pytest.fixture(scope="module")
def part() -> TrainingReplay:
    """Three tasks of nine, the other six as one; an intercept, base prior and width are learned."""
    train, _ = clusters(tasks=9, clusters=3, inputs=2, between_sd=0.3).split()
    recording = record_replay(
        train, ["constant"], last=LAST, count=5, show=[7, 0, 4], intercept=True
    )
    return TrainingReplay(**recording, axes=[2, 1])


def test_few_tasks_of_many_agree_with_torch(
    browser: Browser, tmp_path: Path, part: TrainingReplay
) -> None:
    path = write_page(tmp_path, [part.model_id], stored([part]))
    with watched(browser, tmp_path.as_uri()) as (page, errors):
        view = start(page, path.as_uri())[0]
        for run in range(3):
            named(view, "sources").select_option(str(run))
            for position in (0, 2, 4):
                named(view, "position").evaluate(MOVE, position)
                values = read(view)
                assert (values["run"], values["position"]) == (run, position)
                compare(values, part)
        legend = view.locator(".vmtl-legend").text_content() or ""
        assert "6 others" in legend
        named(view, "sources").select_option("0")
        values = read(view)
        python = twin(values, part)
        pairs = pairwise_kl(python.posterior, python.components)
        forgotten = (python.alpha.log() - pairs).softmax(-1)
        with pytest.raises(AssertionError):  # the others are not the one normal that is drawn
            close(values["phi"], forgotten)
        assert not errors


def test_the_comparison_sees_known_mistakes(view: Locator, widgets: list[TrainingReplay]) -> None:
    """Alpha shown as phi, alpha transposed, KL the wrong way round, the width forgotten."""
    move_step(view)
    values = read(view)
    python = twin(values, widgets[0])
    q, p = python.posterior, python.components
    pairs = [[torch.distributions.kl_divergence(_row(p, k), _row(q, t)) for k in range(4)] for t in range(3)]  # fmt: skip
    narrow = [dict(run, width=None) for run in python.runs]
    python_narrow = TrainingReplay(
        python.tasks, python.inputs, python.steps, narrow, position=values["position"]
    )
    wrong = {
        "alpha": python.alpha,
        "transposed": torch.cat([python.phi[:, :3].T, python.phi[:, 3:]], 1),
        "reverse KL": (python.alpha.log() - torch.tensor(pairs)).softmax(-1),
        "width forgotten": python_narrow.phi,
    }
    for phi in wrong.values():
        with pytest.raises(AssertionError):
            close(values["phi"], phi)
    with pytest.raises(AssertionError):
        close(values["ellipses"][0][2:], python.posterior.variance[0])


def _row(dist: torch.distributions.Distribution, k: int) -> torch.distributions.Distribution:
    normal = torch.distributions.Normal(dist.mean[k], dist.stddev[k])
    return torch.distributions.Independent(normal, 1)


def stop_time(page: Page) -> None:
    """From now on the page's clock, of timers and of frames, moves only where it is moved."""
    page.clock.install(time="2026-01-01T00:00:00")
    page.clock.pause_at("2026-01-01T01:00:00")


def after(view: Locator, milliseconds: int) -> Values:
    """What is shown so much later."""
    view.page.clock.run_for(milliseconds)
    return json.loads(view.get_attribute("data-values") or "{}")


def test_play_pause_and_start_again(view: Locator) -> None:
    before, play = read(view), named(view, "play")
    stop_time(view.page)
    assert play.text_content() == "Play"
    play.evaluate(PRESS)
    assert play.text_content() == "Pause"
    playing = after(view, 3 * PLAY_MS + A_FRAME)
    assert (playing["playing"], playing["position"]) == (True, 3)
    play.evaluate(PRESS)
    assert play.text_content() == "Play"
    assert after(view, 20 * PLAY_MS)["position"] == 3
    play.evaluate(PRESS)
    stopped = after(view, 20 * PLAY_MS)
    assert (stopped["playing"], stopped["position"]) == (False, 8)
    assert play.text_content() == "Play"
    named(view, "sources").select_option("1")
    play.evaluate(PRESS)
    named(view, "reset").evaluate(PRESS)
    assert play.text_content() == "Play", "starting again stops the playing"
    assert after(view, 20 * PLAY_MS) == before


def test_less_motion_plays_nothing_by_itself(browser: Browser, site: Path) -> None:
    settings = {"reduced_motion": "reduce", "forced_colors": "active"}
    with watched(browser, site.as_uri(), **settings) as (page, errors):
        view = start(page, f"{site.as_uri()}/page-light.html")[0]
        stop_time(page)
        play = named(view, "play")
        assert play.text_content() == "Next step"
        for expected in (0, 1, 2):  # it started at the end
            play.evaluate(PRESS)
            assert after(view, 20 * PLAY_MS)["position"] == expected
        assert not errors


def test_the_chapter_of_the_built_book(page: Page, base_url: str) -> None:
    start(page, base_url + REPLAY.chapter)
    view = page.locator(".vmtl-replay").first
    choose_sources(view)
    move_step(view)
    values = read(view)
    assert (values["sources"], values["position"]) == ("previous", 5)
    alpha = torch.tensor(values["alpha"])
    close(alpha.sum(1), torch.ones(3, dtype=torch.float64))
    close(torch.tensor(values["phi"]).sum(1), torch.ones(3, dtype=torch.float64))


def test_what_a_screen_reader_is_told(view: Locator) -> None:
    named(view, "position").focus()
    view.page.keyboard.press("ArrowLeft")
    assert read(view)["position"] == 7
    handle = view.locator("g[role='slider']")
    assert float(handle.get_attribute("aria-valuenow") or -1) == read(view)["step"]
    phi = view.locator(".vmtl-panel-heat svg").nth(1).get_attribute("aria-label") or ""
    assert "responsibilities" in phi
    assert "task 0 excluded" in phi
