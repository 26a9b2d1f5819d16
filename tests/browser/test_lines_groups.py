"""Groups in the lines laboratory: fits against the library, what is shown, and settings without rest."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Locator

from tests.browser.explorer_lines import LINES, chances, close, compare, compare_groups, more
from tests.browser.explorers import Explorer, choose, click, slide
from tests.browser.lines_library import Given, number, random_setting, to_the_end
from tests.browser.static_page import named, read, start, stored, watched, write_page
from tests.browser.test_lines_fit import Fit, folder, opened
from tests.double import _double_precision
from vmtl_core.evidence import Gaussians
from vmtl_core.groups import Hyper
from vmtl_core.lab.widgets import LinesLaboratory
from vmtl_core.lab.widgets._lines_groups import (
    GroupLines,
    Weighed,
    all_labels,
    began,
    groups_fit,
    in_data,
    objective,
    partitions,
    weigh,
)
from vmtl_core.lab.widgets._lines_presets import PRESETS
from vmtl_core.lab.widgets.lines import SETTING

__all__ = ["_double_precision", "folder", "opened"]

RESTLESS: dict[str, Any] = {
    "tasks": [
        [[-0.49, -0.42]],
        [[-0.57, 0.18]],
        [[1.36, -1.25], [0.43, -1.86], [0.7, -1.01]],
        [[0.14, -1.05], [0.57, -1.55], [1.32, -0.38]],
        [[1.96, -0.31]],
    ],
    "temperature": 0.05, "draws": 4254219346, "sigma": 1.5, "delta": 0.05,
    "sources": "previous", "divergence": "jensen", "base": "fixed",
}  # fmt: skip
"""Tasks of one point, cold draws: each runs after what the others said last."""


@pytest.fixture
def explorer() -> Explorer:
    return LINES


@pytest.fixture(scope="module")
def fit(opened: Callable[[Path], Any], folder: Path) -> Iterator[Fit]:
    with opened(folder) as function:
        yield function


def grouped(setting: Given, **changes: Any) -> Given:
    return setting | {"sources": "groups"} | changes


def at_the_page(given: Given, found: Any) -> tuple[Weighed, float, float, Any]:
    """The library at the page's hyperparameters: all labels, the objective, its steepest slope."""
    setting, own = began(given["tasks"], given["sigma"])
    table, log_sd = setting.problem.table, number([found["logSd"]])
    free = own.noise.start()
    noise = torch.full_like(free, found["logSigma"])
    width = torch.full_like(log_sd, given["delta"]).log()
    hyper = Hyper(noise.requires_grad_(True), log_sd.requires_grad_(True), width)
    labels = all_labels(len(given["tasks"]))
    value = objective(table, own, hyper, labels)
    slopes = torch.autograd.grad(value, [one for one in hyper[:2] if one.numel()])
    still = Hyper(*(one.detach() for one in hyper))
    weighed = weigh(table.site(own.noise.tasks(still.noise), own.other), still, labels)
    return weighed, float(value.detach()), max(float(s.abs().max()) for s in slopes), setting


def is_the_library_s(given: Given, found: Any) -> None:
    """Everything that the page makes of its hyperparameters, which have no slope left."""
    weighed, value, steepest, setting = at_the_page(given, found)
    tasks = len(given["tasks"])
    assert steepest < 1e-5
    close(tasks * found["elbo"], value)
    close(found["evidence"], weighed.log_joint.logsumexp(0))
    close(chances(found), [chance for _, chance in sorted(partitions(weighed))])
    terms = found["terms"]
    close([a - b for a, b in zip(terms["likelihood"], terms["kl"], strict=True)], weighed.foretold())  # fmt: skip
    laws = in_data(Gaussians(*weighed.laws()), setting, torch.ones(tasks))
    for name in ("mean", "covariance"):
        close([law[name] for law in found["q"]], getattr(laws, name))


@pytest.mark.parametrize("sigma", [None, 0.4])
@pytest.mark.parametrize("delta", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda one: one["name"])
def test_situations(fit: Fit, preset: dict[str, Any], delta: float, sigma: float | None) -> None:
    """The library's function at the page's hyperparameters, and the twin's own search, give the same."""
    given = grouped(preset["setting"], delta=delta, sigma=sigma)
    found = fit(given)
    assert found["converged"]
    is_the_library_s(given, found)
    with to_the_end(pytest.MonkeyPatch()):
        wanted = groups_fit(given["tasks"], sigma=sigma, delta=delta)
    assert wanted.converged
    compare_groups(found | {"sigma_used": found["sigma"]}, wanted)


@pytest.mark.nightly
def test_random_settings(fit: Fit) -> None:
    """Three to six tasks of one to thirty rows."""
    draw = np.random.default_rng(7)
    for _ in range(60):
        given = grouped(random_setting(draw))
        found = fit(given)
        assert found["converged"], given
        is_the_library_s(given, found)


