"""Edges that a change of one character would move: defaults of gradients, dtypes, limits, names."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, Poisson

import vmtl_core as vmtl
from tests.watched import Watched
from vmtl_core._rows import place_in_task, rows_per_task
from vmtl_core.distributions import concatenate, full_gaussian
from vmtl_core.divergences import responsibilities
from vmtl_core.likelihoods import expected_log_likelihood

TASK = torch.tensor([0, 1, 1, 0, 1])
X = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)
Y = torch.linspace(0, 2, 5, dtype=torch.float64)


def test_the_full_gradient_by_default() -> None:
    """(4.2) where q is p, the draws of the full gradient vary; stick_the_landing is asked for."""
    for family in (Normal, Watched):
        loc = torch.zeros(1, requires_grad=True)
        q, p = family(loc, torch.ones(1)), family(torch.zeros(1), torch.ones(1))
        weights = torch.zeros(1)
        plain, kind = vmtl.kl_monte_carlo, vmtl.kl_to_mixture
        for value in (plain(q, p, 3), kind(q, p, weights, "monte_carlo", 3)):
            assert torch.autograd.grad(value.sum(), loc)[0].abs() > 1e-3
        for value in (
            plain(q, p, 3, stick_the_landing=True),
            kind(q, p, weights, "monte_carlo", 3, stick_the_landing=True),
        ):
            assert torch.autograd.grad(value.sum(), loc)[0].abs() < 1e-12


def test_responsibilities_have_a_gradient() -> None:
    """(4.5) d phi_k / d KL_j = phi_k (phi_j - [j = k]), and the opposite in log alpha."""
    kl = torch.tensor([0.5, 1.0, 3.0], requires_grad=True)
    log_weights = torch.tensor([0.2, 0.5, 0.3]).log().requires_grad_()
    phi = responsibilities(kl, log_weights)
    in_kl, in_weights = torch.autograd.grad(phi[0], [kl, log_weights])
    wanted = phi[0] * (phi - torch.eye(3)[0])
    torch.testing.assert_close(in_kl, wanted)
    torch.testing.assert_close(in_weights, -wanted)


def test_a_draw_of_zero_is_no_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """(3.1) an Exponential draw can be 0 in float32; its logarithm must stay finite."""
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, **_: self.zero_())
    for dtype in (torch.float32, torch.float64):
        alpha = vmtl.gumbel_softmax(torch.tensor([0.0, 1.0, 2.0], dtype=dtype), 1.0)
        wanted = torch.softmax(torch.tensor([0.0, 1.0, 2.0], dtype=dtype), -1)
        torch.testing.assert_close(alpha, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weight", [-0.5, 0, 1, 1.5, math.nan, "half"])
def test_a_base_weight_that_is_no_share(weight: Any) -> None:
    """(2.4) strictly between 0 and 1, and refused by name."""
    with pytest.raises(ValueError, match=rf"`base_weight` must be .* got '?{weight}"):
        vmtl.GumbelSoftmaxMixing(3, base=True, base_weight=weight)


def test_one_bad_row_of_logits() -> None:
    """(3.3) a row that is no row of probabilities is refused though others are; the message has it."""
    for bad in (-math.inf, math.nan, math.inf):
        logits = torch.stack([torch.zeros(3), torch.full((3,), bad)])
        with pytest.raises(ValueError, match=rf"`logits` .*got \[{bad}\]"):
            vmtl.gumbel_softmax(logits, 1.0)
    with pytest.raises(ValueError, match=r"`logits` .* got \(\)"):
        vmtl.gumbel_softmax(torch.tensor(0.0), 1.0)


def test_columns_know_what_they_are_made_of() -> None:
    """(9.7) a matrix is one event; validation sees a factor that is none, if it is asked for."""
    columns: Any = vmtl.GaussianColumns
    assert columns.support.event_dim == columns.arg_constraints["loc"].event_dim == 2
    assert columns.arg_constraints["scale_tril"].event_dim == 3
    loc, upper = torch.zeros(2, 1), torch.ones(1, 2, 2)
    columns(loc, upper)
    with pytest.raises(ValueError, match="scale_tril"):
        columns(loc, upper, validate_args=True)
    fits = columns(loc, torch.eye(2)[None], validate_args=True)
    assert (fits.batch_shape, fits.event_shape) == ((), (2, 1))


def test_no_graph_where_none_is_recorded() -> None:
    """(5.1) under no_grad nothing is recorded, whatever the sources."""
    for sources in ("joint", "previous", "own"):
        encoder = vmtl.GaussianEncoder(2, 2, 2)
        model = vmtl.MultiTaskELBO(
            vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), encoder, task_sizes=[2, 3],
            sources=sources,
        )  # fmt: skip
        with torch.no_grad():
            assert [t.requires_grad for t in model(X, Y, TASK)] == [False] * 5


def test_what_a_state_holds() -> None:
    """Parameters, and no constants that another version would not load."""
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), vmtl.GaussianWeights(2, (2,)), task_sizes=[2, 3], sources="own"
    )
    last = {name.split(".")[-1] for name in model.state_dict()}
    assert {"loc", "log_scale", "below", "logits", "log_width"} <= last
    assert not last & {"start", "excluded", "like"}


def amortised(x: Tensor, y: Tensor, task: Tensor, **options: Any) -> vmtl.AmortizedWeights:
    return vmtl.AmortizedWeights(x, y, task, latent_features=2, **options)


def test_amortised_weights_take_what_a_table_holds() -> None:
    """(10.1a) float64 features where torch's default is float32, labels as floats, more tasks, classes."""
    torch.set_default_dtype(torch.float32)
    labels = torch.tensor([0.0, 1, 0, 1, 1])
    q = amortised(X, labels, TASK)()
    assert (q.mean.dtype, q.batch_shape, q.event_shape) == (torch.float64, (2,), (2, 2))
    three = amortised(X, torch.tensor([0, 1, 2, 1, 1]), TASK, tasks=3)()
    assert (three.batch_shape, three.event_shape) == ((3,), (2, 3))
    with pytest.raises(
        ValueError, match=r"`y` must hold every class 0\.\.\.2; \[2\] have no example"
    ):
        amortised(X, labels, TASK, classes=3)
    with pytest.raises(ValueError, match=r"`tasks` must be an integer >= 2; got 1"):
        amortised(X, labels, 0 * TASK)
    with pytest.raises(ValueError, match=r"`classes` must be an integer >= 2; got 1"):
        amortised(X, 0 * labels, TASK)
    with pytest.raises(ValueError, match=r"`y` must hold class labels 0\.\.\.1; got"):
        amortised(X, labels + 0.5, TASK, classes=2)
    with pytest.raises(ValueError, match=r"`y` must hold class labels 0\.\.\.1; got"):
        amortised(X, labels - 1, TASK, classes=2)


