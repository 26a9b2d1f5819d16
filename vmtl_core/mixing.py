"""Mixing weights alpha and beta: Gumbel-softmax draws, and schedules of their temperature."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from vmtl_core._checks import number, one_of, positive_int, positive_number, require, room
from vmtl_core._settings import KeepsSettings
from vmtl_core.candidates import MANY

Schedule = Callable[[int], float]


def gumbel_softmax(
    logits: Tensor, temperature: float, generator: Generator | None = None
) -> Tensor:
    r"""One draw of mixing weights from the Gumbel-softmax (concrete) distribution.

    Equation (3.3):

    $$ \alpha_k = \frac{\exp((\log \pi_k + g_k) / \tau)}
                       {\sum_j \exp((\log \pi_j + g_j) / \tau)},
       \qquad g_k \sim \mathrm{Gumbel}(0, 1) $$

    The noise is -log of an Exponential(1) draw, (3.1). As tau goes to 0 this becomes the
    Gumbel-max draw of one index, (3.2).

    Args:
        logits: unnormalised log probabilities log pi, shape (..., K); `-inf` excludes an entry
            exactly.
        temperature: tau > 0. As tau goes to 0 the draw becomes one-hot, distributed as
            Categorical(pi); `math.inf` gives equal weights.
        generator: source of the randomness; the global stream if None.

    Returns:
        Weights, shape (..., K); every row sums to 1.

    Raises:
        ValueError: if `temperature` is not above 0, or `logits` has NaN or a row of `-inf` only.

    References:
        Jang, Gu, Poole, *Categorical Reparameterization with Gumbel-Softmax*, 2017.
        Maddison, Mnih, Teh, *The Concrete Distribution*, 2017.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> weights = gumbel_softmax(torch.tensor([0.0, 0.0, -torch.inf]), 0.5, draw)
        >>> bool(weights.sum().isclose(torch.tensor(1.0))), weights[2].item()
        (True, 0.0)
    """
    _check_logits(logits)
    return log_gumbel_softmax(logits, temperature, generator).exp()


def _check_logits(logits: Tensor) -> None:
    """Raise unless every row gives a probability to something."""
    real = isinstance(logits, Tensor) and logits.is_floating_point() and logits.ndim > 0
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    kind = f", {logits.dtype}" if isinstance(logits, Tensor) else ""
    require(
        real and logits.shape[-1] > 0,
        f"`logits` must be a floating-point tensor of shape (..., K), K >= 1; got {found}{kind}",
    )
    top = logits.detach().amax(-1)
    require(
        bool(torch.isfinite(top).all()),
        "`logits` must have a finite greatest entry in every row, and no NaN; "
        f"got {top[~torch.isfinite(top)].tolist()[:5]}",
    )


def log_gumbel_softmax(
    logits: Tensor, temperature: float, generator: Generator | None = None
) -> Tensor:
    """Logarithm of `gumbel_softmax`, exact where the weights themselves would underflow."""
    temperature = positive_number("temperature", temperature)
    exponential = torch.empty_like(logits).exponential_(generator=generator)
    gumbel = -exponential.clamp_min(torch.finfo(logits.dtype).tiny).log()
    return tempered_log_softmax(logits + gumbel, temperature)


def tempered_log_softmax(scores: Tensor, temperature: float) -> Tensor:
    """log softmax(scores / temperature) over the last dimension, safe for any temperature > 0.

    A temperature that the dtype of `scores` can't hold gives the limit: one-hot, or equal weights.
    """
    limits = torch.finfo(scores.dtype)
    below_top = scores - scores.amax(-1, keepdim=True).detach()
    scaled = below_top / max(temperature, limits.tiny)
    if temperature > limits.max:  # -inf / inf is NaN: an excluded entry stays excluded
        scaled = scaled.masked_fill(scores == -math.inf, -math.inf)
    return torch.log_softmax(scaled, -1)


class GumbelSoftmaxMixing(KeepsSettings):
    """Learnable mixing weights of every task's prior over the other tasks.

    `alpha[t, k]` is the weight of source k in the prior of receiver t. The diagonal is excluded
    exactly. What is learned is log pi, unconstrained.

    Args:
        tasks: T, at least 2.
        base: whether the prior has a base component; it comes last, as column T.
        base_weight: its initial weight, between 0 and 1; the other tasks share the rest equally.
        neighbours: how many other tasks a row admits; None for all. Which ones, (T, neighbours),
            is `index`: the next ids until `fit` chooses; all below are then of shape
            (T, neighbours), or one more with the base. The others' share goes to the base.

    Raises:
        ValueError: for fewer than two tasks, a `base` that is neither True nor False, or a
            `base_weight` outside (0, 1).

    Example:
        >>> GumbelSoftmaxMixing(3, base=True).probabilities().tolist()[0]
        [0.0, 0.25, 0.25, 0.5]
    """

    excluded: Tensor
    start: Tensor
    index: Tensor | None

    def __init__(
        self,
        tasks: int,
        base: bool = False,
        base_weight: float = 0.5,
        neighbours: int | None = None,
    ):
        super().__init__()
        positive_int("tasks", tasks, least=2)
        one_of("base", base, (True, False))
        inside = isinstance(base_weight, int | float) and 0 < base_weight < 1
        require(inside, f"`base_weight` must be a number in (0, 1); got {base_weight!r}")
        self.tasks, self.base, self.base_weight = tasks, bool(base), float(base_weight)
        if neighbours is not None:
            positive_int("neighbours", neighbours, least=0 if base else 1)
            neighbours = None if neighbours >= tasks - 1 else neighbours
        sources = tasks if neighbours is None else neighbours
        room("`tasks` (see `neighbours`)", tasks, sources + base)
        logits = torch.zeros(tasks, sources + base)
        if base:
            each = (1 - base_weight) / (tasks - 1)
            others = tasks - 1 if neighbours is None else neighbours
            logits[:, -1] = math.log((1 - others * each) / each)
        self.register_buffer("start", logits.clone(), persistent=False)
        self.logits = nn.Parameter(logits)
        if neighbours is None:
            excluded = torch.eye(tasks, tasks + base, dtype=torch.bool)
        else:
            excluded = torch.zeros_like(logits, dtype=torch.bool)
        self.register_buffer("excluded", excluded, persistent=False)
        ring = None
        if neighbours is not None:
            ring = (torch.arange(tasks)[:, None] + torch.arange(1, neighbours + 1)) % tasks
        self.register_buffer("index", ring)

    def settings(self) -> dict[str, Any]:
        """What `state_dict` carries beside the parameters."""
        return {"base": self.base, "base_weight": self.base_weight if self.base else None}

    def columns(self) -> Tensor | None:
        """Which component each entry of a row is of, (T, K), the base as T; None where all are."""
        if self.index is None or not self.base:
            return self.index
        return torch.cat([self.index, torch.full_like(self.logits[:, :1], self.tasks).long()], 1)

    @torch.no_grad()
    def choose(self, index: Tensor) -> None:
        """Take other sources, (T, neighbours); those that stay keep their logits, others begin anew."""
        assert self.index is not None
        count = self.index.shape[1]
        same = index.unsqueeze(2) == self.index.unsqueeze(1)
        kept = torch.where(same, self.logits[:, None, :count], 0.0).sum(-1)
        self.logits[:, :count] = torch.where(same.any(-1), kept, self.start[:, :count])
        self.index.copy_(index)

    def dense(self, values: Tensor) -> Tensor:
        """Entries of every row, (T, K), in the columns of their sources: (T, T), or (T, T + 1)."""
        columns = self.columns()
        if columns is None:
            return values
        return values.new_zeros(self.tasks, self.tasks + self.base).scatter(1, columns, values)

    def kept(self, values: Tensor) -> Tensor:
        """What a `History` keeps of (T, K) entries: `dense`, but of many tasks' neighbours as they are."""
        return values if self.index is not None and self.tasks > MANY else self.dense(values)

    def masked_logits(self) -> Tensor:
        """log pi up to a constant in each row, shape (T, K); `-inf` on the diagonal."""
        return self.logits.masked_fill(self.excluded, -math.inf)

    def log_weights(self, temperature: float, generator: Generator | None = None) -> Tensor:
        """Logarithm of one Gumbel-softmax draw of every row, shape (T, K). Equation (3.3)."""
        return log_gumbel_softmax(self.masked_logits(), temperature, generator)

    def log_probabilities(self) -> Tensor:
        """log pi, shape (T, K), normalised over each row."""
        return torch.log_softmax(self.masked_logits(), -1)

    def probabilities(self) -> Tensor:
        """pi, shape (T, K): the law of the one-hot draw at temperature zero."""
        return self.log_probabilities().exp()

    def expected(
        self, temperature: float, samples: int = 1000, generator: Generator | None = None
    ) -> Tensor:
        r"""Mean of `samples` Gumbel-softmax draws, shape (T, K).

        Equation (3.4): $\mathbb{E}[\alpha_{tk}]$ under the draw of (3.3). It equals pi only as the
        temperature goes to 0; a higher temperature pulls it towards equal weights.
        """
        positive_int("samples", samples)
        room("`samples`", samples, *self.logits.shape)
        logits = self.masked_logits().expand(samples, -1, -1)
        return gumbel_softmax(logits, temperature, generator).mean(0)

    def log_hyperprior(self) -> Tensor:
        """Sum over the admitted entries of log N(logit; its start, 1), a scalar."""
        away = (self.logits - self.start).masked_fill(self.excluded, 0.0)
        return log_normal_density(away, entries=away.numel() - int(self.excluded.sum()))


