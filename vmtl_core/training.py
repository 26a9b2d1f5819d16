"""fit(): maximise the multi-task ELBO, in closed form where the model allows it, else by Adam."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from vmtl_core import _checks
from vmtl_core._checks import one_of, positive_finite, positive_int, require
from vmtl_core._precision import has_double
from vmtl_core._random import forked, step_seed
from vmtl_core._settings import compare, described
from vmtl_core.adam import FIRST_RATE, LAST_SHARE, fit_adam, whole_steps
from vmtl_core.averaging import Averaged, average
from vmtl_core.checkpoint import STEPS, SWEEPS, Checkpoint, check_checkpoint
from vmtl_core.closed_form import (
    Setting,
    begin,
    check_spread,
    correlated,
    moved,
    obstacle,
    pack,
    setting,
    to_data,
    units_of,
    unpack,
    write,
)
from vmtl_core.coordinate import Ascent
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.group_fit import Grouped
from vmtl_core.group_mixing import GroupMixing
from vmtl_core.group_points import GroupAverage, average_groups
from vmtl_core.history import (
    ConvergenceWarning,
    History,
    IdentificationWarning,
    Interval,
    NonFiniteError,
    UnitsWarning,
    record_interval,
    record_mixing,
    thin_record,
)
from vmtl_core.mixing import Schedule, constant, cosine_decay
from vmtl_core.report import (
    equally_likely,
    intervals,
    warn_of_unidentified,
    warn_of_units,
    weighted,
)
from vmtl_core.streams import Rows, TableRows, stream
from vmtl_core.units import MANY_INPUTS, Measured

__all__ = [
    "ConvergenceWarning",
    "History",
    "IdentificationWarning",
    "Interval",
    "NonFiniteError",
    "UnitsWarning",
    "fit",
]

METHODS = ("auto", "coordinate", "adam")


def fit(
    model: MultiTaskELBO,
    x: Tensor | Dataset[Any] | Iterable[Any],
    y: Tensor | None = None,
    task: Any = None,
    steps: int = 2000,
    lr: float | Schedule | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
    record: int = 100,
    resume: History | None = None,
    *,
    method: str = "auto",
    tolerance: float | None = 1e-5,
    average: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
) -> History:
    """Maximise the multi-task ELBO.

    Models of ours that are linear in x (`latents=None`, `GaussianWeights` with full covariance,
    likelihoods `Linear...`, divergence "jensen" or "convex") are fitted by coordinate ascent in
    closed form, (5.14) to (5.16), in some ten sweeps, and with groups after a search for them,
    (14.5); all others by Adam, those of more than 50
    inputs too, pixels as a rule, for which a matrix a task is much work. The temperature of the
    closed form is that of the last step, its expectation over Gumbel draws is taken over a fixed
    set of them, and its arithmetic is in float64 and in standard units, so that the units of the
    table don't matter.

    A second fit of the same model starts afresh, unless `resume` is given.

    Args:
        model: the objective; all of `model.parameters()` are optimised.
        x, y, task: the whole training table, shapes (N, ...), (N, ...) and (N,). Or, where it doesn't
            fit in memory, by Adam alone: as `x` a map-style `torch.utils.data.Dataset` whose items
            are (x, y, task), without `y`, with `batch_size`; the numbers are those of the table, but
            for the units of a linear model beyond 10,000 rows, which a sample tells. `task`, an array
            or memmap of all ids, spares asking every item once for its own. Or as `x` alone an
            iterable of batches (x, y, task), begun anew by `iter` for every pass, as a `DataLoader`
            is; its first batch tells a linear model the units. Batches are moved to the model's device.
        steps: most sweeps or steps of Adam, those of `resume` counted in.
        lr: Adam's rate: a number that stays, or a schedule step -> lr; None for one that falls from
            0.03 to 0.0003 along a cosine over `steps`.
        batch_size: rows in a batch of Adam's; None for all. Batches are stratified: every task is in
            every batch, in proportion to its size, see `StratifiedBatches`.
        seed: of everything random; same seed, same numbers. Step s draws from (seed, s) alone. Fits
            in several threads take turns with their steps, for they share torch's random stream;
            other code that draws from it meanwhile, in a thread of its own, changes their numbers.
        progress: whether to show a bar.
        record: about how often alpha and beta are recorded.
        resume: the History of an earlier, shorter fit of this model; it is continued, and gives
            the same numbers as a fit that never stopped (by Adam with a given `lr`: without one the
            rate depends on `steps`). An iterable's pass is begun again and gone through to where
            it was, which finds the same if it draws from torch's global stream alone; one without a
            length is gone on with from its start.
        method: "coordinate", "adam", or "auto", which takes the former where it can.
        tolerance: in nats a task. The closed form ends when a sweep gains less; Adam, once its rate
            is down to a ninth, when a quarter of the steps gains less, or less than its noise. None
            never judges.
        average: whether a closed-form fit with `sources="groups"` or "own" and hyperpriors is
            repeated at points of the hyperparameters (noise scale, population mean and sd, transfer
            width) drawn from their posterior, (5.17), with groups also at partitions of the tasks,
            (14.7), which `predictive` then averages over. The model's parameters are those of the
            optimum either way.
        checkpoint: a file in which the fit keeps what it has: model, history and optimiser, written
            aside and renamed. Killed at any moment, the same call goes on from the file and gives
            the numbers of a fit that never stopped, bit for bit on the same machine; once the fit
            has ended, it gives them at once. `load` reads the file too. Remove it to fit afresh. A
            Dataset is known again by its length, its ids and some rows, an iterable, which must have
            a length, by its first batch.
        every: after how many steps of Adam the file is written, 100 if None; or after how many
            sweeps of the closed form, 1 if None, the first time once its own-data half is fitted
            and groups are found. What comes after the last writing is done again, the average too.

    Returns:
        The history, which `resume` takes; `print(history.summary())` shows how it ended.

    Raises:
        ValueError: bad data or arguments, with its step for a batch that comes later; an iterable
            that yields more rows of a task in a pass than `task_sizes` says, or that ends and can't
            be begun anew; `method="coordinate"` where it can't be; a `checkpoint`
            of another model, table or call, which is named, or truncated, of another program or of
            a newer version.
        NonFiniteError: the objective turned non-finite. The message says at which step and in
            which term; the model keeps the last parameters whose objective was finite.

    Warns:
        ConvergenceWarning: it stopped before the objective had settled.
        UnitsWarning: by Adam, or under a base prior in units of w, a column is far from mean 0 and
            sd 1.
        IdentificationWarning: up to 50 inputs, a column is 0 in every row, constant beside another
            or an intercept, or a linear combination of others.

    Example:
        >>> import vmtl_core as vmtl
        >>> draw = torch.Generator().manual_seed(0)
        >>> x, task = torch.randn(20, 2, generator=draw), torch.arange(20) % 2
        >>> y = x.sum(-1)
        >>> model = vmtl.MultiTaskELBO(
        ...     vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), task_sizes=[10, 10]
        ... )
        >>> history = vmtl.fit(model, x, y, task, progress=False)
        >>> model.q_weights().mean.round(decimals=0).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
        >>> history.method, history.converged
        ('coordinate', True)
    """
    steps, record = positive_int("steps", steps), positive_int("record", record)
    seed = positive_int("seed", seed, least=0)
    one_of("method", method, METHODS)
    require(
        tolerance is None or positive_finite("tolerance", tolerance) > 0,
        f"`tolerance` must be above 0, or None; got {tolerance!r}",
    )
    require(
        resume is None or isinstance(resume, History),
        f"`resume` must be the History of an earlier fit; got {type(resume).__name__}",
    )
    check_checkpoint(checkpoint, every, resume)
    rate = _schedule(lr, steps)
    rows = _rows(model, x, y, task, batch_size, seed, checkpoint is not None)
    x, y, task = rows.sample
    coordinate = _choose(model, x, method, rows.streamed, resume)
    file, ended = None, False
    if checkpoint is not None:
        call = {
            "steps": steps,
            "lr": described(lr),
            "batch_size": None if batch_size is None else int(batch_size),
            "seed": seed,
            "record": record,
            "method": method,
            "tolerance": None if tolerance is None else float(tolerance),
            "average": bool(average),
        }
        call |= rows.identity() | _identity(model)
        file = Checkpoint(model, Path(checkpoint), every or (SWEEPS if coordinate else STEPS), call)
        resume, ended = file.restore()
    if resume is not None:
        _same_model(model, resume)
    history = History() if resume is None else resume
    history.method = "coordinate" if coordinate else "adam"
    history.settings = model.settings()
    found = None
    if coordinate:
        history.optimizer = moved(history.optimizer, x.device)
        check_spread(model, x, y, task)
    if resume is None:  # only now: what is refused leaves the model as it was
        _afresh(model)
    if coordinate:
        make = partial(setting, model, x, y, task, model.temperature(max(steps - 1, 0)), seed)
        found = make(history.optimizer.get("coordinate", {}).get("lower"))
        _set_units(model, found.units)
    elif obstacle(model, x) is None:
        _set_units(model, units_of(model, x, y))
    warn_of_units(model, x, y, coordinate)
    if rows.whole:
        warn_of_unidentified(model, x)
    try:
        if ended:
            pass
        elif coordinate:
            assert found is not None
            _ascend(
                model, found, make, steps, seed, progress, record, tolerance, average, history, file
            )
        else:
            model.average.clear()
            rows.start(history.step)
            fit_adam(
                model,
                rows,
                steps,
                rate,
                seed,
                progress,
                record,
                tolerance,
                history,
                file,
            )
        if file is not None and not ended:
            file.write(history, ended=True)
    except BaseException as error:
        error.history = history  # type: ignore[attr-defined]
        raise
    if history.converged is False:
        warnings.warn(_unsettled(history, steps), ConvergenceWarning, stacklevel=2)
    return history


def _identity(model: MultiTaskELBO) -> dict[str, Any]:
    """What the model is, for a checkpoint, as text and numbers."""
    samples = ("weight_samples", "latent_samples", "divergence_samples")
    return {
        "dtype": sorted({str(p.dtype) for p in model.parameters()}),
        **{name: getattr(model, name) for name in samples},
        **model.settings(),
    }


def _schedule(lr: float | Schedule | None, steps: int) -> Schedule:
    if lr is None:
        return cosine_decay(FIRST_RATE, FIRST_RATE * LAST_SHARE, steps)
    return lr if callable(lr) else constant(positive_finite("lr", lr))


def _unsettled(history: History, steps: int) -> str:
    advice = "raise `steps`" if history.method == "coordinate" else "raise `steps` or `lr`"
    return (
        f"the fit by {history.method} stopped after {steps} steps before its objective had settled: "
        f"{advice}, or give `tolerance=None` if that is meant"
    )


def _choose(
    model: MultiTaskELBO, x: Tensor, method: str, streamed: str, resume: History | None
) -> bool:
    """Whether the closed form is taken."""
    if resume is not None and resume.method:
        require(
            method in ("auto", resume.method),
            f"`method` must be that of `resume`, {resume.method!r}; got {method!r}",
        )
        require(
            resume.method == "adam" or not streamed.startswith("`x`"),
            f"`resume` is of a fit in closed form, which this can't go on with: {streamed}",
        )
        return resume.method == "coordinate"
    groups = model.sources == "groups"
    if method == "adam" and not groups:
        return False
    why = obstacle(model, x)
    why = why or streamed or None
    if not has_double(x.device):
        why = why or f"`x` must be on a device with float64; it is on {x.device}"
    if method == "adam":
        why = "`method` must be 'auto' or 'coordinate'"
    require(
        why is None or not groups,
        f"groups are found in closed form alone, which can't be had for this fit: {why}; or make "
        "the model with `sources='own'`, other tasks one by one",
    )
    if why is None and method == "auto" and model.posteriors.weights.event_shape[0] > MANY_INPUTS:
        return False
    require(
        method == "auto" or why is None, f"`method='coordinate'` can't be had for this fit: {why}"
    )
    return why is None


def _shapes(model: MultiTaskELBO) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in model.parameters()]


def _same_model(model: MultiTaskELBO, resume: History) -> None:
    """Raise unless the history is of a model of these settings and, in closed form, shapes.

    Adam looks at its own state.
    """
    hint = "`resume` must be the History of an earlier fit of this model"
    compare(resume.settings, model.settings(), "`resume`", hint)
    here = _shapes(model)
    there = resume.optimizer.get("parameters", here)
    differ = sum(tuple(a) != b for a, b in zip(there, here, strict=False))
    require(
        len(there) == len(here) and not differ,
        f"`resume` must be the History of an earlier fit of this model, with {len(here)} "
        f"parameters; got one with {len(there)}, of which {differ} have another shape",
    )


@torch.no_grad()
def _afresh(model: MultiTaskELBO) -> None:
    """The parameters as they were before the first fit; that state is kept for the next one.

    With groups, nobody is in one.
    """
    mixing = model.prior.mixing
    if isinstance(mixing, GroupMixing):
        mixing.empty()
    start = model.__dict__.get("_start")
    if start is None or start.keys() != dict(model.named_parameters()).keys():
        model.__dict__["_start"] = {n: p.detach().clone() for n, p in model.named_parameters()}
        return
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.copy_(start[name])


def _rows(
    model: MultiTaskELBO, x: Any, y: Any, task: Any, batch_size: int | None, seed: int, kept: bool
) -> Rows:
    """Where rows come from, after all checks of a table, or those of a stream's first batch."""
    rows: Rows
    if isinstance(x, Tensor) or y is not None:
        require(y is not None, "`y` must be a tensor; got None")
        task = _checks.long_format(model.tasks, x, task, y)
        _checks.sizes_match(model.task_sizes, task)
        rows = TableRows(x, y, task, batch_size)
    else:
        rows = stream(model, x, task, batch_size, seed, kept)
    with torch.no_grad(), forked(step_seed(seed, 0), rows.device):
        model(*rows.first)
    return rows


