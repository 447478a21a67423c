"""Groups of weights that learn at rates of their own: biases of norms, the bias of a whitening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter
from numpy.typing import NDArray

from cifar_dist.config.schema import OptimizerConfig

NORM_BIAS = ".beta"
WHITENING_BIAS = "whitening.conv.bias"

Rates = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Groups:
    """Which group each weight is in, and the rate of each group at every step of the run."""

    of_weight: tuple[int, ...]
    rates: tuple[Rates, ...]


def rate_factor(weight: Parameter, config: OptimizerConfig) -> float:
    """Return what the learning rate is multiplied by for a weight."""
    return config.norm_bias_lr_factor if weight.name.endswith(NORM_BIAS) else 1.0


def group_weights(
    weights: Sequence[Parameter], rates: Rates, config: OptimizerConfig, *, steps_per_epoch: float
) -> Groups:
    """Divide weights into as few groups as there are different courses of the rate.

    Args:
        weights: all that are trained.
        rates: float32[steps], of the run as a whole.
        config: norm_bias_lr_factor, whitening_bias_epochs.
        steps_per_epoch: global batches in an epoch.
    """
    courses: list[Rates] = []
    of_weight = []
    for weight in weights:
        course = rates * np.float32(rate_factor(weight, config))
        if weight.name.endswith(WHITENING_BIAS) and config.whitening_bias_epochs is not None:
            course[round(config.whitening_bias_epochs * steps_per_epoch) :] = 0
        known = [number for number, one in enumerate(courses) if np.array_equal(one, course)]
        if not known:
            courses.append(course)
        of_weight.append(known[0] if known else len(courses) - 1)
    return Groups(tuple(of_weight), tuple(courses))
