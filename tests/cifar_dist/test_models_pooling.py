"""The forms for CPUs against MindSpore's own operators, values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from cifar_dist.config import Config
from cifar_dist.data.dataset import Dataset
from cifar_dist.engine.task import build_train_task
from cifar_dist.models import create_model, layers
from cifar_dist.models.cpu_form import use_cpu_forms
from cifar_dist.models.pooling import MaxPool2x2, PooledConv, places
from cifar_dist.runtime.context import DistContext


@pytest.fixture(autouse=True)
def graph_mode() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)


def random(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Gradients(nn.Cell):
    """The result of a cell, and the gradients of its product with given numbers."""

    def __init__(self, cell: nn.Cell, count: int) -> None:
        super().__init__(auto_prefix=False)
        self.cell = cell
        self.is_single = count == 1  # MindSpore returns no tuple then
        self.gradient = ops.value_and_grad(self.product, tuple(range(count)), None, has_aux=True)

    def product(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        result = self.cell(*inputs[:-1])
        return ops.reduce_sum(ops.cast(result * inputs[-1], ms.float32)), result

    def construct(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (_, result), gradients = self.gradient(*inputs)
        return (result, gradients) if self.is_single else (result, *gradients)


def both(cell: nn.Cell, *inputs: np.ndarray) -> list[np.ndarray]:
    """Return what a cell gives in training, and the gradients of all inputs but the last."""
    cell.set_train()
    found = Gradients(cell, len(inputs) - 1)(*map(Tensor, inputs))
    return [one.asnumpy() for one in found]


class ConvReluPool(nn.Cell):
    """What PooledConv is one form of."""

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        maps = ops.bias_add(ops.conv2d(x, weight, pad_mode="valid"), bias)
        return ops.max_pool2d(ops.relu(maps), 2, 2)


def cpu_pool() -> nn.Cell:
    pool = layers.max_pool(2, stride=2)
    use_cpu_forms(pool)
    return pool


@pytest.mark.parametrize("shape", [(3, 2, 4, 6), (1, 5, 2, 2), (2, 3, 8, 8)])
def test_a_pool_and_its_gradient_are_those_of_the_operator(shape: tuple[int, ...]) -> None:
    x, weights = random(*shape), random(*shape[:2], shape[2] // 2, shape[3] // 2, seed=4)
    expected = both(nn.MaxPool2d(2, 2), x, weights)
    for found, wanted in zip(both(cpu_pool(), x, weights), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_of_equal_pixels_one_gets_the_gradient() -> None:
    x = np.repeat(np.float32([[1, 2, 3]]), 16).reshape(1, 3, 4, 4)
    weights = random(1, 3, 2, 2)
    maximum, gradient = both(cpu_pool(), x, weights)
    np.testing.assert_array_equal(maximum, x[:, :, ::2, ::2])
    assert gradient.shape == x.shape
    windows = gradient.reshape(1, 3, 2, 2, 2, 2)
    np.testing.assert_array_equal(windows.sum(axis=(3, 5)), weights)
    assert (np.count_nonzero(windows, axis=(3, 5)) == 1).all()


def test_a_pool_of_odd_height_or_width_leaves_the_last_pixels_out() -> None:
    x = random(2, 3, 5, 7)
    maximum, _ = both(cpu_pool(), x, random(2, 3, 2, 3))
    np.testing.assert_array_equal(
        maximum, x[:, :, :4, :6].reshape(2, 3, 2, 2, 3, 2).max(axis=(3, 5))
    )


@pytest.mark.parametrize(
    ("channels", "maps", "side", "kernel"), [(3, 6, 32, 5), (6, 16, 14, 5), (2, 3, 8, 3)]
)
def test_a_pooled_convolution_and_its_gradients_are_those_of_the_operators(
    channels: int, maps: int, side: int, kernel: int
) -> None:
    pooled = (side - kernel + 1) // 2
    inputs = (
        random(4, channels, side, side),
        random(maps, channels, kernel, kernel, seed=4),
        random(maps, seed=5),
        random(4, maps, pooled, pooled, seed=6),
    )
    expected = both(ConvReluPool(), *inputs)
    for found, wanted in zip(both(PooledConv(maps, kernel), *inputs), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_the_kernels_of_a_window_are_one_kernel_at_four_places() -> None:
    kernel = random(25)
    blocks = (kernel @ places(5)).reshape(2, 2, 2, 2, 3, 3)
    for down in (0, 1):
        for right in (0, 1):
            pixels = blocks[down, right].transpose(2, 0, 3, 1).reshape(6, 6)
            inside = pixels[down : down + 5, right : right + 5]
            np.testing.assert_array_equal(inside, kernel.reshape(5, 5))
            assert np.count_nonzero(pixels) == 25


@pytest.mark.parametrize("make", [cpu_pool, lambda: lenet(for_cpu=True)])
def test_float16_stays_float16(make: Callable[[], nn.Cell]) -> None:
    cell = make().to_float(ms.float16)
    cell.set_train()
    assert cell(Tensor(random(2, 3, 32, 32).astype(np.float16))).dtype == ms.float16


def lenet(*, for_cpu: bool) -> nn.Cell:
    network = create_model("lenet5", 10, seed=1)
    if for_cpu:
        use_cpu_forms(network)
    return network


def test_lenet5_trains_alike_and_is_evaluated_as_its_paper_has_it() -> None:
    x, weights = random(8, 3, 32, 32), random(8, 10, seed=4)
    networks = [lenet(for_cpu=False), lenet(for_cpu=True)]
    (logits, gradient), (of_cpu, its_gradient) = (both(one, x, weights) for one in networks)
    np.testing.assert_allclose(of_cpu, logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(its_gradient, gradient, rtol=1e-3, atol=1e-5)
    evaluated = [one.set_train(False)(Tensor(x)).asnumpy() for one in networks]
    np.testing.assert_array_equal(*evaluated)


def test_in_training_a_cpu_does_not_ask_the_operators() -> None:
    x = random(2, 3, 32, 32)
    pool, network = cpu_pool(), lenet(for_cpu=True)
    expected = [one.set_train()(Tensor(x)).asnumpy() for one in (pool, network)]
    others = cpu_pool(), lenet(for_cpu=True)
    for one in others:
        one.pool = nn.Identity()
    found = [one.set_train()(Tensor(x)).asnumpy() for one in others]
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, wanted)


def test_a_training_run_on_a_cpu_has_the_forms_for_cpus() -> None:
    data = {"source": "synthetic", "global_batch_size": 4}
    train = {"epochs": 1, "amp": "O0"}
    config = Config.model_validate(
        {"model": {"name": "lenet5"}, "data": data, "train": train, "optimizer": {"lr": 0.1}}
    )
    images = Dataset(
        np.zeros((8, 3, 32, 32), np.uint8), np.zeros(8, np.int32), tuple("abcdefghij"), "test"
    )
    task = build_train_task(config, DistContext(0, 1, "CPU", 0), images, images)
    assert task.evaluation.network.for_cpu
    assert task.evaluation.network.pool.for_cpu


def test_layers_make_the_pool_that_has_a_form_for_cpus() -> None:
    assert isinstance(layers.max_pool(2, stride=2), MaxPool2x2)
    assert isinstance(layers.max_pool(3, stride=2, same=True), nn.MaxPool2d)
