"""What rank 0 prints: plain lines of fixed columns, made for a log as much as for a screen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

from cifar_dist.observe.records import (
    CheckpointRecord,
    EndRecord,
    EvalRecord,
    LeftOutRecord,
    Record,
    TrainRecord,
)


@dataclass(frozen=True)
class Span:
    """How long a run is: what the counters on each line are out of."""

    epochs: int
    total_steps: int
    global_batch_size: int


def say(text: str, *, stream: TextIO | None = None) -> None:
    """Print whole lines at once; a console that is gone does not end a run."""
    try:
        print(text, file=stream or sys.stdout, flush=True)
    except BrokenPipeError:
        return


class ConsoleLines:
    """One line for every record, with the time left from the latest speed."""

    def __init__(self, span: Span, *, say: Callable[[str], None] = say) -> None:
        self._span = span
        self._say = say

    def record(self, record: Record) -> None:
        match record:
            case TrainRecord():
                self._say(self._train_line(record))
            case EvalRecord():
                self._say(_eval_line(record))
            case CheckpointRecord():
                self._say(f"checkpoint at step {record.step}: {record.path}")
            case LeftOutRecord():
                self._say(f"step {record.step} is left out: {record.reason}")
            case EndRecord():
                self._say(_end_line(record))

    def sync(self) -> None:
        return

    def close(self) -> None:
        return

    def _train_line(self, record: TrainRecord) -> str:
        span, width = self._span, len(str(self._span.total_steps))
        left = (span.total_steps - record.step) * span.global_batch_size
        eta = duration(left / record.images_per_s) if record.images_per_s else "-"
        speed = f"{record.images_per_s:,.0f}" if record.images_per_s else "compiling"
        loss = "not finite" if record.loss is None else f"{record.loss:.4f}"
        epochs = len(str(span.epochs))
        return (
            f"epoch {record.epoch:>{epochs}}/{span.epochs}  "
            f"step {record.step:>{width}}/{span.total_steps}  loss {loss}  lr {record.lr:.5f}  "
            f"images/s {speed:>9}  eta {eta}"
        )


def compiled_line(seconds: float, *, before_s: Mapping[str, float]) -> str:
    """Return how long the first step took, which compiles, and the parts of the start before it."""
    before = ", ".join(f"{part} {one:.1f}" for part, one in before_s.items())
    return f"compiled   first step after {seconds:.1f} s" + (
        f" ({before} before)" if before else ""
    )


def _eval_line(record: EvalRecord) -> str:
    loss = "not finite" if record.loss is None else f"{record.loss:.4f}"
    where = f"{_evaluated(record)}  epoch {record.epoch}  step {record.step}"
    count = f"images {record.count:,}  ({record.eval_s:.1f} s)"
    return f"{where}  accuracy {record.accuracy:.4f}  loss {loss}  {count}"


def _evaluated(record: EvalRecord) -> str:
    return record.split if record.weights == "last" else f"{record.split} ({record.weights})"


def _end_line(record: EndRecord) -> str:
    result = "not evaluated"
    if record.accuracy is not None and record.best_accuracy is not None:
        result = f"accuracy {record.accuracy:.4f} (best {record.best_accuracy:.4f})"
    times = f"{duration(record.train_s)} of training and {record.compile_s:.1f} s of compiling"
    return f"{result} after {times}"


def duration(seconds: float) -> str:
    """Return h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
