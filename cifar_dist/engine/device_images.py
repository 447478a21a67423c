"""The training images on the device, cropped, mirrored and cut out in the graph.

What is done to each image is drawn on the host, as for images that lie there; 32 bytes an image
cross to the device in place of 3,072. A crop is two products with matrices of zeros and ones, which
pick rows and columns: exact for whole numbers up to 255 in float16 and above, and what a matrix
unit is made for, where gathers of single bytes are not. Not run on an NPU yet.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from numpy.typing import NDArray

from cifar_dist.data.augment import MEAN_BYTES
from cifar_dist.data.dataset import IMAGE_SHAPE
from cifar_dist.data.epoch_views import Augmentation

SIZE = IMAGE_SHAPE[-1]


class DeviceImages(nn.Cell):
    """int32[B, 8] -> float32[B, 3, 32, 32] of whole numbers from 0 to 255.

    What comes in is the table of :class:`cifar_dist.data.batches.DrawnBatch`.

    Args:
        images_nchw: uint8[N, 3, 32, 32], the training set; the device gets a copy.
        augmentation: what is done to images; mixing is not done here.
    """

    def __init__(self, images_nchw: NDArray[np.uint8], augmentation: Augmentation) -> None:
        super().__init__(auto_prefix=False)
        self.images = Parameter(Tensor(images_nchw), "device_images", requires_grad=False)
        self.padding = augmentation.random_crop_padding
        self.border = augmentation.crop_padding_mode
        self.cuts_out = augmentation.cutout_px > 0
        self.pixels = Tensor(np.arange(SIZE, dtype=np.int32).reshape(1, SIZE))
        self.mean = Tensor(np.array(MEAN_BYTES, dtype=np.float32).reshape(1, 3, 1, 1))

    def construct(self, table: Tensor) -> Tensor:
        whole = ops.cast(ops.gather(self.images, table[:, 0], 0), ms.float32)
        mirrored = table[:, 3:4]
        across = self.pixels + mirrored * (SIZE - 1 - 2 * self.pixels)
        rows = self.chosen(table[:, 1:2] + self.pixels)
        columns = self.chosen(table[:, 2:3] + across).transpose(0, 1, 3, 2)
        seen = ops.matmul(ops.matmul(rows, whole), columns)
        if self.border == "mean":
            inside = rows.sum(3, keepdims=True) * columns.sum(2, keepdims=True)
            seen = seen + (1 - inside) * self.mean
        if self.cuts_out:
            seen = ops.select(self.box(table), self.mean, seen)
        return seen

    def chosen(self, padded: Tensor) -> Tensor:
        """Return which pixel of an image is seen: float32[B, 1, 32 seen, 32 of the image].

        A border of zeros needs no pixels: nothing is chosen there.

        Args:
            padded: int32[B, 32], places within the padded image.
        """
        places = padded - self.padding
        if self.border == "reflect":
            last = SIZE - 1
            places = last - ops.abs(last - ops.abs(places))
        is_seen = ops.equal(ops.expand_dims(places, 2), ops.expand_dims(self.pixels, 1))
        return ops.cast(ops.expand_dims(is_seen, 1), ms.float32)

    def box(self, table: Tensor) -> Tensor:
        """Return what is cut out: bool[B, 1, 32, 32]."""
        rows = ops.logical_and(self.pixels >= table[:, 4:5], self.pixels < table[:, 5:6])
        columns = ops.logical_and(self.pixels >= table[:, 6:7], self.pixels < table[:, 7:8])
        both = ops.logical_and(ops.expand_dims(rows, 2), ops.expand_dims(columns, 1))
        return ops.expand_dims(both, 1)
