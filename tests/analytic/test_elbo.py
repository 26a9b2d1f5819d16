"""The terms of the multi-task ELBO, each by hand."""

import itertools
import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Gamma,
    HalfNormal,
    Independent,
    Laplace,
    Normal,
    kl_divergence,
)

import vmtl_core as vmtl
from tests.stats import assert_mean, assert_spread
from vmtl_core import likelihoods

SIZES = [3, 4, 2]
TASK = torch.tensor([0, 1, 1, 2, 0, 1, 0, 2, 1])
SIGMA = 0.8


def table() -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(9, 2, generator=draw, dtype=torch.float64)
    return x, torch.randn(9, generator=draw, dtype=torch.float64), TASK


def scattered_weights(
    tasks: int = 3, *event: int, scale: float | None = None
) -> vmtl.GaussianWeights:
    """Posteriors that differ from task to task; with `scale` as good as deterministic ones."""
    weights = vmtl.GaussianWeights(tasks, event or (2,), covariance="diagonal")
    draw = torch.Generator().manual_seed(tasks)
    with torch.no_grad():
        weights.loc.normal_(generator=draw)
        weights.log_scale.normal_(generator=draw)
        if scale is not None:
            weights.log_scale.fill_(math.log(scale))
    return weights


def scattered_encoder(tasks: int = 3) -> vmtl.GaussianEncoder:
    encoder = vmtl.GaussianEncoder(tasks, 2, 2)
    draw = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(generator=draw)
    return encoder


def a_model(weights: Any = None, likelihood: Any = None, **options: Any) -> Any:
    """Known noise, uniform mixing weights without noise, nothing but the other tasks."""
    plain = {
        "task_sizes": SIZES, "sources": "previous", "base_prior": None, "transfer": None,
        "hyperprior": None, "temperature": math.inf,
    }  # fmt: skip
    weights = scattered_weights() if weights is None else weights
    return vmtl.MultiTaskELBO(
        likelihood or vmtl.LinearGaussian(SIGMA), weights, **({"sources": "own"} | plain | options)
    )


def gaussian_log_likelihood(q: Any, x: Tensor, y: Tensor, task: Tensor) -> Tensor:
    """E_q log N(y; x.w, sigma^2) of each row, in closed form."""
    mean = (x * q.mean[task]).sum(-1)
    variance = (x.square() * q.variance[task]).sum(-1)
    return -0.5 * ((y - mean).square() + variance) / SIGMA**2 - 0.5 * math.log(
        2 * math.pi * SIGMA**2
    )


def sums(rows: Tensor, task: Tensor, tasks: int = 3) -> Tensor:
    return torch.stack([rows[task == t].sum() for t in range(tasks)])


def by_jensen(q: Any, sources: Any) -> Tensor:
    """-log sum_{k != t} exp(-KL_tk) / (T - 1), in loops over tasks."""
    tasks = len(q.mean)

    def one(d, i):
        return Independent(Normal(d.mean[i], d.stddev[i]), 1)

    result = []
    for t in range(tasks):
        each = [kl_divergence(one(q, t), one(sources, k)) for k in range(tasks) if k != t]
        result.append(-torch.stack([-kl for kl in each]).exp().mean().log())
    return torch.stack(result)


@pytest.mark.parametrize("expectation", ["exact", "sampled"])
def test_expected_log_likelihood_of_a_task(expectation: str) -> None:
    """(5.1) the sum over a task's rows of E_q log p, against its closed form."""
    x, y, task = table()
    model = a_model(weight_samples=200, expectation=expectation)
    found = torch.stack([model(x, y, task).log_likelihood.detach() for _ in range(100)])
    wanted = sums(gaussian_log_likelihood(model.q_weights(), x, y, task), task).detach()
    assert_mean(found, wanted, 1e-9)


def test_kl_of_the_weights() -> None:
    """(5.1) KL(q(w_t) || mixture over the others), pair by pair."""
    model, (x, y, task) = a_model(), table()
    q = model.q_weights()
    torch.testing.assert_close(model(x, y, task).kl_weights, by_jensen(q, q))


def test_divergence_samples_are_those_asked_for() -> None:
    """(4.2) in the objective: sampled KL of the weights has the mean and the spread of S draws."""
    x, y, task = table()
    q = a_model().q_weights()
    w = q.sample((200_000,))
    others = torch.stack(
        [
            torch.stack([q.log_prob(w[:, t, None])[:, k] for k in range(3) if k != t], -1)
            for t in range(3)
        ],
        1,
    )
    each = q.log_prob(w) - (others.logsumexp(-1) - math.log(2))
    model = a_model(divergence="monte_carlo", divergence_samples=50)
    found = torch.stack([model(x, y, task).kl_weights.detach() for _ in range(400)])
    error = each.std(0) / 200_000**0.5  # of the mean that is compared with
    assert_mean(found - each.mean(0).detach(), 0.0, rounding=6 * error.max().item())
    assert_spread(found, found.mean(0), each.std(0).detach() / 50**0.5)


