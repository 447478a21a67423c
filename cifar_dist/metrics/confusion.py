"""The confusion matrix, and what follows from it for the whole and for each class.

Rows are the truth, columns the prediction: matrix[3, 5] images of class 3 were taken for class 5.
Matrices of parts and of ranks are added; every number is computed once, from the sum, so that it is
the same on any number of ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics.ratio import Ratio, ratio

Matrix = NDArray[np.int64]


def accumulate(
    truth: ArrayLike, predicted: ArrayLike, *, num_classes: int, mask: ArrayLike | None = None
) -> Matrix:
    """Count pairs of true and predicted class.

    Args:
        truth: whole numbers of 0 to num_classes - 1, of any shape.
        predicted: the same, of the same shape.
        num_classes: rows and columns of the result.
        mask: True where a pair counts; default: everywhere.

    Returns:
        int64[num_classes, num_classes].

    Raises:
        ValueError: shapes differ, or a class that counts is out of range.
    """
    true = np.asarray(truth, dtype=np.int64)
    guess = np.asarray(predicted, dtype=np.int64)
    if true.shape != guess.shape:
        raise ValueError(f"truth has shape {true.shape}, predictions have {guess.shape}")
    counts = np.ones(true.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    true, guess = true[counts], guess[counts]
    for name, classes in (("true", true), ("predicted", guess)):
        if classes.size and not 0 <= classes.min() <= classes.max() < num_classes:
            wrong = classes[(classes < 0) | (classes >= num_classes)][0]
            raise ValueError(f"{name} class {wrong} is not in 0 to {num_classes - 1}")
    flat = np.bincount(true * num_classes + guess, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Counts:
    """One class against the rest, for each class: int64[C] each."""

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    false_negatives: NDArray[np.int64]
    true_negatives: NDArray[np.int64]

    @property
    def support(self) -> NDArray[np.int64]:
        """How many images of each class there are."""
        return self.true_positives + self.false_negatives


def one_against_rest(matrix: Matrix) -> Counts:
    """Return the four counts of each class."""
    hits = np.diagonal(matrix).copy()
    predicted, support = matrix.sum(axis=0), matrix.sum(axis=1)
    misses = support - hits
    alarms = predicted - hits
    return Counts(hits, alarms, misses, matrix.sum() - hits - misses - alarms)


def precision(counts: Counts) -> Ratio:
    """Of what was taken for a class, the share that is of it: tp / (tp + fp)."""
    return ratio(counts.true_positives, counts.true_positives + counts.false_positives)


def recall(counts: Counts) -> Ratio:
    """Of what is of a class, the share that was found (sensitivity): tp / (tp + fn)."""
    return ratio(counts.true_positives, counts.support)


def specificity(counts: Counts) -> Ratio:
    """Of what is not of a class, the share that was not taken for it: tn / (tn + fp)."""
    return ratio(counts.true_negatives, counts.true_negatives + counts.false_positives)


def f_beta(counts: Counts, beta: float = 1.0) -> Ratio:
    """Combine precision and recall, the latter beta times as important (van Rijsbergen 1979).

    (1 + b^2) tp / ((1 + b^2) tp + b^2 fn + fp); beta 1 is F1, 2 rather a false alarm than a miss,
    0.5 the reverse.

    Args:
        counts: of one class against the rest.
        beta: above 0 and finite.

    Raises:
        NotComputableError: beta is not above 0, or not finite.
    """
    if not (beta > 0 and np.isfinite(beta)):
        raise NotComputableError(f"F-beta needs a finite beta above 0, not {beta:g}")
    weight = float(beta) ** 2
    hits = (1 + weight) * counts.true_positives
    return ratio(hits, hits + weight * counts.false_negatives + counts.false_positives)


def accuracy(matrix: Matrix) -> float:
    """Return the share of right predictions: (tp + tn) / all for two classes.

    The course's example (TP 140, FN 30, FP 20, TN 10) gives (140 + 10) / 200 = 0.75 by its own
    formula; the 85 % printed there is a slip of arithmetic.

    Raises:
        NotComputableError: the matrix counts no image.
    """
    return int(np.trace(matrix)) / _total(matrix)


def error_rate(matrix: Matrix) -> float:
    """Return the share of wrong predictions; errors as :func:`accuracy`."""
    total = _total(matrix)
    return (total - int(np.trace(matrix))) / total


def _total(matrix: Matrix) -> int:
    total = int(matrix.sum())
    if total == 0:
        raise NotComputableError("the accuracy of no images has no value: nothing was evaluated")
    return total


@dataclass(frozen=True)
class ClassMetrics:
    """What metrics.jsonl says about one class.

    ``notes`` names each number that is a ratio of nothing and stands as 0.
    """

    name: str
    support: int
    predicted: int
    precision: float
    recall: float
    specificity: float
    f1: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as an object of JSON, without notes where there are none."""
        values = asdict(self)
        notes = list(values.pop("notes"))
        return {**values, "notes": notes} if notes else values


def row_names(classes: Sequence[str], num_classes: int) -> tuple[str, ...]:
    """Return a name for each row: a network may have more outputs than the data has classes."""
    return (*classes, *(f"class {number}" for number in range(len(classes), num_classes)))


_BECAUSE = {
    "precision": "nothing was taken for this class",
    "recall": "there is no image of this class",
    "specificity": "there are images of this class only",
    "f1": "there is no image of this class and nothing was taken for it",
}


def per_class(matrix: Matrix, classes: Sequence[str]) -> list[ClassMetrics]:
    """Return precision, recall, specificity and F1 of each class.

    Args:
        matrix: int64[C, C].
        classes: C names.
    """
    counts = one_against_rest(matrix)
    ratios = {
        "precision": precision(counts),
        "recall": recall(counts),
        "specificity": specificity(counts),
        "f1": f_beta(counts),
    }
    return [
        ClassMetrics(
            name=name,
            support=int(counts.support[index]),
            predicted=int(matrix[:, index].sum()),
            notes=tuple(
                f"{key} has no value, 0 by convention: {_BECAUSE[key]}"
                for key, of_classes in ratios.items()
                if not of_classes.defined[index]
            ),
            **{key: float(of_classes.values[index]) for key, of_classes in ratios.items()},
        )
        for index, name in enumerate(classes)
    ]
