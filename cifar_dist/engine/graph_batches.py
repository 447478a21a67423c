"""Training batches from a ``mindspore.dataset`` graph, as the standard course builds it.

Normalize, RandomCrop, a random horizontal flip, HWC2CHW, labels as int32, in that order: the border
of a crop is 0 after normalising, which is the mean colour. Each rank reads its own indices, so that
no image is read twice as with the library's own shards. Crops and flips are the library's draws:
they follow from (seed, epoch, rank), not from the image, so that other numbers of ranks see other
crops of the same images. A run that is resumed within an epoch draws for the steps before, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mindspore as ms
import mindspore.dataset as ms_dataset
import numpy as np
from mindspore.dataset import transforms, vision
from numpy.typing import NDArray

from cifar_dist.data.augment import MEAN_RGB, STD_RGB
from cifar_dist.data.batches import Batches, BatchPlan, TrainBatch
from cifar_dist.data.dataset import IMAGE_SHAPE, Dataset
from cifar_dist.data.draws import draws
from cifar_dist.data.epoch_views import Augmentation


class GraphBatches(Batches):
    """The training set of one rank, read through the graph; images are float32, normalised.

    Args:
        dataset: the whole training set; every rank has all of it and reads its own part.
        plan: see :class:`BatchPlan`; its augmentation is what :class:`DataConfig` lets pass for
            this loader.
    """

    def __init__(self, dataset: Dataset, plan: BatchPlan) -> None:
        super().__init__(dataset, plan)
        self._images_nhwc = np.ascontiguousarray(dataset.images_nchw.transpose(0, 2, 3, 1))

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[TrainBatch]:
        steps = list(self.indices(epoch, 0))
        ms_dataset.config.set_seed(_seed(self.plan, epoch))
        graph = self._graph(np.concatenate([indices for _, indices in steps]))
        rows = graph.create_tuple_iterator(num_epochs=1, output_numpy=True)
        for (step, indices), (images, labels) in zip(steps, rows, strict=True):
            if step < first_step:
                continue
            yield TrainBatch(images, labels, indices, epoch, step)

    def first_images(self) -> NDArray[np.uint8] | NDArray[np.float32]:
        return next(self.epoch(0)).images_nchw

    def _graph(self, indices: NDArray[np.int64]) -> Any:
        source = ms_dataset.NumpySlicesDataset(
            (self._images_nhwc, self._labels),
            column_names=["image", "label"],
            sampler=ms_dataset.SubsetSampler(indices.tolist()),
        )
        images = source.map(operations(self.plan.augmentation), input_columns="image")
        labels = images.map(transforms.TypeCast(ms.int32), input_columns="label")
        return labels.batch(self.plan.batch_size, drop_remainder=True)


def operations(augmentation: Augmentation) -> list[Any]:
    """Return what happens to an image, uint8[32, 32, 3] -> float32[3, 32, 32]."""
    mean, std = ([255 * value for value in values] for values in (MEAN_RGB, STD_RGB))
    steps: list[Any] = [vision.Normalize(mean, std)]
    if augmentation.random_crop_padding:
        steps.append(vision.RandomCrop(IMAGE_SHAPE[1:], padding=augmentation.random_crop_padding))
    if augmentation.flip == "random":
        steps.append(flip_half())
    return [*steps, vision.HWC2CHW()]


def flip_half() -> Any:
    """Return an operation that mirrors with probability one half, whatever was drawn before.

    RandomHorizontalFlip does not: in a seeded graph it draws the numbers that RandomCrop has just
    drawn for the image, so that crops from the upper half of the padding are always mirrored and
    those from the lower half never (measured on MindSpore 2.10.0). A policy draws its own numbers.
    """
    return vision.RandomSelectSubpolicy([[(vision.HorizontalFlip(), 0.5)]])


def _seed(plan: BatchPlan, epoch: int) -> int:
    """Return 31 bits, other ones for each rank and epoch."""
    return int(draws(plan.seed, "graph", epoch, plan.rank) >> np.uint64(33))
