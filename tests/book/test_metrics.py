"""Scores: answers known by hand, each wrong for a likely slip."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from sklearn.metrics import brier_score_loss, r2_score
from torch.distributions import Bernoulli, Categorical, MixtureSameFamily, Normal

from vmtl_core.lab.scores import metrics


def standard(rows: int) -> Normal:
    return Normal(torch.zeros(rows), torch.ones(rows))


def bimodal(rows: int) -> MixtureSameFamily:
    """Half N(-3, 1), half N(3, 1), each row."""
    means = torch.tensor([-3.0, 3.0]).expand(rows, 2)
    return MixtureSameFamily(
        Categorical(logits=torch.zeros(rows, 2)), Normal(means, torch.ones(rows, 2))
    )


def test_nmse_is_one_minus_the_coefficient_of_determination() -> None:
    y, prediction = torch.tensor([1.0, 2.0, 4.0, 9.0]), torch.tensor([1.5, 2.0, 3.0, 7.0])
    assert metrics.nmse(prediction, y).item() == pytest.approx(1 - r2_score(y, prediction))
    # 5.25/4 over 38/4: a divisor N - 1 in the variance gives 0.1036, the prediction's own
    # variance gives 0.29.
    assert metrics.nmse(prediction, y).item() == pytest.approx(5.25 / 38)
    assert metrics.nmse(y.mean().expand(4), y).item() == pytest.approx(1)


def test_log_score_is_the_log_of_the_mixture_per_example() -> None:
    score = metrics.log_score(bimodal(2), torch.tensor([3.0, -3.0])).item()
    mixture = math.log(0.5 * (1 + math.exp(-18)) / math.sqrt(2 * math.pi))
    assert score == pytest.approx(mixture, rel=1e-5)
    mixed_logs = -0.5 * math.log(2 * math.pi) - 9
    assert abs(score - mixed_logs) > 8
    labels = metrics.log_score(Bernoulli(torch.tensor([0.8, 0.8])), torch.tensor([1.0, 0.0]))
    assert labels.item() == pytest.approx((math.log(0.8) + math.log(0.2)) / 2)


def test_coverage_is_central_and_two_sided() -> None:
    """(6.5) a target in either tail is outside."""
    y = torch.tensor([-1.7, -1.6, 0.0, 1.6, 1.7])  # the interval ends at 1.645, not at 1.282
    assert metrics.coverage(standard(5), y).item() == pytest.approx(0.6)
    assert metrics.coverage(standard(5), y, level=0.8).item() == pytest.approx(0.2)
    # A mixture's interval is its own, not that of a Gaussian with its moments (sd 3.16, 5.2 long):
    y = torch.tensor([-4.4, -4.2, 4.2, 4.4])  # central 90 %: cdf(-3 - 1.2816) = 0.05
    assert metrics.coverage(bimodal(4), y).item() == pytest.approx(0.5)


def test_coverage_of_true_predictions_is_the_level() -> None:
    y = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    for level in (0.5, 0.9):
        error = math.sqrt(level * (1 - level) / len(y))
        assert abs(metrics.coverage(standard(len(y)), y, level).item() - level) < 4.5 * error


def test_accuracy_and_brier_of_three_classes() -> None:
    rows = [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]]
    probs = torch.tensor(rows, dtype=torch.float64)
    y = torch.tensor([0, 2, 0])
    assert metrics.accuracy(probs, y).item() == pytest.approx(2 / 3)
    by_hand = (0.25 + 0.09 + 0.04 + 0.01 + 0.04 + 0.09 + 0.49 + 0.16 + 0.09) / 3
    assert metrics.brier(probs, y).item() == pytest.approx(by_hand)
    other = brier_score_loss(y, probs, labels=[0, 1, 2], scale_by_half=False)
    assert metrics.brier(probs, y).item() == pytest.approx(other)


def test_one_and_two_columns_agree() -> None:
    p, y = torch.tensor([0.9, 0.2, 0.6, 0.45]), torch.tensor([1.0, 0.0, 0.0, 1.0])
    table = torch.stack([1 - p, p], 1)
    for score in (metrics.accuracy, metrics.brier, metrics.expected_calibration_error):
        assert score(p, y).item() == pytest.approx(score(table, y).item())


def test_calibration_error_weighs_bins_by_their_rows() -> None:
    """(6.7) sum_b N_b / N |accuracy_b - confidence_b|, not the mean over bins."""
    p = torch.tensor([0.95] * 8 + [0.55] * 2)
    y = torch.tensor([1.0] * 4 + [0.0] * 4 + [1.0, 0.0])
    # |0.5 - 0.95| for 8 rows, |0.5 - 0.55| for 2; unweighted bins give 0.25.
    wanted = 0.8 * 0.45 + 0.2 * 0.05
    assert metrics.expected_calibration_error(p, y).item() == pytest.approx(wanted)
    # One bin: the gaps of opposite sign cancel inside a bin, never between bins.
    p, y = torch.tensor([0.95, 0.95, 0.55, 0.55]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    assert metrics.expected_calibration_error(p, y, bins=1).item() == pytest.approx(0)
    assert metrics.expected_calibration_error(p, y).item() == pytest.approx(0.45)


def test_calibration_bins_are_closed_above() -> None:
    # 0.5 belongs to (0.4, 0.5], so that it does not cancel against 0.55.
    error = metrics.expected_calibration_error(torch.tensor([0.5, 0.55]), torch.ones(2)).item()
    assert error == pytest.approx((0.5 + 0.45) / 2)


def test_confident_no_counts_as_confident() -> None:
    # Confidence is that of the guess: saying 0.1 and being right is 0.9 sure, not 0.1.
    error = metrics.expected_calibration_error(torch.full((10,), 0.1), torch.zeros(10)).item()
    assert error == pytest.approx(0.1, abs=1e-6)
    assert metrics.expected_calibration_error(torch.ones(3), torch.ones(3)).item() == 0


def test_calibrated_probabilities_have_no_calibration_error() -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(50_000, generator=generator, dtype=torch.float64)
    y = torch.bernoulli(p, generator=generator)
    assert metrics.expected_calibration_error(p, y).item() < 0.015
    assert metrics.expected_calibration_error((3 * p.logit()).sigmoid(), y).item() > 0.1


def test_interval_is_student_s() -> None:
    values = torch.tensor([0.2, 0.5, 0.1, 0.4])
    found = metrics.mean_and_interval(values, 0.9)
    assert found.mean == pytest.approx(0.3)
    assert found.standard_error == pytest.approx(math.sqrt(0.1 / 3 / 4))
    low, high = stats.t.interval(0.9, 3, loc=0.3, scale=found.standard_error)
    assert (found.low, found.high) == pytest.approx((low, high))
    # t = 2.353 with 3 degrees of freedom; a normal 1.645 or one-sided 1.638 would be too narrow.
    assert (found.high - found.mean) / found.standard_error == pytest.approx(2.3534, abs=1e-4)


def test_pairing_removes_what_both_share() -> None:
    generator = torch.Generator().manual_seed(0)
    hard = 10 * torch.randn(8, generator=generator)
    first = hard + 0.01 * torch.randn(8, generator=generator)
    found = metrics.paired_difference(first + 0.5, hard)
    assert found.low < 0.5 < found.high
    assert found.low > 0.4
    assert metrics.paired_difference(hard, first + 0.5).mean == pytest.approx(-found.mean)
    wanted = stats.ttest_rel(first + 0.5, hard).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-3)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "nmse shape": (
        lambda: metrics.nmse(torch.zeros(3, 1), torch.zeros(3)),
        r"`prediction` .* \(3, 1\) and \(3,\)",
    ),
    "nmse flat": (lambda: metrics.nmse(torch.zeros(3), torch.ones(3)), r"`y` .* 3 equal"),
    "log score": (lambda: metrics.log_score(standard(3), torch.zeros(2)), r"\(3,\) for y \(2,\)"),
    "broadcast": (
        lambda: metrics.log_score(Normal(0.0, 1.0), torch.zeros(2)),
        r"\(\) for y \(2,\)",
    ),
    "level": (
        lambda: metrics.coverage(standard(2), torch.zeros(2), 90),
        r"`level` .* 0 and 1; got 90",
    ),
    "probs": (lambda: metrics.accuracy(torch.tensor([1.2]), torch.ones(1)), r"`probs` .* -0.2"),
    "sums": (lambda: metrics.brier(torch.ones(1, 2), torch.ones(1)), r"sums up to 2"),
    "labels": (lambda: metrics.brier(torch.tensor([0.5]), torch.tensor([2])), r"0\.\.\.1.*\[2\]"),
    "rows": (lambda: metrics.brier(torch.ones(2), torch.ones(3)), r"\(2, 2\) and \(3,\)"),
    "bins": (
        lambda: metrics.expected_calibration_error(torch.ones(1), torch.ones(1), bins=0),
        r"`bins` .* got 0",
    ),
    "one value": (lambda: metrics.mean_and_interval(torch.ones(1)), r"`values` .* \(1,\)"),
    "pairs": (
        lambda: metrics.paired_difference(torch.ones(2), torch.ones(3)),
        r"`first` .* \(2,\) and \(3,\)",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
