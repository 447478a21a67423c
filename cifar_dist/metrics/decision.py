"""Where to draw the line for one class: rather a false alarm than a miss, or the reverse.

An image is taken for the class where its score is at least the threshold. A lower threshold finds
more of the class (recall) and takes more of the others for it (precision).

A curve needs every score, so that ranks must gather what each has. The bits of a probability are a
whole number below 2^62: each rank fills the places of its own images, and sums over ranks are
exact (:func:`score_bits`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cifar_dist.errors import NotComputableError


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall for every threshold that makes a difference, from the lowest on.

    Attributes:
        thresholds: float64[T], the distinct scores.
        precision: float64[T], of the images with at least that score.
        recall: float64[T], falling.
    """

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it gives."""

    value: float
    precision: float
    recall: float


NO_SCORE = 1.5
"""What stands for a score that is no number while scores are gathered; its bits fit too."""


def score_bits(scores: ArrayLike) -> NDArray[np.int64]:
    """Return probabilities float64[N] of 0 to 1 as whole numbers that ranks can gather by adding.

    The number of a place where a rank has no image is 0.
    """
    values = np.asarray(scores, dtype=np.float64)
    return np.where(np.isfinite(values), values, NO_SCORE).view(np.int64)


def scores_of(bits: NDArray[np.int64]) -> NDArray[np.float64]:
    """Undo :func:`score_bits`; a score that was no number is NaN."""
    values = bits.view(np.float64)
    return np.where(values == NO_SCORE, np.nan, values)


def precision_recall_curve(scores: ArrayLike, positive: ArrayLike) -> Curve:
    """Return the curve of one class.

    Args:
        scores: float[N], such as the probability of the class; finite.
        positive: bool[N], whether an image is of the class.

    Raises:
        NotComputableError: no image is of the class, or a score is not finite.
    """
    values = np.asarray(scores, dtype=np.float64)
    is_class = np.asarray(positive, dtype=bool)
    if not is_class.any():
        raise NotComputableError("there is no image of this class: recall has no value")
    if not np.isfinite(values).all():
        raise NotComputableError("a score is not finite: the model's outputs hold NaN or infinity")
    order = np.argsort(values, kind="stable")
    values, is_class = values[order], is_class[order]
    first = np.flatnonzero(np.r_[True, np.diff(values) > 0])
    found = np.cumsum(is_class[::-1])[::-1][first]
    taken = len(values) - first
    return Curve(values[first], found / taken, found / found[0])


def threshold_for_recall(curve: Curve, wanted: float) -> Threshold:
    """Return the threshold of best precision among those that find enough: rather a false alarm.

    Args:
        curve: of one class.
        wanted: recall of at least this, above 0 and up to 1.

    Raises:
        NotComputableError: ``wanted`` is not above 0 and up to 1.
    """
    _check(wanted, "recall")
    return _best(curve, curve.recall >= wanted, curve.precision)


def threshold_for_precision(curve: Curve, wanted: float) -> Threshold:
    """Return the threshold of best recall among those precise enough: rather a miss.

    Args:
        curve: of one class.
        wanted: precision of at least this, above 0 and up to 1.

    Raises:
        NotComputableError: no threshold reaches it; the message says which precision is reached.
    """
    _check(wanted, "precision")
    enough = curve.precision >= wanted
    if not enough.any():
        raise NotComputableError(
            f"no threshold has a precision of {wanted:g}: the best is {curve.precision.max():.4f}"
        )
    return _best(curve, enough, curve.recall)


def _check(wanted: float, name: str) -> None:
    if not 0 < wanted <= 1:
        raise NotComputableError(f"the wanted {name} must be above 0 and up to 1, not {wanted:g}")


def _best(curve: Curve, allowed: NDArray[np.bool_], goal: NDArray[np.float64]) -> Threshold:
    """Take the highest goal; among equals the one with the better other number."""
    other = curve.precision + curve.recall - goal
    candidates = np.flatnonzero(allowed)
    best = int(candidates[np.lexsort((other[candidates], goal[candidates]))[-1]])
    return Threshold(
        float(curve.thresholds[best]), float(curve.precision[best]), float(curve.recall[best])
    )