def test_what_a_mixture_needs_moves_nothing(fit: Fit) -> None:
    given = grouped(PRESETS[0]["setting"])
    other = {"temperature": 0.2, "draws": 3, "divergence": "convex", "base": "none"}
    assert fit(given) == fit(given | other)


@pytest.mark.parametrize("tasks", [[[[0, 1]], [[1, 1]], [[2, 1]]], [[[0, 0]]] * 3, [[[1, 1], [2, 2]]] * 6])  # fmt: skip
def test_flat_data_are_no_error(fit: Fit, tasks: Any) -> None:
    found = fit(grouped(PRESETS[0]["setting"], tasks=tasks, sigma=None))
    assert np.isfinite([found["elbo"], found["sigma"], *np.ravel(found["phi"])]).all()
    assert torch.isfinite(number([one["covariance"] for one in found["q"]])).all()


MISTAKES = [
    ("between for within", "linesgroups", "width ** 2 / (1 + width ** 2)", "1 / (1 + width ** 2)"),
    ("m_0 is 0", "linesgroups", "fill(MEAN_VARIANCE)", "fill(1e-9)"),
    ("no prior of partitions", "linesgroups", "let constant = part.logPrior", "let constant = 0"),
    ("an infinite restaurant", "linespartitions", "logGamma(T + 1) - logGamma(T - used + 1)", "0"),
    ("none has no weight", "linespartitions", "length: singles + 1", "length: 1"),
    ("centre without m_0's spread", "linesgroups", "a * a * p + 2 * a * b * q + b * b * r, spread[1]", "0, spread[1]"),
    ("no unit of y", "linesgroups", "logSigma + stats.logUnit", "logSigma"),
    ("sigma without its hyperprior", "linesgroups", "found.noise * noise.slope + weak.noise", "found.noise"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one[0])
def test_mistakes_are_seen(
    mistake: tuple[str, str, str, str],
    opened: Callable[[Path], Any],
    folder: Path,
    tmp_path: Path,
) -> None:
    _, module, right, wrong = mistake
    copy = shutil.copytree(folder, tmp_path / "js")
    text = (copy / f"{module}.js").read_text(encoding="utf-8")
    assert right in text
    (copy / f"{module}.js").write_text(text.replace(right, wrong), encoding="utf-8")
    given = grouped(PRESETS[3]["setting"])
    with opened(copy) as mistaken:
        found = mistaken(given)
        with pytest.raises(AssertionError):
            is_the_library_s(given, found)


def readout(view: Locator) -> str:
    return (view.locator(".vmtl-readout").text_content() or "").replace("\xa0", " ")


def test_every_situation_tells_its_story_with_groups(view: Locator) -> None:
    """Groups stay chosen from one situation to the next, and each sentence is what torch says."""
    choose("sources", "3")(view)
    for i, _ in enumerate(PRESETS):
        click(f"preset-{i}")(view)
        values = read(view)
        assert values["sources"] == "groups"
        assert named(view, f"preset-{i}").get_attribute("aria-pressed") == "true"
        fit, words = compare(values).fit, readout(view)
        assert isinstance(fit, GroupLines)
        assert f"log evidence {fit.evidence:.1f}".replace("-", "−") in words
        best, rest = fit.partitions[0][1], [fit.phi[0, 1], fit.phi[2, 3]]
        if i == 0:
            assert f"tasks 1 and 2 together, task 3 alone ({100 * best:.0f} %)" in words
        if i == 2:
            assert f"Task 4 shares a group with {100 * (1 - fit.phi[3, -1]):.0f} %" in words
        if i == 3:
            assert f"tasks 1 and 2 together, tasks 3 and 4 together ({100 * best:.0f} %)" in words
            assert f"of the same sign share a group with {50 * float(sum(rest)):.0f} %" in words
        if i == 4:
            every = dict(fit.partitions)
            assert f"All in one group: {100 * every[0, 0, 0, 0]:.0f} %" in words
            assert f": {100 * every[0, 1, 2, 3]:.0f} %" in words


def test_tables_partitions_and_bars_show_the_numbers(view: Locator) -> None:
    choose("sources", "3")(view)
    slide("delta", 30)(view)
    values = read(view)
    tasks = len(values["tasks"])
    for name in ("alpha", "phi"):
        cells = view.locator(f".vmtl-panel-{name} .vmtl-cell-number").all_text_contents()
        row = [w for t, given in enumerate(values[name]) for k, w in enumerate(given) if k != t]
        assert [float(c) for c in cells] == pytest.approx(row, abs=0.0051)
        assert "alone" in view.locator(f".vmtl-panel-{name} .vmtl-axis-label").all_text_contents()
        told = view.locator(f".vmtl-panel-{name} svg").get_attribute("aria-label") or ""
        assert f"Task 1: task 2 {values[name][0][1]:.2f}" in told
    panel = view.locator(".vmtl-panel-partitions")
    printed = [float(t.replace("\xa0%", "")) for t in panel.locator(".vmtl-number").all_text_contents()]  # fmt: skip
    best = [100 * one["chance"] for one in values["partitions"] if one["chance"] >= 0.005]
    assert printed == pytest.approx(best[:6], abs=0.51)
    assert panel.locator(".vmtl-marker").count() == tasks * len(printed)
    told = panel.locator("svg").get_attribute("aria-label") or ""
    assert "tasks 1 and 2 together, task 3 alone: " in told
    sums = view.locator(".vmtl-panel-terms .vmtl-number").all_text_contents()
    terms = values["terms"]
    each = [a - b for a, b in zip(terms["likelihood"], terms["kl"], strict=True)]
    shown = [float(t.replace("−", "-")) for t in sums]
    assert shown == pytest.approx([*each, values["elbo"]], abs=0.051)
    legend = " ".join(view.locator(".vmtl-key").all_text_contents()).replace("−", "-")
    mean = sum(terms["likelihood"]) / tasks
    whole = [mean, values["evidence"] / tasks - mean, terms["hyperprior"]]
    found = [float(n) for n in re.findall(r"-?\d+\.\d", legend)]
    assert found == pytest.approx(whole, abs=0.051)


def test_the_prior_has_a_part_for_each_group_that_is_likely(view: Locator) -> None:
    choose("sources", "3")(view)
    values = read(view)
    told = view.locator(".vmtl-panel-weights svg").first.get_attribute("aria-label") or ""
    likely = [p for p in values["components"][0] if max(p["alpha"], p["phi"]) >= 0.01]
    assert view.locator(".vmtl-component").count() == len(likely)
    for part in likely:
        names = [str(t + 1) for t in part["tasks"]]
        who = {0: "alone", 1: f"with task {names[:1]}", 2: f"with tasks {' and '.join(names)}"}
        who[1] = f"with task {names[0]}" if names else ""
        assert f"{who[len(names)]} alpha {part['alpha']:.2f}, phi {part['phi']:.2f}" in told


def test_controls_without_effect_are_gone_while_groups_are_chosen(view: Locator) -> None:
    more(view)
    gone = ("temperature", "draws-how", "draws-new", "divergence", "base")
    for position, wanted in (("3", False), ("0", True)):
        choose("sources", position)(view)
        read(view)  # once it is drawn
        assert [named(view, name).is_visible() for name in gone] == [wanted] * len(gone)
        for name in ("delta", "sources", "sigma-how", "preset-0", "add-point"):
            assert named(view, name).is_visible()
        assert view.locator(".vmtl-panel-partitions").is_visible() is not wanted
        label = view.locator(".vmtl-slider-delta label").text_content()
        assert label == ("Transfer width δ" if wanted else "Width of a group δ")


def test_a_link_holds_groups(views: list[Locator], browser: Browser, site: Path) -> None:
    choose("sources", "3")(views[0])
    sent = read(views[0])
    views[0].page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('closed')); }")  # fmt: skip
    named(views[0], "link").click()
    link = str(views[0].page.evaluate("location.hash"))
    assert "sources=groups" in link
    with watched(browser, site.as_uri()) as (page, errors):
        assert read(start(page, f"{site.as_uri()}/page-light.html{link}")[0]) == sent
        assert not errors


