"""What a sweep of the coordinate ascent moves, and what it leaves alone."""

import signal
from itertools import pairwise
from typing import Any

import pytest
import torch

import vmtl_core as vmtl
from tests.closed_form.models import ascent, build, table
from vmtl_core import closed_form
from vmtl_core.coordinate import Ascent

SOURCES = pytest.mark.parametrize("sources", ["own", "previous", "joint"])


@SOURCES
def test_the_model_stays_until_it_is_written(sources: str) -> None:
    """An interrupt in the middle of a sweep leaves the parameters as they were."""
    model = build(sources=sources, transfer="learned")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit = ascent(model, table(), sweeps=2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not torch.equal(fit.state.logits, before["prior.mixing.logits"])


@SOURCES
def test_no_sweep_loses(sources: str) -> None:
    """The objective rises, except with sources that move without regard to it."""
    fit = ascent(build(sources=sources), table())
    fit.sweep()
    values = []
    for _ in range(4):
        fit.sweep()
        values.append(fit.measure()["elbo"])
    if sources != "previous":
        assert all(b > a - 1e-9 for a, b in pairwise(values))
    measured = fit.measure()
    assert measured["elbo"] == pytest.approx(float(fit.total()), abs=1e-12)
    parts = measured["log_likelihood"] - measured["kl_weights"] + measured["hyperprior"]
    assert measured["elbo"] == pytest.approx(parts, abs=1e-12)
    assert measured["kl_latents"] == 0.0
    own = float(fit.own.elbo.mean()) if sources == "own" else 0.0
    assert measured["own_elbo"] == own


def test_without_hyperparameters_only_posteriors_move() -> None:
    fit = ascent(build(transfer="learned"), table(), sweeps=1)
    logits, width = fit.state.logits.clone(), fit.state.log_width
    assert width is not None
    held, noise, loc = width.clone(), fit.state.noise.clone(), fit.state.posterior.loc.clone()
    fit.sweep(2, hyperparameters=False)
    assert torch.equal(fit.state.logits, logits)
    assert torch.equal(fit.state.log_width, held)  # type: ignore[arg-type]
    assert torch.equal(fit.state.noise, noise)
    assert not torch.equal(fit.state.posterior.loc, loc)


def test_draws_of_the_objective() -> None:
    """128 draws of Gumbel noise of a small table, at least 8 of a large one; the seed says which."""
    model = build()
    one, other = (
        closed_form._mixing(model, 1.0, seed, torch.device("cpu")).weights.gumbel for seed in (0, 1)
    )
    assert len(one) == 128
    assert not torch.equal(one, other)
    # of the standard Gumbel law: mean .5772, variance pi^2 / 6; 2048 draws
    assert float(one.mean()) == pytest.approx(0.5772, abs=5 * 1.2825 / one.numel() ** 0.5)
    assert float(one.var()) == pytest.approx(1.6449, rel=0.25)


def test_few_draws_of_a_large_table(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    entries = model.prior.mixing.start.numel()
    for numbers, draws in ((1, 8), (20 * entries, 20), (20 * entries + entries - 1, 20)):
        monkeypatch.setattr(closed_form, "NUMBERS", numbers)
        made = closed_form._mixing(model, 1.0, 0, torch.device("cpu")).weights.gumbel
        assert len(made) == draws


@pytest.mark.parametrize("likelihood", [vmtl.LinearGaussian, vmtl.LinearBernoulli])
def test_what_cannot_be_had_is_named(likelihood: type) -> None:
    """Every hindrance of the closed form by itself; a frozen noise scale is none."""
    model = build(likelihood=likelihood())
    x = table()[0]
    assert closed_form.obstacle(model, x) is None
    for p in model.posteriors.likelihood.parameters():  # type: ignore[union-attr]
        p.requires_grad_(False)
    assert closed_form.obstacle(model, x) is None
    assert closed_form.obstacle(model, x[:, None]) == "`x` must be one vector a row"
    model.posteriors.weights.loc.requires_grad_(False)  # type: ignore[union-attr]
    assert closed_form.obstacle(model, x) == "no parameter may be frozen but the noise scale's"
    assert closed_form.obstacle(build(base_prior="standard"), x) is None


@SOURCES
@pytest.mark.parametrize("kind", ["gaussian", "labels"])
def test_a_packed_fit_stays_as_it_was(kind: str, sources: str) -> None:
    """Whatever later sweeps move in place: what an interrupted fit is taken up from."""
    model, data = build(kind, sources=sources, transfer="learned"), table(kind)
    fit = ascent(model, data, sweeps=2)
    value, packed = float(fit.total()), closed_form.pack(fit, None)
    population = [t.clone() for t in fit.centre()]
    fit.sweep()
    found = closed_form.setting(model, *data, 1.0, 0)
    again = closed_form.unpack(model, found, packed)
    assert float(again.total()) == pytest.approx(value, abs=1e-10)
    for one, held in zip(again.centre(), population, strict=True):
        assert torch.equal(one, held)
    assert type(again) is type(fit)


SPREAD: dict[str, tuple[list[list[float]], float, bool]] = {
    "nothing fits it": ([[1.0, 2.0], [2.0, 5.0], [3.0, 1.0], [4.0, 2.0]], 3.0, False),
    "a constant column does": ([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0], [4.0, 2.0]], 3.0, True),
    "a column of zeros doesn't": ([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]], 3.0, False),
    "zero weights do": ([[1.0, 2.0], [2.0, 5.0], [3.0, 1.0], [4.0, 2.0]], 0.0, True),
}


