"""Fits of the lines laboratory in the browser against the library's closed form."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Error

import vmtl_core as vmtl
from tests.browser.lines_library import (
    Given,
    library_model,
    number,
    random_setting,
    slopes,
    to_the_end,
)
from tests.browser.static_page import watched
from tests.browser.test_js_modules import CALL
from tests.double import _double_precision
from vmtl_core import closed_form
from vmtl_core.lab.widgets._lines_model import Laws, Lines, lines_fit, table_of
from vmtl_core.lab.widgets._lines_presets import DEFAULTS, PRESETS
from vmtl_core.lab.widgets._noise import gumbel

__all__ = ["_double_precision"]

Fit = Callable[[Given], Any]
CLOSE, UNSETTLED = 1e-6, 1e-4
"""Of numbers; and of those of a twin whose 300 sweeps have not come to rest, as in "previous"."""
SOURCES, DIVERGENCES = ("own", "previous", "joint"), ("jensen", "convex")
BASES = ("none", "fixed", "learned")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with as_file(files("vmtl_core.lab.widgets") / "js") as path:
        yield path


@pytest.fixture(scope="module")
def opened(browser: Browser, serve: Callable[[Path], str]) -> Callable[[Path], Any]:
    """`with opened(folder) as fit:` runs the modules of a folder."""

    @contextmanager
    def inside(at: Path) -> Iterator[Fit]:
        address = serve(at)
        with watched(browser, address) as (page, errors):
            body = "<!DOCTYPE html><title>lines</title>"
            page.route(address, lambda route: route.fulfill(body=body))
            page.goto(address)
            yield lambda given: page.evaluate(CALL, ["linesfit", "linesFit", [given]])
            assert not errors

    return inside


@pytest.fixture(scope="module")
def fit(opened: Callable[[Path], Any], folder: Path) -> Iterator[Fit]:
    with opened(folder) as function:
        yield function


def rows(seed: int, lines: list[tuple[float, float]], counts: list[int]) -> list[Any]:
    """Tasks about some lines, to a hundredth."""
    draw, tasks = np.random.default_rng(seed), []
    for (a, b), n in zip(lines, counts, strict=True):
        x = draw.uniform(-2, 2, n)
        y = a + b * x + 0.4 * draw.normal(size=n)
        tasks.append(
            [[round(u, 2), round(v, 2)] for u, v in zip(x.tolist(), y.tolist(), strict=True)]
        )
    return tasks


MIXED = rows(0, [(0.4, 0.9), (0.5, 0.7), (-0.6, -0.8)], [6, 4, 5])
LINES = [(0.3, 0.8), (0.5, 0.6), (-0.4, -0.9), (0.1, 0.7), (-0.8, 0.2), (0.9, -0.3)]
DATA: dict[str, list[Any]] = {
    "one row": rows(1, LINES[:3], [1, 4, 5]),
    "all one row": rows(2, LINES[:4], [1, 1, 1, 1]),
    "two rows": rows(3, LINES[:4], [2, 2, 2, 6]),
    "outlier": [*rows(4, LINES[:2], [5, 5]), [[-2.0, 15.0], [0.1, -0.2], [1.5, 0.4]]],
    "identical": [MIXED[0], MIXED[0], MIXED[0]],
    "opposite": [MIXED[0], [[x, -y] for x, y in MIXED[0]], MIXED[1]],
    "six of thirty": rows(5, LINES, [30] * 6),
    "one x": [[[1.0, 0.3], [1.0, 0.8]], [[1.0, -0.4]], [[1.0, 0.1], [1.0, 0.2]]],
}


def made(tasks: Any, **changes: Any) -> Given:
    return {"tasks": tasks, **DEFAULTS, **changes}


def laws_agree(found: Any, wanted: Laws, tolerance: float) -> None:
    many = found if isinstance(found, list) else [found]
    mean, covariance = wanted.mean.view(-1, 2), wanted.covariance.view(-1, 2, 2)
    for name, expected in (("mean", mean), ("covariance", covariance)):
        size = max(1.0, float(expected.abs().max()))
        value = number([one[name] for one in many])
        torch.testing.assert_close(value, expected, atol=tolerance * size, rtol=0)


def agree(found: Any, wanted: Lines, tolerance: float = CLOSE) -> None:
    """Every number of a result within `tolerance`, relative to those above 1."""
    for name in ("q", "alone", "pooled"):
        laws_agree(found[name], getattr(wanted, name), tolerance)
    if wanted.population is None:
        assert found["population"] is None
    else:
        laws_agree(found["population"], wanted.population, tolerance)
    named = {name: found[name] for name in ("alpha", "phi", "pi", "elbo", "sigma")}
    for name, value in (named | found["terms"]).items():
        expected = torch.as_tensor(getattr(wanted, name)).double()
        torch.testing.assert_close(number(value), expected, atol=tolerance, rtol=tolerance)
    assert isinstance(found["converged"], bool)
    columns = wanted.alpha.shape[1]
    for t, parts in enumerate(found["components"]):
        order = [k for k in range(columns) if k != t]
        tasks = len(found["components"])
        assert [one["source"] for one in parts] == [k if k < tasks else -1 for k in order]
        for name in ("alpha", "phi"):
            assert [one[name] for one in parts] == [found[name][t][k] for k in order]
        mean, covariance, sigma = wanted.components
        said = Laws(mean[order], covariance[order], sigma)
        laws_agree(parts, said, tolerance)


def both_agree(fit: Fit, given: Given, monkeypatch: Any, tolerance: float = CLOSE) -> None:
    """The page's fit is the twin's; the page's, whose state is the library's optimum."""
    with to_the_end(monkeypatch):
        wanted = lines_fit(**given)
        found = fit(given)
        assert found["converged"]
        value, steepest = slopes(given, found)
    assert steepest < 1e-7
    assert abs(value - found["elbo"]) < 1e-7
    agree(found, wanted, tolerance if wanted.converged else UNSETTLED)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("sources", SOURCES)
@pytest.mark.parametrize("sigma", [None, pytest.param(0.5, marks=pytest.mark.nightly)])
def test_every_control(
    fit: Fit, sources: str, divergence: str, base: str, sigma: float | None, monkeypatch: Any
) -> None:
    """Without draws and with them, at three temperatures and two widths, in turn."""
    turn = SOURCES.index(sources) + DIVERGENCES.index(divergence) + BASES.index(base)
    turn += sigma is None
    given = made(MIXED, sources=sources, divergence=divergence, base=base, sigma=sigma)
    given |= {"draws": None if turn % 2 else turn, "delta": (0.1, 1.5)[turn // 2 % 2]}
    given |= {"temperature": (0.5, 1.0, 5.0)[turn % 3]}
    both_agree(fit, given, monkeypatch)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 5.0])
@pytest.mark.parametrize("sources", SOURCES)
def test_every_temperature(fit: Fit, sources: str, temperature: float, monkeypatch: Any) -> None:
    given = made(MIXED, sources=sources, draws=3, temperature=temperature, base="fixed", sigma=0.5)
    both_agree(fit, given, monkeypatch)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("sources", SOURCES)
def test_odd_data(fit: Fit, name: str, sources: str, monkeypatch: Any) -> None:
    """Thirty sigma away the library's quasi-Newton steps end a little before the optimum."""
    given = made(DATA[name], sources=sources, sigma=0.5, draws=1)
    both_agree(fit, given, monkeypatch, 10 * CLOSE if name == "outlier" else CLOSE)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda one: one["name"])
