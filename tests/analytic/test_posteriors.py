"""The ready-made posteriors, against one small network or one Normal per task."""

import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal
from torch.nn import functional as F

import vmtl_core as vmtl
from vmtl_core.posteriors import SMALLEST_SCALE


@pytest.mark.parametrize("event_shape", [(), (1,), (4,), (2, 3), (2, 1, 2)])
def test_gaussian_weights(event_shape: tuple[int, ...]) -> None:
    """(2.1) N(mean_t, diag sd_t^2): shapes, start, and density coordinate by coordinate."""
    weights = vmtl.GaussianWeights(3, event_shape, initial_scale=0.4)
    q = weights()
    assert (q.batch_shape, q.event_shape) == (torch.Size([3]), torch.Size(event_shape))
    torch.testing.assert_close(q.mean, torch.zeros(3, *event_shape))
    torch.testing.assert_close(q.stddev, torch.full((3, *event_shape), 0.4))
    with torch.no_grad():
        weights.loc.normal_()
        weights.log_scale.normal_()
    value = torch.randn(3, *event_shape)
    each = Normal(weights.loc, weights.log_scale.exp()).log_prob(value)
    torch.testing.assert_close(weights().log_prob(value), each.reshape(3, -1).sum(-1))
    assert weights().rsample((7,)).shape == (7, 3, *event_shape)


@pytest.mark.parametrize(
    ("event_shape", "full"),
    [
        ((3,), True), ((256,), True), ((257,), False), ((2, 300), True), ((300, 2), False),
        ((256, 80), False), ((), False), ((2, 3, 2), False),
    ],
)  # fmt: skip
def test_which_covariance_by_default(event_shape: tuple[int, ...], full: bool) -> None:
    """(2.1) full up to 256 rows, one or two dimensions and ten million numbers; else diagonal."""
    assert (vmtl.GaussianWeights(2, event_shape).below is not None) == full
    diagonal = vmtl.GaussianWeights(2, event_shape, covariance="diagonal")
    assert diagonal.below is None


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)], ids=str)
def test_encoder_is_a_network_for_each_task(hidden: tuple[int, ...]) -> None:
    """(5.1d) one batched pass equals T separate nn.Sequential networks, values and gradients."""
    tasks, inputs, latents, x = 3, 4, 2, torch.randn(7, 4)
    encoder = vmtl.GaussianEncoder(tasks, inputs, latents, hidden)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_()
    q = encoder(x)
    assert (q.batch_shape, q.event_shape) == ((tasks, 7), (latents,))
    sizes = [inputs, *hidden, 2 * latents]
    for t in range(tasks):
        layers: list[Any] = []
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            linear = nn.Linear(a, b)
            linear.weight.data = encoder.matrices[i][t].T.detach().clone()
            linear.bias.data = encoder.biases[i][t, 0].detach().clone()
            layers += [linear, nn.ReLU()]
        network = nn.Sequential(*layers[:-1])
        loc, raw = network(x).chunk(2, -1)
        torch.testing.assert_close(q.mean[t], loc)
        torch.testing.assert_close(q.stddev[t], F.softplus(raw) + SMALLEST_SCALE)
        (q.mean[t].square().sum() + q.stddev[t].sum()).backward(retain_graph=True)
        (loc.square().sum() + F.softplus(raw).sum()).backward()
        for i, linear in enumerate(layers[::2]):
            torch.testing.assert_close(encoder.matrices[i].grad[t].T, linear.weight.grad)
            torch.testing.assert_close(encoder.biases[i].grad[t, 0], linear.bias.grad)
        others = [k for k in range(tasks) if k > t]
        assert all((m.grad[others] == 0).all() for m in encoder.matrices)


def test_encoders_start_aligned() -> None:
    """(5.1d) all tasks start from the same parameters and the given sd."""
    encoder = vmtl.GaussianEncoder(3, 2, 2, (4,), initial_scale=0.2)
    q = encoder(torch.randn(5, 2))
    assert torch.equal(q.mean[0], q.mean[1])
    torch.testing.assert_close(q.stddev, torch.full((3, 5, 2), 0.2), atol=2e-5, rtol=0)


def test_encoder_flattens_rows() -> None:
    """(5.1d) x of shape (B, 2, 3) is six numbers a row."""
    encoder, x = vmtl.GaussianEncoder(2, 6, 1), torch.randn(4, 2, 3)
    torch.testing.assert_close(encoder(x).mean, encoder(x.reshape(4, 6)).mean)


def class_table() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    task = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    y = torch.tensor([0, 1, 2, 1, 0, 2, 2, 1, 0, 2])  # task 1 has no example of class 1
    return torch.randn(10, 4), y, task


def test_amortized_class_means() -> None:
    """(10.1a) mean features of each class in each task; an absent class takes all tasks' mean."""
    x, y, task = class_table()
    weights = vmtl.AmortizedWeights(x, y, task, latent_features=2)
    for t in range(3):
        for c in range(3):
            rows = (task == t) & (y == c)
            rows = rows if rows.any() else y == c
            torch.testing.assert_close(weights.class_means[t, c], x[rows].mean(0))


def test_amortized_columns() -> None:
    """(10.1a) column c of task t is the network's output at that mean: one network for all."""
    x, y, task = class_table()
    weights = vmtl.AmortizedWeights(x, y, task, latent_features=2, hidden=(6,))
    with torch.no_grad():
        for parameter in weights.network.parameters():
            parameter.normal_()
    q = weights()
    assert (q.batch_shape, q.event_shape) == ((3,), (2, 3))
    for t in range(3):
        for c in range(3):
            loc, raw = weights.network(weights.class_means[t, c]).chunk(2)
            torch.testing.assert_close(q.mean[t, :, c], loc)
            torch.testing.assert_close(q.stddev[t, :, c], F.softplus(raw) + SMALLEST_SCALE)


def test_user_made_posteriors() -> None:
    """(2.1) a callable, and a list of T Distributions of one family or several."""
    x, y, task = torch.randn(6, 2), torch.randn(6), torch.tensor([0, 0, 0, 1, 1, 1])
    loc = torch.randn(2, 2, requires_grad=True)
    given = [
        lambda: Independent(Normal(loc, 0.5), 1),
        [Independent(Normal(loc[t], torch.full((2,), 0.5)), 1) for t in range(2)],
    ]
    results = []
    for weights in given:
        model = vmtl.MultiTaskELBO(
            vmtl.LinearGaussian(1.0), weights, task_sizes=[3, 3], sources="joint"
        )
        terms = model(x, y, task, generator=torch.Generator().manual_seed(0))
        results.append(torch.autograd.grad(terms.elbo, loc, retain_graph=True)[0])
    torch.testing.assert_close(results[0], results[1])
