"""Where the closed-form fit ends: the objective of the model, at its top."""

from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

import vmtl_core as vmtl
from tests.closed_form.models import Table, build, table
from vmtl_core import closed_form
from vmtl_core.mixing import GumbelSoftmaxMixing, tempered_log_softmax


def mixed() -> Table:
    """Tasks 0 and 2 are regressions, 1 and 3 classifications."""
    x, y, task = table()
    return x, torch.where(task % 2 == 1, (y > 0).to(y), y), task


def normal() -> Independent:
    return Independent(Normal(torch.full((3,), 0.3), 0.7), 1)


def correlated() -> MultivariateNormal:
    return MultivariateNormal(torch.full((3,), 0.3), 0.5 * torch.eye(3) + 0.1)


Case = tuple[str, Any]
CASES: dict[str, Case] = {
    "default": ("gaussian", dict),
    "no transfer": ("gaussian", lambda: {"transfer": None}),
    "width learned": ("gaussian", lambda: {"transfer": "learned"}),
    "width given": ("gaussian", lambda: {"transfer": 0.5}),
    "nothing but a mixture": ("gaussian", lambda: {"base_prior": None, "transfer": None}),
    "no base, width learned": ("gaussian", lambda: {"base_prior": None, "transfer": "learned"}),
    "no base, width given": ("gaussian", lambda: {"base_prior": None, "transfer": 0.4}),
    "standard": ("gaussian", lambda: {"base_prior": "standard"}),
    "given": ("gaussian", lambda: {"base_prior": normal()}),
    "given, correlated": ("gaussian", lambda: {"base_prior": correlated(), "transfer": 0.5}),
    "previous": ("gaussian", lambda: {"sources": "previous"}),
    "joint": ("gaussian", lambda: {"sources": "joint"}),
    "noise of each task": ("gaussian", lambda: {"likelihood": vmtl.LinearGaussian(tasks=4)}),
    "noise given": ("gaussian", lambda: {"likelihood": vmtl.LinearGaussian(0.5)}),
    "cool": ("gaussian", lambda: {"temperature": 0.5}),
    "neighbours": ("gaussian", lambda: {"neighbours": 2}),
    "labels": ("labels", dict),
    "counts": ("counts", dict),
    "classes": ("classes", dict),
    "mixed": (
        "mixed",
        lambda: {
            "likelihood": [
                vmtl.LinearGaussian(),
                vmtl.LinearBernoulli(),
                vmtl.LinearGaussian(0.5),
                vmtl.LinearBernoulli(),
            ]
        },
    ),
}


def make(name: str, **options: Any) -> tuple[vmtl.MultiTaskELBO, Table]:
    kind, given = CASES[name]
    if kind == "mixed":
        return build(rows=3, **given(), **options), mixed()
    return build(kind, rows=3, **given(), **options), table(kind)


def at_its_draws(model: vmtl.MultiTaskELBO, data: Table) -> Tensor:
    """The model's own objective, averaged over the Gumbel draws that the closed form takes."""
    tau = model.temperature(0)
    draws = closed_form._mixing(model, tau, 0, torch.device("cpu")).weights.gumbel
    values = []
    for draw in draws:

        def log_weights(self: GumbelSoftmaxMixing, *_: Any, draw: Tensor = draw) -> Tensor:
            return tempered_log_softmax(self.masked_logits() + draw, tau)

        with patch.object(GumbelSoftmaxMixing, "log_weights", log_weights):
            values.append(model(*data).elbo)
    return torch.stack(values).mean()