def test_objective_is_the_mean_over_tasks() -> None:
    """(5.4) elbo = mean_t (log likelihood - KL w - KL z) + hyperprior; the loss is its negative."""
    values = [torch.tensor(v) for v in ([-5.0, -8.0, -2.0], [1.0, 2.0, 6.0], [0.5, 0.0, 1.0])]
    log_likelihood, kl_weights, kl_latents = values
    terms = vmtl.ELBOTerms(
        log_likelihood, kl_weights, kl_latents, torch.tensor(-0.25), torch.full((3,), 7.0)
    )
    assert terms.elbo.item() == pytest.approx(((-5 - 8 - 2) - (1 + 2 + 6) - 1.5) / 3 - 0.25)
    assert terms.loss.item() == -terms.elbo.item()


def test_the_grid_of_samples() -> None:
    """(5.2) all L x M pairs, not L pairs: the likelihood depends on both z and w."""
    torch.manual_seed(2)
    z, w, y = torch.randn(3, 1, 4, 2), torch.randn(1, 3, 4, 2), torch.randn(4)
    task = torch.tensor([0, 1, 1, 0])
    found = likelihoods.expected_log_likelihood(vmtl.LinearGaussian(SIGMA), z, w, y, task)
    wanted = torch.zeros(4)
    for n, i, j in itertools.product(range(4), range(3), range(3)):
        wanted[n] += Normal(z[i, 0, n] @ w[0, j, n], SIGMA).log_prob(y[n]) / 9
    torch.testing.assert_close(found, wanted)


class Recorder(nn.Module):
    """A likelihood that keeps what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Tensor]] = []

    def forward(self, z: Tensor, w: Tensor) -> Laplace:
        self.calls.append((z.detach(), w.detach()))
        return Laplace((z * w).sum(-1), 0.5)


def test_the_grid_in_the_model() -> None:
    """(5.2) the likelihood is called once, with z (L, 1, B, D) and w (1, M, B, D) of the row's task."""
    x, y, task = table()
    likelihood, encoder = Recorder(), vmtl.GaussianEncoder(3, 2, 2)
    with torch.no_grad():  # encoders that differ, and draws that tell whose they are
        encoder.biases[0][..., :2] = 10.0 * torch.arange(3.0)[:, None, None]
    model = a_model(
        scattered_weights(scale=1e-6),
        likelihood,
        latents=encoder,
        weight_samples=3,
        latent_samples=3,
    )
    found = model(x, y, task).log_likelihood
    ((z, w),) = likelihood.calls
    assert (z.shape, w.shape) == ((3, 1, 9, 2), (1, 3, 9, 2))
    torch.testing.assert_close(
        w, model.q_weights().mean[task].expand(1, 3, 9, 2), atol=1e-4, rtol=0
    )
    assert (z - encoder(x).mean[task, torch.arange(9)]).abs().max() < 1
    wanted = torch.zeros(9)
    for n, i, j in itertools.product(range(9), range(3), range(3)):
        wanted[n] += Laplace((z[i, 0, n] * w[0, j, n]).sum(), 0.5).log_prob(y[n]) / 9
    torch.testing.assert_close(found, sums(wanted, task))


def test_hyperprior_is_counted_once_and_divided_by_the_tasks() -> None:
    """(5.6) N(0,1) on log delta and logits about their start; N(0,1/2) on m_0, Gamma on v_0."""
    x, y, task = table()
    options = {"base_prior": "learned", "transfer": "learned"}
    model, without = a_model(hyperprior="weak", **options), a_model(**options)
    start = model.prior.mixing.logits.detach().clone()
    with torch.no_grad():
        for parameter in (model.prior.base.loc, model.prior.base.log_scale, model.prior.log_width):
            parameter.copy_(torch.randn(2))
        model.prior.mixing.logits.add_(torch.randn(3, 4))
    prior, admitted = model.prior, ~torch.eye(3, 4, dtype=torch.bool)
    variance = (2 * prior.base.log_scale).exp()
    log_sd = Gamma(0.5, 0.5).log_prob(variance) + (2 * variance).log()  # dv / d log s = 2 v
    by_hand = (
        Normal(0.0, 0.5**0.5).log_prob(prior.base.loc).sum()
        + log_sd.sum()
        + Normal(0.0, 1.0).log_prob(prior.log_width).sum()
        + Normal(0.0, 1.0).log_prob(prior.mixing.logits - start)[admitted].sum()
    )
    terms = model(x, y, task)
    torch.testing.assert_close(terms.hyperprior, by_hand / 3)
    alone = (terms.log_likelihood - terms.kl_weights).mean()
    torch.testing.assert_close(terms.elbo, alone + by_hand / 3)
    half = model(x[:4], y[:4], task[:4])
    torch.testing.assert_close(half.hyperprior, terms.hyperprior)
    assert without(x, y, task).hyperprior == 0


