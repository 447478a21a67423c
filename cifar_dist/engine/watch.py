"""The watch over a run's numbers: losses as they are reported, weights every so many steps.

Nothing here waits for the device between two reports. All ranks judge the same numbers, so that all
of them stop, or none.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.checkpoint.position import Recent
from cifar_dist.engine.meter import Meter, Reading
from cifar_dist.engine.task import TrainTask
from cifar_dist.errors import BadNumbersError
from cifar_dist.health.checksum import mark, own_row
from cifar_dist.health.fault import (
    MOST_READINGS,
    Fault,
    judge_height,
    judge_losses,
    judge_skips,
    judge_weights,
)
from cifar_dist.health.report import Action, BadNumbers, images_of, message

_log = logging.getLogger(__name__)

MOST_NOTES = 20
"""Reports of what ends no run, in one process."""


class Watch:
    """Raise :class:`BadNumbersError` on every rank where the numbers of a run are wrong.

    Args:
        task: what is watched.
        report: the folder for what rank 0 writes down about it.
        recent: what another watch over the same run remembered after the step it goes on from.
    """

    def __init__(self, task: TrainTask, report: Path, recent: Recent) -> None:
        self._task = task
        self._report = report
        self._monitor = task.evaluation.config.monitor
        self._skipped = recent.skipped_steps
        self._skipped_in_a_row = recent.skipped_in_a_row
        self._before = deque(recent.losses, maxlen=MOST_READINGS)
        self._notes = 0

    @property
    def recent(self) -> Recent:
        """What is remembered of the reports so far."""
        return Recent(
            losses=list(self._before),
            skipped_in_a_row=self._skipped_in_a_row,
            skipped_steps=self._skipped,
        )

    def judge(self, reading: Reading, step: int) -> None:
        """Judge the losses up to a step; every rank calls it after the same steps."""
        skipped = int(self._task.step.skipped_steps.asnumpy())
        new, self._skipped = skipped - self._skipped, skipped
        steps = len(reading.own_losses)
        self._skipped_in_a_row = self._skipped_in_a_row + steps if new == steps else 0
        self._judge_losses(reading, step, new)
        limit, scale = self._monitor.skipped_steps_limit, self._loss_scale
        if fault := judge_skips(self._skipped_in_a_row, limit, step=step, loss_scale=scale):
            self._raise(fault)
        if math.isfinite(reading.loss):
            self._before.append(reading.loss)

    def judge_unreported(self, meter: Meter, step: int) -> None:
        """Judge whether the losses since the last report are finite, and remember nothing.

        How high they are is left to the report, over its whole interval; every rank calls it.
        """
        if not meter.has_losses:
            return
        losses: NDArray[np.float32] = self._group.sum_floats(self._rows(meter.losses()))
        steps = self._task.trained_steps(step, losses.shape[1])
        skipped = int(self._task.step.skipped_steps.asnumpy()) - self._skipped
        fault = judge_losses(losses, steps=steps, skipped_steps=skipped)
        if fault and fault.kind != "overflow":
            self._raise(fault, losses[:, steps.index(fault.step)])

    def weights_are_due(self, step: int) -> bool:
        """Whether the weights are judged after a step, beside those that are saved."""
        interval = self._monitor.drift_interval_steps
        return interval is not None and step % interval == 0

    def judge_weights(self, meter: Meter, step: int) -> None:
        """Judge the weights after a step; a loss that has not been read yet is judged before."""
        parameters = list(self._task.step.network.get_parameters())
        marks = [mark(one.asnumpy(), is_shared=one.requires_grad) for one in parameters]
        table = self._group.sum_counts(self._rows(np.array(marks, dtype=np.int64)))
        if fault := judge_weights(table, [one.name for one in parameters], step=step):
            if meter.has_losses:
                self.judge(meter.read(), step)
            self._raise(fault)

    @property
    def _group(self) -> Any:
        return self._task.evaluation.group

    @property
    def _loss_scale(self) -> float:
        return float(self._task.step.loss_scale.asnumpy())

    def _rows(self, values: NDArray[Any]) -> NDArray[Any]:
        context = self._task.evaluation.context
        return own_row(values, rank=context.rank, world_size=context.world_size)

    def _judge_losses(self, reading: Reading, step: int, skipped: int) -> None:
        factor = self._monitor.explosion_factor
        is_finite = math.isfinite(reading.loss)
        if is_finite and factor is None:
            return
        losses: NDArray[np.float32] = self._group.sum_floats(self._rows(reading.own_losses))
        steps = self._task.trained_steps(step, losses.shape[1])
        if is_finite and factor is not None:
            guess = math.log(self._task.evaluation.config.model.num_classes)
            fault = judge_height(losses, self._before, steps=steps, factor=factor, guess=guess)
        else:
            fault = judge_losses(losses, steps=steps, skipped_steps=skipped)
        if fault and fault.kind == "overflow":
            self._note(fault, losses[:, steps.index(fault.step)])
        elif fault:
            self._raise(fault, losses[:, steps.index(fault.step)])

    def _note(self, fault: Fault, losses: NDArray[np.float32]) -> None:
        """Write the report and a warning on rank 0; training goes on."""
        self._notes += 1
        if self._notes > MOST_NOTES:
            return
        path = self._write(fault, losses, "go on")
        if self._task.evaluation.context.is_main:
            _log.warning("%s", message(fault, str(path)))

    def _raise(self, fault: Fault, losses: NDArray[np.float32] | None = None) -> None:
        """Write the report on rank 0, and raise on every rank.

        Args:
            fault: what is wrong.
            losses: float32[ranks] of its step, where they are known.
        """
        is_wanted = self._monitor.on_bad_numbers == "skip" and fault.is_of_a_batch
        left_out, limit = len(self._task.left_out), self._monitor.left_out_limit
        skips = is_wanted and left_out < limit
        path = self._write(fault, losses, "skip" if skips else "stop")
        text = message(fault, str(path))
        if is_wanted and not skips:
            text += f"\n  {left_out} batches were left out before: monitor.left_out_limit"
        if not skips:
            self._group.leave()
        raise BadNumbersError(text, reason=fault.text, left_out_step=fault.step if skips else None)

    def _write(self, fault: Fault, losses: NDArray[np.float32] | None, action: Action) -> Path:
        """Write a report on rank 0; return where it is."""
        task = self._task
        report = BadNumbers(
            fault,
            epoch=task.epoch_of(fault.step),
            losses=[] if losses is None else [f"{loss:g}" for loss in losses],
            loss_scale=self._loss_scale,
            lr=float(task.rates[fault.step - 1]),
            images=images_of(task.batches.plan, fault.step, task.batches.num_images),
            action=action,
        )
        path = self._report / report.file_name
        if task.evaluation.context.is_main:
            try:
                report.write(path)
            except OSError as error:
                _log.warning("%s cannot be written: %s", path, error)
        return path
