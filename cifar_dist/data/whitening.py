"""The filters of a whitening layer, found from training images; the same for the same images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.augment import normalise

EPS = 5e-4
"""Added to each variance (arXiv 2404.00498): directions of next to none stay small."""

_IMAGES_AT_ONCE = 500


def whitening_filters(
    images_nchw: NDArray[np.uint8], *, patch_px: int = 2, eps: float = EPS
) -> NDArray[np.float32]:
    """Return filters whose outputs are uncorrelated and, but for ``eps``, of variance 1.

    The filters are the eigenvectors of the covariance of all patches of the images, normalised as
    the network sees them, each divided by sqrt(variance + eps), largest variance first; then all
    of them again with the opposite sign.

    Args:
        images_nchw: uint8[N, 3, H, W], N >= 1, not augmented.
        patch_px: height and width of a patch, >= 1.
        eps: above 0.

    Returns:
        float32[2 D, 3, patch_px, patch_px] with D = 3 patch_px^2. The sign of each vector is such
        that its largest entry is positive.
    """
    channels = images_nchw.shape[1]
    variances, vectors = np.linalg.eigh(_covariance(images_nchw, patch_px))
    directions = vectors.T[::-1]
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    scaled = directions / np.sqrt(np.maximum(variances[::-1], 0) + eps)[:, None]
    filters = scaled.reshape(-1, channels, patch_px, patch_px)
    both: NDArray[np.float32] = np.concatenate([filters, -filters]).astype(np.float32)
    return both


def _covariance(images_nchw: NDArray[np.uint8], patch_px: int) -> NDArray[np.float64]:
    """Return the covariance of all patches: float64[D, D], D = C patch_px^2."""
    size = images_nchw.shape[1] * patch_px**2
    total, products, count = np.zeros(size), np.zeros((size, size)), 0
    for start in range(0, len(images_nchw), _IMAGES_AT_ONCE):
        images = normalise(images_nchw[start : start + _IMAGES_AT_ONCE])
        patches = _patches(images, patch_px).astype(np.float64)
        total += patches.sum(axis=0)
        products += patches.T @ patches
        count += len(patches)
    mean = total / count
    covariance: NDArray[np.float64] = products / count - np.outer(mean, mean)
    return covariance


def _patches(images_nchw: NDArray[np.float32], patch_px: int) -> NDArray[np.float32]:
    """Return all patches, a row each, channels first: float32[N (H - P + 1) (W - P + 1), C P P]."""
    _, channels, height, width = images_nchw.shape
    rows, columns = height - patch_px + 1, width - patch_px + 1
    pixels = [
        images_nchw[:, :, y : y + rows, x : x + columns]
        for y in range(patch_px)
        for x in range(patch_px)
    ]
    stacked = np.stack(pixels, axis=2).transpose(0, 3, 4, 1, 2)
    patches: NDArray[np.float32] = stacked.reshape(-1, channels * patch_px**2)
    return patches
