"""A loss that turns non-finite stops fit: step and term named, the last finite parameters kept."""

import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributions import Distribution, Independent, Normal

import vmtl_core as vmtl

X = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(6, 2)
Y = torch.tensor([0.0, 1, 0, 1, 0, 1]).double()
TASK = torch.tensor([0, 0, 0, 1, 1, 1])
TURN = 4


class Spoiler(nn.Module):
    """A parameter, and a factor that turns from 1 into NaN at call number `turn`."""

    def __init__(self, turn: float = math.inf):
        super().__init__()
        self.weight, self.turn, self.calls = nn.Parameter(torch.ones(()).double()), turn, -1

    def factor(self) -> Tensor:
        if torch.is_grad_enabled():  # the check of the data comes first, without gradient
            self.calls += 1
        return self.weight * (math.nan if self.calls >= self.turn else 1.0)


class Likelihood(Spoiler):
    """NaN for the rows of task 1."""

    def forward(self, z: Tensor, w: Tensor) -> Distribution:
        mean = (z * w).sum(-1)
        wrong = torch.cat([torch.ones(3).double(), self.factor().expand(3)])
        return Normal(mean * wrong, 1.0, validate_args=False)


class BadGradient(torch.autograd.Function):
    """The identity, whose gradient is infinite."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * math.inf


class Weights(Spoiler):
    """q(w|D_t); `spoil` takes the means and the number of the call."""

    def __init__(self, spoil: Callable[[Tensor, int], Tensor] = lambda loc, call: loc):
        super().__init__()
        self.loc, self.spoil = nn.Parameter(torch.zeros(2, 2).double()), spoil

    def forward(self) -> Distribution:
        loc = self.spoil(self.loc * self.factor(), self.calls)
        return Independent(Normal(loc, 0.3 * torch.ones_like(loc), validate_args=False), 1)


def model(**options: Any) -> vmtl.MultiTaskELBO:
    defaults: dict[str, Any] = {
        "likelihood": Likelihood(),
        "weights": Weights(),
        "task_sizes": [3, 3],
        "sources": "joint",
    }
    return vmtl.MultiTaskELBO(**({"sources": "own"} | defaults | options)).double()


def fit(made: vmtl.MultiTaskELBO, **options: Any) -> vmtl.History:
    """By Adam, unjudged, at a constant rate: the first steps are the same however many follow."""
    defaults: dict[str, Any] = {"method": "adam", "lr": 0.03, "tolerance": None, "progress": False}
    return vmtl.fit(made, X, Y, TASK, **(defaults | options))


def stopped(made: vmtl.MultiTaskELBO, **options: Any) -> vmtl.NonFiniteError:
    with pytest.raises(vmtl.NonFiniteError) as found:
        fit(made, **({"steps": 20} | options))
    return found.value


def parameters_at(step: int, **options: Any) -> list[Tensor]:
    """Those of an undisturbed fit after so many updates."""
    made = model(**options)
    if step:
        fit(made, steps=step)
    return [p.detach().clone() for p in made.parameters()]


def check_history(error: vmtl.NonFiniteError, steps: int = TURN) -> None:
    assert error.history.step == steps
    for values in error.history.terms.values():
        assert len(values) == steps
        assert all(math.isfinite(value) for value in values)


def assert_parameters(made: vmtl.MultiTaskELBO, expected: list[Tensor]) -> None:
    for found, wanted in zip(made.parameters(), expected, strict=True):
        assert torch.equal(found, wanted)


def test_likelihood() -> None:
    """At step 4; what is kept is what step 3 evaluated, before its update."""
    made = model(likelihood=Likelihood(TURN))
    error = stopped(made)
    assert str(error).startswith("step 4: log_likelihood of tasks [1] is not finite")
    check_history(error)
    assert_parameters(made, parameters_at(TURN - 1))


def test_kl_of_weights() -> None:
    """A prior that vanishes: log weights of NaN reach kl_weights alone."""
    made = model(base_prior=None, transfer=None, hyperprior=None)
    schedule = made.prior.mixing.log_weights

    def log_weights(temperature: float, *rest: Any) -> Tensor:
        calls.append(temperature)
        spoilt = len(calls) - 2 >= TURN  # the first call checks the data
        return schedule(temperature, *rest) * (math.nan if spoilt else 1.0)

    calls: list[float] = []
    made.prior.mixing.log_weights = log_weights  # type: ignore[method-assign,assignment]
    error = stopped(made)
    assert str(error).startswith("step 4: kl_weights of tasks [0, 1] is not finite")
    check_history(error)
    assert_parameters(
        made, parameters_at(TURN - 1, base_prior=None, transfer=None, hyperprior=None)
    )


def test_gradient_alone() -> None:
    """The objective at step 4 is finite, so its parameters stay."""

    def spoil(loc: Tensor, call: int) -> Tensor:
        return BadGradient.apply(loc) if call >= TURN else loc

    made = model(weights=Weights(spoil))
    made.posteriors.weights.calls = -1
    error = stopped(made)
    assert "step 4: the gradient of posteriors.weights." in str(error)
    assert "posteriors.weights.loc" in str(error)
    check_history(error)
    assert_parameters(made, parameters_at(TURN))


def test_own_part() -> None:
    """The own-data posteriors' likelihood turns NaN, nothing else does."""
    own = Likelihood(TURN)
    made = model(sources="own", own_likelihood=own)
    error = stopped(made)
    assert str(error).startswith("step 4: own_elbo of tasks [1] is not finite")
    check_history(error)
    assert_parameters(made, parameters_at(TURN - 1, sources="own", own_likelihood=Likelihood()))


