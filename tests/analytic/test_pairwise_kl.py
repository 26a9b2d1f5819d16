"""All pairs of KLs between Gaussians, against torch pair by pair."""

import torch
from torch.distributions import Independent, Normal, kl_divergence

import vmtl_core as vmtl


def gaussians(*shape: int, events: int = 1, dtype=torch.float64) -> Independent:
    loc = torch.randn(*shape, dtype=torch.float64).to(dtype)
    scale = (0.3 + torch.rand(*shape, dtype=torch.float64)).to(dtype)
    return Independent(Normal(loc, scale), events)


def one(dist: Independent, *index: int) -> Independent:
    base = dist.base_dist
    return Independent(Normal(base.loc[index], base.scale[index]), dist.reinterpreted_batch_ndims)


def test_against_torch_pair_by_pair() -> None:
    """(4.8) the three matrix products give torch's kl_divergence of every pair, (A, K)."""
    for events in ((7,), (2, 3), (1,)):
        q, p = gaussians(4, *events, events=len(events)), gaussians(5, *events, events=len(events))
        found = vmtl.pairwise_kl(q, p)
        wanted = [[kl_divergence(one(q, a), one(p, k)) for k in range(5)] for a in range(4)]
        torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-12, atol=1e-12)


def test_scalar_events() -> None:
    """(4.8) plain Normals, event shape ()."""
    q = Normal(torch.randn(3), 0.5 + torch.rand(3))
    p = Normal(torch.randn(4), 0.5 + torch.rand(4))
    wanted = kl_divergence(Normal(q.loc[:, None], q.scale[:, None]), p)
    torch.testing.assert_close(vmtl.pairwise_kl(q, p), wanted, rtol=1e-12, atol=1e-12)


def test_components_of_each_receiver() -> None:
    """(4.8) batch shape (A, K): every q against its own K components."""
    q, p = gaussians(3, 2, 4), gaussians(3, 2, 5, 4)
    found = vmtl.pairwise_kl(q, p)
    assert found.shape == (3, 2, 5)
    for a in range(3):
        for b in range(2):
            for k in range(5):
                wanted = kl_divergence(one(q, a, b), one(p, a, b, k))
                torch.testing.assert_close(found[a, b, k], wanted, rtol=1e-12, atol=1e-12)


def test_further_batch_dimensions_of_the_receivers() -> None:
    """(4.8) q of batch shape (A, B), shared components (K,)."""
    q, p = gaussians(3, 2, 4), gaussians(5, 4)
    found = vmtl.pairwise_kl(q, p)
    wanted = kl_divergence(Independent(Normal(q.mean[:, :, None], q.stddev[:, :, None]), 1), p)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_zero_between_equals() -> None:
    """(4.8) KL(q||q) is zero, all others are above."""
    q = gaussians(6, 3)
    found = vmtl.pairwise_kl(q, q)
    torch.testing.assert_close(found.diagonal(), torch.zeros(6), rtol=0, atol=1e-12)
    assert (found + torch.eye(6) > 1e-3).all()


def test_no_cancellation_far_from_zero() -> None:
    """(4.8) in float32, means near 1000 with sd 0.1: centring keeps five digits."""
    torch.manual_seed(2)
    offset, loc = torch.randn(8) * 1000, 0.1 * torch.randn(5, 8)
    scale = 0.1 * (0.5 + torch.rand(5, 8))
    shifted = (loc + offset).float()  # exact numbers in both precisions from here
    single = Independent(Normal(shifted, scale.float()), 1)
    double = Independent(Normal(shifted.double(), scale.float().double()), 1)
    found = vmtl.pairwise_kl(single, single)
    assert found.dtype == torch.float32
    wanted = vmtl.pairwise_kl(double, double)
    direct = kl_divergence(
        Independent(Normal(double.mean[:, None], double.stddev[:, None]), 1), double
    )
    torch.testing.assert_close(wanted, direct, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.double(), direct, rtol=1e-5, atol=1e-4)


def test_asymmetry() -> None:
    """(4.8) KL(row || column): N(0,1) to N(0,2) is log 2 - 3/8, back it is 3/2 - log 2."""
    q = Normal(torch.zeros(2), torch.tensor([1.0, 2.0]))
    log2 = torch.tensor(2.0).log()
    found = vmtl.pairwise_kl(q, q)
    torch.testing.assert_close(found[0, 1], log2 - 3 / 8)
    torch.testing.assert_close(found[1, 0], 3 / 2 - log2)
