"""A fit with groups goes on where it was, starts afresh, and comes back from a file."""

from io import BytesIO
from typing import Any

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.closed_form.group_fits import TASKS, data, fitted, model

Data = tuple[Tensor, Tensor, Tensor]


def same_models(one: vmtl.MultiTaskELBO, two: vmtl.MultiTaskELBO) -> None:
    """Parameters, memberships and average."""
    first, second = one.state_dict(), two.state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(second[name], value), name


def through_a_file(state: Any) -> Any:
    file = BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("kind", ["gaussian", "labels"])
def test_state_dict_round_trip(kind: str) -> None:
    """Predictions, map, groups and objective of a model that was loaded."""
    known, x, y, task, _ = fitted(kind)
    twin = model(kind)
    twin.load_state_dict(through_a_file(known.state_dict()))
    same_models(known, twin)
    assert twin.average.labels.dtype == torch.long
    assert torch.equal(twin.average.labels, known.average.labels)
    assert torch.equal(twin.groups(), known.groups())
    assert torch.equal(twin.responsibilities(), known.responsibilities())
    assert torch.equal(twin.alpha(), known.alpha())
    one, two = (vmtl.predictive(m, x, task).log_prob(y) for m in (known, twin))
    assert torch.equal(one, two)
    value = known.q_weights().mean.detach()
    one, two = (m.weights_prior().log_prob(value) for m in (known, twin))
    assert torch.equal(one, two)


def test_a_state_without_labels_is_an_earlier_versions() -> None:
    """It is loaded with sources one by one, which have none."""
    known = model(sources="own")
    vmtl.fit(known, *data(), progress=False, steps=2, tolerance=None)
    state = known.state_dict()
    del state["average.labels"]
    twin = model(sources="own")
    twin.load_state_dict(state)
    assert torch.equal(twin.average.loc, known.average.loc)
    assert not len(twin.average.labels)


def test_a_loaded_model_without_an_average_forgets_its_own() -> None:
    """Labels and points are those of the state."""
    known, twin = model(), model()
    twin.load_state_dict(fitted().model.state_dict())
    twin.load_state_dict(known.state_dict())
    assert len(twin.average) == len(twin.average.labels) == 0


@pytest.mark.parametrize("kind", ["gaussian", "labels"])
def test_resuming_is_never_having_stopped(kind: str) -> None:
    """Through files, after one sweep and after two: the same numbers as in one go."""
    table = data(kind)
    straight = model(kind)
    whole = vmtl.fit(straight, *table, steps=4, tolerance=None, progress=False)
    parted = model(kind)
    history = vmtl.fit(parted, *table, steps=1, tolerance=None, average=False, progress=False)
    for steps in (2, 4):
        fresh = model(kind)
        fresh.load_state_dict(through_a_file(parted.state_dict()))
        again = vmtl.History().load_state_dict(through_a_file(history.state_dict()))
        parted, history = fresh, again
        vmtl.fit(
            parted,
            *table,
            steps=steps,
            tolerance=None,
            progress=False,
            resume=history,
            average=steps == 4,
        )
    assert history.terms == whole.terms
    same_models(straight, parted)
    for name, found in whole.hyperparameters.items():
        for one, two in zip(found, history.hyperparameters[name]):
            assert torch.equal(one, two)


@pytest.mark.parametrize("scale", [100.0, 0.01])
def test_a_second_fit_starts_afresh(scale: float) -> None:
    """In any units of the table, and after other rows: the same numbers."""
    x, y, task = data()
    options: dict[str, Any] = {"steps": 2, "tolerance": None, "progress": False, "average": False}
    known = model()
    first = vmtl.fit(known, scale * x, y, task, **options)
    kept = {name: value.clone() for name, value in known.state_dict().items()}
    vmtl.fit(known, *data(seed=1), **options)
    second = vmtl.fit(known, scale * x, y, task, **options)
    assert first.terms == second.terms
    for name, value in known.state_dict().items():
        assert torch.equal(value, kept[name]), name


def test_sources_wider_than_the_population_say_nothing() -> None:
    """However wide own-data posteriors are made, the prior and the objective stay finite."""
    known, x, y, task, _ = fitted()
    twin = model()
    twin.load_state_dict(known.state_dict())
    assert twin.own is not None
    with torch.no_grad():
        twin.own.weights.log_scale.add_(5.0)
        found = twin.weights_prior().log_prob(twin.q_weights().mean)
        terms = twin(x, y, task)
    assert bool(found.isfinite().all())
    assert bool(terms.elbo.isfinite())


def test_the_history_tells_of_groups() -> None:
    """Sweeps, intervals of noise, population and width; alpha as the model shows it."""
    known, *_, history = fitted()
    assert history.method == "coordinate"
    assert history.converged
    names = {"noise_scale", "population_mean", "population_sd", "transfer_width"}
    assert history.hyperparameters.keys() == names
    for found in history.hyperparameters.values():
        assert (found.low <= found.mean).all()
        assert (found.mean <= found.high).all()
    assert history.hyperparameters["transfer_width"].mean.shape == (3,)
    assert all(one.shape == (TASKS, TASKS + 1) for one in history.alpha)
    torch.testing.assert_close(history.alpha[-1], known.alpha())
    assert "transfer_width" in history.summary()


def test_same_seed_same_numbers_and_another_seed_about_the_same() -> None:
    """The seed draws points of the average, and the Gumbel noise of the objective."""
    known, x, y, task, _ = fitted()
    twin, other = model(), model()
    vmtl.fit(twin, x, y, task, progress=False)
    same_models(known, twin)
    vmtl.fit(other, x, y, task, seed=5, progress=False)
    assert torch.equal(other.groups(), known.groups())
    assert not torch.equal(other.average.loc, known.average.loc)
    one, two = (vmtl.predictive(m, x, task) for m in (known, other))
    assert ((one.mean - two.mean).abs() / one.stddev).max() < 0.15


def test_single_precision_is_double_precision_rounded() -> None:
    """The arithmetic is in float64; parameters, average and prior are float32's."""
    known, x, y, task, _ = fitted()
    twin = model().float()
    vmtl.fit(twin, x.float(), y.float(), task, progress=False)
    for name, value in twin.state_dict().items():
        if value.is_floating_point():
            assert value.dtype == torch.float32, name
    torch.testing.assert_close(twin.groups().double(), known.groups(), rtol=1e-3, atol=1e-3)
    one = vmtl.predictive(known, x, task)
    two = vmtl.predictive(twin, x.float(), task)
    torch.testing.assert_close(two.mean.double(), one.mean, rtol=0.02, atol=0.02)
    value = twin.q_weights().mean
    wanted = known.weights_prior().log_prob(value.double())
    found = twin.weights_prior().log_prob(value)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-2, atol=1e-2)
