from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics.decision import (
    precision_recall_curve,
    score_bits,
    scores_of,
    threshold_for_precision,
    threshold_for_recall,
)
from cifar_dist.runtime.limbs import COUNT_BITS

cases = st.lists(
    st.tuples(st.integers(0, 12).map(lambda n: n / 12), st.booleans()), min_size=1, max_size=60
).filter(lambda seen: any(positive for _, positive in seen))
wishes = st.floats(0.01, 1)


def split(seen: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    scores, positive = zip(*seen, strict=True)
    return np.array(scores), np.array(positive)


def measured(scores: np.ndarray, positive: np.ndarray, threshold: float) -> tuple[float, float]:
    taken = scores >= threshold
    return positive[taken].mean(), taken[positive].mean()


@given(cases)
def test_the_curve_is_that_of_scikit_learn(seen: list[tuple[float, bool]]) -> None:
    scores, positive = split(seen)
    curve = precision_recall_curve(scores, positive)
    precision, recall, thresholds = oracle.precision_recall_curve(positive, scores)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    np.testing.assert_allclose(curve.precision, precision[:-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall[:-1], rtol=0, atol=1e-12)


@given(seen=cases, wanted=wishes)
def test_no_threshold_with_enough_recall_is_more_precise(
    seen: list[tuple[float, bool]], wanted: float
) -> None:
    scores, positive = split(seen)
    found = threshold_for_recall(precision_recall_curve(scores, positive), wanted)
    assert measured(scores, positive, found.value) == (found.precision, found.recall)
    assert found.recall >= wanted
    for threshold in np.unique(scores):
        precision, recall = measured(scores, positive, threshold)
        assert recall < wanted or (precision, recall) <= (found.precision, found.recall)


@given(seen=cases, wanted=wishes)
def test_no_threshold_with_enough_precision_finds_more(
    seen: list[tuple[float, bool]], wanted: float
) -> None:
    scores, positive = split(seen)
    curve = precision_recall_curve(scores, positive)
    if curve.precision.max() < wanted:
        with pytest.raises(NotComputableError, match="no threshold has a precision of"):
            threshold_for_precision(curve, wanted)
        return
    found = threshold_for_precision(curve, wanted)
    assert found.precision >= wanted
    for threshold in np.unique(scores):
        precision, recall = measured(scores, positive, threshold)
        assert precision < wanted or (recall, precision) <= (found.recall, found.precision)


def test_rather_a_false_alarm_lowers_the_threshold_and_rather_a_miss_raises_it() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    positive = np.array([False, False, True, False, True, False, True, True])
    curve = precision_recall_curve(scores, positive)
    careful = threshold_for_recall(curve, 1.0)
    strict = threshold_for_precision(curve, 1.0)
    assert (careful.value, careful.recall) == (0.3, 1.0)
    assert (strict.value, strict.precision, strict.recall) == (0.8, 1.0, 0.5)


@pytest.mark.parametrize("wanted", [0, -0.5, 1.01, float("nan")])
def test_a_wish_out_of_range_is_refused(wanted: float) -> None:
    curve = precision_recall_curve([0.5], [True])
    for choose in (threshold_for_recall, threshold_for_precision):
        with pytest.raises(NotComputableError, match="above 0 and up to 1"):
            choose(curve, wanted)


def test_a_class_without_images_and_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(NotComputableError, match="no image of this class"):
        precision_recall_curve([0.1, 0.2], [False, False])
    with pytest.raises(NotComputableError, match="not finite"):
        precision_recall_curve([0.1, float("nan")], [True, False])


def test_ranks_gather_scores_bit_for_bit_by_adding_whole_numbers() -> None:
    scores = np.array([0.0, 5e-324, 1 / 3, 0.1 + 0.2, 1.0, np.nan])
    bits = score_bits(scores)
    assert 0 <= bits.min() <= bits.max() < 2**COUNT_BITS
    parts = np.zeros((2, 6), dtype=np.int64)
    parts[0, ::2], parts[1, 1::2] = bits[::2], bits[1::2]
    np.testing.assert_array_equal(scores_of(parts.sum(axis=0)), scores)
