"""The parameters of a run as named arrays: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mindspore import Parameter, nn
from numpy.typing import NDArray

from cifar_dist.checkpoint.format import Checkpoint
from cifar_dist.engine.assign import assign
from cifar_dist.engine.step import TrainStep
from cifar_dist.errors import CheckpointError

NETWORK = "network."
AVERAGE = "ema."


def train_parameters(step: TrainStep) -> dict[str, Parameter]:
    """Return every parameter that training changes, by a name that says whose it is."""
    counters = [step.loss_scale, step.good_steps, step.steps, step.skipped_steps]
    averages: Sequence[Parameter] = ()
    if step.average_weights is not None:
        averages = step.average_weights.averages
        counters.append(step.average_weights.updates)
    slow: Sequence[Parameter] = step.lookahead.slow if step.lookahead is not None else ()
    return {
        **_of_network(step.network),
        **{f"optimizer.{one.name}": one for one in step.optimizer.slots},
        **{one.name: one for one in (*averages, *slow)},
        **{f"step.{one.name}": one for one in counters},
    }


def to_arrays(parameters: Mapping[str, Parameter]) -> dict[str, NDArray[Any]]:
    """Copy parameters from the device."""
    return {name: np.array(one.asnumpy()) for name, one in parameters.items()}


def load_arrays(
    parameters: Mapping[str, Parameter], arrays: Mapping[str, NDArray[Any]], *, origin: str
) -> None:
    """Set every parameter from the array of its name; more arrays than parameters are no harm.

    Raises:
        CheckpointError: an array is missing, or has another shape or type.
    """
    for name, parameter in parameters.items():
        array = arrays.get(name)
        if array is None:
            raise CheckpointError(
                f"{origin} has no {name!r}: it is of another model or recipe; "
                "evaluate it with the recipe it was trained with"
            )
        own = parameter.asnumpy()
        if array.shape != own.shape or array.dtype != own.dtype:
            raise CheckpointError(
                f"{origin}: {name!r} is {array.dtype}{list(array.shape)}, the model wants "
                f"{own.dtype}{list(own.shape)}: it is of another model or recipe"
            )
    for name, parameter in parameters.items():
        assign(parameter, arrays[name])


def load_network(
    network: nn.Cell, checkpoint: Checkpoint, *, origin: str, average: bool = False
) -> None:
    """Set the weights and running statistics of a network; errors as :func:`load_arrays`.

    Args:
        network: of the model that the checkpoint holds.
        checkpoint: of a training run.
        origin: what messages call it.
        average: take the running average of the weights (train.ema_decay), not the last ones.
    """
    prefix = AVERAGE if average else NETWORK
    load_arrays(_of_network(network, prefix), checkpoint.arrays, origin=origin)


def _of_network(network: nn.Cell, prefix: str = NETWORK) -> dict[str, Parameter]:
    return {prefix + one.name: one for one in network.get_parameters()}
