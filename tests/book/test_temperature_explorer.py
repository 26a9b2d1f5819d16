"""The Python side of the temperature widget: its arguments, its numbers, its static figure."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
import traitlets
from ipywidgets.embed import embed_data

from vmtl_core.lab.widgets import TemperatureExplorer

NAN = float("nan")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"tau": 0}, "`tau` must be a finite number > 0; got 0"),
    ({"tau": NAN}, "`tau`"),
    ({"tau": float("inf")}, "`tau`"),
    ({"tau": "warm"}, "`tau` .* got 'warm'"),
    ({"tasks": 1}, "`tasks` must be at least 2; got 1"),
    ({"tasks": ["a", 3]}, "`tasks` must be names"),
    ({"tasks": 3, "logits": [[0, 1], [1, 0]]}, r"`logits` must have shape \(3, 3\)"),
    ({"logits": torch.zeros(3, 3), "base": True}, r"shape \(3, 4\), .* got \(3, 3\)"),
    ({"logits": [[0, 1], [NAN, 0]]}, "`logits` must be finite off the diagonal; row 1"),
    ({"logits": [[0, -torch.inf], [1, 0]]}, "`logits` must be finite off the diagonal; row 0"),
    ({"task": 4}, r"`task` must be a whole number in 0\.\.\.3; got 4"),
    ({"task": -1}, "`task`"),
    ({"task": 0.5}, "`task`"),
    ({"task": NAN}, "`task`"),
    ({"seed": -1}, "`seed`"),
    ({"seed": 2**32}, "`seed`"),
    ({"draws": 1}, r"`draws` must be a whole number in 2\.\.\.1000; got 1"),
    ({"draws": True}, "`draws`"),
    ({"means": [0, 1]}, "`means` must be 4 finite numbers"),
    ({"sds": [1, 1, 1, 0]}, "`sds` must be > 0"),
    ({"sds": [1, 1, 1, NAN]}, "`sds` must be 4 finite numbers"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TemperatureExplorer(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = TemperatureExplorer(tau=0.5)
    for name, value in {"tau": -1, "task": 9, "logits": torch.zeros(2, 2), "tasks": ["a"]}.items():
        before = getattr(widget, name)
        with pytest.raises((ValueError, traitlets.TraitError), match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


def test_tensors_arrays_and_lists_are_taken_and_the_diagonal_is_ignored() -> None:
    logits = torch.randn(3, 3)
    other = logits.clone().fill_diagonal_(-torch.inf)
    made = [TemperatureExplorer(logits=v) for v in (logits, other, logits.numpy(), logits.tolist())]
    for widget in made:
        assert torch.equal(widget.weights, made[0].weights)
        assert torch.equal(widget.weights.diagonal(), torch.zeros(3).double())


@pytest.mark.parametrize("base", [False, True])
def test_weights_are_a_distribution_over_the_others(base: bool) -> None:
    widget = TemperatureExplorer(tasks=5, base=base, tau=0.3)
    weights = widget.samples()
    assert weights.shape == (400, 5, 5 + base)
    torch.testing.assert_close(weights.sum(-1), torch.ones(400, 5).double())
    assert (weights.diagonal(dim1=1, dim2=2) == 0).all()


def test_limits_of_the_temperature() -> None:
    """Small tau: one-hot, on average pi within five standard errors; large tau: equal weights."""
    widget = TemperatureExplorer(draws=1000)
    assert (widget.samples(1e-6).amax(-1) > 0.999).double().mean() > 0.999
    pi = widget.probabilities
    error = (pi * (1 - pi) / widget.draws).sqrt()
    assert ((widget.expected(1e-6) - pi).abs() <= 5 * error).all()
    torch.testing.assert_close(
        widget.expected(1e6), (1 - torch.eye(4).double()) / 3, atol=1e-4, rtol=0
    )


def test_the_prior_is_a_density() -> None:
    widget = TemperatureExplorer(tau=0.4)
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    torch.testing.assert_close(
        torch.trapezoid(widget.prior_density(x), x), torch.tensor(1.0).double()
    )


def test_same_seed_same_numbers() -> None:
    first, again, other = (TemperatureExplorer(seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.weights, again.weights)
    assert not torch.equal(first.weights, other.weights)
    fewer = TemperatureExplorer(seed=5, draws=10)
    assert torch.equal(first.samples()[:10], fewer.samples()), "more draws keep the first ones"


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = TemperatureExplorer()
    state = embed_data(views=[widget], drop_defaults=False)["manager_state"]
    json.dumps(state, allow_nan=False)
    assert repr(widget) == "TemperatureExplorer(tasks=4, tau=1, task=0, seed=0)"


def test_static_figure_holds_the_three_settings() -> None:
    figure = TemperatureExplorer(tasks=3, base=True).static_figure()
    titles = [axis.get_title() for axis in figure.axes]
    assert [title.splitlines()[0] for title in titles[:3]] == ["τ = 0.1", "τ = 1", "τ = 10"]
    assert len(figure.axes) == 9
    printed = {text.get_text() for text in figure.axes[0].texts}
    weights = TemperatureExplorer(tasks=3, base=True).samples(0.1)[0]
    assert f"{weights[0, 1]:.2f}" in printed


def test_the_core_imports_no_widget_library() -> None:
    code = (
        "import sys, vmtl_core; sys.exit('anywidget' in sys.modules or 'ipywidgets' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_was_checked_can_not_be_changed_in_place() -> None:
    widget = TemperatureExplorer()
    for numbers in (widget.tasks, widget.logits, widget.logits[0], widget.means, widget.sds):
        with pytest.raises(TypeError, match="item assignment"):
            numbers[0] = "nonsense"
