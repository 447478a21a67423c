"""A validation set out of the training images, so that nothing is tuned on the test set.

The ResNet paper splits 45,000 / 5,000 (arXiv 1512.03385, section 4.2). The split depends on its own
seed alone: runs with other seeds, on any number of ranks, hold out the same images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.draws import draws


def held_out(labels: NDArray[np.int32], count: int, *, seed: int) -> NDArray[np.bool_]:
    """Tell which images are held out: bool[N], True for exactly ``count`` of them.

    Each class gives its part, rounded so that the parts add up (largest remainder); within a class
    the images are drawn.

    Args:
        labels: int32[N], the classes of the training images.
        count: how many are held out, 0 to N.
        seed: of the split, >= 0.
    """
    if not 0 <= count <= len(labels):
        raise ValueError(f"{count} images cannot be held out of {len(labels)}")
    sizes = np.bincount(labels)
    quotas = _quotas(sizes, count)
    keys = draws(seed, "validation", 0, np.arange(len(labels)))
    order = np.lexsort((keys, labels))
    starts = np.cumsum(sizes) - sizes
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for start, quota in zip(starts, quotas, strict=True):
        chosen[order[start : start + quota]] = True
    return chosen


def _quotas(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Divide ``count`` in proportion to the sizes; equal remainders go to the lower class."""
    whole, rest = np.divmod(sizes * count, sizes.sum())
    quotas = whole.astype(np.int64)
    quotas[np.argsort(-rest, kind="stable")[: count - int(whole.sum())]] += 1
    return quotas
