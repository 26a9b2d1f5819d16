"""Fits recorded step by step, small enough to be stored in a page."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vmtl_core.distributions import diagonal_gaussian, gaussian
from vmtl_core.divergences import pairwise_kl
from vmtl_core.elbo import MultiTaskELBO
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

SOURCES = ("own", "previous", "joint")
"""Those that are fitted step by step; groups are found in closed form."""
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
    data: MultiTaskData,
    schedule: str,
    sources: str,
    last: int,
    intercept: bool = False,
    **options: Any,
) -> MultiTaskELBO:
    """The model of a recorded run: linear, one diagonal Gaussian a task, options passed on."""
    require(schedule in SCHEDULES, f"`schedule` must be one of {list(SCHEDULES)}; got {schedule!r}")
    regression = data.kind == "regression"
    return MultiTaskELBO(
        LinearGaussian() if regression else LinearBernoulli(),
        GaussianWeights(data.tasks, (data.x.shape[1] + intercept,), covariance="diagonal"),
        task_sizes=data.task_sizes,
        sources=sources,
        temperature=SCHEDULES[schedule](last),
        **options,
    )


def weight_names(data: MultiTaskData, intercept: bool) -> list[str]:
    """Names of the weights: those of the inputs, and the intercept."""
    return [*data.input_names, *(["intercept"] if intercept else [])]


def record_run(
    data: MultiTaskData,
    schedule: str = "constant",
    sources: str = "own",
    *,
    steps: Sequence[int],
    lr: float = 0.1,
    seed: int = 0,
    show: Sequence[int] | None = None,
    intercept: bool = False,
    **options: Any,
) -> Run:
    """One fit by Adam, recorded before the update of each of `steps`.

    The fit runs in chunks, each the `resume` of the one before, which gives the same numbers as a
    fit that never stopped.

    Args:
        data: at least two inputs; a linear model is fitted to it.
        schedule: of the temperature, a name in `SCHEDULES`; it falls over `max(steps)` steps.
        sources: "own", "previous" or "joint".
        steps: which steps are recorded, increasing from 0.
        lr: learning rate.
        seed: of everything random.
        show: the tasks that are recorded one by one, all others as one; every task if None.
        intercept: whether the model has one, as the last of its weights.
        options: of `MultiTaskELBO`.

    Returns:
        schedule, sources, and for each recorded step, rounded to 4 significant digits: alpha
        (T·K numbers), mean, sd (T·D) of the posteriors, source_mean, source_sd (T·D) of the own-data
        posteriors, or of any sources after a stationary transfer; base_mean, base_sd (D), width (D)
        to be added to the sources; None where there is none; terms, name -> one number a step. With
        `show`, T counts these tasks, alpha has one column for the sum of the others before that of
        the base prior, and rest holds what `rest_of` gives.
    """
    model = make_model(data, schedule, sources, max(steps), intercept, **options)
    run: Run = {"schedule": schedule, "sources": sources}
    history: History | None = None

    def go_on(until: int) -> History:
        return fit(
            model, data.x, data.y, data.task, until, lr=lr, seed=seed, progress=False,
            resume=history, method="adam", tolerance=None,
        )  # fmt: skip

    for step in steps:
        if step > 0:
            history = go_on(step)
        for name, value in snapshot(model, show).items():
            run.setdefault(name, []).append(None if value is None else rounded(value.flatten()))
    history = go_on(steps[-1] + 1)
    run = {name: None if value == [None] * len(steps) else value for name, value in run.items()}
    run["terms"] = {name: [rounded(history.terms[name][s]) for s in steps] for name in TERMS}
    return run


@torch.no_grad()
def snapshot(model: MultiTaskELBO, show: Sequence[int] | None = None) -> dict[str, Tensor | None]:
    """What is recorded of a model at one step; see `record_run`."""
    everything = _everything(model)
    if show is None:
        return everything
    part, alpha = list(show), model.alpha()[list(show)]
    T = model.q_weights().batch_shape[0]
    hidden = [k for k in range(T) if k not in part]
    sums = alpha[:, hidden].sum(1, keepdim=True)
    found = dict(everything, alpha=torch.cat([alpha[:, part], sums, alpha[:, T:]], 1))
    for name in ("mean", "sd", "source_mean", "source_sd"):
        value = everything[name]
        found[name] = None if value is None else value[part]
    found["rest"] = rest_of(model, part, hidden)
    return found


def rest_of(model: MultiTaskELBO, part: list[int], hidden: list[int]) -> Tensor:
    """What the sources `hidden` are, together, to the tasks `part`.

    In one row: log sum_k alpha_tk exp(-KL_tk) and log sum_k alpha_tk p_k(mean of q_t) over the hidden
    sources k, for each t in `part`; mean and standard deviation of the equal mixture of these sources
    in each coordinate.
    """
    mean, sd = _moments(model.q_weights())
    shape = mean.shape[1:]
    all_components = model.prior.components(model.source_weights())
    sources = gaussian(all_components.mean[hidden], all_components.stddev[hidden], shape)
    log_alpha = model.prior.mixing.log_probabilities()[part][:, hidden]
    scores = log_alpha - pairwise_kl(gaussian(mean[part], sd[part], shape), sources)
    log_prior = log_alpha + sources.log_prob(mean[part][:, None])
    centre = sources.mean.mean(0)
    spread = (sources.variance.mean(0) + sources.mean.var(0, unbiased=False)).sqrt()
    return torch.cat([scores.logsumexp(1), log_prior.logsumexp(1), centre, spread])


def _everything(model: MultiTaskELBO) -> dict[str, Tensor | None]:
    mean, sd = _moments(model.q_weights())
    sources, width = model.source_weights(), model.prior.width()
    base = (None, None) if model.prior.base is None else _moments(model.prior.base())
    told: tuple[Tensor | None, Tensor | None] = (None, None)
    if model.prior.stationary:
        components = _moments(model.prior.components(sources))
        told, width = (components[0][: len(mean)], components[1][: len(mean)]), None
    elif model.sources == "own":
        told = _moments(sources)
    return {
        "alpha": model.alpha(),
        "mean": mean,
        "sd": sd,
        "source_mean": told[0],
        "source_sd": told[1],
        "base_mean": base[0],
        "base_sd": base[1],
        "width": None if width is None else width.expand(mean.shape[1:]),
        "rest": None,
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
    show: Sequence[int] | None = None,
    intercept: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Record a fit for every schedule and every choice of `sources`: what `TrainingReplay` shows.

    Args:
        data: training data with at least two inputs; of many tasks, `show` a few.
        schedules: names in `SCHEDULES`.
        sources: choices of `MultiTaskELBO(sources=...)`.
        last: the last recorded step.
        count: about how many steps are recorded, more of them early.
        lr, seed, show, intercept, options: see `record_run`; the same for all runs.

    Returns:
        tasks, inputs, steps, truth (or None), runs, others (how many tasks are not shown): what JSON
        can hold, ready for `TrainingReplay(**recording)`.

    Raises:
        ValueError: for fewer than two inputs, an unknown schedule or option, or a bad `show`.
    """
    inputs = data.x.shape[1]
    require(inputs >= 2, f"`data` must have at least two inputs, to be drawn; got {inputs}")
    part = list(range(data.tasks)) if show is None else list(show)
    require(
        2 <= len(set(part)) == len(part) and set(part) <= set(range(data.tasks)),
        f"`show` must be at least two different tasks of 0...{data.tasks - 1}; got {part}",
    )
    few = part if len(part) < data.tasks else None
    options |= {"show": few, "intercept": intercept}
    known = None if intercept else data.truth  # which has no intercept
    truth = None if known is None else rounded(known.weights[few or slice(None)])
    steps = thinned(last, count)
    runs = [
        record_run(data, schedule, source, steps=steps, lr=lr, seed=seed, **options)
        for schedule in schedules
        for source in sources
    ]
    return {
        "tasks": [data.task_names[t] for t in (few or range(data.tasks))],
        "inputs": weight_names(data, intercept),
        "steps": steps,
        "truth": truth,
        "runs": runs,
        "others": data.tasks - len(few) if few else 0,
    }
