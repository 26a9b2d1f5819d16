"""fit(): seeds, stopping and resuming, what it optimises, what it records."""

import io
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

import vmtl_core as vmtl
import vmtl_core.adam
import vmtl_core.coordinate
from vmtl_core.averaging import FIELDS
from vmtl_core.closed_form import moved

SIZES = [4, 9, 6]
TASKS, INPUTS = len(SIZES), 3


def table(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """A regression table, rows in random order."""
    draw = torch.Generator().manual_seed(7)
    task = torch.arange(TASKS).repeat_interleave(torch.tensor(SIZES))
    task = task[torch.randperm(len(task), generator=draw)]
    x = torch.randn(len(task), INPUTS, generator=draw, dtype=dtype)
    y = x.sum(-1) + task + 0.1 * torch.randn(len(task), generator=draw, dtype=dtype)
    return x, y, task


def build(encoded: bool = False, **options: Any) -> vmtl.MultiTaskELBO:
    """The same start at every call."""
    torch.manual_seed(3)
    defaults: dict[str, Any] = {
        "likelihood": vmtl.LinearGaussian(),
        "weights": vmtl.GaussianWeights(TASKS, (2 + 1 if encoded else INPUTS,)),
        "latents": vmtl.GaussianEncoder(TASKS, INPUTS, 2, hidden=(4,)) if encoded else None,
        "task_sizes": SIZES,
        "weight_samples": 2,
        "latent_samples": 2,
    }
    return vmtl.MultiTaskELBO(**({"sources": "own"} | defaults | options)).double()


ADAM: dict[str, Any] = {"method": "adam", "tolerance": None, "lr": 0.03}
METHODS = pytest.mark.parametrize("method", ["adam", "coordinate"])


def fit(model: vmtl.MultiTaskELBO, steps: int = 12, **options: Any) -> vmtl.History:
    """By Adam unless `method` says otherwise, and so short that nothing judges it."""
    return vmtl.fit(model, *table(), steps=steps, progress=False, **(ADAM | options))


def same(a: vmtl.MultiTaskELBO, b: vmtl.MultiTaskELBO) -> bool:
    """Bitwise equal parameters."""
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize(
    "options", [{}, {"batch_size": 8}, {"method": "coordinate"}], ids=["full", "batches", "closed"]
)
def test_seed_fixes_the_numbers(options: dict[str, Any]) -> None:
    first, second, third = build(), build(), build()
    a = fit(first, **options, seed=5)
    torch.rand(11)  # what happened before, in the global stream, is of no consequence
    b = fit(second, **options, seed=5)
    c = fit(third, **options, seed=6)
    assert same(first, second)
    assert a.terms == b.terms
    assert all(
        torch.equal(p, q)
        for p, q in zip(first.average.buffers(), second.average.buffers(), strict=True)
    )
    assert not same(first, third)
    assert a.terms["elbo"] != c.terms["elbo"]


@METHODS
def test_global_stream_stays_as_it_was(method: str) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    model = build()
    torch.manual_seed(1)
    fit(model, method=method)
    assert torch.equal(torch.rand(3), expected)


@METHODS
def test_a_second_fit_starts_afresh(method: str) -> None:
    """On other data in between, too: nothing of an earlier fit is left in the next one."""
    model, fresh = build(), build()
    expected = fit(fresh, method=method)
    x, y, task = table()
    vmtl.fit(
        model, 3 * x + 1, 5 - 2 * y, task, steps=9, progress=False, **(ADAM | {"method": method})
    )
    assert not same(model, fresh)
    assert fit(model, method=method).terms == expected.terms
    assert same(model, fresh)


def test_adam_after_the_closed_form_and_back() -> None:
    """Each is as if the other had never been."""
    adam, closed, model = build(), build(), build()
    fit(adam), fit(closed, method="coordinate")
    for method, fresh in (("coordinate", closed), ("adam", adam), ("coordinate", closed)):
        fit(model, method=method)
        assert same(model, fresh)
        assert len(model.average) == len(fresh.average)


@pytest.mark.parametrize("latents", [False, True], ids=["inputs", "latents"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 8},
        {"lr": vmtl.cosine_decay(0.1, 0.001, 12)},
        {"batch_size": 8, "lr": vmtl.linear_decay(0.1, 0.01, 9), "seed": 2},
        {"method": "coordinate"},
        {"method": "coordinate", "seed": 2, "average": False},
    ],
    ids=["full", "batches", "schedule", "both", "closed", "closed without average"],
)
def test_stop_and_resume_is_bitwise_the_same(options: dict[str, Any], latents: bool) -> None:
    """Through torch.save, into a fresh model and a fresh history, twice."""
    closed = options.get("method") == "coordinate"
    if latents and closed:
        pytest.skip("the closed form has no latents")
    # the closed form's temperature is that of the last step
    temperature = 0.6 if closed else vmtl.exponential_decay(1.0, 0.1, 10)
    whole = build(latents, temperature=temperature)
    expected = fit(whole, 12, **options)
    model, history = build(latents, temperature=temperature), None
    for steps in (5, 9, 12):
        history = fit(model, steps, resume=history, **options)
        stored = io.BytesIO()
        torch.save({"model": model.state_dict(), "history": history.state_dict()}, stored)
        stored.seek(0)
        loaded = torch.load(stored, weights_only=True)
        model = build(latents, temperature=temperature)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        model.load_state_dict(loaded["model"])
        history = vmtl.History().load_state_dict(loaded["history"])
    assert history is not None
    assert history.step == 12
    assert same(model, whole)
    assert history.terms == expected.terms
    assert history.record_steps == expected.record_steps
    for name, value in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@METHODS
