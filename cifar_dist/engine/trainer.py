"""The training loop: batches in, records and checkpoints out."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from cifar_dist.checkpoint.position import Results
from cifar_dist.checkpoint.store import checkpoint_path
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
from cifar_dist.engine.task import EvalTask, TrainTask
from cifar_dist.engine.vote import StopAgreedError, StopVote
from cifar_dist.engine.watch import Watch
from cifar_dist.errors import NotSavedError, StoppedError
from cifar_dist.health.pace import own_step_s
from cifar_dist.health.stalls import StallProbe
from cifar_dist.observe.records import EndRecord, EvalRecord, TrainRecord, finite
from cifar_dist.runtime.stop import StopRequest, dies_by


@dataclass(eq=False)
class _Run:
    """A run after ``step``; ``saved_step`` is the latest one that was given to the disk."""

    task: TrainTask
    outlets: Outlets
    vote: StopVote
    meter: Meter
    step: int
    saved_step: int
    results: Results
    reading: Reading | None = None


def train(
    task: TrainTask,
    outlets: Outlets,
    start: Start | None = None,
    stop: StopRequest | None = None,
) -> EndRecord:
    """Train to the end of the recipe; every rank runs this, in step with the others.

    Args:
        task: all that is computed with.
        outlets: where records and checkpoints go.
        start: the checkpoint to go on from; None: the first weights.
        stop: what signals ask of this rank; None: they ask nothing.

    Returns:
        what the last record says: the accuracy after the last step, the best one, the times.

    Raises:
        BadNumbersError: a loss or weights are wrong (see monitor); the same on every rank.
        CheckpointError: the start does not fit the model.
        StoppedError: a rank was asked to stop; all have, after the same step, which is saved.
        NotSavedError: on rank 0: the last checkpoint is not on disk.
    """
    request, group = stop or StopRequest(), task.evaluation.group
    outlets.progress.phase("compile")
    stalls = StallProbe()
    meter = Meter(group, rank=task.evaluation.context.rank, stalled_s=stalls.total_s)
    step, results = begin(task, meter, start)
    run = _Run(task, outlets, StopVote(group, request), meter, step, step, results)
    outlets.progress.tells(lambda: {**_signs(run), "stalled_s": stalls.total_s()})
    try:
        with stalls:
            _train(run, start)
    except StopAgreedError:
        request.is_agreed = True
        raise _stopped(run, request.number) from None
    _agree_on_statistics(task)
    return _end(run)


def _train(run: _Run, start: Start | None) -> None:
    """Take all steps that are left. Saving comes before evaluating, which may be interrupted."""
    task, outlets, meter = run.task, run.outlets, run.meter
    watch = Watch(task, outlets.report)
    if start is not None and start.position.is_planned and task.evaluation.context.is_main:
        outlets.record_again(run.step)
    if start is not None and start.position.is_evaluation_due:
        _evaluate(run)
    task.step.set_train(True)
    epochs, left = task.evaluation.config.train.epochs, task.total_steps - run.step
    with Prefetch(islice(task.batches.epochs(epochs, first_step=run.step), left)) as batches:
        for batch in batches:
            meter.batch_arrived()
            meter.step_done(task.step(*step_inputs(batch)))
            run.step += 1
            outlets.progress.trained(batch.epoch, run.step)
            if reports(task, run.step):
                run.reading = reading = meter.read()
                outlets.record(_train_record(task, reading, batch.epoch, run.step))
                watch.judge(reading, run.step)
            if saves(task, run.step) or watch.weights_are_due(run.step):
                with meter.paused():
                    watch.judge_weights(meter, run.step)
            if saves(task, run.step):
                _save(run)
            if evaluates(task, run.step):
                _evaluate(run)
            outlets.release()
            run.vote.tick()


def _evaluate(run: _Run) -> None:
    """Evaluate the last weights, and their running average where there is one."""
    task, before = run.task, run.results
    average, accuracies = task.step.average_weights, {}
    with run.meter.paused(), run.outlets.progress.during("evaluate"):
        accuracies["last"] = _evaluate_one(run, "last")
        if average is not None:
            with average.in_place():
                accuracies["ema"] = _evaluate_one(run, "ema")
        run.vote.pace_changes()
        task.step.set_train(True)
        saved_step = run.step if saves(task, run.step) else None
        run.results = before.plus(accuracies, saved_step=saved_step)
        best = run.results.best_saved
        if task.evaluation.context.is_main and best is not None and best != before.best_saved:
            run.outlets.note_best(best.step, best.accuracy)


def _evaluate_one(run: _Run, weights: str) -> float:
    """Evaluate what the network holds, and return its accuracy.

    After the last step the accuracy with flips is told too, where it is asked for.
    """
    found = _evaluate_as(run, run.task.evaluation, weights)
    flips = run.task.evaluation.with_flips()
    if flips is not None and run.step == run.task.total_steps:
        _evaluate_as(run, flips, weights + FLIPS)
    return found.accuracy


def _evaluate_as(run: _Run, evaluation: EvalTask, weights: str) -> EvalRecord:
    def on_batch() -> None:
        run.outlets.progress.alive()
        run.vote.tick()

    run.vote.pace_changes()
    found = run_evaluation(evaluation, on_batch=on_batch)
    epoch = -(-run.step // run.task.batches.steps_per_epoch)
    record = replace(found, epoch=epoch, step=run.step, weights=weights)
    run.outlets.record(record)
    return record


def _save(run: _Run) -> None:
    """Begin to save on rank 0; all ranks give what they alone know."""
    task, outlets = run.task, run.outlets
    with run.meter.paused(), outlets.progress.during("checkpoint"):
        run.vote.takes_long()
        checkpoint = snapshot(task, run.meter, run.results, run.step)
        if task.evaluation.context.is_main:
            keep, is_planned = task.evaluation.config.checkpoint.keep, saves(task, run.step)
            outlets.save(checkpoint, keep=keep, is_recorded=is_planned)
        run.saved_step = run.step


def _stopped(run: _Run, number: int | None) -> StoppedError:
    """Save where all ranks have stopped, and return what to raise.

    Nobody goes before rank 0 is done: a rank that is gone may end the others.
    """
    if run.saved_step != run.step:
        _save(run)
    run.outlets.settle()
    group = run.task.evaluation.group
    group.sum_floats(np.zeros(1, dtype=np.float32))
    why = f"by {signal.Signals(number).name}" if number else "with a rank that was asked to"
    said = f"stopped {why} after step {run.step}"
    path = checkpoint_path(run.outlets.checkpoints, run.step)
    if run.task.evaluation.context.is_main:
        saved = f"checkpoint {path}; --resume auto goes on" if path.is_dir() else "it is not saved"
        said = f"{said}; {saved}"
    return StoppedError(said, number=dies_by(number or signal.SIGTERM))


def _end(run: _Run) -> EndRecord:
    results, meter, outlets = run.results, run.meter, run.outlets
    outlets.settle()
    end = EndRecord(
        accuracy=results.last.get("last"),
        best_accuracy=results.best,
        train_s=meter.train_s,
        compile_s=meter.compile_s or 0.0,
        ema_accuracy=results.last.get("ema"),
    )
    outlets.record(end)
    is_saved = checkpoint_path(outlets.checkpoints, run.step).is_dir()
    if run.task.evaluation.context.is_main and not is_saved:
        raise NotSavedError(
            f"training is done, but its last checkpoint is not in {outlets.checkpoints} (see "
            "above): free or grant space there, and train its last steps again by --resume auto"
        )
    outlets.progress.phase("done")
    return end


def _signs(run: _Run) -> dict[str, Any]:
    """Return what a rank's sign of life tells beside where it is: no device is asked for it."""
    task, reading = run.task, run.reading
    step_s = reading.step_s if reading else None
    return {
        "epochs": task.evaluation.config.train.epochs,
        "total_steps": task.total_steps,
        "loss": finite(reading.loss) if reading else None,
        "accuracy": run.results.last.get("last"),
        "step_ms": 1000 * step_s if step_s else None,
        "images_per_s": task.batches.plan.batch_size / step_s if step_s else None,
        "data_wait_s": run.meter.data_wait_s,
    }


def _train_record(task: TrainTask, reading: Reading, epoch: int, step: int) -> TrainRecord:
    plan, step_s, paces = task.batches.plan, reading.step_s, reading.paces
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
        rank_step_ms=_ms(own_step_s(paces)),
        rank_data_wait_ms=_ms([pace.data_wait_s for pace in paces]),
        rank_stalled_ms=_ms([pace.stalled_s for pace in paces]),
    )


def _ms(times_s: list[float]) -> list[float] | None:
    return [round(1000 * one, 3) for one in times_s] or None


def _agree_on_statistics(task: TrainTask) -> None:
    """Give all ranks the same batch-norm statistics, also those of the average and slow weights."""
    average_statistics(task.step.network, task.evaluation.group)
    for copy in (task.step.average_weights, task.step.lookahead):
        if copy is not None:
            with copy.in_place():
                average_statistics(task.step.network, task.evaluation.group)
