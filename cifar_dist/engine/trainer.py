"""The training loop: batches in, records and checkpoints out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from cifar_dist.checkpoint.store import Checkpoint, save_checkpoint
from cifar_dist.config import dump_config
from cifar_dist.data.prefetch import Prefetch
from cifar_dist.engine.batch_norm import average_statistics
from cifar_dist.engine.evaluate import evaluate
from cifar_dist.engine.meter import Meter, Reading
from cifar_dist.engine.state import to_arrays, train_parameters
from cifar_dist.engine.step import step_inputs
from cifar_dist.engine.task import EvalTask, TrainTask
from cifar_dist.engine.watch import Watch
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.observe.records import (
    CheckpointRecord,
    EndRecord,
    EvalRecord,
    Observer,
    Record,
    TrainRecord,
    eval_record,
    finite,
)

Accuracies = dict[str, float]
"""The accuracy of each kind of weights: "last", and "ema" where there is a running average."""


@dataclass(frozen=True, eq=False)
class Outlets:
    """Where a rank's signs go: observers on rank 0 only, progress on every rank."""

    observers: Sequence[Observer]
    progress: ProgressFile
    checkpoints: Path
    report: Path

    def record(self, record: Record) -> None:
        for observer in self.observers:
            observer.record(record)


def train(task: TrainTask, outlets: Outlets) -> EndRecord:
    """Train to the end of the recipe; every rank runs this, in step with the others.

    Returns:
        what the last record says: the accuracy after the last step, the best one, the times.

    Raises:
        BadNumbersError: a loss or weights are wrong (see monitor); the same on every rank.
    """
    config, meter = task.evaluation.config, Meter(task.evaluation.group)
    total = task.total_steps
    accuracies: list[Accuracies] = []
    watch = Watch(task, outlets.report)
    outlets.progress.phase("compile")
    task.step.set_train(True)
    with Prefetch(islice(task.batches.epochs(config.train.epochs), total)) as batches:
        for number, batch in enumerate(batches, start=1):
            meter.batch_arrived()
            meter.step_done(task.step(*step_inputs(batch)))
            if number == 1:
                outlets.progress.phase("train")
            outlets.progress.step(batch.epoch, number)
            if number % config.monitor.log_interval == 0 or number == total:
                reading = meter.read()
                outlets.record(_train_record(task, reading, batch.epoch, number))
                watch.judge(reading, number)
            with meter.paused():
                if watch.weights_are_due(number) or _saves(task, number):
                    watch.judge_weights(meter, number)
                if _evaluates(task, number):
                    accuracies.append(_evaluate(task, outlets, number))
                if _saves(task, number):
                    _save(task, outlets, number)
    end = _end_record(accuracies, meter)
    outlets.record(end)
    outlets.progress.phase("done")
    return end


def _evaluate(task: TrainTask, outlets: Outlets, step: int) -> Accuracies:
    """Return the accuracy of the last weights, and of their running average where there is one."""
    epoch = -(-step // task.batches.steps_per_epoch)
    found = {"last": run_evaluation(task.evaluation, outlets, step=step, epoch=epoch)}
    if task.step.average_weights is not None:
        with task.step.average_weights.in_place():
            found["ema"] = run_evaluation(
                task.evaluation, outlets, step=step, epoch=epoch, weights="ema"
            )
    task.step.set_train(True)
    return {weights: record.accuracy for weights, record in found.items()}


def run_evaluation(
    task: EvalTask, outlets: Outlets, *, step: int, epoch: int = 0, weights: str = "last"
) -> EvalRecord:
    """Count every image of the task once over all ranks, and tell the observers.

    Args:
        task: the network and the images.
        outlets: who is told.
        step: after which the weights are so.
        epoch: the same, in epochs begun.
        weights: what the record calls them, "last" or "ema".
    """
    start = time.perf_counter()
    outlets.progress.phase("evaluate")
    average_statistics(task.network, task.group)
    tally = evaluate(
        task.step,
        task.batches(),
        num_classes=task.config.model.num_classes,
        group=task.group,
        on_batch=outlets.progress.alive,
    )
    record = eval_record(
        tally,
        task.images.classes,
        epoch=epoch,
        step=step,
        eval_s=time.perf_counter() - start,
    )
    record = replace(record, split=task.split, weights=weights)
    outlets.record(record)
    outlets.progress.phase("train")
    return record


def _is_due(step: int, steps_per_epoch: int, total: int, interval_epochs: int | None) -> bool:
    """Return whether something that happens every so many epochs, and at the end, does now."""
    if step == total:
        return True
    return interval_epochs is not None and step % (interval_epochs * steps_per_epoch) == 0


def _evaluates(task: TrainTask, step: int) -> bool:
    wanted, per_epoch = task.evaluation.config.eval, task.batches.steps_per_epoch
    if step % per_epoch != 0 and not wanted.in_mid_epoch:
        return False
    return _is_due(step, per_epoch, task.total_steps, wanted.interval_epochs)


def _saves(task: TrainTask, step: int) -> bool:
    wanted = task.evaluation.config.checkpoint
    if wanted.interval_steps is not None and step % wanted.interval_steps == 0:
        return True
    return _is_due(step, task.batches.steps_per_epoch, task.total_steps, wanted.interval_epochs)


def _train_record(task: TrainTask, reading: Reading, epoch: int, step: int) -> TrainRecord:
    plan, step_s = task.batches.plan, reading.step_s
    return TrainRecord(
        epoch=epoch + 1,
        step=step,
        loss=finite(reading.loss),
        lr=float(task.rates[step - 1]),
        images_per_s=plan.global_batch_size / step_s if step_s else None,
        step_ms=1000 * step_s if step_s else None,
        data_wait_ms=1000 * reading.data_wait_s,
        loss_scale=float(task.step.loss_scale.asnumpy()),
        world_size=plan.world_size,
        skipped_steps=int(task.step.skipped_steps.asnumpy()),
    )


def _end_record(accuracies: Sequence[Accuracies], meter: Meter) -> EndRecord:
    last = accuracies[-1] if accuracies else {}
    return EndRecord(
        accuracy=last.get("last"),
        best_accuracy=max((each["last"] for each in accuracies), default=None),
        train_s=meter.train_s,
        compile_s=meter.compile_s or 0.0,
        ema_accuracy=last.get("ema"),
    )


def _save(task: TrainTask, outlets: Outlets, step: int) -> None:
    """Save on rank 0, after all ranks have agreed on the running statistics."""
    outlets.progress.phase("checkpoint")
    _agree_on_statistics(task)
    if task.evaluation.context.is_main:
        config = task.evaluation.config
        checkpoint = Checkpoint(
            step=step,
            epoch=step // task.batches.steps_per_epoch,
            arrays=to_arrays(train_parameters(task.step)),
            config_yaml=dump_config(config),
        )
        path = save_checkpoint(outlets.checkpoints, checkpoint, keep=config.checkpoint.keep)
        outlets.record(CheckpointRecord(step, str(path)))
    outlets.progress.phase("train")


def _agree_on_statistics(task: TrainTask) -> None:
    """Give all ranks the same batch-norm statistics, also those of the average weights."""
    average_statistics(task.step.network, task.evaluation.group)
    if task.step.average_weights is not None:
        with task.step.average_weights.in_place():
            average_statistics(task.step.network, task.evaluation.group)
