"""Predictives in batches: none larger than the memory allows, and none needlessly small."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Independent, Normal

import vmtl_core as vmtl
from tests.analytic.points import averaged
from tests.analytic.test_elbo import a_model, scattered_encoder, scattered_weights
from vmtl_core import exact, joint_draws, mixtures, parts, questions
from vmtl_core.exact import GaussianPredictive, PoissonPredictive
from vmtl_core.questions import Questions

ROWS = 400
X = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TASK = torch.arange(ROWS) % 3


def bell(z: Tensor, w: Tensor) -> Normal:
    return Normal((z * w).sum(-1), torch.ones((), dtype=w.dtype))


def several(z: Tensor, w: Tensor) -> Independent:
    return Independent(Normal(torch.einsum("lmbd,lmbdp->lmbp", z, w), 1.0), 1)


MODELS: dict[str, Any] = {
    "a function": lambda: a_model(scattered_weights(3, 2), bell),
    "a function of columns": lambda: a_model(vmtl.GaussianWeights(3, (2, 4)), several),
    "classes": lambda: averaged(vmtl.LinearCategorical(), (2, 3), noise=False)[0],
    "latents": lambda: a_model(
        scattered_weights(3, 2), vmtl.LinearGaussian(0.3), latents=scattered_encoder(3)
    ),
    "numbers": lambda: averaged(vmtl.LinearGaussian())[0],
    "columns": lambda: averaged(vmtl.LinearGaussian(), (2, 4))[0],
    "labels": lambda: averaged(vmtl.LinearBernoulli(), noise=False)[0],
}


def held(part: Any) -> int:
    """Numbers in the parameters of a part's components."""
    dist = part.components
    while isinstance(dist, Independent):
        dist = dist.base_dist
    values = dist.logits if isinstance(dist, Bernoulli | Categorical) else dist.mean
    return int(values.numel())


@pytest.mark.parametrize("name", MODELS)
def test_batches_are_of_the_right_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The components of a batch fit; with what is beside them, at most a few times as much."""
    limit = 2000
    monkeypatch.setattr(questions, "NUMBERS", limit)
    p: Any = vmtl.predictive(MODELS[name](), X, TASK, 6, 4)
    sizes = [held(part) for part in p.parts]
    assert max(sizes) <= limit
    assert max(sizes) > (limit / 40 if name != "numbers" else limit / 10)
    assert torch.equal(torch.cat(p.rows).sort().values, torch.arange(ROWS))
    lengths = [len(rows) for rows in p.rows]
    assert set(lengths[:-1]) == {max(lengths)}
    monkeypatch.setattr(questions, "NUMBERS", 2**24)
    assert not isinstance(vmtl.predictive(MODELS[name](), X, TASK, 6, 4), vmtl.PredictiveRows)


def test_one_row_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even one row fits, and parts that do fit are made once, not at every call."""
    model, task = MODELS["a function"](), TASK[:7]
    monkeypatch.setattr(questions, "NUMBERS", 1)
    p: Any = vmtl.predictive(model, X[:7], task, 6)
    assert [len(rows) for rows in p.rows] == [1] * 7
    monkeypatch.setattr(questions, "NUMBERS", 2**24)
    kinds = a_model(scattered_weights(3, 2), [bell, vmtl.LinearBernoulli(), bell])
    p = vmtl.predictive(kinds, X[:7], task, 6)
    assert p.parts[0] is p.parts[0]


@pytest.mark.parametrize("name", ["numbers", "columns", "latents"])
def test_no_memory_at_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictors row by row, joint draws one by one and row by row: the same numbers."""
    model, task = MODELS[name](), TASK[:7]
    torch.manual_seed(0)
    whole = vmtl.predictive(model, X[:7], task, 6, 4)
    mean, variance = whole.mean, whole.variance
    for module in (exact, joint_draws, mixtures):
        monkeypatch.setattr(module, "NUMBERS", 1)
    draws = whole.sample((3,))
    assert draws.shape == (3, 7, *whole.event_shape)
    independent = vmtl.PredictiveMixture(Normal(torch.zeros(2, 3, 5), 1.0)).sample((4,))
    assert independent.shape == (4, 5)
    torch.manual_seed(0)
    again = vmtl.predictive(model, X[:7], task, 6, 4)
    torch.testing.assert_close(again.mean, mean)
    torch.testing.assert_close(again.variance, variance)


def asked(name: str, task: Tensor = TASK, samples: int = 6) -> Questions:
    return Questions(MODELS[name](), X[: len(task)], task, samples, 4)


def test_numbers_of_a_row() -> None:
    """In proportion to samples, columns and points."""

    def numbers(name: str, samples: int = 6) -> int:
        made = asked(name, samples=samples)
        return made._numbers(made.parts[0])

    assert numbers("numbers") == 8 * 3
    assert numbers("columns") == 8 * 3 * 4
    assert numbers("labels") == 500 * 3
    assert numbers("a function", 10) == 10 * 2 + 10 * 2
    assert numbers("a function of columns", 10) == 10 * 8 + 10 * 8
    assert numbers("classes", 10) == 10 * 6 + 10 * 3
    assert numbers("latents", 10) == 10 * 2 + 10 * 4 * 1 + 3 * 2


@pytest.mark.parametrize("ids", [[0, 3, 3, 5], [1, 0, 2, 1], [9, 9, 9, 9]])
def test_groups_of_rows(ids: list[int]) -> None:
    """Rows of one id are one group, whose task is the id's, T for all unseen."""
    made = asked("numbers", torch.tensor(ids))
    assert made.task.tolist() == [min(i, 3) for i in ids]
    present = sorted(set(ids))
    assert made.group_task.tolist() == [min(i, 3) for i in present]
    assert made.group.tolist() == [present.index(i) for i in ids]
    for part in made.parts:
        assert part.unseen == (ids[int(part.rows[0])] >= 3)