def log_normal_density(value: Tensor, scale: float = 1.0, entries: int | None = None) -> Tensor:
    """Sum of log N(value; 0, scale^2); `entries` is how many there are, the rest being masked, 0."""
    constant = math.log(scale) + 0.5 * math.log(2 * math.pi)
    count = value.numel() if entries is None else entries
    return -0.5 * (value / scale).square().sum() - constant * count


def constant(value: float) -> Schedule:
    """A schedule that stays at `value`.

    Example:
        >>> constant(0.5)(1000)
        0.5
    """
    return partial(_constant, positive_number("value", value))


def as_schedule(name: str, value: float | Schedule) -> Schedule:
    """A schedule as it is; a number above 0 as one that stays."""
    return value if callable(value) else partial(_constant, positive_number(name, value))


def linear_decay(start: float, end: float, steps: int) -> Schedule:
    """A straight line from `start` at step 0 to `end` at step `steps`, then flat. Equation (3.5).

    Example:
        >>> linear_decay(1.0, 0.5, steps=10)(5)
        0.75
    """
    return _decay(_linear, start, end, steps)


def exponential_decay(start: float, end: float, steps: int) -> Schedule:
    """A constant ratio per step from `start` at step 0 to `end` at step `steps`, then flat.

    Equation (3.5).

    Example:
        >>> round(exponential_decay(1.0, 0.01, steps=10)(5), 6)
        0.1
    """
    return _decay(_exponential, start, end, steps)


