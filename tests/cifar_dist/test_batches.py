from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.config import Config
from cifar_dist.data.batches import (
    BatchPlan,
    TrainBatch,
    TrainBatches,
    eval_batches,
    plan_batches,
)
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.epoch_views import Augmentation
from cifar_dist.data.prefetch import Prefetch
from cifar_dist.errors import ConfigError

PLAN = BatchPlan(seed=3, batch_size=12)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    labels = generator.integers(0, 10, 100).astype(np.int32)
    return Dataset(images, labels, tuple("abcdefghij"), origin="test")


def same(one: TrainBatch, other: TrainBatch) -> bool:
    arrays = zip(one[:3], other[:3], strict=True)
    return one[3:] == other[3:] and all(np.array_equal(a, b) for a, b in arrays)


def test_a_run_covers_all_epochs_in_whole_batches(dataset: Dataset) -> None:
    batches = TrainBatches(dataset, PLAN)
    assert batches.steps_per_epoch == 8
    run = list(batches.epochs(3))
    assert [(batch.epoch, batch.step) for batch in run] == [
        (e, s) for e in range(3) for s in range(8)
    ]
    for batch in run:
        assert batch.images_nchw.shape == (12, 3, 32, 32)
        assert (batch.images_nchw.dtype, batch.labels.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(batch.labels, dataset.labels[batch.indices])


@pytest.mark.parametrize("first_step", [0, 1, 7, 8, 13, 23, 24])
def test_a_run_that_begins_later_gets_the_batches_it_would_have_had(
    dataset: Dataset, first_step: int
) -> None:
    whole = list(TrainBatches(dataset, PLAN).epochs(3))
    rest = list(TrainBatches(dataset, PLAN).epochs(3, first_step=first_step))
    assert len(rest) == 24 - first_step
    assert all(same(a, b) for a, b in zip(rest, whole[first_step:], strict=True))


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_all_ranks_together_see_what_one_rank_alone_would_see(
    dataset: Dataset, world_size: int
) -> None:
    alone = list(TrainBatches(dataset, PLAN).epochs(2))
    ranks = [
        TrainBatches(
            dataset,
            replace(PLAN, batch_size=12 // world_size, rank=rank, world_size=world_size),
        ).epochs(2)
        for rank in range(world_size)
    ]
    for whole, *parts in zip(alone, *ranks, strict=True):
        for field in range(3):
            joined = np.concatenate([part[field] for part in parts])
            np.testing.assert_array_equal(joined, whole[field])


def test_a_thread_that_works_ahead_changes_nothing(dataset: Dataset) -> None:
    batches = TrainBatches(dataset, PLAN)
    with Prefetch(batches.epochs(2), ahead=3) as ahead:
        pairs = list(zip(ahead, batches.epochs(2), strict=True))
    assert len(pairs) == 16
    assert all(same(a, b) for a, b in pairs)


def test_batches_that_wait_do_not_share_memory(dataset: Dataset) -> None:
    first, second, *_ = TrainBatches(dataset, PLAN).epochs(1)
    assert not np.shares_memory(first.images_nchw, second.images_nchw)


def test_epochs_differ_in_order_and_in_how_an_image_is_seen(dataset: Dataset) -> None:
    batches = TrainBatches(dataset, replace(PLAN, batch_size=100))
    first, second = (next(batches.epoch(epoch)) for epoch in (0, 1))
    assert first.indices.tolist() != second.indices.tolist()
    seen = [batch.images_nchw[np.argsort(batch.indices)] for batch in (first, second)]
    assert (seen[0] == seen[1]).all(axis=(1, 2, 3)).mean() < 0.1


def test_a_data_set_below_one_global_batch_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="a global batch of 102 is more than the 100 training"):
        TrainBatches(dataset, replace(PLAN, batch_size=51, world_size=2))


def test_the_plan_follows_the_recipe() -> None:
    config = Config.model_validate(
        {
            "model": {"name": "lenet5"},
            "data": {"global_batch_size": 96, "random_crop_padding": 2, "flip": "none"},
            "train": {"epochs": 1, "seed": 9},
            "optimizer": {"lr": 0.1},
        }
    )
    plan = plan_batches(config, rank=1, world_size=3)
    assert plan == BatchPlan(9, 32, 1, 3, Augmentation(random_crop_padding=2, flip="none"))
    assert plan.global_batch_size == 96
    with pytest.raises(ConfigError, match="5 ranks can share 95 or 100"):
        plan_batches(config, rank=0, world_size=5)


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_evaluation_sees_every_image_once_and_unchanged(dataset: Dataset, world_size: int) -> None:
    seen: dict[bytes, int] = {}
    lengths = set()
    for rank in range(world_size):
        batches = list(eval_batches(dataset, batch_size=16, rank=rank, world_size=world_size))
        lengths.add(len(batches))
        for batch in batches:
            assert batch.images_nchw.shape == (16, 3, 32, 32)
            for image, label in zip(
                batch.images_nchw[batch.mask], batch.labels[batch.mask], strict=True
            ):
                assert image.tobytes() not in seen
                seen[image.tobytes()] = int(label)
    assert len(lengths) == 1
    whole = zip(dataset.images_nchw, dataset.labels, strict=True)
    assert seen == {image.tobytes(): int(label) for image, label in whole}


def test_evaluation_keeps_no_more_than_a_batch_of_a_mapped_file(
    dataset: Dataset, tmp_path: Path
) -> None:
    path, shape = tmp_path / "images", (2000, 3, 32, 32)
    np.resize(dataset.images_nchw, shape).tofile(path)
    mapped = np.memmap(path, dtype=np.uint8, mode="r").reshape(shape)
    images = replace(dataset, images_nchw=mapped, labels=np.resize(dataset.labels, len(mapped)))
    held_kb = []
    for at, batch in enumerate(eval_batches(images, batch_size=100, rank=0, world_size=1)):
        np.testing.assert_array_equal(batch.images_nchw, dataset.images_nchw)
        held_kb.append(resident_kb(path))
        assert mapped[100 * at, 0, 0, 0] == dataset.images_nchw[0, 0, 0, 0]
    assert len(held_kb) == 20
    assert max(held_kb) == 0
    assert resident_kb(path) > 0


def resident_kb(path: Path) -> int:
    """Return how much of a mapped file is counted as memory of this process."""
    mappings = Path("/proc/self/smaps").read_text().split(str(path))[1:]
    return sum(int(one.split("\nRss:")[1].split()[0]) for one in mappings)
