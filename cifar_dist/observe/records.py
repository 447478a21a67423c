"""The records of a run: the lines of metrics.jsonl (DESIGN section 4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Protocol

from cifar_dist.metrics.averages import averaged
from cifar_dist.metrics.confusion import accuracy, error_rate, per_class, row_names
from cifar_dist.metrics.score_bins import ScoreBins
from cifar_dist.metrics.tally import Tally

TIME_FIELDS = (
    "images_per_s",
    "step_ms",
    "data_wait_ms",
    "rank_step_ms",
    "rank_data_wait_ms",
    "rank_stalled_ms",
    "save_s",
    "eval_s",
    "train_s",
    "saving_s",
    "compile_s",
    "start_s",
)
"""Fields that are times: all others are equal bit for bit in a run that was killed and resumed."""


@dataclass(frozen=True)
class TrainRecord:
    """Training since the last such record.

    ``loss`` is the mean over steps and ranks, None where it is not finite; ``images_per_s`` counts
    all ranks and leaves compilation out, None where the interval held nothing else; times are
    means per step of rank 0.

    The lists hold one number for each rank, in their order, and are None with ``step_ms``:
    ``rank_step_ms`` is what a rank would need for a step if it never waited for the others, told
    by what it waited for its data and how long it stood still (see health.pace).
    """

    event: ClassVar[str] = "train"
    epoch: int
    step: int
    loss: float | None
    lr: float
    images_per_s: float | None
    step_ms: float | None
    data_wait_ms: float
    loss_scale: float
    world_size: int
    skipped_steps: int = 0
    rank_step_ms: list[float] | None = None
    rank_data_wait_ms: list[float] | None = None
    rank_stalled_ms: list[float] | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What pictures of an evaluation are made of.

    ``scores`` are over all ranks; each of ``pictures`` draws a PNG: the surest answers of this rank
    that are right, and those that are wrong.
    """

    scores: ScoreBins
    pictures: Mapping[str, Callable[[], bytes]]


@dataclass(frozen=True)
class EvalRecord:
    """One evaluation over all ranks; ``loss`` is None where one image has none that is finite.

    ``split`` says which images were counted, "test" or "validation"; ``weights`` which network,
    "last" or their running average "ema", with "_flips" behind it where the logits of each image
    and of its mirror image were averaged (eval.flip_average). ``seen`` is not in metrics.jsonl.
    """

    event: ClassVar[str] = "eval"
    epoch: int
    step: int
    count: int
    loss: float | None
    accuracy: float
    error_rate: float
    confusion_matrix: list[list[int]]
    per_class: list[dict[str, Any]] = field(default_factory=list)
    macro_f1: float = 0.0
    eval_s: float = 0.0
    split: str = "test"
    weights: str = "last"
    seen: Seen | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class CheckpointRecord:
    """A checkpoint that is whole on disk; ``path`` is relative to the run directory.

    ``save_s`` is the time that its thread took, beside the training; None where it was not timed.
    """

    event: ClassVar[str] = "checkpoint"
    step: int
    path: str
    save_s: float | None = None


@dataclass(frozen=True)
class LeftOutRecord:
    """A step whose batch was left out, because training with it had gone wrong."""

    event: ClassVar[str] = "left_out"
    epoch: int
    step: int
    reason: str


@dataclass(frozen=True)
class EndRecord:
    """The end of a run that was not cut short.

    ``train_s`` leaves out compilation, evaluation, and ``saving_s``: what training waited for so
    that its state could be checked and copied; checkpoints are written while it goes on.

    The accuracies are those of the last weights, None where none was taken (eval.in_mid_epoch);
    ``ema_accuracy`` is that of their running average. ``start_s`` has the seconds of reading the
    data, importing MindSpore, joining the cluster and building, in that order, of this process.
    """

    event: ClassVar[str] = "end"
    accuracy: float | None
    best_accuracy: float | None
    train_s: float
    compile_s: float
    ema_accuracy: float | None = None
    saving_s: float = 0.0
    start_s: dict[str, float] = field(default_factory=dict)


Record = TrainRecord | EvalRecord | CheckpointRecord | LeftOutRecord | EndRecord


class Observer(Protocol):
    """Somebody to whom rank 0 tells every record."""

    def record(self, record: Record) -> None:
        """Take one record; it must not raise for want of disk or terminal."""
        ...

    def sync(self) -> None:
        """Bring what was recorded to the disk; it may be called from another thread.

        Raises:
            OSError: the disk does not take it.
        """
        ...

    def close(self) -> None:
        """Bring everything to where it belongs."""
        ...


def to_json(record: Record) -> dict[str, Any]:
    """Return a record as one object of metrics.jsonl."""
    if isinstance(record, EvalRecord):
        record = replace(record, seen=None)
    values = {"event": record.event, **asdict(record)}
    values.pop("seen", None)
    return values


def eval_record(
    tally: Tally, classes: Sequence[str], *, epoch: int, step: int, eval_s: float
) -> EvalRecord:
    """Return what an evaluation's counts say.

    Raises:
        NotComputableError: nothing was counted.
    """
    matrix = tally.confusion
    names = row_names(classes, len(matrix))
    return EvalRecord(
        epoch=epoch,
        step=step,
        count=tally.count,
        loss=tally.mean_loss(),
        accuracy=accuracy(matrix),
        error_rate=error_rate(matrix),
        confusion_matrix=matrix.tolist(),
        per_class=[one.to_json() for one in per_class(matrix, names)],
        macro_f1=averaged(matrix, "macro").f_beta.value,
        eval_s=eval_s,
    )


def finite(value: float) -> float | None:
    """Return a number that JSON can hold; None for infinity and NaN."""
    return value if math.isfinite(value) else None
