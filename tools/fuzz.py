"""Random shapes, dtypes and values for every public function of `vmtl_core`, drawn by hypothesis.

A call may end in two ways: finite numbers, or an error that our own code raises, whose message
names what is wrong. Everything else is a finding: torch's raw errors, NaN, infinity, a call that
doesn't end. `tools/drill.py` runs it for minutes, `tests/properties` for a second.
"""

import math
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gamma,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    Poisson,
)

import vmtl_core as vmtl

CORE = Path(vmtl.__file__).parent
EACH = 150
"""Calls of one seed."""
SLOWEST = 60
"""Seconds after which a call counts as one that doesn't end."""
OURS = (ValueError, TypeError, NotImplementedError, AttributeError, vmtl.NonFiniteError)

Kwargs = dict[str, Any]
Target = tuple[Callable[..., Any], dict[str, Any]]


def tensor(shape: list[int], dtype: torch.dtype, kind: str, number: int) -> Tensor:
    """Numbers of a kind, the same for the same arguments."""
    draw = torch.Generator().manual_seed(number)
    values = torch.randn(shape, generator=draw, dtype=torch.float64)
    if kind == "spoilt" and values.numel():
        values.view(-1)[number % values.numel()] = (math.nan, math.inf, -math.inf)[number % 3]
    elif kind == "large":
        values = values * 1e4
    elif kind == "small":
        values = values * 1e-4
    elif kind == "counts":
        values = values.abs().mul(2).floor()
    elif kind == "labels":
        values = (values > 0).double()
    return values.abs().to(dtype) if dtype == torch.uint8 else values.to(dtype)


DTYPES = [
    torch.float32,
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.complex64,
]
KINDS = ["normal", "normal", "large", "small", "counts", "labels", "spoilt"]
seeds = st.integers(0, 999)
shapes = st.lists(st.integers(0, 3), max_size=4)
tensors = st.builds(tensor, shapes, st.sampled_from(DTYPES), st.sampled_from(KINDS), seeds)


def floats(*shape: Any, kinds: list[str] = KINDS[:4]) -> st.SearchStrategy[Tensor]:
    """Mostly of this shape, entries of which may be strategies."""
    sizes = st.tuples(
        *(one if isinstance(one, st.SearchStrategy) else st.just(one) for one in shape)
    )
    made = st.builds(tensor, sizes.map(list), st.just(torch.float32), st.sampled_from(kinds), seeds)
    return st.one_of(made, made, made, made, tensors)


numbers = st.sampled_from([0.1, 0.5, 1.0, 2, 1e-3, 30.0])
odd_numbers = st.sampled_from(
    [0, -1.0, math.nan, math.inf, 1e300, 1e-300, 1e-46, 1e19, True, 2**62, 2**63, 10**30]
)
junk = st.one_of(
    st.sampled_from([None, "x", b"x", "", (), [], [1, 2], {}, object(), 1j, torch.float32, len]),
    odd_numbers,
    tensors,
)


def some(valid: st.SearchStrategy[Any], strange: st.SearchStrategy[Any] = junk) -> Any:
    """Five times of six what is asked for."""
    return st.integers(0, 5).flatmap(lambda i: strange if i == 5 else valid)


def sizes_of(least: int = 1, most: int = 3) -> Any:
    return some(st.integers(least, most))


events = some(st.sampled_from([(2,), (3,), (2, 2), (), (1,), (2, 3), (2, 1, 2)]))


def positive(t: Tensor) -> Tensor:
    return t.abs() + 0.1


