"""Gaussian posteriors whose coordinates may be correlated: `GaussianWeights(covariance="full")`.

Vectors, and matrices with independent columns.
"""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, kl_divergence

import vmtl_core as vmtl
from tests.stats import assert_mean, assert_spread
from vmtl_core.distributions import concatenate, widen


def full(batch: int, size: int) -> MultivariateNormal:
    factor = torch.randn(batch, size, size).tril(-1) + torch.diag_embed(
        0.4 + torch.rand(batch, size)
    )
    return MultivariateNormal(torch.randn(batch, size), scale_tril=factor)


def full_columns(batch: int, rows: int, columns: int) -> vmtl.GaussianColumns:
    each = full(batch * columns, rows)
    factor = each.scale_tril.unflatten(0, (batch, columns))
    return vmtl.GaussianColumns(each.loc.unflatten(0, (batch, columns)).mT, factor)


def column(dist: Distribution, index: int) -> MultivariateNormal:
    """One column of every matrix, from the definition."""
    if isinstance(dist, vmtl.GaussianColumns):
        factor = dist.scale_tril[..., index, :, :]
        return MultivariateNormal(dist.loc[..., index], scale_tril=factor)
    return MultivariateNormal(
        dist.mean[..., index], scale_tril=torch.diag_embed(dist.stddev[..., index])
    )


def correlated(dist: Distribution) -> MultivariateNormal:
    assert isinstance(dist, MultivariateNormal)
    return dist


def scattered(tasks: int, size: int) -> vmtl.GaussianWeights:
    weights = vmtl.GaussianWeights(tasks, (size,), covariance="full")
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return weights


def test_starts_where_the_diagonal_family_starts() -> None:
    """(2.1) mean 0, standard deviations `initial_scale`, no correlation; then a triangular factor."""
    q = correlated(vmtl.GaussianWeights(3, (4,), initial_scale=0.2, covariance="full")())
    assert q.batch_shape == (3,)
    assert q.event_shape == (4,)
    torch.testing.assert_close(q.covariance_matrix, (0.04 * torch.eye(4)).expand(3, 4, 4))
    weights = scattered(2, 3)
    factor = correlated(weights()).scale_tril
    assert (factor.triu(1) == 0).all()
    torch.testing.assert_close(factor.diagonal(dim1=-2, dim2=-1), weights.log_scale.exp())
    assert (factor.tril(-1) != 0).sum() == 2 * 3
    weights().rsample().sum().backward()
    assert weights.below is not None
    assert weights.below.grad is not None
    assert weights.below.grad.tril(-1).count_nonzero() == 2 * 3


def test_all_pairs_against_torch() -> None:
    """(4.8) matrix products give torch's KL of every pair, correlated or not on either side."""
    q, p = full(4, 3), full(5, 3)
    diagonal = Independent(Normal(torch.randn(5, 3), 0.5 + torch.rand(5, 3)), 1)
    as_full = MultivariateNormal(diagonal.mean, scale_tril=torch.diag_embed(diagonal.stddev))

    def wanted(left: MultivariateNormal, right: MultivariateNormal) -> Tensor:
        rows = MultivariateNormal(left.loc[:, None], scale_tril=left.scale_tril[:, None])
        return kl_divergence(rows, right)

    torch.testing.assert_close(vmtl.pairwise_kl(q, p), wanted(q, p), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        vmtl.pairwise_kl(q, diagonal), wanted(q, as_full), rtol=1e-10, atol=1e-10
    )
    torch.testing.assert_close(
        vmtl.pairwise_kl(diagonal, q), wanted(as_full, q), rtol=1e-10, atol=1e-10
    )
    torch.testing.assert_close(vmtl.pairwise_kl(q, q).diagonal(), torch.zeros(4))


