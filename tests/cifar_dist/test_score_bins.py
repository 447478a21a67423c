"""Counts behind precision-recall curves: equal to what every single score would give."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from cifar_dist.metrics.calibration import log_softmax
from cifar_dist.metrics.score_bins import MOST_CLASSES, THRESHOLDS, ScoreBins


def outputs(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    return draws.normal(size=(number, 4)) * 3, draws.integers(0, 4, number)


@pytest.mark.parametrize("threshold", [0, 1, 40, 100, 126])
def test_each_threshold_is_that_of_scikit_learn(threshold: int) -> None:
    logits, truth = outputs(1, 400)
    right, false = ScoreBins.empty(4).plus(logits, truth, np.ones(400, bool)).taken()
    chosen = np.floor(np.exp(log_softmax(logits)) * (THRESHOLDS - 1)) >= threshold
    for of_class in range(4):
        taken, found = chosen[:, of_class], right[of_class, threshold]
        of = found + false[of_class, threshold]
        is_class = truth == of_class
        precision = precision_score(is_class, taken, zero_division=0)
        assert found / max(of, 1) == pytest.approx(precision)
        assert found / is_class.sum() == pytest.approx(recall_score(is_class, taken))


def test_parts_add_up_to_the_whole_and_filling_images_do_not_count() -> None:
    logits, truth = outputs(2, 60)
    whole = ScoreBins.empty(4).plus(logits, truth, np.ones(60, bool))
    mask = np.arange(60) < 25
    first = ScoreBins.empty(4).plus(logits, truth, mask)
    second = ScoreBins.empty(4).plus(logits, truth, ~mask)
    np.testing.assert_array_equal(first.counts + second.counts, whole.counts)
    assert whole.counts.sum() == 4 * 60


def test_outputs_that_are_no_numbers_are_in_no_bin() -> None:
    logits = np.array([[np.nan, 1.0], [np.inf, 0.0], [1e30, -1e30]])
    bins = ScoreBins.empty(2).plus(logits, [0, 0, 0], [True] * 3)
    assert bins.counts.sum() == 2
    assert bins.counts[0, 1, THRESHOLDS - 1] == 1


def test_of_many_classes_only_the_first_have_a_curve() -> None:
    bins = ScoreBins.empty(100).plus(np.zeros((5, 100)), [0, 1, 50, 99, 2], [True] * 5)
    assert bins.counts.shape == (MOST_CLASSES, 2, THRESHOLDS)
    assert bins.counts[:, 1].sum() == 3