@pytest.mark.parametrize("divergence", ["jensen", "convex"])
@pytest.mark.parametrize("name", CASES)
def test_reaches_the_top_of_the_model_s_objective(
    name: str, divergence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(5.4): the value it reports is the model's, and no parameter has a slope left."""
    monkeypatch.setattr(closed_form, "MOST_DRAWS", 8)
    model, data = make(name, divergence=divergence)
    history = vmtl.fit(
        model, *data, progress=False, method="coordinate", tolerance=1e-11, average=False
    )
    assert history.converged
    value = at_its_draws(model, data)
    assert float(value.detach()) == pytest.approx(history.terms["elbo"][-1], abs=1e-7)
    names, parameters = zip(
        *((n, p) for n, p in model.named_parameters() if p.requires_grad), strict=True
    )
    slopes = torch.autograd.grad(value, parameters, allow_unused=True)
    left = {n: float(s.abs().max()) for n, s in zip(names, slopes, strict=True) if s is not None}
    assert max(left.values()) < 2e-3, left


def fresh_draws(model: vmtl.MultiTaskELBO, data: Table, count: int = 150) -> Tensor:
    """The objective at the same Gumbel draws every time it is called."""
    draw = torch.Generator().manual_seed(11)
    with torch.no_grad():
        return torch.stack([model(*data, generator=draw).elbo for _ in range(count)])


@pytest.mark.parametrize("name", ["default", "mixed"])
def test_adam_finds_nothing_above(name: str) -> None:
    """Adam with a small, falling rate, started at the result, gains nothing over its noise."""
    model, data = make(name)
    history = vmtl.fit(model, *data, progress=False, average=False)
    before = fresh_draws(model, data)
    error = float(before.std()) * (1 / len(before) + 1 / 128) ** 0.5
    assert abs(float(before.mean()) - history.terms["elbo"][-1]) < 5 * error
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for step in range(80):
        optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / 80)
        optimiser.zero_grad()
        model(*data).loss.backward()
        optimiser.step()
    gain = fresh_draws(model, data) - before
    assert float(gain.mean()) < 2e-3 + 4 * float(gain.std()) / len(gain) ** 0.5


def closure(z: Tensor, w: Tensor) -> Any:
    """A likelihood of the user's."""
    return vmtl.LinearGaussian()(z, w)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "divergence": ({"divergence": "monte_carlo"}, {}, "`divergence` must be 'jensen' or 'convex'"),
    "expectation": ({"expectation": "sampled"}, {}, "`expectation` must be 'exact'"),
    "likelihood": ({"likelihood": closure}, {}, "`likelihood` must be LinearGaussian"),
    "mean field": (
        {"weights": vmtl.GaussianWeights(4, (2,), covariance="diagonal")},
        {},
        "`weights` must be GaussianWeights with full covariance",
    ),
    "batches": ({}, {"batch_size": 8}, "`batch_size` must be None"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_says_why_it_cannot(name: str) -> None:
    options, settings, why = REFUSED[name]
    with pytest.raises(ValueError, match="`method='coordinate'` can't be had") as error:
        vmtl.fit(build(**options), *table(), method="coordinate", progress=False, **settings)
    assert why in str(error.value)


@pytest.mark.parametrize("name", ["default", "labels", "previous", "joint", "neighbours"])
def test_resumed_is_straight(name: str) -> None:
    """Two sweeps and two more are four."""
    options: dict[str, Any] = {"progress": False, "tolerance": None}
    (straight, data), (halves, _) = make(name), make(name)
    one = vmtl.fit(straight, *data, steps=4, **options)
    first = vmtl.fit(halves, *data, steps=2, **options)
    two = vmtl.fit(halves, *data, steps=4, resume=first, **options)
    assert one.terms == two.terms
    for (key, a), b in zip(
        straight.state_dict().items(), halves.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10, msg=key)


def test_one_sweep_is_too_few() -> None:
    with pytest.warns(vmtl.ConvergenceWarning, match="coordinate stopped after 1 steps"):
        history = vmtl.fit(build(), *table(), steps=1, progress=False)
    assert history.converged is False


def test_a_second_fit_starts_afresh() -> None:
    """Whatever the first one saw."""
    model, other, data = build(), build(), table(seed=5)
    vmtl.fit(model, *table(), progress=False)
    vmtl.fit(model, *data, progress=False)
    vmtl.fit(other, *data, progress=False)
    for (name, a), b in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("difference", [0.2, 0.9, 1.5])
def test_joint_sources_are_the_fused_lasso(difference: float) -> None:
    """(11.4): two tasks whose prior is the other's posterior: |m_1 - m_2| = max(|D| - 4 s, 0)."""
    rows, sigma = 100, 1.0
    task = torch.arange(2).repeat_interleave(rows)
    noise = torch.randn(2, rows)
    noise = (noise - noise.mean(1, keepdim=True)).flatten()
    y = torch.tensor([0.5 + difference / 2, 0.5 - difference / 2])[task] + noise
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(sigma),
        vmtl.GaussianWeights(2, (1,)),
        task_sizes=[rows, rows],
        sources="joint",
        base_prior=None,
        transfer=None,
        hyperprior=None,
    ).double()
    history = vmtl.fit(model, torch.ones(2 * rows, 1), y, task, progress=False, tolerance=1e-9)
    assert history.method == "coordinate"
    mean = model.q_weights().mean[:, 0].detach()
    expected = max(difference - 4 * sigma / rows**0.5, 0.0)
    assert float(mean[0] - mean[1]) == pytest.approx(expected, abs=0.02)
    assert float(mean.mean()) == pytest.approx(0.5, abs=0.01)
