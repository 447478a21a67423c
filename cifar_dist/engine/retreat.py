"""Going back to the last checkpoint from before a batch with which training went wrong.

All ranks meet the same numbers, so that all of them go back, to one checkpoint. Later ones are set
aside first, and then what is left out is noted: a run that is killed between the two meets the same
batch again, and one whose note came first would go on behind the batch, with what it did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cifar_dist.checkpoint.choose import AUTO
from cifar_dist.checkpoint.left_out import (
    dump_left_out,
    parse_left_out,
    read_left_out,
    write_left_out,
)
from cifar_dist.checkpoint.position import Position, Recent, Results
from cifar_dist.engine.meter import Meter
from cifar_dist.engine.snapshot import snapshot
from cifar_dist.engine.start import Start, agree_on_start, take_up
from cifar_dist.engine.task import TrainTask
from cifar_dist.errors import BadNumbersError
from launcher.contract import RunPaths

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Retreat:
    """How a run goes back.

    Attributes:
        paths: of the run.
        first: its first weights as a checkpoint that is on no disk; None where it began at one, or
            where it never goes back.
        say: takes what a user should know; called on rank 0.
    """

    paths: RunPaths
    first: Start | None
    say: Callable[[str], None]

    def back(self, task: TrainTask, error: BadNumbersError) -> tuple[TrainTask, Start]:
        """Return the task without the bad batch, and where to go on; every rank calls it.

        Raises:
            BadNumbersError: the same: nothing is to be left out, or no checkpoint is early enough.
                All checkpoints are as they were.
            ConfigError: on rank 0: the run directory cannot be written.
        """
        step = error.left_out_step
        if step is None:
            raise error
        task = replace(task, left_out={**task.left_out, step: error.reason})
        found: list[str] = []
        start = agree_on_start(task, AUTO, self.paths, say=found.append, before=step) or self.first
        if start is None:
            task.evaluation.group.leave()
            raise error
        if task.evaluation.context.is_main:
            for text in (f"{error}\n  going back, to leave out the batch of step {step}", *found):
                self.say(text)
            take_up(self.paths, None if start is self.first else start)
            _note(self.paths.checkpoints, task)
        return task, replace(start)  # ``first`` keeps its arrays when this one has lost its own


def first_start(task: TrainTask) -> Start:
    """Return the first weights as a start; every rank calls it before the first step."""
    checkpoint = snapshot(task, Meter(task.evaluation.group), 0, results=Results(), recent=Recent())
    origin = "the first weights"
    position = Position.of(checkpoint.state, origin=origin)
    return Start(checkpoint, position, origin, is_own=True, is_finished=False)


def with_left_out(task: TrainTask, start: Start | None, folder: Path) -> TrainTask:
    """Return the task without the batches that the run leaves out already; every rank calls it.

    Args:
        task: of the run.
        start: where it goes on; that of another run directory brings what was left out there.
        folder: ``ckpt`` of this run.

    Raises:
        CheckpointError: what rank 0 finds is damaged.
    """
    noted = b""
    if task.evaluation.context.is_main:
        origin = folder if start is None or start.is_own else Path(start.origin).parent
        noted = dump_left_out(read_left_out(origin))
    task = replace(task, left_out=parse_left_out(task.evaluation.group.share(noted)))
    if task.left_out and task.evaluation.context.is_main:
        _note(folder, task)
    return task


def _note(folder: Path, task: TrainTask) -> None:
    try:
        write_left_out(folder, task.left_out)
    except OSError as error:
        _log.warning("%s: the batches that are left out cannot be noted: %s", folder, error)
