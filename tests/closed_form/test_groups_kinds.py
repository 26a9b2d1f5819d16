"""Groups with every kind of table that the closed form takes."""

from typing import Any

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.closed_form.group_fits import EACH, TASKS, data, fitted, model
from tests.closed_form.models import LIKELIHOODS

LABEL = torch.arange(TASKS) % 2


def whole(
    made: vmtl.MultiTaskELBO, x: Tensor, y: Tensor, task: Tensor, **options: Any
) -> vmtl.History:
    """A fit, and everything that a model tells after it."""
    history = vmtl.fit(made, x, y, task, progress=False, **options)
    assert made.sources == "groups"
    tasks = made.tasks
    member = made.groups()
    assert len(member) == tasks
    assert (member.sum(1) <= 1 + 1e-6).all()
    for found in (made.alpha(), made.responsibilities()):
        assert found.shape == (tasks, tasks + 1)
        torch.testing.assert_close(found.sum(1), torch.ones_like(found[:, 0]), rtol=0, atol=1e-5)
        assert not found.diagonal().any()
    assert made.average.labels.shape == (len(made.average), tasks)
    assert bool(made.weights_prior().log_prob(made.q_weights().mean).isfinite().all())
    assert bool(made(x, y, task).elbo.isfinite())
    for ids in (task, None):
        assert bool(vmtl.predictive(made, x, ids).log_prob(y).isfinite().all())
    return history


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_kinds_of_targets(kind: str) -> None:
    """Numbers, labels, counts and classes."""
    history = whole(model(kind), *data(kind))
    assert history.converged


@pytest.mark.parametrize("kind", ["labels", "classes"])
def test_groups_of_classifications(kind: str) -> None:
    """Whoever helps is mostly of the same centre, however little eight labels say."""
    found = fitted(kind).model.responsibilities()[:, :TASKS]
    same = LABEL[:, None] == LABEL
    assert found.masked_fill(same, 0.0).sum() < 0.35 * found.sum() + 1e-9


def test_heterogeneous_tasks() -> None:
    """Regressions and classifications that share their weights' centres."""
    x, y, task = data()
    mixed = torch.where(task >= 4, (y > 0).double(), y)
    number, label = vmtl.LinearGaussian(), vmtl.LinearBernoulli()
    made = model(likelihood=[number] * 4 + [label] * 2)
    vmtl.fit(made, x, mixed, task, progress=False)
    assert made.sources == "groups"
    assert bool(made(x, mixed, task).elbo.isfinite())
    found = made.responsibilities()
    assert found[:, :TASKS].masked_fill(LABEL[:, None] == LABEL, 0.0).sum() < 0.1
    assert bool(vmtl.predictive(made, x, task).log_prob(mixed).isfinite().all())


def test_a_noise_scale_for_each_task() -> None:
    """One task five times as noisy: its scale is the largest, and groups stay."""
    x, y, task = data()
    draw = torch.Generator().manual_seed(2)
    y = y + torch.where(task == 3, 2.0, 0.0) * torch.randn(len(y), generator=draw)
    made = model(likelihood=vmtl.LinearGaussian(tasks=TASKS))
    history = whole(made, x, y, task)
    assert history.hyperparameters["noise_scale"].mean.argmax() == 3
    assert history.hyperparameters["noise_scale"].mean.shape == (TASKS,)


@pytest.mark.parametrize("tasks", [2, 3])
def test_few_tasks(tasks: int) -> None:
    x, y, task = data()
    rows = task < tasks
    made = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(tasks, (3,)), task_sizes=[EACH] * tasks
    ).double()
    whole(made, x[rows], y[rows], task[rows])


def test_unequal_tasks() -> None:
    """One row and forty."""
    sizes = [1, 40, 2, 3, 1, 8]
    draw = torch.Generator().manual_seed(0)
    task = torch.arange(TASKS).repeat_interleave(torch.tensor(sizes))
    x = torch.randn(len(task), 2, generator=draw)
    y = x.sum(1) * torch.where(task % 2 == 0, 1.0, -1.0) + 0.3 * torch.randn(len(x), generator=draw)
    whole(model(task_sizes=sizes), x, y, task)


def test_a_task_without_rows_is_named() -> None:
    x, y, task = data()
    rows = task != 2
    with pytest.raises(ValueError, match=r"`task` must hold every id"):
        vmtl.fit(model(), x[rows], y[rows], task[rows], progress=False)


def test_a_constant_column() -> None:
    """Beside an intercept it tells nothing: a warning, and the rest as before."""
    x, y, task = data()
    more = torch.cat([x, torch.full_like(x[:, :1], 3.0)], 1)
    made = model(weights=vmtl.GaussianWeights(TASKS, (4,)))
    with pytest.warns(vmtl.IdentificationWarning, match="column 2"):
        whole(made, more, y, task)
    one = vmtl.predictive(made, more, task)
    two = vmtl.predictive(fitted().model, x, task)
    assert ((one.mean - two.mean).abs() / two.stddev).max() < 0.5


@pytest.mark.parametrize("kind", ["gaussian", "labels"])
def test_units_of_the_table(kind: str) -> None:
    """Inputs in other units and about another origin, and y too: the same predictions."""
    known, x, y, task, _ = fitted(kind)
    moved = x * torch.tensor([200.0, 0.01]) + torch.tensor([1000.0, -3.0])
    target = 50 * y - 700 if kind == "gaussian" else y
    made = model(kind)
    vmtl.fit(made, moved, target, task, progress=False)
    one, two = vmtl.predictive(known, x, task), vmtl.predictive(made, moved, task)
    torch.testing.assert_close(made.groups(), known.groups(), rtol=1e-3, atol=1e-3)
    unit = 50 if kind == "gaussian" else 1
    error = (two.log_prob(target) + torch.tensor(unit).log() - one.log_prob(y)).abs()
    assert error.max() < 0.02


def test_new_labels_of_the_tasks_permute_the_answers() -> None:
    """Groups, map and predictions move with the names; the average draws other partitions."""
    known, x, y, task, _ = fitted()
    new = torch.tensor([3, 5, 0, 1, 4, 2])
    made = model()
    vmtl.fit(made, x, y, new[task], progress=False)
    torch.testing.assert_close(
        made.q_weights().mean[new], known.q_weights().mean, rtol=0, atol=0.02
    )
    map_, wanted = made.responsibilities()[new][:, [*new.tolist(), TASKS]], known.responsibilities()
    torch.testing.assert_close(map_, wanted, rtol=0, atol=0.1)
    one, two = vmtl.predictive(known, x, task), vmtl.predictive(made, x, new[task])
    assert ((one.mean - two.mean).abs() / one.stddev).max() < 0.15


def test_several_targets() -> None:
    """Two columns of y: a group is a group in both."""
    x, y, task = data()
    draw = torch.Generator().manual_seed(3)
    both = torch.stack([y, -y + 0.4 * torch.randn(len(y), generator=draw)], 1)
    made = model(weights=vmtl.GaussianWeights(TASKS, (3, 2)))
    vmtl.fit(made, x, both, task, progress=False)
    assert made.sources == "groups"
    found = made.groups().argmax(1)
    assert found[0] == found[2] == found[4] != found[1] == found[3] == found[5]
    assert bool(made(x, both, task).elbo.isfinite())
    assert bool(made.weights_prior().log_prob(made.q_weights().mean).isfinite().all())
