"""The JavaScript modules of the widgets, imported as they are, against torch."""

from collections.abc import Callable, Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser

from tests.browser.static_page import watched
from vmtl_core.group_search import Merging
from vmtl_core.lab.widgets import _base
from vmtl_core.lab.widgets._groups_model import PLACES, arrange
from vmtl_core.lab.widgets._noise import gumbel, normal, uniforms

Call = Callable[..., Any]
WIDGETS = [
    "evidence",
    "mixture",
    "latent",
    "echo",
    "kl",
    "predictive",
    "temperature",
    "replay",
    "groups",
    "lines",
]
CALL = """async ([module, name, given]) => {
  const out = (await import(`./${module}.js`))[name](...given);
  return JSON.parse(JSON.stringify(out, (_, v) => ArrayBuffer.isView(v) ? [...v] : v === -Infinity ? '-inf' : v));
}"""
SCORES = [
    [0.3, -1.2, 2.0],
    [1000.0, 999.0, -1000.0],
    [0.5, -torch.inf, 0.1, -torch.inf],
    [-745.0, -800.0],
    [0.0],
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with as_file(files("vmtl_core.lab.widgets") / "js") as path:
        yield path


@pytest.fixture(scope="module")
def call(browser: Browser, folder: Path, serve: Callable[[Path], str]) -> Iterator[Call]:
    """`call(module, function, *arguments)` runs a function of a module in the browser."""
    address = serve(folder)
    with watched(browser, address) as (page, errors):
        page.route(
            address, lambda route: route.fulfill(body="<!DOCTYPE html><title>modules</title>")
        )
        page.goto(address)
        yield lambda module, name, *given: page.evaluate(CALL, [module, name, list(given)])
        assert not errors


def tensor(values: Any) -> torch.Tensor:
    return torch.tensor([-torch.inf if v == "-inf" else v for v in values], dtype=torch.float64)


def agree(found: Any, expected: torch.Tensor, atol: float = 1e-12) -> None:
    found = tensor(found) if isinstance(found, list) else torch.tensor(found, dtype=torch.float64)
    torch.testing.assert_close(found, expected.double(), atol=atol, rtol=1e-12)


@pytest.mark.parametrize("scores", SCORES)
def test_log_sum_exp(call: Call, scores: list[float]) -> None:
    agree(call("math", "logSumExp", scores), tensor(scores).logsumexp(0))


@pytest.mark.parametrize("tau", [0.01, 0.5, 1.0, 20.0])
@pytest.mark.parametrize("scores", SCORES)
def test_softmax(call: Call, scores: list[float], tau: float) -> None:
    agree(call("math", "logSoftmax", scores, tau), (tensor(scores) / tau).log_softmax(0))
    agree(call("math", "softmax", scores, tau), (tensor(scores) / tau).softmax(0))


def test_an_excluded_entry_weighs_exactly_nothing(call: Call) -> None:
    assert call("math", "softmax", [0.5, -torch.inf, 0.1], 3.0)[1] == 0


@pytest.mark.parametrize("seed", [0, 1, 2, 12345, 2**31, 2**32 - 1])
def test_uniforms_are_bit_for_bit_those_of_python(call: Call, seed: int) -> None:
    assert call("math", "uniforms", seed, 2000) == uniforms(seed, 2000).tolist()


def test_gumbel_noise(call: Call) -> None:
    u = uniforms(3, 500)
    agree(call("math", "gumbel", u.tolist()), gumbel(3, 500))


def test_the_noise_is_gumbel_and_seeds_differ() -> None:
    n, euler = 200_000, 0.5772156649
    g = torch.stack([gumbel(seed, n) for seed in (0, 1)])
    sd = torch.pi / 6**0.5
    assert ((g.mean(1) - euler).abs() < 5 * sd / n**0.5).all()
    assert ((g.var(1) - sd**2).abs() < 5 * sd**2 * (4.4 / n) ** 0.5).all()  # kurtosis 5.4
    assert abs(torch.corrcoef(g)[0, 1]) < 5 / n**0.5
    for lag in (1, 2, 3, 4, 12, 16):
        pair = torch.stack([g[0, :-lag], g[0, lag:]])
        assert abs(torch.corrcoef(pair)[0, 1]) < 5 / n**0.5


@pytest.mark.parametrize("count", [1, 2, 501])
def test_normal_variates(call: Call, count: int) -> None:
    agree(call("math", "normals", 3, count), normal(3, count))


def test_normal_distribution_function(call: Call) -> None:
    x = torch.linspace(-12, 12, 193, dtype=torch.float64)
    found = [call("math", "normalCdf", at) for at in x.tolist()]
    agree(found, torch.special.ndtr(x), atol=1e-14)
    assert found[0] > 0, "the far tail is small, not nothing"


def test_normal_density(call: Call) -> None:
    expected = torch.distributions.Normal(0.7, 0.3).log_prob(torch.tensor(1.1).double()).exp()
    agree(call("math", "normalPdf", 1.1, 0.7, 0.3), expected, atol=1e-7)


def test_kl_of_diagonal_gaussians(call: Call) -> None:
    m, n = torch.randn(2, 5, dtype=torch.float64)
    s, r = torch.rand(2, 5, dtype=torch.float64) + 0.2
    q, p = torch.distributions.Normal(m, s), torch.distributions.Normal(n, r)
    found = call("math", "klDiagonalGaussian", *(v.tolist() for v in (m, s, n, r)))
    agree(found, torch.distributions.kl_divergence(q, p).sum())
    reverse = torch.distributions.kl_divergence(p, q).sum()
    assert abs(found - reverse) > 1e-3, "the test must tell the two directions apart"


def test_rows(call: Call) -> None:
    scores = torch.randn(7, 3, dtype=torch.float64)
    found = call("math", "softmaxRows", scores.flatten().tolist(), 3, 0.3)
    agree(found, (scores / 0.3).softmax(1).flatten())
    agree(call("math", "columnMeans", scores.flatten().tolist(), 3), scores.mean(0))


@pytest.mark.parametrize("count", [3, 35])
def test_means_over_temperatures(call: Call, count: int) -> None:
    """One squaring a halving of tau, against a softmax at every tau; a large score underflows."""
    scores = torch.randn(20, 3, dtype=torch.float64)
    scores[0] = torch.tensor([80.0, -90.0, 0.0])
    found = call("math", "meansOverTemperatures", scores.flatten().tolist(), 3, 20, count)
    assert len(found) == count
    for i, means in enumerate(found):
        agree(means, (scores / (20 / 2 ** (i / 4))).softmax(1).mean(0))


def test_mixture_density(call: Call) -> None:
    weights, means, sds = [0.2, 0.8], [-1.0, 2.0], [0.5, 1.5]
    found = call("density", "mixtureDensity", weights, means, sds, -3, 5, 9)
    x = torch.linspace(-3, 5, 9, dtype=torch.float64)
    normals = torch.distributions.Normal(*torch.tensor([means, sds], dtype=torch.float64))
    each = normals.log_prob(x[:, None]).exp() * torch.tensor(weights, dtype=torch.float64)
    agree(found["x"], x)
    agree(found["mixture"], each.sum(1))
    agree(found["components"][1], each[:, 1])


@pytest.mark.parametrize("function", ["logGamma", "digamma"])
def test_gamma_function(call: Call, function: str) -> None:
    x = torch.logspace(-3, 3, 61, dtype=torch.float64)
    x = torch.cat([x, torch.arange(1, 13, dtype=torch.float64)])
    twin = {"logGamma": torch.lgamma, "digamma": torch.digamma}[function]
    agree([call("groupsspecial", function, at) for at in x.tolist()], twin(x), atol=1e-13)


@pytest.mark.parametrize("place", range(len(PLACES)))
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_tasks_lie_where_they_do_in_python(call: Call, place: int, seed: int) -> None:
    found = call("groupstasks", "arrange", PLACES[place], seed)
    assert found == arrange(place, seed).tolist()


def test_groups_merge_as_in_the_library(call: Call) -> None:
    """`merged` against `Merging`, with messages that have a mean to be taken off."""
    natural, mean = torch.randn(7, 1, 2, dtype=torch.float64), [0.3, -0.2]
    half = torch.randn(7, 1, 2, 2, dtype=torch.float64)
    precision = half @ half.mT
    between = 0.6 * torch.eye(2, dtype=torch.float64).expand(1, 1, 2, 2)
    about = natural - precision @ torch.tensor(mean, dtype=torch.float64)
    wanted = [label.tolist() for label in Merging(precision, about, between).partitions(6)]
    rows = torch.cat([precision[:, 0].flatten(1)[:, [0, 1, 3]], natural[:, 0]], 1)
    said = {"tasks": 7, "inside": torch.cat([rows, torch.zeros(7, 1)], 1).flatten().tolist()}
    assert call("groupsmerge", "merged", said, mean, 0.36, 6) == wanted


SCHOOLS = ["school 12", "school 7", "125 others", "base"]


@pytest.mark.parametrize(
    ("names", "room", "expected"),
    [
        (SCHOOLS, 10, SCHOOLS),
        (SCHOOLS, 7, ["12", "7", "others", "base"]),
        (SCHOOLS, 3, ["12", "7", "ot…", "ba…"]),
        (["ash", "birchwood", "base"], 5, ["ash", "birc…", "base"]),
    ],
)
def test_names_in_little_room(call: Call, names: list[str], room: int, expected: list[str]) -> None:
    assert call("heatmap", "shorten", names, names[:2], room) == expected


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("linearTicks", (0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ("linearTicks", (-4.25, 4.25, 7), [-4, -2, 0, 2, 4]),
        ("logTicks", (0.05, 20), [0.1, 1, 10]),
        ("spread", ([50, 50, 10], 15, 0, 60), [45, 60, 10]),
        ("spread", ([-5, 2], 15, 0, 60), [0, 15]),
        ("format", (-0.001, 2), "0.00"),
        ("format", (-1.25, 1), "−1.3"),
        ("formatLog", (0.05,), "0.05"),
        ("formatLog", (20,), "20.0"),
        ("line", ([[0, 1], [2, 3.456]],), "M0,1L2,3.5"),
    ],
)
def test_axes(call: Call, name: str, given: tuple[Any, ...], expected: Any) -> None:
    assert call("axes", name, *given) == expected


def test_module_files_keep_the_rule_that_makes_one_module_of_them(folder: Path) -> None:
    for path in folder.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        rest = _base._EXPORT.sub("", _base._IMPORT.sub("", text)).splitlines()
        allowed = "export default {"
        odd = [line for line in rest if line.startswith(("import", "export")) and line != allowed]
        assert not odd, f"{path.name}: {odd}"


@pytest.mark.parametrize("name", WIDGETS)
def test_one_module_is_made_of_all(browser: Browser, name: str) -> None:
    text = _base.bundle(name)
    assert text.count("const uniqueId =") == 1, "each module is taken once"
    load = """async text => { const url = URL.createObjectURL(new Blob([text], {type: 'text/javascript'}));
      const made = (await import(url)).default; return typeof made.render; }"""
    with watched(browser, "about:") as (page, errors):
        page.goto("about:blank")
        assert page.evaluate(load, text) == "function"
        assert not errors
