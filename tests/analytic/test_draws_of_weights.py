"""Samples of w: of which point, which task, which of an unseen task's laws."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Laplace, MultivariateNormal

import vmtl_core as vmtl
from tests.analytic.points import averaged
from tests.analytic.test_elbo import a_model
from tests.stats import assert_frequencies
from vmtl_core import weight_draws
from vmtl_core.points import posterior_points
from vmtl_core.weight_draws import Gaussians, WeightSamples

POINT = torch.tensor([0, 1, 0, 2]).repeat(2000)


@pytest.mark.parametrize("total", [1, 2, 7, 10, 64])
@pytest.mark.parametrize("weights", [[0.2, 0.5, 0.3], [1.0], [0.25] * 4, [1e-9, 1 - 1e-9]])
def test_shares_in_whole_numbers(weights: list[float], total: int) -> None:
    """Sum right, none off by one, and the largest remainders rounded up."""
    counts = weight_draws.in_proportion(torch.tensor(weights), total)
    exact = [w * total for w in weights]
    assert int(counts.sum()) == total
    up = [e for e, c in zip(exact, counts.tolist(), strict=True) if c > e + 1e-9]
    down = [e for e, c in zip(exact, counts.tolist(), strict=True) if c < e - 1e-9]
    assert all(abs(c - e) < 1 for e, c in zip(exact, counts.tolist(), strict=True))
    assert min([e % 1 for e in up], default=1.0) >= max([e % 1 for e in down], default=0.0) - 1e-9


def numbered(samples: int, tasks: int) -> Tensor:
    """w that tells its sample and its task: (M, T, 1)."""
    return (torch.arange(samples)[:, None] + 100.0 * torch.arange(tasks)).unsqueeze(-1)


def test_a_draw_is_of_its_point() -> None:
    """Any sample of the point's, each task's on its own; of all where the point has none."""
    counts = torch.tensor([3, 4, 0])
    found = WeightSamples(numbered(7, 3), counts).draw(POINT, torch.tensor([2, 0]))[..., 0]
    sample, task = found % 100, found // 100
    assert task.unique(dim=0).tolist() == [[2.0, 0.0]]
    wanted = {0: [1 / 3] * 3 + [0] * 4, 1: [0] * 3 + [1 / 4] * 4, 2: [1 / 7] * 7}
    for point, shares in wanted.items():
        for g in range(2):
            assert_frequencies(sample[point == POINT, g], torch.tensor(shares))
    first = POINT == 1
    pairs = sample[first, 0] * 7 + sample[first, 1] - 24  # 3...6 each: the two independent
    assert len(pairs.unique()) == 16


def spread_laws(unseen: int, tasks: int = 3) -> Gaussians:
    """Known by their means: 100 for each point, 10 for each task, and next to no variance."""
    loc = 100.0 * torch.arange(2)[:, None] + 10.0 * torch.arange(tasks + unseen)
    loc = torch.stack([loc, -loc], -1)[:, :, None]
    factor = 1e-9 * torch.eye(2).expand(2, tasks + unseen, 1, 2, 2)
    noise = torch.rand(2, tasks + 1)
    return Gaussians(torch.tensor([0.3, 0.7]).log(), loc, factor, noise, tasks)


def test_draws_of_gaussians() -> None:
    """The point's law of the task; an unseen task's any of its laws, as often each."""
    found = spread_laws(3).draw(POINT % 2, torch.tensor([1, 3]))
    assert found.shape == (8000, 2, 1, 2)
    torch.testing.assert_close(found[..., 0], -found[..., 1])
    values = found[:, :, 0, 0].round().long() - 100 * (POINT % 2)[:, None]
    assert values[:, 0].unique().tolist() == [10]
    assert_frequencies(values[:, 1] // 10 - 3, torch.full((3,), 1 / 3))
    single = spread_laws(1).draw(POINT % 2, torch.tensor([3]))[:, 0, 0, 0].round().long()
    assert (single - 100 * (POINT % 2)).unique().tolist() == [30]
    none = spread_laws(0).draw(POINT % 2, torch.tensor([3, 1]))[:, :, 0, 0].round().long()
    assert (none - 100 * (POINT % 2)[:, None]).unique(dim=0).tolist() == [[20, 10]]


def test_spread_of_gaussian_draws() -> None:
    factor = torch.tensor([[0.5, 0.0], [0.8, 0.3]])
    one = Gaussians(torch.zeros(1), torch.ones(1, 1, 1, 2), factor.view(1, 1, 1, 2, 2), None, 1)
    draws = one.draw(torch.zeros(40_000, dtype=torch.long), torch.tensor([0]))[:, 0, 0]
    torch.testing.assert_close(draws.mean(0), torch.ones(2), atol=0.03, rtol=0)
    torch.testing.assert_close(draws.T.cov(), factor @ factor.T, atol=0.03, rtol=0)


def test_unseen_as_one_task() -> None:
    """A mixture over the points and the laws: its weights, laws and noise in one order."""
    whole = spread_laws(3)
    found = whole.unseen()
    assert found.tasks == 1
    assert found.loc.shape == (6, 1, 1, 2)
    expected = torch.tensor([0.1] * 3 + [0.7 / 3] * 3)
    torch.testing.assert_close(found.log_weights.exp(), expected)
    assert found.loc[:, 0, 0, 0].tolist() == [30.0, 40.0, 50.0, 130.0, 140.0, 150.0]
    assert found.noise is not None
    assert whole.noise is not None
    assert found.noise.tolist() == [[v] for v in whole.noise[:, 3].repeat_interleave(3).tolist()]
    assert whole._replace(noise=None).unseen().noise is None
    assert found.scale_tril.shape == (6, 1, 1, 2, 2)


def test_noise_of_an_unseen_task() -> None:
    """The mean variance of the tasks that have noise, at every point."""
    model, points = averaged([vmtl.LinearGaussian(), vmtl.LinearBernoulli(), vmtl.LinearGaussian()])
    noise = torch.tensor([[1.0, 0.0, 7.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = weight_draws.gaussians(model, points._replace(noise=noise), False)
    assert found is not None
    assert found.noise is not None
    torch.testing.assert_close(found.noise[:, :3], noise)
    torch.testing.assert_close(found.noise[:, 3], torch.tensor([5.0, 2.0, 0.0]))
    torch.testing.assert_close(found.log_weights.exp(), points.log_weights.exp())


def test_a_copy_of_the_posterior() -> None:
    """What is drawn later is of the posterior that was asked."""
    model, points = averaged(vmtl.LinearGaussian())
    found = weight_draws.gaussians(model, points, False)
    assert found is not None
    before = found.loc.clone(), found.scale_tril.clone()
    points.loc.add_(1)
    points.scale_tril.add_(1)
    assert torch.equal(found.loc, before[0])
    assert torch.equal(found.scale_tril, before[1])


def test_samples_of_points_side_by_side() -> None:
    """Of 2, 5 and 3 samples, each the law of its point; an unseen task's of the base prior's."""
    model, points = averaged(vmtl.LinearCategorical(), (2, 3), noise=False)
    narrow = points._replace(
        scale_tril=1e-9 * points.scale_tril,
        base_scale_tril=1e-9 * points.base_scale_tril,  # type: ignore[operator]
    )
    found = weight_draws.weight_samples(model, narrow, 10, True)
    assert found.counts.tolist() == [2, 5, 3]
    assert found.w.shape == (10, 4, 2, 3)
    at = torch.tensor([0, 0, 1, 1, 1, 1, 1, 2, 2, 2])
    torch.testing.assert_close(found.w[:, :3], points.loc[at].mT, atol=1e-7, rtol=0)
    assert points.base_loc is not None
    torch.testing.assert_close(found.w[:, 3], points.base_loc[at].mT, atol=1e-7, rtol=0)


def test_unseen_samples_without_a_base_prior() -> None:
    """Every task's posterior as often, widened; at a golden-section order that no draw decides."""
    weights = vmtl.GaussianWeights(3, (1,), initial_scale=1e-6)
    with torch.no_grad():
        weights.loc.copy_(torch.tensor([[0.0], [10.0], [20.0]]))
    model = a_model(
        weights, lambda z, w: Laplace((z * w).sum(-1), 1.0), sources="previous", base_prior=None,
        transfer=None,
    )  # fmt: skip
    found = weight_draws.weight_samples(model, posterior_points(model), 300, True)
    assert found.w.shape == (300, 4, 1)
    assert found.counts.tolist() == [300]
    which = (found.w[:, 3, 0] / 10).round().long()
    counts = torch.bincount(which, minlength=3)
    assert int((counts - 100).abs().max()) <= 1
    assert len(which[:3].unique()) > 1


