"""A network that looks at each image and at its mirror image: test-time augmentation by a flip."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

FLIPS = "_flips"
"""What evaluation records add to the name of the weights where both were looked at."""


class FlipAverage(nn.Cell):
    """Images [N, C, H, W] -> the mean of the logits of both, [N, num_classes]."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images_nchw: Tensor) -> Tensor:
        mirrored = ops.flip(images_nchw, (3,))
        return 0.5 * (self.network(images_nchw) + self.network(mirrored))
