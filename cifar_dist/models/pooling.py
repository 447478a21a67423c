"""Maxima over windows of 2 x 2, in the form of the device and in one for CPUs.

On a CPU MindSpore 2.10 takes longer for the gradient of a maximum pool than for most convolutions,
and hands oneDNN convolutions of few channels in a layout for which it has only its slowest way. The
forms here compute the same of operators that are fast there. Measured by ``scripts/bench step``.
"""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from cifar_dist.models.cpu_form import HasCpuForm


class LargestOfFour(nn.Cell):
    """The maximum of the four equal parts of a tensor along an axis, correct to rounding.

    It is made of a ReLU: the operator Maximum and its gradient take many times as long on a CPU. Of
    equal numbers one gets the gradient.
    """

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.halves = ops.Split(axis, 2)
        self.relu = ops.ReLU()

    def construct(self, parts: Tensor) -> Tensor:
        return self.larger(self.larger(parts))

    def larger(self, parts: Tensor) -> Tensor:
        one, other = self.halves(parts)
        return other + self.relu(one - other)


class MaxPool2x2(HasCpuForm):
    """The maximum of windows of 2 x 2: [N, C, H, W] -> [N, C, H // 2, W // 2].

    Args:
        pool: the device's own form.
    """

    def __init__(self, pool: nn.Cell) -> None:
        super().__init__()
        self.pool = pool
        self.largest = LargestOfFour(0)

    def construct(self, x: Tensor) -> Tensor:
        images, channels, height, width = x.shape
        if not (self.for_cpu and self.training) or height % 2 or width % 2:
            return self.pool(x)
        windows = ops.reshape(x, (images * channels, height // 2, 2, width // 2, 2))
        corners = ops.reshape(ops.transpose(windows, (2, 4, 0, 1, 3)), (4, -1))
        return ops.reshape(self.largest(corners), (images, channels, height // 2, width // 2))


class PooledConv(nn.Cell):
    """A convolution, ReLU and maximum of windows of 2 x 2 in one, for CPUs.

    The four convolutions of a window are one, with four times the maps and a stride of 2: its
    kernels are the given one at four places in K + 1 x K + 1 pixels. With blocks of 2 x 2 pixels as
    four channels of one pixel each it has a stride of 1, 4 C channels, and kernels of (K + 1) / 2
    blocks. Two thirds of their numbers (K = 5) are not zero, and oneDNN is more than twice as fast
    at it. The maximum needs no windows then.

    It is made of operators, not of functions: those take several times as long to compile.

    Args:
        maps: M, how many the convolution makes.
        kernel_px: K, odd.
    """

    def __init__(self, maps: int, kernel_px: int) -> None:
        super().__init__()
        self.maps = maps
        self.block_px = (kernel_px + 1) // 2
        self.places = Tensor(places(kernel_px))
        self.place = ops.MatMul()
        self.conv = ops.Conv2D(4 * maps, self.block_px, pad_mode="valid")
        self.largest = LargestOfFour(1)
        self.bias_add = ops.BiasAdd()
        self.relu = ops.ReLU()

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """[N, C, H, W], [M, C, K, K], [M] -> [N, M, (H - K + 1) / 2, (W - K + 1) / 2].

        H and W are even.
        """
        images, channels, height, width = x.shape
        maps, px = self.maps, self.block_px
        blocks = ops.reshape(x, (images, channels, height // 2, 2, width // 2, 2))
        blocks = ops.transpose(blocks, (0, 1, 3, 5, 2, 4))
        blocks = ops.reshape(blocks, (images, 4 * channels, height // 2, width // 2))
        flat = ops.reshape(weight, (maps * channels, -1))
        kernels = self.place(flat, ops.cast(self.places, weight.dtype))
        kernels = ops.reshape(kernels, (maps, channels, 4, 4 * px * px))
        kernels = ops.transpose(kernels, (2, 0, 1, 3))
        kernels = ops.reshape(kernels, (4 * maps, 4 * channels, px, px))
        return self.relu(self.bias_add(self.largest(self.conv(blocks, kernels)), bias))


def places(kernel_px: int) -> NDArray[np.float32]:
    """Return where each number of a kernel stands in the four kernels of a window.

    Args:
        kernel_px: K, odd.

    Returns:
        float32[K K, 4 (K + 1) (K + 1)] of zeros and ones; the second axis counts the corner of the
        window, row and column within a block of 2 x 2, then the row and column of the block.
    """
    blocks = (kernel_px + 1) // 2
    found = np.zeros((kernel_px, kernel_px, 2, 2, 2, 2, blocks, blocks), dtype=np.float32)
    for row in range(kernel_px):
        for column in range(kernel_px):
            for down in (0, 1):
                for right in (0, 1):
                    y, x = row + down, column + right
                    found[row, column, down, right, y % 2, x % 2, y // 2, x // 2] = 1
    return found.reshape(kernel_px**2, -1)
