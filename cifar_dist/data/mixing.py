"""Two images in one: mixup and cutmix, as pure functions of (seed, epoch, image).

Every image has its partner in each epoch, any image of the training set, and its share; neither
depends on the rank or on the rest of the batch. A mixed batch has two labels for each image and the
share of the first: the loss is share * loss(labels) + (1 - share) * loss(partner labels).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.boxes import draw_boxes, paste
from cifar_dist.data.draws import below, draws

_GRID = 4096


def partners(
    indices: NDArray[np.int64], *, seed: int, epoch: int, num_images: int
) -> NDArray[np.int64]:
    """Draw the image that each one is mixed with: int64[B], 0 to num_images - 1."""
    return below(draws(seed, "partner", epoch, indices), num_images)


def shares(
    indices: NDArray[np.int64], *, seed: int, epoch: int, alpha: float
) -> NDArray[np.float32]:
    """Draw how much of each image stays: float32[B] in [0, 1], Beta(alpha, alpha).

    Args:
        indices: int64[B], positions in the training set.
        seed: of the run, >= 0.
        epoch: 0-based.
        alpha: above 0; 1 makes all shares equally likely, less leaves most images nearly whole.
    """
    bits = draws(seed, "share", epoch, indices) >> np.uint64(11)
    uniform: NDArray[np.float64] = bits.astype(np.float64) / 2**53
    below_half = np.interp(np.minimum(uniform, 1 - uniform), *_lower_half(alpha)) ** (1 / alpha)
    return np.where(uniform < 0.5, below_half, 1 - below_half).astype(np.float32)


def mixup(
    images_nchw: NDArray[np.uint8], others: NDArray[np.uint8], share: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Blend each image with its partner, rounded to whole bytes (Zhang et al., arXiv 1710.09412).

    Args:
        images_nchw: uint8[B, C, H, W].
        others: the partners, the same shape.
        share: float32[B], what stays of the first.
    """
    weight = share.reshape(-1, 1, 1, 1)
    first, second = images_nchw.astype(np.float32), others.astype(np.float32)
    blend: NDArray[np.float32] = np.rint(second + weight * (first - second))
    return blend.astype(np.uint8)


def cutmix(
    images_nchw: NDArray[np.uint8],
    others: NDArray[np.uint8],
    indices: NDArray[np.int64],
    *,
    seed: int,
    epoch: int,
    alpha: float,
) -> NDArray[np.float32]:
    """Paste a square of each partner into each image, in place (Yun et al., arXiv 1905.04899).

    Args:
        images_nchw: uint8[B, C, H, H], contiguous.
        others: the partners, the same shape.
        indices: int64[B], positions of the first in the training set.
        seed: of the run, >= 0.
        epoch: 0-based.
        alpha: of the Beta distribution of the share that stays, above 0.

    Returns:
        float32[B], the share of pixels that stayed; a square beyond the border takes less than was
        drawn.
    """
    size = images_nchw.shape[-1]
    drawn = shares(indices, seed=seed, epoch=epoch, alpha=alpha)
    sides = np.rint(size * np.sqrt(1 - drawn.astype(np.float64))).astype(np.int64)
    boxes = draw_boxes(indices, sides, seed=seed, epoch=epoch, stream="cutmix", size=size)
    paste(images_nchw, others, boxes)
    return (1 - boxes.area / size**2).astype(np.float32)


@lru_cache(maxsize=8)
def _lower_half(alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distribution of x below one half and x**alpha, as a table to be read backwards.

    With t = x**alpha the density x**(alpha-1) * (1-x)**(alpha-1) has no pole: it becomes
    (1 - t**(1/alpha))**(alpha-1) / alpha, which the trapezoidal rule can add up.
    """
    if not alpha > 0:
        raise ValueError(f"alpha must be above 0, not {alpha:g}")
    t = np.linspace(0, 0.5**alpha, _GRID)
    density = (1 - t ** (1 / alpha)) ** (alpha - 1)
    steps = (density[1:] + density[:-1]) / 2
    total = np.concatenate([[0.0], np.cumsum(steps)])
    return total / total[-1] / 2, t
