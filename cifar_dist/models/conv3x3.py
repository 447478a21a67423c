"""Convolutions of 3 x 3 pixels: MindSpore's operator, and for CPUs Winograd's algorithm.

On a CPU MindSpore 2.10 hands oneDNN images channels first, for which it unfolds them and multiplies
matrices. Multiplying those of :mod:`cifar_dist.models.winograd` instead takes a quarter of the
products, and a third to two thirds of the time. Measured by ``scripts/bench step``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from cifar_dist.models.cpu_form import HasCpuForm
from cifar_dist.models.winograd import PRODUCTS, of_kernel, of_pixels, of_result, tiles_along

P = ParamSpec("P")

LEAST_CHANNELS = 64
"""Below, in or out, the matrices around the products take what they save."""

LEAST_TILES = 32
"""Of a batch; below, the transformed weights are more than there is to do with them."""

WHOLE_PX = 8
"""Up to this height and width both axes are transformed by one matrix: more work, less to move."""


class Winograd(nn.Cell):
    """A convolution with kernels of 3 x 3 as products of matrices; float32.

    It is made of operators, not of functions: those take several times as long to compile. So does
    a transposition, which is why tiles by axes stay [W products, W tiles, H products, H tiles, N,
    C], and each kernel is there once for each W tile.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times_rows = ops.MatMul(transpose_b=True)
        self.columns_times = ops.MatMul(transpose_a=True)
        self.all_times_rows = ops.BatchMatMul(transpose_b=True)
        self.all_columns_times = ops.BatchMatMul(transpose_a=True)
        self.reshape = ops.Reshape()
        self.tile = ops.Tile()

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        """[N, C, H, W], [M, C, 3, 3] -> [N, M, H, W]."""
        images, _, height, width = x.shape
        maps, channels, _, _ = weight.shape
        is_whole = height <= WHOLE_PX and width <= WHOLE_PX
        across = 1 if is_whole else tiles_along(width)
        kernels = self.reshape(weight, (maps * channels, 9))
        kernels = self.times_rows(kernel_matrix(across), kernels)
        kernels = self.reshape(kernels, (PRODUCTS * across * PRODUCTS, maps, channels))
        result = self.of_whole_images(x, kernels) if is_whole else self.by_axis(x, kernels)
        return self.reshape(result, (images, maps, height, width))

    def of_whole_images(self, x: Tensor, kernels: Tensor) -> Tensor:
        """Transform both axes by one matrix."""
        images, channels, height, width = x.shape
        pixels = self.reshape(x, (images * channels, height * width))
        tiles = self.times_rows(pixels_matrix(height, width), pixels)
        tiles = self.reshape(tiles, (PRODUCTS * PRODUCTS, -1, channels))
        products = self.all_times_rows(tiles, kernels)
        products = self.reshape(products, (-1, images * kernels.shape[1]))
        return self.columns_times(products, result_matrix(height, width))

    def by_axis(self, x: Tensor, kernels: Tensor) -> Tensor:
        """Transform the rows, then, for each product and tile of them, the columns."""
        images, channels, height, width = x.shape
        in_row = PRODUCTS * tiles_along(width)
        rows = self.reshape(x, (images * channels * height, width))
        rows = self.times_rows(axis_matrix(width), rows)
        rows = self.reshape(rows, (in_row, images * channels, height))
        tiles = self.all_times_rows(self.repeated(axis_matrix(height), in_row), rows)
        tiles = self.reshape(tiles, (in_row * PRODUCTS, -1, channels))
        products = self.all_times_rows(tiles, kernels)
        maps = kernels.shape[1]
        products = self.reshape(products, (in_row, -1, images * maps))
        columns = self.repeated(result_axis_matrix(height), in_row)
        columns = self.all_columns_times(products, columns)
        columns = self.reshape(columns, (in_row, images * maps * height))
        return self.columns_times(columns, result_axis_matrix(width))

    def repeated(self, matrix: Tensor, times: int) -> Tensor:
        return self.tile(self.reshape(matrix, (1, *matrix.shape)), (times, 1, 1))


WINOGRAD = Winograd()
"""One for all: what was parsed and inferred for a shape is not done again. No cell has it as its
part, for parts take the precision of their network."""


class Conv3x3(nn.Conv2d, HasCpuForm):
    """A convolution of stride 1 with a border of one zero: [N, C, H, W] -> [N, M, H, W]."""

    def construct(self, x: Tensor) -> Tensor:
        is_wide = min(self.in_channels, self.out_channels) >= LEAST_CHANNELS
        if not (self.for_cpu and self.training and is_wide and x.dtype == ms.float32):
            return super().construct(x)
        images, _, height, width = x.shape
        if images * tiles_along(height) * tiles_along(width) < LEAST_TILES:
            return super().construct(x)
        maps = WINOGRAD(x, self.weight)
        return self.bias_add(maps, self.bias) if self.has_bias else maps


def while_compiled(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Let a graph have as a constant what follows from its shapes."""
    found: Callable[P, Tensor] = ms.constexpr(make)
    return found


@while_compiled
def kernel_matrix(tiles: int) -> Tensor:
    """Return [products of W, tiles of W, products of H; 9]; all tiles have the same."""
    both = np.einsum("wx,t,hy->wthyx", of_kernel(), np.ones(tiles, np.float32), of_kernel())
    return Tensor(both.reshape(-1, 9))


@while_compiled
def pixels_matrix(height: int, width: int) -> Tensor:
    """Return [products and tiles of W and H, H W]."""
    both = np.einsum("wsx,hty->whstyx", of_pixels(width), of_pixels(height))
    return Tensor(both.reshape(-1, height * width))


@while_compiled
def result_matrix(height: int, width: int) -> Tensor:
    """Return [products and tiles of W and H, H W]."""
    both = np.einsum("wsx,hty->whstyx", of_result(width), of_result(height))
    return Tensor(both.reshape(-1, height * width))


@while_compiled
def axis_matrix(px: int) -> Tensor:
    """Return [products and tiles, pixels]."""
    return Tensor(of_pixels(px).reshape(-1, px))


@while_compiled
def result_axis_matrix(px: int) -> Tensor:
    """Return [products and tiles, pixels]."""
    return Tensor(of_result(px).reshape(-1, px))
