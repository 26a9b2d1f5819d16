"""The stored table of chapter 10 is whole, and the networks of the comparison keep their shapes."""

import pytest
import torch

from vmtl_core.lab.baselines import SharedEncoder, features, fit_trunk
from vmtl_core.lab.datasets import digit_domains
from vmtl_core.lab.experiments import digits as comparison
from vmtl_core.lab.experiments.digit_models import make_classifier


@pytest.mark.parametrize("task", comparison.METHODS)
def test_every_method_has_every_split(task: str) -> None:
    table = comparison.results()
    table = table[table["task"] == task]
    assert set(table["method"]) == set(comparison.METHODS[task])
    counts = table.groupby(["n", "method"])["seed"].agg(["count", "nunique"])
    assert (counts == counts.iloc[0, 0]).all(axis=None)
    assert counts.iloc[0, 0] >= 5


def test_a_stored_row_is_found_again() -> None:
    """Exact but for rounding: one that needs no gradient steps."""
    table = comparison.results()
    stored = table[(table["task"] == "angles") & (table["n"] == 10) & (table["method"] == "pooled")]
    stored = stored[stored["seed"] == 1].iloc[0]
    found = comparison.compare("angles", 10, 1, ["pooled"]).iloc[0]
    for score, most in {"nmse": 1e-4, "log_score": 1e-4, "coverage": 5e-4}.items():
        assert found[score] == pytest.approx(stored[score], abs=most), score


@pytest.mark.parametrize("method", ["single", "paper"])
def test_two_methods_have_no_width(method: str) -> None:
    train, _ = comparison.domains(3, 0)
    assert make_classifier(train, method).prior.width() is None


def test_the_outlier_shares_no_image() -> None:
    train, test = comparison.with_outlier(20, 0)
    assert train.task_sizes == [20] * 5
    assert test.task_sizes == [560] * 5
    everything = torch.cat([train.x, test.x])
    assert len(everything.unique(dim=0)) == len(everything)


def test_the_shared_encoder_is_the_same_for_every_task() -> None:
    q = SharedEncoder(3, 4, 2)(torch.randn(5, 4))
    assert q.batch_shape == (3, 5)
    assert torch.equal(q.mean[0], q.mean[2])
    torch.testing.assert_close(q.stddev, torch.full((3, 5, 2), 0.1), atol=1e-3, rtol=0)


def test_features_have_length_one_on_the_training_set() -> None:
    train, test = digit_domains().split(5)
    trunk = fit_trunk(train, steps=3)
    first, second = features(trunk, train, test)
    torch.testing.assert_close(first.x.mean(0), torch.zeros(64), atol=1e-5, rtol=0)
    torch.testing.assert_close(first.x.square().sum(1).mean(), torch.tensor(1.0))
    assert second.x.shape == (len(test), 64)
    assert not first.x.requires_grad
