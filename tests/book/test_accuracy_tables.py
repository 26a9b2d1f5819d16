"""Tables of paired differences: signs, seeds in common, the bar; and the forest plot that shows them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.lines import Line2D

from benchmarks import accuracy as benchmark
from benchmarks import accuracy_extras as extras
from vmtl_core.lab.experiments import accuracy
from vmtl_core.lab.plots.forest import forest
from vmtl_core.lab.plots.style import BLUE, GREY, VERMILLION

DEFAULT = "VMTL, default"
SCORES = {
    DEFAULT: (-1.0, -1.2, -0.9, -1.1),
    "ahead": (-0.9, -1.1, -0.8, -0.98),
    "behind": (-1.3, -1.45, -1.2, -1.4),
    "level": (-1.1, -1.1, -0.9, -1.1),
    "few": (-0.95, -1.2),
    "far": (-3.0, -3.2, -2.9, -3.1),
}


def rows(name: str = "s", scores: Mapping[str, Sequence[float]] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {"set": name, "method": method, "seed": seed, "log_score": score}
        | {"error": -score / 2, "calibration": 0.8 + score / 100, "seconds": 1.0}
        for method, values in (scores or SCORES).items()
        for seed, score in enumerate(values)
    )


def test_against_is_positive_where_a_method_is_ahead() -> None:
    found = accuracy.against(rows()).set_index("method")
    assert DEFAULT not in found.index
    ahead = found.loc["ahead"]
    assert ahead["lead"] == pytest.approx(0.105)
    assert ahead["lead_se"] == pytest.approx(0.005)
    assert ahead["high"] - ahead["lead"] == pytest.approx(3.182446 * 0.005)
    assert ahead["low"] > 0 > found.loc["behind", "high"]
    assert (ahead["error"], ahead["reference_error"]) == pytest.approx((0.4725, 0.525))
    assert found.loc["few", "seeds"] == 2
    assert found.loc["few", "reference_error"] == pytest.approx(0.55)  # over the same two


def test_best_rivals_know_the_bar() -> None:
    table = pd.concat([rows(), rows("t", {k: SCORES[k] for k in (DEFAULT, "behind")})])
    found = accuracy.best_rivals(table).set_index("set")
    assert found["rival"].tolist() == ["ahead", "behind"]
    assert found["lead"].tolist() == pytest.approx([-0.105, 0.2875])
    assert found["reached"].tolist() == [False, True]
    assert (found["low"] < found["lead"]).all()
    assert (found["lead"] < found["high"]).all()
    found = accuracy.best_rivals(table, without=["ahead", "few"]).set_index("set")
    assert found.loc["s", "rival"] == "level"
    assert found.loc["s", "lead"] == pytest.approx(0)
    close = {DEFAULT: (-1.0, -1.0), "other": (-0.998, -0.998)}
    assert accuracy.best_rivals(rows("u", close))["reached"].all()  # by less than 0.003


def test_best_is_found_on_common_seeds() -> None:
    scores = {"a": (-1.0, -1.0, -9.0), "b": (-2.0, -2.0)}
    found = accuracy.against_best(rows("s", scores)).set_index("method")
    assert found.loc["a", "gap"] == 0
    assert found.loc["b", "gap"] == pytest.approx(1)
    assert list(found["splits"]) == [3, 2]


def marks(lines: Sequence[Line2D], marker: str) -> list[Line2D]:
    return [line for line in lines if line.get_marker() == marker]


def test_forest_shows_seeds_means_and_what_is_beyond() -> None:
    order = ["far", "behind", "level", "ahead", DEFAULT, "absent"]
    figure = forest(pd.concat([rows(), rows("t")]), ["s", "t"], order, DEFAULT, columns=2)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == order[:4]
    assert left.get_title() == "s"
    assert right.get_title() == "t"
    lines = list(left.lines)
    (diamond,) = marks(lines, "D")
    assert same_color(diamond.get_color(), VERMILLION)
    assert float(diamond.get_xdata()[0]) == pytest.approx(0.105)  # type: ignore[index, arg-type]
    assert float(diamond.get_ydata()[0]) == 3  # type: ignore[index, arg-type]
    (circle,) = marks(lines, "o")
    assert same_color(circle.get_color(), BLUE)
    (square,) = marks(lines, "s")
    assert same_color(square.get_color(), GREY)
    (edge,) = marks(lines, "<")
    assert -0.5 < float(edge.get_xdata()[0]) < -0.4  # type: ignore[index, arg-type]
    assert [text.get_text() for text in left.texts] == ["\N{MINUS SIGN}2.00"]
    seeds = marks(lines, "|")
    assert sorted(len(line.get_xdata()) for line in seeds) == [0, 4, 4, 4]  # type: ignore[arg-type]


def test_an_absent_extra_is_left_out_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "accuracy.csv"
    monkeypatch.setattr(extras, "installed", lambda method: method not in extras.EXTRAS)
    options = ["--sets", "rats", "--seeds", "2", "--output", str(path), "--methods"]
    chosen = ["pooled", DEFAULT, "full Bayes, NUTS"]
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *options, *chosen])
    benchmark.main()
    said = capsys.readouterr().out
    assert "LEFT OUT: full Bayes, NUTS, for numpyro, jax are not installed" in said
    table = pd.read_csv(path)
    assert list(table["method"]) == ["pooled", "pooled", DEFAULT, DEFAULT]
    versions = pd.read_csv(tmp_path / accuracy.VERSIONS)
    assert list(versions["method"]) == ["pooled", DEFAULT]
    assert versions["packages"].str.contains("torch 2").all()
    table["log_score"] = 5.0
    table.to_csv(path, index=False)
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "--again", *options, "pooled"])
    benchmark.main()
    again = pd.read_csv(path).groupby("method")["log_score"].mean()
    assert again["pooled"] < 0
    assert again[DEFAULT] == 5


def test_extras_go_where_they_can() -> None:
    assert extras.seeds("digit domains", "mixed model, gpboost") == 0
    assert extras.seeds("chem97", "full Bayes, NUTS") == 0
    assert extras.seeds("opposites", "full Bayes, NUTS") == 10
    assert extras.seeds("opposites", "mixed model, gpboost") == 50
    assert extras.seeds("rats", "mixed model, gpboost") == 10
    assert extras.call("pooled") is None
    assert "statsmodels" in extras.version("mixed model")
