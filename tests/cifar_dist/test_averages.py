from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics import averages
from cifar_dist.metrics.confusion import accumulate, accuracy

CLASSES = range(10)
labels = st.integers(0, 9)
pairs = st.lists(st.tuples(labels, labels), min_size=1, max_size=60)


@given(seen=pairs, beta=st.floats(0.01, 100), average=st.sampled_from(averages.AVERAGES))
def test_averages_are_those_of_scikit_learn(
    seen: list[tuple[int, int]], beta: float, average: averages.Average
) -> None:
    truth, guess = zip(*seen, strict=True)
    found = averages.averaged(accumulate(truth, guess, num_classes=10), average, beta=beta)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = oracle.precision_recall_fscore_support(
            truth, guess, labels=CLASSES, average=average, beta=beta, zero_division=0
        )
    ours = (found.precision.value, found.recall.value, found.f_beta.value)
    assert ours == pytest.approx(expected[:3], rel=0, abs=1e-12)


@given(pairs)
def test_balanced_accuracy_and_correlation_are_those_of_scikit_learn(
    seen: list[tuple[int, int]],
) -> None:
    truth, guess = zip(*seen, strict=True)
    matrix = accumulate(truth, guess, num_classes=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balanced = oracle.balanced_accuracy_score(truth, guess)
        correlation = oracle.matthews_corrcoef(truth, guess)
    assert averages.balanced_accuracy(matrix).value == pytest.approx(balanced, rel=0, abs=1e-12)
    assert averages.matthews_correlation(matrix).value == pytest.approx(
        correlation, rel=0, abs=1e-12
    )


@given(pairs)
def test_macro_specificity_is_the_recall_of_the_rest(seen: list[tuple[int, int]]) -> None:
    truth, guess = (np.array(part) for part in zip(*seen, strict=True))
    found = averages.averaged(accumulate(truth, guess, num_classes=10), "macro").specificity
    rates = [(guess[truth != c] != c).mean() if (truth != c).any() else 0.0 for c in CLASSES]
    assert found.value == pytest.approx(np.mean(rates), rel=0, abs=1e-12)


def test_micro_averages_equal_the_accuracy() -> None:
    matrix = np.array([[5, 1, 0], [2, 7, 1], [0, 0, 9]])
    found = averages.averaged(matrix, "micro", beta=2)
    for number in (found.precision, found.recall, found.f_beta):
        assert number.value == pytest.approx(accuracy(matrix), abs=1e-15)
        assert number.note == ""


def test_a_mean_with_a_ratio_of_nothing_has_a_note() -> None:
    matrix = np.array([[5, 1, 0], [2, 7, 0], [0, 0, 0]])
    found = averages.averaged(matrix, "macro")
    assert found.precision.note == "1 of 3 have no value and count as 0"
    assert found.specificity.note == ""
    assert averages.averaged(matrix, "weighted").recall.note == ""
    assert averages.balanced_accuracy(matrix).note == "classes without images are left out: 1"


def test_no_images_give_zero_and_a_note_everywhere() -> None:
    nothing = np.zeros((3, 3), dtype=np.int64)
    found = averages.averaged(nothing, "weighted")
    assert (found.recall.value, found.recall.note) == (0.0, "there are no images")
    assert averages.balanced_accuracy(nothing) == averages.Number(0.0, "no class has images")
    assert averages.matthews_correlation(nothing).value == 0.0


@pytest.mark.parametrize(
    ("matrix", "note"),
    [
        ([[3, 4], [0, 0]], "all images are of one class"),
        ([[3, 0], [2, 0]], "all predictions are of one class"),
    ],
)
def test_a_correlation_with_one_class_only_has_a_note(matrix: list[list[int]], note: str) -> None:
    assert averages.matthews_correlation(np.array(matrix)) == averages.Number(0.0, note)


@pytest.mark.parametrize(("matrix", "value"), [([[4, 0], [0, 6]], 1.0), ([[0, 4], [6, 0]], -1.0)])
def test_all_right_and_all_wrong_correlate_fully(matrix: list[list[int]], value: float) -> None:
    assert averages.matthews_correlation(np.array(matrix)).value == pytest.approx(value, abs=1e-15)


def test_large_counts_do_not_overflow() -> None:
    matrix = np.full((10, 10), 10**9, dtype=np.int64) + np.eye(10, dtype=np.int64) * 10**12
    assert averages.matthews_correlation(matrix).value == pytest.approx(10**12 / (10**12 + 10**10))


def test_a_beta_of_zero_is_refused() -> None:
    with pytest.raises(NotComputableError, match="beta"):
        averages.averaged(np.eye(3, dtype=np.int64), "macro", beta=0)
