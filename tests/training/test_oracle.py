"""The core's objective and its gradient equal the loops of `tests/oracle.py`, from the same draws."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

import vmtl_core as vmtl
from tests.oracle import by_task, naive_elbo, naive_terms, recording

SIZES = [3, 5, 2, 4]
TASKS, INPUTS, LATENTS, COLUMNS = len(SIZES), 3, 2, 2
DIVERGENCES = ("monte_carlo", "convex", "jensen", "lower_bound", "weighted_sum")
DIAGONAL_ONLY = ("lower_bound", "weighted_sum")
GIVEN = Independent(Normal(torch.full((LATENTS + 1,), 0.3).double(), 0.7), 1)


def perturb(model: vmtl.MultiTaskELBO) -> vmtl.MultiTaskELBO:
    """Parameters away from their starts, all different, float64."""
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def table(sizes: list[int] = SIZES, shuffle: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of all tasks in random order."""
    task = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    task = task[torch.randperm(len(task))] if shuffle else task
    x = torch.randn(len(task), INPUTS, dtype=torch.float64)
    return x, torch.randn(len(task), dtype=torch.float64), task


def compare(model: vmtl.MultiTaskELBO, x: Tensor, y: Tensor, task: Tensor) -> None:
    """Terms, objective and gradient agree to 1e-10."""
    with recording(model) as draws:
        terms = model(x, y, task, step=3)
    naive = naive_terms(model, by_task(x, y, task, model.tasks), draws(task))
    for name in terms._fields:
        torch.testing.assert_close(
            getattr(terms, name), getattr(naive, name), rtol=1e-10, atol=1e-10, msg=name
        )
    torch.testing.assert_close(terms.elbo, naive_elbo(naive), rtol=1e-10, atol=1e-10)
    parameters = [p for p in model.parameters() if p.requires_grad]
    options: dict[str, Any] = {"allow_unused": True, "retain_graph": True}
    ours = torch.autograd.grad(terms.loss, parameters, **options)
    theirs = torch.autograd.grad(-naive_elbo(naive), parameters, **options)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def build(latents: bool, covariance: str | None = None, **options: Any) -> vmtl.MultiTaskELBO:
    """A small model of four tasks, with an intercept."""
    features = LATENTS if latents else INPUTS
    settings: dict[str, Any] = {
        "likelihood": vmtl.LinearGaussian(),
        "weights": vmtl.GaussianWeights(TASKS, (features + latents,), covariance=covariance),
        "latents": vmtl.GaussianEncoder(TASKS, INPUTS, LATENTS, hidden=(4,)) if latents else None,
        "task_sizes": SIZES,
        "weight_samples": 3,
        "latent_samples": 2,
        "divergence_samples": 4,
        "temperature": 0.7,
    }
    return perturb(vmtl.MultiTaskELBO(**({"sources": "own"} | settings | options)))


WAYS = {
    "exact": {"latents": False, "expectation": "exact"},
    "sampled": {"latents": False, "expectation": "sampled"},
    "latents": {"latents": True},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
def test_equals_the_loops(sources: str, divergence: str, way: dict[str, Any]) -> None:
    """(5.1), (5.4), (5.5), (5.6), (5.12), (12.5) in every combination of the constructor's choices."""
    base_priors, transfers = (
        (None, "standard", "learned", GIVEN),
        (None, "learned", 0.4, "stationary"),
    )
    families = ("diagonal",) if divergence in DIAGONAL_ONLY else ("diagonal", "full")
    for covariance, base_prior, transfer in product(families, base_priors, transfers):
        if base_prior is None and transfer == "stationary":
            continue
        model = build(
            **way,
            covariance=covariance,
            sources=sources,
            divergence=divergence,
            base_prior=base_prior,
            transfer=transfer,
        )
        compare(model, *table())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_mini_batch_with_an_absent_task(way: dict[str, Any]) -> None:
    """(5.3): N_t / B_t for those present, KL of w alone for the absent one."""
    with pytest.warns(vmtl.BatchWarning, match="leaves out 1 of 4 tasks"):
        compare(build(**way), *table([2, 1, 0, 4]))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_heterogeneous_likelihoods(way: dict[str, Any]) -> None:
    """(5.12) two regressions with noise scales of their own, a classification, counts."""
    kinds = [vmtl.LinearGaussian(), vmtl.LinearBernoulli(), vmtl.LinearGaussian(0.5)]
    x, y, task = table()
    y = torch.where(task == 1, (y > 0).double(), torch.where(task == 3, (3 * y.abs()).floor(), y))
    compare(build(**way, likelihood=[*kinds, vmtl.LinearPoisson()]), x, y, task)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("unit", [0.0, 1.2])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_noise_scale_for_each_task(way: dict[str, Any], unit: float, covariance: str) -> None:
    """(5.6) the geometric mean in units of y, and every task's about it."""
    model = build(**way, covariance=covariance, likelihood=vmtl.LinearGaussian(tasks=TASKS))
    assert model.own is not None
    for bundle in (model.posteriors, model.own):
        bundle.likelihood.unit.fill_(unit)
    compare(model, *table())


@pytest.mark.parametrize("transfer", [None, "learned", 0.4, "stationary"])
@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
def test_standard_units(sources: str, transfer: Any) -> None:
    """(5.13) the base prior's parameters and a learned width are of u, where w = o + B u."""
    turn = torch.tensor([[2.0, 0, 0], [0, 0.5, 0], [-3.0, 0.4, 1.5]]).double()
    shift = torch.tensor([[0.0, 0.0, 4.0]]).double()
    for covariance, base_prior in product(("diagonal", "full"), ("learned", None)):
        if base_prior is None and transfer == "stationary":
            continue
        model = build(False, covariance, sources=sources, transfer=transfer, base_prior=base_prior)
        model.prior.units.set(turn[None], shift, turn)
        compare(model, *table())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_weights_with_several_columns(way: dict[str, Any]) -> None:
    """Classes: w of event shape (D + 1, C)."""
    x, y, task = table()
    rows = (LATENTS if way["latents"] else INPUTS) + 1
    model = build(
        **way,
        likelihood=vmtl.LinearCategorical(),
        weights=vmtl.GaussianWeights(TASKS, (rows, COLUMNS), covariance="diagonal"),
    )
    compare(model, x, (y > 0).double(), task)


def test_paper() -> None:
    """The preset has the terms that it says."""
    x, y, task = table()
    weights = vmtl.GaussianWeights(TASKS, (INPUTS,), covariance="diagonal")
    model = vmtl.MultiTaskELBO.paper(vmtl.LinearGaussian(), weights, task_sizes=SIZES)
    compare(perturb(model), x, y, task)


def test_the_comparison_can_fail() -> None:
    """Other draws, another objective: the oracle isn't reading the core's results."""
    model, (x, y, task) = build(True), table()
    with recording(model) as draws:
        terms = model(x, y, task)
    kept = draws(task)
    swapped = kept._replace(log_alpha=kept.log_alpha[::-1])
    naive = naive_terms(model, by_task(x, y, task, TASKS), swapped)
    assert not torch.allclose(terms.kl_weights, naive.kl_weights)
    torch.testing.assert_close(terms.kl_latents, naive.kl_latents)
