"""Running statistics of batch norm, made equal on all ranks before they are used.

Each rank normalises with the statistics of its own part of a batch, so that its running means and
variances drift from those of the others. Evaluation and checkpoints need one set of them
(reference: arXiv 1706.02677, section 4; the data-parallel lessons of cifar.md, 4). Neither changes
those that training goes on with: a run that is evaluated or saved more often is the same run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Parameter, nn
from numpy.typing import NDArray

from cifar_dist.engine.assign import assign
from cifar_dist.runtime.collectives import Collectives

MEAN, VARIANCE = "moving_mean", "moving_variance"
"""How the names of running statistics end."""


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


def is_statistic(name: str) -> bool:
    """Return whether a parameter is a running statistic, by its name."""
    return name.endswith((MEAN, VARIANCE))


def pool_statistics(
    arrays: Mapping[str, NDArray[Any]], group: Collectives
) -> dict[str, NDArray[Any]]:
    """Return the running statistics among arrays, pooled over all ranks; one all-reduce."""
    means = [name for name in arrays if name.endswith(MEAN)]
    variances = [name for name in arrays if name.endswith(VARIANCE)]
    if group.world_size == 1 or not means:
        return {name: arrays[name] for name in (*means, *variances)}
    own = Moments(_concatenate(arrays, means), _concatenate(arrays, variances))
    pooled = pool(own, group)
    return {**_cut(pooled.mean, arrays, means), **_cut(pooled.variance, arrays, variances)}


def average_statistics(network: nn.Cell, group: Collectives) -> None:
    """Give every rank the same running statistics, in place."""
    parameters = _statistics(network)
    _set(parameters, pool_statistics(_copies(parameters), group))


@contextmanager
def averaged_statistics(network: nn.Cell, group: Collectives) -> Iterator[None]:
    """Let all ranks have the same running statistics within the block, and their own after it."""
    parameters = _statistics(network)
    own = _copies(parameters)
    _set(parameters, pool_statistics(own, group))
    try:
        yield
    finally:
        _set(parameters, own)


def _statistics(network: nn.Cell) -> dict[str, Parameter]:
    return {name: one for name, one in network.parameters_and_names() if is_statistic(name)}


def _copies(parameters: Mapping[str, Parameter]) -> dict[str, NDArray[Any]]:
    return {name: np.array(one.asnumpy()) for name, one in parameters.items()}


def _set(parameters: Mapping[str, Parameter], arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, parameter in parameters.items():
        assign(parameter, arrays[name])


def _concatenate(arrays: Mapping[str, NDArray[Any]], names: Sequence[str]) -> NDArray[np.float32]:
    return np.concatenate([arrays[name].reshape(-1) for name in names])


def _cut(
    values: NDArray[np.float32], arrays: Mapping[str, NDArray[Any]], names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    parts, start = {}, 0
    for name in names:
        end = start + arrays[name].size
        parts[name] = values[start:end].reshape(arrays[name].shape)
        start = end
    return parts
