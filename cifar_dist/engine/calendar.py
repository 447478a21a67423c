"""After which steps of a run something is due."""

from __future__ import annotations

from cifar_dist.engine.task import TrainTask


def reports(task: TrainTask, step: int) -> bool:
    """Return whether a training record is due after a step."""
    return step % task.evaluation.config.monitor.log_interval == 0 or step == task.total_steps


def evaluates(task: TrainTask, step: int) -> bool:
    """Return whether the weights are evaluated after a step."""
    wanted, per_epoch = task.evaluation.config.eval, task.batches.steps_per_epoch
    if step == 0 or (step % per_epoch != 0 and not wanted.in_mid_epoch):
        return False
    return _is_due(step, per_epoch, task.total_steps, wanted.interval_epochs)


def saves(task: TrainTask, step: int) -> bool:
    """Return whether a checkpoint is due after a step."""
    wanted = task.evaluation.config.checkpoint
    if step == 0:
        return False
    if wanted.interval_steps is not None and step % wanted.interval_steps == 0:
        return True
    return _is_due(step, task.batches.steps_per_epoch, task.total_steps, wanted.interval_epochs)


def _is_due(step: int, steps_per_epoch: int, total: int, interval_epochs: int | None) -> bool:
    """Return whether something that happens every so many epochs, and at the end, does now."""
    if step == total:
        return True
    return interval_epochs is not None and step % (interval_epochs * steps_per_epoch) == 0
