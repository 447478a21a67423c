"""Learning rates as one array over all steps: made once, looked up by step, plotted as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cifar_dist.config.schema import Config, OptimizerConfig, ScheduleConfig


def rates_of_run(
    config: Config, *, steps_per_epoch: int, global_batch_size: int
) -> NDArray[np.float32]:
    """Return the learning rate of every step of a recipe's run, with its :func:`batch_factor`."""
    rates = learning_rates(
        config.optimizer,
        config.schedule,
        epochs=config.train.epochs,
        steps_per_epoch=steps_per_epoch,
    )
    return rates * np.float32(batch_factor(config.optimizer, global_batch_size))


def learning_rates(
    optimizer: OptimizerConfig, schedule: ScheduleConfig, *, epochs: int, steps_per_epoch: int
) -> NDArray[np.float32]:
    """Return the learning rate of every step of a run: float32[epochs * steps_per_epoch].

    Warm-up grows linearly and ends at optimizer.lr: step s of w has initial_lr + (lr - initial_lr)
    * (s + 1) / w, so that no step has a rate of 0 (arXiv 1706.02677). The first step after it has
    lr; cosine (arXiv 1608.03983), poly and one_cycle (arXiv 1708.07120) then fall to final_lr,
    which they would reach one step after the last. All rates are between 0 and the larger of lr
    and final_lr; :func:`batch_factor` is not in them.

    Args:
        optimizer: lr, the rate at the peak.
        schedule: parts of an epoch are rounded to whole steps.
        epochs: of the whole run, also where train.max_steps ends it before.
        steps_per_epoch: whole global batches in an epoch.
    """
    total = epochs * steps_per_epoch
    warmup = min(total, round(schedule.warmup_epochs * steps_per_epoch))
    share = (np.arange(warmup) + 1) / max(1, warmup)
    rising = schedule.initial_lr + (optimizer.lr - schedule.initial_lr) * share
    rest = total - warmup
    if schedule.name == "constant":
        height = np.ones(rest)
    elif schedule.name == "step":
        milestones = np.rint(np.array(schedule.milestones_epochs) * steps_per_epoch)
        height = _stairs(np.arange(warmup, total), milestones, schedule.factor)
    else:
        last = schedule.final_lr / optimizer.lr
        height = last + (1 - last) * _descent(schedule, np.arange(rest) / max(1, rest))
    rates: NDArray[np.float64] = np.concatenate([rising, optimizer.lr * height])
    return rates.astype(np.float32)


def batch_factor(optimizer: OptimizerConfig, global_batch_size: int) -> float:
    """Return what all rates are multiplied by for this global batch: 1 unless the recipe asks."""
    if optimizer.lr_for_batch_size is None:
        return 1.0
    return global_batch_size / optimizer.lr_for_batch_size


def _stairs(
    steps: NDArray[np.int64], milestones: NDArray[np.float64], factor: float
) -> NDArray[np.float64]:
    passed = np.searchsorted(milestones, steps, side="right")
    height: NDArray[np.float64] = np.float64(factor) ** passed
    return height


def _descent(schedule: ScheduleConfig, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much is left of the way down after a share of it: 1 at 0, 0 at 1."""
    if schedule.name == "cosine":
        half: NDArray[np.float64] = (1 + np.cos(np.pi * share)) / 2
        return half
    power = schedule.power if schedule.name == "poly" else 1.0
    left: NDArray[np.float64] = (1 - share) ** power
    return left
