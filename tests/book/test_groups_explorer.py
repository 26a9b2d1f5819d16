"""The Python side of the widget of groups: its arguments, its numbers, its static figure."""

import json
import math
from typing import Any

import pytest
import torch
from ipywidgets.embed import embed_data
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Beta, Dirichlet, MultivariateNormal

from vmtl_core.groups import CONCENTRATION, log_partition, log_weights, pseudo_counts
from vmtl_core.lab.widgets import GroupsExplorer
from vmtl_core.lab.widgets._groups_figure import order
from vmtl_core.lab.widgets._groups_model import MOST, PLACES, REACH, TASKS, arrange, summaries

NAN = float("nan")
PAIRS = r"`points` must be 12 pairs of numbers in -2\.5\.\.\.2\.5; got "
BAD: list[tuple[dict[str, Any], str]] = [
    ({"points": [[0, 0]] * 11}, PAIRS + r"\[\[0\.0, 0\.0\]"),
    ({"points": [[0, 0, 0]] * 12}, PAIRS),
    ({"points": [[0, 3]] * 12}, PAIRS),
    ({"points": [[0, NAN]] * 12}, PAIRS),
    ({"points": 1}, PAIRS + r"1\.0"),
    ({"width": 0.01}, r"`width` must be a number in 0\.05\.\.\.2; got 0\.01"),
    ({"width": NAN}, "`width` .* got nan"),
    ({"concentration": 11}, r"`concentration` must be a number in 0\.1\.\.\.10; got 11"),
    ({"concentration": "many"}, "`concentration` .* got 'many'"),
    ({"noise": 0}, r"`noise` must be a number in 0\.1\.\.\.3; got 0"),
    ({"noise": True}, "`noise`"),
    ({"rows": 0}, r"`rows` must be a whole number in 1\.\.\.100; got 0"),
    ({"rows": 2.5}, "`rows`"),
    ({"groups": 7}, r"`groups` must be a whole number in 0\.\.\.6; got 7"),
    ({"groups": "best"}, "`groups`"),
    ({"place": 4}, r"`place` must be a whole number in 0\.\.\.3; got 4"),
    ({"seed": -1}, "`seed`"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GroupsExplorer(**arguments)


def test_a_refused_assignment_changes_nothing() -> None:
    widget = GroupsExplorer()
    for name, value in {"points": [[9, 9]] * 12, "width": 9, "rows": 0, "groups": -1}.items():
        before = getattr(widget, name)
        with pytest.raises(ValueError, match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


def settings() -> list[GroupsExplorer]:
    """Every place, with other numbers each."""
    return [
        GroupsExplorer(place=0),
        GroupsExplorer(place=1, seed=3, noise=1.5, concentration=0.3),
        GroupsExplorer(place=2, seed=1, width=0.7, rows=2),
        GroupsExplorer(place=3, seed=2, width=1.4, concentration=6.0, noise=0.2),
        # Six groups climb to seven.
        GroupsExplorer(seed=984769, width=2.0, concentration=10.0, noise=0.1, rows=100),
    ]


def exact_evidence(widget: GroupsExplorer, label: list[int]) -> Tensor:
    """log density of the estimates in the given groups, -1 for none: all of them are one Gaussian."""
    points = torch.tensor(widget.points, dtype=torch.float64)
    site = summaries(points, widget.noise, widget.rows)
    within = widget.width**2 / (1 + widget.width**2)
    group = torch.tensor(label)
    same = (group[:, None] == group) & (group >= 0)
    inside = (group >= 0).double()
    own = within * inside + 1 - inside
    shared = 0.5 + (1 - within) * same.double() + torch.diag(own)
    covariance = torch.block_diag(*site.precision.squeeze(1).inverse())
    covariance = covariance + torch.kron(shared, torch.eye(2, dtype=torch.float64))
    zero = torch.zeros(2 * TASKS, dtype=torch.float64)
    found: Tensor = MultivariateNormal(zero, covariance).log_prob(points.flatten())
    return found


def test_no_groups_have_the_hierarchical_models_evidence() -> None:
    """And of the restaurant that all are in none, where one group or none were as likely."""
    for widget in settings():
        a = torch.tensor(widget.concentration).double()
        log_beta = [Beta(*pair).log_prob(torch.tensor(0.5)) for pair in ((a, a), (a, a + TASKS))]
        half = math.log(2) * TASKS  # of the density at a half, u^T
        restaurant = log_beta[0] - log_beta[1] - half
        wanted = exact_evidence(widget, [-1] * TASKS) + restaurant
        torch.testing.assert_close(widget.partitions[0].bound, wanted.item())


def test_sure_memberships_have_their_exact_evidence() -> None:
    """Where nobody is unsure (14.5) is no bound: the evidence of a partition and its prior."""
    seen = 0
    for widget in settings():
        for one in widget.partitions:
            if one.holds:
                continue
            label = one.member.argmax(1)
            size, columns = one.member.sum(0), one.member.shape[1]
            start = pseudo_counts(one.member, widget.concentration)
            evidence = exact_evidence(widget, label.tolist())
            flat = torch.full((columns,), 1 / columns, dtype=torch.float64)
            prior = Dirichlet(start).log_prob(flat) - Dirichlet(start + size).log_prob(flat)
            prior = prior - TASKS * math.log(columns)
            names = math.lgamma(columns) - math.lgamma(columns - one.groups)
            torch.testing.assert_close(one.bound, (evidence + prior + names).item())
            seen += 1
    assert seen > 8


def test_each_number_of_groups_is_in_use_and_best_is_the_greatest() -> None:
    for widget in settings():
        found = widget.partitions
        assert [one.groups for one in found] == list(range(MOST + 1))
        assert found[widget.best].bound == max(one.bound for one in found)
        for one in found:
            torch.testing.assert_close(one.member.sum(1), torch.ones(TASKS).double())
            assert len(order(one.member)) == one.groups


def test_what_the_chapter_says_of_the_places() -> None:
    """Three groups, two, one; none among unrelated tasks, and none where the spread is wide."""
    assert [GroupsExplorer(place=place).best for place in range(4)] == [3, 2, 1, 0]
    assert GroupsExplorer(width=2.0).best == 0
    spurious = GroupsExplorer(place=3, concentration=10.0)
    assert spurious.best > 0


def test_the_concentration_of_the_library_is_the_default() -> None:
    member = GroupsExplorer().partitions[3].member
    for function in (pseudo_counts, log_weights, log_partition):
        torch.testing.assert_close(function(member, CONCENTRATION), function(member))
        assert not torch.allclose(function(member, 2 * CONCENTRATION), function(member))


def test_tasks_lie_about_their_centres() -> None:
    """The mean distance over 400 seeds within five standard errors; nothing leaves the plane."""
    for place, setting in enumerate(PLACES[:3]):
        centres, sd = torch.tensor(setting["centres"]), float(str(setting["sd"]))
        points = torch.stack([arrange(place, seed) for seed in range(400)])
        assert points.abs().max() <= REACH
        away = points - centres[torch.arange(TASKS) % len(centres)]
        count = away.numel()
        assert abs(away.mean()) < 5 * sd / count**0.5
        assert abs(away.var() / sd**2 - 1) < 5 * (2 / count) ** 0.5
    assert torch.equal(arrange(0, 5), arrange(0, 5))
    assert not torch.equal(arrange(0, 5), arrange(0, 6))


def test_what_is_stored_is_strict_json_and_the_repr_is_stable() -> None:
    widget = GroupsExplorer(rows=4.0, groups=2)
    json.dumps(embed_data(views=[widget], drop_defaults=False), allow_nan=False)
    wanted = "place=0, seed=0, width=0.25, concentration=1, noise=0.5, rows=4, groups=2"
    assert repr(widget) == f"GroupsExplorer({wanted})"


def test_what_was_checked_can_not_be_changed_in_place() -> None:
    with pytest.raises(TypeError, match="item assignment"):
        GroupsExplorer().points[0] = (9.0, 9.0)


def bar_containers(figure: Figure) -> list[BarContainer]:
    return [one for one in figure.axes[3].containers if isinstance(one, BarContainer)]


def test_static_figure_holds_the_three_settings() -> None:
    figure = GroupsExplorer().static_figure()
    assert len(figure.axes) == 6
    titles = [axis.get_title().splitlines() for axis in figure.axes[:3]]
    assert titles[0] == ["Three groups, σ = 0.5, δ = 0.25", "K = 3 shown"]
    assert titles[1] == ["Three groups, σ = 1.5, δ = 0.25", "K = 3 shown"]
    assert titles[2] == ["Unrelated tasks, σ = 0.5, δ = 0.25", "K = 2 shown"]
    letters = [[text.get_text() for text in axis.texts] for axis in figure.axes[:3]]
    assert letters == [["A", "B", "C"], ["A", "B", "C"], ["A", "B"]]
    heights = [bars.patches[0].get_height() for bars in bar_containers(figure)]
    gains = [
        one.bound - GroupsExplorer().partitions[0].bound for one in GroupsExplorer().partitions
    ]
    assert heights == pytest.approx([max(gain, -15) for gain in gains])
