"""The start of a run: all ranks agree on one checkpoint, or on none, and go on from there.

Rank 0 alone looks at the disk and passes on what it read: the ranks can never start from different
checkpoints, and need no common disk.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cifar_dist.checkpoint.choose import Choice, check_choice, choose
from cifar_dist.checkpoint.format import Checkpoint, from_parts, to_parts
from cifar_dist.checkpoint.position import Position, Results
from cifar_dist.checkpoint.rules import changes
from cifar_dist.checkpoint.store import (
    BEST,
    remove_leftovers,
    save_checkpoint,
    set_aside_later,
    write_best,
)
from cifar_dist.engine.meter import Meter
from cifar_dist.engine.snapshot import restore
from cifar_dist.engine.task import TrainTask
from cifar_dist.errors import CheckpointError, CifarDistError, ConfigError
from cifar_dist.observe.metrics_file import is_finished, trim_metrics
from cifar_dist.observe.tensorboard import trim_tensorboard
from launcher.contract import RunPaths

_UNTIL_ENDED_S = 60.0


@dataclass(eq=False)
class Start:
    """A checkpoint that all ranks go on from; its arrays are gone once it was begun with.

    ``is_own`` says that it is of this run directory, ``is_finished`` that this has all it can.
    """

    checkpoint: Checkpoint
    position: Position
    origin: str
    is_own: bool
    is_finished: bool

    @property
    def step(self) -> int:
        return self.checkpoint.step


def agree_on_start(
    task: TrainTask,
    asked: str,
    paths: RunPaths,
    *,
    say: Callable[[str], None],
    before: int | None = None,
) -> Start | None:
    """Return the checkpoint that all ranks go on from; None: they begin anew.

    Args:
        task: what is to go on.
        asked: "none", "auto" or a path, see :func:`cifar_dist.checkpoint.choose.choose`.
        paths: of this run.
        say: takes what a user should know; called on rank 0.
        before: only checkpoints of earlier steps, see the same.

    Raises:
        CheckpointError: on rank 0: no start is right. The other ranks wait to be ended.
    """
    if asked == "none":
        return None
    group = task.evaluation.group
    header: dict[str, Any] = {}
    choice, problem = Choice(), None
    if task.evaluation.context.is_main:
        try:
            choice = choose(asked, paths.checkpoints, before=before)
            header = _describe(task, choice, paths)
            _check(task, choice, say)
        except CifarDistError as error:
            header, problem = {"is_refused": True}, error
    parts = to_parts(choice.checkpoint) if choice.checkpoint and not problem else {}
    header = json.loads(group.share(json.dumps({**header, "parts": list(parts)}).encode()))
    if problem is not None:
        raise problem
    if "is_refused" in header:
        time.sleep(_UNTIL_ENDED_S)
        raise CheckpointError("rank 0 has found no checkpoint to start from: see what it says")
    if not header["parts"]:
        return None
    shared = {name: group.share(parts.get(name, b"")) for name in header["parts"]}
    origin = header["origin"]
    checkpoint = from_parts(shared, origin=origin)
    position = Position.of(checkpoint.state, origin=origin)
    return Start(checkpoint, position, origin, header["is_own"], header["is_finished"])


def take_up(paths: RunPaths, start: Start | None) -> None:
    """Let a run directory look as it did when the checkpoint was made; rank 0 calls it.

    Records, points and checkpoints behind it go, for they will be made anew; a checkpoint of
    another run directory is copied into this one.

    Raises:
        ConfigError: the run directory cannot be written.
    """
    step, folder = (start.step if start else 0), paths.checkpoints
    try:
        remove_leftovers(folder)
        trim_metrics(paths.metrics, step)
        trim_tensorboard(paths.tensorboard, step)
        set_aside_later(folder, step)
        if start is None:
            return
        if not start.is_own:
            save_checkpoint(folder, start.checkpoint, keep=sys.maxsize)
        best = start.position.results.best_saved
        if start.is_own and best is not None:
            write_best(folder, best.step, best.accuracy)
        else:
            (folder / BEST).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"run directory {paths.root} cannot be made ready to go on: {error}"
        ) from error


def begin(task: TrainTask, meter: Meter, start: Start | None) -> tuple[int, Results]:
    """Set everything as a start says; return the steps done and what evaluations have found.

    The start then loses its arrays: whoever still holds it holds no second copy of the weights.

    Raises:
        CheckpointError: it does not fit the model or the optimizer.
    """
    if start is None:
        return 0, Results()
    restore(task, meter, start.checkpoint, start.position, origin=start.origin)
    start.checkpoint = replace(start.checkpoint, arrays={})
    results = start.position.results
    return start.step, results if start.is_own else results.model_copy(update={"best_saved": None})


def _describe(task: TrainTask, choice: Choice, paths: RunPaths) -> dict[str, Any]:
    """Return what all ranks must know of rank 0's choice."""
    if choice.path is None or choice.checkpoint is None:
        return {}
    is_own = choice.path.parent.resolve() == paths.checkpoints.resolve()
    is_last = choice.checkpoint.step == task.total_steps
    return {
        "origin": str(choice.path),
        "is_own": is_own,
        "is_finished": is_own and is_last and is_finished(paths.metrics),
    }


def _check(task: TrainTask, choice: Choice, say: Callable[[str], None]) -> None:
    """Say what was chosen; raise CheckpointError where it is not this run's."""
    for note in choice.notes:
        say(note)
    if choice.path is None or choice.checkpoint is None:
        say("resume     there is no checkpoint yet: the run begins anew")
        return
    config, plan = task.evaluation.config, task.batches.plan
    step, global_batch_size = choice.checkpoint.step, plan.global_batch_size
    saved, position = check_choice(choice, config, global_batch_size=global_batch_size)
    if step > task.total_steps:
        raise CheckpointError(
            f"checkpoint {choice.path} is after step {step}, but the recipe ends after step "
            f"{task.total_steps}: raise train.epochs or train.max_steps, or name an earlier one"
        )
    say(f"resume     after step {step}, from {choice.path}")
    for change in changes(saved, config, position=position, world_size=plan.world_size):
        say(f"resume     {change}")
