"""The hyperprior of the transfer widths of groups is a density."""

import math

import pytest
import torch

from vmtl_core.groups import ALIKE, log_width_hyperprior

STEPS = 2001


def test_one_width_is_half_cauchy() -> None:
    """Its integral over log delta is 1, its median is delta = 1."""
    at = torch.linspace(-30, 30, 20 * STEPS)
    density = log_width_hyperprior(at.view(-1, 1, 1)).exp()
    assert float(torch.trapezoid(density, at)) == pytest.approx(1.0, abs=1e-9)
    below = at <= 0
    assert float(torch.trapezoid(density[below], at[below])) == pytest.approx(0.5, abs=1e-3)
    cauchy = 2 / math.pi / (1 + (2 * at).exp()) * at.exp()
    torch.testing.assert_close(density, cauchy)


@pytest.mark.parametrize("shape", [(1, 2), (2, 1)])
def test_two_widths(shape: tuple[int, int]) -> None:
    """Over both, the integral is 1; the distance from their mean has sd ALIKE / sqrt(2)."""
    middle = torch.linspace(-15, 15, STEPS)
    away = torch.linspace(-2, 2, 401)
    one, two = (torch.cartesian_prod(middle, away) @ torch.tensor([[1.0, 1], [1, -1]])).T
    values = torch.stack([one, two], 1).view(-1, *shape)
    # (middle, away) -> (middle + away, middle - away) doubles an area.
    density = 2 * log_width_hyperprior(values).exp().view(STEPS, 401)
    mass = torch.trapezoid(density, middle, dim=0)
    assert float(torch.trapezoid(mass, away)) == pytest.approx(1.0, abs=1e-5)
    spread = float(torch.trapezoid(mass * away**2, away))
    assert spread == pytest.approx(ALIKE**2 / 2, rel=1e-4)


def test_tied_widths_are_one() -> None:
    """Where the distances are kept the density is that of the mean, whatever they are."""
    at = torch.linspace(-30, 30, 20 * STEPS)
    distances = torch.tensor([[0.3, -0.5, 0.2]])
    found = log_width_hyperprior(at.view(-1, 1, 1) + distances, tied=True)
    assert float(torch.trapezoid(found.exp(), at)) == pytest.approx(1.0, abs=1e-9)
    torch.testing.assert_close(found, log_width_hyperprior(at.view(-1, 1, 1)))


def test_leading_dimensions_are_a_loop() -> None:
    values = torch.randn(3, 4, 2, 3)
    for tied in (False, True):
        found = log_width_hyperprior(values, tied)
        each = torch.stack([log_width_hyperprior(v, tied) for v in values.flatten(0, 1)])
        torch.testing.assert_close(found, each.view(3, 4))