def family(name: str, batch: list[int], event: int, number: int) -> Distribution:
    """One of torch's or ours, its parameters moderate."""
    loc = tensor([*batch, event], torch.float32, "normal", number)
    scale = positive(tensor([*batch, event], torch.float32, "normal", number + 1))
    check = 0 not in batch  # torch fails to check parameters of no numbers
    name = "independent" if name == "columns" and not check else name  # ours refuse them
    if name == "full":
        factor = torch.diag_embed(scale) + 0.1 * torch.ones(event, event).tril(-1)
        return MultivariateNormal(loc, scale_tril=factor, validate_args=check)
    if name == "columns":
        factor = torch.diag_embed(torch.stack([scale, scale], -2))
        return vmtl.GaussianColumns(torch.stack([loc, loc], -1), factor)
    if name == "categorical":
        return Categorical(logits=loc, validate_args=check)
    if name == "independent bernoulli":
        return Independent(Bernoulli(logits=loc, validate_args=check), 1)
    if name == "independent":
        return Independent(Normal(loc, scale, validate_args=check), 1)
    loc, scale = loc[..., 0], scale[..., 0]
    makes: dict[str, Callable[[], Distribution]] = {
        "normal": lambda: Normal(loc, scale, validate_args=check),
        "laplace": lambda: Laplace(loc, scale, validate_args=check),
        "gamma": lambda: Gamma(scale, scale, validate_args=check),
        "poisson": lambda: Poisson(scale, validate_args=check),
        "bernoulli": lambda: Bernoulli(logits=loc, validate_args=check),
    }
    return makes[name]()


NAMES = ["independent", "full", "normal", "columns", "laplace", "gamma", "poisson", "bernoulli"]
NAMES += ["categorical", "independent bernoulli"]
batches = st.sampled_from([[2], [2], [3], [1], [], [2, 3], [0]])
distributions = st.builds(family, st.sampled_from(NAMES), batches, st.integers(1, 3), seeds)
gaussians = st.builds(family, st.sampled_from(NAMES[:4]), batches, st.integers(1, 3), seeds)


def log_weights(rows: int, columns: int, number: int) -> Tensor:
    return torch.log_softmax(tensor([rows, columns], torch.float32, "normal", number), -1)


weights_of = some(st.builds(log_weights, st.integers(1, 3), st.integers(1, 3), seeds))


