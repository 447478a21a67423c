"""What is written down about wrong numbers: report/bad_numbers_step_N.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cifar_dist.data.batches import BatchPlan
from cifar_dist.data.shard import epoch_permutation, train_indices
from cifar_dist.health.fault import Fault
from launcher.contract import write_atomic

Action = Literal["stop", "skip", "go on"]

HINTS = {
    "loss": "look at those images; where the loss grew before, a lower optimizer.lr or "
    "optimizer.clip_norm helps",
    "overflow": "look at those images; training goes on without that update",
    "explosion": "a lower optimizer.lr, a longer schedule.warmup_epochs or "
    "optimizer.clip_norm helps",
    "skips": "a lower optimizer.lr or train.dtype=bfloat16 helps",
    "weights": "a lower optimizer.lr or optimizer.clip_norm helps where an update was too long",
    "drift": "the device or the memory of such a rank may be at fault: test it, or leave it out; "
    "the last checkpoint was written while all ranks were equal, --resume auto goes on from it",
}


@dataclass(frozen=True)
class BadNumbers:
    """A fault and what is needed to find its cause.

    Attributes:
        fault: what is wrong.
        epoch: 1-based.
        losses: of each rank at that step, as text ("2.31", "nan"); empty where they are not known.
        loss_scale: at the report, after the step.
        lr: of the step.
        images: of each rank's part of the batch, positions in the training set.
        action: "stop"; "skip": training went back and left the batch out; "go on": it went on.
    """

    fault: Fault
    epoch: int
    losses: Sequence[str]
    loss_scale: float
    lr: float
    images: Mapping[int, Sequence[int]]
    action: Action

    @property
    def file_name(self) -> str:
        return f"bad_numbers_step_{self.fault.step}.json"

    def write(self, path: Path) -> None:
        """Write the report whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        write_atomic(path, json.dumps(self.to_json(), indent=1) + "\n")

    def to_json(self) -> dict[str, Any]:
        """Return the report as one object, the fault's values beside the others."""
        values = asdict(self)
        return {**values.pop("fault"), **values}


def message(fault: Fault, report: str) -> str:
    """Return what the user is told once: what, where to look, what to do."""
    return (
        f"{fault.text}\n  the report with the images of that step: {report}\n  {HINTS[fault.kind]}"
    )


def images_of(plan: BatchPlan, step: int, num_images: int) -> dict[int, list[int]]:
    """Return the images of every rank in a step, 1-based over the run, as positions."""
    epoch, position = divmod(step - 1, num_images // plan.global_batch_size)
    permutation = epoch_permutation(plan.seed, epoch, num_images)
    return {
        rank: train_indices(
            permutation,
            position,
            batch_size=plan.batch_size,
            rank=rank,
            world_size=plan.world_size,
        ).tolist()
        for rank in range(plan.world_size)
    }