@pytest.fixture
def restless(browser: Browser, tmp_path: Path) -> Iterator[Locator]:
    widget = LinesLaboratory(**RESTLESS)
    path = write_page(tmp_path, [widget.model_id], stored([widget]))
    with watched(browser, tmp_path.as_uri()) as (page, errors):
        yield start(page, path.as_uri())[0]
        assert not errors


def test_a_setting_without_rest_says_so_instead_of_numbers(restless: Locator) -> None:
    """Neither the page nor the twin comes to rest; another source does, and numbers are back."""
    assert not LinesLaboratory(**RESTLESS).fit.converged
    values = read(restless)
    assert {name: values[name] for name in SETTING} == json.loads(json.dumps(RESTLESS))
    assert values["restless"]
    assert "There is no fit here" in readout(restless)
    assert not re.search(r"ELBO|\d\.\d", readout(restless))
    cells = restless.locator(".vmtl-cell-number").all_text_contents()
    assert set(cells) == {"–"}
    assert not restless.locator(".vmtl-panel-terms svg").is_visible()
    told = [
        restless.locator(f".vmtl-panel-{name} svg").first.get_attribute("aria-label") or ""
        for name in ("data", "weights", "alpha", "phi")
    ]
    assert all("no fit" in one and not re.search(r"\d\.\d", one) for one in told)
    faint = "e => Number(getComputedStyle(e).opacity)"
    assert restless.locator(".vmtl-line").first.evaluate(faint) < 0.5
    choose("sources", "0")(restless)
    assert not read(restless)["restless"]
    assert "ELBO" in readout(restless)
    assert restless.locator(".vmtl-panel-terms svg").is_visible()
    assert restless.locator(".vmtl-line").first.evaluate(faint) == 1
