"""The parameters of a run as named arrays: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn
from numpy.typing import NDArray

from cifar_dist.checkpoint.store import Checkpoint
from cifar_dist.engine.step import TrainStep
from cifar_dist.errors import CheckpointError

NETWORK = "network."


def train_parameters(step: TrainStep) -> dict[str, Parameter]:
    """Return every parameter that training changes, by a name that says whose it is."""
    optimizer = {f"optimizer.{one.name}": one for one in step.optimizer.velocities}
    counters = (step.loss_scale, step.good_steps, step.steps, step.skipped_steps)
    return {
        **_of_network(step.network),
        **optimizer,
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
        parameter.set_data(Tensor(arrays[name]))


def load_network(network: nn.Cell, checkpoint: Checkpoint, *, origin: str) -> None:
    """Set the weights and running statistics of a network; errors as :func:`load_arrays`."""
    load_arrays(_of_network(network), checkpoint.arrays, origin=origin)


def _of_network(network: nn.Cell) -> dict[str, Parameter]:
    return {NETWORK + one.name: one for one in network.get_parameters()}
