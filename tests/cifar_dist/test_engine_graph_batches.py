"""The graph of mindspore.dataset gives what the project's loader gives, in the same shards."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from scipy import stats

from cifar_dist.config.schema import Config
from cifar_dist.data.augment import Views, gather, normalise, pad_images
from cifar_dist.data.batches import Batches, BatchPlan, TrainBatches
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.epoch_views import Augmentation
from cifar_dist.engine.graph_batches import GraphBatches
from cifar_dist.engine.step import TrainStep, step_inputs
from cifar_dist.models import create_model

PLAIN = Augmentation(random_crop_padding=0, flip="none")
COURSE = Augmentation(crop_padding_mode="mean")


def random_set(count: int) -> Dataset:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    labels = generator.integers(0, 10, count).astype(np.int32)
    return Dataset(images, labels, tuple("abcdefghij"), origin="test")


def test_unaugmented_images_are_normalised_as_by_the_project() -> None:
    """To float rounding, not bit for bit: the library multiplies and adds in another order."""
    dataset = random_set(40)
    plan = BatchPlan(seed=3, batch_size=8, augmentation=PLAIN)
    for graph, own in zip(
        GraphBatches(dataset, plan).epoch(0), TrainBatches(dataset, plan).epoch(0), strict=True
    ):
        assert (graph.images_nchw.dtype, graph.labels.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(graph.indices, own.indices)
        np.testing.assert_array_equal(graph.labels, own.labels)
        np.testing.assert_allclose(graph.images_nchw, normalise(own.images_nchw), atol=1e-6)


def test_ranks_read_every_image_once_and_the_same_ones_as_with_the_project() -> None:
    dataset = random_set(50)
    seen: list[int] = []
    for rank in range(3):
        plan = BatchPlan(seed=3, batch_size=8, rank=rank, world_size=3, augmentation=COURSE)
        batches = list(GraphBatches(dataset, plan).epochs(2, first_step=1))
        own = list(TrainBatches(dataset, plan).epochs(2, first_step=1))
        assert [batch[3:5] for batch in batches] == [batch[3:5] for batch in own]
        for one, other in zip(batches, own, strict=True):
            np.testing.assert_array_equal(one.indices, other.indices)
            np.testing.assert_array_equal(one.labels, other.labels)
        seen += [int(index) for batch in batches if batch.epoch == 1 for index in batch.indices]
    assert len(seen) == len(set(seen)) == 48


def views_seen(batches: Batches, references: np.ndarray, epochs: int) -> list[int]:
    """Return for each image of a run which of the 162 views of image 0 it is."""
    found = []
    for batch in batches.epochs(epochs):
        images = np.asarray(batch.images_nchw)
        floats = images if images.dtype == np.float32 else normalise(images)
        distances = np.abs(floats[:, None, :, ::7, ::7] - references[None, :, :, ::7, ::7])
        nearest = distances.max(axis=(2, 3, 4)).argmin(axis=1)
        # byte-rounded mean colour against 0 at the border, nothing else
        assert np.abs(floats - references[nearest]).max() < 0.01
        found += nearest.tolist()
    return found


def test_crops_and_flips_have_the_same_distribution() -> None:
    """Every view must be one of the project's; all 81 crops and both sides are equally likely."""
    one = random_set(1).images_nchw
    dataset = Dataset(np.repeat(one, 512, axis=0), np.zeros(512, np.int32), ("a",), origin="test")
    top, left, flipped = np.array(list(product(range(9), range(9), range(2)))).T
    views = Views(top, left, flipped.astype(bool))
    whole = pad_images(one, 4, border="mean")
    references = normalise(gather(whole, np.zeros(162, np.int64), views))
    plan = BatchPlan(seed=1, batch_size=64, augmentation=COURSE)
    for batches in (GraphBatches(dataset, plan), TrainBatches(dataset, plan)):
        counts = Counter(views_seen(batches, references, epochs=8))
        observed = np.array([counts[view] for view in range(162)])
        assert observed.sum() == 4096
        assert stats.chisquare(observed).pvalue > 1e-3
        assert stats.binomtest(int(observed[1::2].sum()), 4096).pvalue > 1e-3


def test_a_run_can_be_repeated_and_ranks_and_epochs_differ() -> None:
    dataset = random_set(32)
    plan = BatchPlan(seed=1, batch_size=16, augmentation=COURSE)

    def images(epoch: int, **changes: int) -> np.ndarray:
        batch = next(GraphBatches(dataset, replace(plan, **changes)).epoch(epoch))
        return np.asarray(batch.images_nchw)[batch.indices.argsort()]

    np.testing.assert_array_equal(images(1), images(1))
    assert not np.array_equal(images(1), images(2))
    assert not np.array_equal(images(1), images(1, seed=2))


def test_an_epoch_that_is_taken_up_within_goes_on_with_the_same_crops() -> None:
    dataset, plan = random_set(40), BatchPlan(seed=3, batch_size=8, augmentation=COURSE)
    whole = list(GraphBatches(dataset, plan).epochs(2))
    rest = list(GraphBatches(dataset, plan).epochs(2, first_step=3))
    assert len(rest) == len(whole) - 3
    for one, other in zip(rest, whole[3:], strict=True):
        np.testing.assert_array_equal(one.images_nchw, other.images_nchw)


def test_one_step_has_the_same_loss_with_either_loader() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)
    dataset = random_set(16)
    losses = []
    for loader, kind in (("project", TrainBatches), ("mindspore", GraphBatches)):
        config = Config.model_validate(
            {
                "model": {"name": "lenet5"},
                "data": {"loader": loader, "random_crop_padding": 0, "flip": "none"},
                "train": {"epochs": 1},
                "optimizer": {"lr": 0.1},
            }
        )
        plan = BatchPlan(seed=1, batch_size=16, augmentation=PLAIN)
        step = TrainStep(create_model("lenet5"), config, np.float32([0.1]), 1)
        step(*step_inputs(next(kind(dataset, plan).epoch(0))))
        loss = step(*step_inputs(next(kind(dataset, plan).epoch(0))))
        assert isinstance(loss, Tensor)
        losses.append(float(loss.asnumpy()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
