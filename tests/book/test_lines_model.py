"""The lines laboratory in Python: what its fits are, and what its situations tell."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from tests.double import _double_precision
from vmtl_core.divergences import kl_to_mixture
from vmtl_core.lab.widgets._lines_model import Laws, Lines, lines_fit
from vmtl_core.lab.widgets._lines_presets import DEFAULTS, PRESETS

__all__ = ["_double_precision"]

SETTINGS: dict[str, dict[str, Any]] = {one["name"]: one["setting"] for one in PRESETS}
FRIENDS, ECHO, FEW, OPPOSITES, SAME = SETTINGS


def story(name: str, **changes: Any) -> Lines:
    return lines_fit(**(SETTINGS[name] | changes))


def sds(laws: Laws) -> Tensor:
    """Of w_0 and w_1, (..., 2)."""
    return laws.covariance.diagonal(dim1=-2, dim2=-1).sqrt()


def band(laws: Laws, at: float) -> Tensor:
    """Sd of the line at x."""
    x = torch.tensor([1.0, at])
    return ((laws.covariance @ x) @ x).sqrt()


def test_presets_are_settings_of_hundredths() -> None:
    assert len(SETTINGS) == 5
    for preset in PRESETS:
        assert preset["story"].endswith(".")
        setting = preset["setting"]
        assert setting.keys() == {"tasks", *DEFAULTS}
        assert 3 <= len(setting["tasks"]) <= 6
        for rows in setting["tasks"]:
            assert 1 <= len(rows) <= 30
            assert all(round(v, 2) == v and abs(v) <= 4 for row in rows for v in row)


@pytest.mark.parametrize("name", SETTINGS)
def test_terms_are_those_of_the_model(name: str) -> None:
    """The likelihood and the divergence written out for the posteriors that were found."""
    found, tasks = story(name), SETTINGS[name]["tasks"]
    assert found.converged
    for t, rows in enumerate(tasks):
        x, y = torch.tensor(rows).unbind(-1)
        design = torch.stack([torch.ones_like(x), x], 1)
        spread = ((design @ found.q.covariance[t]) * design).sum(1)
        each = Normal(design @ found.q.mean[t], found.sigma).log_prob(y)
        likelihood = (each - spread / (2 * found.sigma**2)).sum()
        torch.testing.assert_close(found.likelihood[t], likelihood, atol=1e-8, rtol=0)
    q = MultivariateNormal(found.q.mean, found.q.covariance)
    parts = MultivariateNormal(found.components.mean, found.components.covariance)
    kl = kl_to_mixture(q, parts, found.alpha.log(), method="jensen")
    torch.testing.assert_close(found.kl, kl, atol=1e-8, rtol=0)
    total = found.likelihood.mean() - found.kl.mean() + found.hyperprior
    assert math.isclose(found.elbo, float(total), abs_tol=1e-12)


def test_alone_is_bayes_rule_for_one_line() -> None:
    """Under N(0, I) in units of w, sigma given."""
    tasks = SETTINGS[FRIENDS]["tasks"]
    found = story(FRIENDS, base="fixed", sigma=0.4)
    for rows, mean, covariance in [
        *zip(tasks, found.alone.mean, found.alone.covariance, strict=True),
        ([row for one in tasks for row in one], found.pooled.mean, found.pooled.covariance),
    ]:
        x, y = torch.tensor(rows).unbind(-1)
        design = torch.stack([torch.ones_like(x), x], 1)
        wanted = torch.linalg.inv(design.mT @ design / 0.16 + torch.eye(2))
        torch.testing.assert_close(covariance, wanted, atol=1e-7, rtol=0)
        torch.testing.assert_close(mean, wanted @ design.mT @ y / 0.16, atol=1e-7, rtol=0)


def test_draws_and_temperature() -> None:
    """Without draws the temperature is nothing and alpha is pi; with them both move the fit."""
    free = [story(FEW, temperature=tau) for tau in (0.05, 5.0)]
    torch.testing.assert_close(free[0].phi, free[1].phi)
    torch.testing.assert_close(free[0].alpha, free[0].pi)
    drawn = [story(FEW, temperature=tau, draws=seed) for tau, seed in ((1, 0), (1, 1), (5, 0))]
    for other in (*drawn[1:], free[0]):
        assert (drawn[0].alpha - other.alpha).abs().max() > 0.01
    uniform = (1 - torch.eye(4, 5)) / 4
    assert (drawn[2].alpha - uniform).abs().max() < (drawn[0].alpha - uniform).abs().max()


def test_two_friends_and_a_stranger() -> None:
    """The friends explain each other and learn from it; the stranger has p_0 alone."""
    found = story(FRIENDS)
    assert min(found.phi[0, 1], found.phi[1, 0]) > 0.8
    assert found.phi[2, 3] > 0.99
    between = (found.q.mean[0] - found.q.mean[1]).norm()
    assert between < (found.alone.mean[0] - found.alone.mean[1]).norm()
    narrower = sds(found.q) / sds(found.alone)
    assert (narrower[:2] < 0.96).all()
    assert (narrower[2] > 0.98).all()


def test_four_tasks_in_an_echo() -> None:
    """Joint sources: every task is surer than all rows together as one task could make it."""
    echo, own = story(ECHO), story(ECHO, sources="own")
    assert (sds(echo.q) < 0.55 * sds(own.q)).all()
    assert (sds(echo.q) < 0.75 * sds(echo.pooled)).all()
    assert (sds(own.q) > sds(own.pooled)).all()
    wide = story(ECHO, delta=0.5)
    assert (sds(wide.q) > 0.8 * sds(wide.alone)).all()


def test_one_task_with_two_points() -> None:
    """What the others are like narrows its band to a third where it has no data."""
    found = story(FEW)
    assert band(found.q, -2.0)[3] < band(found.alone, -2.0)[3] / 3
    assert (sds(found.q)[3] > sds(found.q)[:3]).all()
    assert found.phi[3, 4] > 0.7


def test_opposites() -> None:
    """The mean is no task's line, pooling errs by every slope, and each leans on its like."""
    found = story(OPPOSITES)
    slopes = found.q.mean[:, 1]
    assert found.population is not None
    assert abs(float(found.population.mean[1])) < 0.2
    assert slopes.abs().min() > 0.9
    assert sds(found.population)[1] > 0.8
    assert found.pooled.sigma > 3 * found.sigma
    assert (
        torch.stack([found.phi[0, 1], found.phi[1, 0], found.phi[2, 3], found.phi[3, 2]]).min()
        > 0.8
    )
    alike = slopes.view(2, 2)
    assert (alike[:, 0] - alike[:, 1]).abs().max() < 0.2


def test_all_the_same() -> None:
    """p_0 becomes narrow, has most of every phi, and every task is surer than alone."""
    found = story(SAME)
    assert found.population is not None
    assert (sds(found.population) < 0.2).all()
    assert (found.phi[:, -1] > 0.7).all()
    assert (sds(found.q) < 0.8 * sds(found.alone)).all()
    assert (found.q.mean - found.pooled.mean).abs().max() < 0.2
