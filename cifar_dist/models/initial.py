"""The first weights of a network, from a seed alone.

MindSpore's own initialisers draw from NumPy's global state, so that a weight depends on everything
that was drawn before it. Here each tensor has a stream of its own, found by (seed, name): the same
on every rank and device, and untouched by a layer that is added elsewhere.
"""

from __future__ import annotations

import hashlib

import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray


def draw_weights(network: nn.Cell, *, seed: int) -> None:
    """Draw the random weights of a newly built network, in place.

    Weights that are not random (biases, batch normalisation) are set when a layer is built.

    Args:
        network: cells with a ``weight_std`` (see ``cifar_dist.models.layers``) get normal weights
            of mean 0 and that standard deviation; with ``starts_as_identity``, the first outputs of
            a 3 x 3 convolution are its inputs.
        seed: any whole number.
    """
    for name, cell in network.cells_and_names():
        std = getattr(cell, "weight_std", None)
        if std is not None:
            weight = cell.weight
            drawn = std * normal(f"{name}.weight", weight.shape, seed=seed)
            if getattr(cell, "starts_as_identity", False):
                pass_through(drawn)
            weight.set_data(Tensor(drawn))


def pass_through(weight: NDArray[np.float32]) -> None:
    """Make the first outputs of a convolution its inputs, in place.

    Args:
        weight: float32[out_channels, in_channels, K, K], K odd.
    """
    channels = np.arange(min(weight.shape[:2]))
    weight[channels] = 0
    weight[channels, channels, weight.shape[2] // 2, weight.shape[3] // 2] = 1


def normal(name: str, shape: tuple[int, ...], *, seed: int) -> NDArray[np.float32]:
    """Return float32[shape] of standard normal numbers that depend on (seed, name) only.

    The stream is Philox (Salmon et al. 2011), keyed with a hash of both.
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    key = int.from_bytes(digest[:16], "little")
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(shape, dtype=np.float32)