def test_samples_are_of_the_posterior_itself() -> None:
    """Without an average no full factors are made of diagonal posteriors: they may be huge."""
    weights = vmtl.GaussianWeights(3, (2, 4), covariance="diagonal")
    model = a_model(weights, vmtl.LinearCategorical(), sources="previous")
    torch.manual_seed(1)
    found = weight_draws.weight_samples(model, posterior_points(model), 5, False)
    torch.manual_seed(1)
    assert torch.equal(found.w, model.q_weights().sample((5,)))
    assert found.counts.tolist() == [5]


def test_columns_as_an_event() -> None:
    w = torch.randn(4, 3, 2, 5)
    assert torch.equal(weight_draws.event_of(w, torch.Size((5, 2))), w.mT)
    assert weight_draws.event_of(w[:, :, :1], torch.Size((5,))).shape == (4, 3, 5)


def test_one_point_of_a_fit_that_did_not_average() -> None:
    """Posteriors, noise and base prior as they are; 0 for a task of labels."""
    likelihood = [vmtl.LinearGaussian(0.5), vmtl.LinearBernoulli(), vmtl.LinearGaussian(2.0)]
    prior = MultivariateNormal(torch.randn(2), torch.eye(2) + 0.5)
    model = a_model(vmtl.GaussianWeights(3, (2,)), likelihood, base_prior=prior, sources="previous")
    found: Any = posterior_points(model)
    assert found.log_weights.tolist() == [0.0]
    torch.testing.assert_close(found.noise, torch.tensor([[0.5, 0.0, 2.0]]))
    torch.testing.assert_close(found.loc[0, :, 0], model.q_weights().mean)
    torch.testing.assert_close(found.base_loc, prior.mean[None, None].to(found.base_loc))
    covariance = found.base_scale_tril[0, 0] @ found.base_scale_tril[0, 0].T
    torch.testing.assert_close(covariance, prior.covariance_matrix.to(covariance))
    scales = vmtl.LinearGaussian(tasks=3)
    with torch.no_grad():
        scales.log_scale.copy_(torch.tensor([0.2, 0.4, 0.8]).log())
    model = a_model(vmtl.GaussianWeights(3, (2,)), scales, sources="previous")
    found = posterior_points(model)
    torch.testing.assert_close(found.noise, torch.tensor([[0.2, 0.4, 0.8]]))
    assert found.base_loc is None
    assert not found.noise.requires_grad
    labels = a_model(vmtl.GaussianWeights(3, (2,)), vmtl.LinearBernoulli(), sources="previous")
    assert posterior_points(labels).noise is None  # type: ignore[union-attr]
    heavy = Independent(Laplace(torch.zeros(3, 2), 1.0), 1)
    assert posterior_points(a_model(heavy, vmtl.LinearGaussian())) is None


def test_half_precision_is_refused() -> None:
    weights = vmtl.GaussianWeights(3, (2,)).bfloat16()
    with pytest.raises(ValueError, match="`weights` must be in float32 or float64"):
        posterior_points(a_model(weights, vmtl.LinearGaussian(), sources="previous"))


def test_points_of_an_average_are_its_own() -> None:
    model, points = averaged(vmtl.LinearGaussian())
    assert posterior_points(model) is points
