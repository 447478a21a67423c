"""Learning rates as one array over all steps: made once, looked up by step, plotted as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cifar_dist.config.schema import OptimizerConfig, ScheduleConfig


def learning_rates(
    optimizer: OptimizerConfig, schedule: ScheduleConfig, *, epochs: int, steps_per_epoch: int
) -> NDArray[np.float32]:
    """Return the learning rate of every step of a run: float32[epochs * steps_per_epoch].

    Warm-up grows linearly and ends at optimizer.lr: step s of w has lr * (s + 1) / w, so that no
    step has a rate of 0 (arXiv 1706.02677). The first step after it has lr; a cosine then falls to
    final_lr, which it would reach one step after the last (arXiv 1608.03983). All rates are between
    0 and the larger of lr and final_lr.

    Args:
        optimizer: lr, the rate at the peak.
        schedule: the name, warmup_epochs (parts of an epoch are rounded to whole steps), final_lr.
        epochs: of the whole run, also where train.max_steps ends it before.
        steps_per_epoch: whole global batches in an epoch.
    """
    total = epochs * steps_per_epoch
    warmup = min(total, round(schedule.warmup_epochs * steps_per_epoch))
    rising = optimizer.lr * (np.arange(warmup) + 1) / max(1, warmup)
    rest = total - warmup
    if schedule.name == "constant":
        falling = np.full(rest, optimizer.lr)
    else:
        falling = cosine(rest, first=optimizer.lr, last=schedule.final_lr)
    rates: NDArray[np.float64] = np.concatenate([rising, falling])
    return rates.astype(np.float32)


def cosine(steps: int, *, first: float, last: float) -> NDArray[np.float64]:
    """Return half a cosine: ``first`` at step 0, ``last`` at step ``steps``, which is left out."""
    share = np.arange(steps) / max(1, steps)
    height: NDArray[np.float64] = (1 + np.cos(np.pi * share)) / 2
    return last + (first - last) * height
