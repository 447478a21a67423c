"""How the images of a training set are seen, drawn for a whole epoch at once.

Everything is a pure function of (seed, epoch, image), so that it depends neither on the rank nor on
what else is in a batch (DESIGN, invariant 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cifar_dist.config.schema import DataConfig
from cifar_dist.data.augment import Border, Flip, Views, draw_views
from cifar_dist.data.boxes import Boxes, draw_boxes

TABLE_COLUMNS = 8


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


class Drawn(NamedTuple):
    """How some images are seen; ``boxes`` are cut out, None: none are."""

    views: Views
    boxes: Boxes | None

    def of(self, indices: NDArray[np.int64]) -> Drawn:
        """Return what was drawn at some positions of these, int64[B]."""
        return Drawn(self.views.of(indices), self.boxes and self.boxes.of(indices))

    def table(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return a row for each image: its position, top and left of the crop, whether it is
        mirrored, and top, bottom, left and right of the box (0 where none is cut out).

        Args:
            indices: int64[B], positions in the training set.

        Returns:
            int32[B, 8].
        """
        views, boxes = self.views, self.boxes
        columns = [indices, views.top, views.left, views.flipped]
        if boxes is not None:
            columns += [boxes.top, boxes.bottom, boxes.left, boxes.right]
        rows = np.zeros((len(indices), TABLE_COLUMNS), dtype=np.int32)
        rows[:, : len(columns)] = np.stack(columns, axis=1)
        return rows


class EpochViews:
    """Draws for all images at once: 2 ms an epoch instead of 0.1 ms a batch.

    Several threads may ask at once; each gets the same.

    Args:
        augmentation: what is done to images.
        seed: of the run, >= 0.
        num_images: of the training set.
    """

    def __init__(self, augmentation: Augmentation, *, seed: int, num_images: int) -> None:
        self._augmentation = augmentation
        self._seed = seed
        self._everything = np.arange(num_images)
        self._latest: tuple[int, Drawn] | None = None

    def of(self, indices: NDArray[np.int64], *, epoch: int) -> Drawn:
        """Return how the images at these positions, int64[B], are seen in a 0-based epoch."""
        latest = self._latest
        if latest is None or latest[0] != epoch:
            self._latest = latest = (epoch, self._draw(epoch))
        return latest[1].of(indices)

    def _draw(self, epoch: int) -> Drawn:
        wanted, seed, boxes = self._augmentation, self._seed, None
        padding, flip = wanted.random_crop_padding, wanted.flip
        views = draw_views(self._everything, seed=seed, epoch=epoch, padding=padding, flip=flip)
        if side := wanted.cutout_px:
            boxes = draw_boxes(self._everything, side, seed=seed, epoch=epoch, stream="cutout")
        return Drawn(views, boxes)
