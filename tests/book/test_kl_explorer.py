"""The Python side of the KL widget: its arguments, its numbers, its static figure."""

import json
import math
from typing import Any

import pytest
import torch
import traitlets
from ipywidgets.embed import embed_data

from vmtl_core.lab.widgets import KLExplorer
from vmtl_core.lab.widgets._noise import normal
from vmtl_core.lab.widgets.kl import PRESETS

NAN = float("nan")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"mean": 6}, r"`mean` must be a number in -5\.\.\.5; got 6"),
    ({"mean": NAN}, "`mean` .* got nan"),
    ({"mean": "left"}, "`mean` .* got 'left'"),
    ({"mean": True}, "`mean`"),
    ({"sd": 0.1}, r"`sd` must be a number in 0\.4\.\.\.2\.5; got 0\.1"),
    ({"sd": 3}, "`sd`"),
    ({"means": [0, 1]}, r"`means` must be three numbers in -5\.\.\.5; got \[0\.0, 1\.0\]"),
    ({"means": [0, 1, 9]}, "`means`"),
    ({"means": 1}, "`means`"),
    ({"sds": [1, 1, 0]}, r"`sds` must be three numbers in 0\.4\.\.\.2\.5"),
    ({"sds": [1, 1, NAN]}, "`sds`"),
    ({"weights": [0.5, 0.6, 0.0]}, r"`weights` must be three numbers >= 0 that sum to 1; got"),
    ({"weights": [1.5, -0.5, 0.0]}, "`weights`"),
    ({"weights": [0.5, 0.5]}, "`weights`"),
    ({"weights": [NAN, 0.5, 0.5]}, "`weights`"),
    ({"samples": 0}, r"`samples` must be a whole number in 1\.\.\.300; got 0"),
    ({"samples": 301}, "`samples`"),
    ({"samples": 1.5}, "`samples`"),
    ({"seed": -1}, "`seed`"),
    ({"seed": 2**32}, "`seed`"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KLExplorer(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = KLExplorer()
    for name, value in {
        "mean": 9,
        "sd": 0,
        "weights": [1, 1, 1],
        "sds": [0, 0, 0],
        "samples": 0,
    }.items():
        before = getattr(widget, name)
        with pytest.raises((ValueError, traitlets.TraitError), match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


def settings() -> list[KLExplorer]:
    """The presets and ten random settings."""
    draw = torch.Generator().manual_seed(0)
    widgets = [KLExplorer(**{k: v for k, v in p.items() if k != "name"}) for p in PRESETS]
    for _ in range(10):
        u = torch.rand(8, generator=draw, dtype=torch.float64)
        weights = torch.rand(3, generator=draw, dtype=torch.float64).log().softmax(0)
        widgets.append(
            KLExplorer(
                mean=10 * u[0].item() - 5, sd=0.4 + 2.1 * u[1].item(), means=10 * u[2:5] - 5,
                sds=0.4 + 2.1 * u[5:], weights=weights, samples=200,
            )
        )  # fmt: skip
    return widgets


def test_the_order_of_the_bounds() -> None:
    for widget in settings():
        kl = widget.kl
        values = [kl[name] for name in ("lower_bound", "exact", "jensen", "convex")]
        assert values == sorted(values), widget


def test_samples_agree_with_quadrature() -> None:
    """The mean of 40 estimates lies within 5.5 standard errors of the exact value."""
    for widget in settings():
        estimates = widget.estimates
        assert (estimates.mean() - widget.kl["exact"]).abs() < 5.5 * estimates.std() / 40**0.5


def test_the_presets_part_as_their_names_say() -> None:
    between, equal, overlapping, far = (widget.kl for widget in settings()[:4])
    found = [round(between[m], 3) for m in ("exact", "jensen", "convex", "weighted_sum")]
    assert found == [0.943, 2, 2, 0.153]
    assert equal["exact"] < equal["jensen"] <= math.log(2) < equal["convex"] < equal["weighted_sum"]
    assert (
        overlapping["convex"] - overlapping["exact"]
        < 0.05
        < overlapping["weighted_sum"] - overlapping["exact"]
    )
    assert far["jensen"] - far["exact"] < 0.15 < 1 < far["convex"] - far["jensen"]


def test_normal_noise() -> None:
    """Moments within five standard errors; a longer row starts with a shorter one."""
    z = normal(0, 100_001)
    assert abs(z.mean()) < 5 / 1e5**0.5
    assert abs(z.var() - 1) < 5 * (2 / 1e5) ** 0.5
    assert abs(torch.corrcoef(torch.stack([z[:-1], z[1:]]))[0, 1]) < 5 / 1e5**0.5
    assert torch.equal(normal(0, 7), z[:7])
    assert not torch.equal(normal(1, 7), z[:7])


def test_same_seed_same_numbers_and_more_samples_keep_the_first_ones() -> None:
    first, again, other = (KLExplorer(seed=seed).estimates for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(normal(5, 3, 40), normal(5, 30, 40)[:3])


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = KLExplorer(weights=torch.tensor([0.25, 0.25, 0.5]))
    state = embed_data(views=[widget], drop_defaults=False)["manager_state"]
    json.dumps(state, allow_nan=False)
    assert repr(widget) == "KLExplorer(q=N(0, 1^2), weights=[0.25, 0.25, 0.5], samples=30, seed=0)"


def test_static_figure_holds_the_three_settings() -> None:
    figure = KLExplorer().static_figure()
    assert len(figure.axes) == 6
    assert [axis.get_title() for axis in figure.axes[:3]] == [PRESETS[i]["name"] for i in (0, 1, 3)]
    printed = {text.get_text() for text in figure.axes[3].texts}
    assert {"0.943", "2.000", "0.153", "0.847"} <= printed


@pytest.mark.parametrize("name", ["means", "sds", "weights"])
def test_what_was_checked_can_not_be_changed_in_place(name: str) -> None:
    with pytest.raises(TypeError, match="item assignment"):
        getattr(KLExplorer(), name)[0] = "nonsense"
