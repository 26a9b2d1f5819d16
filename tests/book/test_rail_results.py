"""The stored results, the claims and the pictures of chapter 9."""

import pytest
import torch

from vmtl_core.lab.datasets import rail_choices
from vmtl_core.lab.experiments import rail as comparison
from vmtl_core.lab.plots import chapter_09 as plots
from vmtl_core.lab.scores import paired_difference


def stored(method: str, n: int, score: str = "log_score") -> torch.Tensor:
    table = comparison.results()
    chosen = table[(table.n == n) & (table.method == method)].sort_values("seed")
    return torch.tensor(chosen[score].to_numpy())


def test_stored_results_are_complete() -> None:
    counts = comparison.results().groupby(["n", "method"])["seed"].nunique()
    assert (counts == 10).all()
    assert len(counts) == 2 * len(comparison.METHODS)
    limits = {"log_score": (-0.8, -0.3)}
    assert len(plots.scores(comparison.results(), comparison.METHODS, limits).axes) == 3


@pytest.mark.parametrize(
    "methods",
    [
        ("single", "pooled", "mixed logit", "mixed logit, log-normal price"),
        pytest.param(("log-normal price",), marks=pytest.mark.nightly),
    ],
    ids=["baselines", "ours"],
)
def test_stored_results_are_what_the_code_gives(methods: tuple[str, ...]) -> None:
    key = ["n", "seed", "method"]
    again = comparison.compare(5, 3, methods).set_index(key)
    wanted = comparison.results().set_index(key).loc[again.index]
    assert len(again) == len(methods)
    # a choice may fall on the other side
    for score, most in {"accuracy": 5e-4, "log_score": 1e-4, "calibration": 5e-4}.items():
        assert (again[score] - wanted[score]).abs().max() < most, score


@pytest.mark.parametrize("n", [5, 10])
def test_never_worse_than_single_or_pooled(n: int) -> None:
    for method in ("diagonal", "default", "log-normal price"):
        for rival in ("single", "pooled"):
            assert paired_difference(stored(method, n), stored(rival, n)).low > 0


def test_inputs_are_scaled_and_not_shifted() -> None:
    train, test = comparison.scaled(5, 0)
    torch.testing.assert_close(train.x.square().mean(0).sqrt(), torch.full((4,), comparison.RMS))
    assert train.scaling is not None
    both = torch.cat([train.x, test.x]) * train.scaling.x_sd
    data = rail_choices()
    torch.testing.assert_close(both.square().sum(0), data.x.square().sum(0))
    assert torch.equal(both == 0, torch.cat([train.x, test.x]) == 0)


def test_who_never_paid() -> None:
    """Counted by hand: of three trades each, traveller 0 paid once, traveller 1 never."""
    data = rail_choices()
    rows = comparison.trades(data).nonzero().flatten()
    sizes = torch.bincount(data.task[rows])
    first, second = (sizes >= 3).nonzero().flatten()[:2].tolist()
    pick = torch.cat([rows[data.task[rows] == t][:3] for t in (first, second)])
    few = data.rows(pick)
    cheaper = (few.x[:, 0] < 0).float()
    once = cheaper.clone()
    once[0] = 1 - once[0]
    assert comparison.never_paid(few, torch.stack([cheaper, once])).tolist() == [2, 1]


def test_bids_are_those_of_the_data() -> None:
    train, _ = comparison.scaled(5, 0)
    table = comparison.bids(train, {"truth": train.y}, groups=4)
    assert len(table) == 4
    assert table["price"].is_monotonic_increasing
    assert (table["truth"] - table["paid"]).abs().max() < 1e-6
    check = plots.predictive_check(3, {"truth": torch.tensor([2, 3, 4])}, table)
    assert len(check.axes) == 2


def test_replicates_share_the_weights_of_a_traveller() -> None:
    """Two copies of one choice agree more often than independent draws from the predictive."""
    train, _ = comparison.scaled(5, 0)
    twice = train.rows(torch.arange(len(train)).repeat(2))
    model = comparison.make_model(train)
    with torch.no_grad():
        model.posteriors.weights.log_scale.fill_(2.0)
    y = comparison.replicate(model, twice, 200)
    first, second = y.split(len(train), 1)
    assert (first == second).double().mean() > 0.7


def test_pictures() -> None:
    torch.manual_seed(0)
    quantiles = torch.randn(5, 30).sort(0).values
    assert len(plots.choices(rail_choices()).axes) == 2
    picture = plots.value_of_time(quantiles, torch.randn(200), torch.randn(30), (-3, 3), "guilders")
    assert len(picture.axes) == 3
    assert (
        len(plots.values({"a": quantiles, "b": quantiles}, {"a": (-3, 3), "b": (-3, 3)}).axes) == 2
    )
    runs = {"normal": torch.randn(3, 500) / torch.randn(3, 500), "log-normal": torch.rand(3, 500)}
    assert len(plots.heavy_tails(runs, "guilders").axes) == 3
    phi = torch.rand(30, 30).fill_diagonal_(0)
    assert plots.who_is_like_whom(phi, torch.randn(30, 4), torch.randn(30), (1e-4, 0.1)).axes
    shapes = {"one: full": (torch.zeros(2), torch.eye(2))}
    assert len(plots.posterior_shapes({"one": torch.randn(50, 2)}, shapes, ("x", "y")).axes) == 1
