"""The Python side of the widget of the mixture prior: its arguments, numbers and static figure."""

import json
from typing import Any

import pytest
import torch
from ipywidgets.embed import embed_data
from torch.distributions import Normal

from vmtl_core.lab.widgets import MixtureExplorer
from vmtl_core.lab.widgets._mixture_model import GRID, Receiver
from vmtl_core.lab.widgets.mixture import PRESETS

NAN = float("nan")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"centre": 4}, r"`centre` must be a number in -3\.\.\.3; got 4"),
    ({"centre": NAN}, "`centre` .* got nan"),
    ({"centre": "left"}, "`centre` .* got 'left'"),
    ({"rows": 0}, r"`rows` must be a whole number in 1\.\.\.50; got 0"),
    ({"rows": 2.5}, "`rows`"),
    ({"width": -0.1}, r"`width` must be a number in 0\.\.\.1\.5; got -0\.1"),
    ({"base": 1.1}, r"`base` must be a number in 0\.\.\.1; got 1\.1"),
    ({"base": True}, "`base`"),
    ({"means": [0, 1]}, r"`means` must be three numbers in -3\.\.\.3; got \[0\.0, 1\.0\]"),
    ({"means": [0, 1, 9]}, "`means`"),
    ({"sds": [1, 1, 0]}, r"`sds` must be three numbers in 0\.05\.\.\.2"),
    ({"sds": [1, 1, NAN]}, "`sds`"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixtureExplorer(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = MixtureExplorer()
    for name, value in {"centre": 9, "rows": 0, "base": -1, "sds": [0, 0, 0]}.items():
        before = getattr(widget, name)
        with pytest.raises(ValueError, match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before
    with pytest.raises(ValueError, match="`method` must be one of jensen, convex; got 'exact'"):
        widget.found("exact")


def settings() -> list[MixtureExplorer]:
    """The presets, the ends of alpha_0, and eight random settings."""
    widgets = [MixtureExplorer(**{k: v for k, v in p.items() if k != "name"}) for p in PRESETS]
    widgets += [MixtureExplorer(base=0.0), MixtureExplorer(base=1.0)]
    u = torch.rand(8, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return widgets + [
        MixtureExplorer(
            centre=4 * row[0] - 2, rows=1 + int(9 * row[1]), width=row[2], base=row[3],
            means=4 * row[4:7] - 2, sds=0.1 + row[7:],
        )
        for row in u
    ]  # fmt: skip


def likelihood(one: Receiver, w: torch.Tensor) -> torch.Tensor:
    return Normal(w, one.variance**0.5).log_prob(torch.tensor(one.centre, dtype=torch.float64))


def test_evidence_and_posterior_by_quadrature() -> None:
    """Prior times likelihood, with nothing said of components."""
    for widget in settings():
        one = widget.receiver
        joint = one.prior.log_prob(GRID) + likelihood(one, GRID)
        total = torch.trapezoid(joint.exp(), GRID).log()
        torch.testing.assert_close(one.log_evidence, total, atol=1e-8, rtol=0)
        found = one.log_posterior(GRID).exp()
        torch.testing.assert_close(found, (joint - total).exp(), atol=1e-7, rtol=0)


def test_each_elbo_is_the_greatest_of_its_bound() -> None:
    """No other Gaussian on a fine net of means and widths does better."""
    for widget in settings():
        one = widget.receiver
        mean = torch.linspace(-3, 3, 241, dtype=torch.float64)
        sd = torch.logspace(-1.3, 0.3, 61, dtype=torch.float64)
        net = Normal(mean.repeat_interleave(61), sd.repeat(241))
        for method in ("jensen", "convex"):
            found = widget.found(method)
            assert one.elbo(net, method).max() <= found.elbo + 1e-9, (widget, method)
            near = Normal(found.q.mean + torch.tensor([0.0, 1e-3, -1e-3]), found.q.stddev)
            assert one.elbo(near, method).argmax() == 0


def test_what_is_lost_adds_up_and_nothing_is_negative() -> None:
    for widget in settings():
        jensen, convex = widget.found("jensen"), widget.found("convex")
        for found in (jensen, convex):
            assert found.slack > -1e-9
            assert found.gap > -1e-9
        assert convex.elbo <= jensen.elbo + 1e-9 <= widget.receiver.log_evidence + 2e-9


def test_the_exact_kl_by_its_definition() -> None:
    """ELBO + slack is the ELBO with the exact KL, whose expectation is taken from samples."""
    widget = settings()[0]
    one, found = widget.receiver, widget.found()
    w = found.q.sample(torch.Size([200_000]))
    each = likelihood(one, w) + one.prior.log_prob(w) - found.q.log_prob(w)
    error = each.std() / len(w) ** 0.5
    assert (each.mean() - found.elbo - found.slack).abs() < 5.5 * error


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = MixtureExplorer(means=torch.tensor([-1.0, 0.0, 1.0]))
    json.dumps(embed_data(views=[widget], drop_defaults=False), allow_nan=False)
    assert repr(widget) == "MixtureExplorer(centre=-0.3, rows=1, width=0.2, base=0.2)"


def test_static_figure_holds_the_three_settings() -> None:
    figure = MixtureExplorer().static_figure()
    assert [axis.get_title() for axis in figure.axes[:3]] == [p["name"] for p in PRESETS[:3]]
    printed = [text.get_text() for text in figure.axes[3].texts]
    exact = MixtureExplorer().receiver.log_evidence
    assert printed[0] == f"{exact:.2f}"
    assert len(printed) == 3
