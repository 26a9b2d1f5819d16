"""Boosted trees as a predictive: they tell tasks apart, and know how wrong they are."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.distributions import Categorical, Normal, Poisson

from vmtl_core.lab.baselines import boosted_trees, boosting, pooled_poisson
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.scores import coverage, log_score


def levels(seed: int, each: int = 12) -> MultiTaskData:
    """Six tasks that differ by a constant and share a step of x; noise 0.3."""
    generator = torch.Generator().manual_seed(seed)
    task = torch.arange(6).repeat_interleave(each)
    x = torch.randn(len(task), 1, generator=generator)
    eta = task - 2.5 + 2 * (x[:, 0] > 0)
    y = eta + 0.3 * torch.randn(len(task), generator=generator)
    names = tuple(f"t{t}" for t in range(6))
    return MultiTaskData(x, y, task, names, ("x",), "y", "made up")


def blind(data: MultiTaskData) -> MultiTaskData:
    """All rows as those of the first task."""
    return replace(data, task=torch.zeros_like(data.task))


def test_a_regression_knows_its_tasks_and_its_noise() -> None:
    train, test = levels(0), levels(1, each=50)
    found = boosted_trees(train, test)
    assert isinstance(found, Normal)
    assert (
        log_score(found, test.y) > log_score(boosted_trees(blind(train), blind(test)), test.y) + 1
    )
    assert coverage(found, test.y).item() == pytest.approx(0.9, abs=0.06)
    residual = (test.y - found.mean).square().mean().sqrt()
    assert found.stddev[0].item() == pytest.approx(residual.item(), rel=0.25)
    assert torch.equal(found.mean, boosted_trees(train, test).mean)


def test_labels_have_probabilities() -> None:
    train, test = (
        replace(d, y=(d.y > 0).to(d.x), kind="classification") for d in (levels(0), levels(1))
    )
    found = boosted_trees(train, test)
    assert isinstance(found, Categorical)
    assert found.probs.shape == (72, 2)
    assert log_score(found, test.y) > -0.4
    ones = replace(train, y=torch.ones(72))
    assert boosted_trees(ones, test).log_prob(torch.ones(72)).exp().min() > 0.99


def test_counts_have_rates() -> None:
    def counts(seed: int) -> MultiTaskData:
        data = levels(seed)
        y = torch.poisson(data.y.exp().clamp(max=30), generator=torch.Generator().manual_seed(seed))
        return replace(data, y=y, kind="counts")

    train, test = counts(0), counts(1)
    found = boosted_trees(train, test)
    assert isinstance(found, Poisson)
    assert found.rate[test.task == 5].mean() > 5 * found.rate[test.task == 0].mean()
    assert log_score(found, test.y) > log_score(pooled_poisson(train, test), test.y) + 0.5


def test_the_number_of_trees_is_that_of_the_cross_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is nothing to learn, few trees, and the noise of a constant."""
    train = levels(0)
    nothing = replace(train, y=torch.randn(72, generator=torch.Generator().manual_seed(2)))
    found, wanted = boosted_trees(nothing, nothing), list[int]()
    stages = boosting._stages

    def counted(*args: Any) -> Any:
        wanted.append(args[4] if len(args) > 4 else boosting.TREES)
        return stages(*args)

    monkeypatch.setattr(boosting, "_stages", counted)
    boosted_trees(nothing, nothing)
    assert wanted[:-1] == [boosting.TREES] * boosting.FOLDS
    assert wanted[-1] < 10
    assert found.stddev[0].item() == pytest.approx(nothing.y.std().item(), rel=0.15)


def test_pooled_poisson_solves_its_score_equations() -> None:
    data = levels(0)
    y = torch.poisson(data.x[:, 0].exp() * 2, generator=torch.Generator().manual_seed(0))
    data = replace(data, y=y, kind="counts").to(torch.float64)
    rate = pooled_poisson(data, data, penalty=2.0).rate
    error = data.y - rate
    slope = (rate.log()[0] - rate.log()[1]) / (data.x[0, 0] - data.x[1, 0])
    assert error.sum().abs() < 1e-2  # the intercept is free
    assert (error * data.x[:, 0]).sum().item() == pytest.approx(2 * slope.item(), abs=1e-2)
    through = pooled_poisson(data, replace(data, x=0 * data.x), intercept=False)
    assert (through.rate == 1).all()
    with pytest.raises(ValueError, match=r"`y` must hold counts .* got \[0.5"):
        pooled_poisson(replace(data, y=data.y + 0.5), data)
