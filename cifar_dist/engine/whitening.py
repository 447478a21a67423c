"""The whitening layers of a network get their filters: rank 0's, on every rank."""

from __future__ import annotations

import numpy as np
from mindspore import nn

from cifar_dist.data.dataset import Dataset
from cifar_dist.data.whitening import whitening_filters
from cifar_dist.engine.assign import assign
from cifar_dist.models.whitening import PATCH_PX, whitening_layers
from cifar_dist.runtime.collectives import Collectives

DEFAULT_IMAGES = 5000
"""As many as arXiv 2404.00498 takes."""


def set_whitening(
    network: nn.Cell, train_set: Dataset, group: Collectives, *, images: int | None, rank: int
) -> None:
    """Set the filters of every whitening layer, in place; nothing where a network has none.

    All ranks read the same images, but eigenvectors may differ in their last bits from one kind of
    processor to another: rank 0's are added to zeros of all others, which is exact.

    Args:
        network: newly built.
        train_set: the whole training set, not augmented.
        group: all ranks call this.
        images: the filters are those of the first so many; None: 5,000.
        rank: of this worker.
    """
    layers = list(whitening_layers(network))
    if not layers:
        return
    seen = train_set.images_nchw[: images or DEFAULT_IMAGES]
    filters = whitening_filters(seen, patch_px=PATCH_PX)
    if group.world_size > 1:
        filters = group.sum_floats(filters if rank == 0 else np.zeros_like(filters))
    for layer in layers:
        assign(layer.conv.weight, filters)
