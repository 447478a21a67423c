"""ResNet-20/32/44/56/110 for CIFAR (He et al., arXiv 1512.03385, section 4.2) and their SE forms.

    input                  N C  32 32
    conv1 3x3, bn1, ReLU   N 16 32 32
    layer1  n blocks       N 16 32 32     depth = 6 n + 2
    layer2  n blocks       N 32 16 16
    layer3  n blocks       N 64  8  8
    pool, classifier       N num_classes

Where a stage halves the map and doubles the channels, the shortcut is the paper's A, every second
row and column with zeros for the new channels and no parameters, or B, a projection.
"""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from cifar_dist.models import layers
from cifar_dist.models.residual import BasicBlock, BlockStyle, projection


class ZeroPadShortcut(nn.Cell):
    """Shortcut A: [N, C, H, W] -> [N, 2 C, H / 2, W / 2], the new channels all zero."""

    def __init__(self) -> None:
        super().__init__()
        self.subsample = layers.subsample(2)

    def construct(self, x: Tensor) -> Tensor:
        x = self.subsample(x)
        return ops.concat((x, ops.zeros_like(x)), 1)


class CifarResNet(nn.Cell):
    """Images [N, in_channels, 32, 32] -> logits [N, num_classes].

    Args:
        depth: 6 n + 2 for n blocks in each of three stages.
        num_classes: length of the output.
        in_channels: C of the images.
        width: factor on all channel counts.
        shortcut: ``A`` or ``B``.
        style: what all blocks share.
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        shortcut: str = "A",
        style: BlockStyle,
    ) -> None:
        super().__init__()
        count = (depth - 2) // 6
        first = layers.scaled(16, width)
        self.conv1 = layers.conv(in_channels, first, 3)
        self.bn1 = layers.batch_norm(first)
        self.relu = nn.ReLU()
        self.layer1 = _stage(first, first, count=count, down_sample=None, style=style)
        self.layer2 = _stage(
            first, 2 * first, count=count, down_sample=_halving(first, shortcut), style=style
        )
        self.layer3 = _stage(
            2 * first,
            4 * first,
            count=count,
            down_sample=_halving(2 * first, shortcut),
            style=style,
        )
        self.pool = layers.GlobalAveragePool()
        self.classifier = layers.dense(4 * first, num_classes, before_relu=False)

    def construct(self, images_nchw: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(images_nchw)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.classifier(self.pool(x))


def _halving(in_channels: int, shortcut: str) -> nn.Cell:
    return ZeroPadShortcut() if shortcut == "A" else projection(in_channels, 2 * in_channels, 2)


def _stage(
    in_channels: int,
    channels: int,
    *,
    count: int,
    down_sample: nn.Cell | None,
    style: BlockStyle,
) -> nn.SequentialCell:
    stride = 1 if down_sample is None else 2
    blocks = [
        BasicBlock(in_channels, channels, stride=stride, down_sample=down_sample, style=style)
    ]
    for _ in range(1, count):
        blocks.append(BasicBlock(channels, channels, stride=1, down_sample=None, style=style))
    return nn.SequentialCell(blocks)


def build(
    *,
    depth: int,
    num_classes: int,
    in_channels: int,
    stem: str,
    width: float,
    zero_init_last_gamma: bool,
    shortcut: str,
    reduction: int | None = None,
) -> nn.Cell:
    """Build a ResNet of section 4.2; ``stem`` can only be ``cifar``."""
    return CifarResNet(
        depth,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        shortcut=shortcut,
        style=BlockStyle(reduction=reduction, zero_init_last_gamma=zero_init_last_gamma),
    )
