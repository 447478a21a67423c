"""The names of TensorBoard's curves, and which record each is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from cifar_dist.observe.records import CheckpointRecord, EvalRecord, TrainRecord

MOST_RANKS = 64
"""Only so many ranks have a curve of their own."""

TRAINING = ("loss/train", "lr", "throughput/", "time/", "amp/", "ranks/", "host/", "npu/")
"""How the tags begin that come with records of training; all others come later in a step."""

LAYOUT: Mapping[str, Mapping[str, list[str]]] = {
    "Progress": {
        "Loss": ["loss/train", "loss/eval.*"],
        "Accuracy": ["accuracy/.*"],
        "F1 of each class": ["f1/.*"],
        "Learning rate": ["lr"],
    },
    "Speed": {
        "Images per second": ["throughput/images_per_s"],
        "Time of a step, and of it waiting for data, ms": ["time/step_ms", "time/data_wait_ms"],
        "Time of a step on each rank, ms": ["ranks/step_ms/.*"],
        "Slowest rank to the median": ["ranks/slowest_to_median"],
        "Ranks that are named as stragglers": ["ranks/stragglers"],
    },
    "Machine": {
        "Processor and memory of the host, %": ["host/cpu_percent", "host/memory_percent"],
        "Disk and network, MB/s": ["host/disk_.*mb_per_s", "host/network_.*mb_per_s"],
        "Use of the NPUs, %": ["npu/.*/use_percent", "npu/.*/memory_percent"],
        "Temperature of the NPUs, C": ["npu/.*/temperature_c"],
    },
}
"""The page "Custom scalars": sections, their charts, and patterns of the tags in each."""


def of_training(record: TrainRecord) -> dict[str, float | None]:
    """Return the points of a record; None where there is no value."""
    return {
        "loss/train": record.loss,
        "lr": record.lr,
        "throughput/images_per_s": record.images_per_s,
        "time/step_ms": record.step_ms,
        "time/data_wait_ms": record.data_wait_ms,
        "amp/loss_scale": record.loss_scale,
        "amp/skipped_steps": record.skipped_steps,
        **of_ranks(record.rank_step_ms or ()),
    }


def of_ranks(step_ms: Sequence[float]) -> dict[str, float | None]:
    """Return the time of a step on each rank, who is the slowest, and by which factor.

    Args:
        step_ms: of every rank, without what it waited for the others; may be empty.
    """
    if not step_ms:
        return {}
    slowest, usual = max(step_ms), median(step_ms)
    each = {f"ranks/step_ms/rank_{rank}": one for rank, one in enumerate(step_ms[:MOST_RANKS])}
    return {
        **each,
        "ranks/slowest_rank": step_ms.index(slowest),
        "ranks/slowest_to_median": slowest / usual if usual > 0 else None,
    }


def of_checkpoint(record: CheckpointRecord) -> dict[str, float | None]:
    """Return the points of a record; None where there is no value."""
    return {"checkpoint/seconds": record.save_s}


def of_evaluation(record: EvalRecord) -> dict[str, float | None]:
    """Return the points of a record; None where there is no value."""
    if record.weights != "last":
        return {
            f"loss/eval_{record.weights}": record.loss,
            f"accuracy/eval_{record.weights}": record.accuracy,
        }
    return {
        "loss/eval": record.loss,
        "accuracy/eval": record.accuracy,
        "evaluation/seconds": record.eval_s,
        "f1/macro": record.macro_f1,
        **{f"f1/{one['name']}": one["f1"] for one in record.per_class},
    }