def test_resuming_twice_from_one_state_gives_the_same(method: str) -> None:
    """A state dict is a copy: going on from it changes neither it nor its history."""
    model = build()
    history = fit(model, 5, method=method)
    state, start = history.state_dict(), deepcopy(model.state_dict())
    results = []
    for _ in range(2):
        again = build()
        again.load_state_dict(start)
        resumed = fit(again, 10, method=method, resume=vmtl.History().load_state_dict(state))
        results.append((resumed.terms, [p.clone() for p in again.parameters()]))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(p, q) for p, q in zip(results[0][1], results[1][1], strict=True))
    assert history.step == len(history.terms["elbo"]) == 5


def test_a_state_goes_to_where_the_table_is() -> None:
    """A closed-form fit's history is read from a file on the CPU; a GPU's fit takes it along."""
    history = fit(build(), 2, method="coordinate")
    packed = moved(history.optimizer, torch.device("meta"))["coordinate"]
    tensors = [one for name in ("own", "own_site", "state") for one in packed[name]]
    assert {one.device.type for one in tensors if one is not None} == {"meta"}
    assert packed["objective"] == history.optimizer["coordinate"]["objective"]


def test_interrupted_fit_can_be_resumed() -> None:
    """Ctrl-C inside a resumed fit leaves history and model in step."""
    whole = build()
    expected = fit(whole, 10)
    model = build()
    history = fit(model, 3)

    def rate(step: int) -> float:
        if step == 6 and history.step == 6 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return 0.03

    interrupted: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        fit(model, 10, lr=rate, resume=history)
    assert history.step == 6
    fit(model, 10, lr=rate, resume=history)
    assert same(model, whole)
    assert history.terms == expected.terms


