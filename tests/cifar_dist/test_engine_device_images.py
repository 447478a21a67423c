"""Images that lie on the device are seen as those of the host are, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from numpy.typing import NDArray

from cifar_dist.checkpoint.store import list_checkpoints, load_checkpoint
from cifar_dist.config import find_recipe, load_config
from cifar_dist.data.batches import BatchPlan, DrawnBatches, TrainBatches
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.epoch_views import Augmentation
from cifar_dist.data.source import open_dataset
from cifar_dist.engine.device_images import DeviceImages
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.task import build_train_task
from cifar_dist.engine.trainer import train
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.runtime.context import DistContext

PLAN = BatchPlan(seed=3, batch_size=16, rank=1, world_size=2)
WAYS = {
    "as usual": Augmentation(),
    "no crop": Augmentation(random_crop_padding=0, flip="none"),
    "mean": Augmentation(crop_padding_mode="mean", random_crop_padding=3),
    "reflect": Augmentation(crop_padding_mode="reflect", flip="alternating"),
    "far": Augmentation(random_crop_padding=16, crop_padding_mode="reflect"),
    "cutout": Augmentation(cutout_px=12, crop_padding_mode="reflect"),
    "all cut out": Augmentation(cutout_px=32),
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    ms.set_context(mode=ms.GRAPH_MODE)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    labels = generator.integers(0, 10, 100).astype(np.int32)
    return Dataset(images, labels, tuple("abcdefghij"), origin="test")


@pytest.mark.parametrize("augmentation", WAYS.values(), ids=WAYS)
def test_images_on_the_device_are_those_of_the_host(
    dataset: Dataset, augmentation: Augmentation
) -> None:
    plan = replace(PLAN, augmentation=augmentation)
    see = DeviceImages(dataset.images_nchw, augmentation)
    of_host = TrainBatches(dataset, plan).epochs(3, first_step=1)
    of_device = DrawnBatches(dataset, plan).epochs(3, first_step=1)
    for wanted, found in zip(of_host, of_device, strict=True):
        assert (wanted.epoch, wanted.step) == (found.epoch, found.step)
        np.testing.assert_array_equal(found.labels, wanted.labels)
        np.testing.assert_array_equal(found.indices, wanted.indices)
        seen = see(Tensor(found.table)).asnumpy()
        assert seen.dtype == np.float32
        np.testing.assert_array_equal(seen, wanted.images_nchw)


@pytest.mark.parametrize("augmentation", WAYS.values(), ids=WAYS)
def test_the_first_images_are_the_same_wherever_they_lie(
    dataset: Dataset, augmentation: Augmentation
) -> None:
    plan = replace(PLAN, augmentation=augmentation)
    first = DrawnBatches(dataset, plan).first_images()
    np.testing.assert_array_equal(first, TrainBatches(dataset, plan).first_images())


def test_a_run_ends_with_the_same_weights_wherever_its_images_lie(tmp_path: Path) -> None:
    weights = [_trained(tmp_path / where, where) for where in ("host", "device")]
    assert weights[0].keys() == weights[1].keys()
    for name, wanted in weights[0].items():
        np.testing.assert_array_equal(weights[1][name], wanted, err_msg=name)


def _trained(folder: Path, placement: str) -> Mapping[str, NDArray[Any]]:
    overrides = (
        f"data.placement={placement}",
        "data.source=synthetic",
        "data.synthetic_train_images=64",
        "data.global_batch_size=16",
        "data.crop_padding_mode=reflect",
        "data.cutout_px=8",
        "train.epochs=2",
        "train.accumulation_steps=2",
    )
    config = load_config(find_recipe("lenet5"), overrides).config
    images = open_dataset(config.data, "train")
    task = build_train_task(config, DistContext(0, 1, "CPU", 0), images, images)
    outlets = Outlets([], ProgressFile(None, 0), folder / "ckpt", folder / "report")
    try:
        train(task, outlets)
    finally:
        outlets.settle()
    arrays = load_checkpoint(list_checkpoints(folder / "ckpt")[-1]).arrays
    return {name: array for name, array in arrays.items() if name.startswith("network.")}
