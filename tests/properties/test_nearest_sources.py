"""Which sources are taken: near ones, each once, in whatever units, however the work is cut up."""

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from vmtl_core import candidates
from vmtl_core.evidence import Gaussians


def laws(tasks: int, size: int = 3, columns: int = 1) -> Gaussians:
    root = torch.randn(tasks, columns, size, size) / 3
    covariance = root @ root.mT + 0.2 * torch.eye(size)
    return Gaussians(2 * torch.randn(tasks, columns, size), covariance)


def distances(found: Gaussians) -> Tensor:
    """Between every pair, in units of both spreads; infinite to itself."""
    loc = found.loc.flatten(1)
    variance = found.covariance.diagonal(dim1=-2, dim2=-1).flatten(1)
    apart = ((loc[:, None] - loc).square() / (variance[:, None] + variance)).sum(-1)
    return apart.fill_diagonal_(torch.inf)


@pytest.mark.parametrize("neighbours", [1, 5, 24])
def test_all_pairs_where_the_lines_reach_them(neighbours: int) -> None:
    """Nearest first; even as many as there are others, more than a window holds."""
    made = laws(25, columns=2)
    found = candidates.nearest(made, neighbours, seed=3)
    expected = distances(made).argsort(1)[:, :neighbours]
    assert torch.equal(found, expected)


def test_units_of_the_weights_do_not_matter() -> None:
    made, units = laws(300), torch.tensor([1e3, 1.0, 1e-2])
    scaled = Gaussians(made.loc * units, made.covariance * units[:, None] * units)
    assert torch.equal(candidates.nearest(made, 6, 0), candidates.nearest(scaled, 6, 0))


def test_the_seed_is_of_the_lines() -> None:
    """The same for one seed; the global stream is left alone."""
    made = laws(300)
    state = torch.get_rng_state()
    first = candidates.nearest(made, 6, 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, candidates.nearest(made, 6, 1))
    assert not torch.equal(first, candidates.nearest(made, 6, 2))


def test_most_of_the_truly_nearest_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """And with the work cut into blocks of seven tasks the same ones."""
    made = laws(200)
    found = candidates.nearest(made, 5, 0)
    exact = distances(made).argsort(1)[:, :5]
    hits = (found[:, :, None] == exact[:, None]).any(1).double().mean()
    assert float(hits) > 0.9
    for t, row in enumerate(found.tolist()):
        assert len(set(row)) == 5
        assert t not in row
    monkeypatch.setattr(candidates, "BLOCK", 7)
    assert torch.equal(found, candidates.nearest(made, 5, 0))


@pytest.mark.parametrize(
    ("tasks", "neighbours", "sources"), [(500, None, 499), (501, None, 20), (501, 7, 7)]
)
def test_how_many_sources(tasks: int, neighbours: int | None, sources: int) -> None:
    """All others up to five hundred tasks, then twenty, unless it is said; and the base prior."""
    model = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(tasks, (1,)),
        task_sizes=[1] * tasks,
        neighbours=neighbours,
        sources="own",
    )
    assert int((model.alpha() > 0).sum(1).max()) == sources + 1


def test_neighbours_along_a_line() -> None:
    """The two before and the two after each, the ends joined."""
    position = torch.tensor([0.3, -1.0, 2.0, 0.7, 5.0, 1.1])  # in order: 1, 0, 3, 5, 2, 4
    found = candidates._along(position, 2)
    expected = {1: {2, 4, 0, 3}, 0: {4, 1, 3, 5}, 3: {1, 0, 5, 2}, 5: {0, 3, 2, 4}}
    for t, others in expected.items():
        assert set(found[t].tolist()) == others
    assert found.shape == (6, 4)


def test_a_wide_spread_makes_a_source_near() -> None:
    """Distances are over the sum of both variances, not over one's own."""
    loc = torch.tensor([0.0, 1.0, 3.0])[:, None, None]
    covariance = torch.tensor([0.1, 0.1, 100.0])[:, None, None, None]
    found = candidates.nearest(Gaussians(loc, covariance), 1, 0)
    assert found.tolist() == [[2], [2], [1]]
