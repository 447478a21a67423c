"""The squeeze-and-excitation block (Hu et al., arXiv 1709.01507): reweight channels by content.

    input                              N C H W
    squeeze   mean over H and W        N C 1 1
    reduce    1 x 1 conv, ReLU         N C/r 1 1
    expand    1 x 1 conv, sigmoid      N C 1 1
    reweight  input times that         N C H W

The paper's r is 16 throughout, its CIFAR networks included, and so do replications with the thin
ResNet-20 family, where 16 channels leave one hidden unit; so it is the default everywhere here.
"""

from __future__ import annotations

from mindspore import Tensor, nn

from cifar_dist.models import layers


class SqueezeExcite(nn.Cell):
    """Reweight the channels of [N, channels, H, W]; any block can end in one.

    Args:
        channels: C of the feature map.
        reduction: r, the hidden layer has max(1, channels // r) units.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.pool = layers.GlobalAveragePool(keep_dims=True)
        self.conv_reduce = layers.gate_conv(channels, hidden, before_relu=True)
        self.relu = nn.ReLU()
        self.conv_expand = layers.gate_conv(hidden, channels, before_relu=False)
        self.sigmoid = nn.Sigmoid()

    def construct(self, x: Tensor) -> Tensor:
        gate = self.relu(self.conv_reduce(self.pool(x)))
        return x * self.sigmoid(self.conv_expand(gate))


def reweight(channels: int, reduction: int | None) -> nn.Cell:
    """Make the end of a block: squeeze and excitation, or nothing where reduction is None."""
    if reduction is None:
        return nn.Identity()
    return SqueezeExcite(channels, reduction=reduction)
