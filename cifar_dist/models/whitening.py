"""A frozen first layer that whitens small patches of the images, and how to put one anywhere.

Neighbouring pixels and colours say nearly the same; a layer that gets them uncorrelated and equally
strong learns faster (arXiv 2404.00498, section 3.2). The filters are found from training images:
see :mod:`cifar_dist.data.whitening` and :mod:`cifar_dist.engine.whitening`. Until then they are
random, as those of any other layer.
"""

from __future__ import annotations

from collections.abc import Iterator

from mindspore import Tensor, nn

from cifar_dist.models import layers

PATCH_PX = 2


def whitening_channels(in_channels: int) -> int:
    """Return how many channels come out: each direction of a patch, and its negative."""
    return 2 * in_channels * PATCH_PX**2


class WhiteningLayer(nn.Cell):
    """Convolution of 2 x 2 with frozen weights and a bias that learns, and GELU.

    [N, in_channels, H, W] -> [N, 8 in_channels, H - 1, W - 1]; [N, 8 in_channels, H, W] where it
    ``keeps_size``, by zeros under the last row and right of the last column.
    """

    def __init__(self, in_channels: int, *, keeps_size: bool = False) -> None:
        super().__init__()
        self.conv = layers.frozen_conv(
            in_channels, whitening_channels(in_channels), PATCH_PX, keeps_size=keeps_size
        )
        self.gelu = layers.gelu()

    def construct(self, images_nchw: Tensor) -> Tensor:
        return self.gelu(self.conv(images_nchw))


class Whitened(nn.Cell):
    """Any network behind a whitening layer that keeps the size of the images."""

    def __init__(self, body: nn.Cell, *, in_channels: int) -> None:
        super().__init__()
        self.whitening = WhiteningLayer(in_channels, keeps_size=True)
        self.body = body

    def construct(self, images_nchw: Tensor) -> Tensor:
        return self.body(self.whitening(images_nchw))


def whitening_layers(network: nn.Cell) -> Iterator[WhiteningLayer]:
    """Yield the whitening layers of a network; most have none."""
    for _, cell in network.cells_and_names():
        if isinstance(cell, WhiteningLayer):
            yield cell
