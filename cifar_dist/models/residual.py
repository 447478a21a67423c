"""Residual blocks (He et al., arXiv 1512.03385), each with room for squeeze and excitation.

    basic        N C H W -> 3x3/stride, 3x3           -> N C' H/stride W/stride    C' = channels
    bottleneck   N C H W -> 1x1, 3x3/stride, 1x1 (4x) -> N C' H/stride W/stride    C' = 4 channels

The bottleneck has its stride in the 3 x 3 convolution ("v1.5"), as mindcv and torchvision have.
"""

from __future__ import annotations

from dataclasses import dataclass

from mindspore import Tensor, nn

from cifar_dist.models import layers, se


@dataclass(frozen=True)
class BlockStyle:
    """What all blocks of one network share.

    Args:
        reduction: of squeeze and excitation; None for none.
        zero_init_last_gamma: each block starts as its shortcut.
    """

    reduction: int | None = None
    zero_init_last_gamma: bool = False


class BasicBlock(nn.Cell):
    """Two 3 x 3 convolutions and a shortcut.

    Args:
        in_channels: C of the input.
        channels: C of the output.
        stride: of the first convolution.
        down_sample: the shortcut where shapes differ; None for the identity.
        style: what all blocks of the network share.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int,
        down_sample: nn.Cell | None,
        style: BlockStyle,
    ) -> None:
        super().__init__()
        self.conv1 = layers.conv(in_channels, channels, 3, stride=stride)
        self.bn1 = layers.batch_norm(channels)
        self.conv2 = layers.conv(channels, channels, 3)
        self.bn2 = layers.batch_norm(channels, zero_gamma=style.zero_init_last_gamma)
        self.se = se.reweight(channels, style.reduction)
        self.relu = nn.ReLU()
        self.down_sample = down_sample or nn.Identity()

    def construct(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.se(self.bn2(self.conv2(out)))
        return self.relu(out + self.down_sample(x))


class Bottleneck(nn.Cell):
    """A 3 x 3 convolution between two 1 x 1 ones, and a shortcut; arguments as of BasicBlock.

    ``channels`` is the width of the 3 x 3 convolution; the output has four times as many.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int,
        down_sample: nn.Cell | None,
        style: BlockStyle,
    ) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = layers.conv(in_channels, channels, 1)
        self.bn1 = layers.batch_norm(channels)
        self.conv2 = layers.conv(channels, channels, 3, stride=stride)
        self.bn2 = layers.batch_norm(channels)
        self.conv3 = layers.conv(channels, out_channels, 1)
        self.bn3 = layers.batch_norm(out_channels, zero_gamma=style.zero_init_last_gamma)
        self.se = se.reweight(out_channels, style.reduction)
        self.relu = nn.ReLU()
        self.down_sample = down_sample or nn.Identity()

    def construct(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.se(self.bn3(self.conv3(out)))
        return self.relu(out + self.down_sample(x))


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Cell:
    """Make the shortcut of option B: a 1 x 1 convolution with batch normalisation."""
    return nn.SequentialCell(
        layers.conv(in_channels, out_channels, 1, stride=stride), layers.batch_norm(out_channels)
    )
