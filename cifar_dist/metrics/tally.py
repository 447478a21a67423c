"""What an evaluation counts: whole numbers only, so that any split over ranks adds up the same.

A sum of float losses depends on the order of its terms. Each loss is therefore rounded to a
multiple of 2^-20 and summed as a whole number: equal to the last digit on any number of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics.confusion import Matrix, accumulate

LOSS_UNIT = 2.0**-20
LARGEST_LOSS = 2.0**20


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts over a set of images; tallies of parts are added by :meth:`plus`.

    Attributes:
        confusion: int64[classes, classes], rows truth, columns prediction.
        loss_units: sum of the finite losses, in multiples of LOSS_UNIT.
        broken_losses: images whose loss is no finite number of at most LARGEST_LOSS.
    """

    confusion: Matrix
    loss_units: int = 0
    broken_losses: int = 0

    @classmethod
    def empty(cls, num_classes: int) -> Tally:
        return cls(np.zeros((num_classes, num_classes), dtype=np.int64))

    def plus(
        self, truth: ArrayLike, predicted: ArrayLike, losses: ArrayLike, mask: ArrayLike
    ) -> Tally:
        """Return the tally with the images under the mask added.

        Args:
            truth: class of each image, int[N].
            predicted: int[N].
            losses: float[N], each >= 0.
            mask: bool[N], False where an entry only fills up a batch.
        """
        counts = np.asarray(mask, dtype=bool)
        values = np.asarray(losses, dtype=np.float64)[counts]
        sound = np.isfinite(values) & (values <= LARGEST_LOSS)
        units = np.rint(np.maximum(values[sound], 0) / LOSS_UNIT).astype(np.int64)
        matrix = accumulate(truth, predicted, num_classes=len(self.confusion), mask=counts)
        return Tally(
            self.confusion + matrix,
            self.loss_units + int(units.sum()),
            self.broken_losses + int((~sound).sum()),
        )

    @property
    def count(self) -> int:
        """How many images were counted."""
        return int(self.confusion.sum())

    def mean_loss(self) -> float | None:
        """Return the mean loss; None where one image has none that is finite.

        Raises:
            NotComputableError: nothing was counted.
        """
        if self.count == 0:
            raise NotComputableError("the loss of no images has no value: nothing was evaluated")
        if self.broken_losses:
            return None
        return self.loss_units * LOSS_UNIT / self.count

    def to_counts(self) -> NDArray[np.int64]:
        """Return the tally as one array of counts, for one all-reduce."""
        return np.array([*self.confusion.reshape(-1), self.loss_units, self.broken_losses])

    @classmethod
    def from_counts(cls, counts: NDArray[np.int64]) -> Tally:
        """Undo :meth:`to_counts`."""
        *cells, loss_units, broken = (int(count) for count in counts)
        classes = round(len(cells) ** 0.5)
        matrix = np.array(cells, dtype=np.int64).reshape(classes, classes)
        return cls(matrix, loss_units, broken)