def table(kind: str, number: int, features: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of two tasks, for a likelihood of this kind."""
    x = tensor([rows, features], torch.float32, "normal", number)
    kinds = {"gaussian": "normal", "bernoulli": "labels", "poisson": "counts"}
    y = tensor([rows], torch.float32, kinds.get(kind, "labels"), number + 1)
    return x, y, torch.arange(rows) % 2


LIKELIHOODS: dict[str, Callable[[], Any]] = {
    "gaussian": vmtl.LinearGaussian,
    "bernoulli": vmtl.LinearBernoulli,
    "poisson": vmtl.LinearPoisson,
    "classes": vmtl.LinearCategorical,
    "function": lambda: lambda z, w: Laplace((z * w).sum(-1), 1.0),
    "mixed": lambda: [vmtl.LinearGaussian(), vmtl.LinearBernoulli()],
}
models = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([*LIKELIHOODS]),
        "latents": st.sampled_from([False, False, True]),
        "intercept": st.integers(0, 1),
        "covariance": st.sampled_from([None, "diagonal", "full"]),
        "features": st.integers(1, 3),
        "rows": st.sampled_from([4, 6, 7]),
        "number": seeds,
        "stretch": st.sampled_from([1.0, 1.0, 1.0, 1.0, 0.0, 1e4, 1e-4, 1e19, 1e-30]),
        "dtypes": st.tuples(*[st.sampled_from([torch.float32] * 4 + DTYPES[2:])] * 2),
        "spoil": st.sampled_from(["x", "y", "task", "", "", "", ""]),
        "spoilt": junk,
        "options": st.fixed_dictionaries(
            {},
            optional={
                "divergence": some(
                    st.sampled_from(["jensen", "convex", "monte_carlo", "lower_bound"])
                ),
                "sources": some(st.sampled_from(["own", "joint", "previous"])),
                "base_prior": some(
                    st.one_of(st.sampled_from([None, "standard", "learned"]), gaussians)
                ),
                "transfer": some(st.sampled_from([None, "stationary", "learned", 0.3])),
                "weight_samples": sizes_of(),
                "latent_samples": sizes_of(),
                "divergence_samples": sizes_of(),
                "temperature": some(st.sampled_from([1.0, vmtl.linear_decay(1, 0.1, 5)])),
                "hyperprior": some(st.sampled_from(["weak", None])),
                "expectation": some(st.sampled_from(["exact", "sampled"])),
                "neighbours": some(st.sampled_from([None, 0, 1, 5])),
            },
        ),
    }
)


def build(m: Kwargs) -> tuple[vmtl.MultiTaskELBO, list[Any]]:
    """A model, and a table for it, one column of which may be spoilt."""
    torch.manual_seed(0)
    kind, features = m["kind"], m["features"]
    data: list[Any] = list(table(kind, m["number"], features, m["rows"]))
    rows = features + (0 if kind == "function" else m["intercept"])
    shape = (rows, 2) if kind == "classes" else (rows,)
    latents = vmtl.GaussianEncoder(2, features, features) if m["latents"] else None
    likelihood = LIKELIHOODS[kind]()
    if kind == "mixed":
        data[1] = torch.where(data[2] == 1, (data[1] > 0).float(), data[1])
    model = vmtl.MultiTaskELBO(
        likelihood,
        vmtl.GaussianWeights(2, shape, covariance=m["covariance"]),
        latents,
        task_sizes=torch.bincount(data[2]),
        **m["options"],
    )
    data[0] = m["stretch"] * data[0]
    if kind == "poisson":  # a rate of exp(1e4) is infinite in truth
        data[0] = data[0].clamp(-3, 3)
    data[:2] = [
        (one.abs() if dtype == torch.uint8 else one).to(dtype)
        for one, dtype in zip(data[:2], m["dtypes"], strict=True)
    ]
    if m["spoil"]:
        data[("x", "y", "task").index(m["spoil"])] = m["spoilt"]
    return model, data


def objective(m: Kwargs, step: Any, validate: bool) -> Any:
    # x^2 of 1e19 is beyond float32: an objective that `fit` refuses, and a loop of the user's sees.
    model, data = build(m | {"stretch": min(m["stretch"], 1e4)})
    terms = model(*data, step=step)
    terms.loss.backward()
    return [*terms, model.alpha(), model.responsibilities(), model.weights_prior().mean]


def fitted(m: Kwargs, f: Kwargs) -> Any:
    model, data = build(m)
    x, y, task = data
    history = vmtl.fit(model, x, y, task, progress=False, **f)
    return [*model.parameters(), torch.tensor(history.terms["elbo"]), *_answers(model, m, {})]


def predicted(m: Kwargs, p: Kwargs) -> Any:
    model, _ = build(m | {"spoil": ""})
    return _answers(model, m, p)


def _answers(model: vmtl.MultiTaskELBO, m: Kwargs, p: Kwargs) -> list[Any]:
    """What a predictive is asked. `cdf`, `icdf` and `entropy` may say that they aren't there."""
    _, (x, y, task) = build(m | {"spoil": "", "options": {}})
    data = {"x": x, "task": task} | {k: p[k] for k in ("x", "task") if k in p}
    options = {"weight_samples": 5, "latent_samples": 2} | {k: p[k] for k in p if "samples" in k}
    found = vmtl.predictive(model, **data, **options)
    value = p.get("value", y)
    result = [found.mean, found.variance, found.sample(), found.log_prob(value)]
    result += vmtl.decompose_uncertainty(found)
    for ask, what in ((found.cdf, value), (found.icdf, p.get("level", 0.3))):
        try:
            result.append(ask(what))
        except NotImplementedError as error:
            if not str(error):
                raise
    return result


def weights(**options: Any) -> Any:
    q = vmtl.GaussianWeights(**options)()
    return [q.mean, q.variance, q.rsample(), q.entropy()]


def looked_at(x: Any) -> Any:
    """Finite: the model looks at its data, once, and what it calls at every step doesn't."""
    return torch.nan_to_num(x, 0.0, 0.0, 0.0) if isinstance(x, Tensor) else x


def encoded(options: Kwargs, x: Any, task: Any) -> Any:
    encoder = vmtl.GaussianEncoder(**options)
    q = encoder(looked_at(x))
    return [q.mean, q.variance]


def mixing(options: Kwargs, temperature: Any, samples: Any) -> Any:
    made = vmtl.GumbelSoftmaxMixing(**options)
    found = made.log_weights(temperature).exp(), made.expected(temperature, samples)
    return [*found, made.probabilities(), made.log_hyperprior()]


def prior(options: Kwargs, sources: Any, temperature: Any) -> Any:
    made = vmtl.WeightsPrior(**options)
    mixed = made(sources, temperature)
    return [made.log_hyperprior(), mixed.log_prob(mixed.sample())]


def base(kind: Any, event_shape: Any) -> Any:
    q = vmtl.BasePrior(kind, event_shape)()
    return [q.log_prob(q.sample())]


def mixed(components: Any, log_weights: Any) -> Any:
    p = vmtl.mixture_prior(components, log_weights)
    return [p.log_prob(p.sample())]


def joined(parts: Any) -> Any:
    q = vmtl.Concatenated(parts)
    return [q.log_prob(q.sample())]  # a Categorical's mean is NaN by torch's choice


def columns(loc: Any, factor: Any) -> Any:
    if isinstance(factor, Tensor) and factor.ndim > 1 and factor.is_floating_point():
        square = factor[..., : factor.shape[-1], :]
        if square.shape[-1] == square.shape[-2]:
            factor = torch.diag_embed(positive(square.diagonal(dim1=-2, dim2=-1)))
    q = vmtl.GaussianColumns(loc, factor)
    value = q.rsample()
    return [q.mean, q.variance, value, q.log_prob(value), q.entropy()]


def linear(kind: str, options: Kwargs, z: Any, w: Any) -> Any:
    make = {"gaussian": vmtl.LinearGaussian, "bernoulli": vmtl.LinearBernoulli}
    more = {"poisson": vmtl.LinearPoisson, "classes": vmtl.LinearCategorical}
    made = (make | more)[kind](**(options if kind == "gaussian" else {}))
    dist = made(looked_at(z), looked_at(w))
    return [dist.mean if kind != "classes" else dist.probs]


def schedule(kind: str, start: Any, end: Any, steps: Any, step: Any) -> Any:
    if kind == "constant":
        found = vmtl.constant(start)(step)
        return 0.0 if found == math.inf else found  # equal weights: a temperature may be infinite
    return getattr(vmtl, kind)(start, end, steps)(step)


def batches_of(task: Any, batch_size: Any) -> Any:
    made = vmtl.StratifiedBatches(task, batch_size)
    return [torch.tensor(rows) for _, rows in zip(range(3), made, strict=False)]


def history(state: Any) -> Any:
    return vmtl.History().load_state_dict(state).summary()


task_ids = some(st.builds(lambda n, t: torch.arange(n) % t, st.integers(1, 7), st.integers(1, 3)))
state_of = st.dictionaries(
    st.sampled_from([*vars(vmtl.History())]), st.one_of(junk, st.just({})), max_size=12
)
TARGETS: dict[str, Target] = {
    "fit": (
        fitted,
        {
            "m": models,
            "f": st.fixed_dictionaries(
                {"steps": st.sampled_from([1, 2, 3]), "tolerance": st.none()},
                optional={
                    "lr": some(numbers),
                    "batch_size": some(st.sampled_from([None, 2, 3, 9])),
                    "seed": some(seeds),
                    "record": some(st.integers(1, 3)),
                    "resume": some(st.none()),
                    "method": some(st.sampled_from(["auto", "adam", "coordinate"])),
                    "average": st.booleans(),
                },
            ),
        },
    ),
    "MultiTaskELBO": (
        objective,
        {"m": models, "step": some(st.integers(0, 9)), "validate": st.booleans()},
    ),
    "predictive": (
        predicted,
        {
            "m": models,
            "p": st.fixed_dictionaries(
                {},
                optional={
                    "x": floats(st.integers(1, 4), st.integers(1, 3)),
                    "task": st.one_of(task_ids, st.none()),
                    "weight_samples": sizes_of(),
                    "latent_samples": sizes_of(),
                    "value": tensors,
                    "level": some(st.sampled_from([0.05, 0.5, torch.tensor(0.9)])),
                },
            ),
        },
    ),
    "schedules": (
        schedule,
        {
            "kind": st.sampled_from(
                ["constant", "linear_decay", "exponential_decay", "cosine_decay"]
            ),
            "start": some(numbers),
            "end": some(numbers),
            "steps": some(st.integers(1, 99)),
            "step": some(st.integers(-5, 200)),
        },
    ),
    "gumbel_softmax": (
        vmtl.gumbel_softmax,
        {"logits": floats(st.integers(0, 3), st.integers(0, 3)), "temperature": some(numbers)},
    ),
    "GumbelSoftmaxMixing": (
        mixing,
        {
            "options": st.fixed_dictionaries(
                {"tasks": sizes_of(2, 4)},
                optional={
                    "base": some(st.booleans()),
                    "base_weight": some(st.sampled_from([0.1, 0.5, 0.9])),
                    "neighbours": some(st.sampled_from([None, 0, 1, 2, 9])),
                },
            ),
            "temperature": some(numbers),
            "samples": sizes_of(1, 9),
        },
    ),
    "pairwise_kl": (
        vmtl.pairwise_kl,
        {"q": some(distributions), "p": some(distributions), "samples": sizes_of()},
    ),
    "kl_monte_carlo": (
        vmtl.kl_monte_carlo,
        {
            "q": some(distributions),
            "p": some(distributions),
            "samples": sizes_of(),
            "stick_the_landing": st.booleans(),
        },
    ),
    "kl_to_mixture": (
        vmtl.kl_to_mixture,
        {
            "q": some(distributions),
            "components": some(distributions),
            "log_weights": weights_of,
            "method": some(st.sampled_from(["jensen", "convex", "monte_carlo", "lower_bound"])),
            "samples": sizes_of(),
        },
    ),
    "mixture_prior": (mixed, {"components": some(distributions), "log_weights": weights_of}),
    "GaussianWeights": (
        weights,
        {
            "tasks": sizes_of(2, 3),
            "event_shape": events,
            "initial_scale": some(numbers),
            "covariance": some(st.sampled_from([None, "diagonal", "full"])),
        },
    ),
    "GaussianEncoder": (
        encoded,
        {
            "options": st.fixed_dictionaries(
                {"tasks": sizes_of(2, 3), "in_features": sizes_of(), "latent_features": sizes_of()},
                optional={
                    "hidden": some(st.sampled_from([(), (3,), (2, 2)])),
                    "initial_scale": some(numbers),
                },
            ),
            "x": floats(st.integers(0, 3), st.integers(1, 3)),
            "task": task_ids,
        },
    ),
    "AmortizedWeights": (
        lambda **k: [(q := vmtl.AmortizedWeights(**k)()).mean, q.variance],
        {
            "x": floats(st.just(4), st.integers(1, 3)),
            "y": some(st.just(torch.tensor([0, 1, 0, 1]))),
            "task": some(st.just(torch.tensor([0, 0, 1, 1]))),
            "latent_features": sizes_of(),
            "hidden": some(st.sampled_from([(), (3,), (2, 2)])),
            "tasks": some(st.sampled_from([None, 2, 3])),
            "classes": some(st.sampled_from([None, 2, 3])),
        },
    ),
    "likelihoods": (
        linear,
        {
            "kind": st.sampled_from(["gaussian", "bernoulli", "poisson", "classes"]),
            "options": st.fixed_dictionaries(
                {},
                optional={
                    "scale": some(numbers),
                    "initial_scale": some(numbers),
                    "tasks": sizes_of(),
                },
            ),
            "z": floats(2, 1, 3, st.integers(1, 3), kinds=["normal", "small"]),
            "w": st.one_of(
                floats(1, 2, 3, st.integers(1, 3), kinds=["normal", "small"]),
                floats(1, 2, 3, st.integers(1, 3), 2, kinds=["normal", "small"]),
            ),
        },
    ),
    "BasePrior": (
        base,
        {
            "kind": some(st.one_of(st.sampled_from(["standard", "learned"]), distributions)),
            "event_shape": events,
        },
    ),
    "WeightsPrior": (
        prior,
        {
            "options": st.fixed_dictionaries(
                {"tasks": sizes_of(2, 3), "event_shape": events},
                optional={
                    "base_prior": some(st.sampled_from([None, "standard", "learned"])),
                    "transfer": some(st.sampled_from([None, "stationary", "learned", 0.3])),
                    "own_sources": st.booleans(),
                    "neighbours": some(st.sampled_from([None, 0, 1])),
                },
            ),
            "sources": some(distributions),
            "temperature": some(numbers),
        },
    ),
    "Concatenated": (joined, {"parts": some(st.lists(distributions, max_size=3))}),
    "GaussianColumns": (
        columns,
        {
            "loc": floats(2, st.integers(1, 3), st.integers(1, 2)),
            "factor": floats(2, st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)),
        },
    ),
    "StratifiedBatches": (batches_of, {"task": task_ids, "batch_size": sizes_of(1, 9)}),
    "decompose_uncertainty": (
        vmtl.decompose_uncertainty,
        {"predictive": st.one_of(junk, distributions)},
    ),
    "History": (history, {"state": st.one_of(junk, state_of)}),
}


