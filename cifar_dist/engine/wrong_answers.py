"""The surest wrong answers of an evaluation, and a picture of them."""

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

MOST_WRONG = 36


@dataclass(frozen=True, eq=False)
class WrongAnswer:
    """An image uint8[3, 32, 32] that was taken for another class than its own."""

    probability: float
    predicted: int
    truth: int
    image: NDArray[np.uint8]


def surest_wrong(
    known: Sequence[WrongAnswer], batch: EvalBatch, logits: NDArray[np.float32]
) -> list[WrongAnswer]:
    """Return the surest of those that are known and those of a batch, at most MOST_WRONG.

    Args:
        known: of the batches before.
        batch: what was evaluated.
        logits: float32[N, C]; an image whose logits are not finite is none of them.
    """
    predicted = logits.argmax(axis=1)
    is_wrong = batch.mask & (predicted != batch.labels) & np.isfinite(logits).all(axis=1)
    places = np.flatnonzero(is_wrong)
    sureness = np.exp(log_softmax(logits[places].astype(np.float64)).max(axis=1, initial=-np.inf))
    found = [
        WrongAnswer(
            float(sureness[number]),
            int(predicted[place]),
            int(batch.labels[place]),
            batch.images_nchw[place],
        )
        for number, place in enumerate(places)
    ]
    return nlargest(MOST_WRONG, [*known, *found], key=lambda one: one.probability)


def draw_wrong(answers: Sequence[WrongAnswer], names: Sequence[str]) -> bytes:
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
