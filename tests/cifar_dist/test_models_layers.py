"""The parts of networks against their definitions, written out in NumPy."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from cifar_dist.models import layers
from cifar_dist.models.resnet_cifar import ZeroPadShortcut
from cifar_dist.models.se import SqueezeExcite


@pytest.fixture(autouse=True)
def graph_mode() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)


def run(cell: nn.Cell, x: np.ndarray) -> np.ndarray:
    cell.set_train(False)
    found: np.ndarray = cell(Tensor(x)).asnumpy()
    return found


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def test_local_response_norm_is_the_formula_of_its_paper() -> None:
    x = 30 * random(2, 9, 3, 4)
    expected = np.empty_like(x)
    for channel in range(9):
        window = x[:, max(0, channel - 2) : channel + 3]
        expected[:, channel] = x[:, channel] / (2 + 1e-4 * (window**2).sum(axis=1)) ** 0.75
    np.testing.assert_allclose(run(layers.LocalResponseNorm(), x), expected, rtol=1e-5)


def test_local_response_norm_does_not_overflow_in_float16() -> None:
    x = np.full((1, 6, 2, 2), 1000, np.float16)  # its square is above the largest float16
    found = run(layers.LocalResponseNorm(), x)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found[0, 2, 0, 0], 1000 / 502**0.75, rtol=2e-3)


def test_shortcut_a_takes_every_second_pixel_and_adds_zero_channels() -> None:
    x = random(2, 5, 8, 8)
    found = run(ZeroPadShortcut(), x)
    assert found.shape == (2, 10, 4, 4)
    np.testing.assert_array_equal(found[:, :5], x[:, :, ::2, ::2])
    assert not found[:, 5:].any()


def test_squeeze_and_excitation_is_squeeze_excite_reweight() -> None:
    block = SqueezeExcite(8, reduction=2)
    reduce, expand = random(4, 8), random(8, 4)
    block.conv_reduce.weight.set_data(Tensor(reduce.reshape(4, 8, 1, 1)))
    block.conv_expand.weight.set_data(Tensor(expand.reshape(8, 4, 1, 1)))
    block.conv_expand.bias.set_data(Tensor(np.full(8, 0.5, np.float32)))
    x = random(3, 8, 6, 6)
    hidden = np.maximum(x.mean(axis=(2, 3)) @ reduce.T, 0)
    gate = 1 / (1 + np.exp(-(hidden @ expand.T + 0.5)))
    np.testing.assert_allclose(run(block, x), x * gate[:, :, None, None], rtol=1e-5, atol=1e-6)


def test_a_thin_squeeze_keeps_one_hidden_unit() -> None:
    assert SqueezeExcite(8, reduction=16).conv_reduce.weight.shape == (1, 8, 1, 1)


@pytest.mark.parametrize(("kernel_px", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)])
def test_a_convolution_keeps_or_divides_the_map(kernel_px: int, stride: int) -> None:
    cell = layers.conv(2, 4, kernel_px, stride=stride)
    assert run(cell, random(1, 2, 8, 8)).shape == (1, 4, 8 // stride, 8 // stride)


def test_global_average_is_the_mean_of_each_map() -> None:
    x = random(2, 3, 4, 5)
    found = run(layers.GlobalAveragePool(), x)
    np.testing.assert_allclose(found, x.mean(axis=(2, 3)), rtol=1e-5, atol=1e-6)
