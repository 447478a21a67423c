"""The training loop: batches in, records and checkpoints out."""

from __future__ import annotations

from itertools import islice

from cifar_dist.checkpoint.position import Recent
from cifar_dist.data.batches import AnyBatch
from cifar_dist.data.prefetch import Prefetch
from cifar_dist.engine.calendar import evaluates, reports, saves
from cifar_dist.engine.ending import ended, stopped
from cifar_dist.engine.meter import Meter
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.run import Run
from cifar_dist.engine.start import Start, begin
from cifar_dist.engine.step import step_inputs
from cifar_dist.engine.task import TrainTask
from cifar_dist.engine.vote import StopAgreedError, StopVote
from cifar_dist.engine.watch import Watch
from cifar_dist.health.stalls import StallProbe
from cifar_dist.observe.records import EndRecord
from cifar_dist.runtime.profile import StepProfile
from cifar_dist.runtime.stop import StopRequest


def train(
    task: TrainTask,
    outlets: Outlets,
    start: Start | None = None,
    stop: StopRequest | None = None,
    profile: StepProfile | None = None,
) -> EndRecord:
    """Train to the end of the recipe; every rank runs this, in step with the others.

    Args:
        task: all that is computed with.
        outlets: where records and checkpoints go.
        start: the checkpoint to go on from; None: the first weights.
        stop: what signals ask of this rank; None: they ask nothing.
        profile: of some steps; None: of none.

    Returns:
        what the last record says: the accuracy after the last step, the best one, the times.

    Raises:
        BadNumbersError: a loss or weights are wrong (see monitor); the same on every rank.
        CheckpointError: the start does not fit the model.
        StoppedError: a rank was asked to stop; all have, after the same step, which is saved.
        NotSavedError: on rank 0: the last checkpoint is not on disk.
    """
    request, group = stop or StopRequest(), task.evaluation.group
    request.is_agreed = False
    outlets.progress.phase("compile")
    stalls = StallProbe()
    rank = task.evaluation.context.rank
    meter = Meter(group, rank=rank, stalled_s=stalls.total_s, spent=task.spent)
    step, results = begin(task, meter, start)
    recent = start.position.recent if start is not None else Recent()
    watch, vote = Watch(task, outlets.report, recent), StopVote(group, request)
    run = Run(task, outlets, vote, meter, watch, step, step, results)
    run.profile = profile or run.profile
    outlets.progress.tells(lambda: {**run.signs(), "stalled_s": stalls.total_s()})
    try:
        with stalls:
            if start is not None:
                _catch_up(run, start)
            _train(run)
    except StopAgreedError:
        request.is_agreed = True
        raise stopped(run, request) from None
    return ended(run)


def _catch_up(run: Run, start: Start) -> None:
    """Do what was still to be done after the step of the checkpoint."""
    if start.position.is_planned and run.is_main:
        run.outlets.record_again(run.step)
    if start.position.is_evaluation_due:
        run.evaluate()


def _train(run: Run) -> None:
    """Take all steps that are left. Saving comes before evaluating, which may be interrupted."""
    task, meter = run.task, run.meter
    task.step.set_train(True)
    epochs, left = task.evaluation.config.train.epochs, task.total_steps - run.step
    with Prefetch(islice(task.batches.epochs(epochs, first_step=run.step), left)) as batches:
        for batch in batches:
            run.step += 1
            _pass(run, batch)
            is_compiled = meter.compile_s is not None  # not by steps that were left out
            if is_compiled:
                run.outlets.progress.trained(batch.epoch, run.step)
            if meter.has_losses and reports(task, run.step):
                run.report()
            if saves(task, run.step) or run.watch.weights_are_due(run.step):
                run.check_weights()
            if saves(task, run.step):
                run.save()
            if evaluates(task, run.step):
                run.evaluate()
            run.outlets.release()
            if is_compiled:
                run.vote.tick()
            meter.waits_for_batch()


def _pass(run: Run, batch: AnyBatch) -> None:
    """Take the step that the run is at, with its batch or without; a profile has it anyway."""
    is_left_out = run.step in run.task.left_out
    if not is_left_out:
        run.meter.batch_arrived()
    if run.profile.starts_before(run.step):
        run.start_profile()
    if is_left_out:
        run.leave_out()
    else:
        run.meter.step_done(run.task.step(*step_inputs(batch)))
    if run.profile.covers(run.step):
        run.note_profile()
