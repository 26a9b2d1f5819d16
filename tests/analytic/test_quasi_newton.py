"""The maximiser of a few numbers: the top, the best point seen, and whether it ended of itself."""

import torch
from torch import Tensor

from vmtl_core.quasi_newton import maximise


def test_the_top_of_a_quadratic() -> None:
    """3 - (a - 1)^2 - (b + 2)^2 - (a - 1)(b + 2), and an empty parameter that nobody minds."""
    a, b, none = torch.zeros(()), torch.zeros(2), torch.zeros(0)

    def value() -> Tensor:
        return 3 - (a - 1) ** 2 - ((b + 2) ** 2).sum() - (a - 1) * (b[0] + 2)

    found, ended = maximise(value, [none, a, b], 50)
    assert abs(found - 3) < 1e-8
    assert ended
    assert abs(float(a) - 1) < 1e-5
    torch.testing.assert_close(b, torch.tensor([-2.0, -2.0]), atol=1e-5, rtol=0)
    assert not a.requires_grad
    assert not b.requires_grad


def test_stopped_early() -> None:
    """Rosenbrock's valley is not crossed in a few steps, nor in a few evaluations; the value is that of the best point seen."""
    p, seen = torch.tensor([-1.2, 1.0]), []

    def value() -> Tensor:
        found = -(100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2)
        seen.append(float(found.detach()))
        return found

    found, ended = maximise(value, [p], 2)
    assert not ended
    assert found == max(seen)
    assert float(value()) == found
    assert not maximise(value, [p], 3)[1]
    found, ended = maximise(value, [p], 200)
    assert ended
    assert abs(found) < 1e-8


def test_the_best_point_is_kept() -> None:
    """Where the objective is nowhere as good as at the start, the start is what stays."""
    p, calls = torch.tensor([0.5]), []

    def value() -> Tensor:
        calls.append(1)
        return p.sum() - 10.0 * (len(calls) > 1)

    found, _ = maximise(value, [p], 3)
    assert found == 0.5
    assert p.tolist() == [0.5]


def test_small_changes_end_the_search() -> None:
    """A loose tolerance stops before a tight one does."""
    steps = []
    for tolerance in (1e-1, 1e-12):
        p, count = torch.tensor([-1.2, 1.0]), [0]

        def value(p: Tensor = p, count: list[int] = count) -> Tensor:
            count[0] += 1
            return -(100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2)

        assert maximise(value, [p], 500, tolerance)[1]
        steps.append(count[0])
    assert steps[0] < steps[1]


def test_nothing_to_move() -> None:
    leaf = torch.ones((), requires_grad=True)
    assert maximise(lambda: 2 * leaf, [], 5) == (2.0, True)
    assert maximise(lambda: 2 * leaf, [torch.zeros(0)], 5) == (2.0, True)
    assert leaf.grad is None


def test_a_cliff_has_an_end() -> None:
    """Beyond the edge nothing can be computed: a search that gains no more there has ended."""
    p = torch.zeros(1)

    def value() -> Tensor:
        if float(p.detach()) > 0.2:
            raise torch.linalg.LinAlgError("singular")
        return p.sum()

    found, ended = maximise(value, [p], 100)
    assert ended
    assert 0.19 < found <= 0.2
    assert float(p) == found