@METHODS
def test_an_interrupt_keeps_the_history(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a fit that nobody holds the history of: the exception has it, to be resumed."""
    model, whole, calls = build(), build(), []
    expected = fit(whole, method=method)
    owner: Any = vmtl_core.adam if method == "adam" else vmtl_core.coordinate.Ascent
    name = "record_terms" if method == "adam" else "sweep"
    original = getattr(owner, name)

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt) as found:
        fit(model, method=method)
    history = found.value.history  # type: ignore[attr-defined]
    assert history.step == len(history.terms["elbo"]) == 3
    monkeypatch.undo()
    fit(model, method=method, resume=history)
    assert same(model, whole)
    assert history.terms == expected.terms


def test_history_holds_every_term() -> None:
    model = build(True, temperature=vmtl.linear_decay(2.0, 1.0, 10))
    history = fit(model, 20, record=5)
    assert set(history.terms) == {
        "elbo",
        "log_likelihood",
        "kl_weights",
        "kl_latents",
        "hyperprior",
        "own_elbo",
        "temperature",
    }
    assert all(len(values) == 20 for values in history.terms.values())
    assert history.terms["temperature"][:3] == pytest.approx([2.0, 1.9, 1.8])
    names = ("log_likelihood", "kl_weights", "kl_latents", "hyperprior")
    for elbo, ll, kl_w, kl_z, hyper in zip(
        history.terms["elbo"], *(history.terms[name] for name in names), strict=True
    ):
        assert elbo == pytest.approx(ll - kl_w - kl_z + hyper)
    assert history.record_steps == [0, 4, 8, 12, 16, 19]
    assert len(history.alpha) == len(history.beta) == 6
    assert history.alpha[0].shape == (TASKS, TASKS + 1)
    torch.testing.assert_close(history.alpha[0], build(True).alpha())
    assert repr(history).startswith("History(steps=20, elbo=")


def test_history_without_latents_has_no_beta() -> None:
    assert fit(build(), 3).beta == []


def test_progress_bar_goes_to_stderr_and_can_be_off(capfd: pytest.CaptureFixture[str]) -> None:
    fit(build())
    assert capfd.readouterr() == ("", "")
    vmtl.fit(build(), *table(), steps=3, **ADAM)
    out, err = capfd.readouterr()
    assert out == ""
    assert "fit" in err
    assert "3/3" in err


class Encoder(nn.Module):
    """A user's encoder: one network for all tasks, q(z|x, D_t) = N(f(x) + b_t, I s^2)."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(INPUTS, 2)
        self.shift = nn.Parameter(torch.zeros(TASKS, 1, 2))

    def forward(self, x: Tensor) -> Distribution:
        loc = self.network(x) + self.shift
        return Independent(Normal(loc, torch.full_like(loc, 0.1)), 1)


class Weights(nn.Module):
    """A user's posterior of w."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(TASKS, features))

    def forward(self) -> Distribution:
        return Independent(Normal(self.loc, torch.full_like(self.loc, 0.2)), 1)


class Likelihood(nn.Module):
    """A user's regression with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        return Normal((z * w).sum(-1) + self.bias, 1.0)


def plain(z: Tensor, w: Tensor) -> Distribution:
    return Normal((z * w).sum(-1), 1.0)


LIKELIHOODS: dict[str, Callable[[], Any]] = {
    "one": Likelihood,
    "list": lambda: [Likelihood() for _ in range(TASKS)],
    "module list": lambda: nn.ModuleList(Likelihood() for _ in range(TASKS)),
    "modules and functions": lambda: [Likelihood(), plain, Likelihood()],
}


@pytest.mark.parametrize("sources", ["own", "joint"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS.keys())
def test_user_modules_are_registered_and_move(likelihood: Callable[[], Any], sources: str) -> None:
    """model.parameters() is all there is to optimise: every parameter of theirs, once, moves."""
    given, encoder, weights = likelihood(), Encoder(), Weights(2)
    model = build(likelihood=given, latents=encoder, weights=weights, sources=sources)
    modules = [one for one in (given if isinstance(given, list) else [given]) if one is not plain]
    theirs = [p for module in (encoder, weights, *modules) for p in module.parameters()]
    registered = list(model.parameters())
    assert {id(p) for p in theirs} <= {id(p) for p in registered}
    assert len({id(p) for p in registered}) == len(registered)
    twins = 2 if sources == "own" else 1
    prior = sum(1 for _ in model.prior.parameters()) + 1  # and beta
    assert len(registered) == twins * len(theirs) + prior
    before = [p.detach().clone() for p in registered]
    fit(model, 3)
    assert all(not torch.equal(p, old) for p, old in zip(registered, before, strict=True))
    buffers = {
        name for name in model.state_dict() if name.startswith("average.") or "_extra_" in name
    }
    assert set(model.state_dict()) - buffers == {name for name, _ in model.named_parameters()}


def leaves() -> tuple[list[Tensor], list[Distribution]]:
    """T Distributions whose parameters are the user's."""
    locs = [torch.zeros(INPUTS, dtype=torch.float64, requires_grad=True) for _ in range(TASKS)]
    ones = torch.ones(INPUTS, dtype=torch.float64)
    return locs, [Independent(Normal(loc, ones), 1) for loc in locs]


@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
def test_plain_list_of_distributions(sources: str) -> None:
    """The original interface: the user's own optimiser has his parameters and the model's."""
    locs, given = leaves()
    own_locs, own = leaves()
    model = build(weights=given, sources=sources, own_weights=own if sources == "own" else None)
    assert not {id(p) for p in model.parameters()} & {id(p) for p in locs}
    used = [*locs, *(own_locs if sources == "own" else [])]
    optimizer = torch.optim.Adam([*used, *model.parameters()], lr=0.05)
    losses = []
    for step in range(60):
        optimizer.zero_grad()
        loss = model(*table(), step=step).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.85 * sum(losses[:10])
    assert all(loc.detach().abs().max() > 0.1 for loc in used)


def test_fit_leaves_plain_distributions_to_the_user() -> None:
    """Also where their parameters are computed from others, once: fit fits the rest, and says so."""
    raw = torch.zeros(TASKS, INPUTS, dtype=torch.float64, requires_grad=True)
    given = [Independent(Normal(raw[t], raw[t].exp()), 1) for t in range(TASKS)]
    model = build(weights=given, sources="joint")
    with pytest.warns(UserWarning, match=r"a tensor of shape \(3, 3\), which no module"):
        history = fit(model, 5)
    assert history.step == 5
    assert raw.grad is None
    assert not same(model, build(weights=given, sources="joint"))


def test_fit_with_a_parameter_out_of_use() -> None:
    weights = Weights(INPUTS)
    weights.spare = nn.Parameter(torch.ones(2))
    model = build(weights=weights)
    fit(model, 2)
    assert torch.equal(weights.spare, torch.ones(2).double())


@pytest.mark.parametrize("batch_size", [3, 5, 8, 15, 19, 100])
def test_batches_are_stratified(batch_size: int) -> None:
    """Every task in every batch, in proportion to its size, every row equally often."""
    task = table()[2]
    batches = vmtl.StratifiedBatches(task, batch_size)
    share = min(batch_size / sum(SIZES), 1.0)
    wanted = [max(1, int(size * share)) for size in SIZES]
    seen = torch.zeros(len(task))
    for _ in range(400):
        rows = batches.draw()
        assert len(rows.unique()) == len(rows)
        assert torch.bincount(task[rows], minlength=TASKS).tolist() == wanted
        seen[rows] += 1
    rate = torch.tensor([want / size for want, size in zip(wanted, SIZES, strict=True)])[task]
    error = (rate * (1 - rate) / 400).sqrt()
    assert ((seen / 400 - rate).abs() <= 5.5 * error + 1e-9).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("latents", "method"),
    [(False, "adam"), (True, "adam"), (False, "coordinate")],
    ids=["inputs", "latents", "closed"],
)
def test_dtypes(dtype: torch.dtype, latents: bool, method: str) -> None:
    """All results in the model's dtype, whatever the data's."""
    model = build(latents).to(dtype)
    for data in (torch.float32, torch.float64):
        x, y, task = table(data)
        terms = model(x, y, task)
        assert {getattr(terms, name).dtype for name in terms._fields} == {dtype}
        assert terms.elbo.dtype == dtype
        options = ADAM | {"method": method}
        vmtl.fit(model, x, y, task, steps=3, progress=False, **options)
        assert vmtl.predictive(model, x, task).mean.dtype == dtype
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert {getattr(model.average, name).dtype for name in FIELDS} == {dtype}


def test_float32_and_float64_agree() -> None:
    """Posteriors far from their start and from each other: the same KLs and densities."""
    double = build(True)
    with torch.no_grad():
        for parameter in double.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    single = deepcopy(double).float()
    x = table()[0]
    for a, b in zip(*(compared(m, x) for m in (double, single)), strict=True):
        assert (a.dtype, b.dtype) == (torch.float64, torch.float32)
        assert a.abs().max() > 0.1
        torch.testing.assert_close(a.float(), b, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def compared(model: vmtl.MultiTaskELBO, x: Tensor) -> list[Tensor]:
    """What a model says, without draws."""
    q, latents = model.q_weights(), model.posteriors.latents
    z = latents(x.to(q.mean.dtype))
    kl = vmtl.pairwise_kl(q, q)
    return [q.mean, q.stddev, kl, z.mean, z.stddev, model.weights_prior().mean, model.alpha()]


def test_integer_targets_and_inputs() -> None:
    """Labels and counts as they come out of a table."""
    x, y, task = table()
    model = build(True, likelihood=vmtl.LinearBernoulli())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vmtl.UnitsWarning)  # five times as wide as standard units
        history = vmtl.fit(
            model, (5 * x).long(), (y > 1).long(), task, steps=2, progress=False, **ADAM
        )
    assert history.step == 2


@METHODS
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32])
def test_task_columns_of_any_integer(method: str, dtype: torch.dtype) -> None:
    """The same numbers whatever integers the ids come in."""
    x, y, task = table()
    model, other = build(), build()
    fit(other, 4, method=method)
    options = ADAM | {"method": method}
    vmtl.fit(model, x, y, task.to(dtype), steps=4, progress=False, **options)
    assert same(model, other)


def test_sizes_as_numpy_counts_them() -> None:
    import numpy as np

    assert build(task_sizes=np.bincount(table()[2].numpy())).task_sizes.tolist() == SIZES
