"""TensorBoard events of a run: scalars over the global step."""

from __future__ import annotations

from pathlib import Path

from tensorboardX import summary

from cifar_dist.observe.continuation import comes_before_saving
from cifar_dist.observe.event_file import PATTERN, EventFile, cut_events
from cifar_dist.observe.records import EvalRecord, Record, TrainRecord


class TensorBoard:
    """Scalars grouped by their first word; the resolved recipe as text, once per run."""

    def __init__(self, folder: Path, *, recipe_yaml: str) -> None:
        goes_on = any(folder.glob(PATTERN))
        self._events = EventFile(folder)
        if not goes_on:
            self._events.add(summary.text("recipe", f"```yaml\n{recipe_yaml}\n```"), 0)

    def record(self, record: Record) -> None:
        match record:
            case TrainRecord():
                self._scalars(record.step, _of_training(record))
            case EvalRecord():
                self._scalars(record.step, _of_evaluation(record))

    def sync(self) -> None:
        self._events.sync()

    def close(self) -> None:
        self._events.close()

    def _scalars(self, step: int, values: dict[str, float | None]) -> None:
        for tag, value in values.items():
            if value is not None:
                self._events.add(summary.scalar(tag, value), step)


def trim_tensorboard(folder: Path, step: int) -> None:
    """Take away the points that a run makes anew which goes on from the checkpoint of a step.

    TensorBoard's own way (a session log that says "purge") leaves them in the files, where other
    readers find every step twice.
    """

    def stays(tag: str, of_step: int) -> bool:
        if of_step == 0:
            return step > 0
        event = "train" if tag.startswith(TRAINING_GROUPS) else "eval"
        return comes_before_saving(event, of_step, step)

    for path in sorted(folder.glob(PATTERN)):
        cut_events(path, stays)


TRAINING_GROUPS = ("loss/train", "lr", "throughput/", "time/", "amp/")
"""How the tags of training records begin."""


def _of_training(record: TrainRecord) -> dict[str, float | None]:
    return {
        "loss/train": record.loss,
        "lr": record.lr,
        "throughput/images_per_s": record.images_per_s,
        "time/step_ms": record.step_ms,
        "time/data_wait_ms": record.data_wait_ms,
        "amp/loss_scale": record.loss_scale,
        "amp/skipped_steps": record.skipped_steps,
    }


def _of_evaluation(record: EvalRecord) -> dict[str, float | None]:
    if record.weights != "last":
        return {
            f"loss/eval_{record.weights}": record.loss,
            f"accuracy/eval_{record.weights}": record.accuracy,
        }
    return {
        "loss/eval": record.loss,
        "accuracy/eval": record.accuracy,
        "f1/macro": record.macro_f1,
        **{f"f1/{one['name']}": one["f1"] for one in record.per_class},
    }
