"""Which constructor's arguments a Distribution is made of, and what widening it does."""

from typing import Any

import pytest
import torch
from torch import Size, Tensor
from torch.distributions import (
    AffineTransform,
    Bernoulli,
    Categorical,
    ComposeTransform,
    Distribution,
    ExpTransform,
    Independent,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
    constraints,
)

from vmtl_core import _rebuild
from vmtl_core._rebuild import can_rebuild, expanded, map_parameters


class Plain(Distribution):
    """Of the user's, without `expand`: a loc, a number, a flag and a name."""

    arg_constraints: dict[str, Any] = {"loc": constraints.real}
    support = constraints.real

    def __init__(self, loc: Tensor, power: float, label: str = "a", extra: Any = None):
        self.loc, self.power, self.label, self.extra = loc, power, label, extra
        super().__init__(loc.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.power * (value - self.loc)


LOC = torch.arange(6.0).view(3, 2)


def test_widened_without_an_expand_of_its_own() -> None:
    """New dimensions lead; one that has the shape already is itself."""
    one = Plain(LOC, 2.0, "b")
    wide: Any = expanded(one, Size((4, 3, 2)))
    assert wide.loc.shape == (4, 3, 2)
    assert (wide.power, wide.label) == (2.0, "b")
    assert torch.equal(wide.loc[3], LOC)
    assert expanded(one, Size((3, 2))) is one
    normal = Normal(LOC, 1.0)
    assert expanded(normal, Size((3, 2))) is normal
    vectors = Independent(Normal(LOC, 1.0), 1)
    assert expanded(vectors, Size((5, 3))).mean.shape == (5, 3, 2)


@pytest.mark.parametrize(
    ("extra", "fits"),
    [
        (None, True),
        (3, True),
        ("word", True),
        ([1.0, "x", (2, None)], True),
        ([torch.ones(2)], False),
        ({"a": 1}, False),
        (torch.tensor(2.0), True),
        (torch.ones(3, 2), False),
        (Normal(LOC, 1.0), True),
        (Normal(torch.zeros(2), 1.0), False),
        ([AffineTransform(1.0, 2.0), ExpTransform()], True),
        ([AffineTransform(torch.ones(2), 2.0)], False),
        ([ComposeTransform([ExpTransform(), AffineTransform(0.0, 2.0)])], True),
        ([ComposeTransform([AffineTransform(torch.zeros(2), 2.0)])], False),
    ],
    ids=str,
)
def test_arguments_that_may_be_kept(extra: Any, fits: bool) -> None:
    """Numbers, words and lists of them; distributions of the batch; tensors that are scalars."""
    assert can_rebuild(Plain(LOC, 2.0, extra=extra)) is fits


def test_a_number_for_all_of_the_batch_stays_one() -> None:
    """Functions see it spread over the batch, and it stays a scalar; distributions go along."""
    one: Any = map_parameters(
        Plain(LOC, 2.0, extra=torch.tensor(5.0)), lambda t: t[torch.tensor([2, 0])]
    )
    assert one.loc.shape == (2, 2)
    assert one.extra.shape == ()
    assert float(one.extra) == 5.0
    inner: Any = map_parameters(Plain(LOC, 2.0, extra=Normal(LOC, 1.0)), lambda t: t[:1])
    assert inner.extra.batch_shape == (1, 2)


def test_alternatives() -> None:
    """Of probs and logits, of the three ways to a covariance: the one that was given."""
    asked: list[str] = []

    def seen(t: Tensor) -> Tensor:
        asked.append("x")
        return t

    for dist in (Bernoulli(probs=torch.tensor([0.0, 0.3])), Bernoulli(logits=torch.randn(2))):
        asked.clear()
        again: Any = map_parameters(dist, seen)
        assert len(asked) == 1
        assert torch.equal(again._param, dist._param)
        assert torch.equal(again.probs, dist.probs)
    full = MultivariateNormal(torch.zeros(3, 2), torch.eye(2) * 4)
    asked.clear()
    again = map_parameters(full, seen)
    assert len(asked) == 2
    torch.testing.assert_close(again.covariance_matrix, full.covariance_matrix)
    assert not again._validate_args


class Scaled(Plain):
    """Its constructor changes what it keeps, if `change` says so."""

    def __init__(self, loc: Tensor, change: float, offsets: Any = (0.0,)):
        self.change, self.offsets = change, offsets
        super().__init__(loc * change, 1.0)


class Doubled(Plain):
    """Keeps twice the number that it is given."""

    def __init__(self, loc: Tensor, power: float):
        super().__init__(loc, 2 * power)


class Longer(Plain):
    """Keeps a tensor of another shape than it is given."""

    def __init__(self, loc: Tensor):
        super().__init__(loc.unsqueeze(0), 1.0)


def test_constructors_are_tried_out() -> None:
    """A user's family, called with what it keeps, must keep the same; NaN is the same as NaN."""
    assert can_rebuild(Scaled(LOC, 1.0))
    assert not can_rebuild(Scaled(LOC + 1, 2.0))
    assert not can_rebuild(Doubled(LOC, 1.0))
    assert not can_rebuild(Longer(LOC))
    assert can_rebuild(Scaled(LOC.clone().fill_(float("nan")), 1.0))
    with pytest.raises(ValueError, match=r"a Doubled can't be rebuilt.*changes `power`"):
        map_parameters(Doubled(LOC, 1.0), torch.detach)


def test_signatures_are_looked_up_once() -> None:
    names = _rebuild._argument_names(Plain)
    assert names == ("loc", "power", "label", "extra")
    assert _rebuild.KNOWN[Plain] is names
    assert "validate_args" in _rebuild._argument_names(Categorical)


def test_transformed() -> None:
    """The base under another name; the transforms as they are."""
    one = TransformedDistribution(Normal(LOC, 1.0), [AffineTransform(1.0, 2.0)])
    part: Any = map_parameters(one, lambda t: t[:2])
    assert part.batch_shape == (2, 2)
    value = torch.randn(3, 2)
    torch.testing.assert_close(part.log_prob(value[:2]), one.log_prob(value)[:2])