@pytest.mark.parametrize("name", SPREAD)
def test_a_target_that_weights_fit_exactly(name: str) -> None:
    """The same in every row: then a learned noise scale has nothing to be learned from."""
    rows, value, refused = SPREAD[name]
    x, y, task = torch.tensor(rows), torch.full((4,), value), torch.tensor([0, 0, 1, 1])
    model = build(task_sizes=[2, 2])
    given = build(task_sizes=[2, 2], likelihood=vmtl.LinearGaussian(0.5))
    closed_form.check_spread(given, x, y, task)
    closed_form.check_spread(model, x, y + torch.tensor([0.0, 0, 0, 1]), task)
    if not refused:
        closed_form.check_spread(model, x, y, task)
        return
    with pytest.raises(ValueError, match=rf"`y` must vary .* every row is {value}"):
        closed_form.check_spread(model, x, y, task)


def test_noise_is_in_double_precision() -> None:
    """Whatever torch's default is; labels have none, and one number stands for it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        labels = closed_form._noise([vmtl.LinearBernoulli()] * 3, 0.0)
        regressions = closed_form._noise([vmtl.LinearGaussian(0.5)] * 3, 0.2)
    finally:
        torch.set_default_dtype(before)
    assert labels.log_scale.dtype == regressions.log_scale.dtype == torch.float64
    assert labels.log_scale.tolist() == [0.0]
    assert len(labels.start()) == len(regressions.start()) == 0
    assert float(regressions.log_scale) == pytest.approx(torch.tensor(0.5).log().item() - 0.2)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_for_the_end_of_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second sweep: two whole ones, from which the fit goes on as if none had come."""
    model, whole, calls = build(), build(), []
    options: dict[str, Any] = {"steps": 4, "progress": False, "tolerance": None}
    expected = vmtl.fit(whole, *table(), **options)
    sweep = Ascent.sweep

    def interrupted(self: Ascent, *given: Any, **named: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        sweep(self, *given, **named)

    monkeypatch.setattr(Ascent, "sweep", interrupted)
    with pytest.raises(KeyboardInterrupt) as found:
        vmtl.fit(model, *table(), **options)
    monkeypatch.undo()
    history = found.value.history  # type: ignore[attr-defined]
    assert history.step == len(history.terms["elbo"]) == 2
    vmtl.fit(model, *table(), resume=history, **options)
    assert history.terms == expected.terms
