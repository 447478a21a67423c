"""The speed recipe: what it costs, what its keys mean, and its first steps."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from cifar_dist.config import find_recipe, load_config
from cifar_dist.data.synthetic import synthetic_dataset
from cifar_dist.engine.flip_average import FlipAverage
from cifar_dist.engine.state import to_arrays, train_parameters
from cifar_dist.engine.task import TrainTask, build_train_task
from cifar_dist.models.cost import multiply_adds
from cifar_dist.models.registry import create_model
from cifar_dist.runtime.context import DistContext
from cifar_dist.schedule import rates_of_run

IMAGES = 50_000
OVERRIDES = (
    "data.source=synthetic",
    "data.global_batch_size=32",
    "model.width=0.125",
    "model.whitening_images=64",
)


def task_of(*overrides: str) -> TrainTask:
    ms.set_context(mode=ms.GRAPH_MODE)
    config = load_config(find_recipe("speed94"), [*OVERRIDES, *overrides]).config
    sets = [synthetic_dataset(split, 128) for split in ("train", "test")]  # type: ignore[arg-type]
    return build_train_task(config, DistContext(0, 1, "CPU", 0), *sets)


@pytest.mark.parametrize(
    ("name", "epochs", "published"),
    [("speed94", None, 0.36e15), ("speed95", 15, 1.39e15), ("speed96", 37, 4.91e15)],
)
def test_a_run_takes_the_operations_of_its_source(
    name: str, epochs: int | None, published: float
) -> None:
    """Three passes (forward, and two backward) of two operations for each multiply-add."""
    network = create_model(name, seed=None)
    epochs = epochs or load_config(find_recipe("speed94")).config.train.epochs
    operations = 6 * multiply_adds(network, image_px=32) * IMAGES * epochs
    assert operations == pytest.approx(published, rel=0.15)


def test_the_rate_is_the_published_triangle() -> None:
    config = load_config(find_recipe("speed94")).config
    per_epoch = IMAGES // 1024
    rates = rates_of_run(config, steps_per_epoch=per_epoch, global_batch_size=1024)
    total = 10 * per_epoch
    peak = 11.5 * 1024 / (1024 * (1 + 1 / (1 - 0.85)))
    wanted = peak * np.interp(np.arange(total + 1), [0, int(0.23 * total), total], [0.2, 1, 0.07])
    np.testing.assert_allclose(rates, wanted[:-1], atol=peak * 0.8 / (0.23 * total) * 1.01)
    decay = 0.0153 * 1024 / (1024 * (1 + 1 / (1 - 0.85))) / peak
    assert config.optimizer.weight_decay == pytest.approx(decay, rel=1e-4)


@pytest.mark.parametrize("amp", ["O0", "O2"])
def test_first_steps_train_all_but_what_is_frozen(amp: str) -> None:
    task = task_of(f"train.amp={amp}", "train.loss_scale=128", "optimizer.lr=0.5")
    network = task.step.network
    before = {one.name: one.asnumpy().copy() for one in network.get_parameters()}
    inputs = next(iter(task.batches.epochs(1)))
    for _ in range(2):
        loss = task.step(Tensor(inputs.images_nchw), Tensor(inputs.labels))
        assert np.isfinite(loss.asnumpy())
    assert int(task.step.skipped_steps.asnumpy()) == 0
    stays = {one.name for one in network.get_parameters() if not one.requires_grad}
    for name, value in before.items():
        is_same = np.array_equal(value, network.parameters_dict()[name].asnumpy())
        assert is_same == (name in stays and "moving" not in name), name
    assert any(name.endswith("gamma") for name in stays)
    assert any(name.endswith("whitening.conv.weight") for name in stays)


def test_a_checkpoint_holds_the_slow_weights() -> None:
    task = task_of("train.amp=O0")
    arrays = to_arrays(train_parameters(task.step))
    assert "slow.groups.0.first.conv.weight" in arrays
    assert "slow.groups.2.second.bn.moving_mean" in arrays
    np.testing.assert_array_equal(
        arrays["slow.whitening.conv.weight"], arrays["network.whitening.conv.weight"]
    )


def test_convolutions_start_as_the_identity_on_what_comes_in() -> None:
    network = create_model("speed94", seed=1)
    weight = network.groups[0].first.conv.weight.asnumpy()
    assert weight.shape == (64, 24, 3, 3)
    x = np.random.default_rng(0).standard_normal((2, 24, 9, 9)).astype(np.float32)
    y = network.groups[0].first.conv(Tensor(x)).asnumpy()
    np.testing.assert_allclose(y[:, :24], x, atol=1e-6)
    assert weight[24:].std() == pytest.approx((1 / (3 * 9 * 24)) ** 0.5, rel=0.05)


def test_flips_are_averaged() -> None:
    network = create_model("speed94", width=1 / 8, seed=1)
    network.set_train(False)
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    mirrored = np.ascontiguousarray(x[..., ::-1])
    wanted = (network(Tensor(x)).asnumpy() + network(Tensor(mirrored)).asnumpy()) / 2
    averaged = FlipAverage(network)(Tensor(x)).asnumpy()
    np.testing.assert_allclose(averaged, wanted, rtol=1e-4, atol=1e-5)
    assert not np.allclose(averaged, network(Tensor(x)).asnumpy(), atol=1e-4)