def base_of(tasks: int, size: int) -> Any:
    return vmtl.WeightsPrior(tasks, (size,)).base


@pytest.mark.parametrize("tasks", [2, 12, 13, 131])
def test_hyperprior_of_the_base_fades_with_the_tasks(tasks: int) -> None:
    """(5.6) v_0 ~ Gamma(c/2, c/2), c = min(1, 12 / T), a density of log s_0; c = 1: s_0 half-normal."""
    base, half = base_of(tasks, 3).double(), min(1.0, 12 / tasks) / 2
    with torch.no_grad():
        base.log_scale.copy_(torch.tensor([-40.0, -1.0, 0.7]))
    variance = (2 * base.log_scale).exp()
    log_sd = Gamma(half, half).log_prob(variance) + (2 * variance).log()  # dv / d log s = 2 v
    on_m = Normal(0.0, 0.5**0.5).log_prob(base.loc)
    torch.testing.assert_close(base.log_hyperprior(tasks), (on_m + log_sd).sum())
    if tasks <= 12:
        sd = base.log_scale.exp()
        torch.testing.assert_close(log_sd, HalfNormal(1.0).log_prob(sd) + sd.log())


@pytest.mark.parametrize("tasks", [131, 1000, 10000])
def test_push_on_tasks_that_do_not_vary(tasks: int) -> None:
    """(5.6) T tasks, each known to sd sigma: s_0 is held at 12^(1/4) standard errors of m_0."""
    base, sigma = base_of(tasks, 2001).double(), 0.3
    grid = torch.linspace(-8.0, 0.0, 2001, dtype=torch.float64)  # of log s_0
    with torch.no_grad():
        base.log_scale.copy_(grid)
    (push,) = torch.autograd.grad(base.log_hyperprior(tasks), base.log_scale)
    u = (2 * grid).exp() / sigma**2
    pull = tasks * u.square() / (1 + u).square()  # -d/dlog s_0 of -T/2 [log(1 + u) + 1 / (1 + u)]
    balance = grid[(push < pull).double().argmax()].exp().item()
    assert balance == pytest.approx(12**0.25 * sigma / tasks**0.5, rel=0.1)


def test_hyperprior_of_beta_is_there_too() -> None:
    """(5.6) with latents the logits of beta have one of their own; fixed parts have none."""
    x, y, task = table()
    model = a_model(hyperprior="weak", latents=vmtl.GaussianEncoder(3, 2, 2), transfer=0.5)
    wanted = 2 * 6 * Normal(0.0, 1.0).log_prob(torch.tensor(0.0)) / 3
    torch.testing.assert_close(model(x, y, task).hyperprior, wanted)
    with torch.no_grad():
        model.latent_mixing.logits[0, 1] += 2.0
    torch.testing.assert_close(model(x, y, task).hyperprior, wanted - 2.0 / 3)


def test_absent_task_has_its_kl_of_the_weights_only() -> None:
    """(5.3) no rows: log likelihood and KL of z are 0, KL of w stays, nothing is NaN."""
    x, y, task = table()
    model = a_model(latents=scattered_encoder())
    present = task != 1
    with pytest.warns(vmtl.BatchWarning, match=r"leaves out 1 of 3 tasks, the first \[1\]"):
        whole, part = model(x, y, task), model(x[present], y[present], task[present])
    assert part.log_likelihood[1] == 0
    assert part.kl_latents[1] == 0
    assert whole.log_likelihood[1] != 0
    torch.testing.assert_close(part.kl_weights, whole.kl_weights)
    assert torch.isfinite(torch.stack(part[:3])).all()
    wanted = (part.log_likelihood - part.kl_latents - whole.kl_weights).mean()
    torch.testing.assert_close(part.elbo, wanted)


