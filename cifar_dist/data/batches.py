"""The batches of one rank: augmented for training, from any step on; masked for evaluation.

Every batch is a pure function of the plan, the epoch and the step, so that a run can be resumed in
the middle of an epoch and gets the batches it would have had.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cifar_dist.config.batch import batch_size_per_rank
from cifar_dist.config.schema import Config
from cifar_dist.data.augment import pad_images
from cifar_dist.data.augmented import AugmentedImages, look
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.epoch_views import Augmentation, EpochViews, augmentation_of
from cifar_dist.data.shard import epoch_permutation, eval_shard, steps_per_epoch, train_indices
from cifar_dist.data.shared_pages import let_go
from cifar_dist.errors import ConfigError

AS_USUAL = Augmentation()
"""Crops within a border of 4 pixels, and random flips."""


@dataclass(frozen=True)
class BatchPlan:
    """What decides the training batches of one rank; ``batch_size`` is per rank."""

    seed: int
    batch_size: int
    rank: int = 0
    world_size: int = 1
    augmentation: Augmentation = AS_USUAL

    @property
    def global_batch_size(self) -> int:
        return self.batch_size * self.world_size


class TrainBatch(NamedTuple):
    """One rank's part of one step.

    ``images_nchw`` is uint8[B, 3, 32, 32] (float32 and normalised where they come out of a
    mindspore.dataset graph), ``labels`` int32[B], ``indices`` int64[B] the images'
    positions in the data set; ``step`` is 0-based within the 0-based ``epoch``. Mixed images have
    ``partner_labels`` int32[B] and ``share`` float32[B], see :mod:`cifar_dist.data.augmented`.
    """

    images_nchw: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int32]
    indices: NDArray[np.int64]
    epoch: int
    step: int
    partner_labels: NDArray[np.int32] | None = None
    share: NDArray[np.float32] | None = None


class DrawnBatch(NamedTuple):
    """As :class:`TrainBatch`, of images that lie on the device already (data.placement).

    ``table`` is int32[B, 8]: which images, and how they are seen, see
    :meth:`cifar_dist.data.epoch_views.Drawn.table`.
    """

    table: NDArray[np.int32]
    labels: NDArray[np.int32]
    indices: NDArray[np.int64]
    epoch: int
    step: int


class EvalBatch(NamedTuple):
    """Images to evaluate: ``mask`` is bool[B], False where an entry only fills up the shape."""

    images_nchw: NDArray[np.uint8]
    labels: NDArray[np.int32]
    mask: NDArray[np.bool_]


def plan_batches(config: Config, *, rank: int, world_size: int) -> BatchPlan:
    """Return the plan of one rank of a run.

    Raises:
        ConfigError: the global batch cannot be divided evenly over the ranks.
    """
    return BatchPlan(
        seed=config.train.seed,
        batch_size=batch_size_per_rank(config.data, world_size),
        rank=rank,
        world_size=world_size,
        augmentation=augmentation_of(config.data),
    )


AnyBatch = TrainBatch | DrawnBatch


class Batches(ABC):
    """The training batches of one rank, from any step on.

    Args:
        dataset: the whole training set; every rank has all of it and reads its own part.
        plan: see :class:`BatchPlan`.

    Raises:
        ConfigError: the data set is smaller than one global batch.
    """

    def __init__(self, dataset: Dataset, plan: BatchPlan) -> None:
        self.plan = plan
        self.steps_per_epoch = steps_per_epoch(len(dataset), plan.global_batch_size)
        if self.steps_per_epoch == 0:
            raise ConfigError(
                f"a global batch of {plan.global_batch_size:,} is more than the {len(dataset):,} "
                "training images: lower data.global_batch_size or data.batch_size"
            )
        self.num_images = len(dataset)
        self._labels = dataset.labels

    @abstractmethod
    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[AnyBatch]:
        """Yield the batches of one epoch, from a 0-based step of it on."""

    @abstractmethod
    def first_images(self) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return the images of the run's first batch, as :class:`TrainBatch` has them."""

    def epochs(self, epochs: int, *, first_step: int = 0) -> Iterator[AnyBatch]:
        """Yield the batches of a whole run, from a 0-based step counted over all epochs on."""
        first_epoch, step = divmod(first_step, self.steps_per_epoch)
        for epoch in range(first_epoch, epochs):
            yield from self.epoch(epoch, first_step=step if epoch == first_epoch else 0)

    def indices(self, epoch: int, first_step: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield each step of an epoch from ``first_step`` on, and its images: int64[B]."""
        plan = self.plan
        permutation = epoch_permutation(plan.seed, epoch, len(self._labels))
        for step in range(first_step, self.steps_per_epoch):
            yield (
                step,
                train_indices(
                    permutation,
                    step,
                    batch_size=plan.batch_size,
                    rank=plan.rank,
                    world_size=plan.world_size,
                ),
            )


class TrainBatches(Batches):
    """The training set, padded once, and its augmented batches; as :class:`Batches`."""

    def __init__(self, dataset: Dataset, plan: BatchPlan) -> None:
        super().__init__(dataset, plan)
        self._images = AugmentedImages(
            dataset, plan.augmentation, seed=plan.seed, is_shared=plan.world_size > 1
        )

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[TrainBatch]:
        for step, indices in self.indices(epoch, first_step):
            seen = self._images.see(indices, epoch=epoch)
            labels = self._labels[indices]
            mixing = (seen.partner_labels, seen.share)
            yield TrainBatch(seen.images_nchw, labels, indices, epoch, step, *mixing)

    def first_images(self) -> NDArray[np.uint8] | NDArray[np.float32]:
        return next(self.epoch(0)).images_nchw


class DrawnBatches(Batches):
    """What the batches of :class:`TrainBatches` are made of, for a device that makes them.

    The draws are the same; images cannot be mixed so.
    """

    def __init__(self, dataset: Dataset, plan: BatchPlan) -> None:
        super().__init__(dataset, plan)
        wanted = plan.augmentation
        self._views = EpochViews(wanted, seed=plan.seed, num_images=len(dataset))
        _, indices = next(self.indices(0, 0))
        padding, border = wanted.random_crop_padding, wanted.crop_padding_mode
        first = pad_images(dataset.images_nchw[indices], padding, border=border)
        drawn = self._views.of(indices, epoch=0)
        self._first_images = look(first, np.arange(len(indices)), drawn)

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[DrawnBatch]:
        for step, indices in self.indices(epoch, first_step):
            table = self._views.of(indices, epoch=epoch).table(indices)
            yield DrawnBatch(table, self._labels[indices], indices, epoch, step)

    def first_images(self) -> NDArray[np.uint8]:
        return self._first_images


def eval_batches(
    dataset: Dataset, *, batch_size: int, rank: int, world_size: int
) -> Iterator[EvalBatch]:
    """Yield one rank's part of the test set, in batches of one shape.

    Over all ranks each image is under a True of the mask exactly once; all ranks get equally many
    batches. Of images that are mapped from a file no more than a batch stays in this process.
    """
    indices, masks = eval_shard(
        len(dataset), batch_size=batch_size, rank=rank, world_size=world_size
    )
    for of_batch, mask in zip(indices, masks, strict=True):
        batch = EvalBatch(dataset.images_nchw[of_batch], dataset.labels[of_batch], mask)
        let_go(dataset.images_nchw)
        yield batch
