"""Predictives of rows put together from parts: every answer at its row's place."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Independent, Laplace, Normal, Poisson

import vmtl_core as vmtl
from vmtl_core.predictive_rows import Rebuilt

ROWS = [torch.tensor([4, 0]), torch.tensor([2]), torch.tensor([1, 3])]


def parts(make: Callable[[Tensor], Any]) -> list[Any]:
    """Each a mixture of two components; row n's are about n."""
    return [vmtl.PredictiveMixture(make(rows.double() + torch.zeros(1, 2, 1))) for rows in ROWS]


def numbers(at: Tensor) -> Normal:
    return Normal(at, torch.tensor([0.5, 2.0])[:, None])


def vectors(at: Tensor) -> Independent:
    return Independent(
        Laplace(torch.stack([at, -at], -1), torch.tensor([0.5, 2.0])[:, None, None]), 1
    )


def labels(at: Tensor) -> Bernoulli:
    return Bernoulli(torch.tensor([0.1, 0.2])[:, None] * at)


def classes(at: Tensor) -> Categorical:
    return Categorical(logits=torch.stack([at, 0 * at, torch.ones_like(at)], -1))


def itself(one: Any) -> Any:
    return one


def whole(make: Callable[[Tensor], Any]) -> Any:
    """All rows in one mixture."""
    return vmtl.PredictiveMixture(make(torch.arange(5.0) + torch.zeros(1, 2, 1)))


VALUES: dict[str, tuple[Any, Tensor]] = {
    "numbers": (numbers, torch.tensor([0.3, -1.0, 2.0, 7.0, 4.0])),
    "vectors": (vectors, torch.arange(10.0).view(5, 2) / 3),
    "labels": (labels, torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])),
    "counts": (lambda at: Poisson(at + 1), torch.tensor([0.0, 3.0, 1.0, 9.0, 2.0])),
    "classes": (classes, torch.tensor([0.0, 2.0, 1.0, 1.0, 0.0])),
}


@pytest.mark.parametrize("rebuilt", [False, True])
@pytest.mark.parametrize("name", VALUES)
def test_every_answer(name: str, rebuilt: bool) -> None:
    """Densities, moments, probabilities, uncertainty: as of one mixture of all rows."""
    make, y = VALUES[name]
    made = parts(make)
    p: Any = vmtl.PredictiveRows(
        ROWS, Rebuilt([partial(itself, one) for one in made]) if rebuilt else made
    )
    one = whole(make)
    assert p.batch_shape == (5,)
    assert p.event_shape == one.event_shape
    several = torch.stack([y, y.flip(0), y.roll(1, 0)])
    for value in (y, several, several[None]):
        torch.testing.assert_close(p.log_prob(value), one.log_prob(value))
        if name in ("numbers", "labels", "counts"):
            torch.testing.assert_close(p.cdf(value), one.cdf(value))
    torch.testing.assert_close(p.mean, one.mean)
    torch.testing.assert_close(p.variance, one.variance)
    for a, b in zip(p.uncertainty(), one.uncertainty(), strict=True):
        torch.testing.assert_close(a, b)
    if name in ("labels", "classes"):
        torch.testing.assert_close(p.probs, one.probs)
    if name in ("numbers", "labels", "counts"):
        for level in (torch.tensor(0.3), torch.tensor([[0.2], [0.9]]), torch.linspace(0.1, 0.9, 5)):
            torch.testing.assert_close(p.icdf(level), one.icdf(level))
    assert p.like.dtype == torch.float64
    assert p.like.numel() == 0


def test_draws_stand_in_their_rows() -> None:
    """Each part on its own where nothing joins them; numbers beside labels become numbers."""
    sure = parts(lambda at: Normal(at, 1e-9))
    p = vmtl.PredictiveRows(ROWS, sure)
    draws = p.sample((3, 2))
    assert draws.shape == (3, 2, 5)
    torch.testing.assert_close(draws, torch.arange(5.0).expand(3, 2, 5), atol=1e-6, rtol=0)
    assert p.sample().shape == (5,)
    pair = vmtl.PredictiveRows(
        ROWS, parts(lambda at: Independent(Normal(torch.stack([at, -at], -1), 1e-9), 1))
    )
    assert pair.sample((4,)).shape == (4, 5, 2)
    torch.testing.assert_close(pair.sample()[:, 1], -torch.arange(5.0), atol=1e-6, rtol=0)
    label = vmtl.PredictiveRows(ROWS, parts(classes)).sample()
    assert label.dtype == whole(classes).sample().dtype == torch.int64
    chosen = [
        vmtl.PredictiveMixture(Categorical(logits=torch.tensor([0.0, 900.0])[None, None, None])),
        vmtl.PredictiveMixture(Normal(torch.full((1, 1, 1), 0.25), 1e-9)),
    ]
    both = vmtl.PredictiveRows([torch.tensor([1]), torch.tensor([0])], chosen)
    found = both.sample((2,))
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, torch.tensor([[0.25, 1.0]] * 2), atol=1e-6, rtol=0)


def test_a_sampler_joins_the_rows() -> None:
    p = vmtl.PredictiveRows(ROWS, parts(numbers), lambda shape: torch.full((*shape, 5), 7.0))
    assert p.sample((2,)).tolist() == [[7.0] * 5] * 2


def test_parts_of_different_shapes() -> None:
    """Refused: y of several shapes at once, numbers of classes when they are asked for."""
    with pytest.raises(ValueError, match="one shape of y"):
        vmtl.PredictiveRows(ROWS, [*parts(numbers)[:2], parts(vectors)[2]])
    few = vmtl.PredictiveMixture(Categorical(logits=torch.zeros(1, 1, 2, 2)))
    p = vmtl.PredictiveRows(ROWS, [*parts(classes)[:2], few])
    with pytest.raises(ValueError, match="different numbers of classes"):
        p.probs  # noqa: B018
    assert p.log_prob(torch.zeros(5)).shape == (5,)


def test_rebuilt_parts() -> None:
    """Made at every access, in order, each alone."""
    made: list[int] = []

    def make(i: int) -> Any:
        made.append(i)
        return i

    found = Rebuilt([partial(make, i) for i in range(3)])
    assert len(found) == 3
    assert made == []
    assert list(found) == [0, 1, 2]
    assert found[1] == 1
    assert made == [0, 1, 2, 1]
