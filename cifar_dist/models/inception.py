"""Inception: GoogLeNet (Szegedy et al., arXiv 1409.4842) with batch normalisation, and its SE form.

                             stem "cifar" (32 px)      stem "imagenet" (224 px)
    input                    N C    32 32              N C   224 224
    stem: 7x7, stride 2      -                         N  64 112 112
          max_pool, 1x1      -                         N  64  56  56
          3x3                N  192 32 32              N 192  56  56
          max_pool           -                         N 192  28  28
    stage3   (3a, 3b)        N  480 32 32              N 480  28  28
    stage4   (4a to 4e)      N  832 16 16              N 832  14  14
    stage5   (5a, 5b)        N 1024  8  8              N 1024  7   7
    pool, classifier         N num_classes             N num_classes

Each block joins four branches along C. Batch norm follows every convolution, as Ioffe and Szegedy
(arXiv 1502.03167) put it into this network; they drop the dropout with it, and gradients reach
the bottom without the two side classifiers, so this network has neither.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from mindspore import Tensor, nn, ops

from cifar_dist.models import layers, se
from cifar_dist.models.layers import ConvNormReLU


@dataclass(frozen=True)
class Branches:
    """Channels of one block, in the columns of table 1 of the paper."""

    conv1: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool_projection: int

    @property
    def out_channels(self) -> int:
        return self.conv1 + self.conv3 + self.conv5 + self.pool_projection

    def scaled(self, width: float) -> Branches:
        return Branches(*(layers.scaled(channels, width) for channels in astuple(self)))


_STAGE_3 = (Branches(64, 96, 128, 16, 32, 32), Branches(128, 128, 192, 32, 96, 64))
_STAGE_4 = (
    Branches(192, 96, 208, 16, 48, 64),
    Branches(160, 112, 224, 24, 64, 64),
    Branches(128, 128, 256, 24, 64, 64),
    Branches(112, 144, 288, 32, 64, 64),
    Branches(256, 160, 320, 32, 128, 128),
)
_STAGE_5 = (Branches(256, 160, 320, 32, 128, 128), Branches(384, 192, 384, 48, 128, 128))


class InceptionBlock(nn.Cell):
    """[N, in_channels, H, W] -> [N, branches.out_channels, H, W].

    Args:
        in_channels: C of the input.
        branches: channels inside.
        reduction: of squeeze and excitation over the joined branches; None for none.
    """

    def __init__(self, in_channels: int, branches: Branches, *, reduction: int | None) -> None:
        super().__init__()
        self.b1 = ConvNormReLU(in_channels, branches.conv1, 1)
        self.b2 = nn.SequentialCell(
            ConvNormReLU(in_channels, branches.reduce3, 1),
            ConvNormReLU(branches.reduce3, branches.conv3, 3),
        )
        self.b3 = nn.SequentialCell(
            ConvNormReLU(in_channels, branches.reduce5, 1),
            ConvNormReLU(branches.reduce5, branches.conv5, 5),
        )
        self.b4 = nn.SequentialCell(
            layers.max_pool(3, stride=1, same=True),
            ConvNormReLU(in_channels, branches.pool_projection, 1),
        )
        self.se = se.reweight(branches.out_channels, reduction)

    def construct(self, x: Tensor) -> Tensor:
        return self.se(ops.concat((self.b1(x), self.b2(x), self.b3(x), self.b4(x)), 1))


class Inception(nn.Cell):
    """Images [N, in_channels, H, W] -> logits [N, num_classes].

    Args:
        num_classes: length of the output.
        in_channels: C of the images.
        stem: ``cifar`` or ``imagenet``.
        width: factor on all channel counts.
        reduction: of squeeze and excitation in every block; None for none.
    """

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        stem: str = "cifar",
        width: float = 1.0,
        reduction: int | None = None,
    ) -> None:
        super().__init__()
        stem_channels = layers.scaled(192, width)
        stage3, stage4, stage5 = (
            tuple(branches.scaled(width) for branches in stage)
            for stage in (_STAGE_3, _STAGE_4, _STAGE_5)
        )
        make_stem = _cifar_stem if stem == "cifar" else _imagenet_stem
        self.stem = make_stem(in_channels, stem_channels)
        self.stage3 = _stage(stem_channels, stage3, reduction)
        self.stage4 = _stage(stage3[-1].out_channels, stage4, reduction)
        self.stage5 = _stage(stage4[-1].out_channels, stage5, reduction)
        self.max_pool = layers.max_pool(3, stride=2, same=True)
        self.pool = layers.GlobalAveragePool()
        self.classifier = layers.dense(stage5[-1].out_channels, num_classes, before_relu=False)

    def construct(self, images_nchw: Tensor) -> Tensor:
        x = self.max_pool(self.stage3(self.stem(images_nchw)))
        x = self.max_pool(self.stage4(x))
        return self.classifier(self.pool(self.stage5(x)))


def _cifar_stem(in_channels: int, out_channels: int) -> nn.Cell:
    return nn.SequentialCell(ConvNormReLU(in_channels, out_channels, 3))


def _imagenet_stem(in_channels: int, out_channels: int) -> nn.Cell:
    third = max(1, out_channels // 3)
    return nn.SequentialCell(
        ConvNormReLU(in_channels, third, 7, stride=2),
        layers.max_pool(3, stride=2, same=True),
        ConvNormReLU(third, third, 1),
        ConvNormReLU(third, out_channels, 3),
        layers.max_pool(3, stride=2, same=True),
    )


def _stage(
    in_channels: int, stage: tuple[Branches, ...], reduction: int | None
) -> nn.SequentialCell:
    inputs = [in_channels, *(branches.out_channels for branches in stage)]
    return nn.SequentialCell(
        [
            InceptionBlock(channels, branches, reduction=reduction)
            for channels, branches in zip(inputs, stage, strict=False)
        ]
    )


def build(
    *,
    num_classes: int,
    in_channels: int,
    stem: str,
    width: float,
    reduction: int | None = None,
) -> nn.Cell:
    """Build GoogLeNet, with squeeze and excitation where reduction is given."""
    return Inception(
        num_classes=num_classes,
        in_channels=in_channels,
        stem=stem,
        width=width,
        reduction=reduction,
    )
