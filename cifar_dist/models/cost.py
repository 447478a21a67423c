"""What a network costs: its parameters and its multiply-adds."""

from __future__ import annotations

import math

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn


def parameter_count(network: nn.Cell) -> int:
    """Return how many numbers training changes."""
    return sum(math.prod(weight.shape) for weight in network.trainable_params())


def multiply_adds(network: nn.Cell, *, image_px: int, in_channels: int = 3) -> int:
    """Return the multiply-adds of convolutions and dense layers for one image.

    The layers are watched while one black image passes; this runs in PyNative mode.

    Args:
        network: maps [1, in_channels, image_px, image_px] to logits; its training flag is kept.
        image_px: height and width of the images, in pixels.
        in_channels: C of the images.
    """
    total = 0

    def add(cell: nn.Cell, _inputs: object, output: Tensor) -> None:
        nonlocal total
        rows_and_columns = math.prod(output.shape[2:])
        total += rows_and_columns * math.prod(cell.weight.shape)

    counted = [c for _, c in network.cells_and_names() if isinstance(c, (nn.Conv2d, nn.Dense))]
    handles = [cell.register_forward_hook(add) for cell in counted]
    mode, training = ms.get_context("mode"), network.training
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network.set_train(False)
    try:
        network(Tensor(np.zeros((1, in_channels, image_px, image_px), np.float32)))
    finally:
        for handle in handles:
            handle.remove()
        network.set_train(training)
        ms.set_context(mode=mode)
    return total
