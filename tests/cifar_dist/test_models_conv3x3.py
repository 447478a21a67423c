"""Winograd's algorithm against MindSpore's own convolution, values and gradients."""

from __future__ import annotations

from collections.abc import Iterator

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from cifar_dist.models import create_model, layers
from cifar_dist.models.conv3x3 import LEAST_CHANNELS, Conv3x3, Winograd
from cifar_dist.models.cpu_form import use_cpu_forms


@pytest.fixture(autouse=True, params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request: pytest.FixtureRequest) -> Iterator[None]:
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


def random(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Operator(nn.Cell):
    """What Winograd is another form of."""

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return ops.conv2d(x, weight, pad_mode="pad", padding=1)


def both(cell: nn.Cell, x: np.ndarray, weight: np.ndarray, sens: np.ndarray) -> list[np.ndarray]:
    """Return the result, and the gradients of image and kernel for given ones of the result."""
    cell.set_train()
    gradient = ops.GradOperation(get_all=True, sens_param=True)(cell)
    found = [cell(Tensor(x), Tensor(weight)), *gradient(Tensor(x), Tensor(weight), Tensor(sens))]
    return [one.asnumpy() for one in found]


@pytest.mark.parametrize(
    ("images", "channels", "maps", "height", "width"),
    [(3, 8, 5, 4, 4), (2, 4, 6, 8, 8), (1, 3, 4, 2, 2), (2, 5, 3, 16, 16), (1, 4, 2, 7, 5),
     (2, 3, 4, 12, 6), (1, 2, 3, 6, 30), (1, 3, 2, 15, 15)],
)  # fmt: skip
def test_a_convolution_and_its_gradients_are_those_of_the_operator(
    images: int, channels: int, maps: int, height: int, width: int
) -> None:
    x, weight = random(images, channels, height, width), random(maps, channels, 3, 3, seed=4)
    sens = random(images, maps, height, width, seed=5)
    expected = both(Operator(), x, weight, sens)
    for found, wanted in zip(both(Winograd(), x, weight, sens), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * wanted.std())


def wide(*, for_cpu: bool, bias: bool = False) -> nn.Cell:
    conv = layers.conv(LEAST_CHANNELS, LEAST_CHANNELS + 2, 3, bias=bias)
    conv.weight.set_data(Tensor(random(*conv.weight.shape)))
    if bias:
        conv.bias.set_data(Tensor(random(*conv.bias.shape, seed=4)))
    if for_cpu:
        use_cpu_forms(conv)
    return conv.set_train()


def test_a_wide_convolution_trains_by_it_and_is_evaluated_by_the_operator() -> None:
    x = Tensor(random(8, LEAST_CHANNELS, 8, 8))
    operator, of_cpu = (wide(for_cpu=for_cpu, bias=True) for for_cpu in (False, True))
    wanted, found = operator(x).asnumpy(), of_cpu(x).asnumpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * wanted.std())
    assert (found != wanted).any()
    np.testing.assert_array_equal(of_cpu.set_train(False)(x).asnumpy(), wanted)


def test_few_tiles_are_left_to_the_operator() -> None:
    x = Tensor(random(7, LEAST_CHANNELS, 8, 8))
    wanted, found = (wide(for_cpu=for_cpu)(x).asnumpy() for for_cpu in (False, True))
    np.testing.assert_array_equal(found, wanted)


def test_float16_is_left_to_the_operator() -> None:
    x = Tensor(random(8, LEAST_CHANNELS, 8, 8).astype(np.float16))
    wanted, found = (wide(for_cpu=for_cpu).to_float(ms.float16)(x) for for_cpu in (False, True))
    assert found.dtype == ms.float16
    np.testing.assert_array_equal(found.asnumpy(), wanted.asnumpy())


def test_float16_of_one_network_is_not_that_of_another() -> None:
    x = Tensor(random(8, LEAST_CHANNELS, 8, 8))
    before = wide(for_cpu=True)(x).asnumpy()
    wide(for_cpu=True).to_float(ms.float16)(x)
    np.testing.assert_array_equal(wide(for_cpu=True)(x).asnumpy(), before)


def test_few_channels_are_left_to_the_operator() -> None:
    x, convs = Tensor(random(8, 3, 8, 8)), [layers.conv(3, 64, 3) for _ in range(2)]
    for conv in convs:
        conv.weight.set_data(Tensor(random(*conv.weight.shape)))
    use_cpu_forms(convs[1])
    wanted, found = (conv.set_train()(x).asnumpy() for conv in convs)
    np.testing.assert_array_equal(found, wanted)


def test_layers_make_the_convolution_that_has_a_form_for_cpus() -> None:
    assert isinstance(layers.conv(3, 4, 3), Conv3x3)
    assert not isinstance(layers.conv(3, 4, 3, stride=2), Conv3x3)
    assert not isinstance(layers.conv(3, 4, 1), Conv3x3)


def test_parameters_have_the_names_of_the_operator() -> None:
    names = [weight.name for weight in create_model("resnet18", 10, seed=1).get_parameters()]
    assert "layer1.0.conv1.weight" in names
    assert not [name for name in names if "winograd" in name]
