"""The surest answers of an evaluation, right and wrong, and a picture of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.batches import EvalBatch
from cifar_dist.metrics.calibration import log_softmax
from cifar_dist.predict.grid import picture_grid
from cifar_dist.predict.inputs import Source
from cifar_dist.predict.predictions import Prediction

MOST_SHOWN = 36


@dataclass(frozen=True, eq=False)
class Answer:
    """What an image uint8[3, 32, 32] was taken for, and what it is."""

    probability: float
    predicted: int
    truth: int
    image: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class SurestAnswers:
    """The surest answers of one rank, at most MOST_SHOWN of each kind, the surest first."""

    right: Sequence[Answer] = ()
    wrong: Sequence[Answer] = ()

    def plus(self, batch: EvalBatch, logits: NDArray[np.float32]) -> SurestAnswers:
        """Return the surest of these and those of a batch.

        Args:
            batch: what was evaluated.
            logits: float32[N, C]; an image whose logits are not finite has no answer.
        """
        counts = batch.mask & np.isfinite(logits).all(axis=1)
        is_right = logits.argmax(axis=1) == batch.labels
        return SurestAnswers(
            _surest(self.right, batch, logits, np.flatnonzero(counts & is_right)),
            _surest(self.wrong, batch, logits, np.flatnonzero(counts & ~is_right)),
        )


def _surest(
    known: Sequence[Answer],
    batch: EvalBatch,
    logits: NDArray[np.float32],
    places: NDArray[np.int64],
) -> list[Answer]:
    best = logits[places].astype(np.float64)
    sureness = np.exp(log_softmax(best).max(axis=1, initial=-np.inf))
    found = [
        Answer(
            float(sureness[number]),
            int(best[number].argmax()),
            int(batch.labels[places[number]]),
            batch.images_nchw[places[number]],
        )
        for number in np.argsort(-sureness, kind="stable")[:MOST_SHOWN]
    ]
    return nlargest(MOST_SHOWN, [*known, *found], key=lambda one: one.probability)


def draw_answers(answers: Sequence[Answer], names: Sequence[str]) -> bytes:
    """Return the answers as one PNG.

    Args:
        answers: at least one.
        names: of the classes.
    """
    images = np.stack([one.image for one in answers])
    predictions = [
        Prediction(Source(""), names[one.predicted], one.probability, names[one.truth])
        for one in answers
    ]
    return picture_grid(images, predictions)
