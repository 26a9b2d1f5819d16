"""The log density of a mixture, from log weights."""

import math

import pytest
import torch
from torch.distributions import Normal

from vmtl_core.divergences import mixture_log_prob
from vmtl_core.mixing import tempered_log_softmax


def test_log_density_where_weights_underflow() -> None:
    """(3.6) the only source near w has weight exp(-5000), which is 0: its log density is finite."""
    log_weights = tempered_log_softmax(torch.tensor([[0.0, -50.0]]), 0.01)
    assert float(log_weights[0, 1].exp()) == 0
    components = Normal(torch.tensor([0.0, 1000.0]), 1.0)
    found = mixture_log_prob(torch.tensor([[1000.0]]), components, log_weights)
    near = -5000 - 0.5 * math.log(2 * math.pi)
    assert float(found) == pytest.approx(near, rel=1e-9)


def test_log_density_by_hand() -> None:
    """(3.6) each receiver has weights of its own; samples come first, (S, A)."""
    weights = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
    components = Normal(torch.tensor([-1.0, 2.0]), torch.tensor([0.5, 1.5]))
    values = torch.tensor([[0.1, 0.2], [-1.0, 3.0], [5.0, -4.0]])
    density = components.log_prob(values.unsqueeze(-1)).exp()
    found = mixture_log_prob(values, components, weights.log())
    torch.testing.assert_close(found, (weights * density).sum(-1).log())