def cosine_decay(start: float, end: float, steps: int) -> Schedule:
    """Half a cosine wave from `start` at step 0 to `end` at step `steps`, then flat.

    Equation (3.5).

    Example:
        >>> cosine_decay(1.0, 0.5, steps=10)(5)
        0.75
    """
    return _decay(_cosine, start, end, steps)


def _decay(shape: Callable[..., float], start: float, end: float, steps: int) -> Schedule:
    for name, value in (("start", start), ("end", end)):
        require(math.isfinite(positive_number(name, value)), f"`{name}` must be finite; got inf")
    ratio = float(end) / float(start)
    require(0 < ratio < math.inf, f"`end` / `start` must be within the floats; got {ratio:g}")
    return partial(shape, float(start), float(end), positive_int("steps", steps))


def _constant(value: float, step: int) -> float:
    return value


def _done(step: int, steps: int) -> float:
    """How much of a decay is done at a step, 0...1."""
    found = number("step", step)
    if found != found:  # no `require`: under torch.compile a number may have no text
        raise ValueError("`step` must be a number; got NaN")
    return min(max(found / steps, 0.0), 1.0)


def _linear(start: float, end: float, steps: int, step: int) -> float:
    return start + (end - start) * _done(step, steps)


def _exponential(start: float, end: float, steps: int, step: int) -> float:
    return start * (end / start) ** _done(step, steps)


def _cosine(start: float, end: float, steps: int, step: int) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * _done(step, steps)))
