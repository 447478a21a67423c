"""A labelled set of images as a value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

IMAGE_SHAPE = (3, 32, 32)
"""Channels (red, green, blue), height, width of a CIFAR image."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images in memory.

    Attributes:
        images_nchw: uint8[N, 3, 32, 32], 0 to 255; laid out as in the CIFAR files.
        labels: int32[N], 0 to len(classes) - 1.
        classes: the name of each label.
        origin: where the images come from, for messages and the manifest.
    """

    images_nchw: NDArray[np.uint8]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    origin: str

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None) -> Dataset:
        """Return the set of the first ``count`` images; all where it is None or larger."""
        if count is None or count >= len(self):
            return self
        return replace(self, images_nchw=self.images_nchw[:count], labels=self.labels[:count])

    def where(self, chosen: NDArray[np.bool_]) -> Dataset:
        """Return the set of the images under True, in their order."""
        return replace(self, images_nchw=self.images_nchw[chosen], labels=self.labels[chosen])