def test_hyperprior() -> None:
    """A scalar term is named alone."""
    made = model()
    density = made.prior.log_hyperprior

    def log_hyperprior() -> Tensor:
        calls.append(1)
        return density() * (math.inf if len(calls) - 2 >= TURN else 1.0)

    calls: list[int] = []
    made.prior.log_hyperprior = log_hyperprior  # type: ignore[method-assign]
    assert str(stopped(made)).startswith("step 4: hyperprior is not finite")


def test_divergence_by_too_large_a_rate() -> None:
    """The ordinary case: steps that are too long, in float32."""
    made = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), task_sizes=[3, 3], sources="own"
    )
    error = stopped(made, lr=60.0)
    assert error.history.step < 20
    assert "try a smaller `lr`" in str(error)
    assert all(bool(torch.isfinite(p).all()) for p in made.parameters())
    with torch.no_grad():
        made(X, Y, TASK)  # has finite parameters: an objective can be computed


@pytest.mark.parametrize("latents", [False, True], ids=["inputs", "latents"])
@pytest.mark.parametrize(("steps", "rate"), [(1, 1e3), (1, 1e38), (5, 1e38)])
def test_the_last_update_is_looked_at(steps: int, rate: float, latents: bool) -> None:
    """One step that is far too long, and no step after it to find out."""
    encoder = vmtl.GaussianEncoder(2, 2, 2) if latents else None
    made = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(2, (2,)),
        encoder,
        task_sizes=[3, 3],
        sources="own",
    )
    before = [p.detach().clone() for p in made.parameters()]
    error = stopped(made, steps=steps, lr=rate)
    assert "try a smaller `lr`" in str(error)
    assert_parameters(made, before)


def test_the_error_can_be_pickled() -> None:
    """As processes hand it on: message and history."""
    error = stopped(model(likelihood=Likelihood(TURN)))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is vmtl.NonFiniteError
    assert str(again) == str(error)
    assert again.history.terms == error.history.terms


def test_first_step() -> None:
    made = model(likelihood=Likelihood(0))
    error = stopped(made)
    assert str(error).startswith("step 0: log_likelihood")
    check_history(error, 0)
    assert_parameters(made, parameters_at(0))


def test_large_finite_gradients_go_on() -> None:
    """Gradients whose squares overflow are finite all the same."""

    class Steep(nn.Module):
        def forward(self, z: Tensor, w: Tensor) -> Distribution:
            return Normal((z * w).sum(-1), 1e-11, validate_args=False)

    made = vmtl.MultiTaskELBO(
        Steep(), vmtl.GaussianWeights(2, (2,)), task_sizes=[3, 3], sources="joint"
    )
    history = vmtl.fit(
        made, X.float(), Y.float(), TASK, steps=3, lr=0.03, tolerance=None, progress=False
    )
    assert history.step == 3


def test_fit_goes_on_after_the_cure() -> None:
    """The history that came with the error resumes, with a smaller rate."""
    likelihood = Likelihood(TURN)
    made = model(likelihood=likelihood)
    error = stopped(made)
    likelihood.turn = math.inf
    history = fit(made, steps=10, lr=0.01, resume=error.history)
    assert history.step == 10


@pytest.mark.filterwarnings("ignore::vmtl_core.UnitsWarning")
@pytest.mark.parametrize("steps", [1, 3])
def test_a_covariance_that_becomes_singular(steps: int) -> None:
    """Standard deviations of 0 after one step: a fit that has diverged, not an error of torch's."""
    made = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), task_sizes=[3, 3], sources="own"
    ).double()
    before = [p.detach().clone() for p in made.parameters()]
    with pytest.raises(vmtl.NonFiniteError, match=r"step 1: a covariance is singular") as caught:
        vmtl.fit(
            made, X, 5 * X.sum(-1), TASK, steps, 1e10, method="adam", tolerance=None, progress=False
        )
    assert "try a smaller `lr`" in str(caught.value)
    assert caught.value.history.step == 1
    assert_parameters(made, before)
