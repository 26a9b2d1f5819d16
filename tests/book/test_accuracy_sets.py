"""The sets of the comparison: split by one rule, generated as described, scored by methods that fit."""

import pytest
import torch

from vmtl_core.lab import datasets
from vmtl_core.lab.experiments import accuracy
from vmtl_core.lab.experiments import accuracy_sets as sets
from vmtl_core.lab.experiments.accuracy_methods import LINEAR, LOGIT, NETWORKS

NOT_IMAGES = [name for name in sets.SETS if name not in sets.IMAGES]


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_a_set_is_what_it_is_called(name: str) -> None:
    train, test = sets.SETS[name](3)
    again, _ = sets.SETS[name](3)
    other, _ = sets.SETS[name](4)
    assert torch.equal(train.x, again.x)
    assert torch.equal(train.y, again.y)
    assert train.x.shape != other.x.shape or not torch.equal(train.x, other.x)
    assert train.kind == sets.KINDS.get(name, "regression")
    assert min(train.task_sizes) >= 1
    assert sets.seeds(name) == (50 if train.truth is not None else 10)
    assert train.task_names == test.task_names


@pytest.mark.parametrize("name", sets.NEW_TABLES)
def test_new_tables_are_split_by_the_old_rule(name: str) -> None:
    """Five rows of every task, or all but one; inputs, and numbers, standardised on these."""
    train, test = sets.SETS[name](0)
    data = getattr(datasets, name)()
    assert train.task_sizes == [min(5, size - 1) for size in data.task_sizes]
    assert len(train) + len(test) == len(data)
    torch.testing.assert_close(train.x.mean(0), torch.zeros(train.x.shape[1]), atol=1e-4, rtol=0)
    assert (train.y.mean().abs() < 1e-4) == (train.kind == "regression")


def test_unequal_sizes_leave_every_cluster_few_and_many() -> None:
    train, test = sets.unequal_sizes(0)
    assert train.task_sizes == [2, 3, 4, 6, 10, 20] * 2
    assert set(test.task_sizes) == {200}
    assert train.truth is not None
    for c in range(3):
        sizes = torch.tensor(train.task_sizes)[train.truth.cluster == c]
        assert sizes.min() <= 4
        assert sizes.max() >= 6


def test_generated_labels_and_counts_follow_their_weights() -> None:
    train, test = sets.labels_in_clusters(0)
    assert train.truth is not None
    eta = (test.x * train.truth.weights[test.task]).sum(1)
    for edge, most in ((1.0, 0.02), (3.0, 0.02)):
        near = (eta - edge).abs() < 0.3
        error = test.y[near].mean() - eta[near].sigmoid().mean()
        assert abs(error.item()) < 5 * (0.25 / near.sum().item()) ** 0.5 + most
    train, test = sets.counts_in_clusters(0)
    assert train.truth is not None
    rate = (test.x * train.truth.weights[test.task]).sum(1).exp()
    standard = (test.y - rate) / rate.sqrt()
    assert abs(standard.mean().item()) < 5 / len(test) ** 0.5
    assert standard.square().mean().item() == pytest.approx(1, abs=0.3)


def test_scales_and_means_differ() -> None:
    spread = {}
    for name in ("clusters, sd 0.15", "clusters about 2", "clusters of sd 5", "clusters of sd 0.3"):
        means = [truth.weights for seed in range(20) if (truth := sets.SETS[name](seed)[0].truth)]
        weights = torch.cat(means)
        spread[name] = weights.mean().item(), weights.std().item()
    assert spread["clusters about 2"][0] == pytest.approx(2, abs=0.3)
    assert spread["clusters of sd 5"][1] == pytest.approx(5, rel=0.2)
    assert spread["clusters of sd 0.3"][1] == pytest.approx(0.33, rel=0.2)
    truth = sets.SETS["unrelated tasks"](0)[0].truth
    assert truth is not None
    assert len(truth.weights.unique(dim=0)) == 12 == len(truth.cluster.unique())
    truth = sets.SETS["one population"](0)[0].truth
    assert truth is not None
    assert (truth.cluster == 0).all()


def test_methods_go_where_they_can() -> None:
    for name in sets.SETS:
        found = set(accuracy.methods(name))
        kind = sets.KINDS.get(name, "regression")
        assert "VMTL, default" in found
        assert (kind == "regression" or name in sets.IMAGES) or not found & set(LINEAR)
        assert kind == "classification" or not found & set(LOGIT)
        assert name in sets.IMAGES or not found & set(NETWORKS)
    assert "random intercept" in accuracy.methods("schools")
    assert "random intercept" not in accuracy.methods("opposites")
    assert "mixed logit, log-normal price" not in accuracy.methods("contraception")
    assert accuracy.seeds("opposites", "VMTL, default") == 50
    assert (
        accuracy.seeds("opposites", "VMTL, paper") == accuracy.seeds("rats", "hierarchical") == 10
    )


@pytest.mark.parametrize(
    "method", ["hierarchical", "single-task, wide prior", "pooled", "VMTL, default"]
)
def test_counts_are_scored(method: str) -> None:
    row = accuracy.run("follicles", method, 0)
    assert -3.5 < row["log_score"] < -2.5
    assert 0.5 < row["error"] < 1.1
    assert 0.7 < row["calibration"] <= 1