class Endless(Exception):
    """A call took longer than `SLOWEST` seconds."""


def _too_long(*_: Any) -> None:
    raise Endless


def numbers_in(value: Any) -> Iterator[Tensor]:
    """Every tensor of a result."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, float | int):
        yield torch.tensor(float(value), dtype=torch.float64)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from numbers_in(one)


def own(error: BaseException) -> bool:
    """Whether our code raised it, or a call of ours handed a documented one on with a message."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    if last.filename == __file__ and last.name == "<lambda>":  # a likelihood of the user's
        return True
    return Path(last.filename).parent == CORE and isinstance(error, OURS) and bool(str(error))


def _supports_differ(kwargs: Kwargs) -> bool:
    """Whether a KL may be infinite: q has mass where p has none."""
    p = kwargs.get("p", kwargs.get("components"))
    return str(kwargs["q"].support) != str(p.support)  # type: ignore[union-attr]


def outcome(name: str, kwargs: Kwargs) -> tuple[str, str]:
    """How a call ends: "finite", "refused", or "wrong", and what it was."""
    call = TARGETS[name][0]
    signal.alarm(SLOWEST)
    try:
        result = call(**kwargs)
    except Exception as error:
        if own(error):
            return "refused", ""
        last = traceback.extract_tb(error.__traceback__)
        ours = [f for f in last if Path(f.filename).parent == CORE]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "the fuzz itself"
        text = " ".join(str(error).split())[:90]
        return "wrong", f"{name}: {type(error).__name__} in {where}: {text}"
    finally:
        signal.alarm(0)
    apart = "kl" in name and _supports_differ(kwargs)
    bad = [t for t in numbers_in(result) if not bool((torch.isfinite(t) | (apart & (t > 0))).all())]
    return ("wrong", f"{name}: not finite") if bad else ("finite", "")


