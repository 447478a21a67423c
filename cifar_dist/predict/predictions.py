"""What a network says about each image, as values and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_dist.errors import NotComputableError
from cifar_dist.predict.files import printable
from cifar_dist.predict.inputs import Source

COLUMNS = ("file", "record", "label", "probability", "truth", "note")
MOST_ROWS = 20


@dataclass(frozen=True)
class Prediction:
    """One image: its most probable class, and its true one where that is known."""

    source: Source
    label: str
    probability: float
    truth: str | None

    @property
    def is_right(self) -> bool | None:
        """Whether label and truth agree; None where the truth is not known."""
        return None if self.truth is None else self.label == self.truth

    def row(self) -> tuple[object, ...]:
        """Return its row of predictions.csv, see COLUMNS."""
        record = "" if self.source.record is None else self.source.record
        probability = f"{self.probability:.6f}"
        source = self.source
        return (source.file, record, self.label, probability, self.truth or "", source.note)


def predictions_of(
    probabilities: NDArray[np.float64], sources: Sequence[Source], classes: Sequence[str]
) -> list[Prediction]:
    """Return the prediction for each image.

    Args:
        probabilities: float64[N, C].
        sources: of the N images.
        classes: C names.

    Raises:
        NotComputableError: a probability is no number.
    """
    if not np.isfinite(probabilities).all():
        raise NotComputableError(
            "the network's outputs are no numbers (NaN or infinity): its training has diverged; "
            "use an earlier checkpoint"
        )
    best = probabilities.argmax(axis=1)
    return [
        Prediction(
            source,
            classes[index],
            float(row[index]),
            None if source.truth is None else classes[source.truth],
        )
        for source, index, row in zip(sources, best.tolist(), probabilities, strict=True)
    ]


def prediction_table(predictions: Sequence[Prediction]) -> str:
    """Return the first predictions, a line each, and how many are right of those that are known."""
    shown = predictions[:MOST_ROWS]
    wide = max(len(one.label) for one in shown)
    lines = [f"{'label':<{wide}}  probability  truth"]
    marks = [_mark(one) for one in shown]
    mark_wide = max(len(mark) for mark in marks)
    for one, mark in zip(shown, marks, strict=True):
        answer = f"{one.label:<{wide}}  {one.probability:>11.4f}"
        lines.append(f"{answer}  {mark:<{mark_wide}}  {_name(one)}")
    return "\n".join([*lines, *_rest(predictions)])


def _mark(one: Prediction) -> str:
    if one.is_right is None:
        return "not known"
    return "right" if one.is_right else f"wrong: {one.truth}"


def _name(one: Prediction) -> str:
    name = printable(one.source.file)
    where = name if one.source.record is None else f"{name} record {one.source.record}"
    return f"{where}  ({one.source.note})" if one.source.note else where


def _rest(predictions: Sequence[Prediction]) -> Iterator[str]:
    if (left := len(predictions) - MOST_ROWS) > 0:
        yield f"and {left:,} more"
    known = [one.is_right for one in predictions if one.is_right is not None]
    if known:
        right = sum(known)
        yield f"{right:,} right of {len(known):,} whose truth is known: {right / len(known):.4f}"
