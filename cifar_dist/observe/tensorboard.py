"""TensorBoard events of a run: curves and pictures over the global step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboardX import summary

from cifar_dist.observe.continuation import comes_before_saving
from cifar_dist.observe.event_file import PATTERN, EventFile, cut_events
from cifar_dist.observe.health import Sampler
from cifar_dist.observe.opening import Opening, picture
from cifar_dist.observe.pictures import confusion_picture
from cifar_dist.observe.records import CheckpointRecord, EndRecord, EvalRecord, Record, TrainRecord
from cifar_dist.observe.stragglers import Stragglers
from cifar_dist.observe.tags import TRAINING, of_checkpoint, of_evaluation, of_training


class TensorBoard:
    """Tell TensorBoard what happens.

    Args:
        folder: of the event files.
        opening: what is written once per run: not again by one that goes on.
        has_pictures: says of a step whether its evaluation is drawn.
        health: samples of the machine, which are written with the records of training.
        stragglers: what launchers say of slow ranks, which is written with them too.
    """

    def __init__(
        self,
        folder: Path,
        opening: Opening,
        *,
        has_pictures: Callable[[EvalRecord], bool] = lambda _: True,
        health: Sampler | None = None,
        stragglers: Stragglers | None = None,
    ) -> None:
        goes_on = any(folder.glob(PATTERN))
        self._events = EventFile(folder)
        self._has_pictures = has_pictures
        self._health = health
        self._stragglers = stragglers
        self._step = 0
        if not goes_on:
            for one in opening.summaries():
                self._events.add(one, 0)

    def record(self, record: Record) -> None:
        match record:
            case TrainRecord():
                self._step = record.step
                self._scalars(record.step, of_training(record))
                if self._health is not None:
                    self._scalars(record.step, self._health.take())
                if self._stragglers is not None:
                    self._name(self._stragglers)
                    self._scalars(record.step, {"ranks/stragglers": self._stragglers.count})
            case EvalRecord():
                self._scalars(record.step, of_evaluation(record))
                if record.weights == "last" and self._has_pictures(record):
                    self._pictures(record)
            case CheckpointRecord():
                self._scalars(record.step, of_checkpoint(record))
            case EndRecord() if self._step > 0:
                _, _, end = summary.hparams({}, {})
                self._events.add(end, self._step)

    def sync(self) -> None:
        self._events.sync()

    def close(self) -> None:
        if self._health is not None:
            self._health.close()
        if self._stragglers is not None:
            self._name(self._stragglers)
        self._events.close()

    def _scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        for tag, value in values.items():
            if value is not None:
                self._events.add(summary.scalar(tag, value), step)

    def _name(self, stragglers: Stragglers) -> None:
        for one in stragglers.take():
            self._events.add(summary.text("ranks/stragglers", f"```\n{one.text}\n```"), one.step)

    def _pictures(self, record: EvalRecord) -> None:
        names = [row["name"] for row in record.per_class]
        matrix = confusion_picture(record.confusion_matrix, names)
        self._events.add(picture("images/confusion_matrix", matrix), record.step)
        if record.seen is None:
            return
        for name, draw in record.seen.pictures.items():
            self._events.add(picture(f"images/{name}", draw()), record.step)
        for name, right, false in zip(names, *record.seen.scores.taken(), strict=False):
            self._curve(f"precision_recall/{name}", right, false, record.step)

    def _curve(
        self, tag: str, right: NDArray[np.int64], false: NDArray[np.int64], step: int
    ) -> None:
        """Write a precision-recall curve from what is taken at each threshold, int64[T] each."""
        precision = right / np.maximum(right + false, 1)
        recall = right / max(right[0], 1)
        rows = (right, false, false[0] - false, right[0] - right, precision, recall)
        self._events.add(summary.pr_curve_raw(tag, *rows, num_thresholds=len(right)), step)


def trim_tensorboard(folder: Path, step: int) -> None:
    """Take away the points that a run makes anew which goes on from the checkpoint of a step.

    TensorBoard's own way (a session log that says "purge") leaves them in the files, where other
    readers find every step twice.
    """

    def stays(tag: str, of_step: int) -> bool:
        if of_step == 0:
            return step > 0
        event = "train" if tag.startswith(TRAINING) else "eval"
        return comes_before_saving(event, of_step, step)

    for path in sorted(folder.glob(PATTERN)):
        cut_events(path, stays)