@torch.no_grad()
def _set_units(model: MultiTaskELBO, units: Measured) -> None:
    """Tell the prior and the likelihoods the table's units."""
    prior = model.prior
    like = prior.mixing.logits
    eye = torch.eye(units.basis.shape[-1]).to(units.basis)
    if bool((units.basis == eye).all()) and not bool(units.offset.any()):
        prior.units.clear()
    else:
        prior.units.set(units.basis, units.offset, like)
    for bundle in (model.posteriors, model.own):
        for one in () if bundle is None else bundle.distinct_likelihoods():
            if hasattr(one, "unit"):
                one.unit.fill_(math.log(units.target_scale))


def _ascend(
    model: MultiTaskELBO,
    found: Setting,
    make: Callable[[Tensor | None], Setting],
    steps: int,
    seed: int,
    progress: bool,
    record: int,
    tolerance: float | None,
    averaged: bool,
    history: History,
    file: Checkpoint | None,
) -> None:
    """Sweeps until the objective has settled; then the average over the hyperparameters."""
    packed = history.optimizer.get("coordinate")
    limit = 1e-9 if tolerance is None else tolerance
    if packed is None:
        found, own, lower = correlated(model, found, limit, make)
        _set_units(model, found.units)
        ascent = begin(model, found, limit, seed, own)
    else:
        ascent, lower = unpack(model, found, packed), packed["lower"]
    every = record_interval(model, steps, record)
    thin_record(history, every)
    mixing = model.prior.mixing
    temperature = found.problem.mixing.weights.temperature
    bar = tqdm(total=steps, initial=history.step, disable=not progress, desc="fit", mininterval=0.5)
    kept = pack(ascent, lower)
    history.hyperparameters, history.draws = {}, {}
    model.average.clear()
    with bar, _keep_sweeps(model, found, lambda: kept, history), whole_steps() as stop:
        while history.step < steps:
            kept = pack(ascent, lower)
            if file is not None:
                file.keep(history, partial(_written, model, found, kept))
            ascent.sweep()
            terms = ascent.measure()
            _stop_if_not_finite(terms, history)
            if history.step % every == 0 and mixing.tasks**2 * 2 <= 20_000_000:
                logits = ascent.state.logits.masked_fill(mixing.excluded, -torch.inf)
                record_mixing(history, mixing.kept(logits.softmax(-1)), None)
            for name, value in terms.items():
                history.terms[name].append(value)
            history.terms["temperature"].append(temperature)
            history.step += 1
            kept = pack(ascent, lower)
            bar.update()
            stop()
            if tolerance is not None:
                history.converged = _at_rest(history.terms["elbo"], tolerance)
                if history.converged:
                    break
    if tolerance is not None:
        history.converged = bool(history.converged) and ascent.own.settled
    if averaged and model.sources in ("own", "groups") and model.hyperprior is not None:
        _average(model, ascent, found, seed, history)


