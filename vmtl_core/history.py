"""What happened during a fit: `History`, and the errors and warnings that a fit ends with."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vmtl_core._checks import require
from vmtl_core.elbo import ELBOTerms, MultiTaskELBO

LARGEST_RECORD = 20_000_000  # numbers kept of alpha and beta together
AVERAGED = ("elbo", "log_likelihood", "kl_weights", "kl_latents", "hyperprior", "own_elbo")
FACTORS = {"population_sd": "population_factor", "transfer_width": "transfer_factor"}
"""Hyperparameters that may keep their ratios, and what tells of it."""


class ConvergenceWarning(UserWarning):
    """A fit stopped before its objective had settled."""


class UnitsWarning(UserWarning):
    """Inputs or target are far from mean 0 and sd 1 where the fit depends on it."""


class IdentificationWarning(UserWarning):
    """The rows say nothing of a weight, or nothing that they don't say of others."""


class Interval(NamedTuple):
    """What the data say of a hyperparameter: posterior mean and central 90 % interval."""

    mean: Tensor
    low: Tensor
    high: Tensor


class History:
    """What happened during `fit`: the terms at every step, alpha and beta at some of them.

    Attributes:
        method: "coordinate" or "adam".
        converged: whether the objective had settled; None where it wasn't judged.
        hyperparameters: name -> `Interval` in units of the data, of the learned ones that were
            averaged over: "noise_scale", "population_mean", "population_sd", "transfer_width";
            empty after Adam, or with `average=False`. Population sds, or widths, too many to be
            told apart kept their ratios: then "population_factor", or "transfer_factor", is what
            all means are multiplied by, and the interval of a single one says no more than that.
        draws: name -> draws of the same from their posterior, (S, ...), each as likely; the noise's
            and the population's in step with each other.
        terms: name -> list of floats, one per step: "elbo", its terms "log_likelihood",
            "kl_weights", "kl_latents", "own_elbo" (means over tasks, nats), "hyperprior", and
            "temperature".
        record_steps: the steps at which alpha and beta were recorded.
        alpha, beta: lists of tensors (T, K), before the update of that step, or after that sweep;
            beta is empty without latents.
        step: how many steps, or sweeps, have been done.
        optimizer: state of the optimiser, for resuming.
        settings: those of the model, which `fit(resume=)` compares; empty in a state of an earlier
            version, with which nothing is compared.
    """

    def __init__(self) -> None:
        self.method = ""
        self.converged: bool | None = None
        self.hyperparameters: dict[str, Interval] = {}
        self.draws: dict[str, Tensor] = {}
        self.terms: dict[str, list[float]] = {name: [] for name in (*AVERAGED, "temperature")}
        self.record_steps: list[int] = []
        self.alpha: list[Tensor] = []
        self.beta: list[Tensor] = []
        self.step = 0
        self.optimizer: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything, for `torch.save`; put it back with `load_state_dict`.

        It holds tensors, numbers and text: `torch.load(file, weights_only=True)` reads it and runs
        no code.
        """
        state = deepcopy(vars(self))
        state["hyperparameters"] = {k: tuple(v) for k, v in self.hyperparameters.items()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> History:
        """Take over what `state_dict` gave; returns self.

        Raises:
            ValueError: if it can't be that; the message names the entries that don't fit.
        """
        require(isinstance(state, dict), f"`state` must be a dict; got {type(state).__name__}")
        state = {"settings": {}, "draws": {}} | state  # which earlier versions lack
        missing = sorted(vars(self).keys() ^ state.keys())
        require(not missing, f"`state` must be what `state_dict` gave; differs in {missing}")
        wrong = sorted(name for name, value in state.items() if not _fits(name, value))
        require(not wrong, f"`state` must be what `state_dict` gave; can't be {wrong}")
        vars(self).update(deepcopy(state))
        self.hyperparameters = {k: Interval(*v) for k, v in self.hyperparameters.items()}
        return self

    def summary(self) -> str:
        """How the fit ended, and every hyperparameter with its 90 % interval, as text.

        Those that kept their ratios have one interval, of their common factor.
        """
        ended = {True: "settled", False: "stopped before it had settled", None: "not judged"}
        lines = [f"{self.method}: {self.step} steps, {ended[self.converged]}"]
        if self.step:
            lines[0] += f"; elbo {self.terms['elbo'][-1]:.4g}"
        for name, found in self.hyperparameters.items():
            rows = (t.flatten().tolist() for t in found)
            for i, (mean, low, high) in enumerate(zip(*rows, strict=True)):
                label = f"{name}[{i}]" if found.mean.numel() > 1 else name
                ends = (
                    ""
                    if FACTORS.get(name) in self.hyperparameters
                    else f"  [{low:.4g}, {high:.4g}]"
                )
                lines.append(f"{label:<22}{mean:>10.4g}{ends}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        last = f", elbo={self.terms['elbo'][-1]:.4g}" if self.step else ""
        return f"History(steps={self.step}{last})"


def _fits(name: str, value: Any) -> bool:
    """Whether a History may have this value under this name."""
    fresh = vars(History())[name]
    if name == "converged":
        return value is None or isinstance(value, bool)
    if type(value) is not type(fresh):
        return False
    if name == "terms":
        return value.keys() == fresh.keys() and all(_numbers(one) for one in value.values())
    if name == "hyperparameters":
        tensors = [one for found in value.values() for one in _three(found)]
        return all(isinstance(one, Tensor) for one in tensors)
    if name == "draws":
        return all(isinstance(one, Tensor) for one in value.values())
    if name in ("alpha", "beta"):
        return all(isinstance(one, Tensor) for one in value)
    return name != "record_steps" or _numbers(value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) for one in value)


def _three(value: Any) -> tuple[Any, ...]:
    """Mean and ends of an interval; None in place of what isn't."""
    return tuple(value) if isinstance(value, tuple | list) and len(value) == 3 else (None,)


