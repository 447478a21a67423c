"""TensorBoard of a run, set up from what the run computes with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cifar_dist.data.augment import MEAN_RGB, STD_RGB
from cifar_dist.data.batches import Batches
from cifar_dist.observe.health import watch_health
from cifar_dist.observe.opening import opening_of
from cifar_dist.observe.pictures import contact_sheet
from cifar_dist.observe.records import EvalRecord
from cifar_dist.observe.stragglers import Stragglers
from cifar_dist.observe.tensorboard import TensorBoard
from launcher.contract import RunPaths

if TYPE_CHECKING:
    from cifar_dist.engine.task import TrainTask

MOST_DRAWN = 10
"""About so many evaluations of a run have pictures, however many there are."""


def open_board(task: TrainTask, paths: RunPaths) -> TensorBoard:
    """Return the observer that writes into tb/ of a run directory; rank 0 calls it."""
    config, plan = task.evaluation.config, task.batches.plan
    opening = opening_of(
        config,
        global_batch_size=plan.global_batch_size,
        world_size=plan.world_size,
        batch_png=lambda: draw_batch(task.batches),
    )
    interval_s = config.monitor.health_interval_s
    return TensorBoard(
        paths.tensorboard,
        opening,
        has_pictures=drawn_evaluations(task),
        health=watch_health(paths.root, interval_s=interval_s) if interval_s else None,
        stragglers=Stragglers(paths.root),
    )


def drawn_evaluations(task: TrainTask) -> Callable[[EvalRecord], bool]:
    """Return what says of an evaluation whether it has pictures; the last one always has."""
    config = task.evaluation.config
    interval = config.eval.interval_epochs
    every = interval * max(1, config.train.epochs // interval // MOST_DRAWN)
    return lambda record: record.epoch % every == 0 or record.step == task.total_steps


def draw_batch(batches: Batches) -> bytes:
    """Return the first batch of a run as PNG, as this rank's network sees it."""
    images = batches.first_images()
    if images.dtype == np.uint8:
        return contact_sheet(images.astype(np.uint8, copy=False))
    mean, std = (np.array(one)[:, None, None] for one in (MEAN_RGB, STD_RGB))
    pixels = np.clip(np.rint(255 * (images * std + mean)), 0, 255)
    return contact_sheet(pixels.astype(np.uint8))
