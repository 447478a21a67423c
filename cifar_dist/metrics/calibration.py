"""How good the probabilities are: NLL, Brier score, expected calibration error, top-k.

Ranks add sums, and floating-point sums depend on their order. Each image's share is therefore
rounded to a whole number of 2^-40 first: whole numbers add up to the same on any number of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cifar_dist.errors import NotComputableError

UNIT = 2.0**40
MAX_NLL = 64.0
"""Where the loss of one image is cut, so that no image can overflow the sum."""
MAX_IMAGES = 60_000
"""With MAX_NLL, what keeps a sum below 2^62: what ranks can add exactly."""
SINGLE_SUMS = 4
"""Sums that are not by bin; they come first."""


@dataclass(frozen=True, eq=False)
class ProbabilitySums:
    """What ranks add up, all int64; sums of shares are in units of 2^-40.

    Attributes:
        count: images.
        top_k: images whose class is among the k most probable ones.
        nll: sum of -log of the probability of the true class.
        brier: sum of squared distances of the probabilities from the truth, 0 to 2 an image.
        bin_count: [bins] images by the probability of the most probable class.
        bin_right: [bins] those of them that were right.
        bin_confidence: [bins] sum of that probability.
    """

    count: NDArray[np.int64]
    top_k: NDArray[np.int64]
    nll: NDArray[np.int64]
    brier: NDArray[np.int64]
    bin_count: NDArray[np.int64]
    bin_right: NDArray[np.int64]
    bin_confidence: NDArray[np.int64]

    def __add__(self, other: ProbabilitySums) -> ProbabilitySums:
        names = [field.name for field in fields(self)]
        return ProbabilitySums(*(getattr(self, name) + getattr(other, name) for name in names))

    def to_counts(self) -> NDArray[np.int64]:
        """Return the sums as one array of whole numbers, for one all-reduce."""
        return np.concatenate([np.ravel(getattr(self, field.name)) for field in fields(self)])

    @classmethod
    def from_counts(cls, counts: NDArray[np.int64]) -> ProbabilitySums:
        """Undo :meth:`to_counts`."""
        whole, by_bin = counts[:SINGLE_SUMS], counts[SINGLE_SUMS:].reshape(3, -1)
        return cls(*(np.array(one) for one in whole), *by_bin)


def accumulate_probabilities(
    logits: ArrayLike,
    truth: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    k: int = 5,
    bins: int = 15,
) -> ProbabilitySums:
    """Sum up what the probabilities of one batch say.

    Args:
        logits: float[N, C], outputs of the network before softmax, finite.
        truth: int[N], 0 to C - 1 where the mask is True.
        mask: bool[N], True where an image counts; default: everywhere.
        k: of top-k. Ties are in favour of the lower class, as in a stable sort.
        bins: of equal width over the confidence from 0 to 1 (arXiv 1706.04599: 15).
    """
    values = np.asarray(logits, dtype=np.float64)
    classes = np.asarray(truth, dtype=np.int64)
    counts = np.ones(len(classes), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    values, classes = values[counts], classes[counts]
    log_p = log_softmax(values)
    p = np.exp(log_p)
    each = np.arange(len(classes))
    ranking = np.argsort(-values, axis=1, kind="stable")[:, :k]
    confidence = p[each, ranking[:, 0]]
    right = ranking[:, 0] == classes
    where = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    target = np.zeros_like(p)
    target[each, classes] = 1.0
    return ProbabilitySums(
        count=np.array(len(classes)),
        top_k=np.array((ranking == classes[:, None]).any(axis=1).sum()),
        nll=_units(np.minimum(-log_p[each, classes], MAX_NLL)).sum(),
        brier=_units(np.square(p - target).sum(axis=1)).sum(),
        bin_count=np.bincount(where, minlength=bins),
        bin_right=np.bincount(where[right], minlength=bins),
        bin_confidence=_by_bin(_units(confidence), where, bins),
    )


@dataclass(frozen=True)
class Calibration:
    """NLL and Brier per image, expected calibration error and top-k accuracy, 0 to 1."""

    count: int
    nll: float
    brier: float
    ece: float
    top_k: float


def calibration(sums: ProbabilitySums) -> Calibration:
    """Return the numbers that follow from the sums of all ranks.

    The calibration error is the mean distance of confidence and accuracy over bins, weighted by
    their images (arXiv 1706.04599, equation 3).

    Raises:
        NotComputableError: no image was counted, or more than MAX_IMAGES.
    """
    count = int(sums.count)
    if not 0 < count <= MAX_IMAGES:
        raise NotComputableError(f"calibration needs 1 to {MAX_IMAGES:,} images, not {count:,}")
    gaps = np.abs(sums.bin_right - sums.bin_confidence / UNIT)
    return Calibration(
        count=count,
        nll=float(sums.nll / UNIT / count),
        brier=float(sums.brier / UNIT / count),
        ece=float(gaps.sum() / count),
        top_k=int(sums.top_k) / count,
    )


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of the probabilities: float64[N, C], without overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _units(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    whole: NDArray[np.float64] = np.rint(shares * UNIT)
    return whole.astype(np.int64)


def _by_bin(units: NDArray[np.int64], where: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """Add whole numbers by bin; bincount's weights would turn them into floats."""
    sums = np.zeros(bins, dtype=np.int64)
    np.add.at(sums, where, units)
    return sums
