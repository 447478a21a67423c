"""Where a rank's signs go: records to observers, progress, checkpoints to the disk.

Checkpoints are written by a thread while training goes on, one at a time. Records keep their order
whatever the disk's pace: those that follow a checkpoint are held until it is whole, so that two
runs of one recipe leave the same metrics.jsonl.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, TimeoutError
from dataclasses import replace
from pathlib import Path

from cifar_dist.checkpoint.format import Checkpoint
from cifar_dist.checkpoint.store import (
    checkpoint_path,
    list_checkpoints,
    save_checkpoint,
    write_best,
)
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.observe.records import CheckpointRecord, Observer, Record

_log = logging.getLogger(__name__)

LONGEST_SAVE_S = 600.0
_LOOK_S = 0.5


class Outlets:
    """What a rank says and saves; observers are on rank 0 only, progress on every rank.

    Args:
        observers: who is told of every record.
        progress: signs of life.
        checkpoints: the folder of checkpoints, in the run directory.
        report: the folder for what is written about a run that went wrong.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        progress: ProgressFile,
        checkpoints: Path,
        report: Path,
    ) -> None:
        self.progress = progress
        self.checkpoints = checkpoints
        self.report = report
        self._observers = observers
        self._queue: deque[Record | Future[Path | None]] = deque()
        self._saving: Future[Path | None] | None = None
        self._saving_step = 0
        self._save_s = 0.0

    def record(self, record: Record) -> None:
        """Tell the observers, after what was recorded before."""
        self._queue.append(record)
        self.release()

    def release(self) -> None:
        """Pass on what no longer waits for a checkpoint."""
        while self._queue:
            first = self._queue[0]
            if not isinstance(first, Future):
                for observer in self._observers:
                    observer.record(first)
            elif not first.done():
                return
            elif path := first.result():
                self._queue[0] = replace(_record_of(path), save_s=self._save_s)
                continue
            self._queue.popleft()

    def save(self, checkpoint: Checkpoint, *, keep: int, is_recorded: bool = True) -> None:
        """Begin to write a checkpoint, once the one before is written.

        Args:
            checkpoint: copies, which nobody changes meanwhile.
            keep: how many of the newest stay.
            is_recorded: whether there is a record of it.
        """
        self.settle()
        if self._saving is not None:
            _log.warning(
                "checkpoint of step %d is left out: %s still takes none after %g s",
                checkpoint.step,
                self.checkpoints,
                LONGEST_SAVE_S,
            )
            return
        self._saving, self._saving_step = Future(), checkpoint.step
        if is_recorded:
            self._queue.append(self._saving)
        arguments = (self._saving, checkpoint, keep)
        threading.Thread(target=self._write, args=arguments, name="saver", daemon=True).start()

    def record_again(self, step: int) -> None:
        """Record the checkpoint that a run goes on from: what stood behind it was cut off."""
        self.record(_record_of(checkpoint_path(self.checkpoints, step)))

    def settle(self) -> Path | None:
        """Wait until no checkpoint is being written, with signs of life.

        Returns:
            the checkpoint that was waited for; None where there was none, or it failed.
        """
        if self._saving is None:
            return None
        for _ in range(round(LONGEST_SAVE_S / _LOOK_S)):
            try:
                path = self._saving.result(_LOOK_S)
            except TimeoutError:
                self.progress.alive()
                continue
            self._saving = None
            self.release()
            return path
        return None

    def note_best(self, step: int, accuracy: float) -> None:
        """Keep the checkpoint of a step until another one is better, if it could be saved."""
        self.settle()
        if not checkpoint_path(self.checkpoints, step).is_dir():
            return
        try:
            write_best(self.checkpoints, step, accuracy)
        except OSError as error:
            _log.warning("%s: the best checkpoint cannot be noted: %s", self.checkpoints, error)

    def _write(self, done: Future[Path | None], checkpoint: Checkpoint, keep: int) -> None:
        start_s = time.monotonic()
        try:
            for observer in self._observers:
                observer.sync()
            path = save_checkpoint(self.checkpoints, checkpoint, keep=keep)
            self._save_s = time.monotonic() - start_s
            done.set_result(path)
        except OSError as error:
            self._say_failure(checkpoint.step, error)
            done.set_result(None)
        except BaseException as error:  # a bug: the training thread must see it
            done.set_exception(error)

    def _say_failure(self, step: int, error: OSError) -> None:
        kept = [path.name for path in list_checkpoints(self.checkpoints)]
        _log.warning(
            "checkpoint of step %d cannot be saved in %s: %s; training goes on, the last good one "
            "is %s: free or grant space there",
            step,
            self.checkpoints,
            error.strerror or error,
            kept[-1] if kept else "none",
        )


def _record_of(path: Path) -> CheckpointRecord:
    step = int(path.name.removeprefix("step_"))
    return CheckpointRecord(step, f"{path.parent.name}/{path.name}")
