"""Properties of the divergences and priors that hold whatever the numbers."""

import math

import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Dirichlet, Independent, Normal

import vmtl_core as vmtl
from tests.stats import line, plane
from vmtl_core.divergences import CLOSED_FORMS, responsibilities

number = st.floats(-4, 4)
spread = st.floats(0.3, 3)
weight = st.floats(0.02, 1)


@st.composite
def mixtures(draw, most: int = 4) -> tuple[Normal, Normal, Tensor]:
    """A receiver, up to `most` components and their log weights."""
    q = Normal(torch.tensor([draw(number)]), torch.tensor([draw(spread)]))
    count = draw(st.integers(1, most))
    lists = [draw(st.lists(s, min_size=count, max_size=count)) for s in (number, spread, weight)]
    means, sds, a = (torch.tensor(one, dtype=torch.float64) for one in lists)
    return q, Normal(means, sds), (a / a.sum()).log()


def exact(q: Normal, p: Normal, log_weights: Tensor) -> float:
    points, step = line(-40, 40, 4001)
    log_q = q.log_prob(points)
    log_p = (log_weights + p.log_prob(points[:, None])).logsumexp(-1)
    return (torch.where(log_q > -700, log_q.exp() * (log_q - log_p), 0.0)).sum().item() * step


@given(mixtures())
def test_order_of_the_bounds(case) -> None:
    """(4.6) <= (4.1) <= (4.4) <= (4.3), the exact KL by quadrature."""
    q, p, log_weights = case
    lower, jensen, convex = (
        vmtl.kl_to_mixture(q, p, log_weights, m).item() for m in ("lower_bound", "jensen", "convex")
    )
    middle = exact(*case)
    assert lower - 1e-8 <= middle <= jensen + 1e-8
    assert jensen <= convex + 1e-8
    assert middle >= -1e-8


@given(mixtures(most=1))
def test_one_component_is_a_plain_kl(case) -> None:
    """(4.3) = (4.4) = (4.7) = (4.8) with one component."""
    q, p, log_weights = case
    wanted = vmtl.pairwise_kl(q, p)[:, 0]
    for method in ("convex", "jensen", "weighted_sum"):
        torch.testing.assert_close(vmtl.kl_to_mixture(q, p, log_weights, method), wanted)


@given(mixtures(), st.randoms(use_true_random=False))
def test_order_of_the_components_does_not_matter(case, random) -> None:
    """(4.1) permuting components with their weights leaves every method as it is."""
    q, p, log_weights = case
    order = list(range(len(log_weights)))
    random.shuffle(order)
    for method in CLOSED_FORMS:
        found = vmtl.kl_to_mixture(
            q, Normal(p.loc[order], p.scale[order]), log_weights[order], method
        )
        torch.testing.assert_close(found, vmtl.kl_to_mixture(q, p, log_weights, method))


@given(mixtures(), st.integers(0, 3))
def test_splitting_a_component_does_not_matter(case, which: int) -> None:
    """(4.4), (4.3), (4.6): a component twice with half the weight; (4.7) does change."""
    q, p, log_weights = case
    which %= len(log_weights)
    index = [*range(len(log_weights)), which]
    split = log_weights[index].clone()
    split[[which, -1]] -= math.log(2)
    twice = Normal(p.loc[index], p.scale[index])
    for method in ("convex", "jensen", "lower_bound"):
        found = vmtl.kl_to_mixture(q, twice, split, method)
        torch.testing.assert_close(found, vmtl.kl_to_mixture(q, p, log_weights, method))
    before = vmtl.kl_to_mixture(q, p, log_weights, "weighted_sum")
    after = vmtl.kl_to_mixture(q, twice, split, "weighted_sum")
    assert (before - after).abs() > 1e-9


@given(mixtures())
def test_responsibilities_attain_the_bound(case) -> None:
    """(4.5) sum to 1, give (4.4), and no other weights give less."""
    q, p, log_weights = case
    kl = vmtl.pairwise_kl(q, p)[0]
    phi = responsibilities(kl, log_weights)

    def value(phi):
        return torch.where(phi > 0, phi * (kl + phi.log() - log_weights), 0.0).sum()

    bound = vmtl.kl_to_mixture(q, p, log_weights, "jensen")[0]
    torch.testing.assert_close(phi.sum(), torch.tensor(1.0))
    torch.testing.assert_close(value(phi), bound, rtol=1e-8, atol=1e-8)
    for other in Dirichlet(torch.ones(len(phi))).sample((5,)) if len(phi) > 1 else []:
        assert value(other) >= bound - 1e-9


@given(mixtures())
def test_mixture_integrates_to_one(case) -> None:
    """(2.4) and its cdf runs from 0 to 1."""
    _, p, log_weights = case
    points, step = line(-40, 40, 4001)
    prior = vmtl.mixture_prior(p, log_weights[None])
    assert abs(prior.log_prob(points[:, None]).exp().sum().item() * step - 1) < 1e-8


@given(st.integers(0, 2**31), st.integers(2, 5))
def test_monotone_in_the_dimensions(seed: int, count: int) -> None:
    """(4.8) a coordinate more adds its own KL, above or equal to zero."""
    draw = torch.Generator().manual_seed(seed)

    def tensor(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    q = (tensor(3, count), 0.3 + tensor(3, count).abs())
    p = (tensor(4, count), 0.3 + tensor(4, count).abs())

    def make(d, n):
        return Independent(Normal(d[0][:, n], d[1][:, n]), 1)

    whole = vmtl.pairwise_kl(make(q, slice(None)), make(p, slice(None)))
    part = vmtl.pairwise_kl(make(q, slice(1, None)), make(p, slice(1, None)))
    first = vmtl.pairwise_kl(make(q, slice(0, 1)), make(p, slice(0, 1)))
    torch.testing.assert_close(whole, part + first)
    assert (first > -1e-12).all()


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-3, 3))
def test_shifting_everything_does_not_matter(a: float, b: float, shift: float) -> None:
    """(4.8) KLs depend on differences of means alone."""
    assume(abs(a - b) > 1e-3)
    moved = [
        vmtl.pairwise_kl(
            Normal(torch.tensor([a + s]), 0.5), Normal(torch.tensor([b + s, a + s]), 2.0)
        )
        for s in (0.0, 1e3 * shift)
    ]
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-8, atol=1e-8)


@given(st.integers(0, 2**31))
def test_order_of_the_bounds_in_two_dimensions(seed: int) -> None:
    """(4.1) the same order on a plane."""
    torch.manual_seed(seed)
    q = Independent(Normal(torch.randn(1, 2), 0.6 + torch.rand(1, 2)), 1)
    p = Independent(Normal(torch.randn(3, 2), 0.6 + torch.rand(3, 2)), 1)
    log_weights = torch.randn(3).log_softmax(-1)
    points, cell = plane(points=121)
    log_q = q.log_prob(points)
    log_p = (log_weights + p.log_prob(points[:, None])).logsumexp(-1)
    middle = (log_q.exp() * (log_q - log_p)).sum().item() * cell
    values = {m: vmtl.kl_to_mixture(q, p, log_weights, m).item() for m in CLOSED_FORMS}
    assert values["lower_bound"] - 1e-6 <= middle <= values["jensen"] + 1e-6
    assert values["jensen"] <= values["convex"] + 1e-9
