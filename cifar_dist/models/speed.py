"""Small networks that reach a given accuracy in few operations (arXiv 2404.00498, section 3).

    input                              N  3 32 32
    whitening 2 x 2, bias, GELU        N 24 31 31
    group 1: conv, pool, conv          N  64 15 15
    group 2: conv, pool, conv          N 256  7  7
    group 3: conv, pool, conv          N 256  3  3
    max-pool 3 x 3                     N 256
    classifier, no bias, times 1/9     N num_classes

Every 3 x 3 convolution is followed by batch norm (after the pool where there is one) and GELU. The
norms have no gamma that learns, short memories and hardly any epsilon; convolutions start as the
identity on as many channels as come in. ``speed95`` is wider; ``speed96`` is wider still and has a
third convolution in each group, with a shortcut over the last two. Published as airbench94, 95 and
96; written here from the numbers in the paper.
"""

from __future__ import annotations

from mindspore import Tensor, nn

from cifar_dist.models import layers
from cifar_dist.models.whitening import WhiteningLayer, whitening_channels

LOGIT_SCALE = 1 / 9
NORM_EPS = 1e-12
NORM_MOMENTUM = 0.6


def _norm(channels: int) -> nn.BatchNorm2d:
    return layers.batch_norm(channels, eps=NORM_EPS, momentum=NORM_MOMENTUM, learns_gamma=False)


class _ConvNorm(nn.Cell):
    """Convolution of 3 x 3, an optional pool that halves rows and columns, norm, GELU."""

    def __init__(self, in_channels: int, out_channels: int, *, pool: bool) -> None:
        super().__init__()
        self.conv = layers.identity_conv(in_channels, out_channels)
        self.pool = layers.max_pool(2, stride=2) if pool else nn.Identity()
        self.bn = _norm(out_channels)
        self.gelu = layers.gelu()

    def construct(self, x: Tensor) -> Tensor:
        return self.gelu(self.bn(self.pool(self.conv(x))))


class _Group(nn.Cell):
    """Two or three convolutions: [N, in_channels, H, W] -> [N, out_channels, H // 2, W // 2].

    With three, what goes into the second is added to the norm of the third, before the last GELU.
    """

    def __init__(self, in_channels: int, out_channels: int, *, convolutions: int) -> None:
        super().__init__()
        self.first = _ConvNorm(in_channels, out_channels, pool=True)
        self.second = _ConvNorm(out_channels, out_channels, pool=False)
        self.has_shortcut = convolutions == 3
        if self.has_shortcut:
            self.conv = layers.identity_conv(out_channels, out_channels)
            self.bn = _norm(out_channels)
            self.gelu = layers.gelu()

    def construct(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.second(x)
        if self.has_shortcut:
            y = self.gelu(self.bn(self.conv(y)) + x)
        return y


class SpeedNet(nn.Cell):
    """Images [N, in_channels, 32, 32] -> logits [N, num_classes].

    Args:
        widths: channels of the three groups.
        convolutions: in each group, 2 or 3.
        num_classes: length of the output.
        in_channels: C of the images.
    """

    def __init__(
        self,
        widths: tuple[int, int, int],
        *,
        convolutions: int,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.whitening = WhiteningLayer(in_channels)
        groups = []
        channels = whitening_channels(in_channels)
        for width in widths:
            groups.append(_Group(channels, width, convolutions=convolutions))
            channels = width
        self.groups = nn.SequentialCell(groups)
        self.pool = layers.max_pool(3, stride=3)
        self.flatten = layers.flatten()
        self.classifier = layers.dense(channels, num_classes, before_relu=False, bias=False)

    def construct(self, images_nchw: Tensor) -> Tensor:
        x = self.groups(self.whitening(images_nchw))
        return self.classifier(self.flatten(self.pool(x))) * LOGIT_SCALE


def build(
    *,
    widths: tuple[int, int, int],
    convolutions: int,
    num_classes: int,
    in_channels: int,
    stem: str,
    width: float,
) -> nn.Cell:
    """Build a network of the family; ``stem`` can only be ``cifar``."""
    first, second, third = (layers.scaled(channels, width) for channels in widths)
    return SpeedNet(
        (first, second, third),
        convolutions=convolutions,
        num_classes=num_classes,
        in_channels=in_channels,
    )