def test_presets(fit: Fit, preset: dict[str, Any], monkeypatch: Any) -> None:
    both_agree(fit, preset["setting"], monkeypatch)


@pytest.mark.parametrize(
    ("sources", "divergence", "base", "sigma", "draws"),
    [
        ("own", "jensen", "learned", None, None),
        ("own", "convex", "none", None, 2),
        ("own", "jensen", "fixed", 0.5, 4),
        ("previous", "jensen", "learned", None, 3),
        ("previous", "convex", "none", 0.5, None),
        ("joint", "jensen", "learned", None, 5),
        ("joint", "convex", "fixed", None, None),
    ],
)
@pytest.mark.filterwarnings("ignore::vmtl_core.training.UnitsWarning")
def test_fit_of_the_library(
    fit: Fit,
    sources: str,
    divergence: str,
    base: str,
    sigma: float | None,
    draws: int | None,
    monkeypatch: Any,
) -> None:
    """`vmtl.fit` itself, its Gumbel draws those of the page, gives the same posteriors and noise."""
    given = made(MIXED, sources=sources, divergence=divergence, base=base, sigma=sigma, draws=draws)
    model, mixing = library_model(given), closed_form._mixing

    def drawn(*arguments: Any) -> Any:
        found = mixing(*arguments)
        shape = found.start.shape
        noise = torch.zeros(1, *shape) if draws is None else gumbel(draws, 16, *shape)
        return replace(found, weights=replace(found.weights, gumbel=noise))

    with to_the_end(monkeypatch):
        monkeypatch.setattr(closed_form, "_mixing", drawn)
        history = vmtl.fit(
            model,
            *table_of(MIXED),
            steps=6 if sources == "joint" else 300,
            progress=False,
            method="coordinate",
            tolerance=None,
            average=False,
        )
    found, q = fit(given), model.q_weights()
    mean, covariance = (one.detach() for one in (q.mean, q.covariance_matrix))  # type: ignore[attr-defined]
    laws_agree(found["q"], Laws(mean, covariance, mean), CLOSE)
    torch.testing.assert_close(found["elbo"], history.terms["elbo"][-1], atol=CLOSE, rtol=0)
    scale = float(model.posteriors.likelihood.log_scale.detach().exp())
    torch.testing.assert_close(found["sigma"], scale, atol=CLOSE, rtol=0)
    alpha = model.prior.mixing.probabilities().detach()
    torch.testing.assert_close(number(found["pi"]), alpha, atol=CLOSE, rtol=0)


