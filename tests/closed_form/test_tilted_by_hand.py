"""Expectation propagation: how long it goes on, and what the own-data half then holds."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.closed_form.models import SIZES, ascent, build, table
from vmtl_core import tilted
from vmtl_core.evidence import update
from vmtl_core.population import Own
from vmtl_core.sites import RowSites, Table


def half(kind: str = "labels") -> tuple[Table, Own]:
    """Table in standard units and own-data half of a fit."""
    climb = ascent(build(kind, neighbours=0), table(kind))
    return climb.problem.table, climb.own


def test_the_half_tells_the_evidence_of_every_task() -> None:
    data, own = half()
    found = tilted.tilted(data, own, 1e-6)
    population = found.population
    root = torch.diag_embed(population.log_sd.exp())
    assert found.other is not None
    other = tilted.Propagation(data, own).renew(population.loc, root, 200)
    assert other is not None
    given = update(other.precision, other.natural, population.loc, root)
    each = other.constant + given.log_evidence.sum(-1)
    torch.testing.assert_close(found.elbo, each, rtol=0, atol=1e-4)
    assert found.elbo.shape == (len(SIZES),)
    extra = population.log_hyperprior(population.loc, population.log_sd)
    expected = float(each.mean() + extra / len(SIZES))
    assert found.objective == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(found.posterior.loc, given.loc, rtol=0, atol=1e-4)


def test_sites_that_have_settled_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps end where one moves no row's natural mean by 1e-6; another prior starts them again."""
    data, own = half()
    root = own.population.root(own.population.log_sd)
    sites, steps = tilted.Propagation(data, own), []
    once = tilted.Propagation._renewed

    def noted(self: tilted.Propagation, *prior: Tensor) -> list[RowSites]:
        steps.append(1)
        return once(self, *prior)

    monkeypatch.setattr(tilted.Propagation, "_renewed", noted)
    sites.renew(own.population.loc, root, 200)
    assert 2 < len(steps) < 200
    before = sites.rows[0].natural
    steps.clear()
    sites.renew(own.population.loc, root, 200)
    assert len(steps) == 1
    assert float((sites.rows[0].natural - before).abs().max()) < 1e-6
    steps.clear()
    sites.renew(own.population.loc + 1, root, 200)
    assert len(steps) > 2
    steps.clear()
    sites.renew(own.population.loc, root, 2)
    assert len(steps) == 2


def test_rounds_until_the_evidence_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """One climb where all is Gaussian; elsewhere more, until settled sites add nothing."""
    climbs = []
    climb = tilted.maximise

    def noted(*given: Any) -> tuple[float, bool]:
        climbs.append(given)
        return climb(*given)

    monkeypatch.setattr(tilted, "maximise", noted)
    fit = ascent(build(neighbours=0), table())
    tilted.climb_evidence(fit.problem.table, fit.own, True, 1e-6)
    assert len(climbs) == 1
    climbs.clear()
    data, own = half()
    _, _, reached = tilted.climb_evidence(data, own, False, 1e-6)
    assert len(climbs) < tilted.ROUNDS
    again, _, _ = tilted.climb_evidence(data, own, False, 1e-9)
    other = tilted.Propagation(data, own).renew(again.loc, again.root, 200)
    assert reached == pytest.approx(float(tilted.evidence(data, own, again, other)), abs=2e-6)


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_one_label_a_task_beside_a_shift(shift: float) -> None:
    """The evidence of sigmoid(x w + shift) under a Gaussian w, by a sum over a grid."""
    sizes = [1] * 6
    x, y, task = table("labels", sizes=sizes, inputs=1)
    climb = ascent(build("labels", rows=1, task_sizes=sizes, neighbours=0), (x, y, task))
    data, own = climb.problem.table, climb.own
    data.shift = torch.tensor([shift])
    mean, root = torch.tensor([[0.4]]), torch.tensor([[[1.3]]])
    other = tilted.Propagation(data, own).renew(mean, root, 50)
    assert other is not None
    found = update(other.precision, other.natural, mean, root)
    w = 0.4 + 1.3 * torch.linspace(-8, 8, 801)
    rows = data.parts[0].rows
    eta = rows.x * w + shift
    likely = torch.where(data.parts[0].y[:, None] > 0, eta.sigmoid(), (-eta).sigmoid())
    mass = torch.exp(-0.5 * ((w - 0.4) / 1.3) ** 2)
    exact = ((likely * mass).sum(1) / mass.sum()).log()
    each = (other.constant + found.log_evidence.sum(-1))[rows.task]
    torch.testing.assert_close(each, exact, rtol=0, atol=2e-6)


def test_a_site_that_says_more_than_all() -> None:
    """Where no cavity is left, the row's site keeps its mean's part and its precision is let go."""
    data, own = half()
    part, q = data.parts[0], own.gaussians
    mean, variance = part.rows.predictors(q)
    rows = part.about(*part.moments(q, data.shift), data.shift)
    none = rows._replace(precision=torch.zeros_like(rows.precision))
    much = rows._replace(precision=2 / variance)
    one, two = (tilted.renew(part, mean, variance, r, data.shift) for r in (none, much))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b)
