"""VGG A, A-LRN, B, C, D, E (Simonyan and Zisserman, arXiv 1409.1556), each also with batch norm.

                        stem "cifar" (32 px)     stem "imagenet" (224 px)
    input               N C   32 32              N C   224 224
    block 1, pool       N  64 16 16              N  64 112 112
    block 2, pool       N 128  8  8              N 128  56  56
    block 3, pool       N 256  4  4              N 256  28  28
    block 4, pool       N 512  2  2              N 512  14  14
    block 5, pool       N 512  1  1              N 512   7   7
    classifier          N num_classes            N 4096, N 4096, N num_classes

The two heads: one dense layer for CIFAR, the paper's three with dropout for 224 px. Parameters are
named as in mindcv's VGG (``features.0``, ``classifier.0``), whose vgg11/13/16/19 are A, B, D, E.
With batch norm the convolutions have no bias: it would be subtracted at once and have no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

from mindspore import Tensor, nn

from cifar_dist.models import layers

_CHANNELS = (64, 128, 256, 512, 512)

# Simonyan and Zisserman, table 1: the kernels of each of the five blocks.
_LAYOUTS: dict[str, tuple[tuple[int, ...], ...]] = {
    "a": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "b": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "c": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "d": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "e": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}


class VGG(nn.Cell):
    """Images [N, in_channels, H, W] -> logits [N, num_classes].

    Args:
        layout: a to e, a column of table 1.
        norm: ``none``, ``batch`` after every convolution, ``local_response`` after the first.
        num_classes: length of the output.
        in_channels: C of the images.
        stem: ``cifar`` or ``imagenet``; here it chooses the head.
        width: factor on all channel counts, the dense layers' included.
    """

    def __init__(
        self,
        layout: str,
        *,
        norm: str = "none",
        num_classes: int = 10,
        in_channels: int = 3,
        stem: str = "cifar",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.features = nn.SequentialCell(list(_features(layout, norm, in_channels, width)))
        self.flatten = layers.flatten()
        last = layers.scaled(_CHANNELS[-1], width)
        if stem == "imagenet":
            self.classifier = _three_dense(last * 7 * 7, layers.scaled(4096, width), num_classes)
        else:
            self.classifier = layers.dense(last, num_classes, before_relu=False)

    def construct(self, images_nchw: Tensor) -> Tensor:
        return self.classifier(self.flatten(self.features(images_nchw)))


def _features(layout: str, norm: str, in_channels: int, width: float) -> Iterator[nn.Cell]:
    is_first = True
    for kernels, full_channels in zip(_LAYOUTS[layout], _CHANNELS, strict=True):
        channels = layers.scaled(full_channels, width)
        for kernel_px in kernels:
            yield layers.conv(in_channels, channels, kernel_px, bias=norm != "batch")
            if norm == "batch":
                yield layers.batch_norm(channels)
            yield nn.ReLU()
            if norm == "local_response" and is_first:
                yield layers.LocalResponseNorm()
            in_channels, is_first = channels, False
        yield layers.max_pool(2, stride=2)


def _three_dense(in_features: int, hidden: int, num_classes: int) -> nn.SequentialCell:
    return nn.SequentialCell(
        layers.dense(in_features, hidden, before_relu=True),
        nn.ReLU(),
        layers.dropout(0.5),
        layers.dense(hidden, hidden, before_relu=True),
        nn.ReLU(),
        layers.dropout(0.5),
        layers.dense(hidden, num_classes, before_relu=False),
    )


def build(
    *,
    layout: str,
    num_classes: int,
    in_channels: int,
    stem: str,
    width: float,
    norm: str = "none",
) -> nn.Cell:
    """Build a column of table 1 of the paper."""
    return VGG(
        layout,
        norm=norm,
        num_classes=num_classes,
        in_channels=in_channels,
        stem=stem,
        width=width,
    )