def all_batches(counts: list[int]) -> list[Tensor]:
    """Every stratified batch: counts[t] rows of task t."""
    per_task = [
        list(itertools.combinations(torch.eq(TASK, t).nonzero().flatten().tolist(), count))
        for t, count in enumerate(counts)
    ]
    return [torch.tensor(sum(choice, ())) for choice in itertools.product(*per_task)]


def mean_over_batches(model: Any, counts: list[int]) -> vmtl.ELBOTerms:
    x, y, task = table()
    parts = [model(x[rows], y[rows], task[rows]) for rows in all_batches(counts)]
    return vmtl.ELBOTerms(*(torch.stack(each).mean(0) for each in zip(*parts)))


every_count = pytest.mark.parametrize("counts", [[2, 2, 1], [1, 3, 2], [3, 1, 1]], ids=str)


@every_count
def test_mini_batches_are_unbiased(counts: list[int]) -> None:
    """(5.3) the mean over every stratified batch is the full batch: value, gradient, own ELBO."""
    model = a_model(scattered_weights(scale=1e-9), sources="own")
    full, mean = model(*table()), mean_over_batches(model, counts)
    x, y, task = table()
    rows = gaussian_log_likelihood(model.q_weights(), x, y, task)
    torch.testing.assert_close(full.log_likelihood, sums(rows, task))
    torch.testing.assert_close(mean.log_likelihood, full.log_likelihood)
    torch.testing.assert_close(mean.own_elbo, full.own_elbo)
    loc = model.posteriors.weights.loc
    found, wanted = (torch.autograd.grad(terms.elbo, loc)[0] for terms in (mean, full))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


@every_count
def test_mini_batches_are_unbiased_in_the_latents(counts: list[int]) -> None:
    """(5.3) so is the sum of KLs over a task's rows."""
    model = a_model(latents=scattered_encoder())
    full = model(*table())
    assert (full.kl_latents > 0).all()
    torch.testing.assert_close(mean_over_batches(model, counts).kl_latents, full.kl_latents)


def test_scale_of_a_batch() -> None:
    """(5.3) N_t / B_t: two of task 1's four rows count twice."""
    x, y, task = table()
    model, rows = a_model(scattered_weights(scale=1e-9)), torch.tensor([0, 1, 2])
    each = gaussian_log_likelihood(model.q_weights(), x[rows], y[rows], task[rows])
    wanted = torch.stack([3 * each[0], 2 * (each[1] + each[2]), torch.tensor(0.0)])
    found = model.eval()(x[rows], y[rows], task[rows]).log_likelihood
    torch.testing.assert_close(found, wanted)


def test_batches_of_fit_are_stratified() -> None:
    """(5.3) every batch of `fit` holds its share of every task, and every row equally often."""
    sizes = torch.tensor([6, 4, 2])
    task = torch.arange(3).repeat_interleave(sizes)[torch.randperm(12)]
    batches = vmtl.StratifiedBatches(task, 6)
    drawn = torch.zeros(2000, 12)
    for row in drawn:
        picked = batches.draw()
        assert torch.bincount(task[picked], minlength=3).tolist() == [3, 2, 1]
        assert len(picked.unique()) == 6
        row[picked] = 1
    assert_mean(drawn, 0.5)


def test_heterogeneous_tasks_equal_separate_computations() -> None:
    """(5.2) a list of likelihoods: each task's rows under its own, in any order of rows."""
    x, y, task = table()
    y = torch.where(task == 1, (y > 0).double(), y)
    weights = scattered_weights(scale=1e-9)
    several: list[nn.Module] = [vmtl.LinearGaussian(0.5), vmtl.LinearBernoulli(), Recorder()]
    model = a_model(weights, several)
    mean = (x * weights.loc[task]).sum(-1)
    each = torch.stack(
        [
            Normal(mean, 0.5).log_prob(y),
            Bernoulli(logits=mean, validate_args=False).log_prob(y),
            Laplace(mean, 0.5).log_prob(y),
        ]
    )
    wanted = sums(each[task, torch.arange(9)], task)
    torch.testing.assert_close(model(x, y, task).log_likelihood, wanted)
    only = task != 0
    found = model.eval()(x[only], y[only], task[only]).log_likelihood
    torch.testing.assert_close(found, torch.where(torch.arange(3) == 0, 0.0, wanted))


