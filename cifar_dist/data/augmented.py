"""The training images as one epoch shows them: cropped, flipped, cut out, mixed.

Everything is a pure function of (seed, epoch, image), so that it depends neither on the rank nor on
what else is in a batch (DESIGN, invariant 3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cifar_dist.config.schema import DataConfig
from cifar_dist.data.augment import Border, Flip, Keep, Views, draw_views, gather, pad_images
from cifar_dist.data.boxes import Boxes, cutout, draw_boxes
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.draws import draws
from cifar_dist.data.mixing import cutmix, mixup, partners, shares
from cifar_dist.data.shared_pages import share


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images: the keys of the recipe's section ``data``."""

    random_crop_padding: int = 4
    crop_padding_mode: Border = "zeros"
    flip: Flip = "random"
    cutout_px: int = 0
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0

    @property
    def mixes(self) -> bool:
        """Whether each image is two in one, with two labels."""
        return self.mixup_alpha > 0 or self.cutmix_alpha > 0


def augmentation_of(data: DataConfig) -> Augmentation:
    """Return what a recipe asks for."""
    return Augmentation(
        random_crop_padding=data.random_crop_padding,
        crop_padding_mode=data.crop_padding_mode,
        flip=data.flip,
        cutout_px=data.cutout_px,
        mixup_alpha=data.mixup_alpha,
        cutmix_alpha=data.cutmix_alpha,
    )


class Seen(NamedTuple):
    """Some images in one epoch.

    ``images_nchw`` is uint8[B, 3, 32, 32]. Mixed images also have ``partner_labels``, int32[B], and
    ``share``, float32[B], how much the image's own label counts; others have None.
    """

    images_nchw: NDArray[np.uint8]
    partner_labels: NDArray[np.int32] | None = None
    share: NDArray[np.float32] | None = None


class Drawn(NamedTuple):
    """How every image of the training set is seen in one epoch; ``boxes`` are cut out."""

    epoch: int
    views: Views
    boxes: Boxes | None


class AugmentedImages:
    """A training set, padded once, from which augmented batches are gathered.

    Several threads may gather at once: batches are the same, whatever their number.

    Args:
        dataset: the training set.
        augmentation: what is done to its images.
        seed: of the run, >= 0.
        is_shared: whether other processes of this host gather from the same set; they then have its
            pages in common, see :mod:`cifar_dist.data.shared_pages`.
    """

    def __init__(
        self,
        dataset: Dataset,
        augmentation: Augmentation,
        *,
        seed: int,
        is_shared: bool = False,
    ) -> None:
        self._augmentation = augmentation
        self._seed = seed
        self._labels = dataset.labels
        self._images = pad_images(
            dataset.images_nchw,
            augmentation.random_crop_padding,
            border=augmentation.crop_padding_mode,
            keep=_shared(dataset, augmentation) if is_shared else _private,
        )
        self._drawn: Drawn | None = None

    def see(self, indices: NDArray[np.int64], *, epoch: int) -> Seen:
        """Return images as the epoch shows them.

        Args:
            indices: int64[B], positions in the training set.
            epoch: 0-based.
        """
        images = self._view(indices, epoch)
        if not self._augmentation.mixes:
            return Seen(images)
        whom = partners(indices, seed=self._seed, epoch=epoch, num_images=len(self._labels))
        share = self._mix(images, self._view(whom, epoch), indices, epoch)
        return Seen(images, self._labels[whom], share)

    def _view(self, indices: NDArray[np.int64], epoch: int) -> NDArray[np.uint8]:
        drawn = self._draw(epoch)
        images = gather(self._images, indices, drawn.views.of(indices))
        if drawn.boxes is not None:
            cutout(images, drawn.boxes.of(indices))
        return images

    def _draw(self, epoch: int) -> Drawn:
        """Draw for all images at once: 2 ms an epoch instead of 0.1 ms a batch."""
        drawn = self._drawn
        if drawn is None or drawn.epoch != epoch:
            wanted, seed, everything = self._augmentation, self._seed, np.arange(len(self._labels))
            padding, flip, boxes = wanted.random_crop_padding, wanted.flip, None
            views = draw_views(everything, seed=seed, epoch=epoch, padding=padding, flip=flip)
            if side := wanted.cutout_px:
                boxes = draw_boxes(everything, side, seed=seed, epoch=epoch, stream="cutout")
            self._drawn = drawn = Drawn(epoch, views, boxes)
        return drawn

    def _mix(
        self,
        images_nchw: NDArray[np.uint8],
        others: NDArray[np.uint8],
        indices: NDArray[np.int64],
        epoch: int,
    ) -> NDArray[np.float32]:
        """Mix each image with its partner, in place; return the share of the first: float32[B]."""
        share = np.empty(len(indices), dtype=np.float32)
        pastes = self._pastes(indices, epoch)
        if len(some := np.flatnonzero(pastes)):
            alpha, pasted = self._augmentation.cutmix_alpha, images_nchw[some]
            share[some] = cutmix(
                pasted, others[some], indices[some], seed=self._seed, epoch=epoch, alpha=alpha
            )
            images_nchw[some] = pasted
        if len(some := np.flatnonzero(~pastes)):
            alpha = self._augmentation.mixup_alpha
            share[some] = shares(indices[some], seed=self._seed, epoch=epoch, alpha=alpha)
            images_nchw[some] = mixup(images_nchw[some], others[some], share[some])
        return share

    def _pastes(self, indices: NDArray[np.int64], epoch: int) -> NDArray[np.bool_]:
        """Tell which images cutmix takes: all or none where only one is asked for, else half."""
        wanted = self._augmentation
        if wanted.mixup_alpha == 0 or wanted.cutmix_alpha == 0:
            return np.full(len(indices), wanted.cutmix_alpha > 0)
        bits = draws(self._seed, "mixing", epoch, indices)
        return (bits & np.uint64(1)).astype(np.bool_)


def _private(make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return make()


def _shared(dataset: Dataset, augmentation: Augmentation) -> Keep:
    """Return a keeper of this very set with this border."""
    padding, border = augmentation.random_crop_padding, augmentation.crop_padding_mode
    return partial(share, f"padded-{padding}-{border}", dataset.images_nchw)