def _at_rest(values: list[float], tolerance: float) -> bool:
    """Whether the last sweep changed less than `tolerance`, or the last ten gained less.

    The latter ends a fit that goes round about its optimum, as damped site updates may.
    """
    if len(values) < 2:
        return False
    if abs(values[-1] - values[-2]) < tolerance:
        return True
    return len(values) >= 20 and max(values[-10:]) - max(values[-20:-10]) < tolerance


@contextmanager
def _keep_sweeps(
    model: MultiTaskELBO, found: Setting, kept: Callable[[], dict[str, Any]], history: History
) -> Iterator[None]:
    """However the sweeps end, model and history hold the last whole one, to be resumed from."""
    try:
        yield
    finally:
        history.optimizer = _written(model, found, kept())


def _written(model: MultiTaskELBO, found: Setting, kept: dict[str, Any]) -> dict[str, Any]:
    """Bring the model to a sweep; the optimiser's state of it."""
    write(model, unpack(model, found, kept), found.units)
    return {"coordinate": kept, "parameters": _shapes(model)}


def _stop_if_not_finite(terms: dict[str, float], history: History) -> None:
    wrong = [name for name, value in terms.items() if not math.isfinite(value)]
    if wrong:
        raise NonFiniteError(
            f"step {history.step}: {', '.join(wrong)} is not finite; the model keeps the last "
            "parameters whose objective was finite",
            history,
        )


def _average(
    model: MultiTaskELBO, ascent: Ascent, found: Setting, seed: int, history: History
) -> None:
    """Fill the model's average and the history's intervals."""
    result: Averaged | GroupAverage
    if isinstance(ascent, Grouped):
        own = replace(ascent.own, other=ascent.sites)
        result = average_groups(ascent.problem.table, own, ascent.found, seed)
    else:
        result = average(ascent, seed)
    units, points = found.units, result.points
    loc, root = to_data(points.loc, points.root, units)
    base = to_data(points.base_loc, points.base_root, units)
    noise = points.noise.exp() * units.target_scale * ascent.problem.table.gaussian
    like = model.prior.mixing.logits
    with_base = base if model.prior.base is not None else (loc.new_empty(0), loc.new_empty(0))
    values = [t.to(like) for t in (loc, root, noise, *with_base)]
    model.average.fill(*values, labels=getattr(result, "labels", None))
    draws = weighted(model, result, ascent, units)
    history.hyperparameters = intervals(draws, result)
    history.draws = {name: equally_likely(*pair) for name, pair in draws.items()}
