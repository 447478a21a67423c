"""The building blocks that all networks are made of.

MindSpore announces changes of the signatures of Conv2d, Dense, BatchNorm2d, MaxPool2d, Flatten and
Dropout after 2.9: this module is the one place that calls them.

Every layer is built with zeros where it has random weights, and carries ``weight_std``, the
standard deviation with which ``cifar_dist.models.initial`` draws them: the layer knows its purpose,
the draw does not need to.

Shapes: N images, C channels, H rows, W columns; images and feature maps are [N, C, H, W].
"""

from __future__ import annotations

import math

import mindspore as ms
from mindspore import Tensor, nn, ops

from cifar_dist.models.conv3x3 import Conv3x3
from cifar_dist.models.pooling import MaxPool2x2

BATCH_NORM_EPS = 1e-5
BATCH_NORM_MOMENTUM = 0.9  # the share of the old running mean that is kept


def scaled(channels: int, width: float) -> int:
    """Return a channel count times the width of a network, at least 1."""
    return max(1, round(channels * width))


def conv(
    in_channels: int, out_channels: int, kernel_px: int, *, stride: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Make a convolution that keeps H and W at stride 1 (odd kernels, zeros around the image).

    [N, in_channels, H, W] -> [N, out_channels, ceil(H / stride), ceil(W / stride)].
    Weights are normal with variance 2 / fan-out (He et al. 2015, section 2.2).
    """
    kind = Conv3x3 if (kernel_px, stride) == (3, 1) else nn.Conv2d
    cell = kind(
        in_channels,
        out_channels,
        kernel_px,
        stride=stride,
        pad_mode="pad",
        padding=kernel_px // 2,
        has_bias=bias,
        weight_init="zeros",
        bias_init="zeros",
    )
    cell.weight_std = math.sqrt(2 / (kernel_px * kernel_px * out_channels))
    return cell


def valid_conv(in_channels: int, out_channels: int, kernel_px: int) -> nn.Conv2d:
    """Make a convolution with bias and without a border, before a ReLU.

    [N, in_channels, H, W] -> [N, out_channels, H - kernel_px + 1, W - kernel_px + 1].
    """
    cell = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_px,
        pad_mode="valid",
        has_bias=True,
        weight_init="zeros",
        bias_init="zeros",
    )
    cell.weight_std = math.sqrt(2 / (kernel_px * kernel_px * in_channels))
    return cell


def identity_conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Make a 3 x 3 convolution without bias that keeps H and W and starts partly as the identity.

    The first ``in_channels`` of its outputs start as its inputs (arXiv 2404.00498, section 3.1), as
    far as there are so many; the others are normal with variance 1 / (3 fan-in).
    """
    cell = conv(in_channels, out_channels, 3)
    cell.weight_std = math.sqrt(1 / (3 * 9 * in_channels))
    cell.starts_as_identity = True
    return cell


def frozen_conv(
    in_channels: int, out_channels: int, kernel_px: int, *, keeps_size: bool
) -> nn.Conv2d:
    """Make a convolution whose bias learns and whose weights are set by something else.

    [N, in_channels, H, W] -> [N, out_channels, H - kernel_px + 1, W - kernel_px + 1], or H and W as
    they were, by zeros under and right of the image (``keeps_size``; even kernels).
    """
    cell = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_px,
        pad_mode="pad" if keeps_size else "valid",
        padding=(0, kernel_px - 1, 0, kernel_px - 1) if keeps_size else 0,
        has_bias=True,
        weight_init="zeros",
        bias_init="zeros",
    )
    cell.weight_std = math.sqrt(1 / (kernel_px * kernel_px * in_channels))
    cell.weight.requires_grad = False
    return cell


def gate_conv(in_channels: int, out_channels: int, *, before_relu: bool) -> nn.Conv2d:
    """Make a 1 x 1 convolution with bias: a dense layer for each pixel of [N, C, H, W].

    Its variance is 2 / fan-in before a ReLU, 1 / fan-in elsewhere.
    """
    cell = conv(in_channels, out_channels, 1, bias=True)
    cell.weight_std = math.sqrt((2 if before_relu else 1) / in_channels)
    return cell


