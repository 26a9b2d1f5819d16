"""fit(): maximise the multi-task ELBO with Adam, and the History of the fit."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from vmtl_core import _checks
from vmtl_core._checks import positive_finite, positive_int, require
from vmtl_core._random import forked
from vmtl_core._rows import place_in_task
from vmtl_core.elbo import ELBOTerms, MultiTaskELBO
from vmtl_core.mixing import Schedule, constant

LARGEST_RECORD = 20_000_000  # numbers kept of alpha and beta together
AVERAGED = ("elbo", "log_likelihood", "kl_weights", "kl_latents", "hyperprior", "own_elbo")


class History:
    """What happened during `fit`: the terms at every step, alpha and beta at some of them.

    Attributes:
        terms: name -> list of floats, one per step: "elbo", its terms "log_likelihood",
            "kl_weights", "kl_latents", "own_elbo" (means over tasks, nats), "hyperprior", and
            "temperature".
        record_steps: the steps at which alpha and beta were recorded.
        alpha, beta: lists of tensors (T, K), before the update of that step; beta is empty
            without latents.
        step: how many steps have been done.
        optimizer: state of the optimiser, for resuming.
    """

    def __init__(self) -> None:
        self.terms: dict[str, list[float]] = {name: [] for name in (*AVERAGED, "temperature")}
        self.record_steps: list[int] = []
        self.alpha: list[Tensor] = []
        self.beta: list[Tensor] = []
        self.step = 0
        self.optimizer: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything, for `torch.save`; put it back with `load_state_dict`."""
        return deepcopy(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> "History":
        """Take over what `state_dict` gave; returns self."""
        missing = sorted(vars(self).keys() ^ state.keys())
        require(not missing, f"`state` must be what `state_dict` gave; differs in {missing}")
        vars(self).update(deepcopy(state))
        return self

    def __repr__(self) -> str:
        last = f", elbo={self.terms['elbo'][-1]:.4g}" if self.step else ""
        return f"History(steps={self.step}{last})"


class NonFiniteError(FloatingPointError):
    """The objective or its gradient turned NaN or infinite; `history` holds all up to then."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


def fit(
    model: MultiTaskELBO,
    x: Tensor,
    y: Tensor,
    task: Tensor,
    steps: int = 2000,
    lr: float | Schedule = 0.03,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
    record: int = 100,
    resume: History | None = None,
) -> History:
    """Maximise the multi-task ELBO by Adam.

    Args:
        model: the objective; all of `model.parameters()` are optimised.
        x, y, task: the whole training table, shapes (N, ...), (N, ...) and (N,).
        steps: total number of steps, those of `resume` counted in.
        lr: learning rate, a number or a schedule step -> lr.
        batch_size: rows in a batch; None for all. Batches are stratified: every task is in every
            batch, in proportion to its size, so that the scaling N_t / B_t is unbiased.
        seed: of everything random; same seed, same numbers. Step s draws from (seed, s) alone.
        progress: whether to show a bar.
        record: about how often alpha and beta are recorded.
        resume: the History of an earlier, shorter fit of this model; it is continued, and gives
            the same numbers as a fit that never stopped.

    Returns:
        The history, which `resume` takes.

    Raises:
        ValueError: bad data or arguments.
        NonFiniteError: the objective turned non-finite. The message says at which step and in
            which term; the model keeps the last parameters whose objective was finite.

    Example:
        >>> import vmtl_core as vmtl
        >>> draw = torch.Generator().manual_seed(0)
        >>> x, task = torch.randn(20, 2, generator=draw), torch.arange(20) % 2
        >>> y = x.sum(-1)
        >>> model = vmtl.MultiTaskELBO(
        ...     vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), task_sizes=[10, 10]
        ... )
        >>> history = vmtl.fit(model, x, y, task, steps=300, progress=False)
        >>> model.q_weights().mean.round(decimals=0).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    positive_int("steps", steps)
    positive_int("record", record)
    positive_int("seed", seed, least=0)
    rate = lr if callable(lr) else constant(positive_finite("lr", lr))
    require(
        resume is None or isinstance(resume, History),
        f"`resume` must be the History of an earlier fit; got {type(resume).__name__}",
    )
    _check_data(model, x, y, task, seed)
    batches = Batches(task, model.task_sizes, batch_size)
    history = History() if resume is None else resume
    parameters = [p for p in model.parameters() if p.requires_grad]
    require(bool(parameters), "`model` must have parameters to fit; it has none")
    optimizer = torch.optim.Adam(parameters, lr=_rate(rate, history.step))
    if history.optimizer:
        _load(optimizer, parameters, history.optimizer)
    kept = [p.detach().clone() for p in parameters]
    every = _record_interval(model, steps, record)
    bar = tqdm(total=steps, initial=history.step, disable=not progress, desc="fit", mininterval=0.5)
    with bar, _keep_state(optimizer, history):
        while history.step < steps:
            step = history.step
            for group in optimizer.param_groups:
                group["lr"] = _rate(rate, step)
            with forked(_step_seed(seed, step), x.device):
                rows = batches.draw()
                terms = model(x[rows], y[rows], task[rows], step=step, validate=False)
                optimizer.zero_grad()
                terms.loss.backward(inputs=parameters)
            _stop_if_non_finite(model, terms, parameters, kept, history)
            if step % every == 0 or step == steps - 1:
                _record_mixing(model, history)
            _record_terms(terms, model.temperature(step), history)
            torch._foreach_copy_(kept, [p.detach() for p in parameters])
            optimizer.step()
            history.step += 1
            bar.update()
            if step % 20 == 0:
                bar.set_postfix(elbo=f"{history.terms['elbo'][-1]:.4g}", refresh=False)
    return history


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


