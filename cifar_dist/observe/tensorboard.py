"""TensorBoard events of a run, through tensorboardX."""

from __future__ import annotations

from pathlib import Path

from tensorboardX import SummaryWriter

from cifar_dist.observe.records import (
    CheckpointRecord,
    EndRecord,
    EvalRecord,
    Record,
    TrainRecord,
)

FLUSH_S = 10
"""tensorboardX waits two minutes by default: too much to lose, too long to look at nothing."""


class TensorBoard:
    """Scalars over the global step, grouped by their first word; the resolved recipe as text."""

    def __init__(self, folder: Path, *, recipe_yaml: str) -> None:
        self._writer = SummaryWriter(str(folder), flush_secs=FLUSH_S)
        self._writer.add_text("recipe", f"```yaml\n{recipe_yaml}\n```", 0)

    def record(self, record: Record) -> None:
        match record:
            case TrainRecord():
                self._scalars(record.step, _of_training(record))
            case EvalRecord():
                self._scalars(record.step, _of_evaluation(record))
                self._writer.flush()
            case CheckpointRecord() | EndRecord():
                self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _scalars(self, step: int, values: dict[str, float | None]) -> None:
        for tag, value in values.items():
            if value is not None:
                self._writer.add_scalar(tag, value, step)


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
