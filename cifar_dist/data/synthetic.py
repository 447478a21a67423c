"""Ten classes of textures made from a seed: CIFAR shapes, no file, quickly learnt but not trivial.

A class is a pattern (rows, columns, checks, rings, plaid) at a wavelength (coarse or fine). Phase,
centre, colours and noise are drawn for each image, so that no single pixel says anything about the
class: a linear classifier stays far behind a small convolutional network. All classes look the same
mirrored and shifted, as augmentation needs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.cifar_files import FileSplit
from cifar_dist.data.dataset import IMAGE_SHAPE, Dataset
from cifar_dist.data.draws import draws

PATTERNS = ("rows", "columns", "checks", "rings", "plaid")
WAVELENGTHS_PX = {"coarse": 10.0, "fine": 5.5}
CLASSES = tuple(f"{grain} {pattern}" for pattern in PATTERNS for grain in WAVELENGTHS_PX)

_CHUNK = 1024
_NOISE = 40.0
_CONTRAST = (22.0, 60.0)


def synthetic_dataset(split: FileSplit, count: int, *, seed: int = 0) -> Dataset:
    """Make ``count`` images of ten equally frequent classes.

    Image i depends on (seed, split, i) only: a larger set begins with the images of a smaller one,
    and no image of the test set is one of the training set.

    Args:
        split: "train" or "test".
        count: number of images, >= 1.
        seed: another seed gives other images of the same classes.
    """
    images = np.empty((count, *IMAGE_SHAPE), dtype=np.uint8)
    indices = np.arange(count)
    for first in range(0, count, _CHUNK):
        images[first : first + _CHUNK] = _images(indices[first : first + _CHUNK], split, seed)
    labels = (indices % len(CLASSES)).astype(np.int32)
    return Dataset(images, labels, CLASSES, origin=f"synthetic (seed {seed})")


def _images(indices: NDArray[np.int64], split: FileSplit, seed: int) -> NDArray[np.uint8]:
    """Colour the pattern of each image and add noise: uint8[n, 3, 32, 32]."""
    unit = _uniform(indices, 12, f"texture {split}", seed)
    pattern = _patterns(indices % len(CLASSES), unit[:, :5])[:, None]
    ground = 96 + 64 * unit[:, 5:8, None, None]
    low, high = _CONTRAST
    sign = np.where(unit[:, 8, None] < 0.5, -1.0, 1.0)
    contrast = (sign * (low + (high - low) * unit[:, 9:12]))[..., None, None]
    noise = _noise(indices, f"noise {split}", seed)
    value: NDArray[np.float64] = np.rint(ground + contrast * pattern + noise)
    return value.clip(0, 255).astype(np.uint8)


def _patterns(labels: NDArray[np.int64], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw each class's pattern at its own phase: float64[n, 32, 32], -1 to 1."""
    _, height, width = IMAGE_SHAPE
    y, x = np.mgrid[:height, :width].astype(np.float64)
    grains = np.array(list(WAVELENGTHS_PX.values()))
    wavelength = grains[labels % len(grains)] * (0.9 + 0.2 * unit[:, 0])
    wave = (2 * np.pi / wavelength)[:, None, None]
    phase_x, phase_y = (2 * np.pi * unit[:, column, None, None] for column in (1, 2))
    centre_x, centre_y = (width * unit[:, column, None, None] for column in (3, 4))
    across, down = np.sin(wave * x + phase_x), np.sin(wave * y + phase_y)
    drawn = np.stack(
        [
            down + 0 * across,
            across + 0 * down,
            across * down,
            np.sin(wave * np.hypot(x - centre_x, y - centre_y) + phase_x),
            (across + down) / 2,
        ]
    )
    chosen: NDArray[np.float64] = drawn[labels // len(grains), np.arange(len(labels))]
    return chosen


def _uniform(
    indices: NDArray[np.int64], columns: int, stream: str, seed: int
) -> NDArray[np.float64]:
    """Return float64[n, columns] in [0, 1)."""
    bits = draws(seed, stream, 0, indices[:, None] * columns + np.arange(columns))
    whole: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64)
    return whole / 2**53


def _noise(indices: NDArray[np.int64], stream: str, seed: int) -> NDArray[np.float32]:
    """Return evenly spread noise of -_NOISE to _NOISE for each byte of each image."""
    words = int(np.prod(IMAGE_SHAPE)) // 8
    bits = draws(seed, stream, 0, indices[:, None] * words + np.arange(words))
    octets = bits.astype("<u8").view(np.uint8).reshape(-1, *IMAGE_SHAPE)
    spread: NDArray[np.float32] = octets.astype(np.float32)
    spread *= np.float32(2 * _NOISE / 255)
    spread -= np.float32(_NOISE)
    return spread
