"""What rank 0 says of a run before it compiles."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from cifar_dist.config import Config
from cifar_dist.schedule import batch_factor
from launcher.contract import RunPaths

if TYPE_CHECKING:
    from cifar_dist.engine.task import TrainTask


def describe(task: TrainTask, paths: RunPaths, *, images_from: str) -> list[str]:
    """Return what is about to run, a line each.

    Args:
        task: what is computed with.
        paths: of the run.
        images_from: where the training images come from.
    """
    config = task.evaluation.config
    plan, context = task.batches.plan, task.evaluation.context
    weights = sum(parameter.size for parameter in task.step.network.trainable_params())
    ranks = f"{plan.world_size} rank" + ("s" if plan.world_size > 1 else "")
    if plan.world_size > 1:
        from cifar_dist.engine.average import describe_messages

        ranks += f"; gradients travel as {describe_messages(task.step.optimizer.weights)}"
    evaluation = task.evaluation
    data = (
        f"{task.batches.num_images:,} training, "
        f"{len(evaluation.images):,} {evaluation.split} images"
    )
    return [
        f"model      {config.model.name}, {weights:,} parameters, {_precision(config)}",
        f"device     {context.device_target}, {ranks}; MindSpore {metadata.version('mindspore')}",
        f"data       {data}; {images_from}",
        f"batch      {plan.batch_size} per rank, {plan.global_batch_size} in all, "
        f"{task.batches.steps_per_epoch} steps per epoch, {task.total_steps} in all",
        f"rate       {_rate(config, plan.global_batch_size)}",
        f"run        {paths.root}",
    ]


def _precision(config: Config) -> str:
    train = config.train
    if train.amp == "O0":
        return "float32 (O0)"
    scale = train.effective_loss_scale
    shown = "dynamic" if scale == "dynamic" else f"{scale:g}"
    return f"{train.dtype} ({train.amp}, loss scale {shown})"


def _rate(config: Config, global_batch_size: int) -> str:
    """Return the schedule and its peak, and how the peak comes about where it was scaled."""
    optimizer, factor = config.optimizer, batch_factor(config.optimizer, global_batch_size)
    shown = f"{config.schedule.name}, peak {optimizer.lr * factor:g}"
    if optimizer.lr_for_batch_size is None:
        return shown
    return (
        f"{shown} = {optimizer.lr:g} x {global_batch_size} / {optimizer.lr_for_batch_size} images "
        "(optimizer.lr_for_batch_size)"
    )
