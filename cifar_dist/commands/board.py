"""TensorBoard of a run, set up from what the run computes with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cifar_dist.data.augment import MEAN_RGB, STD_RGB
from cifar_dist.data.batches import Batches
from cifar_dist.observe.health import watch_health
from cifar_dist.observe.opening import opening_of
from cifar_dist.observe.pictures import contact_sheet
from cifar_dist.observe.records import EvalRecord
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
    every = config.eval.interval_epochs * max(
        1, config.train.epochs // config.eval.interval_epochs // MOST_DRAWN
    )
    interval_s = config.monitor.health_interval_s

    def has_pictures(record: EvalRecord) -> bool:
        return record.epoch % every == 0 or record.step == task.total_steps

    return TensorBoard(
        paths.tensorboard,
        opening,
        has_pictures=has_pictures,
        health=watch_health(paths.root, interval_s=interval_s) if interval_s else None,
    )


def draw_batch(batches: Batches) -> bytes:
    """Return the first batch of a run as PNG, as this rank's network sees it."""
    images = next(batches.epoch(0)).images_nchw
    if images.dtype == np.uint8:
        return contact_sheet(images.astype(np.uint8, copy=False))
    mean, std = (np.array(one)[:, None, None] for one in (MEAN_RGB, STD_RGB))
    pixels = np.clip(np.rint(255 * (images * std + mean)), 0, 255)
    return contact_sheet(pixels.astype(np.uint8))
