"""Data sets whose truth is known."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vmtl_core.lab.datasets.multitask import MultiTaskData
from vmtl_core.lab.datasets.truth import Truth

_LINKED_ANGLES = (20.0, 30.0, 140.0)
_LINKED_LENGTH = 3.0


def linked_tasks(seed: int = 0, per_task: int = 600) -> MultiTaskData:
    """Three logistic regressions in the plane: tasks 0 and 1 are linked, task 2 stands alone.

    x ~ N(0, I), y ~ Bernoulli(sigmoid(w_t . x)).  All weight vectors have length 3; they point to
    20, 30 and 140 degrees.  So tasks 0 and 1 agree on the likelier label of 17 points in 18, while
    tasks 0 and 2 disagree on two points in three: pooling all tasks must hurt.  The seed changes
    the points, not the weights.

    Args:
        seed: of the points and labels.
        per_task: examples per task; four in five are for training unless ``split`` is told
            otherwise.

    Returns:
        ``3 * per_task`` examples with 2 inputs; ``truth.weights`` is ``(3, 2)``.

    Raises:
        ValueError: if ``per_task`` is less than 2.

    >>> linked_tasks().task_sizes
    [600, 600, 600]
    """
    _at_least("per_task", per_task, 2)
    angles = torch.tensor(_LINKED_ANGLES, dtype=torch.float64) * math.pi / 180
    weights = _LINKED_LENGTH * torch.stack([angles.cos(), angles.sin()], dim=1)
    generator = torch.Generator().manual_seed(seed)
    task = torch.arange(3).repeat_interleave(per_task)
    x = torch.randn(len(task), 2, generator=generator, dtype=torch.float64)
    probability = torch.sigmoid((x * weights[task]).sum(1))
    y = torch.bernoulli(probability, generator=generator)
    return _pack(
        x,
        y,
        task,
        Truth(_default(weights), torch.tensor([0, 0, 1])),
        kind="classification",
        train_size=max(1, per_task * 4 // 5),
        description="Three logistic regressions in the plane, generated; tasks 0 and 1 are linked.",
    )


def clusters(
    tasks: int = 12,
    clusters: int = 3,
    per_task: int = 6,
    inputs: int = 5,
    noise: float = 0.5,
    between_sd: float = 0.15,
    seed: int = 0,
    test_per_task: int = 200,
    centre_mean: float = 0.0,
    centre_sd: float = 1.0,
) -> MultiTaskData:
    """Linear regressions in clusters: neighbours in a cluster differ by a known amount.

    Centres c ~ N(centre_mean, centre_sd^2) in every coordinate;
    w_t = c_cluster(t) + between_sd * N(0, I); x ~ N(0, I); y = w_t . x + noise * N(0, 1), without
    intercept.  Clusters are runs of consecutive tasks, as equal in size as can be.

    Args:
        tasks: number of tasks T.
        clusters: number of clusters, at most T.
        per_task: training examples per task, what ``split()`` trains on.
        inputs: number of inputs D.
        noise: standard deviation of y given x, at least 0.
        between_sd: standard deviation of a weight about its cluster's centre, at least 0.
        seed: of everything; the weights do not depend on the numbers of examples.
        test_per_task: further examples per task, for testing.
        centre_mean: mean of a centre's coordinates.
        centre_sd: standard deviation of a centre's coordinates, at least 0.

    Returns:
        ``per_task + test_per_task`` examples per task; ``truth`` holds weights ``(T, D)``,
        cluster ids ``(T,)``, ``between_sd`` and ``noise``.

    Raises:
        ValueError: if a number is too small, or there are more clusters than tasks.

    >>> train, test = clusters().split()
    >>> train.x.shape, test.x.shape
    (torch.Size([72, 5]), torch.Size([2400, 5]))
    """
    _at_least("clusters", clusters, 1)
    _at_least("tasks", tasks, clusters)
    _at_least("inputs", inputs, 1)
    _at_least("between_sd", between_sd, 0)
    _at_least("centre_sd", centre_sd, 0)
    generator = torch.Generator().manual_seed(seed)
    cluster = torch.arange(tasks) * clusters // tasks
    centres = centre_mean + centre_sd * _normal(generator, clusters, inputs)
    weights = centres[cluster] + between_sd * _normal(generator, tasks, inputs)
    truth = Truth(_default(weights), cluster, float(between_sd), float(noise))
    description = f"{tasks} linear regressions in {clusters} clusters, generated."
    return _regressions(generator, weights, truth, per_task, test_per_task, description)


def opposites(
    tasks: int = 8,
    per_task: int = 6,
    inputs: int = 5,
    noise: float = 0.5,
    between_sd: float = 0.15,
    seed: int = 0,
    test_per_task: int = 200,
) -> MultiTaskData:
    """Linear regressions of which every other one has all its signs reversed: averaging hurts.

    c ~ N(0, I); w_t = (-1)^t c + between_sd * N(0, I); inputs, noise and split as in
    :func:`clusters`.  The mean over all tasks says nothing about any of them, and half of the
    tasks are as wrong as can be for the other half.

    Args, Returns and Raises as :func:`clusters`; ``tasks`` at least 2.

    >>> opposites().truth.cluster
    tensor([0, 1, 0, 1, 0, 1, 0, 1])
    """
    _at_least("tasks", tasks, 2)
    _at_least("inputs", inputs, 1)
    _at_least("between_sd", between_sd, 0)
    generator = torch.Generator().manual_seed(seed)
    side = torch.arange(tasks) % 2
    centre = _normal(generator, 1, inputs)
    weights = (1 - 2 * side[:, None]) * centre + between_sd * _normal(generator, tasks, inputs)
    truth = Truth(_default(weights), side, float(between_sd), float(noise))
    description = f"{tasks} linear regressions of alternating sign, generated."
    return _regressions(generator, weights, truth, per_task, test_per_task, description)


def _regressions(
    generator: torch.Generator,
    weights: Tensor,
    truth: Truth,
    per_task: int,
    test_per_task: int,
    description: str,
) -> MultiTaskData:
    """x ~ N(0, I) and y = w_t . x + noise * N(0, 1) for tasks of equal size."""
    noise = truth.noise
    assert noise is not None
    for name, value, least in (
        ("per_task", per_task, 1),
        ("test_per_task", test_per_task, 1),
        ("noise", noise, 0),
    ):
        _at_least(name, value, least)
    task = torch.arange(len(weights)).repeat_interleave(per_task + test_per_task)
    x = _normal(generator, len(task), weights.shape[1])
    y = (x * weights[task]).sum(1) + noise * _normal(generator, len(task))
    return _pack(x, y, task, truth, kind="regression", train_size=per_task, description=description)


def _pack(x: Tensor, y: Tensor, task: Tensor, truth: Truth, **fields: object) -> MultiTaskData:
    tasks, inputs = truth.weights.shape
    return MultiTaskData(
        x=_default(x),
        y=_default(y),
        task=task,
        task_names=tuple(f"task {t}" for t in range(tasks)),
        input_names=tuple(f"x{d + 1}" for d in range(inputs)),
        target_name="y",
        truth=truth,
        **fields,  # type: ignore[arg-type]
    )


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Drawn in float64, so that the numbers do not depend on torch's default type."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _default(values: Tensor) -> Tensor:
    return values.to(torch.get_default_dtype())


def _at_least(name: str, value: float, smallest: float) -> None:
    if not smallest <= value < math.inf:
        raise ValueError(f"`{name}` must be at least {smallest} and finite; got {value!r}")
