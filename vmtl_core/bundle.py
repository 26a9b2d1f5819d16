"""One set of posteriors with its likelihood: what the ELBO and the predictive both draw from."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vmtl_core._checks import require, room
from vmtl_core._precision import full_precision, outside_autocast, single
from vmtl_core._settings import KeepsSettings
from vmtl_core._unseen import trainable_names
from vmtl_core.distributions import as_batch, map_parameters

Encodings = Callable[[], Distribution | None]


class Bundle(nn.Module):
    """q(w|D_t), q(z|x, D_t) and p(y|z, w) of all tasks, as the user gave them.

    Args:
        tasks: T.
        likelihood: callable, or a list of one per task.
        weights: callable, Distribution of batch shape (T,), or a list of T Distributions.
        latents: callable x -> Distribution of batch shape (T, B), or None for z = x.
        prefix: "own_" for the second set, in messages.
    """

    def __init__(self, tasks: int, likelihood: Any, weights: Any, latents: Any, prefix: str = ""):
        super().__init__()
        self.tasks, self.weights, self.latents, self.prefix = tasks, weights, latents, prefix
        if isinstance(likelihood, list | tuple | nn.ModuleList):
            likelihood = list(likelihood)
            require(
                len(likelihood) == tasks,
                f"`{prefix}likelihood` must be one callable or a list of {tasks}, one per task; "
                f"got {len(likelihood)}",
            )
            self.likelihood_modules = nn.ModuleList(  # so that their parameters are registered
                one for one in likelihood if isinstance(one, nn.Module)
            )
        wrong = [one for one in _as_list(likelihood) if not callable(one)]
        require(
            not wrong,
            f"`{prefix}likelihood` must be a callable (z, w) -> Distribution, or a list of one per "
            f"task; got {wrong[:1]}",
        )
        classes = [
            one.__name__
            for one in _as_list(likelihood)
            if isinstance(one, type) and issubclass(one, nn.Module)
        ]
        require(
            not classes,
            f"`{prefix}likelihood` must be an object; got a class: call it, {''.join(classes[:1])}()",
        )
        require(
            latents is None or callable(latents),
            f"`{prefix}latents` must be a callable x -> Distribution of batch shape (T, B), or "
            f"None; got {type(latents).__name__}",
        )
        if hasattr(latents, "own_rows"):
            found = getattr(latents, "tasks", tasks)
            require(found == tasks, f"`{prefix}latents` must be of {tasks} tasks; got {found}")
        self.likelihood = likelihood

    def twin(self, likelihood: Any, weights: Any, latents: Any) -> "Bundle":
        """A second set with parameters of its own: what is given here, copies for the rest."""
        memo: dict[int, Any] = {}  # one for all, so that what two of them share stays shared
        own_likelihood = likelihood
        if likelihood is None:
            own_likelihood = _twin(self.likelihood, "likelihood", memo)
        own = Bundle(
            self.tasks,
            own_likelihood,
            _copy(self.weights, weights, "weights", memo),
            _copy(self.latents, latents, "latents", memo),
            prefix="own_",
        )
        _check_nothing_shared(self, own)
        return own

    def distinct_likelihoods(self) -> list[Any]:
        """The likelihoods, each once."""
        return list({id(one): one for one in _as_list(self.likelihood)}.values())

    def kinds(self) -> list[str]:
        """The likelihoods by name, with their settings: one, or one a task. Functions are alike."""
        return [_kind(one) for one in _as_list(self.likelihood)]

    def q_weights(self) -> Distribution:
        """q(w|D_t), batch shape (T,)."""
        given = self.weights
        is_function = callable(given) and not isinstance(given, Distribution)
        return as_batch(given() if is_function else given, self.tasks, f"{self.prefix}weights")

    def q_latents(self, x: Tensor) -> Distribution | None:
        """q(z|x_n, D_k) of every row under every task, batch shape (B, T); None for z = x."""
        if self.latents is None:
            return None
        q = self.latents(x)
        wanted = (self.tasks, len(x))
        found = tuple(q.batch_shape) if isinstance(q, Distribution) else type(q).__name__
        require(
            found == wanted,
            f"`{self.prefix}latents` must return a Distribution of batch shape (T, B) = {wanted}; "
            f"got {found}",
        )
        return map_parameters(q, lambda t: single(t).transpose(0, 1))

    def encode(
        self, x: Tensor, task: Tensor, sources: Tensor | None = None
    ) -> tuple[Distribution | None, Encodings]:
        """Each row under its own task, batch shape (B,), and a function that gives it under others.

        Latents with a method `own_rows(x, task)` are spared what isn't asked for.

        Args:
            x, task: rows, and whose they are.
            sources: under which tasks the function gives each row, (B, K), for batch shape (B, K);
                None for all of them, `q_latents(x)`.
        """
        if hasattr(self.latents, "own_rows"):
            own = self.latents.own_rows(x, task)
            if sources is None:
                return own, lambda: self.q_latents(x)
            return own, lambda: self._under(x, sources)
        every = self.q_latents(x)
        if every is None:
            return None, lambda: None
        if sources is None:
            return own_rows(every, task), lambda: every
        rows = torch.arange(len(task), device=task.device).unsqueeze(1)
        chosen = map_parameters(every, lambda t: t[rows, sources])
        return own_rows(every, task), lambda: chosen

    def _under(self, x: Tensor, sources: Tensor) -> Distribution:
        """q(z|x_n, D_k) of every row under a few tasks, (B, K)."""
        shape = sources.shape
        flat = self.latents.own_rows(x.repeat_interleave(shape[1], 0), sources.flatten())
        return map_parameters(flat, lambda t: t.unflatten(0, shape))


def own_rows(q_latents: Distribution, task: Tensor) -> Distribution:
    """Each row's own task out of batch shape (B, T): batch shape (B,)."""
    rows = torch.arange(len(task), device=task.device)
    return map_parameters(q_latents, lambda t: t[rows, task])


