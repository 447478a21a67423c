"""``metrics.prom``: the newest numbers of a run in Prometheus' text format.

node_exporter's textfile collector, or anything else that reads the format, takes it from the run
directory. Names begin with ``cifar_dist_`` and carry base units (seconds, ratio), so that they
clash with none of npu-exporter's; see https://prometheus.io/docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cifar_dist.observe.records import (
    CheckpointRecord,
    EndRecord,
    EvalRecord,
    Record,
    TrainRecord,
)
from launcher.contract import write_atomic

_log = logging.getLogger(__name__)

FILE_NAME = "metrics.prom"
INTERVAL_S = 1.0
"""Records of training that follow closer are written with the next one."""

FAMILIES: Mapping[str, tuple[str, str]] = {
    "cifar_dist_epoch": ("gauge", "Epoch of the newest record, from 1."),
    "cifar_dist_steps_total": ("counter", "Optimizer steps of the run that are done."),
    "cifar_dist_skipped_steps_total": ("counter", "Steps skipped for gradients not finite."),
    "cifar_dist_ranks": ("gauge", "Number of ranks of the run."),
    "cifar_dist_loss": ("gauge", "Mean loss; NaN where it is not finite."),
    "cifar_dist_learning_rate": ("gauge", "Learning rate of the newest step."),
    "cifar_dist_loss_scale": ("gauge", "Loss scale of mixed precision."),
    "cifar_dist_images_per_second": ("gauge", "Training images per second, all ranks."),
    "cifar_dist_step_seconds": ("gauge", "Mean time of a step on rank 0, data wait included."),
    "cifar_dist_data_wait_seconds": ("gauge", "Mean wait for a batch on rank 0."),
    "cifar_dist_accuracy_ratio": ("gauge", "Accuracy of the newest evaluation, 0 to 1."),
    "cifar_dist_macro_f1_ratio": ("gauge", "Mean F1 over the classes, 0 to 1."),
    "cifar_dist_class_f1_ratio": ("gauge", "F1 of one class, 0 to 1."),
    "cifar_dist_evaluated_images": ("gauge", "Images that the newest evaluation counted."),
    "cifar_dist_evaluation_seconds": ("gauge", "Time of the newest evaluation."),
    "cifar_dist_checkpoint_step": ("gauge", "Step of the newest whole checkpoint."),
    "cifar_dist_training_seconds": ("gauge", "Training time at the end, without compilation."),
    "cifar_dist_compilation_seconds": ("gauge", "Time of the first step, which compiles."),
    "cifar_dist_finished": ("gauge", "1 where the recipe was trained to its end."),
    "cifar_dist_last_record_timestamp_seconds": ("gauge", "When the newest record was made."),
}
"""Every name with its type and help text, in the order of the file."""


@dataclass(frozen=True)
class Sample:
    """One value under a name of FAMILIES; ``labels`` tell values of one name apart."""

    name: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class PrometheusFile:
    """Keep the newest samples and write them whole; a full disk does not end a run."""

    def __init__(self, path: Path, *, run: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._run = run
        self._clock = clock
        self._samples: dict[tuple[str, tuple[tuple[str, str], ...]], Sample] = {}
        self._written_s = -math.inf
        self._works = True
        self._take([Sample("cifar_dist_finished", 0)])

    def record(self, record: Record) -> None:
        self._take([*samples_of(record), Sample(_MADE, self._clock())])
        is_early = self._clock() - self._written_s < INTERVAL_S
        if not (isinstance(record, TrainRecord) and is_early):
            self._write()

    def sync(self) -> None:
        return  # newest numbers only: those after a crash are as good

    def close(self) -> None:
        self._write()

    def _take(self, samples: list[Sample]) -> None:
        self._samples.update(((one.name, one.labels), one) for one in samples)

    def _write(self) -> None:
        try:
            text = exposition(list(self._samples.values()), run=self._run)
            write_atomic(self._path, text, sync=False)
            self._written_s = self._clock()
        except OSError as error:
            if self._works:
                _log.warning("%s cannot be written: %s; the run goes on", self._path, error)
            self._works = False


_MADE = "cifar_dist_last_record_timestamp_seconds"


def samples_of(record: Record) -> Iterator[Sample]:
    """Yield what a record says; a value that it does not have is left as it was."""
    match record:
        case TrainRecord():
            yield from _of_training(record)
        case EvalRecord():
            yield from _of_evaluation(record)
        case CheckpointRecord():
            yield Sample("cifar_dist_checkpoint_step", record.step)
        case EndRecord():
            yield Sample("cifar_dist_training_seconds", record.train_s)
            yield Sample("cifar_dist_compilation_seconds", record.compile_s)
            yield Sample("cifar_dist_finished", 1)


def exposition(samples: list[Sample], *, run: str) -> str:
    """Return the text of all samples, grouped under their names, each labelled with the run."""
    lines = []
    for name, (kind, words) in FAMILIES.items():
        own = [one for one in samples if one.name == name]
        if own:
            lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
            lines += [_line(one, run) for one in own]
    return "\n".join(lines) + "\n"


def _of_training(record: TrainRecord) -> Iterator[Sample]:
    yield Sample("cifar_dist_epoch", record.epoch)
    yield Sample("cifar_dist_steps_total", record.step)
    yield Sample("cifar_dist_skipped_steps_total", record.skipped_steps)
    yield Sample("cifar_dist_ranks", record.world_size)
    yield Sample("cifar_dist_loss", _or_nan(record.loss), (("split", "train"),))
    yield Sample("cifar_dist_learning_rate", record.lr)
    yield Sample("cifar_dist_loss_scale", record.loss_scale)
    yield Sample("cifar_dist_data_wait_seconds", record.data_wait_ms / 1000)
    if record.images_per_s is not None:
        yield Sample("cifar_dist_images_per_second", record.images_per_s)
    if record.step_ms is not None:
        yield Sample("cifar_dist_step_seconds", record.step_ms / 1000)


def _of_evaluation(record: EvalRecord) -> Iterator[Sample]:
    of = (("split", record.split), ("weights", record.weights))
    loss_of = of if record.weights != "last" else of[:1]
    yield Sample("cifar_dist_loss", _or_nan(record.loss), loss_of)
    yield Sample("cifar_dist_accuracy_ratio", record.accuracy, of)
    yield Sample("cifar_dist_macro_f1_ratio", record.macro_f1, of)
    yield Sample("cifar_dist_evaluated_images", record.count, of)
    yield Sample("cifar_dist_evaluation_seconds", record.eval_s, of)
    for row in record.per_class:
        yield Sample("cifar_dist_class_f1_ratio", row["f1"], (*of, ("class", row["name"])))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _line(sample: Sample, run: str) -> str:
    labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in (("run", run), *sample.labels))
    value = "NaN" if math.isnan(sample.value) else repr(float(sample.value))
    return f"{sample.name}{{{labels}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