class NonFiniteError(FloatingPointError):
    """The objective or its gradient turned NaN or infinite; `history` holds all up to then."""

    def __init__(self, message: str, history: History):
        super().__init__(message, history)
        self.history = history

    def __str__(self) -> str:
        return str(self.args[0])


def record_interval(model: MultiTaskELBO, steps: int, record: int) -> int:
    """Every how many steps alpha and beta are recorded: a power of two, so that a fit continued to
    more steps keeps what a straight one records."""
    size = model.tasks * (model.tasks + 1) * (1 if model.latent_mixing is None else 2)
    room = max(1, LARGEST_RECORD // size)
    asked = max(1, steps // record)
    needed = -(-steps // room)
    return max(2 ** (asked.bit_length() - 1), 2 ** (needed - 1).bit_length())


def thin_record(history: History, every: int) -> None:
    """Drop the records that a fit with this interval would not have made."""
    kept = [i for i, step in enumerate(history.record_steps) if step % every == 0]
    history.record_steps = [history.record_steps[i] for i in kept]
    history.alpha = [history.alpha[i] for i in kept]
    history.beta = [history.beta[i] for i in kept] if history.beta else []


def record_mixing(history: History, alpha: Tensor, beta: Tensor | None) -> None:
    """Keep alpha, and beta if there is one, at the present step."""
    history.record_steps.append(history.step)
    history.alpha.append(alpha.cpu())
    if beta is not None:
        history.beta.append(beta.cpu())


def record_terms(terms: ELBOTerms, temperature: float, history: History) -> None:
    """Keep the means over tasks of the terms."""
    values = torch.stack([getattr(terms, name).detach().mean() for name in AVERAGED]).tolist()
    for name, value in zip(AVERAGED, values, strict=True):
        history.terms[name].append(value)
    history.terms["temperature"].append(temperature)