def dense(in_features: int, out_features: int, *, before_relu: bool, bias: bool = True) -> nn.Dense:
    """Make a dense layer: [N, in_features] -> [N, out_features].

    Weights are normal, with variance 2 / fan-in before a ReLU (He et al. 2015, equation 10), and
    1 / (3 fan-in) elsewhere: small first logits, the variance of the uniform draw of LeCun et al.
    """
    cell = nn.Dense(
        in_features, out_features, has_bias=bias, weight_init="zeros", bias_init="zeros"
    )
    cell.weight_std = math.sqrt((2 if before_relu else 1 / 3) / in_features)
    return cell


def batch_norm(
    channels: int,
    *,
    zero_gamma: bool = False,
    learns_gamma: bool = True,
    eps: float = BATCH_NORM_EPS,
    momentum: float = BATCH_NORM_MOMENTUM,
) -> nn.BatchNorm2d:
    """Make a batch normalisation over N, H and W of [N, channels, H, W].

    Args:
        channels: C of the feature map.
        zero_gamma: start with a scale of zero, so that the residual branch it ends starts as
            nothing (Goyal et al. 2017, section 5.1).
        learns_gamma: False leaves the scale as it starts.
        eps: added to the variance.
        momentum: the share of the old running statistics that is kept.
    """
    cell = nn.BatchNorm2d(
        channels, eps=eps, momentum=momentum, gamma_init="zeros" if zero_gamma else "ones"
    )
    cell.gamma.requires_grad = learns_gamma
    return cell


def max_pool(kernel_px: int, *, stride: int, same: bool = False) -> nn.Cell:
    """Make a maximum over windows of [N, C, H, W].

    Args:
        kernel_px: height and width of the window.
        stride: step of the window.
        same: let windows reach over the border, so that the result has ceil(H / stride) rows.
    """
    pool = nn.MaxPool2d(kernel_px, stride=stride, pad_mode="same" if same else "valid")
    return MaxPool2x2(pool) if (kernel_px, stride, same) == (2, 2, False) else pool


def subsample(stride: int) -> nn.Cell:
    """Take every stride-th row and column of [N, C, H, W]: a pool over single pixels."""
    return max_pool(1, stride=stride)


def dropout(rate: float) -> nn.Dropout:
    """Make a layer that sets a share ``rate`` of its inputs to zero in training."""
    return nn.Dropout(p=rate)


def gelu() -> nn.GELU:
    """Make x times the normal distribution function at x, not its approximation by tanh."""
    return nn.GELU(approximate=False)


def flatten() -> nn.Flatten:
    """Make [N, C, H, W] -> [N, C H W]."""
    return nn.Flatten()


class GlobalAveragePool(nn.Cell):
    """The mean over rows and columns: [N, C, H, W] -> [N, C], or [N, C, 1, 1]."""

    def __init__(self, *, keep_dims: bool = False) -> None:
        super().__init__()
        self.keep_dims = keep_dims

    def construct(self, x: Tensor) -> Tensor:
        return ops.mean(x, (2, 3), self.keep_dims)


class LocalResponseNorm(nn.Cell):
    """Divide each pixel by the size of its neighbours in nearby channels; [N, C, H, W] stays.

    Krizhevsky et al. 2012, section 3.3: window n = 5, k = 2, alpha = 1e-4, beta = 0.75. Written
    with elementary operations in float32: MindSpore's own operator is deprecated and has no Ascend
    kernel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reach = 2

    def construct(self, x: Tensor) -> Tensor:
        squares = ops.square(ops.cast(x, ms.float32))
        channels = x.shape[1]
        border = ops.zeros_like(squares[:, : self.reach])
        padded = ops.concat((border, squares, border), 1)
        total = padded[:, :channels]
        for offset in range(1, 2 * self.reach + 1):
            total = total + padded[:, offset : offset + channels]
        return x * ops.cast(ops.pow(2.0 + 1e-4 * total, -0.75), x.dtype)


class ConvNormReLU(nn.Cell):
    """Convolution, batch normalisation and ReLU; maps of H / stride rows and W / stride columns."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_px: int, *, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = conv(in_channels, out_channels, kernel_px, stride=stride)
        self.bn = batch_norm(out_channels)
        self.relu = nn.ReLU()

    def construct(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))
