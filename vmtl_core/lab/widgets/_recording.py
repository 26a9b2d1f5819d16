"""Fits recorded step by step, small enough to be stored in a page."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vmtl_core.distributions import diagonal_gaussian
from vmtl_core.elbo import SOURCES, MultiTaskELBO
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.widgets._base import require
from vmtl_core.likelihoods import LinearBernoulli, LinearGaussian
from vmtl_core.mixing import Schedule, constant, cosine_decay, exponential_decay
from vmtl_core.posteriors import GaussianWeights
from vmtl_core.training import History, fit

SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "constant": lambda steps: constant(1.0),
    "exponential": lambda steps: exponential_decay(1.0, 0.1, steps),
    "cosine": lambda steps: cosine_decay(1.0, 0.1, steps),
}
"""Temperature schedules by name, each made from the number of steps over which it falls."""

TERMS = ("elbo", "log_likelihood", "kl_weights", "hyperprior", "temperature")
DIGITS = 4
Run = dict[str, Any]


def thinned(last: int, count: int = 31) -> list[int]:
    """At most `count` steps in 0...last, both ends among them, denser at the start.

    Example:
        >>> thinned(100, 5)
        [0, 12, 35, 65, 100]
    """
    require(last >= 1 and count >= 2, f"`last` must be >= 1 and `count` >= 2; got {last}, {count}")
    return sorted({round(last * (i / (count - 1)) ** 1.5) for i in range(count)})


def rounded(values: Any) -> Any:
    """Nested lists of numbers with 4 significant digits."""
    values = values.tolist() if isinstance(values, Tensor) else values
    if isinstance(values, list):
        return [rounded(value) for value in values]
    return float(f"{values:.{DIGITS}g}")


def make_model(
    data: MultiTaskData, schedule: str, sources: str, last: int, **options: Any
) -> MultiTaskELBO:
    """The model of a recorded run: linear, one Gaussian posterior a task, options passed on."""
    require(schedule in SCHEDULES, f"`schedule` must be one of {list(SCHEDULES)}; got {schedule!r}")
    regression = data.kind == "regression"
    return MultiTaskELBO(
        LinearGaussian() if regression else LinearBernoulli(),
        GaussianWeights(tasks=data.tasks, event_shape=(data.x.shape[1],)),
        task_sizes=data.task_sizes,
        sources=sources,
        temperature=SCHEDULES[schedule](last),
        **options,
    )


def record_run(
    data: MultiTaskData,
    schedule: str = "constant",
    sources: str = "own",
    *,
    steps: Sequence[int],
    lr: float = 0.1,
    seed: int = 0,
    **options: Any,
) -> Run:
    """One fit, recorded before the update of each of `steps`.

    The fit runs in chunks, each the `resume` of the one before, which gives the same numbers as a
    fit that never stopped.

    Args:
        data: at least two inputs; a linear model without intercept is fitted to it.
        schedule: of the temperature, a name in `SCHEDULES`; it falls over `max(steps)` steps.
        sources: "own", "previous" or "joint".
        steps: which steps are recorded, increasing from 0.
        lr: learning rate.
        seed: of everything random.
        options: of `MultiTaskELBO`.

    Returns:
        schedule, sources, and for each recorded step, rounded to 4 significant digits: alpha
        (T·K numbers), mean, sd (T·D) of the posteriors, source_mean, source_sd (T·D) of the own-data
        posteriors, base_mean, base_sd (D), width (D), None where there is none; terms, name ->
        one number a step.
    """
    model = make_model(data, schedule, sources, max(steps), **options)
    run: Run = {"schedule": schedule, "sources": sources}
    history: History | None = None

    def go_on(until: int) -> History:
        return fit(
            model, data.x, data.y, data.task, until, lr=lr, seed=seed, progress=False,
            resume=history,
        )  # fmt: skip

    for step in steps:
        if step > 0:
            history = go_on(step)
        for name, value in snapshot(model).items():
            run.setdefault(name, []).append(None if value is None else rounded(value.flatten()))
    history = go_on(steps[-1] + 1)
    run = {name: None if value == [None] * len(steps) else value for name, value in run.items()}
    run["terms"] = {name: [rounded(history.terms[name][s]) for s in steps] for name in TERMS}
    return run


@torch.no_grad()
def snapshot(model: MultiTaskELBO) -> dict[str, Tensor | None]:
    """What is recorded of a model at one step; see `record_run`."""
    mean, sd = _moments(model.q_weights())
    own = _moments(model.source_weights()) if model.sources == "own" else (None, None)
    base = (None, None) if model.prior.base is None else _moments(model.prior.base())
    width = model.prior.width()
    return {
        "alpha": model.alpha(),
        "mean": mean,
        "sd": sd,
        "source_mean": own[0],
        "source_sd": own[1],
        "base_mean": base[0],
        "base_sd": base[1],
        "width": None if width is None else width.expand(mean.shape[1:]),
    }


def _moments(dist: Any) -> tuple[Tensor, Tensor]:
    found = diagonal_gaussian(dist)
    return (dist.mean, dist.stddev) if found is None else found


def record_replay(
    data: MultiTaskData,
    schedules: Sequence[str] = tuple(SCHEDULES),
    sources: Sequence[str] = SOURCES,
    *,
    last: int = 120,
    count: int = 31,
    lr: float = 0.1,
    seed: int = 0,
    **options: Any,
) -> dict[str, Any]:
    """Record a fit for every schedule and every choice of `sources`: what `TrainingReplay` shows.

    Args:
        data: training data of few tasks, with at least two inputs.
        schedules: names in `SCHEDULES`.
        sources: choices of `MultiTaskELBO(sources=...)`.
        last: the last recorded step.
        count: about how many steps are recorded, more of them early.
        lr, seed, options: see `record_run`; the same for all runs.

    Returns:
        tasks, inputs, steps, truth (or None), runs: what JSON can hold, ready for
        `TrainingReplay(**recording)`.

    Raises:
        ValueError: for fewer than two inputs, or an unknown schedule or option.
    """
    inputs = data.x.shape[1]
    require(inputs >= 2, f"`data` must have at least two inputs, to be drawn; got {inputs}")
    steps = thinned(last, count)
    runs = [
        record_run(data, schedule, source, steps=steps, lr=lr, seed=seed, **options)
        for schedule in schedules
        for source in sources
    ]
    return {
        "tasks": list(data.task_names),
        "inputs": list(data.input_names),
        "steps": steps,
        "truth": None if data.truth is None else rounded(data.truth.weights),
        "runs": runs,
    }
