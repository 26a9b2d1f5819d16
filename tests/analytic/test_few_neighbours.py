"""Few sources a task: the prior as a Distribution, and sources of a family that p_0 isn't of."""

import pytest
import torch
from torch.distributions import Independent, Laplace

import vmtl_core as vmtl

T, K = 4, 2


@pytest.mark.parametrize("neighbours", [K, 0])
def test_components_of_every_row(neighbours: int) -> None:
    """(2.4) row t: its neighbours' reports, then p_0, as among all."""
    loc = torch.arange(2.0 * T).reshape(T, 2)
    sources = Independent(Laplace(loc, 1.0), 1)
    few = vmtl.WeightsPrior(T, (2,), "standard", None, neighbours=neighbours)
    every = vmtl.WeightsPrior(T, (2,), "standard", None).components(sources)
    columns = few.mixing.columns()
    assert columns is not None
    w = torch.randn(2, generator=torch.Generator().manual_seed(0))
    found, wanted = few.components(sources).log_prob(w[None]), every.log_prob(w[None])[columns]
    assert found.shape == (T, neighbours + 1)
    torch.testing.assert_close(found, wanted)
    mixed = few(sources, 1.0)
    assert bool(mixed.log_prob(mixed.sample()).isfinite().all())


def test_the_prior_of_few_neighbours() -> None:
    """(2.4) the weights' prior of a fitted model: the mixture of its neighbours and p_0."""
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(T, (2,)),
        task_sizes=[3] * T,
        neighbours=K,
        sources="previous",
    )
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    w = torch.randn(T, 2, generator=torch.Generator().manual_seed(0))
    prior = model.weights_prior()
    assert prior.batch_shape == (T,)
    columns = model.prior.mixing.columns()
    assert columns is not None
    components, weights = model.prior.components(model.source_weights()), model.alpha()
    for t in range(T):
        each = components.log_prob(w[t].expand(T, K + 1, 2))[t].exp()
        wanted = (weights[t, columns[t]] * each).sum().log()
        torch.testing.assert_close(prior.log_prob(w)[t], wanted)
