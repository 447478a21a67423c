"""LeNet-5 (LeCun et al. 1998) for colour images, as courses teach it today.

    input                  N C 32 32    C = 3
    conv1  5 x 5, ReLU     N  6 28 28
    pool   2 x 2           N  6 14 14
    conv2  5 x 5, ReLU     N 16 10 10
    pool   2 x 2           N 16  5  5
    fc1          ReLU      N 120
    fc2          ReLU      N 84
    classifier             N num_classes

62,006 parameters with 3 channels and 10 classes. Against the paper: maximum instead of average
pooling, ReLU instead of tanh, all maps of conv1 joined to all of conv2, a plain output layer.
"""

from __future__ import annotations

from mindspore import Tensor, nn

from cifar_dist.models import layers
from cifar_dist.models.cpu_form import HasCpuForm
from cifar_dist.models.pooling import PooledConv


class LeNet5(HasCpuForm):
    """Images [N, in_channels, 32, 32] -> logits [N, num_classes].

    Args:
        num_classes: length of the output.
        in_channels: C of the images.
        relu_between_dense: False is the plain form of the course: no ReLU after fc1 and fc2.
    """

    def __init__(
        self, *, num_classes: int = 10, in_channels: int = 3, relu_between_dense: bool = True
    ) -> None:
        super().__init__()
        self.conv1 = layers.valid_conv(in_channels, 6, 5)
        self.conv2 = layers.valid_conv(6, 16, 5)
        self.relu = nn.ReLU()
        self.pool = layers.max_pool(2, stride=2)
        self.pooled_conv1 = PooledConv(6, 5)
        self.pooled_conv2 = PooledConv(16, 5)
        self.flatten = layers.flatten()
        self.fc1 = layers.dense(16 * 5 * 5, 120, before_relu=relu_between_dense)
        self.fc2 = layers.dense(120, 84, before_relu=relu_between_dense)
        self.dense_relu = nn.ReLU() if relu_between_dense else nn.Identity()
        self.classifier = layers.dense(84, num_classes, before_relu=False)

    def construct(self, images_nchw: Tensor) -> Tensor:
        x = self.flatten(self.maps(images_nchw))
        x = self.dense_relu(self.fc1(x))
        x = self.dense_relu(self.fc2(x))
        return self.classifier(x)

    def maps(self, images_nchw: Tensor) -> Tensor:
        """Return what the dense layers look at: [N, 16, 5, 5]."""
        if self.for_cpu and self.training:
            x = self.pooled_conv1(images_nchw, self.conv1.weight, self.conv1.bias)
            return self.pooled_conv2(x, self.conv2.weight, self.conv2.bias)
        x = self.pool(self.relu(self.conv1(images_nchw)))
        return self.pool(self.relu(self.conv2(x)))


def build(*, num_classes: int, in_channels: int, stem: str, relu_between_dense: bool) -> nn.Cell:
    """Build LeNet-5; ``stem`` can only be ``cifar``."""
    return LeNet5(
        num_classes=num_classes, in_channels=in_channels, relu_between_dense=relu_between_dense
    )
