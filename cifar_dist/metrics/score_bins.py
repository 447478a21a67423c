"""How many images have which probability, class by class: what precision-recall curves are made of.

Whole numbers only, so that ranks add them up exactly, and few of them: a curve has a point for each
of THRESHOLDS probabilities instead of one for each image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cifar_dist.metrics.calibration import log_softmax

THRESHOLDS = 127
"""As many as TensorBoard draws."""
MOST_CLASSES = 20
"""Only so many classes have a curve: a page of a hundred helps nobody."""


@dataclass(frozen=True, eq=False)
class ScoreBins:
    """``counts`` is int64[C, 2, THRESHOLDS]: images of other classes, and of this one.

    Bin i holds those whose probability of the class is from i to i + 1 parts of THRESHOLDS - 1.
    Images whose logits are not finite are in none.
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, num_classes: int) -> ScoreBins:
        return cls(np.zeros((min(num_classes, MOST_CLASSES), 2, THRESHOLDS), dtype=np.int64))

    def plus(self, logits: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> ScoreBins:
        """Return the bins with the images under the mask added.

        Args:
            logits: float[N, classes].
            truth: class of each image, int[N].
            mask: bool[N], False where an entry only fills up a batch.
        """
        values, classes = np.asarray(logits, dtype=np.float64), np.asarray(truth)
        counts = np.asarray(mask, dtype=bool) & np.isfinite(values).all(axis=1)
        shown = len(self.counts)
        probabilities = np.exp(log_softmax(values[counts]))[:, :shown]
        of_class = classes[counts][:, None] == np.arange(shown)
        bins = np.floor(probabilities * (THRESHOLDS - 1)).astype(np.int64)
        places = (np.arange(shown) * 2 + of_class) * THRESHOLDS + bins
        more = np.bincount(places.ravel(), minlength=self.counts.size)
        return ScoreBins(self.counts + more.reshape(self.counts.shape))

    def taken(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many are taken for a class from each threshold on, rightly and wrongly.

        Returns:
            true and false positives, int64[C, THRESHOLDS] each.
        """
        sums = self.counts[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
        return sums[:, 1], sums[:, 0]
