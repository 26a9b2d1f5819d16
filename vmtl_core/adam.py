"""Adam on the multi-task ELBO, for whatever the closed form can't do."""

from __future__ import annotations

import math
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from vmtl_core._checks import require
from vmtl_core._random import forked, step_seed
from vmtl_core._unseen import unseen_leaves
from vmtl_core.candidates import is_renewal
from vmtl_core.checkpoint import Checkpoint
from vmtl_core.elbo import ELBOTerms, MultiTaskELBO
from vmtl_core.history import (
    History,
    NonFiniteError,
    record_interval,
    record_mixing,
    record_terms,
    thin_record,
)
from vmtl_core.mixing import Schedule
from vmtl_core.streams import Rows

FIRST_RATE, LAST_SHARE = 0.03, 0.01
"""Adam's rate where none is given: it falls along a cosine to this share of the first."""
QUARTERS = 4
"""The last two of so many parts of a fit are compared to judge whether it has settled."""


def fit_adam(
    model: MultiTaskELBO,
    rows: Rows,
    steps: int,
    rate: Schedule,
    seed: int,
    progress: bool,
    record: int,
    tolerance: float | None,
    history: History,
    file: Checkpoint | None = None,
) -> None:
    """Stochastic gradient steps until `history.step` is `steps`; see `fit`."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    require(bool(parameters), "`model` must have parameters to fit; it has none")
    optimizer = torch.optim.Adam(parameters, lr=_rate(rate, history.step))
    if history.optimizer:
        _load(optimizer, parameters, history.optimizer)
    kept = [p.detach().clone() for p in parameters]
    every, first = record_interval(model, steps, record), history.step
    thin_record(history, every)
    bar = tqdm(total=steps, initial=history.step, disable=not progress, desc="fit", mininterval=0.5)
    with bar, _keep_state(optimizer, history), whole_steps() as stop:
        while history.step < steps:
            step = history.step
            for group in optimizer.param_groups:
                group["lr"] = _rate(rate, step)
            if is_renewal(step):
                model.choose_sources(seed)
            with forked(step_seed(seed, step), rows.device):
                with _singular(parameters, kept, history), _at(step, rows):
                    x, y, task = rows.batch(step)
                    terms = model(x, y, task, step=step, validate=not rows.checked)
                optimizer.zero_grad()
                if step == first:
                    _warn_of_unseen(terms.loss, model)
                terms.loss.backward(inputs=parameters)
            _stop_if_non_finite(model, terms, parameters, kept, history)
            if file is not None:  # only now: what it holds is of a finite objective
                file.keep(history, optimizer.state_dict)
            if step % every == 0 or step == steps - 1:
                record_mixing(history, *_weights(model))
            record_terms(terms, model.temperature(step), history)
            torch._foreach_copy_(kept, [p.detach() for p in parameters])
            _update(optimizer, history)
            history.step += 1
            bar.update()
            if step % 20 == 0:
                bar.set_postfix(elbo=f"{history.terms['elbo'][-1]:.4g}", refresh=False)
            stop()
            if (
                tolerance is not None
                and step % 100 == 99
                and _rate(rate, step) < _rate(rate, 0) / 9
            ):
                history.converged = settled(history, tolerance)
                if history.converged:
                    break
    stream = forked(step_seed(seed, history.step), rows.device)
    with torch.no_grad(), stream, _singular(parameters, kept, history):
        x, y, task = rows.last(history.step)
        last = model(x, y, task.long(), step=max(history.step - 1, 0), validate=False)
    _stop_if_non_finite(model, last, parameters, kept, history)
    history.converged = None if tolerance is None else settled(history, tolerance)


@contextmanager
def _at(step: int, rows: Rows) -> Iterator[None]:
    """What is wrong with a batch that comes only now is told with its step."""
    try:
        yield
    except ValueError as error:
        if rows.checked:
            raise
        raise ValueError(f"batch of step {step}: {error}") from error


def _warn_of_unseen(loss: Tensor, model: MultiTaskELBO) -> None:
    unseen = unseen_leaves(loss, model)
    if unseen:
        warnings.warn(
            f"the objective depends on {', '.join(unseen)}, which no module of the model registers "
            "and which therefore stays as it is: make it an nn.Parameter of an nn.Module",
            UserWarning,
            stacklevel=4,
        )


def settled(history: History, tolerance: float) -> bool:
    """Whether the last quarter of the steps brought nothing over the quarter before.

    Nothing: less than `tolerance` nats a task, or than twice the standard error of the difference
    of the two means. At least eight steps are needed to judge.
    """
    values = torch.tensor(history.terms["elbo"], dtype=torch.float64)
    size = len(values) // QUARTERS
    if size < 2:
        return False
    before, after = values[-2 * size : -size], values[-size:]
    error = ((before.var() + after.var()) / size).sqrt()
    return bool(after.mean() - before.mean() < max(tolerance, 2 * float(error)))


@torch.no_grad()
def _weights(model: MultiTaskELBO) -> tuple[Tensor, Tensor | None]:
    """Alpha, and beta where there is one, as a history keeps them."""
    alpha, beta = model.prior.mixing, model.latent_mixing
    kept = alpha.kept(alpha.probabilities())
    return kept, None if beta is None else beta.kept(beta.probabilities())


def _update(optimizer: torch.optim.Optimizer, history: History) -> None:
    """One update; a rate beyond the parameters' range is a fit that has diverged."""
    try:
        optimizer.step()
    except RuntimeError as error:
        rate = optimizer.param_groups[0]["lr"]
        raise NonFiniteError(
            f"step {history.step}: the update is not finite at rate {rate:g}; the model keeps "
            "parameters whose objective was finite (try a smaller `lr`)",
            history,
        ) from error


