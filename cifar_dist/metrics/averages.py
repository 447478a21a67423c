"""One number for all classes: averages over classes, balanced accuracy, Matthews correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cifar_dist.metrics.confusion import (
    Counts,
    Matrix,
    f_beta,
    one_against_rest,
    precision,
    recall,
    specificity,
)
from cifar_dist.metrics.ratio import Ratio, ratio

Average = Literal["macro", "micro", "weighted"]
AVERAGES: tuple[Average, ...] = ("macro", "micro", "weighted")


@dataclass(frozen=True)
class Number:
    """A value, and a note where it is one only by convention."""

    value: float
    note: str = ""


@dataclass(frozen=True)
class Averaged:
    """The four class numbers, averaged over classes in one way."""

    precision: Number
    recall: Number
    specificity: Number
    f_beta: Number


def averaged(matrix: Matrix, average: Average, *, beta: float = 1.0) -> Averaged:
    """Average precision, recall, specificity and F-beta over classes.

    A class whose number is a ratio of nothing takes part with 0 and is counted in the note.

    Args:
        matrix: int64[C, C].
        average: "macro": every class counts the same; "weighted": by its images; "micro": all
            counts are added first, so that precision, recall and F-beta equal the accuracy.
        beta: how much more important recall is than precision, above 0.

    Raises:
        NotComputableError: beta is not above 0, or not finite.
    """
    counts = one_against_rest(matrix)
    support = counts.support
    if average == "micro":
        counts = _added(counts)
    weights = support if average == "weighted" else np.ones_like(counts.support)
    return Averaged(
        precision=_mean(precision(counts), weights),
        recall=_mean(recall(counts), weights),
        specificity=_mean(specificity(counts), weights),
        f_beta=_mean(f_beta(counts, beta), weights),
    )


def balanced_accuracy(matrix: Matrix) -> Number:
    """Return the mean recall of those classes that have images."""
    found = recall(one_against_rest(matrix))
    if not found.defined.any():
        return Number(0.0, "no class has images")
    missing = int((~found.defined).sum())
    note = f"classes without images are left out: {missing}" if missing else ""
    return Number(float(found.values[found.defined].mean()), note)


def matthews_correlation(matrix: Matrix) -> Number:
    """Return the correlation of truth and prediction, -1 to 1 (Gorodkin 2004, for many classes).

    Where all images are of one class, or all predictions are, it has no value and stands as 0.
    """
    total, hits = int(matrix.sum()), int(np.trace(matrix))
    true = [int(n) for n in matrix.sum(axis=1)]
    guess = [int(n) for n in matrix.sum(axis=0)]
    covariance = hits * total - sum(t * g for t, g in zip(true, guess, strict=True))
    spread_true = total**2 - sum(t * t for t in true)
    spread_guess = total**2 - sum(g * g for g in guess)
    if not spread_true or not spread_guess:
        which = "images" if not spread_true else "predictions"
        return Number(0.0, f"all {which} are of one class")
    return Number(covariance / (float(spread_true) ** 0.5 * float(spread_guess) ** 0.5))


def _added(counts: Counts) -> Counts:
    return Counts(
        counts.true_positives.sum(keepdims=True),
        counts.false_positives.sum(keepdims=True),
        counts.false_negatives.sum(keepdims=True),
        counts.true_negatives.sum(keepdims=True),
    )


def _mean(of_classes: Ratio, weights: Matrix) -> Number:
    whole = ratio((of_classes.values * weights).sum(), weights.sum())
    undefined = int((~of_classes.defined & (weights > 0)).sum())
    notes = []
    if not whole.defined:
        notes.append("there are no images")
    if undefined:
        notes.append(f"{undefined} of {len(weights)} have no value and count as 0")
    return Number(float(whole.values), "; ".join(notes))