class Batches:
    """Stratified random batches: every task in each, in proportion to its size.

    Args:
        task: task ids, shape (N,).
        task_sizes: N_t, shape (T,).
        batch_size: about how many rows; None for all.

    Raises:
        ValueError: if `batch_size` is below the number of tasks.
    """

    def __init__(self, task: Tensor, task_sizes: Tensor, batch_size: int | None):
        self.task, self.counts = task, None
        tasks, total = len(task_sizes), len(task)
        if batch_size is None:
            return
        positive_int("batch_size", batch_size)
        require(
            batch_size >= tasks,
            f"`batch_size` must be at least the number of tasks, {tasks}, so that each is in every "
            f"batch; got {batch_size}",
        )
        share = (task_sizes * min(batch_size / total, 1.0)).floor().long().clamp_min(1)
        self.counts = torch.minimum(share, task_sizes)

    def draw(self) -> Tensor | slice:
        """Positions of one batch's rows, from the global random stream."""
        if self.counts is None:
            return slice(None)
        key = self.task + torch.rand(len(self.task), dtype=torch.float64, device=self.task.device)
        order = key.argsort()
        shuffled = self.task[order]
        place = place_in_task(shuffled, len(self.counts))
        return order[place < self.counts[shuffled]]


def _check_data(model: MultiTaskELBO, x: Tensor, y: Tensor, task: Tensor, seed: int) -> None:
    """All checks of the data, once, on the whole table."""
    _checks.long_format(model.tasks, x, task, y)
    _checks.sizes_match(model.task_sizes, task)
    with torch.no_grad(), forked(_step_seed(seed, 0), x.device):
        model(x, y, task)


def _step_seed(seed: int, step: int) -> int:
    """A seed for each step, far apart for neighbouring steps and seeds."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**64
    mixed = ((mixed ^ (mixed >> 31)) * 0xD6E8FEB86659FD93) % 2**64
    return (mixed ^ (mixed >> 32)) % 2**63


def _stop_if_non_finite(
    model: MultiTaskELBO,
    terms: ELBOTerms,
    parameters: Sequence[Tensor],
    kept: Sequence[Tensor],
    history: History,
) -> None:
    total = terms.elbo.detach() + terms.own_elbo.detach().sum()
    norms = torch._foreach_norm([p.grad for p in parameters if p.grad is not None], math.inf)
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
    if any(term.split()[0] in terms._fields for term in guilty):
        with torch.no_grad():
            for parameter, last in zip(parameters, kept, strict=True):
                parameter.copy_(last)
    raise NonFiniteError(
        f"step {history.step}: {', '.join(guilty)} is not finite; the model keeps the last "
        "parameters whose objective was finite (try a smaller `lr`)",
        history,
    )


def _record_interval(model: MultiTaskELBO, steps: int, record: int) -> int:
    size = model.prior.mixing.logits.numel() * (1 if model.latent_mixing is None else 2)
    return max(1, steps // max(1, min(record, LARGEST_RECORD // size)))


def _record_mixing(model: MultiTaskELBO, history: History) -> None:
    history.record_steps.append(history.step)
    history.alpha.append(model.alpha().cpu())
    if model.latent_mixing is not None:
        history.beta.append(model.beta().cpu())


def _record_terms(terms: ELBOTerms, temperature: float, history: History) -> None:
    values = torch.stack([getattr(terms, name).detach().mean() for name in AVERAGED]).tolist()
    for name, value in zip(AVERAGED, values, strict=True):
        history.terms[name].append(value)
    history.terms["temperature"].append(temperature)
