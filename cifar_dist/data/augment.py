"""Random crops and flips of whole batches, as a pure function of (seed, epoch, image).

The data set is padded once; a batch is then one gather of 32-byte rows. A flip reverses the bytes
of each row as 64-bit words, which is many times faster than picking single bytes. Bytes stay bytes:
they cross to the device as they are and are normalised there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.draws import below, draws

MEAN_RGB = (0.4914, 0.4822, 0.4465)
STD_RGB = (0.2470, 0.2435, 0.2616)
"""Per pixel over the 50,000 training images, as fractions of 255. The smaller deviations (0.2023,
0.1994, 0.2010) of the MindSpore zoos are means of per-image ones and are not used here."""

MEAN_BYTES = tuple(round(255 * mean) for mean in MEAN_RGB)
"""The mean colour, which is nearly 0 for the network: what cutout and a mean border are made of."""

Border = Literal["zeros", "mean", "reflect"]
Flip = Literal["none", "random", "alternating"]

_WORD = 8


@dataclass(frozen=True, eq=False)
class PaddedImages:
    """A data set with room around each image, from which crops are gathered.

    Attributes:
        rows: rows[n, y, x] is the crop of image n that begins y rows and x columns within its
            padding, as [C, H] items of W bytes. A view: neighbouring crops share memory.
        padding: pixels on every side.
    """

    rows: NDArray[np.void]
    padding: int

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Views:
    """How each image of a batch is seen.

    Attributes:
        top: int64[B], first row of the crop within the padded image, 0 to 2 * padding.
        left: int64[B], first column.
        flipped: bool[B], whether the crop is mirrored left to right.
    """

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    flipped: NDArray[np.bool_]

    def of(self, indices: NDArray[np.int64]) -> Views:
        """Return the views at some positions of these, int64[B]."""
        return Views(self.top[indices], self.left[indices], self.flipped[indices])


Keep = Callable[[Callable[[], NDArray[np.uint8]]], NDArray[np.uint8]]
"""Where padded bytes lie: it calls for them, or has equal ones already."""


def pad_images(
    images_nchw: NDArray[np.uint8],
    padding: int,
    *,
    border: Border = "zeros",
    keep: Keep = lambda make: make(),
) -> PaddedImages:
    """Copy images so that crops reach ``padding`` pixels beyond each side.

    Zeros right of a row are also those left of the next row, and zeros under a plane also those
    above the next plane: 36 x 36 bytes a plane for 32 x 32 and a padding of 4. Other borders cannot
    be shared: 40 x 40.

    Args:
        images_nchw: uint8[N, C, H, W]; W is a multiple of 8.
        padding: pixels on every side, >= 0.
        border: what is added: zeros, the mean colour (of three channels), or the image mirrored at
            its border pixels (padding < H and W).
        keep: default: memory of this process.
    """
    count, channels, height, width = images_nchw.shape
    if width % _WORD:
        raise ValueError(f"images are {width} pixels wide: flips need a multiple of {_WORD}")
    added = padding if border == "zeros" else 2 * padding
    row = width + added
    plane = (height + added) * row
    memory = keep(lambda: _padded(images_nchw, padding, border))
    rows: NDArray[np.void] = np.ndarray(
        (count, 2 * padding + 1, 2 * padding + 1, channels, height),
        dtype=f"V{width}",
        buffer=memory.data,
        strides=(channels * plane, row, 1, plane, row),
    )
    return PaddedImages(rows, padding)


def _padded(images_nchw: NDArray[np.uint8], padding: int, border: Border) -> NDArray[np.uint8]:
    """Return the bytes of all padded images, one after the other."""
    count, channels, height, width = images_nchw.shape
    is_shared = border == "zeros"
    added = padding if is_shared else 2 * padding
    row = width + added
    before = padding * row + padding if is_shared else 0
    memory = np.zeros(before + count * channels * (height + added) * row, dtype=np.uint8)
    padded = memory[before:].reshape(count, channels, height + added, row)
    if is_shared:
        padded[:, :, :height, :width] = images_nchw
    elif border == "reflect":
        _fill_reflected(padded, images_nchw, padding)
    else:
        padded[:] = np.array(MEAN_BYTES, dtype=np.uint8).reshape(3, 1, 1)
        padded[:, :, padding : padding + height, padding : padding + width] = images_nchw
    return memory


def _fill_reflected(
    padded: NDArray[np.uint8], images_nchw: NDArray[np.uint8], padding: int
) -> None:
    """Copy images into the middle and mirror them outwards, rows first, then columns."""
    height, width = images_nchw.shape[2:]
    padded[:, :, padding : padding + height, padding : padding + width] = images_nchw
    for step in range(1, padding + 1):
        top, bottom = padding, padding + height - 1
        padded[:, :, top - step] = padded[:, :, top + step]
        padded[:, :, bottom + step] = padded[:, :, bottom - step]
    for step in range(1, padding + 1):
        left, right = padding, padding + width - 1
        padded[..., left - step] = padded[..., left + step]
        padded[..., right + step] = padded[..., right - step]


def draw_views(
    indices: NDArray[np.int64], *, seed: int, epoch: int, padding: int, flip: Flip
) -> Views:
    """Draw how each image is seen in one epoch, independent of rank, batch and position.

    Args:
        indices: int64[B], positions in the training set.
        seed: of the run, >= 0.
        epoch: 0-based.
        padding: crops begin anywhere in 0 to 2 * padding, both ways.
        flip: "none"; "random": mirrored with probability one half in each epoch; "alternating":
            drawn for the first epoch and changed in each one after it, so that two epochs in a
            row show both sides of every image (arXiv 2404.00498).
    """
    bits = draws(seed, "view", epoch, indices)
    side = 2 * padding + 1
    if flip == "none":
        flipped = np.zeros(bits.shape, dtype=np.bool_)
    elif flip == "random":
        flipped = _lowest_bit(bits)
    else:
        flipped = _lowest_bit(draws(seed, "view", 0, indices)) ^ bool(epoch % 2)
    return Views(below(bits >> np.uint64(32), side), below(bits, side), flipped)


def _lowest_bit(bits: NDArray[np.uint64]) -> NDArray[np.bool_]:
    return (bits & np.uint64(1)).astype(np.bool_)


def gather(images: PaddedImages, indices: NDArray[np.int64], views: Views) -> NDArray[np.uint8]:
    """Return the batch uint8[B, C, H, W] of the given images, seen as ``views`` says."""
    rows = images.rows[indices, views.top, views.left]
    width = rows.dtype.itemsize
    words = rows.view(np.uint64).reshape(*rows.shape, width // _WORD)
    mirrored = np.flatnonzero(views.flipped)
    if len(mirrored):
        words[mirrored] = words[mirrored].byteswap(inplace=True)[..., ::-1]
    return words.view(np.uint8)


def normalise(images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the first layer sees: float32[N, 3, H, W] of mean 0, deviation 1 per channel.

    The training graph computes the same on the device; this is its reference.
    """
    mean = np.array(MEAN_RGB, dtype=np.float32).reshape(3, 1, 1)
    std = np.array(STD_RGB, dtype=np.float32).reshape(3, 1, 1)
    fractions: NDArray[np.float32] = images_nchw.astype(np.float32) / np.float32(255)
    fractions -= mean
    fractions /= std
    return fractions
