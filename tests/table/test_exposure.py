"""Counts per exposure: exact in the likelihood, in the fit and in the answers."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Poisson

from vmtl_core.table import VMTLCounter
from vmtl_core.table.exposed import ExposedPoisson


def test_the_likelihood_is_of_the_rate_times_the_exposure() -> None:
    draw = torch.Generator().manual_seed(0)
    exposure = torch.rand(5, generator=draw).double() * 9 + 0.1
    y = torch.tensor([0.0, 1.0, 4.0, 2.0, 7.0], dtype=torch.float64)
    likelihood = ExposedPoisson(exposure, y)
    z, w = torch.randn(1, 1, 5, 2).double(), torch.randn(1, 1, 5, 2).double()
    eta = (z * w).sum(-1)[0, 0]
    rate = exposure * (eta + likelihood.log_unit).exp()
    wanted = Poisson(rate).log_prob(y)
    assert torch.allclose(likelihood(z, w).log_prob(y)[0, 0], wanted)
    assert torch.allclose(likelihood.expected_log_prob(eta, None, y), wanted)
    spread = torch.linspace(-9, 9, 4001).double()
    weight = torch.softmax(-(spread**2) / 2, 0)
    many = Poisson(exposure * (eta + likelihood.log_unit + 0.5 * spread[:, None]).exp())
    numeric = (weight[:, None] * many.log_prob(y)).sum(0)
    found = likelihood.expected_log_prob(eta, torch.full_like(eta, 0.25), y)
    assert torch.allclose(found, numeric, atol=1e-8)


def test_a_common_exposure_is_a_unit(table: pd.DataFrame) -> None:
    """Three hours each: the counts' predictions are those without exposure."""
    plain = VMTLCounter(sources="own", task="clinic").fit(
        table, target="visits", inputs=["age", "stage"]
    )
    hours = table.assign(hours=3.0)
    model = VMTLCounter(sources="own", task="clinic").fit(
        hours, target="visits", inputs=["age", "stage"], exposure="hours"
    )
    first, second = plain.predict(table), model.predict(hours)
    assert np.abs(first["mean"] - second["mean"]).max() < 1e-5
    assert (first["upper"] == second["upper"]).all()


def test_exposures_that_vary_are_taken_out() -> None:
    """A slope that the exposure hides is found; without it the answer is another."""
    draw = np.random.default_rng(0)
    x, task = draw.normal(size=600), np.arange(600) % 6
    hours = np.exp(2 * draw.normal(size=600) - x)
    y = draw.poisson(hours * np.exp(0.7 * x + 0.3 + 0.2 * (task - 2.5)))
    model = VMTLCounter(sources="own").fit(x[:, None], y, task=task, exposure=hours)
    q = model.model_.q_weights()
    assert np.abs(q.mean[:, 0].numpy(force=True) - 0.7).max() < 0.1
    level = q.mean[:, 1].numpy(force=True) + model.log_unit_
    assert np.abs(level - 0.3 - 0.2 * (np.arange(6) - 2.5)).max() < 0.15
    assert model.history_.converged
    ones = model.predict(x[:, None], task)
    many = model.predict(x[:, None], task, exposure=hours)
    assert np.allclose(many, ones * hours)


def test_bad_exposures(table: pd.DataFrame) -> None:
    zero = table.assign(hours=np.where(np.arange(240) == 3, 0.0, table["hours"]))
    with pytest.raises(ValueError, match=r"exposure 'hours' must be above 0.*position 3"):
        VMTLCounter(sources="own", task="clinic").fit(
            zero, target="visits", inputs=["age"], exposure="hours"
        )
    model = VMTLCounter(sources="own").fit(table[["age"]], table["visits"], task=table["clinic"])
    with pytest.raises(ValueError, match="`exposure` must be None: the fit had none"):
        model.predict(table[["age"]], table["clinic"], exposure=table["hours"])