def test_alpha_of_the_row_belongs_to_the_receiver() -> None:
    """(2.4) with one-hot rows task t's KL is that to its own source, not that of its receivers."""
    x, y, task = table()
    model = a_model(temperature=1e-3)
    source = torch.tensor([1, 2, 0])  # a cycle: its transpose is another one
    with torch.no_grad():
        model.prior.mixing.logits[torch.arange(3), source] = 500.0
    kl = vmtl.pairwise_kl(model.q_weights(), model.q_weights())
    torch.testing.assert_close(model(x, y, task).kl_weights, kl[torch.arange(3), source])
    torch.testing.assert_close(model.alpha(), torch.eye(3)[source])


@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
def test_relabelling_the_tasks_permutes_everything(sources: str) -> None:
    """(5.1) new labels, permuted parameters: every term and every map is permuted."""
    x, y, task = table()
    new = torch.tensor([2, 0, 1])  # task t is now called new[t]
    old = new.argsort()

    def encoder():
        return vmtl.GaussianEncoder(3, 2, 2, initial_scale=1e-9)

    options = {"sources": sources, "base_prior": "learned", "transfer": "learned"}
    one = a_model(scattered_weights(scale=1e-9), latents=encoder(), **options)
    with torch.no_grad():
        one.prior.mixing.logits.normal_()
        one.latent_mixing.logits.normal_()
        for name, parameter in one.named_parameters():
            if "latents.matrices" in name:
                parameter[..., :2].normal_()
            if "own.weights.loc" in name:
                parameter.normal_()
    sizes = torch.tensor(SIZES)[old].tolist()
    two = a_model(
        vmtl.GaussianWeights(3, (2,), covariance="diagonal"),
        latents=encoder(),
        **(options | {"task_sizes": sizes}),
    )
    columns = torch.cat([old, torch.tensor([3])])
    state = {}
    for name, value in one.state_dict().items():
        if name == "_extra_state":
            continue  # the sizes of the tasks as they were
        if "mixing.logits" in name:
            value = value[old][:, columns]
        elif name.startswith(
            ("posteriors.weights", "own.weights", "posteriors.latents", "own.latents")
        ):
            value = value[old]
        state[name] = value
    two.load_state_dict(state)
    before, after = one(x, y, task), two(x, y, new[task])
    for name in ("log_likelihood", "kl_weights", "kl_latents", "own_elbo"):
        found, wanted = getattr(after, name), getattr(before, name)[old]
        assert wanted.unique().numel() == 3 or sources != "own"
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4, msg=name)
    for f in (lambda m: m.alpha(), lambda m: m.beta(), lambda m: m.responsibilities()):
        torch.testing.assert_close(f(two), f(one)[old][:, columns])
    torch.testing.assert_close(after.hyperprior, before.hyperprior)


def test_one_draw_can_be_repeated() -> None:
    """(5.1) the generator is the only source of randomness."""
    x, y, task = table()
    model = a_model(divergence="monte_carlo", temperature=0.7)
    first, second = (model(x, y, task, generator=torch.Generator().manual_seed(1)) for _ in "ab")
    assert torch.equal(first.elbo, second.elbo)
    other = model(x, y, task, generator=torch.Generator().manual_seed(2)).elbo
    assert other != first.elbo


def test_single_precision_is_the_same_objective() -> None:
    """(5.1) float32 data stay float32, with the terms of float64 to its last digits."""
    x, y, task = table()
    options = {"sources": "own", "base_prior": "learned", "transfer": "learned"}
    weights = scattered_weights(scale=1e-9)
    double = a_model(weights, hyperprior="weak", **options)
    single = deepcopy(double).float()
    wanted, found = double(x, y, task), single(x.float(), y.float(), task)
    for name in wanted._fields:
        term = getattr(found, name)
        assert term.dtype == torch.float32
        assert name == "kl_latents" or getattr(wanted, name).abs().min() > 0.1, name
        torch.testing.assert_close(
            term.double(), getattr(wanted, name), rtol=1e-4, atol=1e-4, msg=name
        )


def test_paper_preset() -> None:
    """(5.1) previous posteriors, sampled KL, nothing but a mixture; options override."""
    weights = scattered_weights()
    model: Any = vmtl.MultiTaskELBO.paper(vmtl.LinearGaussian(1.0), weights, task_sizes=SIZES)
    assert (model.sources, model.divergence, model.hyperprior) == ("previous", "monte_carlo", None)
    assert (model.own, model.prior.base, model.prior.log_width) == (None, None, None)
    assert model.alpha().shape == (3, 3)
    other: Any = vmtl.MultiTaskELBO.paper(
        vmtl.LinearGaussian(1.0), weights, task_sizes=SIZES, divergence="convex", transfer=0.1
    )
    assert (other.divergence, other.sources) == ("convex", "previous")
    assert other.prior.width().item() == pytest.approx(0.1)