def test_columns_are_independent_vectors() -> None:
    """Density, entropy, moments and draws of a matrix are those of its columns side by side."""
    q = full_columns(4, 3, 2)
    assert (q.batch_shape, q.event_shape) == ((4,), (3, 2))
    value = torch.randn(5, 4, 3, 2)
    each = [column(q, c) for c in range(2)]
    total = sum((dist.log_prob(value[..., c]) for c, dist in enumerate(each)), torch.zeros(5, 4))
    torch.testing.assert_close(q.log_prob(value), total)
    torch.testing.assert_close(q.entropy(), each[0].entropy() + each[1].entropy())
    torch.testing.assert_close(q.mean, torch.stack([dist.mean for dist in each], -1))
    torch.testing.assert_close(q.variance, torch.stack([dist.variance for dist in each], -1))
    draws = q.expand((2, 4)).rsample((40_000,))
    assert draws.shape == (40_000, 2, 4, 3, 2)
    for c, dist in enumerate(each):
        found = torch.stack([one.T.cov() for one in draws[:, 0, :, :, c].unbind(1)])
        size = dist.covariance_matrix.abs().amax()
        torch.testing.assert_close(found / size, dist.covariance_matrix / size, rtol=0, atol=0.05)
    between = torch.stack([draws[:, 0, 0, 0, 0], draws[:, 0, 0, 0, 1]]).corrcoef()[0, 1]
    assert abs(between) < 0.03


def test_all_pairs_of_matrices() -> None:
    """(4.8) the KLs of the columns add up, correlated or not on either side."""
    q, p = full_columns(4, 3, 2), full_columns(5, 3, 2)
    diagonal = Independent(Normal(torch.randn(5, 3, 2), 0.5 + torch.rand(5, 3, 2)), 2)
    for left, right in ((q, p), (q, diagonal), (diagonal, q), (diagonal, p)):
        wanted = torch.zeros(len(left.mean), len(right.mean))
        for c in range(2):
            rows = column(left, c)
            rows = MultivariateNormal(rows.loc[:, None], scale_tril=rows.scale_tril[:, None])
            wanted = wanted + kl_divergence(rows, column(right, c))
        torch.testing.assert_close(vmtl.pairwise_kl(left, right), wanted, rtol=1e-10, atol=1e-10)


def test_matrices_widened_and_side_by_side() -> None:
    """(2.4), (2.6) each column as a vector would be, and one Gaussian with the base prior."""
    q, width = full_columns(3, 4, 2), torch.rand(4, 2)
    wide = widen(q, width)
    for c in range(2):
        expected = column(q, c).covariance_matrix + torch.diag(width[:, c] ** 2)
        torch.testing.assert_close(column(wide, c).covariance_matrix, expected)
    torch.testing.assert_close(widen(q, torch.tensor(0.3)).variance, q.variance + 0.09)
    base = Independent(Normal(torch.zeros(1, 4, 2), torch.rand(1, 4, 2) + 0.5), 2)
    both = concatenate([wide, base])
    assert isinstance(both, vmtl.GaussianColumns)
    points = torch.randn(7, 1, 4, 2)
    expected = torch.cat([wide.log_prob(points), base.log_prob(points)], -1)
    torch.testing.assert_close(both.log_prob(points), expected)


def test_no_cancellation_far_from_zero() -> None:
    """(4.8) in float32, means near 1000: they are centred first."""
    torch.manual_seed(0)
    factor = (0.3 * torch.randn(4, 3, 3)).tril(-1) + torch.diag_embed(0.5 + torch.rand(4, 3))
    loc = (torch.randn(3) * 1000 + torch.randn(4, 3)).float()
    single = MultivariateNormal(loc, scale_tril=factor.float())
    double = MultivariateNormal(loc.double(), scale_tril=factor.float().double())
    found = vmtl.pairwise_kl(single, single)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found.double(), vmtl.pairwise_kl(double, double), rtol=1e-4, atol=1e-3
    )


def test_widening_adds_to_the_diagonal_of_the_covariance() -> None:
    """(2.6) the law of w' + N(0, delta^2)."""
    q, width = full(3, 4), torch.rand(4)
    wide = correlated(widen(q, width))
    expected = q.covariance_matrix + torch.diag(width**2)
    torch.testing.assert_close(wide.covariance_matrix, expected)
    torch.testing.assert_close(wide.mean, q.mean)


def test_no_covariance_is_made_of_a_diagonal_gaussian() -> None:
    """(2.6) a million independent weights: their covariance would take 8 TB."""
    q = Independent(Normal(torch.zeros(1, 10**6, 1), 1.0), 2)
    torch.testing.assert_close(widen(q, torch.tensor(2.0)).variance, torch.full_like(q.mean, 5.0))


