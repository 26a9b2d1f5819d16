"""The Python side of the widget of the latents' prior: its arguments, numbers and static figure."""

import json
from typing import Any

import pytest
import torch
from ipywidgets.embed import embed_data
from torch.distributions import Normal

import vmtl_core as vmtl
from vmtl_core.lab.widgets import LatentExplorer
from vmtl_core.lab.widgets._noise import gumbel

NAN = float("nan")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"rows": [[0, 1, 2]]}, r"`rows` must be 3 numbers in -2\.\.\.2 for each of 2 tasks; got"),
    ({"rows": [[0, 1, 2], [0, 1, 3]]}, "`rows`"),
    ({"rows": 1}, "`rows`"),
    ({"slopes": [1.0]}, r"`slopes` must be two numbers in -2\.\.\.2; got \[1\.0\]"),
    ({"slopes": [1.0, NAN]}, "`slopes`"),
    ({"intercepts": [0.0, 9.0]}, "`intercepts`"),
    ({"sds": [0.0, 1.0]}, r"`sds` must be two numbers in 0\.1\.\.\.2"),
    ({"tau": 0}, r"`tau` must be a number in 0\.0316228\.\.\.31\.6228; got 0"),
    ({"tau": True}, "`tau`"),
    ({"preference": 4}, r"`preference` must be a number in -3\.\.\.3; got 4"),
    ({"receiver": 2}, r"`receiver` must be a whole number in 0\.\.\.1; got 2"),
    ({"noise": 1}, "`noise` must be True or False; got 1"),
    ({"seed": -1}, "`seed`"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LatentExplorer(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = LatentExplorer()
    for name, value in {"tau": -1, "receiver": 5, "sds": [0, 0], "noise": "no"}.items():
        before = getattr(widget, name)
        with pytest.raises(ValueError, match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


def settings() -> list[LatentExplorer]:
    """Ten random ones, receivers in turn."""
    u = torch.rand(10, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [
        LatentExplorer(
            rows=(4 * row[:6] - 2).reshape(2, 3), slopes=4 * row[6:8] - 2,
            intercepts=2 * row[8:10] - 1, sds=0.1 + row[10:12], preference=4 * row[12] - 2,
            tau=0.05 + 3 * row[13], receiver=i % 2, noise=i % 3 > 0, seed=i,
        )
        for i, row in enumerate(u)
    ]  # fmt: skip


def test_kl_by_hand() -> None:
    """(5.1e), (3.3) and (4.4) with nothing of the library, row by row."""
    for widget in settings():
        t, k = widget.receiver, 1 - widget.receiver
        g = gumbel(widget.seed, 3) if widget.noise else torch.zeros(3, dtype=torch.float64)
        score = torch.stack([widget.preference + g[k], g[2]]) / widget.tau
        beta = (score - score.max()).exp()
        beta = beta / beta.sum()
        torch.testing.assert_close(widget.beta[[k, 2]], beta)
        assert widget.beta[t] == 0
        for n, x in enumerate(widget.rows[t]):
            m, s = widget.slopes[t] * x + widget.intercepts[t], widget.sds[t]
            kls = [
                0.5 * ((s**2 + (m - c) ** 2) / r**2 - 1) + torch.tensor(r / s).log()
                for c, r in ((widget.slopes[k] * x + widget.intercepts[k], widget.sds[k]), (0, 1))
            ]
            wanted = -(beta * (-torch.stack(kls).double()).exp()).sum().log()
            torch.testing.assert_close(widget.kl[n], wanted, atol=1e-5, rtol=1e-5)


def test_the_library_finds_the_same_kl_of_the_latents() -> None:
    """(5.1): `kl_latents` of a model with these encoders, both tasks at once, without noise."""
    tau, preference = 0.7, 0.4
    both = [LatentExplorer(receiver=t, noise=False, tau=tau, preference=preference) for t in (0, 1)]
    model = vmtl.MultiTaskELBO(
        likelihood=vmtl.LinearGaussian(scale=1.0),
        weights=vmtl.GaussianWeights(2, (1,)),
        latents=both[0].latents.encoder(),
        task_sizes=[3, 3],
        sources="previous",
        base_prior="standard",
        temperature=vmtl.constant(tau),
    ).double()
    assert model.latent_mixing is not None
    with torch.no_grad():
        model.latent_mixing.logits.copy_(torch.tensor([[0, preference, 0], [preference, 0, 0]]))
        log_beta = (model.latent_mixing.masked_logits() / tau).log_softmax(-1)
        model.latent_mixing.log_weights = lambda *_: log_beta  # type: ignore[method-assign]
    x = torch.tensor(both[0].rows, dtype=torch.float64).flatten()[:, None]
    terms = model(x, torch.zeros(6, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 1]))
    wanted = torch.stack([one.kl.sum() for one in both])
    torch.testing.assert_close(terms.kl_latents.detach(), wanted)


def test_the_prior_is_a_density_and_beta_its_weights() -> None:
    z = torch.linspace(-12, 12, 6001, dtype=torch.float64)
    for widget in settings():
        one = widget.latents
        density = one.density(z, one.log_beta(widget.tau)[0])
        torch.testing.assert_close(torch.trapezoid(density, z), torch.ones(3).double(), atol=1e-4, rtol=0)  # fmt: skip


def test_jensen_is_above_the_exact_kl() -> None:
    z = torch.linspace(-12, 12, 6001, dtype=torch.float64)
    for widget in settings():
        one = widget.latents
        q = one.q()
        prior = one.density(z, one.log_beta(widget.tau)[0])
        log_q = Normal(q.mean, q.stddev).log_prob(z)
        exact = torch.trapezoid(log_q.exp() * (log_q - prior.clamp_min(1e-300).log()), z)
        assert (widget.kl >= exact - 1e-6).all()


def test_cold_and_warm_limits() -> None:
    widget = LatentExplorer(tau=0.04)
    assert widget.beta.max() > 0.999
    widget.tau = 31.0
    assert (widget.beta[1:] - 0.5).abs().max() < 0.05


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = LatentExplorer(rows=torch.zeros(2, 3))
    json.dumps(embed_data(views=[widget], drop_defaults=False), allow_nan=False)
    wanted = "tau=1, preference=0, receiver=0, noise=True, seed=3"
    assert repr(widget) == f"LatentExplorer({wanted})"


def test_static_figure_holds_the_three_settings() -> None:
    figure = LatentExplorer().static_figure()
    assert [axis.get_title().split(":")[0] for axis in figure.axes[:3]] == ["τ = 0.1", "τ = 1", "τ = 10"]  # fmt: skip
    warm = LatentExplorer(tau=1.0)
    assert figure.axes[4].get_title() == f"sum {warm.kl.sum():.2f}"
    printed = [text.get_text() for text in figure.axes[4].texts]
    assert printed == [f"{kl:.2f}" for kl in warm.kl.tolist()]
