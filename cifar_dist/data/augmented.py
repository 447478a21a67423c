"""The training images as one epoch shows them: cropped, flipped, cut out, mixed.

Everything is a pure function of (seed, epoch, image), so that it depends neither on the rank nor on
what else is in a batch (DESIGN, invariant 3).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.augment import Keep, PaddedImages, gather, pad_images
from cifar_dist.data.boxes import cutout
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.draws import draws
from cifar_dist.data.epoch_views import Augmentation, Drawn, EpochViews
from cifar_dist.data.mixing import cutmix, mixup, partners, shares
from cifar_dist.data.shared_pages import share


class Seen(NamedTuple):
    """Some images in one epoch.

    ``images_nchw`` is uint8[B, 3, 32, 32]. Mixed images also have ``partner_labels``, int32[B], and
    ``share``, float32[B], how much the image's own label counts; others have None.
    """

    images_nchw: NDArray[np.uint8]
    partner_labels: NDArray[np.int32] | None = None
    share: NDArray[np.float32] | None = None


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
        self._views = EpochViews(augmentation, seed=seed, num_images=len(dataset))

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
        return look(self._images, indices, self._views.of(indices, epoch=epoch))

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


def look(images: PaddedImages, places: NDArray[np.int64], drawn: Drawn) -> NDArray[np.uint8]:
    """Return the images at some places, int64[B], as was drawn for each: uint8[B, C, H, W]."""
    seen = gather(images, places, drawn.views)
    if drawn.boxes is not None:
        cutout(seen, drawn.boxes)
    return seen


def _private(make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return make()


def _shared(dataset: Dataset, augmentation: Augmentation) -> Keep:
    """Return a keeper of this very set with this border."""
    padding, border = augmentation.random_crop_padding, augmentation.crop_padding_mode
    return partial(share, f"padded-{padding}-{border}", dataset.images_nchw)