def test_parts_of_a_list() -> None:
    """Exact rows by kind, others by likelihood, unseen ones apart; names say where."""
    gaussian, label = vmtl.LinearGaussian(0.5), vmtl.LinearBernoulli()
    task = torch.tensor([2, 0, 1, 2, 0])
    model = averaged([gaussian, label, vmtl.LinearGaussian(0.5)])[0]
    made = Questions(model, X[:5], task, 5, 1)
    assert [(p.rows.tolist(), p.name, p.exact, p.unseen) for p in made.parts] == [
        ([0, 1, 3, 4], "likelihood[0]", True, False),
        ([2], "likelihood[1]", True, False),
    ]
    assert made.samples is None
    model = a_model(scattered_weights(3, 2), [bell, label, bell])
    made = Questions(model, X[:5], task, 5, 1)
    assert [(p.rows.tolist(), p.name, p.exact) for p in made.parts] == [
        ([1, 4], "likelihood[0]", False),
        ([2], "likelihood[1]", True),
        ([0, 3], "likelihood[2]", False),
    ]
    assert made.samples is not None
    model = averaged([gaussian, gaussian, gaussian])[0]
    made = Questions(model, X[:5], torch.tensor([0, 7, 1, 3, 7]), 5, 1)
    assert [(p.rows.tolist(), p.name, p.unseen) for p in made.parts] == [
        ([0, 2], "likelihood[0]", False),
        ([1, 3, 4], "likelihood", True),
    ]


def test_likelihood_of_an_unseen_task() -> None:
    """Of several noise scales the mean variance; of several kinds none."""
    scales = [vmtl.LinearGaussian(1.0), vmtl.LinearGaussian(7.0)]
    assert float(parts._of_unseen(scales).log_scale.exp()) == pytest.approx(5.0)
    one = vmtl.LinearGaussian(2.0)
    assert parts._of_unseen([one]) is one
    assert parts._of_unseen([bell, bell]) is bell
    label = vmtl.LinearBernoulli()
    assert parts._of_unseen([label, vmtl.LinearBernoulli()]) is label
    for mixed in ([one, label], [bell, lambda z, w: bell(z, w)]):
        with pytest.raises(ValueError, match="nothing says which `likelihood`"):
            parts._of_unseen(mixed)


def test_large_diagonal_posteriors_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full factors of T D x D numbers are made only where they fit."""
    model = a_model(scattered_weights(3, 2), vmtl.LinearGaussian(0.4))
    for limit, fits in ((12, True), (11, False)):
        monkeypatch.setattr(parts, "FULL_NUMBERS", limit)
        assert (parts.with_points(model) is not None) == fits
    monkeypatch.setattr(parts, "FULL_NUMBERS", 10**6)
    assert parts.with_points(a_model(scattered_weights(3, 2), bell)) is None
    wide = a_model(vmtl.GaussianWeights(3, (2, 4)), vmtl.LinearGaussian(0.4))
    monkeypatch.setattr(parts, "FULL_NUMBERS", 48)
    assert parts.with_points(wide) is not None
    monkeypatch.setattr(parts, "FULL_NUMBERS", 47)
    assert parts.with_points(wide) is None
    assert parts.with_points(MODELS["latents"]()) is None


def test_kinds_of_answers() -> None:
    """Each likelihood its own class, with the rows' shape."""
    p = vmtl.predictive(MODELS["columns"](), X[:5], TASK[:5])
    assert isinstance(p, GaussianPredictive)
    assert p.event_shape == (4,)
    assert p.noise.shape == (3, 5, 4)
    counts = averaged(vmtl.LinearPoisson(), noise=False)[0]
    assert isinstance(vmtl.predictive(counts, X[:5], TASK[:5]), PoissonPredictive)
    single = vmtl.predictive(MODELS["numbers"](), X[:5].float(), TASK[:5])
    assert single.mean.dtype == torch.float64