@pytest.mark.nightly
def test_random_settings(fit: Fit, monkeypatch: Any) -> None:
    """At 200 settings the page's ELBO is the library's there, and none of its slopes is left."""
    draw, unsettled = np.random.default_rng(2), []
    with to_the_end(monkeypatch):
        for _ in range(200):
            given = random_setting(draw)
            found = fit(given)
            value, steepest = slopes(given, found)
            assert abs(value - found["elbo"]) < 1e-7 * max(1, abs(value)), given
            if not found["converged"]:
                unsettled.append(given)
            else:
                assert steepest < CLOSE, given
    assert len(unsettled) <= 4
    assert {one["sources"] for one in unsettled} <= {"previous"}


MISTAKES: list[tuple[str, str, str, str, Given]] = [
    ("width, not its square", "linesunits", "(delta / b) ** 2", "delta / b", {}),
    ("width in standard units", "linesunits", "(delta / b) ** 2", "delta ** 2", {"delta": 1.5}),
    ("spread of N - 1", "linesunits", "0) / values.length)];", "0) / (values.length - 1))];", {}),
    ("no unit of y", "linesunits", "logSigma + stats.logUnit", "logSigma", {}),
    ("base weight 1 / T", "linesprior", "Math.log(tasks - 1)", "0", {}),
    (
        "noise after the softmax",
        "linesprior",
        "/ temperature);",
        "/ temperature ** 2);",
        {"draws": 1},
    ),
    ("draws of one task for all", "linesprior", "(r * tasks + t)", "(r * tasks)", {"draws": 1}),
    (
        "KL without its determinant",
        "linesprior",
        "square - logDet - entropy",
        "square - entropy",
        {},
    ),
    ("sources stand still", "linesjoint", "0.5 * phi * bent[i]", "0 * phi", {"sources": "joint"}),
    ("alpha in the place of phi", "linesprior", "convex ? alpha[k] : phi[k])", "alpha[k])", {}),
    (
        "no hyperprior of the logits",
        "linesjoint",
        "- (state.logits[j] - weights.start[j])",
        "",
        {"sources": "joint"},
    ),
    ("sigma without its hyperprior", "linesalone", "slope: 1 - square", "slope: 0", {}),
    ("gamma prior of s, not log s", "linesalone", "PUSH * (1 -", "PUSH * (2 -", {}),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one[0])
def test_mistakes_are_seen(
    mistake: tuple[str, str, str, str, Given],
    opened: Callable[[Path], Any],
    folder: Path,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    """A plausible slip in one formula leaves a slope, or another ELBO than the library's there."""
    _, module, right, wrong, changes = mistake
    copy = shutil.copytree(folder, tmp_path / "js")
    text = (copy / f"{module}.js").read_text(encoding="utf-8")
    assert right in text
    (copy / f"{module}.js").write_text(text.replace(right, wrong), encoding="utf-8")
    given = made(MIXED, **({"temperature": 0.5} | changes))
    with opened(copy) as mistaken, to_the_end(monkeypatch):
        found = mistaken(given)
        value, steepest = slopes(given, found)
    assert steepest > 1e-3 or abs(value - found["elbo"]) > 1e-3


BAD: list[tuple[Given, str]] = [
    ({"tasks": MIXED[:2]}, "tasks"),
    ({"tasks": [*MIXED, []]}, "tasks"),
    ({"temperature": 0}, "temperature"),
    ({"delta": 0}, "delta"),
    ({"sigma": -1}, "sigma"),
    ({"draws": 0.5}, "draws"),
    ({"sources": "theirs"}, "sources"),
    ({"divergence": "exact"}, "divergence"),
    ({"base": None}, "base"),
]


@pytest.mark.parametrize(("changes", "name"), BAD)
def test_a_bad_setting_is_named(fit: Fit, changes: Given, name: str) -> None:
    with pytest.raises(Error, match=f"`{name}` doesn't fit"):
        fit(made(MIXED) | changes)


@pytest.mark.parametrize("sources", SOURCES)
def test_flat_data_are_no_error(fit: Fit, sources: str) -> None:
    """One height everywhere, one point a task: sigma ends at its bound or about it, nothing is NaN."""
    for tasks in (
        [[[0, 1]], [[1, 1]], [[2, 1]]],
        [[[0, 0]], [[0, 0]], [[0, 0]]],
        [[[1, 1], [2, 2]]] * 3,
    ):
        found = fit(made(tasks, sources=sources))
        assert np.isfinite([found["elbo"], found["sigma"]]).all()
        assert torch.isfinite(number([one["covariance"] for one in found["q"]])).all()
