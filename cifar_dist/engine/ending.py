"""The end of a run: after its last step, or after the one at which all ranks have stopped."""

from __future__ import annotations

import signal

import numpy as np

from cifar_dist.checkpoint.store import checkpoint_path
from cifar_dist.engine.batch_norm import average_statistics
from cifar_dist.engine.run import Run
from cifar_dist.errors import NotSavedError, StoppedError
from cifar_dist.observe.records import EndRecord
from cifar_dist.runtime.stop import StopRequest, dies_by


def stopped(run: Run, request: StopRequest) -> StoppedError:
    """Save where all ranks have stopped, and return what to raise.

    Nobody goes before rank 0 is done: a rank that is gone may end the others, or leave them waiting
    for ever. Who meets that has saved, and goes too.

    Args:
        run: after the step that all ranks have agreed on.
        request: what signals have asked of this rank; nothing, where another one was asked.

    Raises:
        BadNumbersError: a loss or weights are wrong, and not saved; the same on every rank.
    """
    if run.saved_step != run.step:
        run.check_unplanned()
        run.save()
    run.outlets.settle()
    said, group = _farewell(run, request.number), run.task.evaluation.group
    with request.leaving(said):
        group.sum_floats(np.zeros(1, dtype=np.float32))
    group.leave()
    return StoppedError(said, number=dies_by(request.number or signal.SIGTERM))


def _farewell(run: Run, number: int | None) -> str:
    """Return where the run has stopped and, on rank 0, whether that is saved."""
    why = f"by {signal.Signals(number).name}" if number else "with a rank that was asked to"
    said = f"stopped {why} after step {run.step}"
    path = checkpoint_path(run.outlets.checkpoints, run.step)
    if run.is_main:
        saved = f"checkpoint {path}; --resume auto goes on" if path.is_dir() else "it is not saved"
        said = f"{said}; {saved}"
    return said


def ended(run: Run) -> EndRecord:
    """Record that all steps are done.

    Raises:
        NotSavedError: on rank 0: the last checkpoint is not on disk.
    """
    _agree_on_statistics(run)
    results, meter, outlets = run.results, run.meter, run.outlets
    outlets.settle()
    end = EndRecord(
        accuracy=results.last.get("last"),
        best_accuracy=results.best,
        train_s=meter.train_s,
        compile_s=meter.compile_s or 0.0,
        ema_accuracy=results.last.get("ema"),
        saving_s=meter.saving_s,
        start_s=dict(run.task.spent.start_s),
    )
    outlets.record(end)
    is_saved = checkpoint_path(outlets.checkpoints, run.step).is_dir()
    if run.is_main and not is_saved:
        raise NotSavedError(
            f"training is done, but its last checkpoint is not in {outlets.checkpoints} (see "
            "above): free or grant space there, and train its last steps again by --resume auto"
        )
    outlets.progress.phase("done")
    return end


def _agree_on_statistics(run: Run) -> None:
    """Give all ranks the same batch-norm statistics, also those of the average and slow weights."""
    step, group = run.task.step, run.task.evaluation.group
    average_statistics(step.network, group)
    for copy in (step.average_weights, step.lookahead):
        if copy is not None:
            with copy.in_place():
                average_statistics(step.network, group)
