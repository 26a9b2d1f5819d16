"""The best posterior at given responsibilities is that under a product of components, (5.16)."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from tests.closed_form.models import ascent, build, table
from tests.stats import integral
from vmtl_core import closed_form, evidence, mixture
from vmtl_core.evidence import Gaussians
from vmtl_core.mixture import Components, Weights
from vmtl_core.sites import Site
from vmtl_core.training import _set_units

BOUNDS = ("jensen", "convex")
every_bound = pytest.mark.parametrize("divergence", BOUNDS)


def parts(count: int = 3, size: int = 2) -> tuple[Components, MultivariateNormal]:
    """Components, and the same as a Distribution."""
    factor = torch.randn(count, size, size).tril() + 2 * torch.eye(size)
    law = MultivariateNormal(torch.randn(count, size), factor @ factor.mT)
    return mixture.components(Gaussians(law.mean[:, None], law.covariance_matrix[:, None])), law


def test_product_of_one_weight_is_quadrature() -> None:
    """(5.16): mass, mean and variance of prod_k p_k^phi_k, integrated on a line."""
    made, law = parts(size=1)
    phi = torch.tensor([[0.2, 0.5, 0.3]])
    found = mixture.product(phi, made, None)

    def density(w: Tensor) -> Tensor:
        return (law.log_prob(w[:, None, None]) @ phi[0]).exp()

    mass = integral(density)
    mean = integral(lambda w: w * density(w)) / mass
    variance = integral(lambda w: (w - mean) ** 2 * density(w)) / mass
    torch.testing.assert_close(found.log_mass.squeeze(), mass.log())
    torch.testing.assert_close(found.loc.squeeze(), mean)
    torch.testing.assert_close(found.factor.squeeze() ** 2, variance)


def test_products_over_chosen_columns() -> None:
    """The same where each task has some of the components only, listed by number."""
    made, _ = parts(count=4)
    columns = torch.tensor([[2, 0], [1, 3]])
    phi = torch.tensor([[0.3, 0.7], [0.9, 0.1]])
    found = mixture.product(phi, made, columns)
    dense = mixture.product(torch.zeros(2, 4).scatter(1, columns, phi), made, None)
    for a, b in zip(found, dense, strict=True):
        torch.testing.assert_close(a, b)


def test_pairs_of_kl_are_those_of_torch() -> None:
    made, law = parts(count=4)
    q = MultivariateNormal(torch.randn(3, 2), torch.eye(2) * 0.3 + 0.1)
    laws = Gaussians(q.mean[:, None], q.covariance_matrix[:, None])
    found = mixture.kl_pairs(laws, q.covariance_matrix.logdet(), made, None)
    for t in range(3):
        one = MultivariateNormal(q.mean[t], q.covariance_matrix[t])
        torch.testing.assert_close(found[t], kl_divergence(one.expand([4]), law))


def bound(loc: Tensor, factor: Tensor, site: Site, made: Components, weights: Weights) -> Tensor:
    """E log site - mean over Gumbel draws of the bound on KL(q || mixture), (T,)."""
    q = Gaussians(loc, factor @ factor.mT)
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum((-2, -1))
    kl = mixture.kl_pairs(q, log_det, made, None)
    logits = torch.zeros_like(weights.excluded, dtype=loc.dtype)
    return site.expected(q) - weights.divergence(weights.log_alpha(logits), kl)


@every_bound
def test_fixed_point_maximises_the_bound(divergence: str) -> None:
    """(5.16), (4.5): where the two alternate to, every direction of q is downhill."""
    made, _ = parts()
    rows = torch.randn(2, 1, 4, 2)
    site = Site(rows.mT @ rows, torch.randn(2, 1, 2), torch.zeros(2))
    excluded = torch.zeros(2, 3, dtype=torch.bool)
    weights = Weights(torch.randn(5, 2, 3), excluded, 0.8, divergence == "convex")
    log_alpha = weights.log_alpha(torch.zeros(2, 3))
    kl = torch.zeros(2, 3)
    for _ in range(300):
        phi = weights.responsibilities(log_alpha, kl).mean(0)
        prior = mixture.product(phi, made, None)
        found = evidence.update(site.precision, site.natural, prior.loc, prior.factor)
        q = found.gaussians()
        kl = mixture.kl_pairs(q, q.covariance.logdet().sum(-1), made, None)
    factor = torch.linalg.cholesky(q.covariance)
    top = bound(q.loc, factor, site, made, weights)
    for step in (1e-3, -1e-3):
        for d in range(2):
            moved = q.loc.clone()
            moved[..., d] += step
            assert bool((bound(moved, factor, site, made, weights) < top).all())
            for e in range(d + 1):
                wider = factor.clone()
                wider[..., d, e] += step
                assert bool((bound(q.loc, wider, site, made, weights) < top).all())


OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "no base": {"base_prior": None, "transfer": 0.4},
    "learned width": {"transfer": "learned"},
    "neighbours": {"neighbours": 2},
}


@pytest.mark.parametrize("name", OPTIONS)
@every_bound
def test_every_sweep_raises_the_objective(divergence: str, name: str) -> None:
    """And within a sweep so does every alternation of (5.16) and (4.5)."""
    climb = ascent(build(divergence=divergence, **OPTIONS[name]), table())
    values = []
    for _ in range(4):
        with torch.no_grad():
            climb.sweep(alternations=1, hyperparameters=False)
        values.append(climb.measure()["elbo"])
        climb.sweep()
        values.append(climb.measure()["elbo"])
    assert all(after >= before - 1e-10 for before, after in pairwise(values)), values
    assert values[-1] > values[0] + 1e-4


@pytest.mark.parametrize("kind", ["labels", "counts", "classes"])
def test_sweeps_raise_the_objective_of_labels_and_counts(kind: str) -> None:
    """To the accuracy of their sites, (5.15)."""
    climb = ascent(build(kind), table(kind))
    values = []
    for _ in range(5):
        climb.sweep()
        values.append(climb.measure()["elbo"])
    assert all(after >= before - 1e-5 for before, after in pairwise(values)), values


def test_phi_is_the_model_s_formula() -> None:
    """(4.5): without noise in alpha the fit's phi is `responsibilities()` of the fitted model."""
    model, data = build(rows=3), table()
    climb = ascent(model, data, sweeps=30)
    found = closed_form.setting(model, *data, 1.0, 0)
    closed_form.write(model, climb, found.units)
    _set_units(model, found.units)
    weights = climb.mixing.weights
    quiet = Weights(torch.zeros_like(weights.gumbel[:1]), weights.excluded, 1.0, False)
    climb.measure()  # renews the KLs
    phi = quiet.responsibilities(quiet.log_alpha(climb.state.logits), climb.state.kl)
    torch.testing.assert_close(phi[0], model.responsibilities(), rtol=1e-6, atol=1e-8)