def shown(value: Any) -> str:
    return " ".join(repr(value).split())[:600]


def fuzz(
    seconds: float,
    start: int = 0,
    names: list[str] | None = None,
    rounds: float = math.inf,
) -> tuple[dict[str, int], dict[str, str]]:
    """Call until the time is up.

    Args:
        seconds: of wall time.
        start: seed of what is drawn.
        names: which of `TARGETS`; all if None.
        rounds: at most so many times `EACH` calls.

    Returns:
        How many calls were "finite", "refused", "wrong", and a call for each kind of wrong.
    """
    counts = {"finite": 0, "refused": 0, "wrong": 0}
    found: dict[str, str] = {}
    end, chosen = time.monotonic() + seconds, st.sampled_from(names or [*TARGETS])
    calls = chosen.flatmap(
        lambda name: st.tuples(st.just(name), st.fixed_dictionaries(TARGETS[name][1]))
    )
    signal.signal(signal.SIGALRM, _too_long)

    def once(call: tuple[str, Kwargs]) -> None:
        if time.monotonic() > end:
            return
        name, kwargs = call
        how, what = outcome(name, kwargs)
        counts[how] += 1
        if what:
            found.setdefault(what, shown(kwargs))

    quiet = settings(
        max_examples=EACH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        round_ = 0
        while time.monotonic() < end and round_ < rounds:
            seed(start * 1_000_003 + round_)(quiet(given(calls)(once)))()
            round_ += 1
    return counts, found
