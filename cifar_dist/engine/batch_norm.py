"""Running statistics of batch norm, made equal on all ranks before they are used.

Each rank normalises with the statistics of its own part of a batch, so that its running means and
variances drift from those of the others. Evaluation and checkpoints need one set of them
(reference: arXiv 1706.02677, section 4; the data-parallel lessons of cifar.md, 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, Tensor, nn
from numpy.typing import NDArray

from cifar_dist.runtime.collectives import Collectives


@dataclass(frozen=True, eq=False)
class Moments:
    """Means and variances of all batch norms behind each other: float32[channels] each."""

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


def pool(own: Moments, group: Collectives) -> Moments:
    """Return the moments of the union of what all ranks have seen.

    The mean is the mean of the ranks' means; the variance is the mean of their variances plus the
    variance between their means.
    """
    stacked = np.stack([own.mean, own.variance, own.mean**2])
    mean, variance, square = group.sum_floats(stacked) / np.float32(group.world_size)
    return Moments(mean, variance + np.maximum(square - mean**2, 0))


def average_statistics(network: nn.Cell, group: Collectives) -> None:
    """Give every rank the same running statistics, in place; one all-reduce of all layers."""
    means = _parameters(network, "moving_mean")
    variances = _parameters(network, "moving_variance")
    if group.world_size == 1 or not means:
        return
    pooled = pool(Moments(_concatenate(means), _concatenate(variances)), group)
    _scatter(pooled.mean, means)
    _scatter(pooled.variance, variances)


def _parameters(network: nn.Cell, ending: str) -> list[Parameter]:
    return [one for name, one in network.parameters_and_names() if name.endswith(ending)]


def _concatenate(parameters: list[Parameter]) -> NDArray[np.float32]:
    return np.concatenate([parameter.asnumpy() for parameter in parameters])


def _scatter(values: NDArray[np.float32], parameters: list[Parameter]) -> None:
    start = 0
    for parameter in parameters:
        end = start + parameter.size
        parameter.set_data(Tensor(values[start:end]))
        start = end
