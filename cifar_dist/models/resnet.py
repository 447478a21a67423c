"""ResNet-18/34/50/101/152 (He et al., arXiv 1512.03385) and their SE forms.

                           stem "cifar" (32 px)      stem "imagenet" (224 px)
    input                  N C   32 32               N C  224 224
    conv1, bn1, ReLU       N 64  32 32  (3x3)        N 64 112 112  (7x7, stride 2)
    max_pool               -                         N 64  56  56  (3x3, stride 2)
    layer1                 N  64e 32 32              N  64e 56 56
    layer2                 N 128e 16 16              N 128e 28 28
    layer3                 N 256e  8  8              N 256e 14 14
    layer4                 N 512e  4  4              N 512e  7  7
    pool, classifier       N num_classes             N num_classes

e is 1 for basic blocks (18, 34), 4 for bottlenecks. Parameters are named as in mindcv's ResNet;
``layer0.0``, ``layer0.1``, ``downsample`` and ``se_module`` of its SE-ResNets are here ``conv1``,
``bn1``, ``down_sample`` and ``se``.
"""

from __future__ import annotations

from mindspore import Tensor, nn

from cifar_dist.models import layers
from cifar_dist.models.residual import BasicBlock, BlockStyle, Bottleneck, projection

# He et al., table 1: blocks of each of the four stages.
_DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Cell):
    """Images [N, in_channels, H, W] -> logits [N, num_classes].

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_classes: length of the output.
        in_channels: C of the images.
        stem: ``cifar`` or ``imagenet``.
        width: factor on all channel counts.
        style: what all blocks share.
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        stem: str = "cifar",
        width: float = 1.0,
        style: BlockStyle,
    ) -> None:
        super().__init__()
        block, counts = _DEPTHS[depth]
        first = layers.scaled(64, width)
        imagenet = stem == "imagenet"
        self.conv1 = layers.conv(
            in_channels, first, 7 if imagenet else 3, stride=2 if imagenet else 1
        )
        self.bn1 = layers.batch_norm(first)
        self.relu = nn.ReLU()
        self.max_pool = layers.max_pool(3, stride=2, same=True) if imagenet else nn.Identity()
        wide = block.expansion
        self.layer1 = _stage(block, first, first, count=counts[0], stride=1, style=style)
        self.layer2 = _stage(block, first * wide, first * 2, count=counts[1], stride=2, style=style)
        self.layer3 = _stage(
            block, first * 2 * wide, first * 4, count=counts[2], stride=2, style=style
        )
        self.layer4 = _stage(
            block, first * 4 * wide, first * 8, count=counts[3], stride=2, style=style
        )
        self.pool = layers.GlobalAveragePool()
        self.classifier = layers.dense(first * 8 * wide, num_classes, before_relu=False)

    def construct(self, images_nchw: Tensor) -> Tensor:
        x = self.max_pool(self.relu(self.bn1(self.conv1(images_nchw))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.classifier(self.pool(x))


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    in_channels: int,
    channels: int,
    *,
    count: int,
    stride: int,
    style: BlockStyle,
) -> nn.SequentialCell:
    out_channels = channels * block.expansion
    down_sample = None
    if stride != 1 or in_channels != out_channels:
        down_sample = projection(in_channels, out_channels, stride)
    blocks = [block(in_channels, channels, stride=stride, down_sample=down_sample, style=style)]
    for _ in range(1, count):
        blocks.append(block(out_channels, channels, stride=1, down_sample=None, style=style))
    return nn.SequentialCell(blocks)


def build(
    *,
    depth: int,
    num_classes: int,
    in_channels: int,
    stem: str,
    width: float,
    zero_init_last_gamma: bool,
    reduction: int | None = None,
) -> nn.Cell:
    """Build a ResNet of the paper's table 1, its SE form where a reduction is given."""
    return ResNet(
        depth,
        num_classes=num_classes,
        in_channels=in_channels,
        stem=stem,
        width=width,
        style=BlockStyle(reduction=reduction, zero_init_last_gamma=zero_init_last_gamma),
    )
