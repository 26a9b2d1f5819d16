"""Predictions and their scores on held-out data, with the intervals of repeated experiments."""

from vmtl_core.lab.scores.counts import count_coverage, count_error
from vmtl_core.lab.scores.intervals import Interval, mean_and_interval, paired_difference
from vmtl_core.lab.scores.metrics import (
    accuracy,
    brier,
    coverage,
    expected_calibration_error,
    log_score,
    nmse,
)
from vmtl_core.lab.scores.prediction import (
    ClassPrediction,
    Prediction,
    check_pair,
    own_predictive,
)

__all__ = [
    "ClassPrediction",
    "Interval",
    "Prediction",
    "accuracy",
    "brier",
    "check_pair",
    "count_coverage",
    "count_error",
    "coverage",
    "expected_calibration_error",
    "log_score",
    "mean_and_interval",
    "nmse",
    "own_predictive",
    "paired_difference",
]
