"""Few sources a task, for z as for w: the same numbers as among all, at the cost of the few."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Module
from torch.utils._python_dispatch import TorchDispatchMode

import vmtl_core as vmtl
from vmtl_core.mixing import GumbelSoftmaxMixing

T, K, FEATURES, LATENTS = 6, 2, 5, 3


class Callable(Module):
    """An encoder that gives every row under every task, and nothing more."""

    def __init__(self, inner: vmtl.GaussianEncoder):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return self.inner(x)


def model(neighbours: int | None, plain: bool = False, **options: Any) -> vmtl.MultiTaskELBO:
    torch.manual_seed(5)
    encoder: Any = vmtl.GaussianEncoder(T, FEATURES, LATENTS, hidden=(4,))
    made = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(T, (LATENTS + 1,)),
        Callable(encoder) if plain else encoder,
        task_sizes=[3] * T,
        neighbours=neighbours,
        **options,
    )
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in sorted(made.named_parameters(), key=lambda pair: pair[0]):
            if not name.endswith("logits"):
                p.add_(0.4 * torch.randn(p.shape, generator=draw))
    return made


def data(rows: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    task = torch.arange(T).repeat(rows)
    return (
        torch.randn(T * rows, FEATURES, generator=draw),
        torch.randn(T * rows, generator=draw),
        task,
    )


def silent(self: GumbelSoftmaxMixing, temperature: float, generator: Any = None) -> Tensor:
    return self.log_probabilities()


def only(mixing: GumbelSoftmaxMixing, few: GumbelSoftmaxMixing) -> None:
    """Logits of all sources that give the few theirs, and the others nothing."""
    columns = few.columns()
    assert columns is not None
    with torch.no_grad():
        mixing.logits.fill_(-1e4).scatter_(1, columns, few.logits)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("base_prior", ["learned", None])
@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
def test_the_terms_and_their_gradients_are_those_among_all(
    sources: str, base_prior: str | None, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GumbelSoftmaxMixing, "log_weights", silent)
    transfer = "stationary" if base_prior else "learned"
    options = {"sources": sources, "base_prior": base_prior, "transfer": transfer}
    few, every = (model(k, plain, hyperprior=None, **options) for k in (K, None))
    with torch.no_grad():
        for mixing in (few.prior.mixing, few.latent_mixing):
            assert mixing is not None
            mixing.logits.add_(torch.randn(mixing.logits.shape))
    few.choose_sources(0)
    assert few.latent_mixing is not None
    assert every.latent_mixing is not None
    only(every.prior.mixing, few.prior.mixing)
    only(every.latent_mixing, few.latent_mixing)
    found, wanted = (
        one(*data(), generator=torch.Generator().manual_seed(2)) for one in (few, every)
    )
    for name in ("log_likelihood", "kl_weights", "kl_latents", "own_elbo"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name))
    for terms in (found, wanted):
        terms.loss.backward()
    others = dict(every.named_parameters())
    for name, p in few.named_parameters():
        if name.endswith("logits"):
            continue
        got, expected = (
            torch.zeros_like(p) if q.grad is None else q.grad for q in (p, others[name])
        )
        torch.testing.assert_close(got, expected, msg=name)
    torch.testing.assert_close(few.beta(), every.beta())


def test_none_leaves_the_base_prior_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GumbelSoftmaxMixing, "log_weights", silent)
    found = model(0)(*data())
    q = model(0).posteriors.encode(data()[0], data()[2])[0]
    assert q is not None
    zero = torch.zeros(LATENTS)
    standard = torch.distributions.Normal(zero, 1.0)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.mean, q.variance.sqrt()), standard
    ).sum(-1)
    wanted = torch.zeros(T).index_add(0, data()[2], kl)
    torch.testing.assert_close(found.kl_latents, wanted)


@pytest.mark.parametrize("sizes", [[1, 2, 3, 40, 41, 500], [7] * 6, [1, 1, 1, 1, 1, 300]])
def test_rows_of_ragged_tasks_under_their_own_encoders(sizes: list[int]) -> None:
    encoder = model(None).posteriors.latents
    task = torch.arange(T).repeat_interleave(torch.tensor(sizes))
    task = task[torch.randperm(len(task), generator=torch.Generator().manual_seed(3))]
    x = torch.randn(len(task), FEATURES, requires_grad=True)
    found, every = encoder.own_rows(x, task), encoder(x)
    rows = torch.arange(len(task))
    for name in ("mean", "variance"):
        got, wanted = getattr(found, name), getattr(every, name)[task, rows]
        torch.testing.assert_close(got, wanted)
        one, other = (torch.autograd.grad(v.sin().sum(), x)[0] for v in (got, wanted))
        torch.testing.assert_close(one, other)
        if name == "mean":
            found, every = encoder.own_rows(x, task), encoder(x)


def test_rows_under_a_few_encoders() -> None:
    bundle = model(None).posteriors
    x, _, task = data()
    sources = torch.randint(T, (len(x), 4), generator=torch.Generator().manual_seed(4))
    sources[:, 0] = 1  # one that everybody asks
    found, every = bundle.encode(x, task, sources)[1](), bundle.latents(x)
    assert found is not None
    rows = torch.arange(len(x)).unsqueeze(1)
    assert found.batch_shape == sources.shape
    torch.testing.assert_close(found.mean, every.mean[sources, rows])
    torch.testing.assert_close(found.variance, every.variance[sources, rows])


def test_choosing_keeps_the_weights_of_what_stays() -> None:
    made = model(K)
    mixing = made.prior.mixing
    assert mixing.index is not None
    with torch.no_grad():
        mixing.logits.copy_(torch.arange(float(mixing.logits.numel())).view_as(mixing.logits))
    before, old = mixing.index.clone(), mixing.logits.detach().clone()
    index = before.flip(1)
    index[0, 0] = (set(range(1, T)) - set(before[0].tolist())).pop()
    mixing.choose(index)
    assert mixing.logits[0, 0] == mixing.start[0, 0]
    assert torch.equal(mixing.logits[1:, :K], old[1:, :K].flip(1))
    assert mixing.logits[0, 1] == old[0, 0]
    assert torch.equal(mixing.logits[:, K], old[:, K])
    assert torch.equal(mixing.index, index)


def test_fit_chooses_the_nearest_for_both_and_goes_on_as_it_would() -> None:
    """Stopped at a step and continued: bitwise, although sources are chosen anew on the way."""
    x, y, task = data()

    def fitted(*steps: int) -> vmtl.MultiTaskELBO:
        made, history = model(K), None
        for count in steps:
            history = vmtl.fit(
                made, x, y, task, steps=count, lr=0.05, tolerance=None, progress=False,
                resume=history,
            )  # fmt: skip
        return made

    straight, stopped = fitted(70), fitted(20, 70)
    for one, other in zip(
        straight.state_dict().values(), stopped.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    mixing, latent = straight.prior.mixing, straight.latent_mixing
    assert latent is not None
    assert torch.equal(mixing.index, latent.index)  # type: ignore[arg-type]
    ring = model(K).prior.mixing.index
    assert not torch.equal(mixing.index, ring)  # type: ignore[arg-type]


class Largest(TorchDispatchMode):
    """The numbers in the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, Tensor):
                self.numbers = max(self.numbers, one.untyped_storage().nbytes() // one.itemsize)
        return made


@pytest.mark.parametrize("sources", ["own", "joint"])
def test_nothing_is_tasks_times_tasks(sources: str) -> None:
    """Neither in a step nor in what a history keeps, nor where sources are chosen."""
    tasks = 2400
    with Largest() as largest:
        made = vmtl.MultiTaskELBO(
            vmtl.LinearGaussian(),
            vmtl.GaussianWeights(tasks, (2,), covariance="diagonal"),
            vmtl.GaussianEncoder(tasks, 2, 1),
            task_sizes=[2] * tasks,
            neighbours=2,
            sources=sources,
            weight_samples=2,
            latent_samples=2,
        )
        task = torch.arange(tasks).repeat(2)
        x, y = torch.randn(2 * tasks, 2), torch.randn(2 * tasks)
        history = vmtl.fit(made, x, y, task, steps=17, lr=0.01, tolerance=None, progress=False)
    assert largest.numbers < tasks * tasks / 4
    assert history.alpha[0].shape == history.beta[0].shape == (tasks, 3)
