"""The step reaches the schedule, every row its task, and a message names the row that is wrong."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

import vmtl_core as vmtl

TASK = torch.tensor([0, 1, 1, 0, 1, 0, 1])
X = torch.linspace(-1, 1, 14, dtype=torch.float64).reshape(7, 2)
Y = torch.linspace(0, 2, 7, dtype=torch.float64)
SIZES = [3, 4]


def model(inputs: int = 2, encoded: bool = False, **options: Any) -> Any:
    encoder = vmtl.GaussianEncoder(2, inputs, 2) if encoded else None
    weights = vmtl.GaussianWeights(2, (2 if encoded else inputs,), covariance="diagonal")
    with torch.no_grad():
        weights.loc.copy_(torch.arange(weights.loc.numel()).reshape(weights.loc.shape) / 3)
    plain: dict[str, Any] = {"task_sizes": SIZES, "sources": "previous"}
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), weights, encoder, **({"sources": "own"} | plain | options)
    )


def test_the_step_is_that_of_the_schedule() -> None:
    """(3.5), (5.1) both mixtures are drawn at the temperature of the step, 0 by default."""
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 1e-9 if step == 17 else math.inf

    made = model(encoded=True, base_prior="standard", temperature=schedule, divergence="convex")
    made(X, Y, TASK)
    made(X, Y, TASK, step=17)
    assert set(asked[: len(asked) // 2]) == {0}
    assert set(asked[len(asked) // 2 :]) == {17}

    kl = vmtl.pairwise_kl(made.q_weights(), made.prior.components(made.source_weights()))
    warm = made(X, Y, TASK, step=3).kl_weights
    torch.testing.assert_close(warm, torch.stack([kl[0, [1, 2]].mean(), kl[1, [0, 2]].mean()]))
    cold = torch.stack([made(X, Y, TASK, step=17).kl_weights for _ in range(20)])
    near = torch.stack([(cold[:, t, None] - kl[t]).abs().amin(-1) for t in range(2)])
    assert near.max() < 1e-9
    assert len(cold[:, 0].unique()) == 2


def test_fit_counts_the_steps() -> None:
    """(3.5) 0, 1, 2, ... to the schedules of temperature and rate; a rate of 0 is allowed."""
    temperatures: list[int] = []
    rates: list[int] = []

    def temperature(step: int) -> float:
        temperatures.append(step)
        return 1.0 + step

    def rate(step: int) -> float:
        rates.append(step)
        return 0.0 if step == 2 else 0.1

    made = model(encoded=True, temperature=temperature)
    history = vmtl.fit(
        made, X, Y, TASK, steps=3, lr=rate, progress=False, method="adam", tolerance=None
    )
    assert list(dict.fromkeys(temperatures)) == [0, 1, 2]
    assert list(dict.fromkeys(rates)) == [0, 1, 2]
    assert history.terms["temperature"] == [1.0, 2.0, 3.0]


def test_inputs_of_one_dimension() -> None:
    """(1.1) x of shape (N,) is one feature, in the objective, a fit and a prediction."""
    made, x = model(inputs=1), X[:, 0]
    flat, column = (
        made(one, Y, TASK, generator=torch.Generator().manual_seed(1)).elbo
        for one in (x, x[:, None])
    )
    assert torch.equal(flat, column)
    flat, column = (
        vmtl.predictive(made, one, TASK, generator=torch.Generator().manual_seed(1)).mean
        for one in (x, x[:, None])
    )
    assert torch.equal(flat, column)
    assert flat.shape == (7,)


@pytest.mark.parametrize("where", ["objective", "fit", "predictive"])
def test_the_first_bad_row_is_named(where: str) -> None:
    """Rows 3 and 5 of seven are bad: row 3, with the number that stands there first."""
    x = X.clone()
    x[3, 1], x[5] = -math.inf, math.nan
    made = model()
    calls = {
        "objective": lambda: made(x, Y, TASK),
        "fit": lambda: vmtl.fit(made, x, Y, TASK, steps=1, progress=False),
        "predictive": lambda: vmtl.predictive(made, x, TASK),
    }
    message = r"`x` must be finite; 2 of 7 rows hold NaN or infinity, the first is row 3 with -inf"
    with pytest.raises(ValueError, match=message):
        calls[where]()


def test_bad_targets_are_named() -> None:
    """Labels outside the support, each once; only the rows that are wrong."""
    made = vmtl.MultiTaskELBO(
        vmtl.LinearBernoulli(), vmtl.GaussianWeights(2, (2,)), task_sizes=SIZES, sources="own"
    )
    y = torch.tensor([0.0, 1, 3, 0, 2, 3, 1])
    with pytest.raises(ValueError, match=r"`y` must lie in .*; got \[2\.0, 3\.0\]$"):
        made(X, y, TASK)
    y = torch.tensor([0.0, 1, 1, 0, 2, 0, 1])
    with pytest.raises(ValueError, match=r"; got \[2\.0\]$"):
        made(X, y, TASK)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float32, torch.bool], ids=str)
def test_task_ids_are_integers(dtype: torch.dtype) -> None:
    """Numbers of any other kind are refused at every door, and by name."""
    task = TASK.to(dtype)
    for call in (
        lambda: model()(X, Y, task),
        lambda: vmtl.predictive(model(), X, task),
        lambda: vmtl.AmortizedWeights(X, TASK, task, 2),
    ):
        with pytest.raises(ValueError, match="`task` must be a one-dimensional integer tensor"):
            call()


def test_one_row_too_many() -> None:
    """(5.3) as many rows as `task_sizes` says are a batch, one more of a task is not."""
    made, rows = model(), torch.tensor([0, 1, 2, 3, 4, 5, 6])
    assert torch.isfinite(made(X, Y, TASK).elbo)
    more = torch.cat([rows, torch.tensor([3])])
    with pytest.raises(ValueError, match=r"tasks \[0\] have \[4\] rows, `task_sizes` says \[3\]"):
        made(X[more], Y[more], TASK[more])


class Silent(Distribution):
    """A likelihood that doesn't say where its values lie."""

    arg_constraints: dict[str, Any] = {}

    def __init__(self, loc: Tensor):
        self.loc = loc
        super().__init__(loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def log_prob(self, value: Tensor) -> Tensor:
        return Normal(self.loc, 1.0).log_prob(value)


def test_a_likelihood_without_a_support() -> None:
    """(5.2) is taken at its word, in the objective and in a prediction."""
    weights = vmtl.GaussianWeights(2, (2,), initial_scale=1e-9, covariance="diagonal")
    made = vmtl.MultiTaskELBO(
        lambda z, w: Silent((z * w).sum(-1)), weights, task_sizes=SIZES, sources="previous"
    )
    wanted = Normal(torch.zeros(7), 1.0).log_prob(Y)
    rows = made(X, Y, TASK).log_likelihood
    torch.testing.assert_close(rows, torch.stack([wanted[t == TASK].sum() for t in (0, 1)]))
    torch.testing.assert_close(vmtl.predictive(made, X, TASK).log_prob(Y), wanted)