def test_side_by_side_with_a_diagonal_gaussian() -> None:
    """(2.4) sources and base prior stay one Gaussian, with the same densities."""
    q, base = full(3, 2), Independent(Normal(torch.zeros(1, 2), torch.rand(1, 2) + 0.5), 1)
    both = concatenate([q, base])
    assert isinstance(both, MultivariateNormal)
    points = torch.randn(7, 1, 2)
    expected = torch.cat([q.log_prob(points), base.log_prob(points)], -1)
    torch.testing.assert_close(both.log_prob(points), expected)


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_own_posterior_is_exact(outputs: int) -> None:
    """(5.5) linear regression, fixed base prior and noise: q reaches the posterior, correlations too.

    With two outputs the posterior of w is that of two regressions, a column each.
    """
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(24, 1, generator=draw) + 0.5 * torch.randn(24, 3, generator=draw)
    y, task = torch.randn(24, outputs, generator=draw), torch.arange(24) % 2
    shape = (3,) if outputs == 1 else (3, outputs)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(0.7),
        vmtl.GaussianWeights(2, shape, covariance="full"),
        task_sizes=[12, 12],
        base_prior="standard",
        weight_samples=50,
        sources="own",
    )
    rate = vmtl.cosine_decay(0.1, 0.0005, 600)
    given = y[:, 0] if outputs == 1 else y
    vmtl.fit(model, x, given, task, 600, rate, seed=0, progress=False)
    own = model.source_weights()
    for t in range(2):
        rows = task == t
        precision = torch.eye(3) + x[rows].T @ x[rows] / 0.49
        covariance = torch.linalg.inv(precision)
        for c in range(outputs):
            mean = covariance @ x[rows].T @ y[rows, c] / 0.49
            exact = MultivariateNormal(mean, covariance)
            found = correlated(own) if outputs == 1 else column(own, c)
            found = MultivariateNormal(found.loc[t], scale_tril=found.scale_tril[t])
            best_diagonal = MultivariateNormal(mean, torch.diag(1 / precision.diagonal()))
            assert kl_divergence(found, exact) < 0.02 * kl_divergence(best_diagonal, exact)


@pytest.mark.parametrize("divergence", ["jensen", "convex", "monte_carlo"])
def test_every_divergence_of_a_model_by_hand(divergence: str) -> None:
    """(4.2)-(4.4) the KL term of a model with full covariances, from torch's own KLs."""
    torch.manual_seed(0)
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        scattered(3, 2),
        own_weights=scattered(3, 2),
        task_sizes=[4, 4, 4],
        transfer="learned",
        temperature=math.inf,
        divergence=divergence,
        divergence_samples=100,
        sources="own",
    )
    x, y, task = torch.randn(12, 2), torch.randn(12), torch.arange(12) % 3
    repeats = 100 if divergence == "monte_carlo" else 1
    found = torch.stack([model(x, y, task).kl_weights.detach() for _ in range(repeats)])
    for t in range(3):
        mine, parts = receiver_and_components(model, t)
        log_alpha = torch.full((3,), -math.log(3.0))
        if divergence == "monte_carlo":
            w = mine.sample((100_000,))
            log_p = torch.stack([part.log_prob(w) for part in parts], -1)
            each = mine.log_prob(w) - (log_alpha + log_p).logsumexp(-1)
            error = (each.std() / len(w) ** 0.5).item()
            assert_mean(found[:, t], each.mean(), rounding=6 * error)
            assert_spread(found[:, t], found[:, t].mean(), each.std() / 100**0.5)
            continue
        kl = torch.stack([kl_divergence(mine, part) for part in parts])
        jensen = -(log_alpha - kl).logsumexp(0)
        torch.testing.assert_close(found[0, t], jensen if divergence == "jensen" else kl.mean())


def receiver_and_components(
    model: vmtl.MultiTaskELBO, t: int
) -> tuple[MultivariateNormal, list[MultivariateNormal]]:
    """q(w_t|D_t); the widened own-data posteriors of the others and the base prior."""
    with torch.no_grad():
        q, own = correlated(model.q_weights()), correlated(model.source_weights())
        assert model.prior.base is not None
        base, width = model.prior.base(), model.prior.width()
        assert width is not None
        parts = [
            MultivariateNormal(own.loc[k], own.covariance_matrix[k] + torch.diag(width**2))
            for k in range(3)
            if k != t
        ]
        parts.append(MultivariateNormal(base.mean[0], torch.diag(base.variance[0])))
        return MultivariateNormal(q.loc[t], scale_tril=q.scale_tril[t]), parts
