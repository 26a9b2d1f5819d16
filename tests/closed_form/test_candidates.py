"""Priors made of a few sources: which ones, in what shape, and at what cost."""

from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

import vmtl_core as vmtl
from tests.closed_form.models import SIZES, build, table
from tests.oracle import kl, widened
from vmtl_core import candidates, closed_form
from vmtl_core.evidence import Gaussians
from vmtl_core.mixing import GumbelSoftmaxMixing


def laws(means: Tensor, sd: float = 0.3) -> Gaussians:
    return Gaussians(
        means[:, None], sd**2 * torch.eye(means.shape[1]).expand(len(means), 1, -1, -1)
    )


def test_nearest_in_units_of_the_spread() -> None:
    """Against every pair, where the lines' windows hold all tasks."""
    loc = torch.randn(20, 1, 3) * torch.tensor([1.0, 100.0, 0.01])
    variance = (torch.rand(20, 1, 3) + 0.1) * torch.tensor([1.0, 1e4, 1e-4])
    found = candidates.nearest(Gaussians(loc, torch.diag_embed(variance)), 4, 0)
    for t in range(20):
        distance = ((loc[t] - loc[:, 0]) ** 2 / (variance[t] + variance[:, 0])).sum(-1)
        distance[t] = torch.inf
        assert set(found[t].tolist()) == set(distance.argsort()[:4].tolist())


def test_planted_clusters_are_found() -> None:
    """600 tasks of 60 clusters far apart: every neighbour is of one's own cluster."""
    centres = 20 * torch.randn(60, 4)
    member = torch.arange(600) % 60
    found = candidates.nearest(laws(centres[member] + 0.1 * torch.randn(600, 4)), 5, 0)
    assert float((member[found] == member[:, None]).double().mean()) > 0.99
    assert not bool((found == torch.arange(600)[:, None]).any())
    assert all(len(set(row)) == 5 for row in found.tolist())


def test_fit_takes_the_nearest() -> None:
    """Two clusters of three tasks: each task's two sources are its companions."""
    task = torch.arange(6).repeat_interleave(12)
    x = torch.randn(72, 2)
    w = torch.tensor([[2.0, 0.0], [-2.0, 1.0]])[torch.arange(6) % 2]
    y = (x * w[task]).sum(-1) + 0.3 * torch.randn(72)
    model = build(task_sizes=[12] * 6, neighbours=2)
    vmtl.fit(model, x, y, task, progress=False)
    for values in (model.alpha(), model.responsibilities()):
        assert values.shape == (6, 7)
        torch.testing.assert_close(values.sum(1), torch.ones(6))
        for t in range(6):
            strangers = [k for k in range(6) if k == t or (k - t) % 2]
            assert float(values[t, strangers].max()) == 0.0
    assert model.prior.mixing.index is not None
    assert model.prior.mixing.index.shape == (6, 2)


@pytest.mark.parametrize("method", ["coordinate", "adam"])
def test_all_neighbours_are_no_choice(method: str) -> None:
    """K = T - 1 is the model without the argument."""
    choices: list[dict[str, Any]] = [{}, {"neighbours": 3}]
    models = [build(rows=3, **options) for options in choices]
    options: dict[str, Any] = {"steps": 200 if method == "coordinate" else 5, "tolerance": None}
    options["steps"] = 5
    for model in models:
        vmtl.fit(model, *table(), method=method, progress=False, **options)
    for a, b in zip(*(m.state_dict().values() for m in models), strict=True):
        assert torch.equal(a, b)


def test_objective_equals_loops() -> None:
    """What Adam climbs with neighbours: (4.4) over a row's own candidates, one by one."""
    model = build(neighbours=2)
    mixing = model.prior.mixing
    assert mixing.index is not None
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        mixing.index.copy_(torch.tensor([[2, 3], [0, 2], [3, 1], [0, 1]]))
    kept: list[Tensor] = []
    original = GumbelSoftmaxMixing.log_weights

    def keep(self: GumbelSoftmaxMixing, *args: Any) -> Tensor:
        kept.append(original(self, *args))
        return kept[-1]

    with patch.object(GumbelSoftmaxMixing, "log_weights", keep), torch.no_grad():
        terms = model(*table())
    q, own, base = model.q_weights(), model.source_weights(), model.prior.base
    assert base is not None
    anchor = base()
    for t in range(len(SIZES)):
        here = MultivariateNormal(q.mean[t], q.covariance_matrix[t])  # type: ignore[attr-defined]
        others = [
            widened(model, MultivariateNormal(own.mean[k], own.covariance_matrix[k]))  # type: ignore[attr-defined]
            for k in mixing.index[t].tolist()
        ]
        parts = [*others, MultivariateNormal(anchor.mean[0], torch.diag(anchor.variance[0]))]
        each = torch.stack([kl(here, p) for p in parts])
        expected = -(kept[0][t] - each).logsumexp(0)
        torch.testing.assert_close(terms.kl_weights[t], expected.detach())


def test_adam_fits_with_neighbours() -> None:
    """It rises, and moves the logits of the candidates."""
    model = build(neighbours=2)
    before = model.prior.mixing.logits.detach().clone()
    history = vmtl.fit(
        model, *table(), method="adam", steps=60, progress=False, tolerance=None, average=False
    )
    elbo = history.terms["elbo"]
    assert sum(elbo[-10:]) / 10 > elbo[0] + 1
    assert model.prior.mixing.logits.shape == (4, 3)
    assert not torch.equal(model.prior.mixing.logits, before)


def test_nothing_is_as_large_as_all_pairs() -> None:
    """3500 tasks, 5 neighbours: no tensor of the fit has T x T numbers (its records have, for fewer)."""
    tasks, largest = 3500, 0
    task = torch.arange(tasks).repeat_interleave(2)
    x = torch.randn(2 * tasks, 1)
    y = x[:, 0] * torch.randn(tasks)[task] + 0.5 * torch.randn(2 * tasks)
    model = build(rows=1, task_sizes=[2] * tasks, neighbours=5)

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                largest = max(largest, result.untyped_storage().nbytes() // 8)
            return result

    with Watch():
        history = vmtl.fit(model, x, y, task, steps=40, progress=False, record=1)
    assert history.converged
    assert largest < tasks * tasks, largest
    assert model.prior.mixing.logits.shape == (tasks, 6)
    assert tasks**2 > closed_form.NUMBERS
