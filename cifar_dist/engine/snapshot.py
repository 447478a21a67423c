"""The state of a run as a checkpoint, and back into the run.

Weights are equal on all ranks; running statistics of batch norm and the losses since the last
record are not. A checkpoint holds those of every rank, by names that begin with ``ranks.``, so that
a run with as many ranks goes on exactly as it would have; with other numbers of ranks, and for
evaluation, their means are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.checkpoint.format import Checkpoint
from cifar_dist.checkpoint.position import Position, Recent, Results
from cifar_dist.checkpoint.rules import recipe_sha256
from cifar_dist.config import dump_config
from cifar_dist.engine.batch_norm import is_statistic, pool_statistics
from cifar_dist.engine.calendar import evaluates, saves
from cifar_dist.engine.meter import Meter
from cifar_dist.engine.state import load_arrays, to_arrays, train_parameters
from cifar_dist.engine.task import TrainTask

RANKS = "ranks."
LOSSES = RANKS + "losses"

Arrays = dict[str, NDArray[Any]]


def snapshot(
    task: TrainTask, meter: Meter, step: int, *, results: Results, recent: Recent
) -> Checkpoint:
    """Copy all that a run needs to go on after a step; every rank must call it.

    Args:
        task: what is computed with.
        meter: of the steps since the last record.
        step: the last one that is done; 0: none is.
        results: what evaluations have found.
        recent: what the numbers were like lately.

    Returns:
        the checkpoint; on other ranks than 0 the same, with their own arrays.
    """
    evaluation, group = task.evaluation, task.evaluation.group
    arrays = to_arrays(train_parameters(task.step))
    own = {name: array for name, array in arrays.items() if is_statistic(name)}
    pooled = pool_statistics(own, group)
    of_ranks = _gather({**own, LOSSES: meter.losses()}, task)
    position = Position(
        seed=evaluation.config.train.seed,
        world_size=group.world_size,
        global_batch_size=task.batches.plan.global_batch_size,
        recipe_sha256=recipe_sha256(evaluation.config),
        train_s=meter.train_s,
        results=results,
        recent=recent,
        is_planned=saves(task, step),
        is_evaluation_due=evaluates(task, step),
    )
    return Checkpoint(
        step=step,
        epoch=step // task.batches.steps_per_epoch,
        arrays={**arrays, **pooled, **of_ranks},
        config_yaml=dump_config(evaluation.config),
        state=position.model_dump(mode="json"),
    )


def _gather(own: Arrays, task: TrainTask) -> Arrays:
    """Return the arrays of every rank, stacked: [...] -> [ranks, ...]; one collective."""
    group = task.evaluation.group
    flat = np.concatenate([array.reshape(-1) for array in own.values()])
    rows = group.gather(flat) if flat.size else np.zeros((group.world_size, 0), np.float32)
    stacked, start = {}, 0
    for name, array in own.items():
        part = rows[:, start : start + array.size]
        stacked[_of_ranks(name)] = part.reshape(group.world_size, *array.shape)
        start += array.size
    return stacked


def restore(
    task: TrainTask, meter: Meter, checkpoint: Checkpoint, position: Position, *, origin: str
) -> None:
    """Set everything as it was when the checkpoint was made.

    Raises:
        CheckpointError: it does not fit the model or the optimizer.
    """
    parameters = train_parameters(task.step)
    rank = task.evaluation.context.rank
    is_same_group = position.world_size == task.evaluation.group.world_size
    arrays = dict(checkpoint.arrays)
    if is_same_group:
        arrays.update(_of_one_rank(checkpoint.arrays, parameters, rank))
    load_arrays(parameters, arrays, origin=f"checkpoint {origin}")
    losses = checkpoint.arrays[LOSSES]
    own = losses[rank] if is_same_group else losses.mean(axis=0, dtype=np.float64)
    meter.restore(own.astype(np.float32), train_s=position.train_s)


def _of_one_rank(arrays: Mapping[str, NDArray[Any]], names: Mapping[str, Any], rank: int) -> Arrays:
    wanted = {name: arrays.get(_of_ranks(name)) for name in names if is_statistic(name)}
    return {name: stacked[rank] for name, stacked in wanted.items() if stacked is not None}


def _of_ranks(name: str) -> str:
    return name if name.startswith(RANKS) else RANKS + name