@pytest.mark.parametrize(
    ("tasks", "shape", "full"), [(1000, (100,), True), (10_000_001, (1,), False)]
)
def test_ten_million_numbers(tasks: int, shape: tuple[int, ...], full: bool) -> None:
    """(2.1) are the most for full covariances by default."""
    with torch.device("meta"):
        assert (vmtl.GaussianWeights(tasks, shape).below is not None) == full


def test_rows_of_the_tasks() -> None:
    """(5.3) how many each has, and which of its task's rows each is."""
    task = torch.tensor([2, 0, 2, 2, 0])
    assert rows_per_task(task, 4).tolist() == [2, 0, 3, 0]
    assert place_in_task(task, 4).tolist() == [0, 0, 1, 2, 1]


def test_lists_of_posteriors_are_named_in_messages() -> None:
    """(2.1) different event shapes in a list of `weights`."""
    weights = [Independent(Normal(torch.zeros(size), 1.0), 1) for size in (2, 3)]
    with pytest.raises(ValueError, match="`weights` must have one event shape"):
        vmtl.MultiTaskELBO(vmtl.LinearGaussian(), weights, task_sizes=[2, 3], sources="previous")
    parts = [one.expand(torch.Size((1,))) for one in weights]
    with pytest.raises(ValueError, match="posteriors must have one event shape"):
        concatenate(parts)


def test_counts_are_no_weights() -> None:
    """(2.1) weights are real numbers that a path leads to."""
    q = Independent(Poisson(torch.ones(2, 2, requires_grad=True)), 1)
    with pytest.raises(ValueError, match="pathwise"):
        vmtl.kl_monte_carlo(q, q, 3)
    assert vmtl.kl_monte_carlo(Poisson(torch.ones(2)), Poisson(torch.ones(2)), 3).tolist() == [0, 0]


def test_leading_dimensions_that_differ() -> None:
    """(2.4) parts stand side by side along the last batch dimension only."""
    parts = [Normal(torch.zeros(count, 1), 1.0) for count in (2, 3)]
    with pytest.raises(ValueError, match=r"`parts` must have .*\(2, 1\).*\(3, 1\)"):
        vmtl.Concatenated(parts)


def test_events_that_have_no_covariance_here() -> None:
    """(9.7) of three dimensions or more; a matrix has one for each column."""
    blocks = [Independent(Normal(torch.zeros(2, *[2] * n), 1.0), n) for n in (1, 2, 3)]
    shapes = [None if f is None else tuple(f[1].shape) for f in map(full_gaussian, blocks)]
    assert shapes == [(2, 1, 2, 2), (2, 2, 2, 2), None]


def test_targets_are_checked_unless_told_otherwise() -> None:
    """(5.2) the sum over the grid looks at y itself, by default."""
    z, w, task = torch.ones(1, 1, 5, 2), torch.ones(1, 1, 5, 2), TASK
    y = torch.tensor([0.0, 1, 2, 1, 0])
    with pytest.raises(ValueError, match=r"`y` must lie .*\[2\.0\]"):
        expected_log_likelihood(vmtl.LinearBernoulli(), z, w, y, task)