@contextmanager
def _singular(
    parameters: Sequence[Tensor], kept: Sequence[Tensor], history: History
) -> Iterator[None]:
    """A covariance that has become singular is a fit that has diverged."""
    try:
        yield
    except torch.linalg.LinAlgError as error:
        _put_back(parameters, kept)
        raise NonFiniteError(
            f"step {history.step}: a covariance is singular ({error}); the model keeps the last "
            "parameters whose objective was finite (try a smaller `lr`)",
            history,
        ) from error


@torch.no_grad()
def _put_back(parameters: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
    for parameter, last in zip(parameters, kept, strict=True):
        parameter.copy_(last)


@contextmanager
def whole_steps() -> Iterator[Any]:
    """An interrupt waits for the end of the step that it comes in: call what this yields there."""
    asked: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    ours = callable(before)  # Python's own handler or the user's; not one set to be ignored
    if ours:
        signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))

    def stop() -> None:
        if asked:
            raise KeyboardInterrupt

    try:
        yield stop
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _keep_state(optimizer: torch.optim.Optimizer, history: History) -> Iterator[None]:
    """However the fit ends, the history holds the optimiser's state."""
    try:
        yield
    finally:
        history.optimizer = optimizer.state_dict()


def _load(
    optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], state: dict[str, Any]
) -> None:
    """Take over an earlier fit's optimiser state, if it is of these parameters."""
    saved = {i: tuple(one["exp_avg"].shape) for i, one in state["state"].items()}
    count = sum(len(group["params"]) for group in state["param_groups"])
    differ = [i for i, p in enumerate(parameters) if saved.get(i, p.shape) != tuple(p.shape)]
    require(
        count == len(parameters) and not differ,
        f"`resume` must be the History of an earlier fit of this model, with {len(parameters)} "
        f"parameters; got one with {count}, of which {len(differ)} have another shape",
    )
    optimizer.load_state_dict(state)


def _rate(schedule: Schedule, step: int) -> float:
    """The learning rate at a step; 0 is allowed, a schedule may end there."""
    rate = float(schedule(step))
    require(
        math.isfinite(rate) and rate >= 0,
        f"`lr` must be a finite number >= 0 at every step; got {rate} at step {step}",
    )
    return rate


def _stop_if_non_finite(
    model: MultiTaskELBO,
    terms: ELBOTerms,
    parameters: Sequence[Tensor],
    kept: Sequence[Tensor],
    history: History,
) -> None:
    total = terms.elbo.detach() + terms.own_elbo.detach().sum()
    given = [p.grad for p in parameters if p.grad is not None]
    norms = torch._foreach_norm(given, math.inf) if given else []
    norms = [*norms, *torch._foreach_norm([p.detach() for p in parameters], math.inf)]
    if bool(torch.isfinite(total + torch.stack([n.to(total) for n in norms]).sum())):
        return
    guilty = [
        f"{name} of tasks {(~torch.isfinite(value)).nonzero().flatten()[:10].tolist()}"
        if value.ndim
        else name
        for name, value in terms._asdict().items()
        if not bool(torch.isfinite(value).all())
    ]
    if not guilty:
        guilty = [
            f"the gradient of {name}"
            for name, p in model.named_parameters()
            if p.grad is not None and not bool(torch.isfinite(p.grad).all())
        ]
    if not guilty:
        guilty = [
            f"the parameter {name}"
            for name, p in model.named_parameters()
            if not bool(torch.isfinite(p).all())
        ]
    if any(not term.startswith("the gradient") for term in guilty):
        _put_back(parameters, kept)
    raise NonFiniteError(
        f"step {history.step}: {', '.join(guilty)} is not finite; the model keeps the last "
        "parameters whose objective was finite (try a smaller `lr`)",
        history,
    )
