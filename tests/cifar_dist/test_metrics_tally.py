from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics.tally import LOSS_UNIT, Tally

CLASSES = 4


def batch(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
    truth, predicted = rng.integers(0, CLASSES, (2, size))
    return truth, predicted, rng.exponential(2, size).astype(np.float32), rng.random(size) < 0.8


@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_any_split_adds_up_to_the_same_to_the_last_digit(seed: int, cuts: list[int]) -> None:
    parts = batch(np.random.default_rng(seed), 60)
    whole = Tally.empty(CLASSES).plus(*parts)
    counts = np.zeros_like(whole.to_counts())
    edges = sorted({0, 60, *cuts})
    for start, end in pairwise(edges):
        piece = Tally.empty(CLASSES).plus(*(part[start:end] for part in parts))
        counts = counts + piece.to_counts()
    total = Tally.from_counts(counts)
    assert total.loss_units == whole.loss_units
    np.testing.assert_array_equal(total.confusion, whole.confusion)


def test_only_images_under_the_mask_count() -> None:
    truth, predicted, losses, mask = batch(np.random.default_rng(1), 100)
    tally = Tally.empty(CLASSES).plus(truth, predicted, losses, mask)
    expected = confusion_matrix(truth[mask], predicted[mask], labels=range(CLASSES))
    np.testing.assert_array_equal(tally.confusion, expected)
    assert tally.count == mask.sum()
    assert tally.mean_loss() == pytest.approx(losses[mask].mean(), abs=LOSS_UNIT)


@pytest.mark.parametrize("broken", [np.nan, np.inf, 2.0**21])
def test_a_loss_that_is_no_number_is_counted_and_leaves_no_mean(broken: float) -> None:
    tally = Tally.empty(CLASSES).plus([0, 1], [0, 1], [0.5, broken], [True, True])
    assert tally.broken_losses == 1
    assert tally.mean_loss() is None


def test_nothing_evaluated_has_no_loss() -> None:
    with pytest.raises(NotComputableError, match="nothing was evaluated"):
        Tally.empty(CLASSES).mean_loss()
