from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics import confusion

NAMES = tuple("abcdefghij")
CLASSES = range(10)
labels = st.integers(0, 9)
pairs = st.lists(st.tuples(labels, labels), min_size=1, max_size=60)


def matrix_of(seen: list[tuple[int, int]]) -> confusion.Matrix:
    truth, guess = zip(*seen, strict=True)
    return confusion.accumulate(truth, guess, num_classes=10)


@given(pairs)
def test_the_matrix_and_accuracy_are_those_of_scikit_learn(seen: list[tuple[int, int]]) -> None:
    truth, guess = zip(*seen, strict=True)
    matrix = matrix_of(seen)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, oracle.confusion_matrix(truth, guess, labels=CLASSES))
    assert confusion.accuracy(matrix) == pytest.approx(
        oracle.accuracy_score(truth, guess), abs=1e-12
    )
    assert confusion.error_rate(matrix) == pytest.approx(
        oracle.zero_one_loss(truth, guess), abs=1e-12
    )


@given(seen=pairs, beta=st.floats(0.01, 100))
def test_class_numbers_are_those_of_scikit_learn(seen: list[tuple[int, int]], beta: float) -> None:
    truth, guess = zip(*seen, strict=True)
    counts = confusion.one_against_rest(matrix_of(seen))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f_score, support = oracle.precision_recall_fscore_support(
            truth, guess, labels=CLASSES, beta=beta, zero_division=0
        )
    close = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(confusion.precision(counts).values, precision, **close)
    np.testing.assert_allclose(confusion.recall(counts).values, recall, **close)
    np.testing.assert_allclose(confusion.f_beta(counts, beta).values, f_score, **close)
    np.testing.assert_array_equal(counts.support, support)


@given(pairs)
def test_the_four_counts_and_specificity_are_those_of_scikit_learn(
    seen: list[tuple[int, int]],
) -> None:
    truth, guess = zip(*seen, strict=True)
    counts = confusion.one_against_rest(matrix_of(seen))
    found = oracle.multilabel_confusion_matrix(truth, guess, labels=CLASSES)
    np.testing.assert_array_equal(counts.true_negatives, found[:, 0, 0])
    np.testing.assert_array_equal(counts.false_positives, found[:, 0, 1])
    np.testing.assert_array_equal(counts.false_negatives, found[:, 1, 0])
    np.testing.assert_array_equal(counts.true_positives, found[:, 1, 1])
    rest = found[:, 0].sum(axis=1)
    expected = np.divide(found[:, 0, 0], rest, out=np.zeros(10), where=rest > 0)
    np.testing.assert_allclose(confusion.specificity(counts).values, expected, rtol=0, atol=1e-12)


@given(seen=pairs, cut=st.integers(0, 60), padding=st.integers(0, 5))
def test_parts_of_ranks_add_up_to_the_whole_and_padding_does_not_count(
    seen: list[tuple[int, int]], cut: int, padding: int
) -> None:
    total = np.zeros((10, 10), dtype=np.int64)
    for part in (seen[:cut], seen[cut:]):
        padded = np.array([*part, *[(0, 0)] * padding], dtype=np.int64).reshape(-1, 2)
        mask = np.arange(len(padded)) < len(part)
        total += confusion.accumulate(padded[:, 0], padded[:, 1], num_classes=10, mask=mask)
    np.testing.assert_array_equal(total, matrix_of(seen))


def test_the_example_of_the_course_is_right() -> None:
    counts = confusion.Counts(*(np.array([n]) for n in (140, 20, 30, 10)))
    assert confusion.precision(counts).values[0] == 0.875
    assert confusion.recall(counts).values[0] == pytest.approx(0.8235, abs=5e-5)
    assert confusion.accuracy(np.array([[140, 30], [20, 10]])) == 0.75


def test_dividing_by_nothing_gives_zero_and_a_note() -> None:
    matrix = np.zeros((3, 3), dtype=np.int64)
    matrix[0, 0], matrix[0, 2] = 3, 1
    a, b, c = (one.to_json() for one in confusion.per_class(matrix, ["a", "b", "c"]))
    assert (a["precision"], a["recall"], a["support"], a["predicted"]) == (1.0, 0.75, 4, 3)
    assert a["notes"] == [
        "specificity has no value, 0 by convention: there are images of this class only"
    ]
    assert (b["precision"], b["recall"], b["f1"]) == (0, 0, 0)
    assert [note.split()[0] for note in b["notes"]] == ["precision", "recall", "f1"]
    assert [note.split()[0] for note in c["notes"]] == ["recall"]
    assert json.loads(json.dumps([a, b, c])) == [a, b, c]


def test_a_class_with_all_numbers_has_no_notes() -> None:
    rows = confusion.per_class(np.array([[3, 1], [1, 5]]), ["a", "b"])
    assert all("notes" not in row.to_json() for row in rows)
    assert [row.name for row in rows] == ["a", "b"]


@pytest.mark.parametrize("number", [confusion.accuracy, confusion.error_rate])
def test_the_accuracy_of_no_images_is_refused(number: object) -> None:
    with pytest.raises(NotComputableError, match="nothing was evaluated"):
        number(np.zeros((10, 10), dtype=np.int64))  # type: ignore[operator]


@pytest.mark.parametrize("beta", [0, -1, float("nan"), float("inf")])
def test_a_beta_that_is_not_above_zero_is_refused(beta: float) -> None:
    with pytest.raises(NotComputableError, match="finite beta above 0"):
        confusion.f_beta(confusion.one_against_rest(np.eye(2, dtype=np.int64)), beta)


@pytest.mark.parametrize(
    ("truth", "guess", "message"),
    [
        ([0, 10], [0, 0], "true class 10 is not in 0 to 9"),
        ([0, 1], [0, -1], "predicted class -1 is not in 0 to 9"),
        ([0, 1], [0], r"truth has shape \(2,\), predictions have \(1,\)"),
    ],
)
def test_classes_out_of_range_and_shapes_that_differ_are_refused(
    truth: list[int], guess: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        confusion.accumulate(truth, guess, num_classes=10)


def test_a_class_under_the_mask_may_be_anything() -> None:
    matrix = confusion.accumulate([1, 99], [2, -5], num_classes=10, mask=[True, False])
    assert matrix.sum() == matrix[1, 2] == 1
