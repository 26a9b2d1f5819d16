"""p(y|z, w) on the grid of samples, against densities written out by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

import vmtl_core as vmtl

L, M, B, D = 2, 3, 4, 2


def grid(*event: int) -> tuple[Tensor, Tensor]:
    """z (L, 1, B, D) and w (1, M, B, *event)."""
    return torch.randn(L, 1, B, D), torch.randn(1, M, B, *event)


def score(z: Tensor, w: Tensor, place: tuple[int, int, int], column: int | None = None) -> float:
    """z^T w of one pair of samples and one row, plus the intercept if w has one more entry."""
    one, many, row = place
    vector = w[0, many, row] if column is None else w[0, many, row, :, column]
    slope = sum(float(z[one, 0, row, d]) * float(vector[d]) for d in range(D))
    return slope + (float(vector[D]) if len(vector) > D else 0.0)


def gaussian(y: float, scores: list[float]) -> float:
    return -((y - scores[0]) ** 2) / (2 * 0.7**2) - math.log(0.7) - 0.5 * math.log(2 * math.pi)


def bernoulli(y: float, scores: list[float]) -> float:
    return -math.log1p(math.exp(-scores[0] if y else scores[0]))


def poisson(y: float, scores: list[float]) -> float:
    return y * scores[0] - math.exp(scores[0]) - math.lgamma(y + 1)


def categorical(y: float, scores: list[float]) -> float:
    return scores[int(y)] - math.log(sum(math.exp(s) for s in scores))


FAMILIES = {
    "gaussian": (vmtl.LinearGaussian(scale=0.7), gaussian, [0.3, -1.2, 2.0, 0.0], None),
    "bernoulli": (vmtl.LinearBernoulli(), bernoulli, [0.0, 1.0, 1.0, 0.0], None),
    "poisson": (vmtl.LinearPoisson(), poisson, [0.0, 1.0, 4.0, 2.0], None),
    "categorical": (vmtl.LinearCategorical(), categorical, [0.0, 1.0, 2.0, 1.0], 3),
}


@pytest.mark.parametrize("intercept", [0, 1])
@pytest.mark.parametrize("name", FAMILIES)
def test_log_densities(name: str, intercept: int) -> None:
    """(1.1) every pair of samples and every row: batch shape (L, M, B); the intercept comes last."""
    likelihood, by_hand, targets, classes = FAMILIES[name]
    z, w = grid(D + intercept) if classes is None else grid(D + intercept, classes)
    found = likelihood.double()(z, w).log_prob(torch.tensor(targets))
    assert found.shape == (L, M, B)
    columns = [None] if classes is None else range(classes)
    for place in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        one, many, row = place
        scores = [score(z, w, (one, many, row), column) for column in columns]
        wanted = by_hand(targets[row], scores)
        assert float(found[one, many, row]) == pytest.approx(wanted, rel=1e-6, abs=1e-7)


def test_several_columns_of_numbers_are_independent() -> None:
    """(1.1) w of event shape (D, P): y has P columns, whose log densities add up."""
    z, w = grid(D, 2)
    y = torch.randn(B, 2)
    likelihood = vmtl.LinearGaussian(scale=0.7).double()
    both = likelihood(z, w).log_prob(y)
    each = [likelihood(z, w[..., p]).log_prob(y[:, p]) for p in range(2)]
    torch.testing.assert_close(both, each[0] + each[1])


def test_noise_is_learned_unless_it_is_given() -> None:
    """(1.1) sigma is a parameter, positive whatever the optimiser does, or a constant."""

    def fitted(likelihood: nn.Module) -> list[Tensor]:
        return [p for p in likelihood.parameters() if p.requires_grad]

    free, fixed = vmtl.LinearGaussian(initial_scale=0.5), vmtl.LinearGaussian(scale=0.5)
    assert (len(fitted(free)), len(fitted(fixed))) == (1, 0)
    z, w = grid(D)
    assert free(z, w).stddev.mean().item() == pytest.approx(0.5)
    with torch.no_grad():
        fitted(free)[0].sub_(20)
    assert bool((free(z, w).stddev > 0).all())
