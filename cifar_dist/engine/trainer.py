"""The training loop: batches in, records and checkpoints out."""

from __future__ import annotations

from itertools import islice

from cifar_dist.checkpoint.position import Results
from cifar_dist.data.prefetch import Prefetch
from cifar_dist.engine.batch_norm import average_statistics
from cifar_dist.engine.calendar import evaluates, reports, saves
from cifar_dist.engine.evaluate import run_evaluation
from cifar_dist.engine.flip_average import FLIPS
from cifar_dist.engine.meter import Meter, Reading
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.snapshot import snapshot
from cifar_dist.engine.start import Start, begin
from cifar_dist.engine.step import step_inputs
from cifar_dist.engine.task import TrainTask
from cifar_dist.engine.watch import Watch
from cifar_dist.observe.records import EndRecord, TrainRecord, finite


def train(task: TrainTask, outlets: Outlets, start: Start | None = None) -> EndRecord:
    """Train to the end of the recipe; every rank runs this, in step with the others.

    Saving comes before evaluating: what interrupts an evaluation costs no training.

    Args:
        task: all that is computed with.
        outlets: where records and checkpoints go.
        start: the checkpoint to go on from; None: the first weights.

    Returns:
        what the last record says: the accuracy after the last step, the best one, the times.

    Raises:
        BadNumbersError: a loss or weights are wrong (see monitor); the same on every rank.
        CheckpointError: the start does not fit the model.
    """
    config, meter = task.evaluation.config, Meter(task.evaluation.group)
    total = task.total_steps
    outlets.progress.phase("compile")
    task.step.set_train(True)
    done, results = begin(task, meter, start)
    watch = Watch(task, outlets.report)
    if start is not None and start.position.is_planned and task.evaluation.context.is_main:
        outlets.record_again(done)
    if start is not None and start.position.is_evaluation_due:
        results = _evaluate(task, outlets, results, done)
    coming = task.batches.epochs(config.train.epochs, first_step=done)
    with Prefetch(islice(coming, total - done)) as batches:
        for number, batch in enumerate(batches, start=done + 1):
            meter.batch_arrived()
            meter.step_done(task.step(*step_inputs(batch)))
            if number == done + 1:
                outlets.progress.phase("train")
            outlets.progress.step(batch.epoch, number)
            if reports(task, number):
                reading = meter.read()
                outlets.record(_train_record(task, reading, batch.epoch, number))
                watch.judge(reading, number)
            with meter.paused():
                if watch.weights_are_due(number) or saves(task, number):
                    watch.judge_weights(meter, number)
                if saves(task, number):
                    _save(task, outlets, meter, results, number)
                if evaluates(task, number):
                    results = _evaluate(task, outlets, results, number)
    _agree_on_statistics(task)
    outlets.settle()
    end = _end_record(results, meter)
    outlets.record(end)
    outlets.progress.phase("done")
    return end


def _evaluate(task: TrainTask, outlets: Outlets, results: Results, step: int) -> Results:
    """Return the results with those of the last weights, and of their running average if any."""
    accuracies = {"last": _evaluate_as(task, outlets, step=step, weights="last")}
    if task.step.average_weights is not None:
        with task.step.average_weights.in_place():
            accuracies["ema"] = _evaluate_as(task, outlets, step=step, weights="ema")
    task.step.set_train(True)
    now = results.plus(accuracies, saved_step=step if saves(task, step) else None)
    best = now.best_saved
    if task.evaluation.context.is_main and best is not None and best != results.best_saved:
        outlets.note_best(best.step, best.accuracy)
    return now


def _evaluate_as(task: TrainTask, outlets: Outlets, *, step: int, weights: str) -> float:
    """Return the plain accuracy; after the last step also tell that with flips, if asked for."""
    epoch = -(-step // task.batches.steps_per_epoch)
    found = run_evaluation(task.evaluation, outlets, step=step, epoch=epoch, weights=weights)
    flips = task.evaluation.with_flips()
    if flips is not None and step == task.total_steps:
        run_evaluation(flips, outlets, step=step, epoch=epoch, weights=weights + FLIPS)
    return found.accuracy


def _save(task: TrainTask, outlets: Outlets, meter: Meter, results: Results, step: int) -> None:
    """Begin to save on rank 0; all ranks give what they alone know."""
    outlets.progress.phase("checkpoint")
    checkpoint = snapshot(task, meter, results, step)
    if task.evaluation.context.is_main:
        outlets.save(checkpoint, keep=task.evaluation.config.checkpoint.keep)
    outlets.progress.phase("train")


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


def _end_record(results: Results, meter: Meter) -> EndRecord:
    return EndRecord(
        accuracy=results.last.get("last"),
        best_accuracy=results.best,
        train_s=meter.train_s,
        compile_s=meter.compile_s or 0.0,
        ema_accuracy=results.last.get("ema"),
    )


def _agree_on_statistics(task: TrainTask) -> None:
    """Give all ranks the same batch-norm statistics, also those of the average and slow weights."""
    average_statistics(task.step.network, task.evaluation.group)
    for copy in (task.step.average_weights, task.step.lookahead):
        if copy is not None:
            with copy.in_place():
                average_statistics(task.step.network, task.evaluation.group)