def draw(
    q_weights: Distribution,
    q_latents: Distribution | None,
    x: Tensor,
    task: Tensor,
    weight_samples: int,
    latent_samples: int,
) -> tuple[Tensor, Tensor]:
    """Samples gathered per row: z (L, 1, B, ...) and w (1, M, B, ...); z = x without latents.

    `q_weights` has batch shape (T,), `q_latents` (B,), each row under its own task.
    """
    grid = (latent_samples if q_latents is not None else 1), weight_samples, len(task)
    room("`weight_samples` and `latent_samples`", *grid, *q_weights.event_shape)
    w = rsample(q_weights, weight_samples, "weights")[:, task].unsqueeze(0)
    full_precision("weights", w.dtype)
    z = x[None] if q_latents is None else rsample(q_latents, latent_samples, "latents")
    return z.to(w.dtype).unsqueeze(1), w


@outside_autocast
def rsample(q: Distribution, samples: int, name: str) -> Tensor:
    """Reparameterised draws; plain ones where no gradient is recorded."""
    require(
        q.has_rsample or not torch.is_grad_enabled(),
        f"`{name}` must have a reparameterised sampler, since its parameters are fitted by "
        f"pathwise gradients; {type(q).__name__} has none",
    )
    return (q.rsample if q.has_rsample else q.sample)(Size((samples,)))


def _as_list(likelihood: Any) -> list[Any]:
    return likelihood if isinstance(likelihood, list) else [likelihood]


def _kind(likelihood: Any) -> str:
    name = type(likelihood).__name__
    if not isinstance(likelihood, KeepsSettings):
        return name
    return f"{name}({', '.join(f'{k}={v}' for k, v in likelihood.settings().items())})"


def as_rows(x: Tensor) -> Tensor:
    """Inputs (N,) become one feature, (N, 1); all others stay."""
    return x.unsqueeze(-1) if x.ndim == 1 else x


def _copy(given: Any, own: Any, name: str, memo: dict[int, Any]) -> Any:
    """The own-data twin of the module that makes the posteriors."""
    if own is not None or given is None:
        require(
            own is None or own is not given,
            f"`own_{name}` must be a second one with parameters of its own; got `{name}` itself",
        )
        return own
    require(
        isinstance(given, nn.Module),
        f"`sources='own'` copies `{name}`, which must then be a torch module; got "
        f"{type(given).__name__}: pass `own_{name}=`, a second one with parameters of its own, or "
        "choose another `sources`",
    )
    return _twin(given, name, memo)


def _twin(given: Any, name: str, memo: dict[int, Any]) -> Any:
    """A deep copy, with a warning where a function in it is shared, as functions can't be copied."""
    shared = sorted(trainable_names(given))
    if shared:
        warnings.warn(
            f"`{name}` holds a function that uses the trainable {', '.join(shared)}; "
            f"`sources='own'` copies modules, not functions, so both sets of posteriors share it: "
            f"make it a parameter of a module, or pass `own_{name}=`",
            stacklevel=5,
        )
    try:
        return deepcopy(given, memo)
    except Exception as error:
        raise ValueError(
            f"`sources='own'` copies `{name}`, and {type(given).__name__} can't be copied "
            f"({error}): pass `own_{name}=`, a second one with parameters of its own, use "
            "`torch.nn.utils.parametrizations` in place of old hooks and keep no computed tensor "
            "as an attribute, or choose another `sources`"
        ) from error


def _check_nothing_shared(first: Bundle, own: Bundle) -> None:
    """Raise if the own-data set would be fitted by parameters of the first set."""
    mine = {id(p) for p in first.parameters() if p.requires_grad}
    both = [name for name, p in own.named_parameters() if id(p) in mine]
    require(
        not both,
        "`own_weights`, `own_latents` and `own_likelihood` must have parameters of their own; "
        f"{both[:5]} are in the first set too",
    )
